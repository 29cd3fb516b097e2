/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The head of a slice of an inter frame. */
#include "inter/kept.h"
#include "base/varint.h"

void
m2t_kept_write(GByteArray *out, const guint8 *kind, int tokens, guint16 reference)
{
    int runs = m2t_tokens_count_runs(kind, tokens, M2T_TOKEN_KEPT, M2T_TOKEN_NONE);
    guint8 bytes[2] = {reference & 255, reference >> 8};

    m2t_varint_write(out, (guint32) runs);
    if (runs == 0)
        return;
    g_byte_array_append(out, bytes, sizeof bytes);
    m2t_tokens_write_runs(out, kind, tokens, M2T_TOKEN_KEPT, M2T_TOKEN_NONE, runs);
}

gboolean
m2t_kept_read(const guint8 **at, const guint8 *end, guint8 *kind, int tokens, M2tKeptHead *head)
{
    guint32 runs;

    *head = (M2tKeptHead) {FALSE, 0};
    memset(kind, M2T_TOKEN_CODED, tokens);
    if (!m2t_varint_read(at, end, &runs))
        return FALSE;
    if (runs == 0)
        return TRUE;
    if (end - *at < 2)
        return FALSE;
    *head = (M2tKeptHead) {TRUE, (guint16) ((*at)[0] | (*at)[1] << 8)};
    *at += 2;
    return m2t_tokens_read_runs(at, end, kind, tokens, M2T_TOKEN_KEPT, M2T_TOKEN_NONE, runs);
}
