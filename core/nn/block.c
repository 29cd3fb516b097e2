/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Blocks of the transforms ("Block" in docs/bitstream.md). A worker takes a band of grid rows, few enough to stay in its cache, through
 * the whole chain of blocks. A block reads one row above and below from what the block before left, so each block works one row higher up
 * than the one before:
 *
 *     rows        band k - 1 │ band k
 *     block 0   ─────────────┼──────────────┐
 *     block 1   ───────────┐ └────────────┐
 *     block 2   ─────────┐ └────────────┐
 *
 * All that a block of a band waits for is the block before it in the band above. */
#include "nn/block.h"

#define BAND_BYTES (128 * 1024) /* half of a small second-level cache: the rows of a band, weights beside them */
#define BAND_LEAST 2            /* rows: otherwise a block would look beyond the band above */

typedef struct {
    M2tStage *stage;
    const M2tContext *context;
    const M2tBlock *blocks;
    int count, last_shift;
    int band;             /* rows */
} Chain;

/* One block of a chain, on the rows of a band. */
typedef struct {
    M2tStage *stage;
    const M2tContext *context;
    const M2tBlock *block;
    const gint8 *in;      /* the grid in 8 bits: read, */
    gint8 *out;           /* and left for the next block */
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
    stage->done = m2t_arena_take(arena, rows, sizeof *stage->done);
}

gint8 *
m2t_stage_narrow(const M2tStage *stage, gsize position)
{
    return stage->narrow[stage->current] + position * stage->channels;
}

gint16 *
m2t_stage_stream(const M2tStage *stage, gsize position)
{
    return stage->stream + position * stage->channels;
}

void
m2t_stage_enter(M2tStage *stage, const M2tContext *context, gsize first, int m, int shift)
{
    context->kernels->narrow(m2t_stage_stream(stage, first), shift, m2t_stage_narrow(stage, first), (gsize) m * stage->channels);
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
    const gint8 *here = pass->in + row * pitch;

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
    gint16 *stream = m2t_stage_stream(stage, first);

    m2t_linear_run(context, scratch, &block->expand, block->weights->expand.bias, in, m, M2T_STORE_TO8, scratch->b);
    context->kernels->gate(scratch->b, scratch->a, m, c);
    m2t_linear_run(context, scratch, &block->project, block->weights->project.bias, scratch->a, m, M2T_STORE_ADD16, stream);
    context->kernels->narrow(stream, pass->next_shift, pass->out + first * c, (gsize) m * c);
}

/* As many rows as fit a chunk, at least one. */
static void
run_rows(const BlockPass *pass, M2tScratch *scratch, int begin, int end)
{
    const M2tStage *stage = pass->stage;
    int positions = (end - begin) * stage->columns;
    gsize first = (gsize) begin * stage->columns, channels = stage->channels;

    for (int row = begin; row < end; row++)
        convolve(pass, row, scratch->conv + (row - begin) * stage->columns * channels);
    for (int i = 0; i < positions; i += M2T_CHUNK)
        mix_channels(pass, scratch, first + i, scratch->conv + i * channels, MIN(M2T_CHUNK, positions - i));
}

static int
rows_of_chunk(const M2tStage *stage)
{
    return MAX(1, M2T_CHUNK / stage->columns);
}

static void
run_block(const Chain *chain, int index, int begin, int end, M2tScratch *scratch)
{
    M2tStage *stage = chain->stage;
    int last = chain->count - 1, rows = rows_of_chunk(stage), in = (stage->current + index) & 1;
    BlockPass pass = {stage, chain->context, &chain->blocks[index], stage->narrow[in], stage->narrow[!in],
                      index < last ? chain->blocks[index + 1].weights->shift : chain->last_shift};

    for (int row = begin; row < end; row += rows)
        run_rows(&pass, scratch, row, MIN(row + rows, end));
}

/* Bands are handed out from the top, so the one above is finished or another worker is at it. */
static void
wait_for_block(const Chain *chain, int band, int blocks)
{
    for (int times = 0; g_atomic_int_get(&chain->stage->done[band]) < blocks; times++)
        m2t_threads_pause(times);
}

static void
run_band(void *data, int begin, int end, int worker)
{
    const Chain *chain = data;
    M2tStage *stage = chain->stage;

    for (int band = begin; band < end; band++)
        for (int i = 0; i < chain->count; i++) {
            int top = MAX(band * chain->band - i, 0), bottom = (band + 1) * chain->band < stage->rows ? (band + 1) * chain->band - i : stage->rows;

            if (band)
                wait_for_block(chain, band - 1, i);
            run_block(chain, i, top, bottom, &chain->context->scratch[worker]);
            g_atomic_int_set(&stage->done[band], i + 1);
        }
}

void
m2t_stage_run(M2tStage *stage, const M2tContext *context, const M2tBlock *blocks, int count, int last_shift)
{
    int rows = rows_of_chunk(stage), row_bytes = stage->columns * stage->channels * (int) (sizeof *stage->stream + 2 * sizeof **stage->narrow);
    Chain chain = {stage, context, blocks, count, last_shift, MAX((BAND_BYTES / row_bytes + rows - 1) / rows * rows, BAND_LEAST)};
    int bands = (stage->rows + chain.band - 1) / chain.band;

    for (int band = 0; band < bands; band++)
        g_atomic_int_set(&stage->done[band], 0);
    m2t_threads_run(context->threads, bands, 1, run_band, &chain);
    stage->current = (stage->current + count) & 1;
}
