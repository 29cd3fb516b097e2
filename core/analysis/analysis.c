/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Analysis: four passes over the picture, each shared by the workers. Mirror of synthesis.c. */
#include "analysis/analysis.h"

typedef struct {
    M2tAnalysis *analysis;
    const M2tQuant *quant;
    gint16 *latents;
    gint8 *rest;
} AnalysisRun;

void
m2t_analysis_layout(M2tAnalysis *a, M2tArena *arena, const M2tContext *context, const M2tGeometry *g)
{
    const M2tTransformWeights *w = context->net->analysis.weights;

    a->context = context;
    a->geometry = *g;
    m2t_stage_layout(&a->stage8, arena, g->patch_rows, g->patch_columns, w->width8);
    m2t_stage_layout(&a->stage16, arena, g->token_rows, g->token_columns, w->width16);
    a->patches = m2t_arena_take(arena, (gsize) g->patch_rows * g->patch_columns * M2T_PATCH_CHANNELS, sizeof *a->patches);
}

typedef struct {
    M2tAnalysis *analysis;
    const M2tPicture *picture;
} LoadRun;

static void
load(void *data, int begin, int end, int worker)
{
    const LoadRun *run = data;
    const M2tAnalysis *a = run->analysis;

    for (int row = begin; row < end; row++)
        m2t_patch_load_row(&a->geometry, run->picture, row, a->patches + (gsize) row * a->geometry.patch_columns * M2T_PATCH_CHANNELS);
}

void
m2t_analysis_load(M2tAnalysis *a, const M2tPicture *picture)
{
    LoadRun run = {a, picture};

    m2t_threads_run(a->context->threads, a->geometry.patch_rows, 1, load, &run);
}

/* First layer on rows of patches. */
static void
enter(void *data, int begin, int end, int worker)
{
    const AnalysisRun *run = data;
    M2tAnalysis *a = run->analysis;
    const M2tContext *context = a->context;
    const M2tTransform *net = &context->net->analysis;
    M2tScratch *scratch = &context->scratch[worker];
    int columns = a->geometry.patch_columns;
    int shift = m2t_stage_first_shift(net->block8, net->weights->blocks8, net->weights->between_shift);

    for (int row = begin; row < end; row++)
        for (int column = 0; column < columns; column += M2T_CHUNK) {
            gsize at = (gsize) row * columns + column;
            int m = MIN(M2T_CHUNK, columns - column);

            m2t_linear_run(context, scratch, &net->in, run->quant->analysis_bias, a->patches + at * M2T_PATCH_CHANNELS, m, M2T_STORE_TO16,
                           m2t_stage_stream(&a->stage8, at));
            m2t_stage_enter(&a->stage8, context, at, m, shift);
        }
}

/* The four patches of tokens first...first + m - 1, channels interleaved by place. */
static void
gather_tokens(const M2tAnalysis *a, const gint8 *patches, int channels, int first, int m, gint8 *out)
{
    const M2tGeometry *g = &a->geometry;
    gsize pitch = (gsize) g->patch_columns * channels;

    for (int token = first; token < first + m; token++, out += 4 * channels) {
        const gint8 *above = patches + 2 * (token / g->token_columns) * pitch + 2 * (token % g->token_columns) * (gsize) channels;

        a->context->kernels->unshuffle(above, above + pitch, out, channels);
    }
}

static void
go_down(void *data, int begin, int end, int worker)
{
    const AnalysisRun *run = data;
    M2tAnalysis *a = run->analysis;
    const M2tContext *context = a->context;
    const M2tTransform *net = &context->net->analysis;
    M2tScratch *scratch = &context->scratch[worker];
    int m = end - begin;
    int shift = m2t_stage_first_shift(net->block16, net->weights->blocks16, 0);

    gather_tokens(a, m2t_stage_narrow(&a->stage8, 0), a->stage8.channels, begin, m, scratch->a);
    m2t_linear_run(context, scratch, &net->between, net->weights->between.bias, scratch->a, m, M2T_STORE_TO16, m2t_stage_stream(&a->stage16, begin));
    m2t_stage_enter(&a->stage16, context, begin, m, shift);
}

/* Last layer and short-cut, added and rounded. */
static void
leave(void *data, int begin, int end, int worker)
{
    const AnalysisRun *run = data;
    M2tAnalysis *a = run->analysis;
    const M2tContext *context = a->context;
    const M2tTransform *net = &context->net->analysis;
    M2tScratch *scratch = &context->scratch[worker];
    int m = end - begin, latents = net->weights->out.n, c = a->stage16.channels;
    M2tStore store = m2t_linear_store(scratch, &net->shortcut, net->weights->shortcut.bias, m);
    gint32 *network = scratch->value;

    context->kernels->split(a->stage16.stream + (gsize) begin * c, scratch->hi, scratch->lo, (gsize) m * c);
    m2t_linear_run_wide(context, scratch, &net->out, net->weights->out.bias, m, M2T_STORE_TO32, network);

    gather_tokens(a, a->patches, M2T_PATCH_CHANNELS, begin, m, scratch->a);
    m2t_linear_sums_wide_weights(context, scratch, &net->shortcut, scratch->a, m);
    context->kernels->to32(&store, scratch->low);
    for (int i = 0; i < m; i++) {
        gsize at = (gsize) (begin + i) * latents;

        context->kernels->quantise(scratch->low + (gsize) i * latents, network + (gsize) i * latents, run->quant->gain, run->latents + at,
                                   run->rest + at, latents);
    }
}

void
m2t_analysis_run(M2tAnalysis *a, const M2tQuant *quant, gint16 *latents, gint8 *rest)
{
    const M2tContext *context = a->context;
    const M2tTransform *net = &context->net->analysis;
    int tokens = m2t_geometry_tokens(&a->geometry);
    AnalysisRun run = {a, quant, latents, rest};

    m2t_threads_run(context->threads, a->geometry.patch_rows, 1, enter, &run);
    m2t_stage_run(&a->stage8, context, net->block8, net->weights->blocks8, net->weights->between_shift);
    m2t_threads_run(context->threads, tokens, M2T_CHUNK, go_down, &run);
    m2t_stage_run(&a->stage16, context, net->block16, net->weights->blocks16, 0);
    m2t_threads_run(context->threads, tokens, M2T_CHUNK, leave, &run);
}
