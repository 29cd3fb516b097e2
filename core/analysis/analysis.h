/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pictures to latents (docs/bitstream.md, section 6.1): a small convolutional network beside a linear short-cut. */
#ifndef M2T_ANALYSIS_H
#define M2T_ANALYSIS_H

#include "frame/patch.h"
#include "nn/block.h"
#include "quant/quant.h"

typedef struct {
    const M2tContext *context;
    M2tGeometry geometry;
    M2tStage stage8, stage16;
    gint8 *patches;        /* [patch_rows][patch_columns][96] */
} M2tAnalysis;

void m2t_analysis_layout(M2tAnalysis *analysis, M2tArena *arena, const M2tContext *context, const M2tGeometry *geometry);

/* Takes the picture in: analysis->patches. What outlives the picture is there. */
void m2t_analysis_load(M2tAnalysis *analysis, const M2tPicture *picture);

/* Of the picture that was loaded. @latents: [token_rows][token_columns][latents], rounded to the nearest integer; @rest: the same shape,
 * what rounding took away, in 1/128. */
void m2t_analysis_run(M2tAnalysis *analysis, const M2tQuant *quant, gint16 *latents, gint8 *rest);

#endif
