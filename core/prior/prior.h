/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The prior: what is known so far -> mean and level of every latent that comes next (docs/bitstream.md, section 6.3).
 *
 * A decoder calls the functions below group after group. Where attention is masked (M2T), slots of a group only see their own and earlier
 * groups: keys and values of earlier groups stay in memory. Where only the input is masked (MT), all slots run for each group, with the latents
 * of the groups before it.
 *
 * What comes behind the attention of the last layer is only done for tokens that are coded (m2t_plan_select()); their rows close up. */
#ifndef M2T_PRIOR_H
#define M2T_PRIOR_H

#include "nn/linear.h"
#include "prior/plan.h"
#include "quant/quant.h"

typedef struct {
    const M2tContext *context;
    M2tPlan plan;
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

/* Groups @first...@last through the layers. Reads from @latents ([tokens][latents]) the groups @first - 1...@last - 1; where only the input is
 * masked, @first is @last and all groups before it are read. Kept tokens take part as they are, with latents of zero. */
void m2t_prior_run(M2tPrior *prior, const M2tQuant *quant, const gint16 *latents, int first, int last);

/* Reads latents while others are predicted. Any thread calls, while others are at other slots: for coded slots @begin...@end - 1 of the
 * groups that run, counted from the first; @begin is a multiple of M2T_PRIOR_PIECE. */
typedef struct {
    void (*predicted)(gpointer data, int part, int begin, int end); /* means and levels of @part are there */
    void (*await)(gpointer data, int part, int begin, int end);     /* returns when the latents of @part are there, which were predicted before */
} M2tPriorReader;

#define M2T_PRIOR_PIECE 16

/* Then, part after part: fills in mean and level of all channels for these groups. Reads from @latents the parts before, of the same
 * tokens: known already if @reader is NULL; else it is called with @data. */
void m2t_prior_heads(M2tPrior *prior, const M2tQuant *quant, const gint16 *latents, int first, int last, const M2tPriorReader *reader, gpointer data);

/* The latents of a part of a chain of a group have mean and level now, and are to be chosen. Any thread, whose number is @worker. */
typedef void (*M2tPriorChoose)(gpointer data, int worker, int group, int part, const M2tChainSpan *chain);

/* All groups and parts, for an encoder. @choose: is called with @data for every part of every chain before anything is predicted from
 * it, so that mean and level are those of the decoder for what it leaves in @latents; NULL: they are what they are. */
void m2t_prior_predict(M2tPrior *prior, const M2tQuant *quant, const gint16 *latents, M2tPriorChoose choose, gpointer data);

#endif
