/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Latents to pictures, exact on every machine (docs/bitstream.md, section 6.2). */
#ifndef M2T_SYNTHESIS_H
#define M2T_SYNTHESIS_H

#include "filter/filter.h"
#include "frame/patch.h"
#include "nn/block.h"
#include "quant/quant.h"

typedef struct {
    const M2tContext *context;
    M2tGeometry geometry;
    M2tStage stage8, stage16;
    /* Of each token (m2t_codec_dequantise()); they stay for those that the next frame keeps: */
    gint16 *values;        /* [tokens][latents]: dequantised latents, called d in the document */
    guint8 *exact;         /* [tokens]: 1 if it is shown as @samples say */
    guint8 *samples;       /* [tokens][M2T_TOKEN_CHANNELS]: its four patches */
    M2tFilter filter;      /* what becomes of all that */
} M2tSynthesis;

void m2t_synthesis_layout(M2tSynthesis *synthesis, M2tArena *arena, const M2tContext *context, const M2tGeometry *geometry);

/* A picture of which nothing is known. */
void m2t_synthesis_clear(M2tSynthesis *synthesis);

/* Takes over from the frame before what it has of the tokens that are kept. @kind: [tokens] of M2tTokenKind. */
void m2t_synthesis_keep(M2tSynthesis *synthesis, const M2tSynthesis *before, const guint8 *kind);

/* The picture of all this. */
void m2t_synthesis_run(M2tSynthesis *synthesis, const M2tQuant *quant, M2tPicture *picture);

#endif
