/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Slices, windows, groups and shifted windows ("Geometry" and "Prior" in docs/bitstream.md). */
#include "prior/plan.h"
#include "base/tokens.h"

/* A slice in both grids: rows of tokens, padded to whole windows in the prior grid. Nothing in the prior reaches from one slice to another. */
typedef struct {
    int first, rows;       /* tokens */
    int prior, prior_rows; /* the same in the prior grid */
} SliceRows;

static SliceRows
slice_rows(const M2tPlan *plan, const M2tGeometry *g, int slice)
{
    int first = m2t_geometry_slice_row(g, slice), prior = plan->slice_row[slice];

    return (SliceRows) {first, m2t_geometry_slice_row(g, slice + 1) - first, prior, plan->slice_row[slice + 1] - prior};
}

/* Raster index of the token at a cell of the prior grid, or @otherwise. */
static gint32
token_at(const M2tGeometry *g, const SliceRows *slice, int row, int column, gint32 otherwise)
{
    row -= slice->prior;
    return row < slice->rows && column < g->token_columns ? (slice->first + row) * g->token_columns + column : otherwise;
}

static M2tSlot
make_slot(const M2tPriorWeights *prior, const M2tGeometry *g, const SliceRows *slice, int top, int left, int cell)
{
    int source = prior->source[cell], row = top + cell / M2T_WINDOW, column = left + cell % M2T_WINDOW;
    M2tSlot slot = {token_at(g, slice, row, column, -1), M2T_SOURCE_MASKED, (gint16) row, (gint16) column, (guint8) cell};

    if (source >= 0)
        slot.source = token_at(g, slice, top + source / M2T_WINDOW, left + source % M2T_WINDOW, M2T_SOURCE_OUTSIDE);
    return slot;
}

static int
place_slots_of_slice(M2tPlan *plan, const M2tPriorWeights *prior, const M2tGeometry *g, const SliceRows *slice, int group, int n)
{
    for (int top = slice->prior; top < slice->prior + slice->prior_rows; top += M2T_WINDOW)
        for (int left = 0; left < plan->columns; left += M2T_WINDOW)
            for (int i = 0; i < prior->group_size[group]; i++) {
                M2tSlot slot = make_slot(prior, g, slice, top, left, prior->order[prior->group_start[group] + i]);

                plan->slot_at[slot.row * plan->columns + slot.column] = n;
                plan->slot[n++] = slot;
            }
    return n;
}

static void
place_slots(M2tPlan *plan, const M2tPriorWeights *prior, const M2tGeometry *g)
{
    int n = 0;

    plan->groups = prior->groups;
    for (int group = 0; group < prior->groups; group++) {
        plan->group_start[group] = n;
        for (int i = 0; i < g->slices; i++) {
            SliceRows slice = slice_rows(plan, g, i);

            n = place_slots_of_slice(plan, prior, g, &slice, group, n);
        }
    }
    plan->group_start[prior->groups] = n;
}

static gint32 *
list_windows_of_slice(const M2tPlan *plan, const M2tPriorWeights *prior, const SliceRows *slice, M2tLayerKind kind, gint32 *out)
{
    int turn = m2t_window_shift(kind), end = slice->prior + slice->prior_rows;

    for (int top = slice->prior - turn; top < end; top += M2T_WINDOW)
        for (int left = -turn; left < plan->columns; left += M2T_WINDOW)
            for (int i = 0; i < M2T_CELLS; i++) {
                int cell = m2t_window_cell(prior, kind, i), row = top + cell / M2T_WINDOW, column = left + cell % M2T_WINDOW;
                gboolean there = row >= slice->prior && row < end && column >= 0 && column < plan->columns;

                *out++ = there ? plan->slot_at[row * plan->columns + column] : -1;
            }
    return out;
}

static void
list_windows(M2tPlan *plan, const M2tPriorWeights *prior, const M2tGeometry *g, M2tLayerKind kind)
{
    gint32 *out = plan->window[kind];

    for (int i = 0; i < g->slices; i++) {
        SliceRows slice = slice_rows(plan, g, i);

        out = list_windows_of_slice(plan, prior, &slice, kind, out);
    }
}

static void
pad_slices(M2tPlan *plan, const M2tGeometry *g)
{
    plan->rows = 0;
    for (int i = 0; i < g->slices; i++) {
        int rows = m2t_geometry_slice_row(g, i + 1) - m2t_geometry_slice_row(g, i);

        plan->slice_row[i] = plan->rows;
        plan->rows += (rows + M2T_WINDOW - 1) / M2T_WINDOW * M2T_WINDOW;
    }
    plan->slices = g->slices;
    plan->slice_row[g->slices] = plan->rows;
    plan->columns = (g->token_columns + M2T_WINDOW - 1) / M2T_WINDOW * M2T_WINDOW;
    plan->slots = plan->rows * plan->columns;
}

int
m2t_plan_slots(const M2tGeometry *g)
{
    M2tPlan plan;

    pad_slices(&plan, g);
    return plan.slots;
}

void
m2t_plan_layout(M2tPlan *plan, M2tArena *arena, const M2tPriorWeights *prior, const M2tGeometry *g)
{
    pad_slices(plan, g);
    plan->slot = m2t_arena_take(arena, plan->slots, sizeof *plan->slot);
    plan->coded = m2t_arena_take(arena, plan->slots, sizeof *plan->coded);
    plan->slot_at = m2t_arena_take(arena, plan->slots, sizeof *plan->slot_at);
    plan->windows[M2T_LAYER_WINDOW] = (plan->rows / M2T_WINDOW) * (plan->columns / M2T_WINDOW);
    plan->windows[M2T_LAYER_SHIFTED] = (plan->rows / M2T_WINDOW + g->slices) * (plan->columns / M2T_WINDOW + 1);
    for (int kind = 0; kind < 2; kind++)
        plan->window[kind] = m2t_arena_take(arena, (gsize) plan->windows[kind] * M2T_CELLS, sizeof *plan->window[kind]);
}

void
m2t_plan_make(M2tPlan *plan, const M2tPriorWeights *prior, const M2tGeometry *g)
{
    place_slots(plan, prior, g);
    m2t_plan_select(plan, NULL);
    list_windows(plan, prior, g, M2T_LAYER_WINDOW);
    list_windows(plan, prior, g, M2T_LAYER_SHIFTED);
}

void
m2t_plan_select(M2tPlan *plan, const guint8 *kind)
{
    int n = 0;

    for (int group = 0; group < plan->groups; group++) {
        plan->coded_start[group] = n;
        for (int i = plan->group_start[group]; i < plan->group_start[group + 1]; i++)
            if (plan->slot[i].token >= 0 && !(kind && kind[plan->slot[i].token] != M2T_TOKEN_CODED))
                plan->coded[n++] = i;
    }
    plan->coded_start[plan->groups] = n;
}

int
m2t_plan_coded(const M2tPlan *plan, int group, int slice)
{
    int slot = m2t_plan_slot(plan, group, slice), begin = plan->coded_start[group], end = plan->coded_start[group + 1];

    while (begin < end) {
        int middle = (begin + end) / 2;

        if (plan->coded[middle] < slot)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}

int
m2t_plan_chains_of_slice(const M2tPlan *plan, int group, int slice)
{
    return (m2t_plan_coded(plan, group, slice + 1) - m2t_plan_coded(plan, group, slice) + M2T_CHAIN - 1) / M2T_CHAIN;
}

int
m2t_plan_spans(const M2tPlan *plan, int group, gboolean chains, M2tSpan *span)
{
    int count = 0;

    for (int slice = 0; slice < plan->slices; slice++) {
        int end = m2t_plan_coded(plan, group, slice + 1), most = chains ? M2T_CHAIN : plan->slots, number = 0;

        for (int begin = m2t_plan_coded(plan, group, slice); begin < end; begin += most, count++)
            span[count] = (M2tSpan) {begin, MIN(begin + most, end), group, slice, count, number++};
    }
    return count;
}

int
m2t_plan_spans_max(const M2tPlan *plan)
{
    return plan->slots / M2T_CHAIN + plan->slices;
}
