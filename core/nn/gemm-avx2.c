/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Products for x86 CPUs without VNNI: pairs of 16-bit values multiplied and added by vpmaddwd, which does twice as many products an
 * instruction as float arithmetic, and moves half the bytes. Weights lie in panels of 16 outputs, pair by pair, so that a tile reads them
 * in order; the rows of the input are widened once and stay in the second-level cache while the panels pass. Zeros at the end of the rows
 * of a tile are left out: most latents are zero, and the rarest come last. */
#include "nn/gemm.h"

#if M2T_ARCH_X86
#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2")))
#define INLINE static inline __attribute__((always_inline))
#define TILE_ROWS 6 /* with two vectors of sums each, two of weights and one of input: 15 of 16 registers */
#define PANEL 16

static gboolean
open_avx2(void)
{
    return __builtin_cpu_supports("avx2");
}

/* [panel][k / 2][PANEL][2], outputs behind the last one are zeros. @low: NULL if the weights have 8 bits. */
static gpointer
pack_wide(const gint8 *weight, const gint8 *low, int n, int k)
{
    int panels = (n + PANEL - 1) / PANEL, pairs = k / 2;
    gint16 *packed = g_aligned_alloc0((gsize) panels * pairs * PANEL, 2 * sizeof *packed, 64);

    for (int i = 0; i < n; i++)
        for (int j = 0; j < k; j++) {
            gsize at = (gsize) i * k + j;

            packed[(((gsize) (i / PANEL) * pairs + j / 2) * PANEL + i % PANEL) * 2 + j % 2] = (gint16) (low ? 128 * weight[at] + low[at] : weight[at]);
        }
    return packed;
}

static gpointer
pack(const gint8 *weight, int n, int k)
{
    return pack_wide(weight, NULL, n, k);
}

typedef struct {
    gint16 *wide;   /* the input, [m][pairs][2] */
    gint32 *used;   /* [m] */
} Scratch;

static gpointer
scratch_new(int m, int n, int k)
{
    Scratch *scratch = g_new(Scratch, 1);

    scratch->wide = g_aligned_alloc((gsize) m * (k / 2), 2 * sizeof *scratch->wide, 64);
    scratch->used = g_new(gint32, m);
    return scratch;
}

static void
scratch_free(gpointer data)
{
    Scratch *scratch = data;

    g_aligned_free(scratch->wide);
    g_free(scratch->used);
    g_free(scratch);
}

AVX2 static void
widen(const gint8 *restrict in, gsize count, gint16 *restrict out)
{
    for (gsize i = 0; i < count; i++)
        out[i] = in[i];
}

INLINE AVX2 void
store_columns(gint32 *sum, __m256i low, __m256i high, int columns)
{
    gint32 whole[PANEL];

    if (columns == PANEL) {
        _mm256_storeu_si256((__m256i *) sum, low);
        _mm256_storeu_si256((__m256i *) (sum + 8), high);
        return;
    }
    _mm256_storeu_si256((__m256i *) whole, low);
    _mm256_storeu_si256((__m256i *) (whole + 8), high);
    memcpy(sum, whole, columns * sizeof *sum);
}

/* @used of the pairs count. @rows is a constant, so that the sums stay in registers. */
INLINE AVX2 void
multiply_rows(const gint16 *in, const gint16 *panel, int pairs, int used, int rows, gint32 *sum, int n, int columns)
{
    __m256i low[TILE_ROWS], high[TILE_ROWS];

#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
        low[r] = high[r] = _mm256_setzero_si256();
    for (int p = 0; p < used; p++, in += 2, panel += 2 * PANEL) {
        __m256i left = _mm256_load_si256((const __m256i *) panel), right = _mm256_load_si256((const __m256i *) (panel + PANEL));

#pragma GCC unroll 6
        for (int r = 0; r < rows; r++) {
            gint32 pair;
            __m256i value;

            memcpy(&pair, in + (gsize) 2 * r * pairs, sizeof pair);
            value = _mm256_set1_epi32(pair);
            low[r] = _mm256_add_epi32(low[r], _mm256_madd_epi16(value, left));
            high[r] = _mm256_add_epi32(high[r], _mm256_madd_epi16(value, right));
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
        store_columns(sum + (gsize) r * n, low[r], high[r], columns);
}

/* How many pairs there are before the zeros at the end of some rows. */
AVX2 static int
pairs_before_zeros(const gint16 *in, int rows, int pairs)
{
    int last = pairs;

    for (; last >= 8; last -= 8) {
        __m256i any = _mm256_setzero_si256();

        for (int r = 0; r < rows; r++)
            any = _mm256_or_si256(any, _mm256_loadu_si256((const __m256i *) (in + 2 * ((gsize) r * pairs + last - 8))));
        if (!_mm256_testz_si256(any, any))
            break;
    }
    return last;
}

/* Rows of a tile that has m of them left: TILE_ROWS, then two, then one. */
static int
tile_rows(int m)
{
    return m >= TILE_ROWS ? TILE_ROWS : m >= 2 ? 2 : 1;
}

/* @used: of the pairs, by row, for the first of each tile. */
AVX2 static void
multiply_panel(const gint16 *in, const gint16 *panel, int pairs, const gint32 *used, int m, gint32 *sum, int n, int columns)
{
    gsize pitch = (gsize) 2 * pairs;

    for (; m >= TILE_ROWS; m -= TILE_ROWS, in += TILE_ROWS * pitch, used += TILE_ROWS, sum += (gsize) TILE_ROWS * n)
        multiply_rows(in, panel, pairs, *used, TILE_ROWS, sum, n, columns);
    for (; m >= 2; m -= 2, in += 2 * pitch, used += 2, sum += (gsize) 2 * n)
        multiply_rows(in, panel, pairs, *used, 2, sum, n, columns);
    if (m)
        multiply_rows(in, panel, pairs, *used, 1, sum, n, columns);
}

static void
run(gconstpointer packed, const gint8 *in, int m, int n, int k, gint32 *sum, gpointer memory)
{
    const Scratch *scratch = memory;
    int pairs = k / 2;

    widen(in, (gsize) m * k, scratch->wide);
    for (int row = 0, rows; row < m; row += rows) {
        rows = tile_rows(m - row);
        scratch->used[row] = pairs_before_zeros(scratch->wide + (gsize) 2 * row * pairs, rows, pairs);
    }
    for (int i = 0; i < n; i += PANEL)
        multiply_panel(scratch->wide, (const gint16 *) packed + (gsize) i * 2 * pairs, pairs, scratch->used, m, sum + i, n, MIN(PANEL, n - i));
}

const M2tGemm m2t_gemm_avx2 = {
    .name = "avx2",
    .sparse = 3,
    .open = open_avx2,
    .pack = pack,
    .pack_wide = pack_wide,
    .free = g_aligned_free,
    .scratch_new = scratch_new,
    .scratch_free = scratch_free,
    .run = run,
};
#endif
