/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The head of a slice in an inter frame: which tokens are taken over from the frame before (docs/bitstream.md, section 7). */
#ifndef M2T_INTER_KEPT_H
#define M2T_INTER_KEPT_H

#include "base/tokens.h"

typedef struct {
    gboolean leans;      /* some token is kept */
    guint16 reference;   /* then: low half of the checksum that this slice had in the frame before */
} M2tKeptHead;

/* Appends the head of a slice. @kind: [tokens] of M2tTokenKind. */
void m2t_kept_write(GByteArray *out, const guint8 *kind, int tokens, guint16 reference);

/* Reads the head at *@at, which moves behind it: tokens are kept, or coded. FALSE: damaged. */
gboolean m2t_kept_read(const guint8 **at, const guint8 *end, guint8 *kind, int tokens, M2tKeptHead *head);

#endif
