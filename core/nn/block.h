/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A stage of a transform: a grid of positions with a residual stream, and the chain of blocks that runs over it. */
#ifndef M2T_NN_BLOCK_H
#define M2T_NN_BLOCK_H

#include "base/arena.h"
#include "nn/linear.h"

typedef struct {
    int rows, columns, channels;
    gint16 *stream;       /* [rows][columns][channels] */
    gint8 *narrow[2];     /* the same shape: the stream in 8 bits, what blocks read and what they leave for the next */
    int current;          /* which of the two is read now */
    gint *done;           /* [rows]: by band, blocks that are through it; atomic */
} M2tStage;

void m2t_stage_layout(M2tStage *stage, M2tArena *arena, int rows, int columns, int channels);

/* The narrow form that is read next, at a position. */
gint8 *m2t_stage_narrow(const M2tStage *stage, gsize position);

/* The stream at a position. */
gint16 *m2t_stage_stream(const M2tStage *stage, gsize position);

/* The stream of m positions from @first on is there: makes its narrow form that is read next. */
void m2t_stage_enter(M2tStage *stage, const M2tContext *context, gsize first, int m, int shift);

/* Runs @count blocks. narrow[current] must hold the stream by the first one's shift; afterwards it does by @last_shift. */
void m2t_stage_run(M2tStage *stage, const M2tContext *context, const M2tBlock *blocks, int count, int last_shift);

/* The shift by which the first of @count blocks (or what follows, if there is none) wants the stream. */
int m2t_stage_first_shift(const M2tBlock *blocks, int count, int last_shift);

#endif
