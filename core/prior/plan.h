/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is where and who sees whom: the order of all slots of a frame, worked out once per size. */
#ifndef M2T_PRIOR_PLAN_H
#define M2T_PRIOR_PLAN_H

#include "base/arena.h"
#include "entropy/dependent.h"
#include "frame/patch.h"
#include "model/model.h"

#include <m2t/m2t-stream.h>

/* One slot, in the order in which the slots of the frame run: by group, then by window, then by place in the coding order. */
typedef struct {
    gint32 token;      /* raster index of the token it predicts, -1 outside the token grid */
    gint32 source;     /* token whose latents enter: raster index, M2T_SOURCE_MASKED or _OUTSIDE */
    gint16 row, column; /* of its cell in the prior grid */
    guint8 cell;       /* in its window */
} M2tSlot;

enum { M2T_SOURCE_MASKED = -1, M2T_SOURCE_OUTSIDE = -2 };

typedef struct {
    int rows, columns;              /* of the prior grid */
    int slices, slice_row[M2T_SLICES_MAX + 1]; /* of the prior grid, where a slice begins */
    int slots;
    M2tSlot *slot;                  /* [slots] */
    gint32 *slot_at;                /* [rows][columns]: index into slot */
    int groups, group_start[M2T_GROUPS_MAX + 1];
    gint32 *coded;                  /* [slots], by group: slots of the tokens that are coded in this frame */
    int coded_start[M2T_GROUPS_MAX + 1];
    int windows[2];                 /* by kind of layer: plain windows, and shifted ones, which are cut at the edges */
    gint32 *window[2];              /* [windows][64]: the slots of a window by the coding order of their cells, -1 where it is cut */
} M2tPlan;

/* Slots that a plan for this geometry has: tokens of all slices, each padded to whole windows. */
int m2t_plan_slots(const M2tGeometry *geometry);

void m2t_plan_layout(M2tPlan *plan, M2tArena *arena, const M2tPriorWeights *prior, const M2tGeometry *geometry);

/* Fills in what the layout made room for. All tokens are coded. */
void m2t_plan_make(M2tPlan *plan, const M2tPriorWeights *prior, const M2tGeometry *geometry);

/* From now on only tokens are coded that @kind ([tokens] of M2tTokenKind, or NULL: all) says are. */
void m2t_plan_select(M2tPlan *plan, const guint8 *kind);

/* The first slot of a slice in a group; the slice after the last begins where the group ends. */
static inline int
m2t_plan_slot(const M2tPlan *plan, int group, int slice)
{
    gint64 slots = plan->group_start[group + 1] - plan->group_start[group];

    return plan->group_start[group] + (int) (slots * plan->slice_row[slice] / plan->rows);
}

/* The same among those that are coded: index into plan->coded. */
int m2t_plan_coded(const M2tPlan *plan, int group, int slice);

/* Coded slots of a group, one after the other: a slice, or a chain of it (entropy/dependent.h). */
typedef struct {
    int begin, end;     /* plan->coded[begin … end - 1] */
    int group, slice;
    int place, number;  /* among all of the group, and among those of this slice */
} M2tSpan;

/* Writes all that are not empty, slices or chains. -> how many there are; at most m2t_plan_spans_max() */
int m2t_plan_spans(const M2tPlan *plan, int group, gboolean chains, M2tSpan *span);
int m2t_plan_spans_max(const M2tPlan *plan);

int m2t_plan_chains_of_slice(const M2tPlan *plan, int group, int slice);

#endif
