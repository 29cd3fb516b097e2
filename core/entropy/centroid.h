/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the latents that were rounded to a value lie on average: most often a little nearer to what the prior expected. The synthesis sees
 * them there. The model has a centroid for each entry of the tables of the entropy coder, since mean and level tell as much about it as
 * about the cost. */
#ifndef M2T_ENTROPY_CENTROID_H
#define M2T_ENTROPY_CENTROID_H

#include "entropy/tables.h"

/* What is added to each of n latents, at most M2T_LATENTS_MAX, in 1/M2T_LATENT_ONE; nothing where one is not coded. */
void m2t_entropy_centroids(const M2tEntropyTables *tables, const gint32 *mean, const guint8 *level, const gint16 *latent, gint8 *out, int n);

#endif
