/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which latents are worth a step up or down, by looking at the outcome (encoder only). The picture that a decoder would show is analysed
 * like the original; where the latents of the two differ, a step in that direction brings the pictures together. This stands in for the
 * gradient of the error, with nothing but the networks that are there. */
#ifndef M2T_REFINE_H
#define M2T_REFINE_H

#include "analysis/analysis.h"
#include "entropy/slice.h"
#include "synthesis/synthesis.h"

#define M2T_REFINE_ROUNDS 4

typedef struct {
    M2tSynthesis synthesis;
    M2tAnalysis analysis;  /* of what the synthesis shows */
    M2tPicture shown;
    gint16 *final;         /* [tokens][latents]: dequantised, of the frame as it was sent, for the one that keeps some */
    gint16 *wanted, *seen; /* [tokens][latents]: of the original, and of the shown picture, rounded */
    gint8 *wanted_rest, *seen_rest;
} M2tRefine;

void m2t_refine_layout(M2tRefine *refine, M2tArena *arena, const M2tContext *context, const M2tGeometry *geometry);

/* The latents of the original, as the analysis gave them. */
void m2t_refine_begin(M2tRefine *refine, const gint16 *latents, const gint8 *rest);

/* The latents that m2t_refine_begin() was given. */
void m2t_refine_restore(const M2tRefine *refine, gint16 *latents, gint8 *rest);

/* Shows refine->synthesis.values: refine->seen. */
void m2t_refine_look(M2tRefine *refine, const M2tQuant *quant);

/* Steps up or down, where that is worth the bits, for every other of @n latents, the other half in the next round. The first of @latents
 * is at position @at of the picture; @mean, @level: what the prior expects. @scanty: see choose.h. */
void m2t_refine_choose(const M2tRefine *refine, const M2tEntropyTables *tables, const gint32 *mean, const guint8 *level, gsize at, int n, int round, int scanty,
                       gint16 *latents);

/* refine->synthesis.values are those of what is sent: refine->final. */
void m2t_refine_end(M2tRefine *refine);

#endif
