/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the latents that were rounded to a value lie on average: most often a little nearer to what the prior expected. The synthesis sees them there. The model has
 * a centroid for each entry of the tables of the entropy coder, since mean and level tell as much about it as about the cost. */
#ifndef M2T_CENTROID_H
#define M2T_CENTROID_H

#include "entropy/tables.h"

/* What is added to a latent, in 1/M2T_LATENT_ONE; nothing where it is not coded. */
static inline int
m2t_entropy_centroid(const M2tEntropyTables *tables, gint32 mean, guint8 level, gint16 latent)
{
    return tables->centroid[m2t_entropy_place(tables, mean, level, latent).entry];
}

/* The same for n latents, at most M2T_LATENTS_MAX. */
void m2t_entropy_centroids(const M2tEntropyTables *tables, const gint32 *mean, const guint8 *level, const gint16 *latent, gint8 *out, int n);

#endif
