/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "quant/trellis.h"

#include <string.h>

#define WANTED_MAX (M2T_LATENT_ONE * (M2T_LATENT_MAX - 15)) /* so that every value beside it is one that a decoder takes */
#define UNREACHED (1 << 29)     /* more than a chain can cost, in which no latent is further than two steps from what it should be */

G_STATIC_ASSERT(UNREACHED / (M2T_CHAIN * M2T_LATENTS_MAX) >= 100 * M2T_COST_BIT);

void
m2t_trellis_begin(M2tTrellis *t, const M2tKernels *kernels, const M2tEntropyTables *tables, int scanty, gboolean nearest, M2tTrellisStep *step, gint16 *latents,
                  gint8 *centroids)
{
    t->kernels = kernels;
    t->tables = tables;
    t->worth = m2t_trellis_error_worth(scanty);
    t->nearest = nearest;
    t->latents = latents;
    t->centroids = centroids;
    t->step = step;
    t->steps = 0;
    for (int i = 0; i < M2T_STATES; i++)
        t->sum[i] = i ? UNREACHED : 0;
}

/* Of a row: the latents that are coded, and their branches. */
typedef struct {
    int n;
    guint16 place[M2T_LATENTS_MAX];
    gint16 centre[M2T_LATENTS_MAX];
    gint32 distance[M2T_LATENTS_MAX]; /* of what a latent should be from the value in the centre, in 1/M2T_LATENT_ONE */
    guint32 at[M2T_LATENTS_MAX];      /* where the outcome of the centre is */
    guint8 far[M2T_LATENTS_MAX];      /* that does not show all others: bits are coded raw, or there may be an escape */
    gint32 price[4 * M2T_LATENTS_MAX], choice[4 * M2T_LATENTS_MAX]; /* [4][n], see kernels.h */
    guint8 second[M2T_LATENTS_MAX][8];
} Row;

static void
aim(const M2tEntropyTables *tables, const gint32 *mean, const guint8 *level, const gint32 *wanted, Row *row)
{
    for (int k = 0; k < row->n; k++) {
        int i = row->place[k], half = m2t_dependent_half(mean[i]), centre = m2t_dependent_centre(half);
        int distance = CLAMP(wanted[i], -WANTED_MAX, WANTED_MAX) - 2 * M2T_LATENT_ONE * centre;
        M2tEntropyLevel l = tables->level[level[i]];

        row->centre[k] = (gint16) centre;
        row->far[k] = l.raw > 0 || ABS(distance) > 2 * M2T_LATENT_ONE * (l.radius - 1); /* the furthest place is not more than one behind that */
        row->distance[k] = row->far[k] ? 0 : distance;
        row->at[k] = (guint32) m2t_entropy_outcomes(l, m2t_entropy_mean(l, half) & (M2T_FRACTIONS - 1)) + M2T_QUANTIZERS * (guint32) l.radius;
    }
}

/* What the kernel does, where values do not have their outcomes side by side. */
static void
find_far_branches(const M2tTrellis *t, int mean, int level, int wanted, Row *row, int k)
{
    int half = m2t_dependent_half(mean), distance = CLAMP(wanted, -WANTED_MAX, WANTED_MAX) - 2 * M2T_LATENT_ONE * row->centre[k];

    for (int branch = 0; branch < 4; branch++) {
        int quantizer = branch >> 1, odd = branch & 1, sign = distance < 0 ? -1 : 1;
        int nearest = odd + 2 * ((ABS(distance) + M2T_LATENT_ONE * quantizer + 2 * M2T_LATENT_ONE * (1 - odd)) / (4 * M2T_LATENT_ONE));
        gint32 *price = &row->price[branch * row->n + k];

        *price = G_MAXINT32;
        for (int place = nearest; place >= 0 && place >= nearest - (t->nearest ? 0 : 2); place -= 2) {
            M2tEntropyOutcome outcome = m2t_entropy_outcome(t->tables, quantizer, half, level, row->centre[k] + sign * place);
            int offset = m2t_dependent_value(0, sign * place, quantizer), error = distance - M2T_LATENT_ONE * offset - m2t_entropy_centroid(outcome);
            int other = m2t_entropy_cost(outcome) + t->worth * (error * error / M2T_LATENT_ONE) / M2T_LATENT_ONE;

            if (other < *price) {
                *price = other;
                row->choice[branch * row->n + k] = offset * 256 | (gint32) (outcome >> 16);
            }
        }
    }
}

/* What is not coded is zero, or, if that is very wrong, an exception. */
static gint16
rarely(const M2tTrellis *t, int wanted)
{
    int limited = CLAMP(wanted, -WANTED_MAX, WANTED_MAX), nearest = limited / M2T_LATENT_ONE;
    int gain = nearest * (2 * limited / M2T_LATENT_ONE - nearest); /* of squared error */

    return (gint64) gain * t->worth > M2T_COST_EXCEPTION ? (gint16) nearest : 0;
}

static void
set_rest(const M2tTrellis *t, gsize position, const guint8 *level, const gint32 *wanted, int n)
{
    guint8 skip = (guint8) t->tables->skip; /* of the type of the levels: compared sixteen at a time */
    int large = FALSE;

    for (int i = 0; i < n; i++)
        large |= (ABS(wanted[i]) >= M2T_LATENT_ONE) & (level[i] < skip);
    memset(t->centroids + position, 0, (gsize) n);
    memset(t->latents + position, 0, (gsize) n * sizeof *t->latents);
    for (int i = 0; i < n && large; i++)
        t->latents[position + i] = rarely(t, wanted[i]);
}

void
m2t_trellis_add(M2tTrellis *t, gsize position, const gint32 *mean, const guint8 *level, const gint32 *wanted, int n)
{
    Row row;

    g_assert(n >= 0 && n <= M2T_LATENTS_MAX);
    set_rest(t, position, level, wanted, n);
    row.n = m2t_entropy_coded(t->tables, level, n, row.place);
    aim(t->tables, mean, level, wanted, &row);
    t->kernels->branches(t->tables->outcome, t->worth, t->nearest, row.distance, row.at, row.n, row.price, row.choice);
    for (int k = 0; k < row.n; k++)
        if (row.far[k])
            find_far_branches(t, mean[row.place[k]], level[row.place[k]], wanted[row.place[k]], &row, k);
    t->kernels->states(row.price, row.n, t->sum, row.second);
    for (int k = 0; k < row.n; k++) {
        M2tTrellisStep *step = &t->step[t->steps++];

        for (int branch = 0; branch < 4; branch++)
            step->choice[branch] = row.choice[branch * row.n + k];
        memcpy(step->second, row.second[k], sizeof step->second);
        step->position = (guint32) (position + row.place[k]);
        step->centre = row.centre[k];
    }
}

static int
best_state(const M2tTrellis *t)
{
    int best = 0;

    for (int state = 1; state < M2T_STATES; state++)
        if (t->sum[state] < t->sum[best])
            best = state;
    return best;
}

/* Backwards, from the state that it takes least to come to. */
void
m2t_trellis_end(M2tTrellis *t)
{
    int state = best_state(t);

    for (int i = t->steps; i-- > 0;) {
        const M2tTrellisStep *step = &t->step[i];
        int quantizer = state % 2, odd = step->second[state / 2 % 8] >> (4 * quantizer + state / 16) & 1;
        gint32 choice = step->choice[2 * quantizer + odd];

        t->latents[step->position] = (gint16) (2 * step->centre + (choice >> 8));
        t->centroids[step->position] = (gint8) choice;
        state = (state / 2 ^ 16 * quantizer ^ 10 * odd) + M2T_STATES / 2 * quantizer;
    }
}
