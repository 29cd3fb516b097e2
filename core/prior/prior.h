/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The prior: what is known so far -> mean and level of every latent that comes next (docs/bitstream.md, section 6.3).
 *
 * Where attention is masked (M2T), slots of a group only see their own and earlier groups: keys and values of earlier groups stay in memory. Where
 * only the input is masked (MT), all slots run for each group, with the latents of the groups before it.
 *
 * Kept tokens take part as they are, with latents of zero; but what comes behind the attention of the last layer is only done for tokens that
 * are coded (m2t_plan_select()); their rows close up. */
#ifndef M2T_PRIOR_H
#define M2T_PRIOR_H

#include "nn/linear.h"
#include "prior/turns.h"
#include "quant/quant.h"

typedef struct {
    const M2tContext *context;
    M2tPlan plan;
    M2tTurns turns;
    int latents;
    gint16 *stream;                 /* [slots][width] */
    gint16 *state;                  /* [coded slots][width]: what the heads read, called H in the document */
    gint8 *qkv[M2T_LAYERS_MAX];     /* [slots][3 width] per layer */
    gint16 *cache[M2T_LAYERS_MAX];  /* [windows][M2T_CACHE(width)] per layer: keys and values by window */
    gint8 *attended;                /* [slots][width]: what attention gave */
    gint32 *mean;                   /* [parts][slots][channels of the part], in 1/16; of coded slots, as level */
    guint8 *level;
} M2tPrior;

/* Where a slot's n channels from @channel on, which are a part, have their mean and level: part after part, as they are predicted
 * and read. */
static inline gsize
m2t_prior_place(const M2tPrior *prior, int slot, int channel, int n)
{
    return (gsize) prior->plan.slots * channel + (gsize) slot * n;
}

void m2t_prior_layout(M2tPrior *prior, M2tArena *arena, const M2tContext *context, const M2tGeometry *geometry);

/* Group after group, part after part: fills in mean and level of all channels, and has @follower, with @data, fill in @latents ([tokens][latents]), which
 * those that come later are predicted from. */
void m2t_prior_predict(M2tPrior *prior, const M2tQuant *quant, const gint16 *latents, const M2tPriorFollower *follower, gpointer data);

#endif
