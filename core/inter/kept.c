/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs of tokens in raster order, kept and coded by turns, a kept one first. The last run needs no length. */
#include "inter/kept.h"
#include "base/varint.h"

#include <string.h>

gboolean
m2t_kept_any(const guint8 *kept, int tokens)
{
    return memchr(kept, 1, tokens) != NULL;
}

gboolean
m2t_kept_all(const guint8 *kept, int tokens)
{
    return memchr(kept, 0, tokens) == NULL;
}

/* The end of the run of tokens like @kind that begins at @begin. */
static int
run_end(const guint8 *kept, int tokens, int begin, guint8 kind)
{
    while (begin < tokens && kept[begin] == kind)
        begin++;
    return begin;
}

static int
count_runs(const guint8 *kept, int tokens)
{
    int runs = 0;

    for (int at = 0; at < tokens; runs++)
        at = run_end(kept, tokens, at, runs % 2 == 0);
    return runs;
}

void
m2t_kept_write(GByteArray *out, const guint8 *kept, int tokens, guint16 reference)
{
    int runs = m2t_kept_any(kept, tokens) ? count_runs(kept, tokens) : 0, at = 0;
    guint8 bytes[2] = {reference & 255, reference >> 8};

    m2t_varint_write(out, (guint32) runs);
    if (runs == 0)
        return;
    g_byte_array_append(out, bytes, sizeof bytes);
    for (int i = 0; i < runs - 1; i++) {
        int end = run_end(kept, tokens, at, i % 2 == 0);

        m2t_varint_write(out, (guint32) (end - at));
        at = end;
    }
}

/* Every run but the first has a token at least, and so has the one without a length. */
static gboolean
read_runs(const guint8 **at, const guint8 *end, guint8 *kept, int tokens, guint32 runs)
{
    int begin = 0;

    for (guint32 i = 0; i < runs - 1; i++) {
        guint32 length;

        if (!m2t_varint_read(at, end, &length) || (length == 0 && i > 0) || length >= (guint32) (tokens - begin))
            return FALSE;
        memset(kept + begin, i % 2 == 0, length);
        begin += (int) length;
    }
    memset(kept + begin, (runs - 1) % 2 == 0, tokens - begin);
    return TRUE;
}

gboolean
m2t_kept_read(const guint8 **at, const guint8 *end, guint8 *kept, int tokens, M2tKeptHead *head)
{
    guint32 runs;

    *head = (M2tKeptHead) {FALSE, 0};
    if (!m2t_varint_read(at, end, &runs))
        return FALSE;
    if (runs == 0) {
        memset(kept, 0, tokens);
        return TRUE;
    }
    if (end - *at < 2)
        return FALSE;
    *head = (M2tKeptHead) {TRUE, (guint16) ((*at)[0] | (*at)[1] << 8)};
    *at += 2;
    return read_runs(at, end, kept, tokens, runs);
}
