/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which integer is coded for a latent: the nearest one, or a cheaper one beside it if that is worth its error. Encoder only, a stream does
 * not show it. */
#ifndef M2T_QUANT_CHOOSE_H
#define M2T_QUANT_CHOOSE_H

#include "base/limits.h"
#include "entropy/cost.h"

/* Where even the coarsest quantizer takes too many bits, more latents give way, by up to so many steps; each has about the effect of a
 * quarter step of the quantizer. */
#define M2T_QUANT_SCANTY_MAX 32

/* What an encoder pays for an error of one step, squared, in the unit of costs. Where latents have many bits each, the slope at which the codec
 * works makes it 6 / ln 2 = 8.7 bits, and a latent taken at random adds that or less to the error of the picture. With those that there is
 * something to choose about it is more than twice as much (docs/compression.md). Training chooses so as well (training/model.py). @scanty:
 * 0 … M2T_QUANT_SCANTY_MAX. */
static inline int
m2t_quant_error_worth(int scanty)
{
    return 2 * 20 * M2T_COST_BIT / (2 + scanty);
}

/* What is gained, in the unit of costs, by what comes of a latent @step (1 or -1) higher, @then, over what comes of it @now, where what a
 * decoder has now, the centroid included, is @off too low (128ths): bits, and the change of the squared error. */
static inline int
m2t_quant_gain(M2tEntropyOutcome now, M2tEntropyOutcome then, int step, int off, int worth)
{
    int moved = M2T_LATENT_ONE * step + then.centroid - now.centroid;

    return now.cost - then.cost + worth * (moved * (2 * off - moved) / M2T_LATENT_ONE) / M2T_LATENT_ONE;
}

/* n latents as rounded to the nearest integer, and what rounding took away from them, @rest, in 1/128. Latents are changed where that
 * pays, and @rest with them. n: at most M2T_LATENTS_MAX. @scanty: 0 … M2T_QUANT_SCANTY_MAX. */
void m2t_quant_choose(const M2tEntropyTables *tables, const gint32 *mean, const guint8 *level, gint8 *rest, gint16 *latent, int n, int scanty);

/* The same for the n latents of a token before any cost is known: small ones become zero, the sooner the smaller they usually are.
 * @feature: 16 divided by their usual size, see quant.h. */
void m2t_quant_choose_small(const float *feature, gint8 *rest, gint16 *latent, int n, int scanty);

#endif
