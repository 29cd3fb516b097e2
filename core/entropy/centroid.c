/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "entropy/centroid.h"
#include "entropy/tables.h"

int
m2t_entropy_centroid(const M2tEntropyTables *tables, gint32 mean, guint8 level, gint16 latent)
{
    return level < tables->skip ? 0 : tables->centroid[m2t_entropy_place(tables, mean, level, latent).entry];
}

void
m2t_entropy_centroids(const M2tEntropyTables *tables, const gint32 *mean, const guint8 *level, const gint16 *latent, gint8 *out, int n)
{
    for (int i = 0; i < n; i++)
        out[i] = (gint8) m2t_entropy_centroid(tables, mean[i], level[i], latent[i]);
}
