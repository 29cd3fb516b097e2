/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rate-distortion optimised rounding. Errors are those that remain with the centroid of what is coded. */
#include "quant/choose.h"
#include "base/marked.h"

static void
replace(gint16 *latent, gint8 *rest, int other)
{
    *rest = (gint8) CLAMP(*rest + M2T_LATENT_ONE * (*latent - other), -127, 127);
    *latent = (gint16) other;
}

/* Whether the integer beside it may be better: nearer to the mean, or, of what would be an exception, zero. All others are dearer. */
static inline guint8
is_open(int mean, int level, int latent, int skip)
{
    int above = 16 * latent - mean;

    return level < skip ? latent == (above > 0 ? 1 : -1) : ABS(above) > 8;
}

void
m2t_quant_choose(const M2tEntropyTables *tables, const gint32 *mean, const guint8 *level, gint8 *rest, gint16 *latent, int n, int scanty)
{
    int skip = tables->skip, worth = m2t_quant_error_worth(scanty), count;
    guint8 open[M2T_LATENTS_MAX];
    guint16 list[M2T_LATENTS_MAX];

    g_assert(n <= M2T_LATENTS_MAX);
    for (int i = 0; i < n; i++)
        open[i] = is_open(mean[i], level[i], latent[i], skip);
    count = m2t_marked_list(open, n, list);
    for (int k = 0; k < count; k++) {
        int i = list[k], step = mean[i] < 16 * latent[i] ? -1 : 1, other = CLAMP(latent[i] + step, M2T_LATENT_MIN, M2T_LATENT_MAX);
        M2tEntropyOutcome now = m2t_entropy_outcome(tables, mean[i], level[i], latent[i]);
        M2tEntropyOutcome then = m2t_entropy_outcome(tables, mean[i], level[i], (gint16) other);

        if (m2t_quant_gain(now, then, step, rest[i] - now.centroid, worth) > 0)
            replace(&latent[i], &rest[i], other);
    }
}

/* Had latents a Laplace distribution of their usual size, one that is rare would cost log2(e) / size bits more than zero. The 0.12 / size that this
 * adds to the limit, in steps, are what came out best; the limit of the limit is for pictures that have what is usually rare. */
void
m2t_quant_choose_small(const float *feature, gint8 *rest, gint16 *latent, int n, int scanty)
{
    float wider = 1 + scanty / 32.0f;

    for (int i = 0; i < n; i++) {
        float limit = MIN(0.5f * M2T_LATENT_ONE + feature[i] * (0.12f / 16 * M2T_LATENT_ONE), 0.75f * M2T_LATENT_ONE);

        if (latent[i] && (float) ABS(M2T_LATENT_ONE * latent[i] + rest[i]) < limit * wider)
            replace(&latent[i], &rest[i], 0);
    }
}
