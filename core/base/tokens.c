/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/tokens.h"
#include "base/varint.h"

gboolean
m2t_tokens_all(const guint8 *kind, int tokens, M2tTokenKind which)
{
    int i = 0;

    while (i < tokens && kind[i] == which)
        i++;
    return i == tokens;
}

/* Moves *at behind the run of tokens that are (@in) or are not @which. -> its length */
static int
skip_run(const guint8 *kind, int tokens, M2tTokenKind which, M2tTokenKind passed, gboolean in, int *at)
{
    int length = 0;

    for (; *at < tokens && (kind[*at] == passed || (kind[*at] == which) == in); ++*at)
        length += kind[*at] != passed;
    return length;
}

int
m2t_tokens_count_runs(const guint8 *kind, int tokens, M2tTokenKind which, M2tTokenKind passed)
{
    int runs = 0;

    if (m2t_tokens_any(kind, tokens, which))
        for (int at = 0; at < tokens; runs++)
            skip_run(kind, tokens, which, passed, runs % 2 == 0, &at);
    return runs;
}

void
m2t_tokens_write_runs(GByteArray *out, const guint8 *kind, int tokens, M2tTokenKind which, M2tTokenKind passed, int runs)
{
    int at = 0;

    for (int i = 0; i < runs - 1; i++)
        m2t_varint_write(out, (guint32) skip_run(kind, tokens, which, passed, i % 2 == 0, &at));
}

/* Sets @length tokens from *at on, which moves behind them. FALSE: there are not so many. */
static gboolean
set_run(guint8 *kind, int tokens, M2tTokenKind value, M2tTokenKind passed, guint32 length, int *at)
{
    for (; *at < tokens && length > 0; ++*at)
        if (kind[*at] != passed) {
            kind[*at] = (guint8) value;
            length--;
        }
    return length == 0;
}

/* Every run but the first has a token at least, and so has the one without a length. */
gboolean
m2t_tokens_read_runs(const guint8 **at, const guint8 *end, guint8 *kind, int tokens, M2tTokenKind which, M2tTokenKind passed, guint32 runs)
{
    int token = 0;

    for (guint32 i = 0; i < runs; i++) {
        M2tTokenKind value = i % 2 == 0 ? which : M2T_TOKEN_CODED;
        gboolean last = i == runs - 1;
        guint32 length = 1;

        if (!last && (!m2t_varint_read(at, end, &length) || (length == 0 && i > 0)))
            return FALSE;
        if (!set_run(kind, tokens, value, passed, length, &token))
            return FALSE;
        if (last)
            set_run(kind, tokens, value, passed, (guint32) tokens, &token);
    }
    return TRUE;
}
