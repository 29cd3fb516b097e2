/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Linear layers: which products make up a sum ("Linear" in docs/bitstream.md). */
#include "nn/linear.h"
#include "base/marked.h"

#include <stdlib.h>

#define N_MAX (4 * M2T_CHANNELS_MAX) /* outputs of a layer: from a token to its four patches */
#define ALIGN(size) (((size) + 63) & ~(gsize) 63)

static gpointer
take(gsize size)
{
    gpointer memory = aligned_alloc(64, MAX(ALIGN(size), 64));

    if (!memory)
        g_error("out of memory: %" G_GSIZE_FORMAT " bytes of scratch", size);
    return memory;
}

static void
scratch_init(M2tScratch *s, const M2tNet *net, int columns)
{
    gsize rows = M2T_CHUNK, wide = rows * MAX(net->n_max, net->k_max);

    s->sum = take(rows * net->n_max * sizeof *s->sum);
    s->low = take(rows * net->n_max * sizeof *s->low);
    s->value = take(rows * net->n_max * sizeof *s->value);
    s->a = take(wide);
    s->b = take(wide);
    s->hi = take(rows * net->k_max);
    s->lo = take(rows * net->k_max);
    s->conv = take((gsize) MAX(M2T_CHUNK, columns) * net->k_max);
    s->gemm = net->gemm->scratch_new(M2T_CHUNK, net->n_max, net->k_max);
}

static void
scratch_clear(M2tScratch *s, const M2tNet *net)
{
    free(s->sum);
    free(s->low);
    free(s->value);
    free(s->a);
    free(s->b);
    free(s->hi);
    free(s->lo);
    free(s->conv);
    net->gemm->scratch_free(s->gemm);
}

void
m2t_context_init(M2tContext *context, const M2tNet *net, int threads, int columns)
{
    context->net = net;
    context->kernels = m2t_kernels_get();
    context->threads = m2t_threads_new(threads);
    context->scratch = g_new(M2tScratch, m2t_threads_count(context->threads));
    for (int i = 0; i < m2t_threads_count(context->threads); i++)
        scratch_init(&context->scratch[i], net, columns);
}

void
m2t_context_clear(M2tContext *context)
{
    for (int i = 0; i < m2t_threads_count(context->threads); i++)
        scratch_clear(&context->scratch[i], context->net);
    g_free(context->scratch);
    m2t_threads_free(context->threads);
}

static void
product(const M2tContext *context, M2tScratch *scratch, const M2tLinear *linear, gconstpointer packed, const gint8 *in, int m, gint32 *sum)
{
    context->net->gemm->run(packed, in, m, linear->weights->n, linear->weights->k, sum, scratch->gemm);
}

void
m2t_linear_sums(const M2tContext *context, M2tScratch *scratch, const M2tLinear *linear, const gint8 *in, int m)
{
    product(context, scratch, linear, linear->packed, in, m, scratch->sum);
}

static void
add_low(M2tScratch *scratch, gsize count)
{
    for (gsize i = 0; i < count; i++)
        scratch->sum[i] += scratch->low[i];
}

static void
sums_wide(const M2tContext *context, M2tScratch *scratch, const M2tLinear *linear, int m)
{
    gsize count = (gsize) m * linear->weights->n;

    product(context, scratch, linear, linear->packed, scratch->lo, m, scratch->low);
    if (linear->packed_wide) {
        product(context, scratch, linear, linear->packed_wide, scratch->hi, m, scratch->sum);
        add_low(scratch, count);
        return;
    }
    product(context, scratch, linear, linear->packed, scratch->hi, m, scratch->sum);
    context->kernels->combine(scratch->sum, scratch->low, count);
    if (linear->packed_low) {
        product(context, scratch, linear, linear->packed_low, scratch->hi, m, scratch->low);
        add_low(scratch, count);
    }
}

/* Bytes of m rows that belong together: first[i] and second[i], those of the next row a @pitch further on. */
typedef struct {
    const gint8 *first, *second;
    gsize pitch;
    int n;
} Pairs;

static void
mark_pairs(const Pairs *in, int row, guint8 *restrict mark)
{
    const gint8 *first = in->first + row * in->pitch, *second = in->second + row * in->pitch;

    for (int i = 0; i < in->n; i++)
        mark[i] = (first[i] | second[i]) != 0;
}

/* So few are not zero that it is quicker to take their weights one by one. */
static gboolean
is_sparse(const M2tGemm *gemm, const Pairs *in, int m)
{
    guint8 mark[M2T_LATENTS_MAX];
    int count = 0;

    for (int row = 0; row < m; row++) {
        mark_pairs(in, row, mark);
        for (int i = 0; i < in->n; i++)
            count += mark[i];
    }
    return gemm->sparse * count < m * in->n;
}

static void
sums_of_pairs(const M2tContext *context, M2tScratch *scratch, const M2tLinear *linear, const Pairs *in, int m)
{
    int n = linear->weights->n;

    for (int row = 0; row < m; row++) {
        guint8 mark[M2T_LATENTS_MAX];
        guint16 place[M2T_LATENTS_MAX];
        gint16 pair[2 * M2T_LATENTS_MAX];
        int count;

        mark_pairs(in, row, mark);
        count = m2t_marked_list(mark, in->n, place);
        for (int i = 0; i < count; i++) {
            pair[2 * i] = in->first[row * in->pitch + place[i]];
            pair[2 * i + 1] = in->second[row * in->pitch + place[i]];
        }
        context->kernels->sparse(pair, place, count, linear->pairs, scratch->sum + (gsize) row * n, n);
    }
}

/* FALSE: it would not be quicker. */
static gboolean
run_sparse(const M2tContext *context, M2tScratch *scratch, const M2tLinear *linear, const Pairs *in, const M2tStore *store, M2tStoreKind kind, gpointer out)
{
    if (!linear->pairs || !is_sparse(context->net->gemm, in, store->m))
        return FALSE;
    sums_of_pairs(context, scratch, linear, in, store->m);
    m2t_kernels_store(context->kernels, store, kind, out);
    return TRUE;
}

void
m2t_linear_sums_wide_weights(const M2tContext *context, M2tScratch *scratch, const M2tLinear *linear, const gint8 *in, int m)
{
    if (linear->packed_wide) {
        product(context, scratch, linear, linear->packed_wide, in, m, scratch->sum);
        return;
    }
    product(context, scratch, linear, linear->packed, in, m, scratch->sum);
    product(context, scratch, linear, linear->packed_low, in, m, scratch->low);
    context->kernels->combine(scratch->sum, scratch->low, (gsize) m * linear->weights->n);
}

M2tStore
m2t_linear_store(const M2tScratch *scratch, const M2tLinear *linear, const gint32 *bias, int m)
{
    static const gint32 none[N_MAX];

    return (M2tStore) {scratch->sum, bias ? bias : none, linear->weights->scale, m, linear->weights->n};
}

void
m2t_linear_run(const M2tContext *context, M2tScratch *scratch, const M2tLinear *linear, const gint32 *bias, const gint8 *in, int m, M2tStoreKind kind,
               gpointer out)
{
    const M2tGemm *gemm = context->net->gemm;
    int n = linear->weights->n, k = linear->weights->k;
    M2tStore store = m2t_linear_store(scratch, linear, bias, m);
    Pairs pairs = {in, in + k / 2, k, k / 2};

    if (run_sparse(context, scratch, linear, &pairs, &store, kind, out))
        return;
    if (gemm->run_and_store && n % M2T_GEMM_PANEL == 0) {
        gemm->run_and_store(linear->packed, in, m, n, k, &store, kind, out, scratch->gemm);
        return;
    }
    m2t_linear_sums(context, scratch, linear, in, m);
    m2t_kernels_store(context->kernels, &store, kind, out);
}

void
m2t_linear_run_wide(const M2tContext *context, M2tScratch *scratch, const M2tLinear *linear, const gint32 *bias, int m, M2tStoreKind kind, gpointer out)
{
    const M2tGemm *gemm = context->net->gemm;
    int n = linear->weights->n, k = linear->weights->k;
    M2tStore store = m2t_linear_store(scratch, linear, bias, m);
    Pairs pairs = {scratch->hi, scratch->lo, k, k};

    if (run_sparse(context, scratch, linear, &pairs, &store, kind, out))
        return;
    if (gemm->run_wide_and_store && n % M2T_GEMM_PANEL == 0) {
        gemm->run_wide_and_store(linear->packed, linear->packed_low, scratch->hi, scratch->lo, m, n, k, &store, kind, scratch->sum, out, scratch->gemm);
        return;
    }
    sums_wide(context, scratch, linear, m);
    m2t_kernels_store(context->kernels, &store, kind, out);
}
