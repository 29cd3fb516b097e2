/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Products for 64-bit ARM CPUs with dot product instructions, which add up sixteen products each where float arithmetic does four. This
 * file is built with them allowed (meson.build); whether the CPU has them is asked at run time. Weights lie in panels of 8 outputs, quad
 * by quad, so that a tile reads them in order. Zeros at the end of the rows of a tile are left out: most latents are zero, and the rarest
 * come last. */
#include "nn/gemm.h"

#include <arm_neon.h>
#include <string.h>
#include <sys/auxv.h>

#define TILE_ROWS 8 /* with two vectors of sums each, two of weights and one of input: 19 of 32 registers */
#define PANEL 8
#define QUAD 4

static gboolean
open_dotprod(void)
{
    return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
}

static gpointer
no_scratch(int m, int n, int k)
{
    return NULL;
}

/* [panel][k / QUAD][PANEL][QUAD], outputs behind the last one are zeros. */
static gpointer
pack(const gint8 *weight, int n, int k)
{
    gint8 *packed = g_aligned_alloc0((gsize) (n + PANEL - 1) / PANEL * k, PANEL, 64);

    for (int i = 0; i < n; i++)
        for (int j = 0; j < k; j++)
            packed[(gsize) i / PANEL * PANEL * k + (j / QUAD * PANEL + i % PANEL) * QUAD + j % QUAD] = weight[(gsize) i * k + j];
    return packed;
}

/* The same four values of a row for each output. */
static inline int8x16_t
load_quad(const gint8 *in)
{
    gint32 quad;

    memcpy(&quad, in, sizeof quad);
    return vreinterpretq_s8_s32(vdupq_n_s32(quad));
}

static inline void
store_columns(gint32 *sum, int32x4_t left, int32x4_t right, int columns)
{
    gint32 whole[PANEL];

    if (columns == PANEL) {
        vst1q_s32(sum, left);
        vst1q_s32(sum + PANEL / 2, right);
        return;
    }
    vst1q_s32(whole, left);
    vst1q_s32(whole + PANEL / 2, right);
    memcpy(sum, whole, columns * sizeof *sum);
}

/* The first @used of k count. @rows is a constant, so that the sums stay in registers. */
static inline __attribute__((always_inline)) void
multiply_rows(const gint8 *in, const gint8 *panel, int k, int used, int rows, gint32 *sum, int n, int columns)
{
    int32x4_t left[TILE_ROWS], right[TILE_ROWS];

#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
        left[r] = right[r] = vdupq_n_s32(0);
    for (int j = 0; j < used; j += QUAD, panel += PANEL * QUAD) {
        int8x16_t w0 = vld1q_s8(panel), w1 = vld1q_s8(panel + PANEL / 2 * QUAD);

#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            int8x16_t value = load_quad(in + (gsize) r * k + j);

            left[r] = vdotq_s32(left[r], w0, value);
            right[r] = vdotq_s32(right[r], w1, value);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
        store_columns(sum + (gsize) r * n, left[r], right[r], columns);
}

/* How much there is before the zeros at the end of some rows, in whole quads. */
static int
used_of(const gint8 *in, int rows, int k)
{
    int used = k;

    for (; used > 0; used -= 2 * QUAD) {
        int8x8_t any = vdup_n_s8(0);

        for (int r = 0; r < rows; r++)
            any = vorr_s8(any, vld1_s8(in + (gsize) r * k + used - 2 * QUAD));
        if (vget_lane_u64(vreinterpret_u64_s8(any), 0))
            break;
    }
    return used;
}

/* Tiles of TILE_ROWS, then of one. */
static void
run(gconstpointer packed, const gint8 *in, int m, int n, int k, gint32 *sum, gpointer scratch)
{
    for (int row = 0, rows; row < m; row += rows, in += (gsize) rows * k, sum += (gsize) rows * n) {
        int used;

        rows = m - row < TILE_ROWS ? 1 : TILE_ROWS;
        used = used_of(in, rows, k);
        for (int i = 0; i < n; i += PANEL) {
            const gint8 *panel = (const gint8 *) packed + (gsize) i * k;

            if (rows == TILE_ROWS)
                multiply_rows(in, panel, k, used, TILE_ROWS, sum + i, n, MIN(PANEL, n - i));
            else
                multiply_rows(in, panel, k, used, 1, sum + i, n, MIN(PANEL, n - i));
        }
    }
}

const M2tGemm m2t_gemm_dotprod = {
    .name = "dotprod",
    .sparse = 3,
    .open = open_dotprod,
    .pack = pack,
    .free = g_aligned_free,
    .scratch_new = no_scratch,
    .scratch_free = g_free,
    .run = run,
};
