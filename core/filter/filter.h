/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The last step to a picture: every value is moved by what its neighbours say, with weights for the direction and the roughness of the place
 * (docs/bitstream.md, section 6.4). */
#ifndef M2T_FILTER_H
#define M2T_FILTER_H

#include "base/arena.h"
#include "frame/patch.h"
#include "kernels/kernels.h"
#include "quant/quant.h"

/* Values of the padded picture, with room around it for their neighbours. */
typedef struct {
    M2tGeometry geometry;
    gint16 *plane[3];      /* the first value inside */
    gssize stride[3];
} M2tFilter;

void m2t_filter_layout(M2tFilter *filter, M2tArena *arena, const M2tGeometry *geometry);

/* One patch of values ([96]). */
void m2t_filter_enter(M2tFilter *filter, int row, int column, const gint16 *values);

/* When all patches are there: goes on with the outermost values beyond the edges. */
void m2t_filter_repeat_edges(M2tFilter *filter);

/* The samples of one row of tokens. Rows do not depend on each other. */
void m2t_filter_row(const M2tFilter *filter, const M2tKernels *kernels, const M2tQuant *quant, int row, M2tPicture *picture);

#endif
