/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encoder only: which tokens look as they did when they were coded last, and need not be coded again. */
#ifndef M2T_INTER_STILL_H
#define M2T_INTER_STILL_H

#include "base/threads.h"
#include "frame/patch.h"

typedef struct {
    M2tGeometry geometry;
    gint8 *patches;    /* [patch_rows][patch_columns][96]: each token as it was when it was coded */
    guint8 *q;         /* [tokens]: quantizer that it was coded with */
    gboolean valid;    /* there is a frame to lean on */
    int refined;       /* the token after the last one that was coded again for being coarse */
} M2tStill;

/* FALSE: no memory. */
gboolean m2t_still_init(M2tStill *still, const M2tGeometry *geometry);
void m2t_still_clear(M2tStill *still);

/* Makes tokens of @kind ([tokens]) kept where @patches show what they did, to within a part of what a quantizer of @q (quarter steps) would change
 * anyway, and the others coded. Of those that were coded much coarser than @q some are let go each time. */
void m2t_still_find(M2tStill *still, const gint8 *patches, int q, M2tThreads *threads, guint8 *kind);

/* Notes the tokens that are not kept. */
void m2t_still_store(M2tStill *still, const gint8 *patches, int q, const guint8 *kind);

#endif
