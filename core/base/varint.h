/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Variable-length integers of headers and exceptions (docs/bitstream.md, section 0): seven bits a byte, the lowest
 * first. There is exactly one way to write a value, and only that one is read. */
#ifndef M2T_BASE_VARINT_H
#define M2T_BASE_VARINT_H

#include <glib.h>

#define M2T_VARINT_MAX 5 /* bytes */

static inline void
m2t_varint_write(GByteArray *out, guint32 value)
{
    guint8 bytes[M2T_VARINT_MAX];
    guint n = 0;

    for (; value >= 128; value >>= 7)
        bytes[n++] = value | 128;
    bytes[n++] = value;
    g_byte_array_append(out, bytes, n);
}

/* Moves *at behind the integer. FALSE: it does not end before @end, has more than 32 bits or is not in its shortest form. */
static inline gboolean
m2t_varint_read(const guint8 **at, const guint8 *end, guint32 *value)
{
    guint64 sum = 0;

    for (int i = 0; i < M2T_VARINT_MAX && *at < end; i++) {
        guint8 byte = *(*at)++;

        sum |= (guint64) (byte & 127) << 7 * i;
        if (byte < 128) {
            *value = (guint32) sum;
            return sum <= G_MAXUINT32 && (byte > 0 || i == 0);
        }
    }
    return FALSE;
}

static inline guint32
m2t_zigzag(gint32 value)
{
    return (guint32) value << 1 ^ (value < 0 ? G_MAXUINT32 : 0);
}

static inline gint32
m2t_unzigzag(guint32 value)
{
    return (gint32) (value >> 1 ^ (value & 1 ? G_MAXUINT32 : 0));
}

#endif
