/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Products for x86 CPUs with AVX-512 VNNI. vpdpbusd multiplies unsigned by signed bytes and adds four products at a time to an exact 32-bit sum. The input
 * becomes the unsigned side, 128 added; what that adds to a sum, 128 times the weights of the output, is known beforehand and taken off where the sum
 * begins. Weights lie in panels of 32 outputs, four inputs beside each other, so that a tile reads them in order. */
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

typedef struct {
    gint32 begin[PANEL];           /* of the sums of an output */
    gint8 weight[][PANEL][QUAD];   /* [k / 4] */
} Panel;

static gsize
panel_size(int k)
{
    return sizeof(Panel) + (gsize) k * PANEL;
}

static Panel *
panel_at(gconstpointer packed, int k, int output)
{
    return (Panel *) ((guint8 *) packed + output / PANEL * panel_size(k));
}

/* Outputs behind the last one are zeros. */
static gpointer
pack(const gint8 *weight, int n, int k)
{
    gpointer packed = g_aligned_alloc0((n + PANEL - 1) / PANEL, panel_size(k), 64);

    g_assert(k % QUAD == 0);
    for (int i = 0; i < n; i++) {
        Panel *panel = panel_at(packed, k, i);

        for (int j = 0; j < k; j++) {
            panel->weight[j / QUAD][i % PANEL][j % QUAD] = weight[(gsize) i * k + j];
            panel->begin[i % PANEL] -= OFFSET * weight[(gsize) i * k + j];
        }
    }
    return packed;
}

/* The input of m rows, unsigned; those of the last tile that there are not are whatever they are. */
static gpointer
scratch_new(int m, int n, int k)
{
    return g_aligned_alloc0((gsize) m + TILE_ROWS, k, 64);
}

static void
make_unsigned(const gint8 *restrict in, gsize count, guint8 *restrict out)
{
    for (gsize i = 0; i < count; i++)
        out[i] = (guint8) (in[i] + OFFSET);
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
multiply_tile(const guint8 *in, int k, const Panel *panel, gint32 *sum, int n, int columns)
{
    __m512i low[TILE_ROWS], high[TILE_ROWS];

#pragma GCC unroll 8
    for (int r = 0; r < TILE_ROWS; r++) {
        low[r] = _mm512_load_si512(panel->begin);
        high[r] = _mm512_load_si512(panel->begin + 16);
    }
    for (int j = 0; j < k; j += QUAD) {
        __m512i left = _mm512_load_si512(panel->weight[j / QUAD]), right = _mm512_load_si512(panel->weight[j / QUAD] + 16);

#pragma GCC unroll 8
        for (int r = 0; r < TILE_ROWS; r++) {
            gint32 quad;
            __m512i value;

            memcpy(&quad, in + (gsize) r * k + j, sizeof quad);
            value = _mm512_set1_epi32(quad);
            low[r] = _mm512_dpbusd_epi32(low[r], value, left);
            high[r] = _mm512_dpbusd_epi32(high[r], value, right);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < TILE_ROWS; r++)
        store_row(sum + (gsize) r * n, low[r], high[r], columns);
}

static void
run(gconstpointer packed, const gint8 *in, int m, int n, int k, gint32 *sum, gpointer scratch)
{
    const guint8 *rows = scratch;

    make_unsigned(in, (gsize) m * k, scratch);
    for (int i = 0; i < n; i += PANEL)
        for (int r = 0; r < m; r += TILE_ROWS)
            multiply_tile(rows + (gsize) r * k, k, panel_at(packed, k, i), sum + (gsize) r * n + i, n, MIN(PANEL, n - i));
}

const M2tGemm m2t_gemm_vnni = {"vnni", open_vnni, nothing, nothing, pack, NULL, g_aligned_free, scratch_new, g_aligned_free, run};
#endif
