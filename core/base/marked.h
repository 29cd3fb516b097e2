/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Of a row of latents, those that there is something to do for. Most are none, and a processor cannot guess which: with a list, whose
 * length it has to guess once, it does not have to. */
#ifndef M2T_BASE_MARKED_H
#define M2T_BASE_MARKED_H

#include <glib.h>
#include <string.h>

/* Writes the places of the ones among n zeros and ones to @list ([n]), in order. Returns how many there are. */
static inline int
m2t_marked_list(const guint8 *mark, int n, guint16 *list)
{
    int count = 0, i = 0;

    for (; i + 8 <= n; i += 8) {
        guint64 eight;

        memcpy(&eight, mark + i, 8);
        if (eight == 0)
            continue;
        for (int j = i; j < i + 8; j++) {
            list[count] = (guint16) j;
            count += mark[j];
        }
    }
    for (; i < n; i++) {
        list[count] = (guint16) i;
        count += mark[i];
    }
    return count;
}

#endif
