/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which values are coded for the latents of a chain (entropy/dependent.h): of all ways through its states the one with the least bits and error
 * together (the Viterbi algorithm). Encoder only, a stream does not show how its values were found. */
#ifndef M2T_QUANT_TRELLIS_H
#define M2T_QUANT_TRELLIS_H

#include "base/arena.h"
#include "base/limits.h"
#include "entropy/cost.h"
#include "kernels/kernels.h"

/* Where even the coarsest quantizer takes too many bits, more latents give way, by up to so many steps; each has about the effect of a
 * quarter step of the quantizer. */
#define M2T_SCANTY_MAX 32

/* What an encoder pays for an error of one step, squared, in the unit of costs (docs/compression.md). Training chooses so as well
 * (training/model.py). @scanty: 0 … M2T_SCANTY_MAX. */
static inline int
m2t_trellis_error_worth(int scanty)
{
    return 16 * M2T_COST_BIT / (2 + scanty);
}

/* Latents of a token. */
typedef struct {
    const gint32 *mean;
    const guint8 *level;
    gsize position;
    int first, n;           /* in the memory: those that are coded */
} M2tTrellisRow;

/* Of rows of latents: of those that are coded, which lie one behind the other in each row. */
typedef struct {
    int latents;            /* of a row, at most */
    M2tTrellisRow *row;
    gint32 *price, *choice; /* of the four branches of each row, see kernels.h */
    guint8 (*second)[8];    /* which state came before, see kernels.h */
    guint32 *entry;         /* of the value in the centre, from which those of all that may be chosen follow; or M2T_TRELLIS_FAR: they do not */
    guint16 *place;         /* in their row */
    gint16 *centre;
} M2tTrellisMemory;

#define M2T_TRELLIS_FAR G_MAXUINT32

/* Room for so many rows of @latents latents, of one chain or several. */
void m2t_trellis_layout(M2tTrellisMemory *memory, M2tArena *arena, int rows, int latents);

/* Where what was chosen goes. */
typedef struct {
    gint16 *latents;        /* by position */
    gint8 *centroids;       /* the same; see slice.h */
    M2tSliceWriter *writer;
    gsize before;           /* from a position to that of an exception */
} M2tTrellisOutput;

/* A chain. Rows have numbers, by which they are in the memory. */
typedef struct {
    const M2tKernels *kernels;
    const M2tEntropyTables *tables;
    const M2tTrellisMemory *memory;
    gint32 *sum;            /* [M2T_STATES]: what it takes at least to come to each state */
    int worth;              /* m2t_trellis_error_worth() */
    gboolean nearest;       /* look at the nearest value of a branch only, which is quicker */
    M2tTrellisOutput out;
} M2tTrellis;

/* A row, the n latents of a token, which begin at @position: mean (in 1/16) and level that the prior gives them, which stay until the end, and what they
 * should be, in 1/M2T_LATENT_ONE. Rows in any order; threads may be at different ones. */
void m2t_trellis_add(const M2tTrellis *trellis, int row, gsize position, const gint32 *mean, const guint8 *level, const gint32 *wanted, int n);

/* Starts, behind nothing, then goes on behind one row after the other. */
void m2t_trellis_begin(const M2tTrellis *trellis);
void m2t_trellis_pass(const M2tTrellis *trellis, int row);

/* Writes what was chosen for the rows from @first on, which are all, and its symbols to this section of the writer. */
void m2t_trellis_end(const M2tTrellis *trellis, int first, int rows, int section);

#endif
