/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Latents to pictures, exact on every machine (docs/bitstream.md, section 6.2). */
#ifndef M2T_SYNTHESIS_H
#define M2T_SYNTHESIS_H

#include "frame/patch.h"
#include "nn/block.h"
#include "quant/quant.h"

typedef struct {
    const M2tContext *context;
    M2tGeometry geometry;
    M2tStage stage8, stage16;
    gint16 *values;        /* [tokens][latents]: dequantised latents (m2t_codec_dequantise()), called d in the document; they stay for tokens that the next
                            * frame keeps */
} M2tSynthesis;

void m2t_synthesis_layout(M2tSynthesis *synthesis, M2tArena *arena, const M2tContext *context, const M2tGeometry *geometry);

/* The values of a picture of which nothing is known. */
void m2t_synthesis_clear(M2tSynthesis *synthesis);

/* Takes the values of the tokens in @kept over from the frame before. */
void m2t_synthesis_keep(M2tSynthesis *synthesis, const M2tSynthesis *before, const guint8 *kept);

/* The picture of the values. */
void m2t_synthesis_run(M2tSynthesis *synthesis, const M2tQuant *quant, M2tPicture *picture);

#endif
