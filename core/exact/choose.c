/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Both prices are guessed: that of the samples from how many are like one of those beside them, that of the latents from their size. What latents
 * cost in bits, and their error at the price that bits have at this quantizer, is close to a multiple of the sum of their logarithms, the same for
 * drawn pictures and photographs (correlation 0.94 to 0.99). Integers, so that a file does not depend on the machine. */
#include "exact/choose.h"

#include "model/model.h"

#include <string.h>

#define BIT 16                  /* unit of logarithms */
#define NEW_BITS 8              /* of a sample that is like none of those beside it */
#define OTHER_BITS 3            /* of one that is like another than the one before it */
#define LATENT_WORTH 4          /* bits and error of a latent for each of log2(1 + |y|), */
#define PLAIN_LATENTS 8         /* but for the first: means and slopes of smooth ground, which the prior knows from tokens around */
#define COSTLY 1500             /* bits that no token is worth */
#define FRAME_BITS 2000         /* what all have to save: contexts have to learn first */
#define APART_BITS 32           /* what a token has to save that stands alone among coded ones, for which it is no help */
#define BESIDE_BITS 16          /* what it may cost more beside exact ones, which are no help if it is coded */

typedef struct {
    const M2tGeometry *geometry;
    const M2tPicture *picture;
    const gint16 *latents;
    int n;
    const guint8 *kind;
    guint16 *gain;              /* COSTLY and the bits that are saved; 0: out of the question */
} ChooseRun;

static int
price(int changed, int fresh)
{
    return fresh * NEW_BITS + (changed - fresh) * OTHER_BITS;
}

/* The highest bit of each of eight bytes that differ. */
static inline guint64
differ(const guint8 *a, const guint8 *b)
{
    const guint64 low = 0x7F7F7F7F7F7F7F7F;
    guint64 x, y;

    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    x ^= y;
    return (((x & low) + low) | x) & ~low;
}

static inline int
count_bytes(guint64 marks)
{
    return (int) ((marks >> 7) * 0x0101010101010101 >> 56);
}

static int
inner_line_cost(const guint8 *line, const guint8 *above, int side)
{
    int fresh = 0, changed = 0;

    for (int i = 0; i < side; i += 8) {
        guint64 change = differ(line + i, line + i - 1);

        changed += count_bytes(change);
        fresh += count_bytes(change & differ(line + i, above + i) & differ(line + i, above + i - 1) & differ(line + i, above + i + 1));
    }
    return price(changed, fresh);
}

/* Bits for one line of a square; quickly where there are samples on both sides, as it is asked about nearly all of every picture. */
static int
line_cost(const guint8 *line, const guint8 *above, int left, int side, int width)
{
    int fresh = 0, changed = 0;

    if (left > 0 && left + side < width)
        return inner_line_cost(line + left, above + left, side);
    for (int i = left; i < left + side && i < width; i++) {
        int before = MAX(i - 1, 0), behind = MIN(i + 1, width - 1);
        gboolean change = line[i] != line[before];

        changed += change;
        fresh += change & (line[i] != above[i]) & (line[i] != above[before]) & (line[i] != above[behind]);
    }
    return price(changed, fresh);
}

static int
samples_cost(const M2tGeometry *g, const M2tPicture *picture, int token)
{
    int cost = 0;

    for (int plane = 0; plane < 3; plane++) {
        int width = m2t_geometry_width(g, plane), height = m2t_geometry_height(g, plane), side = plane ? 8 : 16;
        int left = token % g->token_columns * side, top = token / g->token_columns * side;

        for (int y = top; y < top + side && y < height && cost < COSTLY; y++) {
            const guint8 *line = picture->data[plane] + (gssize) y * picture->stride[plane];

            cost += line_cost(line, y > 0 ? line - picture->stride[plane] : line, left, side, width);
        }
    }
    return MIN(cost, COSTLY);
}

static int
latents_worth(const gint16 *latents, int n)
{
    int sum = 0;

    for (int i = PLAIN_LATENTS; i < n; i++)
        if (latents[i]) {
            guint32 v = 1 + (guint32) ABS(latents[i]), octave = g_bit_storage(v) - 1;

            sum += (int) (BIT * octave + (v * BIT >> octave) - BIT);
        }
    return LATENT_WORTH * sum / BIT;
}

static void
weigh(void *data, int begin, int end, int worker)
{
    const ChooseRun *run = data;

    for (int token = begin; token < end; token++) {
        int cost = run->kind[token] == M2T_TOKEN_KEPT ? COSTLY : samples_cost(run->geometry, run->picture, token);

        run->gain[token] = 0;
        if (cost < COSTLY)
            run->gain[token] = (guint16) CLAMP(COSTLY + latents_worth(run->latents + (gsize) token * run->n, run->n) - cost, 0, G_MAXUINT16);
    }
}

/* A token beside one that is exact, before it (@step 1) or behind it (−1) in raster order. */
static gboolean
is_beside_exact(const M2tGeometry *g, const guint8 *kind, int token, int step)
{
    int column = token % g->token_columns, other = token - step * g->token_columns;
    gboolean at_side = step > 0 ? column > 0 : column < g->token_columns - 1;

    return (at_side && kind[token - step] == M2T_TOKEN_EXACT) ||
           (other >= 0 && other < m2t_geometry_tokens(g) && kind[other] == M2T_TOKEN_EXACT);
}

static void
take_back(guint8 *kind, int tokens)
{
    for (int i = 0; i < tokens; i++)
        if (kind[i] == M2T_TOKEN_EXACT)
            kind[i] = M2T_TOKEN_CODED;
}

gboolean
m2t_exact_choose(const M2tGeometry *g, const M2tPicture *picture, const gint16 *latents, int n, M2tThreads *threads, guint16 *gain, guint8 *kind)
{
    ChooseRun run = {g, picture, latents, n, kind, gain};
    int tokens = m2t_geometry_tokens(g), saved = 0;

    m2t_threads_run(threads, tokens, g->token_columns, weigh, &run);
    for (int i = 0; i < tokens; i++)
        if (kind[i] != M2T_TOKEN_KEPT) {
            kind[i] = gain[i] > COSTLY + APART_BITS ? M2T_TOKEN_EXACT : M2T_TOKEN_CODED;
            saved += kind[i] == M2T_TOKEN_EXACT ? gain[i] - COSTLY : 0;
        }
    if (saved < FRAME_BITS) {
        take_back(kind, tokens);
        return FALSE;
    }
    for (int step = 1; step >= -1; step -= 2)
        for (int i = step > 0 ? 0 : tokens - 1; i >= 0 && i < tokens; i += step)
            if (kind[i] == M2T_TOKEN_CODED && gain[i] + BESIDE_BITS > COSTLY && is_beside_exact(g, kind, i, step))
                kind[i] = M2T_TOKEN_EXACT;
    return TRUE;
}
