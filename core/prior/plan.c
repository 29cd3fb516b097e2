/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Windows, groups and shifted windows ("Geometry" and "Prior" in docs/bitstream.md). */
#include "prior/plan.h"

/* Raster index of the token at a cell of the prior grid, or @otherwise. */
static gint32
token_at(const M2tGeometry *g, int row, int column, gint32 otherwise)
{
    return row < g->token_rows && column < g->token_columns ? row * g->token_columns + column : otherwise;
}

static M2tSlot
make_slot(const M2tPriorWeights *prior, const M2tGeometry *g, int top, int left, int cell)
{
    int source = prior->source[cell], row = top + cell / M2T_WINDOW, column = left + cell % M2T_WINDOW;
    M2tSlot slot = {token_at(g, row, column, -1), M2T_SOURCE_MASKED, (gint16) row, (gint16) column, (guint8) cell};

    if (source >= 0)
        slot.source = token_at(g, top + source / M2T_WINDOW, left + source % M2T_WINDOW, M2T_SOURCE_OUTSIDE);
    return slot;
}

static void
place_slots(M2tPlan *plan, const M2tPriorWeights *prior, const M2tGeometry *g)
{
    int n = 0;

    for (int group = 0; group < prior->groups; group++) {
        plan->group_start[group] = n;
        for (int top = 0; top < plan->rows; top += M2T_WINDOW)
            for (int left = 0; left < plan->columns; left += M2T_WINDOW)
                for (int i = 0; i < prior->group_size[group]; i++) {
                    M2tSlot slot = make_slot(prior, g, top, left, prior->order[prior->group_start[group] + i]);

                    plan->slot_at[slot.row * plan->columns + slot.column] = n;
                    plan->slot[n++] = slot;
                }
    }
    plan->group_start[prior->groups] = n;
}

static void
list_windows(M2tPlan *plan, const M2tPriorWeights *prior, M2tLayerKind kind)
{
    int turn = m2t_window_shift(kind);
    gint32 *out = plan->window[kind];

    for (int top = -turn; top < plan->rows; top += M2T_WINDOW)
        for (int left = -turn; left < plan->columns; left += M2T_WINDOW)
            for (int i = 0; i < M2T_CELLS; i++) {
                int cell = m2t_window_cell(prior, kind, i), row = top + cell / M2T_WINDOW, column = left + cell % M2T_WINDOW;
                gboolean there = row >= 0 && row < plan->rows && column >= 0 && column < plan->columns;

                *out++ = there ? plan->slot_at[row * plan->columns + column] : -1;
            }
}

void
m2t_plan_layout(M2tPlan *plan, M2tArena *arena, const M2tPriorWeights *prior, const M2tGeometry *g)
{
    plan->rows = (g->token_rows + M2T_WINDOW - 1) / M2T_WINDOW * M2T_WINDOW;
    plan->columns = (g->token_columns + M2T_WINDOW - 1) / M2T_WINDOW * M2T_WINDOW;
    plan->slots = plan->rows * plan->columns;
    plan->slot = m2t_arena_take(arena, plan->slots, sizeof *plan->slot);
    plan->slot_at = m2t_arena_take(arena, plan->slots, sizeof *plan->slot_at);
    plan->windows[M2T_LAYER_WINDOW] = (plan->rows / M2T_WINDOW) * (plan->columns / M2T_WINDOW);
    plan->windows[M2T_LAYER_SHIFTED] = (plan->rows / M2T_WINDOW + 1) * (plan->columns / M2T_WINDOW + 1);
    for (int kind = 0; kind < 2; kind++)
        plan->window[kind] = m2t_arena_take(arena, (gsize) plan->windows[kind] * M2T_CELLS, sizeof *plan->window[kind]);
}

void
m2t_plan_make(M2tPlan *plan, const M2tPriorWeights *prior, const M2tGeometry *g)
{
    place_slots(plan, prior, g);
    list_windows(plan, prior, M2T_LAYER_WINDOW);
    list_windows(plan, prior, M2T_LAYER_SHIFTED);
}
