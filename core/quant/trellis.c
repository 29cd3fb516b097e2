/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "quant/trellis.h"
#include "entropy/symbol.h"

#include <string.h>

#define WANTED_MAX (M2T_LATENT_ONE * (M2T_LATENT_MAX - 15)) /* so that every value beside it is one that a decoder takes */
#define UNREACHED (1 << 29)     /* more than a chain can cost, in which no latent is further than two steps from what it should be */

G_STATIC_ASSERT(UNREACHED / (M2T_CHAIN * M2T_LATENTS_MAX) >= 100 * M2T_COST_BIT);

void
m2t_trellis_layout(M2tTrellisMemory *memory, M2tArena *arena, int rows, int latents)
{
    gsize most = (gsize) rows * latents;

    memory->latents = latents;
    memory->row = m2t_arena_take(arena, rows, sizeof *memory->row);
    memory->price = m2t_arena_take(arena, 4 * most, sizeof *memory->price);
    memory->choice = m2t_arena_take(arena, 4 * most, sizeof *memory->choice);
    memory->second = m2t_arena_take(arena, most, sizeof *memory->second);
    memory->entry = m2t_arena_take(arena, most, sizeof *memory->entry);
    memory->place = m2t_arena_take(arena, most, sizeof *memory->place);
    memory->centre = m2t_arena_take(arena, most, sizeof *memory->centre);
}

/* Of the latents of a row that are coded. */
typedef struct {
    gint32 distance[M2T_LATENTS_MAX]; /* of what a latent should be from the value in the centre, in 1/M2T_LATENT_ONE */
    guint32 at[M2T_LATENTS_MAX];      /* where the outcome of the centre is */
} Branches;

/* Where the outcomes of a latent are. The furthest value that may be chosen is not more than one place behind what a latent should be, and all places up to there have their entries side by
 * side; else the latent is far, as it is where some of its bits are raw. */
static void
locate(const M2tTrellis *t, const M2tTrellisRow *row, const gint32 *wanted, Branches *branches)
{
    const M2tEntropyTables *tables = t->tables;
    const guint16 *place = t->memory->place + row->first;
    gint16 *centres = t->memory->centre + row->first;
    guint32 *entry = t->memory->entry + row->first;

    for (int k = 0; k < row->n; k++) {
        int i = place[k], half = m2t_dependent_half(row->mean[i]), centre = m2t_dependent_centre(half);
        int distance = CLAMP(wanted[i], -WANTED_MAX, WANTED_MAX) - 2 * M2T_LATENT_ONE * centre;
        M2tEntropyLevel l = tables->level[row->level[i]];
        int mean = m2t_entropy_mean(l, half);
        gboolean far = l.raw > 0 || ABS(distance) > 2 * M2T_LATENT_ONE * (l.radius - 1);

        centres[k] = (gint16) centre;
        entry[k] = far ? M2T_TRELLIS_FAR : m2t_entropy_entry(l, mean, centre);
        branches->distance[k] = far ? 0 : distance;
        branches->at[k] = (guint32) m2t_entropy_outcomes(l, mean & (M2T_FRACTIONS - 1)) + M2T_QUANTIZERS * (guint32) l.radius;
    }
}

/* What the kernel does, for a latent that is far. */
static void
find_far_branches(const M2tTrellis *t, const M2tTrellisRow *row, int k, const gint32 *wanted, gint32 *prices)
{
    int i = t->memory->place[row->first + k], centre = t->memory->centre[row->first + k], half = m2t_dependent_half(row->mean[i]);
    int distance = CLAMP(wanted[i], -WANTED_MAX, WANTED_MAX) - 2 * M2T_LATENT_ONE * centre;

    for (int branch = 0; branch < 4; branch++) {
        int quantizer = branch >> 1, odd = branch & 1, sign = distance < 0 ? -1 : 1;
        int nearest = odd + 2 * ((ABS(distance) + M2T_LATENT_ONE * quantizer + 2 * M2T_LATENT_ONE * (1 - odd)) / (4 * M2T_LATENT_ONE));
        gint32 *price = &prices[branch * row->n + k], *choice = &t->memory->choice[4 * (gsize) row->first + branch * row->n + k];

        *price = G_MAXINT32;
        for (int place = nearest; place >= 0 && place >= nearest - (t->nearest ? 0 : 2); place -= 2) {
            M2tEntropyOutcome outcome = m2t_entropy_outcome(t->tables, quantizer, half, row->level[i], centre + sign * place);
            int offset = m2t_dependent_value(0, sign * place, quantizer), error = distance - M2T_LATENT_ONE * offset - m2t_entropy_centroid(outcome);
            int other = m2t_entropy_cost(outcome) + t->worth * (error * error / M2T_LATENT_ONE) / M2T_LATENT_ONE;

            if (other < *price) {
                *price = other;
                *choice = offset * 256 | (gint32) (outcome >> 16);
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
set_rest(const M2tTrellis *t, const M2tTrellisRow *row, const gint32 *wanted, int n)
{
    gint16 *latents = t->out.latents + row->position;
    guint8 skip = (guint8) t->tables->skip; /* of the type of the levels: compared sixteen at a time */
    int large = FALSE;

    for (int i = 0; i < n; i++)
        large |= (ABS(wanted[i]) >= M2T_LATENT_ONE) & (row->level[i] < skip);
    memset(t->out.centroids + row->position, 0, (gsize) n);
    memset(latents, 0, (gsize) n * sizeof *latents);
    for (int i = 0; i < n && large; i++)
        if (row->level[i] < skip && (latents[i] = rarely(t, wanted[i])))
            m2t_slice_writer_add_exception(t->out.writer, row->position + (gsize) i - t->out.before, latents[i]);
}

void
m2t_trellis_add(const M2tTrellis *t, int number, gsize position, const gint32 *mean, const guint8 *level, const gint32 *wanted, int n)
{
    const M2tTrellisMemory *memory = t->memory;
    M2tTrellisRow *row = &memory->row[number];
    int first = number * memory->latents;
    gint32 *prices = memory->price + 4 * (gsize) first;
    Branches branches;

    g_assert(n >= 0 && n <= memory->latents);
    *row = (M2tTrellisRow) {mean, level, position, first, m2t_entropy_coded(t->tables, level, n, memory->place + first)};
    set_rest(t, row, wanted, n);
    locate(t, row, wanted, &branches);
    t->kernels->branches(t->tables->outcome, t->worth, t->nearest, branches.distance, branches.at, row->n, prices, memory->choice + 4 * (gsize) first);
    for (int k = 0; k < row->n; k++)
        if (memory->entry[first + k] == M2T_TRELLIS_FAR)
            find_far_branches(t, row, k, wanted, prices);
}

void
m2t_trellis_begin(const M2tTrellis *t)
{
    for (int i = 0; i < M2T_STATES; i++)
        t->sum[i] = i ? UNREACHED : 0;
}

void
m2t_trellis_pass(const M2tTrellis *t, int number)
{
    const M2tTrellisRow *row = &t->memory->row[number];

    t->kernels->states(t->memory->price + 4 * (gsize) row->first, row->n, t->sum, t->memory->second + row->first);
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

/* A row backwards, from this state behind it. -> the state before it */
static int
take_row(const M2tTrellis *t, const M2tTrellisRow *row, int state, M2tSymbol *symbols)
{
    const M2tTrellisMemory *memory = t->memory;

    for (int k = row->n; k-- > 0;) {
        int step = row->first + k, quantizer = state % 2, odd = memory->second[step][state / 2 % 8] >> (4 * quantizer + state / 16) & 1;
        gint32 choice = memory->choice[4 * (gsize) row->first + (2 * quantizer + odd) * row->n + k];
        int i = memory->place[step], centre = memory->centre[step], offset = choice >> 8, place = m2t_dependent_place(offset, 0);
        guint32 entry = memory->entry[step];

        t->out.latents[row->position + (gsize) i] = (gint16) (2 * centre + offset);
        t->out.centroids[row->position + (gsize) i] = (gint8) choice;
        symbols[k] = entry == M2T_TRELLIS_FAR
                         ? m2t_symbol_of_value(t->tables, quantizer, m2t_dependent_half(row->mean[i]), row->level[i], centre + place)
                         : m2t_symbol_of_entry(t->tables, quantizer, entry + (guint32) (M2T_FRACTIONS * place));
        state = (state / 2 ^ 16 * quantizer ^ 10 * odd) + M2T_STATES / 2 * quantizer;
    }
    return state;
}

/* Backwards, from the state that it takes least to come to. */
void
m2t_trellis_end(const M2tTrellis *t, int first, int rows, int section)
{
    const M2tTrellisRow *row = t->memory->row + first;
    int state = best_state(t), count = 0;
    M2tSymbol *symbols;

    for (int i = 0; i < rows; i++)
        count += row[i].n;
    symbols = m2t_slice_writer_symbols(t->out.writer, section, (gsize) count) + count;
    for (int i = rows; i-- > 0;) {
        symbols -= row[i].n;
        state = take_row(t, &row[i], state, symbols);
    }
}
