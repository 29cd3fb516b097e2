/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What latents should be, by looking at the outcome (encoder only). The picture that a decoder would show is analysed like the original; where the
 * latents of the two differ, a step in that direction brings the pictures together. This stands in for the gradient of the error, with nothing
 * but the networks that are there. */
#ifndef M2T_REFINE_H
#define M2T_REFINE_H

#include "analysis/analysis.h"
#include "synthesis/synthesis.h"

#define M2T_REFINE_ROUNDS 4

typedef struct {
    M2tSynthesis synthesis;
    M2tAnalysis analysis;  /* of what the synthesis shows */
    M2tPicture shown;
    gint16 *final;         /* [tokens][latents]: dequantised, of the frame as it was sent, for the one that keeps some */
    gint32 *aim;           /* [tokens][latents]: what latents should be, in 1/M2T_LATENT_ONE */
    gint16 *seen;          /* [tokens][latents]: what the analysis makes of the shown picture, rounded, */
    gint8 *seen_rest;      /* and what rounding took away */
} M2tRefine;

void m2t_refine_layout(M2tRefine *refine, M2tArena *arena, const M2tContext *context, const M2tGeometry *geometry);

/* At first latents should be what the analysis makes of the original. */
void m2t_refine_begin(M2tRefine *refine, const gint16 *wanted, const gint8 *wanted_rest);

/* Shows refine->synthesis.values: refine->seen. */
void m2t_refine_look(M2tRefine *refine, const M2tQuant *quant);

/* Moves refine->aim of the n latents from @at on towards where they stand, @latents and @centroids, and the difference between what the analysis makes
 * of the original, @wanted and @wanted_rest, and of what is shown. */
void m2t_refine_aim(M2tRefine *refine, const gint16 *latents, const gint8 *centroids, const gint16 *wanted, const gint8 *wanted_rest, gsize at, int n);

/* refine->synthesis.values are those of what is sent: refine->final. */
void m2t_refine_end(M2tRefine *refine);

#endif
