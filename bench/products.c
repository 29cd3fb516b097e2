/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A frame is a list of passes: layers that a stage runs one after the other on the same chunk of rows. The passes here are those of
 * analysis.c, block.c, prior.c and synthesis.c, in their order; chunks are full ones, so whatever a stage loses by shorter ones shows in
 * the comparison. */
#include "products.h"

#include "nn/linear.h"

#include <stdlib.h>

#define LAYERS 5      /* of a pass */
#define PASSES_MAX 1024

typedef struct {
    const M2tLinear *linear;
    gboolean wide_input;   /* of 15 bits */
} Layer;

typedef struct {
    int rows;
    Layer layer[LAYERS];   /* up to the first without a linear */
} Pass;

struct _Products {
    M2tNet *net;
    M2tThreads *threads;
    gint8 *in;             /* [M2T_CHUNK][k_max] */
    gint32 **sum;          /* by thread: [M2T_CHUNK][n_max] */
    gpointer *scratch;
    int passes;
    Pass pass[PASSES_MAX];
};

/* Tokens of 16x16 samples, patches of 8x8, windows of 8x8 tokens. */
typedef struct {
    int tokens, patches, windows;
} Sizes;

static Sizes
sizes_of(const M2tVideoInfo *video)
{
    int rows = ((int) video->height + 15) / 16, columns = ((int) video->width + 15) / 16;
    int windows = ((rows + M2T_WINDOW - 1) / M2T_WINDOW) * ((columns + M2T_WINDOW - 1) / M2T_WINDOW);

    return (Sizes) {rows * columns, 4 * rows * columns, windows};
}

static Pass *
add_pass(Products *p, int rows)
{
    Pass *pass = &p->pass[p->passes++];

    g_assert(p->passes <= PASSES_MAX);
    *pass = (Pass) {rows};
    return pass;
}

static void
add_single(Products *p, int rows, const M2tLinear *linear, gboolean wide_input)
{
    add_pass(p, rows)->layer[0] = (Layer) {linear, wide_input};
}

static void
add_blocks(Products *p, int rows, const M2tBlock *block, int count)
{
    for (int i = 0; i < count; i++) {
        Pass *pass = add_pass(p, rows);

        pass->layer[0].linear = &block[i].expand;
        pass->layer[1].linear = &block[i].project;
    }
}

static void
add_analysis(Products *p, const Sizes *sizes)
{
    const M2tTransform *t = &p->net->analysis;
    Pass *leave;

    add_single(p, sizes->patches, &t->in, FALSE);
    add_blocks(p, sizes->patches, t->block8, t->weights->blocks8);
    add_single(p, sizes->tokens, &t->between, FALSE);
    add_blocks(p, sizes->tokens, t->block16, t->weights->blocks16);
    leave = add_pass(p, sizes->tokens);
    leave->layer[0] = (Layer) {&t->out, TRUE};
    leave->layer[1] = (Layer) {&t->shortcut, FALSE};
}

static void
add_synthesis(Products *p, const Sizes *sizes)
{
    const M2tTransform *t = &p->net->synthesis;

    add_single(p, sizes->tokens, &t->in, TRUE);
    add_blocks(p, sizes->tokens, t->block16, t->weights->blocks16);
    add_single(p, sizes->tokens, &t->between, FALSE);
    add_blocks(p, sizes->patches, t->block8, t->weights->blocks8);
    add_single(p, sizes->tokens, &t->shortcut, TRUE);
    add_single(p, sizes->patches, &t->out, TRUE);
}

/* The prior on slots that run together. */
static void
add_prior(Products *p, int slots)
{
    const M2tNet *net = p->net;
    const M2tPriorWeights *w = &net->model->prior;
    Pass *enter = add_pass(p, slots);

    enter->layer[0].linear = &net->embed;
    enter->layer[1].linear = &net->layer[0].qkv;
    for (int i = 0; i < w->layers; i++) {
        Pass *pass = add_pass(p, slots);

        pass->layer[0].linear = &net->layer[i].out;
        pass->layer[1].linear = &net->layer[i].fc1;
        pass->layer[2].linear = &net->layer[i].fc2;
        if (i + 1 < w->layers)
            pass->layer[3].linear = &net->layer[i + 1].qkv;
    }
    for (int i = 0; i < w->parts; i++) {
        Pass *pass = add_pass(p, slots);
        int steps = i ? 2 : 0;

        if (steps) {
            pass->layer[0].linear = &net->step_fc1[i];
            pass->layer[1].linear = &net->step_fc2[i];
        }
        pass->layer[steps].linear = &net->head[i];
    }
}

/* Group after group, in the decoder and in the encoder. */
static void
add_groups(Products *p, const Sizes *sizes)
{
    const M2tPriorWeights *prior = &p->net->model->prior;

    for (int group = 0; group < prior->groups; group++)
        add_prior(p, sizes->windows * prior->group_size[group]);
}

/* The weights that a layer's input is multiplied with, one product each, as linear.c does it. Returns their number. */
static int
factors(const Layer *layer, gconstpointer packed[3])
{
    const M2tLinear *linear = layer->linear;
    int count = 0;

    if (layer->wide_input)
        packed[count++] = linear->packed; /* by the low part of the input */
    packed[count++] = linear->packed_wide ? linear->packed_wide : linear->packed;
    if (linear->packed_low)
        packed[count++] = linear->packed_low;
    return count;
}

static void
run_layer(const Products *p, const Layer *layer, int m, int thread)
{
    const M2tLinearWeights *w = layer->linear->weights;
    gconstpointer packed[3];
    int count = factors(layer, packed);

    for (int i = 0; i < count; i++)
        p->net->gemm->run(packed[i], p->in, m, w->n, w->k, p->sum[thread], p->scratch[thread]);
}

/* One thread's share of all passes. */
static void
run_share(void *data, int begin, int end, int worker)
{
    const Products *p = data;
    gint64 threads = m2t_threads_count(p->threads);

    for (int i = 0; i < p->passes; i++) {
        const Pass *pass = &p->pass[i];
        int row = (int) (pass->rows * begin / threads), last = (int) (pass->rows * end / threads);

        for (; row < last; row += M2T_CHUNK)
            for (int j = 0; j < LAYERS && pass->layer[j].linear; j++)
                run_layer(p, &pass->layer[j], MIN(M2T_CHUNK, last - row), begin);
    }
}

static Products *
products_new(M2tModel *model, const M2tGemm *gemm, int threads)
{
    Products *p = g_new0(Products, 1);
    gsize inputs, sums;

    p->net = m2t_net_acquire(model, gemm);
    p->threads = m2t_threads_new(threads);
    threads = m2t_threads_count(p->threads);
    inputs = (gsize) M2T_CHUNK * p->net->k_max;
    sums = (gsize) M2T_CHUNK * p->net->n_max * sizeof(gint32);
    p->in = aligned_alloc(64, inputs);
    for (gsize i = 0; i < inputs; i++)
        p->in[i] = (gint8) ((int) ((guint) i * 2654435761u >> 24) % 128);
    p->sum = g_new(gint32 *, threads);
    p->scratch = g_new(gpointer, threads);
    for (int i = 0; i < threads; i++) {
        p->sum[i] = aligned_alloc(64, sums);
        p->scratch[i] = gemm->scratch_new(M2T_CHUNK, p->net->n_max, p->net->k_max);
    }
    return p;
}

void
products_free(Products *p)
{
    for (int i = 0; i < m2t_threads_count(p->threads); i++) {
        p->net->gemm->scratch_free(p->scratch[i]);
        free(p->sum[i]);
    }
    g_free(p->scratch);
    g_free(p->sum);
    free(p->in);
    m2t_threads_free(p->threads);
    m2t_net_release(p->net);
    g_free(p);
}

Products *
products_new_encode(M2tModel *model, const M2tGemm *gemm, int threads, const M2tVideoInfo *video)
{
    Products *p = products_new(model, gemm, threads);
    Sizes sizes = sizes_of(video);

    add_analysis(p, &sizes);
    add_groups(p, &sizes);
    return p;
}

Products *
products_new_decode(M2tModel *model, const M2tGemm *gemm, int threads, const M2tVideoInfo *video)
{
    Products *p = products_new(model, gemm, threads);
    Sizes sizes = sizes_of(video);

    add_groups(p, &sizes);
    add_synthesis(p, &sizes);
    return p;
}

void
products_run(Products *p)
{
    m2t_gemm_begin(p->net->gemm);
    m2t_threads_run(p->threads, m2t_threads_count(p->threads), 1, run_share, p);
    m2t_gemm_end(p->net->gemm);
}

double
products_macs(const Products *p)
{
    double macs = 0;

    for (int i = 0; i < p->passes; i++)
        for (int j = 0; j < LAYERS && p->pass[i].layer[j].linear; j++) {
            const Layer *layer = &p->pass[i].layer[j];
            const M2tLinearWeights *w = layer->linear->weights;
            gconstpointer packed[3];

            macs += (double) p->pass[i].rows * w->n * w->k * factors(layer, packed);
        }
    return macs;
}
