/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a latent can be (docs/bitstream.md, sections 6.1 and 7), for all who round, code or move one. */
#ifndef M2T_BASE_LATENT_H
#define M2T_BASE_LATENT_H

#define M2T_LATENT_MIN (-16384) /* a decoder takes no less; what is rounded is not below -M2T_LATENT_MAX */
#define M2T_LATENT_MAX 16383
#define M2T_LATENT_ONE 128      /* unit of what rounding takes away from a latent, and of centroids: this is one step */

#endif
