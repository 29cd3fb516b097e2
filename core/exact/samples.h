/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Samples of tokens to bytes and back, as they are (docs/bitstream.md, section 7.4): for what has few colours and hard edges, which samples beside a
 * sample tell better than a transform. */
#ifndef M2T_EXACT_SAMPLES_H
#define M2T_EXACT_SAMPLES_H

#include "base/arena.h"
#include "base/tokens.h"
#include "frame/patch.h"

/* What adapts while a slice is coded. */
typedef struct _M2tExactContexts M2tExactContexts;

typedef struct {
    M2tGeometry geometry;
    guint8 *plane[3];           /* of the padded picture: samples of exact tokens, elsewhere 128 while a slice is coded */
    int stride[3];
    M2tExactContexts *contexts; /* [slices] */
} M2tExact;

void m2t_exact_layout(M2tExact *exact, M2tArena *arena, const M2tGeometry *geometry);

/* Codes the exact tokens of a slice, samples of @picture, appending to @out. @kind: [tokens] of the frame. Threads may code different slices. */
void m2t_exact_write(M2tExact *exact, const M2tPicture *picture, int slice, const guint8 *kind, GByteArray *out);

/* Decodes them into the planes. FALSE: damaged. */
gboolean m2t_exact_read(M2tExact *exact, int slice, const guint8 *kind, const guint8 *data, gsize size);

/* Takes the samples of exact tokens in without coding them. */
void m2t_exact_load(M2tExact *exact, const M2tPicture *picture, const guint8 *kind);

/* The samples of a token that was taken in, coded or decoded, in the order of its four patches: [M2T_TOKEN_CHANNELS]. */
void m2t_exact_samples(const M2tExact *exact, int token, guint8 *samples);

#endif
