/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Products for x86 CPUs with AVX-512 VNNI. vpdpbusd multiplies unsigned by signed bytes and adds four products at a time to an exact 32-bit sum. Weights
 * are the unsigned side, 128 added, so that the input is read as it is; what that adds to a row's sums, 128 times the sum of the row, is taken off where
 * the sums begin. Weights lie in panels of 32 outputs, four inputs beside each other, so that a tile reads them in order. */
#include "nn/gemm.h"

#if M2T_ARCH_X86
#include <immintrin.h>
#include <string.h>

#define VNNI __attribute__((target("avx512f,avx512bw,avx512vnni")))
#define INLINE static inline __attribute__((always_inline))
#define TILE_ROWS 8 /* with two vectors of sums each: more than the latency of the instruction asks for, and M2T_GEMM_ROWS are whole tiles */
#define PANEL 32
#define QUAD 4      /* divides k: lengths in models are multiples of 8 */
#define OFFSET 128

static gboolean
open_vnni(void)
{
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni");
}

static void
nothing(void)
{
}

/* [panel][k / 4][PANEL][4]; outputs behind the last one are whatever they are. */
static gpointer
pack(const gint8 *weight, int n, int k)
{
    int panels = (n + PANEL - 1) / PANEL, quads = k / QUAD;
    guint8 *packed = g_aligned_alloc0((gsize) panels * quads, PANEL * QUAD, 64);

    g_assert(k % QUAD == 0);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < k; j++) {
            gsize place = ((gsize) (i / PANEL) * quads + j / QUAD) * PANEL + i % PANEL;

            packed[place * QUAD + j % QUAD] = (guint8) (weight[(gsize) i * k + j] + OFFSET);
        }
    return packed;
}

/* What a product of m rows needs beside its arguments. */
typedef struct {
    gint32 *begin; /* [m]: of the sums of a row */
    gint8 *tail;   /* [TILE_ROWS][k]: the last rows, since nobody promises that there is anything to read behind them */
} Scratch;

static gpointer
scratch_new(int m, int n, int k)
{
    Scratch *scratch = g_new(Scratch, 1);

    scratch->begin = g_new(gint32, m + TILE_ROWS);
    scratch->tail = g_new0(gint8, (gsize) TILE_ROWS * k);
    return scratch;
}

static void
scratch_free(gpointer data)
{
    Scratch *scratch = data;

    g_free(scratch->begin);
    g_free(scratch->tail);
    g_free(scratch);
}

INLINE VNNI gint32
sum_of_row(const gint8 *in, int k)
{
    __m512i sum = _mm512_setzero_si512();

    for (int j = 0; j < k; j += 64) {
        __mmask64 inside = k - j < 64 ? ((guint64) 1 << (k - j)) - 1 : ~(guint64) 0;

        sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(1), _mm512_maskz_loadu_epi8(inside, in + j));
    }
    return _mm512_reduce_add_epi32(sum);
}

/* Two vectors of sums for each row. */
INLINE VNNI void
store_row(gint32 *sum, __m512i low, __m512i high, int columns)
{
    gint32 whole[PANEL];

    if (columns == PANEL) {
        _mm512_storeu_si512(sum, low);
        _mm512_storeu_si512(sum + 16, high);
        return;
    }
    _mm512_storeu_si512(whole, low);
    _mm512_storeu_si512(whole + 16, high);
    memcpy(sum, whole, columns * sizeof *sum);
}

VNNI static void
multiply_tile(const gint8 *in, int k, const guint8 *panel, const gint32 *begin, gint32 *sum, int n, int columns)
{
    __m512i low[TILE_ROWS], high[TILE_ROWS];

#pragma GCC unroll 8
    for (int r = 0; r < TILE_ROWS; r++)
        low[r] = high[r] = _mm512_set1_epi32(begin[r]);
    for (int j = 0; j < k; j += QUAD, in += QUAD, panel += PANEL * QUAD) {
        __m512i left = _mm512_load_si512(panel), right = _mm512_load_si512(panel + PANEL * QUAD / 2);

#pragma GCC unroll 8
        for (int r = 0; r < TILE_ROWS; r++) {
            gint32 quad;
            __m512i value;

            memcpy(&quad, in + (gsize) r * k, sizeof quad);
            value = _mm512_set1_epi32(quad);
            low[r] = _mm512_dpbusd_epi32(low[r], left, value);
            high[r] = _mm512_dpbusd_epi32(high[r], right, value);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < TILE_ROWS; r++)
        store_row(sum + (gsize) r * n, low[r], high[r], columns);
}

/* m rows, a multiple of TILE_ROWS. */
VNNI static void
multiply_tiles(const guint8 *packed, const gint8 *in, int m, int n, int k, gint32 *sum, gint32 *begin)
{
    for (int r = 0; r < m; r++)
        begin[r] = -OFFSET * sum_of_row(in + (gsize) r * k, k);
    for (int i = 0; i < n; i += PANEL)
        for (int r = 0; r < m; r += TILE_ROWS)
            multiply_tile(in + (gsize) r * k, k, packed + (gsize) i * k, begin + r, sum + (gsize) r * n + i, n, MIN(PANEL, n - i));
}

static void
run(gconstpointer packed, const gint8 *in, int m, int n, int k, gint32 *sum, gpointer memory)
{
    const Scratch *scratch = memory;
    int whole = m - m % TILE_ROWS;

    multiply_tiles(packed, in, whole, n, k, sum, scratch->begin);
    if (whole < m) {
        memcpy(scratch->tail, in + (gsize) whole * k, (gsize) (m - whole) * k);
        multiply_tiles(packed, scratch->tail, TILE_ROWS, n, k, sum + (gsize) whole * n, scratch->begin);
    }
}

const M2tGemm m2t_gemm_vnni = {"vnni", open_vnni, nothing, nothing, pack, NULL, g_aligned_free, scratch_new, scratch_free, run};
#endif
