/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Synthesis: dequantised latents enter at 1/16, go up to 1/8, leave as values for the filter. Mirror of analysis.c. */
#include "synthesis/synthesis.h"
#include "base/tokens.h"

#include <string.h>

typedef struct {
    M2tSynthesis *synthesis;
    const M2tQuant *quant;
    M2tPicture *picture;
} SynthesisRun;

void
m2t_synthesis_layout(M2tSynthesis *s, M2tArena *arena, const M2tContext *context, const M2tGeometry *g)
{
    const M2tTransformWeights *w = context->net->synthesis.weights;

    s->context = context;
    s->geometry = *g;
    m2t_stage_layout(&s->stage8, arena, g->patch_rows, g->patch_columns, w->width8);
    m2t_stage_layout(&s->stage16, arena, g->token_rows, g->token_columns, w->width16);
    s->values = m2t_arena_take(arena, (gsize) m2t_geometry_tokens(g) * context->net->model->latents, sizeof *s->values);
    s->exact = m2t_arena_take(arena, m2t_geometry_tokens(g), sizeof *s->exact);
    s->samples = m2t_arena_take(arena, (gsize) m2t_geometry_tokens(g) * M2T_TOKEN_CHANNELS, sizeof *s->samples);
    m2t_filter_layout(&s->filter, arena, g);
}

void
m2t_synthesis_clear(M2tSynthesis *s)
{
    memset(s->values, 0, (gsize) m2t_geometry_tokens(&s->geometry) * s->context->net->model->latents * sizeof *s->values);
    memset(s->exact, FALSE, m2t_geometry_tokens(&s->geometry));
}

void
m2t_synthesis_keep(M2tSynthesis *s, const M2tSynthesis *before, const guint8 *kind)
{
    int tokens = m2t_geometry_tokens(&s->geometry);
    gsize latents = s->context->net->model->latents;

    for (int token = 0; token < tokens; token++) {
        gsize at = (gsize) token * M2T_TOKEN_CHANNELS;

        if (kind[token] != M2T_TOKEN_KEPT)
            continue;
        memcpy(s->values + token * latents, before->values + token * latents, latents * sizeof *s->values);
        s->exact[token] = before->exact[token];
        if (s->exact[token])
            memcpy(s->samples + at, before->samples + at, M2T_TOKEN_CHANNELS);
    }
}

static void
enter(void *data, int begin, int end, int worker)
{
    const SynthesisRun *run = data;
    M2tSynthesis *s = run->synthesis;
    const M2tContext *context = s->context;
    const M2tTransform *net = &context->net->synthesis;
    M2tScratch *scratch = &context->scratch[worker];
    int m = end - begin, latents = net->weights->in.k;
    int shift = m2t_stage_first_shift(net->block16, net->weights->blocks16, net->weights->between_shift);
    const gint16 *values = s->values + (gsize) begin * latents;

    context->kernels->split(values, scratch->hi, scratch->lo, (gsize) m * latents);
    m2t_linear_run_wide(context, scratch, &net->in, run->quant->synthesis_bias, m, M2T_STORE_TO16, m2t_stage_stream(&s->stage16, begin));
    m2t_stage_enter(&s->stage16, context, begin, m, shift);
}

/* Position of the patch at a place (0...3) of a token. */
static gsize
patch_of_token(const M2tGeometry *g, int token, int place)
{
    gsize row = 2 * (token / g->token_columns) + place / 2, column = 2 * (token % g->token_columns) + place % 2;

    return row * g->patch_columns + column;
}

static void
go_up(void *data, int begin, int end, int worker)
{
    const SynthesisRun *run = data;
    M2tSynthesis *s = run->synthesis;
    const M2tContext *context = s->context;
    const M2tTransform *net = &context->net->synthesis;
    M2tScratch *scratch = &context->scratch[worker];
    int m = end - begin, c = s->stage8.channels;
    int shift = m2t_stage_first_shift(net->block8, net->weights->blocks8, net->weights->between_shift);
    gint16 *up = (gint16 *) scratch->value;

    m2t_linear_run(context, scratch, &net->between, net->weights->between.bias, m2t_stage_narrow(&s->stage16, begin), m, M2T_STORE_TO16, up);
    for (int i = 0; i < m; i++, up += 4 * c) {
        gsize above = patch_of_token(&s->geometry, begin + i, 0), below = patch_of_token(&s->geometry, begin + i, 2);

        context->kernels->shuffle(up, s->stage8.stream + above * c, s->stage8.stream + below * c, c);
        context->kernels->narrow(s->stage8.stream + above * c, shift, m2t_stage_narrow(&s->stage8, above), 2 * c);
        context->kernels->narrow(s->stage8.stream + below * c, shift, m2t_stage_narrow(&s->stage8, below), 2 * c);
    }
}

/* Last layer for the m patches at one place of tokens, into scratch->low. */
static void
last_layer(const SynthesisRun *run, M2tScratch *scratch, int first, int m, int place)
{
    M2tSynthesis *s = run->synthesis;
    const M2tContext *context = s->context;
    const M2tTransform *net = &context->net->synthesis;
    gsize c = s->stage8.channels;

    for (int i = 0; i < m; i++)
        context->kernels->split(s->stage8.stream + patch_of_token(&s->geometry, first + i, place) * c, scratch->hi + i * c, scratch->lo + i * c, c);
    m2t_linear_run_wide(context, scratch, &net->out, net->weights->out.bias, m, M2T_STORE_TO32, scratch->low);
}

/* Adds the short-cut's part (in scratch->value) to the network's and hands the sums to the filter, for exact tokens their samples instead. */
static void
store_patches(const SynthesisRun *run, const M2tScratch *scratch, int first, int m, int place)
{
    M2tSynthesis *s = run->synthesis;
    gint16 *values = (gint16 *) scratch->sum;

    s->context->kernels->values(scratch->value + place, scratch->low, values, (gsize) m * M2T_PATCH_CHANNELS);
    for (int token = first; token < first + m; token++, values += M2T_PATCH_CHANNELS) {
        const guint8 *samples = s->samples + (gsize) token * M2T_TOKEN_CHANNELS + place * M2T_PATCH_CHANNELS;

        for (int i = 0; s->exact[token] && i < M2T_PATCH_CHANNELS; i++)
            values[i] = (gint16) (samples[i] * M2T_VALUE_ONE);
        m2t_filter_enter(&s->filter, 2 * (token / s->geometry.token_columns) + place / 2, 2 * (token % s->geometry.token_columns) + place % 2,
                         values);
    }
}

static void
leave(void *data, int begin, int end, int worker)
{
    const SynthesisRun *run = data;
    M2tSynthesis *s = run->synthesis;
    const M2tContext *context = s->context;
    const M2tTransform *net = &context->net->synthesis;
    M2tScratch *scratch = &context->scratch[worker];
    int m = end - begin;
    gsize latents = net->weights->shortcut.k;

    context->kernels->split(s->values + begin * latents, scratch->hi, scratch->lo, m * latents);
    m2t_linear_run_wide(context, scratch, &net->shortcut, net->weights->shortcut.bias, m, M2T_STORE_TO32, scratch->value);
    for (int place = 0; place < 4; place++) {
        last_layer(run, scratch, begin, m, place);
        store_patches(run, scratch, begin, m, place);
    }
}

/* Rows of tokens: filtered, but for those that are exact. */
static void
finish(void *data, int begin, int end, int worker)
{
    const SynthesisRun *run = data;
    const M2tSynthesis *s = run->synthesis;
    int columns = s->geometry.token_columns;

    for (int row = begin; row < end; row++)
        m2t_filter_row(&s->filter, s->context->kernels, run->quant, row, run->picture);
    for (int token = begin * columns; token < end * columns; token++)
        for (int place = 0; s->exact[token] && place < 4; place++)
            m2t_patch_store(&s->geometry, run->picture, 2 * (token / columns) + place / 2, 2 * (token % columns) + place % 2,
                            s->samples + (gsize) token * M2T_TOKEN_CHANNELS + place * M2T_PATCH_CHANNELS);
}

void
m2t_synthesis_run(M2tSynthesis *s, const M2tQuant *quant, M2tPicture *picture)
{
    const M2tContext *context = s->context;
    const M2tTransform *net = &context->net->synthesis;
    int tokens = m2t_geometry_tokens(&s->geometry);
    SynthesisRun run = {s, quant, picture};

    m2t_threads_run(context->threads, tokens, M2T_CHUNK, enter, &run);
    m2t_stage_run(&s->stage16, context, net->block16, net->weights->blocks16, net->weights->between_shift);
    m2t_threads_run(context->threads, tokens, M2T_CHUNK, go_up, &run);
    m2t_stage_run(&s->stage8, context, net->block8, net->weights->blocks8, 0);
    m2t_threads_run(context->threads, tokens, M2T_CHUNK, leave, &run);
    m2t_filter_repeat_edges(&s->filter);
    m2t_threads_run(context->threads, s->geometry.token_rows, 1, finish, &run);
}
