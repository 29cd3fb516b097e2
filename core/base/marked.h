/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Of a row of latents, those that there is something to do for. Most are none, and a processor cannot guess which: with a list, whose
 * length it has to guess once, it does not have to. */
#ifndef M2T_BASE_MARKED_H
#define M2T_BASE_MARKED_H

#include <glib.h>
#include <string.h>

/* Bit k of the result is mark k of eight: each is moved to its place in the highest byte. */
static inline guint64
m2t_marked_bits(const guint8 *mark)
{
    guint64 eight;

    memcpy(&eight, mark, 8);
    return (GUINT64_FROM_LE(eight) * G_GUINT64_CONSTANT(0x0102040810204080)) >> 56;
}

/* Writes the places of the ones among n zeros and ones to @list ([n]), in order. Returns how many there are. */
static inline int
m2t_marked_list(const guint8 *mark, int n, guint16 *list)
{
    int count = 0, whole = n & ~7;

    for (int begin = 0; begin < whole; begin += 64) {
        guint64 bits = 0;

        for (int i = begin; i < MIN(begin + 64, whole); i += 8)
            bits |= m2t_marked_bits(mark + i) << (i - begin);
        for (; bits; bits &= bits - 1)
            list[count++] = (guint16) (begin + __builtin_ctzll(bits));
    }
    for (int i = whole; i < n; i++)
        if (mark[i])
            list[count++] = (guint16) i;
    return count;
}

#endif
