/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which values are coded for the latents of a chain (entropy/dependent.h): of all ways through its states the one with the least bits and error
 * together (the Viterbi algorithm). Encoder only, a stream does not show how its values were found. */
#ifndef M2T_QUANT_TRELLIS_H
#define M2T_QUANT_TRELLIS_H

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

typedef struct {
    gint32 choice[4];   /* of each branch, see kernels.h */
    guint8 second[8];   /* which state came before, see kernels.h */
    guint32 position;
    gint16 centre;
} M2tTrellisStep;

typedef struct {
    const M2tKernels *kernels;
    const M2tEntropyTables *tables;
    int worth;
    gboolean nearest;
    gint16 *latents;
    gint8 *centroids;
    M2tTrellisStep *step;   /* of the latents that are coded */
    int steps;
    gint32 sum[M2T_STATES]; /* what it takes at least to come to each state */
} M2tTrellis;

/* @scanty: 0 … M2T_SCANTY_MAX. @nearest: look at the nearest value of a branch only, which is quicker. @step: memory for as many latents as will be added. Of @latents and @centroids, those will be written. */
void m2t_trellis_begin(M2tTrellis *trellis, const M2tKernels *kernels, const M2tEntropyTables *tables, int scanty, gboolean nearest, M2tTrellisStep *step,
                       gint16 *latents, gint8 *centroids);

/* The next n latents of the chain, which begin at @position: mean (in 1/16) and level that the prior gives them, and what they should be, in 1/M2T_LATENT_ONE. */
void m2t_trellis_add(M2tTrellis *trellis, gsize position, const gint32 *mean, const guint8 *level, const gint32 *wanted, int n);

/* Writes what was chosen. */
void m2t_trellis_end(M2tTrellis *trellis);

#endif
