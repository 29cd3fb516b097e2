/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Blocks of the transforms ("Block" in docs/bitstream.md). One pass over the grid per block: a worker takes a few grid rows and does the whole
 * chain for them. Neighbours are read from the narrow copy of the stream that the pass before left, so nothing waits for anything inside a pass. */
#include "nn/block.h"

typedef struct {
    M2tStage *stage;
    const M2tContext *context;
    const M2tBlock *block;
    int next_shift;
} BlockPass;

void
m2t_stage_layout(M2tStage *stage, M2tArena *arena, int rows, int columns, int channels)
{
    gsize count = (gsize) rows * columns * channels;

    *stage = (M2tStage) {.rows = rows, .columns = columns, .channels = channels};
    stage->stream = m2t_arena_take(arena, count, sizeof *stage->stream);
    stage->narrow[0] = m2t_arena_take(arena, count, sizeof *stage->narrow[0]);
    stage->narrow[1] = m2t_arena_take(arena, count, sizeof *stage->narrow[1]);
}

gint8 *
m2t_stage_narrow(const M2tStage *stage, gsize position)
{
    return stage->narrow[stage->current] + position * stage->channels;
}

int
m2t_stage_first_shift(const M2tBlock *blocks, int count, int last_shift)
{
    return count ? blocks[0].weights->shift : last_shift;
}

/* Depthwise convolution of one grid row. */
static void
convolve(const BlockPass *pass, int row, gint8 *out)
{
    const M2tStage *stage = pass->stage;
    const M2tBlockWeights *w = pass->block->weights;
    gsize pitch = (gsize) stage->columns * stage->channels;
    const gint8 *here = m2t_stage_narrow(stage, (gsize) row * stage->columns);

    pass->context->kernels->depthwise(row > 0 ? here - pitch : NULL, here, row + 1 < stage->rows ? here + pitch : NULL, stage->columns,
                                      stage->channels, w->depthwise_weight, w->depthwise_bias, w->depthwise_scale, out);
}

/* The rest of the chain for m positions from @first on, whose convolution is at @in. */
static void
mix_channels(const BlockPass *pass, M2tScratch *scratch, gsize first, const gint8 *in, int m)
{
    const M2tContext *context = pass->context;
    const M2tBlock *block = pass->block;
    M2tStage *stage = pass->stage;
    int c = stage->channels;
    gsize at = first * c;
    M2tStore store;

    m2t_linear_sums(context, scratch, &block->expand, in, m);
    store = m2t_linear_store(scratch, &block->expand, block->weights->expand.bias, m);
    context->kernels->to8(&store, scratch->b);
    context->kernels->gate(scratch->b, scratch->a, m, c);
    m2t_linear_sums(context, scratch, &block->project, scratch->a, m);
    store = m2t_linear_store(scratch, &block->project, block->weights->project.bias, m);
    context->kernels->add16(&store, stage->stream + at);
    context->kernels->narrow(stage->stream + at, pass->next_shift, stage->narrow[!stage->current] + at, (gsize) m * c);
}

static void
run_rows(void *data, int begin, int end, int worker)
{
    const BlockPass *pass = data;
    const M2tStage *stage = pass->stage;
    M2tScratch *scratch = &pass->context->scratch[worker];
    int positions = (end - begin) * stage->columns;
    gsize first = (gsize) begin * stage->columns, channels = stage->channels;

    for (int row = begin; row < end; row++)
        convolve(pass, row, scratch->conv + (row - begin) * stage->columns * channels);
    for (int i = 0; i < positions; i += M2T_CHUNK)
        mix_channels(pass, scratch, first + i, scratch->conv + i * channels, MIN(M2T_CHUNK, positions - i));
}

void
m2t_stage_run(M2tStage *stage, const M2tContext *context, const M2tBlock *blocks, int count, int last_shift)
{
    for (int i = 0; i < count; i++) {
        BlockPass pass = {stage, context, &blocks[i], i + 1 < count ? blocks[i + 1].weights->shift : last_shift};

        m2t_threads_run(context->threads, stage->rows, MAX(1, M2T_CHUNK / stage->columns), run_rows, &pass);
        stage->current = !stage->current;
    }
}
