/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Everything that depends on the quantizer of a frame, worked out from the model's anchors in integers (docs/bitstream.md, section 5). */
#ifndef M2T_QUANT_H
#define M2T_QUANT_H

#include "model/model.h"

typedef struct {
    const M2tModel *model;
    int q;                             /* -1: nothing worked out yet */
    float *gain, *igain, *feature;     /* [latents]; igain: of 1/128 of a latent */
    float *mean_scale;                 /* [latents]: of the heads, times the latent's usual size */
    gint32 *size;                      /* [latents]: log2 of that in 1/1024 */
    gint32 *analysis_bias, *synthesis_bias; /* of the layers called "in" */
    gint32 *prior;                     /* [width of the prior]: addition to every slot */
    gint16 *filter[3];                 /* by plane, [M2T_FILTER_TAPS][M2T_FILTER_ROW]; zeros if the model has none */
} M2tQuant;

void m2t_quant_init(M2tQuant *quant, const M2tModel *model);
void m2t_quant_clear(M2tQuant *quant);
void m2t_quant_set(M2tQuant *quant, int q);

/* n latents that were rounded by @gain, with what was taken away from them (@rest, in 1/128), as they would have been rounded by quant->gain. */
void m2t_quant_again(const M2tQuant *quant, const float *gain, gint16 *latent, gint8 *rest, int n);

#endif
