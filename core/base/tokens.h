/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What becomes of each token of a frame, and lists of these in slices (docs/bitstream.md, sections 7.1 and 7.4). */
#ifndef M2T_BASE_TOKENS_H
#define M2T_BASE_TOKENS_H

#include <glib.h>
#include <string.h>

typedef enum {
    M2T_TOKEN_CODED = 0,   /* its latents are coded */
    M2T_TOKEN_KEPT = 1,    /* it is taken over from the frame before */
    M2T_TOKEN_EXACT = 2,   /* its samples are coded as they are */
    M2T_TOKEN_NONE = 255   /* no token is this */
} M2tTokenKind;

/* @kind: [tokens] of M2tTokenKind. */
static inline gboolean
m2t_tokens_any(const guint8 *kind, int tokens, M2tTokenKind which)
{
    return memchr(kind, which, tokens) != NULL;
}

gboolean m2t_tokens_all(const guint8 *kind, int tokens, M2tTokenKind which);

/* Tokens of kind @which and others take turns, in raster order; those of kind @passed do not count. Number of runs, the first, of @which, may be
 * empty; 0 if there is none of @which. */
int m2t_tokens_count_runs(const guint8 *kind, int tokens, M2tTokenKind which, M2tTokenKind passed);

/* Appends the lengths of all of these runs but the last. */
void m2t_tokens_write_runs(GByteArray *out, const guint8 *kind, int tokens, M2tTokenKind which, M2tTokenKind passed, int runs);

/* Reads them: the tokens in runs of @which become that, all others but those @passed are coded. FALSE: damaged. */
gboolean m2t_tokens_read_runs(const guint8 **at, const guint8 *end, guint8 *kind, int tokens, M2tTokenKind which, M2tTokenKind passed, guint32 runs);

#endif
