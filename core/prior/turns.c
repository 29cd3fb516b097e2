/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prior/turns.h"
#include "base/threads.h"

#include <string.h>

void
m2t_turns_layout(M2tTurns *turns, M2tArena *arena, const M2tPlan *plan, int parts)
{
    turns->parts = parts;
    turns->predicted = m2t_arena_take(arena, (gsize) parts * (plan->slots / M2T_PIECE_MIN + 1), sizeof *turns->predicted);
    turns->span = m2t_arena_take(arena, (gsize) m2t_plan_spans_max(plan), sizeof *turns->span);
    turns->turn = m2t_arena_take(arena, (gsize) m2t_plan_spans_max(plan), sizeof *turns->turn);
}

void
m2t_turns_begin(M2tTurns *turns, const M2tPlan *plan, int group, int rows, const M2tPriorFollower *follower, gpointer data)
{
    turns->start = plan->coded_start[group];
    turns->end = plan->coded_start[group + 1];
    turns->rows = rows;
    turns->pieces = (turns->end - turns->start + rows - 1) / rows;
    turns->follower = follower;
    turns->data = data;
    memset(turns->predicted, 0, (gsize) turns->parts * turns->pieces * sizeof *turns->predicted);
    turns->spans = m2t_plan_spans(plan, group, follower->chains, turns->span);
    memset(turns->turn, 0, (gsize) turns->spans * sizeof *turns->turn);
}

static int
slots_of(const M2tSpan *span)
{
    return span->end - span->begin;
}

/* How many slots can be taken at once. */
static int
ready(const M2tTurns *turns, int i)
{
    const M2tSpan *span = &turns->span[i];
    int taken = g_atomic_int_get(&turns->turn[i].taken), part = taken / slots_of(span), of_span = taken % slots_of(span);
    int slot = span->begin + of_span - turns->start, piece = slot / turns->rows;

    if (part == turns->parts || !g_atomic_int_get(&turns->predicted[part * turns->pieces + piece]))
        return 0;
    return MIN(turns->rows - slot % turns->rows, slots_of(span) - of_span);
}

/* Whoever leaves looks again, for what was predicted by one who found it busy. */
static void
take(const M2tTurns *turns, int i)
{
    const M2tSpan *span = &turns->span[i];
    M2tTurn *turn = &turns->turn[i];

    while (ready(turns, i) && g_atomic_int_compare_and_exchange(&turn->busy, FALSE, TRUE)) {
        for (int n; (n = ready(turns, i)) > 0; g_atomic_int_add(&turn->taken, n)) {
            int taken = g_atomic_int_get(&turn->taken), begin = span->begin + taken % slots_of(span);

            turns->follower->take(turns->data, span, taken / slots_of(span), begin, begin + n);
        }
        g_atomic_int_set(&turn->busy, FALSE);
    }
}

static gboolean
overlap(const M2tSpan *span, int begin, int end)
{
    return span->begin < end && span->end > begin;
}

void
m2t_turns_predicted(M2tTurns *turns, int part, int begin, int end)
{
    for (int i = 0; i < turns->spans && turns->follower->prepare; i++)
        if (overlap(&turns->span[i], begin, end))
            turns->follower->prepare(turns->data, &turns->span[i], part, MAX(begin, turns->span[i].begin), MIN(end, turns->span[i].end));
    g_atomic_int_set(&turns->predicted[part * turns->pieces + (begin - turns->start) / turns->rows], TRUE);
    for (int i = 0; i < turns->spans; i++)
        if (overlap(&turns->span[i], begin, end))
            take(turns, i);
}

/* Whoever waits takes what nobody is at. */
static void
await_turn(const M2tTurns *turns, int i, int part, int end)
{
    const M2tSpan *span = &turns->span[i];
    int known = turns->follower->chains ? slots_of(span) : MIN(end, span->end) - span->begin;

    for (int times = 0; g_atomic_int_get(&turns->turn[i].taken) < part * slots_of(span) + known; times++) {
        take(turns, i);
        m2t_threads_pause(times);
    }
}

void
m2t_turns_await(M2tTurns *turns, int part, int begin, int end)
{
    for (int i = 0; i < turns->spans; i++)
        if (overlap(&turns->span[i], begin, end))
            await_turn(turns, i, part, end);
}
