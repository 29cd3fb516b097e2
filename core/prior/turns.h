/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Latents are read, or chosen, one after the other, while others are predicted. Threads take turns: whoever has predicted some does what can be done
 * with them, unless another thread is at it, which then does that, too. */
#ifndef M2T_PRIOR_TURNS_H
#define M2T_PRIOR_TURNS_H

#include "prior/plan.h"

#define M2T_PIECE_MIN 16

/* What is done with predictions, span by span. */
typedef struct {
    /* Spans are chains, whose latents are known when all of them were taken; or slices, whose latents are known at once. */
    gboolean chains;

    /* Slots @begin...@end - 1 of @span, index into plan->coded, have mean and level of this part; in any order. Any thread. NULL is allowed. */
    void (*prepare)(gpointer data, const M2tSpan *span, int part, int begin, int end);

    /* They have been prepared, and are the next. Any thread. */
    void (*take)(gpointer data, const M2tSpan *span, int part, int begin, int end);
} M2tPriorFollower;

typedef struct {
    gint busy;              /* atomic: a thread is at the span */
    gint taken;             /* atomic: how many slots, part after part; changed by that thread */
} M2tTurn;

/* Of a group that runs. */
typedef struct {
    int start, end;         /* its coded slots */
    int rows, pieces;       /* they are predicted in so many pieces of so many rows, or fewer in the last */
    int parts;
    gint *predicted;        /* atomic, [parts][pieces] */
    int spans;
    M2tSpan *span;          /* [spans] */
    M2tTurn *turn;          /* [spans] */
    const M2tPriorFollower *follower;
    gpointer data;
} M2tTurns;

void m2t_turns_layout(M2tTurns *turns, M2tArena *arena, const M2tPlan *plan, int parts);

/* Nothing of this group is predicted; it will be in pieces of @rows slots, M2T_PIECE_MIN at least. */
void m2t_turns_begin(M2tTurns *turns, const M2tPlan *plan, int group, int rows, const M2tPriorFollower *follower, gpointer data);

/* Mean and level of @part are there, for a piece, the coded slots @begin...@end - 1. */
void m2t_turns_predicted(M2tTurns *turns, int part, int begin, int end);

/* Returns when the latents of @part are known for these slots, which have been predicted. */
void m2t_turns_await(M2tTurns *turns, int part, int begin, int end);

#endif
