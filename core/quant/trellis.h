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

/* Of all latents of a chain that are coded: what is needed to find the way back. Rows lie one behind the other, each with its four branches. */
typedef struct {
    gint32 *choice;         /* of each branch, see kernels.h */
    guint8 (*second)[8];    /* which state came before, see kernels.h */
    guint32 *entry;         /* of the value in the centre, from which those of all that may be chosen follow; or M2T_TRELLIS_FAR: they do not */
    guint16 *place;         /* in their row */
    gint16 *centre;
} M2tTrellisMemory;

#define M2T_TRELLIS_FAR G_MAXUINT32

/* Room for a chain of rows of @latents latents. */
void m2t_trellis_layout(M2tTrellisMemory *memory, M2tArena *arena, int latents);

/* Latents of a token. */
typedef struct {
    const gint32 *mean;
    const guint8 *level;
    gsize position;
    int first, n;           /* in the memory: those that are coded */
} M2tTrellisRow;

/* Where what was chosen goes. */
typedef struct {
    gint16 *latents;        /* by position */
    gint8 *centroids;       /* the same; see slice.h */
    M2tSliceWriter *writer;
    int section;            /* of the writer: that of this chain */
    gsize before;           /* from a position to that of an exception */
} M2tTrellisOutput;

typedef struct {
    const M2tKernels *kernels;
    const M2tEntropyTables *tables;
    const M2tTrellisMemory *memory;
    M2tTrellisOutput out;
    int worth;
    gboolean nearest;
    M2tTrellisRow row[M2T_CHAIN];
    int rows, steps;        /* steps: latents that are coded so far */
    gint32 sum[M2T_STATES]; /* what it takes at least to come to each state */
} M2tTrellis;

/* @scanty: 0 … M2T_SCANTY_MAX. @nearest: look at the nearest value of a branch only, which is quicker. */
void m2t_trellis_begin(M2tTrellis *trellis, const M2tKernels *kernels, const M2tEntropyTables *tables, int scanty, gboolean nearest,
                       const M2tTrellisMemory *memory, const M2tTrellisOutput *out);

/* The n latents of the next token of the chain, which begin at @position: mean (in 1/16) and level that the prior gives them, which stay until the end, and
 * what they should be, in 1/M2T_LATENT_ONE. */
void m2t_trellis_add(M2tTrellis *trellis, gsize position, const gint32 *mean, const guint8 *level, const gint32 *wanted, int n);

/* Writes what was chosen, and its symbols. */
void m2t_trellis_end(M2tTrellis *trellis);

#endif
