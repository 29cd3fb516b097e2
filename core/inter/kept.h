/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The head of a slice in an inter frame: which tokens are taken over from the frame before (docs/bitstream.md, section 7). */
#ifndef M2T_INTER_KEPT_H
#define M2T_INTER_KEPT_H

#include <glib.h>

typedef struct {
    gboolean leans;      /* some token is kept */
    guint16 reference;   /* then: low half of the checksum that this slice had in the frame before */
} M2tKeptHead;

/* TRUE if any of the tokens is kept, or if all are. */
gboolean m2t_kept_any(const guint8 *kept, int tokens);
gboolean m2t_kept_all(const guint8 *kept, int tokens);

/* Appends the head of a slice. @kept: [tokens], 1 where a token is kept. */
void m2t_kept_write(GByteArray *out, const guint8 *kept, int tokens, guint16 reference);

/* Reads the head at *@at, which moves behind it. FALSE: damaged. */
gboolean m2t_kept_read(const guint8 **at, const guint8 *end, guint8 *kept, int tokens, M2tKeptHead *head);

#endif
