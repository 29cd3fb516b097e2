/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "entropy/centroid.h"

void
m2t_entropy_centroids(const M2tEntropyTables *tables, const gint32 *mean, const guint8 *level, const gint16 *latent, gint8 *out, int n)
{
    for (int i = 0; i < n; i++)
        out[i] = (gint8) m2t_entropy_centroid(tables, mean[i], level[i], latent[i]);
}
