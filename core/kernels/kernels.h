/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Everything that is done to numbers outside the matrix products, as a table of functions: one source, built once for every
 * instruction set that pays, chosen at run time. All builds give the same bits (docs/bitstream.md, sections 0 and 6): integers, and
 * IEEE single operations one at a time. Channels are multiples of 8. */
#ifndef M2T_KERNELS_H
#define M2T_KERNELS_H

#include "base/limits.h"

#include <glib.h>

/* The store of a linear layer: @sum and what comes out are [m][n]. */
typedef struct {
    const gint32 *sum, *bias;  /* [m][n], [n] */
    const float *scale;        /* [n] */
    int m, n;
} M2tStore;

/* Ways to do it. */
typedef enum { M2T_STORE_TO8, M2T_STORE_RELU8, M2T_STORE_TO16, M2T_STORE_ADD16, M2T_STORE_TO32 } M2tStoreKind;

#define M2T_FILTER_BLOCKS 16

#define M2T_EXP_SIZE 256
#define M2T_CACHE(width) (2 * (gsize) (width) * M2T_CELLS)

/* One layer's attention. Cells of a window are numbered in coding order, so that what one sees are always the first so many. */
typedef struct {
    int heads, width;          /* width / heads values each */
    const float *logit;        /* [heads] */
    const float *context;      /* [width] */
    const gint16 *rel;         /* [M2T_CELLS queries][heads][M2T_CELLS keys] */
    const guint8 *exp;         /* [M2T_EXP_SIZE + 1], the last one is 0 */
    const guint8 *seen;        /* [M2T_CELLS]: how many cells each one sees */
} M2tAttention;

typedef struct {
    int limit, base, step, levels;
} M2tLevels;

typedef struct {
    const char *name;

    void (*to8)(const M2tStore *s, gint8 *out);
    void (*relu8)(const M2tStore *s, gint8 *out);
    void (*to16)(const M2tStore *s, gint16 *out);
    void (*add16)(const M2tStore *s, gint16 *out);
    void (*to32)(const M2tStore *s, gint32 *out);

    /* For products by floats, which hold integers. */
    void (*to_float)(const gint8 *in, float *out, gsize count);
    void (*from_float)(const float *in, gint32 *out, gsize count);

    /* sum = 128 sum + low, for layers with 15-bit parts */
    void (*combine)(gint32 *sum, const gint32 *low, gsize count);
    void (*narrow)(const gint16 *in, int shift, gint8 *out, gsize count);
    void (*split)(const gint16 *in, gint8 *hi, gint8 *lo, gsize count);

    /* One row of a 3x3 depthwise convolution, to8. @above or @below: NULL outside the grid. */
    void (*depthwise)(const gint8 *above, const gint8 *here, const gint8 *below, int width, int channels, const gint8 *weight,
                      const gint32 *bias, const float *scale, gint8 *out);
    void (*gate)(const gint8 *in, gint8 *out, int rows, int channels); /* in: [rows][2 channels] */

    void (*norm8)(const gint16 *in, const float *scale, gint8 *out, int rows, int width);
    void (*norm16)(const gint16 *in, const float *scale, gint16 *out, int rows, int width);

    /* @rest: what rounding took away, in 1/128. */
    void (*quantise)(const gint32 *s, const gint32 *t, const float *gain, gint16 *out, gint8 *rest, int n);
    void (*dequantise)(const gint16 *in, const gint8 *centroid, const float *gain, gint16 *out, int n); /* @centroid in 1/128, as the unit of @gain */

    /* t and log of n latents */
    void (*features)(const gint16 *latent, const float *feature, const gint8 *log, gint8 *t, gint8 *out_log, int n);
    void (*add_rows)(const gint16 *a, const gint32 *b, gint16 *inout, int n);       /* inout = sat16(inout + a + b) */

    /* Between the four patches of a token, two above and two below, and their channels interleaved, [channels][4]. */
    void (*unshuffle)(const gint8 *above, const gint8 *below, gint8 *out, int channels);
    void (*shuffle)(const gint16 *in, gint16 *above, gint16 *below, int channels);
    /* Of the patches at one place of their tokens: a short-cut's part, with those of the other three between, and the network's; both from grey, in
     * 1/M2T_VALUE_ONE, as what comes out. */
    void (*values)(const gint32 *shortcut, const gint32 *network, gint16 *out, gsize count);

    /* The filter, M2T_FILTER_BLOCKS blocks of a row at once: classes of 4x4 luma blocks; and samples of blocks of @side x @side (4 or 2),
     * out: [side][16 side], with weights [M2T_FILTER_TAPS][M2T_FILTER_ROW]. Both read two values beyond what they work on, all around. */
    void (*classify)(const gint16 *luma, gssize stride, guint8 *class);
    void (*filter)(const gint16 *in, gssize stride, const gint16 *weight, const guint8 *class, int side, guint8 *out);

    /* Queries @begin...@end - 1 of one window. @slot: where each cell is in @qkv ([slots][3 width]: query, key, value) and in @out ([slots][width]);
     * negative: not there, at the edge of the grid. @cache: M2T_CACHE(width) numbers, the window's keys and values as the products want them; those of
     * @begin...@end - 1 are put there, those before must be there. */
    void (*attention)(const M2tAttention *a, const gint8 *qkv, const gint32 *slot, gint16 *cache, int begin, int end, gint8 *out);

    /* @sum, @bias: [2n], first means, then scales. */
    void (*levels)(const M2tLevels *l, const gint32 *sum, const gint32 *bias, const float *mean_scale, const float *level_scale,
                   const gint32 *size, gint32 *mean, guint8 *level, int n);

    /* What n latents of a chain may become (entropy/dependent.h), by four branches, one after the other: of the even and of the odd places of the first
     * quantizer, then of the second, the nearest to what the latent should be, which is so far, @distance, from the value in the centre, in
     * 1/M2T_LATENT_ONE; or, but for @nearest, the next one towards the centre, if that has a lower price, bits and @worth for the error. @at: where the
     * outcome of the centre is, with the first quantizer (entropy/tables.h). @price: [4][n]; @choice: the same shape, how far the value is from the
     * centre, in steps, and, in the lower 8 bits, its centroid. */
    void (*branches)(const guint32 *outcome, int worth, gboolean nearest, const gint32 *distance, const guint32 *at, int n, gint32 *price, gint32 *choice);

    /* What it takes to come to each of the 64 states of a chain, behind n more latents whose branches have these prices, [4][n]. @second: for each latent,
     * which of two states the way to a state came from: state s has bit s % 2 * 4 + s / 16 of byte s / 2 % 8, see m2t_trellis_end(). */
    void (*states)(const gint32 *price, int n, gint32 *sum, guint8 (*second)[8]);

    /* The sums of a linear layer, of those inputs that are not zero: @sum [n] = over all @count pairs of inputs, pair[2i] and pair[2i + 1], times
     * weight[place[i]], which are pairs of weights, [n][2]. */
    void (*sparse)(const gint16 *pair, const guint16 *place, int count, const gint16 *weight, gint32 *sum, int n);
} M2tKernels;

/* By kind. */
static inline void
m2t_kernels_store(const M2tKernels *kernels, const M2tStore *store, M2tStoreKind kind, gpointer out)
{
    switch (kind) {
    case M2T_STORE_TO8:
        kernels->to8(store, out);
        break;
    case M2T_STORE_RELU8:
        kernels->relu8(store, out);
        break;
    case M2T_STORE_TO16:
        kernels->to16(store, out);
        break;
    case M2T_STORE_ADD16:
        kernels->add16(store, out);
        break;
    case M2T_STORE_TO32:
        kernels->to32(store, out);
        break;
    }
}

/* The best table for this CPU. M2T_CPU in the environment ("c", "avx2", "avx512", "avx512icl") asks for a lesser one, for tests. Any thread. */
const M2tKernels *m2t_kernels_get(void);

/* All tables that run here, best first, NULL-terminated. */
const M2tKernels *const *m2t_kernels_all(void);

#endif
