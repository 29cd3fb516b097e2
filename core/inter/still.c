/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pictures are compared with the source of what was coded, not with what a decoder shows, which most presets never work out. Since a token
 * is always compared with the source at the time when it was coded, slow changes add up until they are noticed. */
#include "inter/still.h"
#include "base/tokens.h"
#include "model/model.h"

#include <string.h>

/* The codec's own squared error doubles every 50 quarter steps; per luma sample it is about 3 at q = 0 (Kodak). An eighth of that goes
 * unseen, also where pictures are smooth and the error is far below its usual size. */
#define OCTAVE 50
#define LIMIT_FINEST (64 * 3 / 8)          /* of the 64 luma samples of a patch */

#define COARSER 24                         /* quarter steps that are worth coding a token again */
#define REFINED_SHARE 16                   /* one in so many tokens at a time, so that the bits come evenly */

typedef struct {
    const M2tStill *still;
    const gint8 *patches;
    guint8 *kind;
    int limit;
} StillSearch;

gboolean
m2t_still_init(M2tStill *still, const M2tGeometry *geometry)
{
    *still = (M2tStill) {*geometry};
    still->patches = g_try_malloc((gsize) geometry->patch_rows * geometry->patch_columns * M2T_PATCH_CHANNELS);
    still->q = g_try_malloc(m2t_geometry_tokens(geometry));
    return still->patches && still->q;
}

void
m2t_still_clear(M2tStill *still)
{
    g_free(still->patches);
    g_free(still->q);
}

static int
squared_difference(const gint8 *a, const gint8 *b, int n)
{
    int sum = 0;

    for (int i = 0; i < n; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

/* Two patches that stand side by side, luma and chroma apart: what is small in a token may be all of a patch. */
static gboolean
are_still(const gint8 *a, const gint8 *b, int limit)
{
    gboolean still = TRUE;

    for (int i = 0; i < 2 && still; i++, a += M2T_PATCH_CHANNELS, b += M2T_PATCH_CHANNELS)
        still = squared_difference(a, b, 64) <= limit && squared_difference(a + 64, b + 64, 32) <= limit / 2;
    return still;
}

/* Where the upper two patches of a token are; the lower two are a row of patches further. */
static gsize
token_patches(const M2tGeometry *g, int token)
{
    return (gsize) (2 * (token / g->token_columns) * g->patch_columns + 2 * (token % g->token_columns)) * M2T_PATCH_CHANNELS;
}

static void
search(void *data, int begin, int end, int worker)
{
    const StillSearch *run = data;
    const M2tGeometry *g = &run->still->geometry;
    gsize row = (gsize) g->patch_columns * M2T_PATCH_CHANNELS;

    for (int token = begin; token < end; token++) {
        gsize at = token_patches(g, token);

        gboolean still = are_still(run->patches + at, run->still->patches + at, run->limit) &&
                         are_still(run->patches + at + row, run->still->patches + at + row, run->limit);

        run->kind[token] = still ? M2T_TOKEN_KEPT : M2T_TOKEN_CODED;
    }
}

/* Lets go of some tokens that could be finer by now, going round the picture. */
static void
release_coarse(M2tStill *still, int q, guint8 *kind)
{
    int tokens = m2t_geometry_tokens(&still->geometry), left = (tokens + REFINED_SHARE - 1) / REFINED_SHARE;

    for (int i = 0; i < tokens && left > 0; i++) {
        int token = (still->refined + i) % tokens;

        if (kind[token] == M2T_TOKEN_KEPT && still->q[token] >= q + COARSER) {
            kind[token] = M2T_TOKEN_CODED;
            if (--left == 0)
                still->refined = token + 1;
        }
    }
}

void
m2t_still_find(M2tStill *still, const gint8 *patches, int q, M2tThreads *threads, guint8 *kind)
{
    int tokens = m2t_geometry_tokens(&still->geometry);
    StillSearch run = {still, patches, kind, (LIMIT_FINEST * (OCTAVE + q % OCTAVE) / OCTAVE) << q / OCTAVE};

    if (!still->valid) {
        memset(kind, M2T_TOKEN_CODED, tokens);
        return;
    }
    m2t_threads_run(threads, tokens, still->geometry.token_columns, search, &run);
    release_coarse(still, q, kind);
}

void
m2t_still_store(M2tStill *still, const gint8 *patches, int q, const guint8 *kind)
{
    int tokens = m2t_geometry_tokens(&still->geometry);
    gsize row = (gsize) still->geometry.patch_columns * M2T_PATCH_CHANNELS;

    for (int token = 0; token < tokens; token++) {
        gsize at = token_patches(&still->geometry, token);

        if (kind[token] == M2T_TOKEN_KEPT)
            continue;
        memcpy(still->patches + at, patches + at, 2 * M2T_PATCH_CHANNELS);
        memcpy(still->patches + at + row, patches + at + row, 2 * M2T_PATCH_CHANNELS);
        still->q[token] = kind[token] == M2T_TOKEN_EXACT ? 0 : (guint8) q;
    }
    still->valid = TRUE;
}
