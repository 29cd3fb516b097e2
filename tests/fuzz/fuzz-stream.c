/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A byte stream, given in steps of as many bytes as the first one says: units are found, unescaped, and their headers read. */
#include "fuzz.h"

#include <m2t/m2t.h>
#include <stdlib.h>

static void
take_unit(const guint8 *unit, gsize size)
{
    g_autoptr(GByteArray) packet = g_byte_array_new(), again = g_byte_array_new(), back = g_byte_array_new();
    M2tFrameInfo info;

    m2t_stream_unescape(packet, unit, size);
    m2t_frame_info_read(packet->data, packet->len, &info, NULL);
    if (packet->len == 0)
        return;
    m2t_stream_append(again, packet->data, packet->len);
    m2t_stream_unescape(back, again->data, again->len);
    if (back->len != packet->len || memcmp(back->data, packet->data, back->len) != 0)
        abort();
}

int
LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    gsize step = size ? 1 + *data : 1, at = MIN(size, 1), have = MIN(at + step, size), skip, unit_size;

    for (;;) {
        M2tStreamResult result = m2t_stream_find(data + at, have - at, &skip, &unit_size);

        if (skip > have - at || unit_size > M2T_STREAM_UNIT_HEADER_SIZE + M2T_STREAM_UNIT_MAX)
            abort();
        at += skip;
        if (result == M2T_STREAM_UNIT) {
            if (unit_size > have - at)
                abort();
            take_unit(data + at, unit_size);
            at += unit_size;
        } else if (have == size) {
            return 0;
        } else {
            if (unit_size <= have - at)
                abort();
            have = MIN(have + step, size);
        }
    }
}
