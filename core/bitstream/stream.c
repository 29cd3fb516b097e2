/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The byte-stream form (docs/bitstream.md, section 1): frames become units of a sync word, a length and an escaped body, and
 * are found again in a stream that may start anywhere and be damaged everywhere.
 *
 * Finding has no state. It trusts nothing but the sync word. For callers that come back with as many bytes as they were asked for, time is
 * linear; who comes with less has a unit read again each time. */
#include <m2t/m2t-stream.h>

#include <string.h>

#define SYNC_SIZE 4

static const guint8 sync_word[SYNC_SIZE] = {0x00, 0x00, 0x02, 0x4D};

const guint8 *
m2t_stream_magic(void)
{
    static const guint8 magic[M2T_STREAM_MAGIC_SIZE] = {0x4D, 0x32, 0x54, 0x56, 0x01, 0x0D, 0x0A, 0x1A};

    return magic;
}

/* The first place in @at...@end where an escape byte must be inserted, or @end. */
static const guint8 *
find_escape(const guint8 *at, const guint8 *end)
{
    while (end - at > 2 && (at = memchr(at, 0, end - at - 2))) {
        if (at[1] == 0 && at[2] <= 3)
            return at + 2;
        at++;
    }
    return end;
}

static void
write_unit_header(guint8 *header, gsize body)
{
    memcpy(header, sync_word, SYNC_SIZE);
    for (int i = 0; i < 4; i++)
        header[SYNC_SIZE + i] = 0x80 | (body >> 7 * (3 - i) & 127);
}

gboolean
m2t_stream_append(GByteArray *out, const void *packet, gsize size)
{
    static const guint8 escape = 3;
    guint8 header[M2T_STREAM_UNIT_HEADER_SIZE] = {0};
    const guint8 *at = packet, *end = at + size;
    guint start = out->len, body = start + sizeof header;

    if (size > M2T_STREAM_UNIT_MAX)
        return FALSE;
    g_byte_array_append(out, header, sizeof header);
    while (at < end) {
        const guint8 *next = find_escape(at, end);

        g_byte_array_append(out, at, next - at);
        if (next < end)
            g_byte_array_append(out, &escape, 1);
        at = next;
    }
    if (out->len - body > M2T_STREAM_UNIT_MAX) {
        g_byte_array_set_size(out, start);
        return FALSE;
    }
    write_unit_header(out->data + start, out->len - body);
    return TRUE;
}

/* The first sync word that lies in @at...@end, or NULL. 0x4D is its only byte that is rare in damaged data, too. */
static const guint8 *
find_sync(const guint8 *at, const guint8 *end)
{
    if (end - at < SYNC_SIZE)
        return NULL;
    for (at += SYNC_SIZE - 1; at < end && (at = memchr(at, sync_word[3], end - at)); at++) {
        if (memcmp(at - (SYNC_SIZE - 1), sync_word, SYNC_SIZE - 1) == 0)
            return at - (SYNC_SIZE - 1);
    }
    return NULL;
}

/* How many of the last bytes may be the beginning of a sync word. */
static gsize
sync_tail(const guint8 *data, gsize size)
{
    for (gsize n = MIN(size, SYNC_SIZE - 1); n > 0; n--) {
        if (memcmp(data + size - n, sync_word, n) == 0)
            return n;
    }
    return 0;
}

/* The length of a body; larger than any can be if the four bytes are not a length. */
static gsize
read_length(const guint8 *bytes)
{
    gsize length = 0;

    for (int i = 0; i < 4; i++) {
        if (bytes[i] < 0x80)
            return G_MAXSIZE;
        length = length << 7 | (bytes[i] & 127);
    }
    return length;
}

static M2tStreamResult
found(M2tStreamResult result, gsize at, gsize wanted, gsize *skip, gsize *unit_size)
{
    *skip = at;
    *unit_size = wanted;
    return result;
}

/* A sync word inside the claimed length says that the unit was cut short, or that the length is damaged; it is looked for in what has
 * come so far, so that a false length of megabytes does not hold back the good units behind it. The sync word may reach beyond the
 * claimed end; to wait for what is there would hold back whole units. */
M2tStreamResult
m2t_stream_find(const void *data, gsize size, gsize *skip, gsize *unit_size)
{
    const guint8 *start = data, *end, *unit;

    if (size == 0) /* where @data may be NULL */
        return found(M2T_STREAM_MORE, 0, M2T_STREAM_UNIT_HEADER_SIZE, skip, unit_size);
    end = start + size;
    unit = find_sync(start, end);
    while (unit) {
        gsize left = end - unit, body;
        const guint8 *inner;

        if (left < M2T_STREAM_UNIT_HEADER_SIZE)
            return found(M2T_STREAM_MORE, unit - start, M2T_STREAM_UNIT_HEADER_SIZE, skip, unit_size);
        body = read_length(unit + SYNC_SIZE);
        if (body > M2T_STREAM_UNIT_MAX) {
            unit = find_sync(unit + SYNC_SIZE, end);
            continue;
        }

        inner = unit + M2T_STREAM_UNIT_HEADER_SIZE;
        inner = find_sync(inner, inner + MIN(left - M2T_STREAM_UNIT_HEADER_SIZE, body + SYNC_SIZE - 1));
        if (!inner)
            return found(left - M2T_STREAM_UNIT_HEADER_SIZE < body ? M2T_STREAM_MORE : M2T_STREAM_UNIT, unit - start,
                         M2T_STREAM_UNIT_HEADER_SIZE + body, skip, unit_size);
        unit = inner;
    }
    return found(M2T_STREAM_MORE, size - sync_tail(start, size), M2T_STREAM_UNIT_HEADER_SIZE, skip, unit_size);
}

void
m2t_stream_unescape(GByteArray *packet, const void *unit, gsize unit_size)
{
    const guint8 *at, *end, *escape, *search;

    g_return_if_fail(unit_size >= M2T_STREAM_UNIT_HEADER_SIZE);

    at = search = (const guint8 *) unit + M2T_STREAM_UNIT_HEADER_SIZE;
    end = (const guint8 *) unit + unit_size;
    while (end - search > 2 && (escape = memchr(search + 2, 3, end - search - 2))) {
        search = escape - 1;
        if (escape[-1] == 0 && escape[-2] == 0) {
            g_byte_array_append(packet, at, escape - at);
            at = search = escape + 1;
        }
    }
    g_byte_array_append(packet, at, end - at);
}
