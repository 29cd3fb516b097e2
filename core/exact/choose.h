/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encoder only: which tokens are cheaper as they are than as latents. */
#ifndef M2T_EXACT_CHOOSE_H
#define M2T_EXACT_CHOOSE_H

#include "base/threads.h"
#include "base/tokens.h"
#include "frame/patch.h"

/* Makes tokens of @kind exact that were to be coded, where it is worth it, and takes back what was exact before. @latents: [tokens][n], of the analysis
 * of @picture. @gain: [tokens], scratch memory. Returns whether there are any. */
gboolean m2t_exact_choose(const M2tGeometry *geometry, const M2tPicture *picture, const gint16 *latents, int n, M2tThreads *threads, guint16 *gain,
                          guint8 *kind);

#endif
