/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "entropy/centroid.h"

#include <string.h>

void
m2t_entropy_centroids(const M2tEntropyTables *tables, const gint32 *mean, const guint8 *level, const gint16 *latent, gint8 *out, int n)
{
    guint16 list[M2T_LATENTS_MAX];
    int count = m2t_entropy_coded(tables, level, n, list);

    memset(out, 0, n);
    for (int k = 0; k < count; k++) {
        int i = list[k];

        out[i] = tables->centroid[m2t_entropy_place(tables, mean[i], level[i], latent[i]).entry];
    }
}
