/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What numbers can be at most (docs/bitstream.md, sections 2, 6.1 and 7; docs/model-format.md), for all who have to agree on it. */
#ifndef M2T_BASE_LIMITS_H
#define M2T_BASE_LIMITS_H

#include <float.h>

#if FLT_EVAL_METHOD != 0
#error "Float operations have to be rounded one by one, or bits depend on the compiler; on 32-bit x86: -msse2 -mfpmath=sse"
#endif

#define M2T_LATENT_MIN (-16384) /* a decoder takes no less; what is rounded is not below -M2T_LATENT_MAX */
#define M2T_LATENT_MAX 16383
#define M2T_LATENT_ONE 128      /* unit of what rounding takes away from a latent, and of centroids: this is one step */

#define M2T_Q_MAX 252           /* of the quantizer, in quarter steps */

#define M2T_WINDOW 8            /* of the prior: 8x8 cells */
#define M2T_CELLS (M2T_WINDOW * M2T_WINDOW)

#define M2T_CHANNELS_MAX 512    /* of a position in a transform, of a slot of the prior, and latents of a token */
#define M2T_LATENTS_MAX M2T_CHANNELS_MAX

#define M2T_VALUE_ONE 64        /* unit of what the synthesis makes: this is one step of a sample */
#define M2T_VALUE_MAX (255 * M2T_VALUE_ONE)

/* Of the filter (docs/bitstream.md, section 6.4): */
#define M2T_FILTER_LIMITS 3
#define M2T_FILTER_LIMIT_VALUES {192, 768, 3072}
#define M2T_FILTER_PAIRS 6
#define M2T_FILTER_TAPS (M2T_FILTER_PAIRS * M2T_FILTER_LIMITS)
#define M2T_FILTER_CLASSES 120
#define M2T_FILTER_ROW 128      /* weights of one tap in memory, so that vectors may read past the last class */

#endif
