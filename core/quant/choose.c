/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rate-distortion optimised rounding. Errors are those that remain with the centroid of what is coded. */
#include "quant/choose.h"
#include "base/latent.h"
#include "entropy/centroid.h"

static void
replace(gint16 *latent, gint8 *rest, int other)
{
    *rest = (gint8) CLAMP(*rest + M2T_LATENT_ONE * (*latent - other), -127, 127);
    *latent = (gint16) other;
}

int
m2t_quant_gain(const M2tEntropyTables *tables, gint32 mean, guint8 level, gint16 latent, int step, int off, int worth)
{
    gint16 other = (gint16) CLAMP(latent + step, M2T_LATENT_MIN, M2T_LATENT_MAX);
    int saved = m2t_entropy_cost(tables, mean, level, latent) - m2t_entropy_cost(tables, mean, level, other);
    int now = m2t_entropy_centroid(tables, mean, level, latent);
    int moved = M2T_LATENT_ONE * step + m2t_entropy_centroid(tables, mean, level, other) - now;

    return saved + worth * (moved * (2 * off - moved) / M2T_LATENT_ONE) / M2T_LATENT_ONE;
}

void
m2t_quant_choose(const M2tEntropyTables *tables, const gint32 *mean, const guint8 *level, gint8 *rest, gint16 *latent, int n, int scanty)
{
    int skip = m2t_entropy_skip(tables), worth = m2t_quant_error_worth(scanty);

    for (int i = 0; i < n; i++) {
        int step = mean[i] < 16 * latent[i] ? -1 : 1, other = latent[i] + step, off;

        if (level[i] < skip ? !latent[i] || other : ABS(16 * latent[i] - mean[i]) <= 8)
            continue; /* dearer: still an exception, or farther from the mean */
        off = rest[i] - m2t_entropy_centroid(tables, mean[i], level[i], latent[i]);
        if (m2t_quant_gain(tables, mean[i], level[i], latent[i], step, off, worth) > 0)
            replace(&latent[i], &rest[i], other);
    }
}

/* Had latents a Laplace distribution of their usual size, one that is rare would cost log2(e) / size bits more than zero, worth 0.08 / size in steps by the
 * rule above. The limit of the limit is for pictures that have what is usually rare. */
void
m2t_quant_choose_small(const float *feature, gint8 *rest, gint16 *latent, int n, int scanty)
{
    float wider = 1 + scanty / 32.0f;

    for (int i = 0; i < n; i++) {
        float limit = MIN(0.5f * M2T_LATENT_ONE + feature[i] * (0.08f / 16 * M2T_LATENT_ONE), 0.75f * M2T_LATENT_ONE);

        if (latent[i] && (float) ABS(M2T_LATENT_ONE * latent[i] + rest[i]) < limit * wider)
            replace(&latent[i], &rest[i], 0);
    }
}
