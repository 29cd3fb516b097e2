/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Products for x86 CPUs with AVX-512 VNNI. vpdpbusd multiplies unsigned by signed bytes and adds four products at a time to an exact
 * 32-bit sum. Weights are the unsigned side, 128 added, and lie in panels of 32 outputs, four inputs beside each other, so that a tile
 * reads them in order. What the 128 add to the sums of a row, 128 times the sum of the row, is taken off where they begin. Input that is
 * zero adds nothing, then, and where it is zero in all rows of a tile it is left out: most latents are zero, and what is made from them. */
#include "nn/gemm.h"

#if M2T_ARCH_X86
#include <immintrin.h>
#include <string.h>

#define VNNI __attribute__((target("avx512f,avx512bw,avx512vnni")))
#define INLINE static inline __attribute__((always_inline))
#define TILE_ROWS 8 /* with two vectors of sums each: more than the latency of the instruction asks for, and M2T_GEMM_ROWS are whole tiles */
#define PANEL M2T_GEMM_PANEL
#define QUAD 4      /* divides k: lengths in models are multiples of 8 */
#define OFFSET 128

static gboolean
open_vnni(void)
{
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni");
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

/* Rows that are multiplied together. */
typedef struct {
    const gint8 *in;            /* [TILE_ROWS][k] */
    gint32 begin[TILE_ROWS];    /* of the sums of a row */
    gint32 *quad;               /* where the input is not zero, in order; room for 16 more than there can be */
    int quads;
} Tile;

typedef struct {
    Tile *tile;
    gint8 *tail; /* [TILE_ROWS][k]: the last rows, since nobody promises that there is anything to read behind them */
    gint32 *quad;
} Scratch;

static gpointer
scratch_new(int m, int n, int k)
{
    Scratch *scratch = g_new(Scratch, 1);
    int tiles = (m + TILE_ROWS - 1) / TILE_ROWS, room = k / QUAD + 16;

    scratch->tile = g_new0(Tile, tiles);
    scratch->tail = g_new0(gint8, (gsize) TILE_ROWS * k);
    scratch->quad = g_new(gint32, (gsize) tiles * room);
    for (int i = 0; i < tiles; i++)
        scratch->tile[i].quad = scratch->quad + (gsize) i * room;
    return scratch;
}

static void
scratch_free(gpointer data)
{
    Scratch *scratch = data;

    g_free(scratch->tile);
    g_free(scratch->tail);
    g_free(scratch->quad);
    g_free(scratch);
}

INLINE VNNI __m512i
add_pairs(__m512i a, __m512i b)
{
    return _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
}

INLINE VNNI __m512i
add_pairs_of_pairs(__m512i a, __m512i b)
{
    return _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}

/* The sum of each row's lanes. */
INLINE VNNI __m256i
add_lanes(const __m512i *row)
{
    __m512i low = add_pairs_of_pairs(add_pairs(row[0], row[1]), add_pairs(row[2], row[3]));     /* four quarters of rows 0...3 */
    __m512i high = add_pairs_of_pairs(add_pairs(row[4], row[5]), add_pairs(row[6], row[7]));
    __m512i sum = _mm512_add_epi32(_mm512_shuffle_i32x4(low, high, _MM_SHUFFLE(1, 0, 1, 0)),
                                   _mm512_shuffle_i32x4(low, high, _MM_SHUFFLE(3, 2, 3, 2)));

    sum = _mm512_add_epi32(sum, _mm512_shuffle_i32x4(sum, sum, _MM_SHUFFLE(2, 3, 0, 1)));
    return _mm512_castsi512_si256(_mm512_shuffle_i32x4(sum, sum, _MM_SHUFFLE(2, 0, 2, 0)));
}

/* Takes stock of the rows at @in. */
VNNI static void
enter_tile(Tile *tile, const gint8 *in, int k)
{
    const __m512i lanes = _mm512_set_epi32(60, 56, 52, 48, 44, 40, 36, 32, 28, 24, 20, 16, 12, 8, 4, 0);
    __m512i sum[TILE_ROWS];

    tile->in = in;
    tile->quads = 0;
#pragma GCC unroll 8
    for (int r = 0; r < TILE_ROWS; r++)
        sum[r] = _mm512_setzero_si512();
    for (int j = 0; j < k; j += 64) {
        __mmask64 inside = k - j < 64 ? ((guint64) 1 << (k - j)) - 1 : ~(guint64) 0;
        __m512i any = _mm512_setzero_si512();
        __mmask16 set;

#pragma GCC unroll 8
        for (int r = 0; r < TILE_ROWS; r++) {
            __m512i row = _mm512_maskz_loadu_epi8(inside, in + (gsize) r * k + j);

            any = _mm512_or_si512(any, row);
            sum[r] = _mm512_dpbusd_epi32(sum[r], _mm512_set1_epi8(1), row);
        }
        set = _mm512_test_epi32_mask(any, any);
        _mm512_storeu_si512(tile->quad + tile->quads, _mm512_maskz_compress_epi32(set, _mm512_add_epi32(lanes, _mm512_set1_epi32(j))));
        tile->quads += __builtin_popcount(set);
    }
    _mm256_storeu_si256((__m256i *) tile->begin, _mm256_mullo_epi32(add_lanes(sum), _mm256_set1_epi32(-OFFSET)));
}

/* What becomes of sums. Without a store they are kept. */
typedef struct {
    const M2tStore *store;
    M2tStoreKind kind;
    gpointer out;            /* [rows][n] */
    int n;
    const gint32 *before;    /* [rows][n]: sums that these are added to, times 1 << shift; NULL: none. May be @out */
    int shift;
} Target;

INLINE VNNI __m512i
round_within(__m512 x, float low, float high)
{
    return _mm512_cvtps_epi32(_mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(low)), _mm512_set1_ps(high)));
}

/* 16 sums that belong to column @column, into place @at. As the kernels do it (kernels-impl.c). */
INLINE VNNI void
store_vector(const Target *target, __m512i sum, int column, gsize at)
{
    const M2tStore *s = target->store;
    __m512 x = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_add_epi32(sum, _mm512_loadu_si512(s->bias + column))), _mm512_loadu_ps(s->scale + column));
    gint8 *bytes = (gint8 *) target->out + at;
    __m256i *words = (__m256i *) ((gint16 *) target->out + at);

    switch (target->kind) {
    case M2T_STORE_TO8:
        _mm_storeu_si128((__m128i *) bytes, _mm512_cvtepi32_epi8(round_within(x, -127.0f, 127.0f)));
        break;
    case M2T_STORE_RELU8:
        _mm_storeu_si128((__m128i *) bytes, _mm512_cvtepi32_epi8(_mm512_sub_epi32(round_within(x, 0.0f, 254.0f), _mm512_set1_epi32(127))));
        break;
    case M2T_STORE_TO16:
        _mm256_storeu_si256(words, _mm512_cvtepi32_epi16(round_within(x, -32768.0f, 32767.0f)));
        break;
    case M2T_STORE_ADD16:
        sum = _mm512_add_epi32(_mm512_cvtepi16_epi32(_mm256_loadu_si256(words)), round_within(x, -32768.0f, 32767.0f));
        _mm256_storeu_si256(words, _mm512_cvtsepi32_epi16(sum));
        break;
    case M2T_STORE_TO32:
        _mm512_storeu_si512((gint32 *) target->out + at, round_within(x, -2097152.0f, 2097152.0f));
        break;
    }
}

INLINE VNNI void
keep_row(gint32 *sum, __m512i low, __m512i high, int columns)
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

/* The outputs of a panel, from @column on, for the rows of a tile; @row: where those go. @rows of them are there. */
INLINE VNNI void
multiply_tile(const Tile *tile, int k, const guint8 *panel, const Target *target, int row, int rows, int column)
{
    __m512i low[TILE_ROWS], high[TILE_ROWS];
    gsize at = (gsize) row * target->n + column;

#pragma GCC unroll 8
    for (int r = 0; r < TILE_ROWS; r++) {
        low[r] = high[r] = _mm512_set1_epi32(tile->begin[r]);
        if (target->before) {
            const gint32 *before = target->before + at + (gsize) r * target->n;

            low[r] = _mm512_add_epi32(low[r], _mm512_slli_epi32(_mm512_loadu_si512(before), target->shift));
            high[r] = _mm512_add_epi32(high[r], _mm512_slli_epi32(_mm512_loadu_si512(before + 16), target->shift));
        }
    }
    for (int i = 0; i < tile->quads; i++) {
        const gint8 *in = tile->in + tile->quad[i];
        const guint8 *weight = panel + PANEL * (gsize) tile->quad[i];
        __m512i left = _mm512_load_si512(weight), right = _mm512_load_si512(weight + PANEL * QUAD / 2);

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
    for (int r = 0; r < TILE_ROWS; r++, at += target->n) {
        if (!target->store) {
            keep_row((gint32 *) target->out + at, low[r], high[r], MIN(PANEL, target->n - column));
        } else if (r < rows) {
            store_vector(target, low[r], column, at);
            store_vector(target, high[r], column + 16, at + 16);
        }
    }
}

/* Returns the number of tiles. */
static int
enter_tiles(const Scratch *scratch, const gint8 *in, int m, int k)
{
    int whole = m / TILE_ROWS;

    for (int i = 0; i < whole; i++)
        enter_tile(&scratch->tile[i], in + (gsize) i * TILE_ROWS * k, k);
    if (m % TILE_ROWS == 0)
        return whole;
    memcpy(scratch->tail, in + (gsize) whole * TILE_ROWS * k, (gsize) (m % TILE_ROWS) * k);
    enter_tile(&scratch->tile[whole], scratch->tail, k);
    return whole + 1;
}

/* What @target says is constant, so that nothing is decided for each sum. */
INLINE VNNI void
multiply(gconstpointer packed, const gint8 *in, int m, int k, const Target *target, const Scratch *scratch)
{
    int tiles = enter_tiles(scratch, in, m, k);

    for (int column = 0; column < target->n; column += PANEL)
        for (int i = 0; i < tiles; i++)
            multiply_tile(&scratch->tile[i], k, (const guint8 *) packed + (gsize) column * k, target, i * TILE_ROWS, MIN(TILE_ROWS, m - i * TILE_ROWS), column);
}

VNNI static void
run(gconstpointer packed, const gint8 *in, int m, int n, int k, gint32 *sum, gpointer scratch)
{
    multiply(packed, in, m, k, &(Target) {NULL, M2T_STORE_TO8, sum, n}, scratch);
}

VNNI static void
run_and_store(gconstpointer packed, const gint8 *in, int m, int n, int k, const M2tStore *store, M2tStoreKind kind, gpointer out, gpointer scratch)
{
    switch (kind) {
    case M2T_STORE_TO8:
        multiply(packed, in, m, k, &(Target) {store, M2T_STORE_TO8, out, n}, scratch);
        break;
    case M2T_STORE_RELU8:
        multiply(packed, in, m, k, &(Target) {store, M2T_STORE_RELU8, out, n}, scratch);
        break;
    case M2T_STORE_TO16:
        multiply(packed, in, m, k, &(Target) {store, M2T_STORE_TO16, out, n}, scratch);
        break;
    case M2T_STORE_ADD16:
        multiply(packed, in, m, k, &(Target) {store, M2T_STORE_ADD16, out, n}, scratch);
        break;
    case M2T_STORE_TO32:
        multiply(packed, in, m, k, &(Target) {store, M2T_STORE_TO32, out, n}, scratch);
        break;
    }
}

/* The last product, on top of the sums before. */
INLINE VNNI void
finish_wide(gconstpointer packed, const gint8 *in, int m, int n, int k, const M2tStore *store, M2tStoreKind kind, const gint32 *sum, int shift, gpointer out,
            const Scratch *scratch)
{
    if (kind == M2T_STORE_TO32)
        multiply(packed, in, m, k, &(Target) {store, M2T_STORE_TO32, out, n, sum, shift}, scratch);
    else if (kind == M2T_STORE_TO16)
        multiply(packed, in, m, k, &(Target) {store, M2T_STORE_TO16, out, n, sum, shift}, scratch);
    else
        g_assert_not_reached(); /* no layer wants it */
}

VNNI static void
run_wide_and_store(gconstpointer packed, gconstpointer low, const gint8 *hi, const gint8 *lo, int m, int n, int k, const M2tStore *store, M2tStoreKind kind,
                   gint32 *sum, gpointer out, gpointer scratch)
{
    run(packed, hi, m, n, k, sum, scratch);
    if (!low) {
        finish_wide(packed, lo, m, n, k, store, kind, sum, 7, out, scratch);
        return;
    }
    multiply(packed, lo, m, k, &(Target) {NULL, M2T_STORE_TO32, sum, n, sum, 7}, scratch);
    finish_wide(low, hi, m, n, k, store, kind, sum, 0, out, scratch);
}

const M2tGemm m2t_gemm_vnni = {
    .name = "vnni",
    .sparse = 6,
    .open = open_vnni,
    .pack = pack,
    .free = g_aligned_free,
    .scratch_new = scratch_new,
    .scratch_free = scratch_free,
    .run = run,
    .run_and_store = run_and_store,
    .run_wide_and_store = run_wide_and_store,
};
#endif
