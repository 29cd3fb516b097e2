/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is where and who sees whom: the order of all slots of a frame, worked out once per size. */
#ifndef M2T_PRIOR_PLAN_H
#define M2T_PRIOR_PLAN_H

#include "base/arena.h"
#include "frame/patch.h"
#include "model/model.h"

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
    int slots;
    M2tSlot *slot;                  /* [slots] */
    gint32 *slot_at;                /* [rows][columns]: index into slot */
    int group_start[M2T_GROUPS_MAX + 1];
    guint8 shifted_order[M2T_CELLS]; /* cells of a shifted window (8 row + column) sorted by group */
    const guint8 *order;            /* the same for a plain window: the coding order */
    int seen[M2T_GROUPS_MAX];       /* how many of either a slot of a group sees in a whole window */
} M2tPlan;

void m2t_plan_layout(M2tPlan *plan, M2tArena *arena, const M2tPriorWeights *prior, const M2tGeometry *geometry);

/* Fills in what the layout made room for. */
void m2t_plan_make(M2tPlan *plan, const M2tPriorWeights *prior, const M2tGeometry *geometry);

/* The slots that slot @index of @group sees in a layer of @kind: their indices and the offsets into the table of relative positions. Returns how many (at most
 * M2T_CELLS). */
int m2t_plan_neighbours(const M2tPlan *plan, M2tLayerKind kind, int group, int index, gint32 *slots, guint8 *rel);

#endif
