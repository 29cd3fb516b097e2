/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A byte stream, given in steps of as many bytes as the first one says: units are found, unescaped, and their headers read,
 * and their slices taken apart and put together again. Accepted: that was done with a unit. */
#include "fuzz.h"

#include <m2t/m2t.h>
#include <stdlib.h>

gboolean fuzz_accepted;

/* What can be taken apart is the same when it is put together again. */
static void
take_apart(const GByteArray *packet)
{
    g_autoptr(GByteArray) again = g_byte_array_new();
    const guint8 *slice[M2T_SLICES_MAX] = {NULL};
    M2tFrameLayout layout;
    gsize at;

    if (!m2t_frame_layout_read(packet->data, packet->len, &layout, NULL))
        return;
    if (layout.header_size > packet->len || layout.slices > M2T_SLICES_MAX)
        abort();
    at = layout.header_size;
    for (guint i = 0; i < layout.slices && layout.slice_size[i] <= packet->len - at; at += layout.slice_size[i++])
        slice[i] = layout.slice_size[i] ? packet->data + at : NULL;
    m2t_frame_assemble(again, packet->data, &layout, slice);
    if (!m2t_frame_layout_read(again->data, again->len, &layout, NULL))
        abort();
    if (m2t_frame_info_read(packet->data, packet->len, &(M2tFrameInfo) {0}, NULL) &&
        (again->len != packet->len || memcmp(again->data, packet->data, again->len) != 0))
        abort();
    fuzz_accepted = TRUE;
}

static void
take_unit(const guint8 *unit, gsize size)
{
    g_autoptr(GByteArray) packet = g_byte_array_new(), again = g_byte_array_new(), back = g_byte_array_new();
    M2tFrameInfo info;

    m2t_stream_unescape(packet, unit, size);
    m2t_frame_info_read(packet->data, packet->len, &info, NULL);
    take_apart(packet);
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

    fuzz_accepted = FALSE;
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
