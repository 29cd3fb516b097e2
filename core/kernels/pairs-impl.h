/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Products of pairs of 16-bit values: a part of kernels-impl.c. */

/* sum[i] of the lanes = factor[0] row[2i] + factor[1] row[2i + 1], over all pairs of factors and their rows, which are those of these
 * places, or the first ones if @place is NULL. @lanes is a constant, so that the sums stay in registers. */
#ifdef __AVX2__
#define LANES_MOST 64

static inline __attribute__((always_inline)) void
multiply_lanes(const gint16 *factor, const guint16 *place, int pairs, const gint16 *rows, gsize pitch, int lanes, gint32 *restrict sum)
{
    __m256i total[LANES_MOST / 8];

    for (int v = 0; v < lanes / 8; v++)
        total[v] = _mm256_setzero_si256();
    for (int p = 0; p < pairs; p++) {
        const gint16 *row = rows + (place ? place[p] : p) * pitch;
        gint32 pair;
        __m256i both;

        memcpy(&pair, factor + 2 * p, sizeof pair);
        both = _mm256_set1_epi32(pair);
        for (int v = 0; v < lanes / 8; v++)
            total[v] = _mm256_add_epi32(total[v], _mm256_madd_epi16(both, _mm256_loadu_si256((const __m256i *) (row + 16 * v))));
    }
    for (int v = 0; v < lanes / 8; v++)
        _mm256_storeu_si256((__m256i *) (sum + 8 * v), total[v]);
}
#else
#define LANES_MOST 32

static inline void
multiply_lanes(const gint16 *factor, const guint16 *place, int pairs, const gint16 *rows, gsize pitch, int lanes, gint32 *restrict sum)
{
    gint32 total[LANES_MOST] = {0};

    for (int p = 0; p < pairs; p++) {
        const gint16 *row = rows + (place ? place[p] : p) * pitch;

        for (int i = 0; i < lanes; i++)
            total[i] += factor[2 * p] * row[2 * i] + factor[2 * p + 1] * row[2 * i + 1];
    }
    memcpy(sum, total, lanes * sizeof *sum);
}
#endif

/* @lanes: a multiple of 8. */
static inline void
multiply_pairs(const gint16 *factor, const guint16 *place, int pairs, const gint16 *rows, gsize pitch, int lanes, gint32 *restrict sum)
{
    int done = 0;

    for (; done + LANES_MOST <= lanes; done += LANES_MOST)
        multiply_lanes(factor, place, pairs, rows + 2 * done, pitch, LANES_MOST, sum + done);
    for (; done + 32 <= lanes; done += 32)
        multiply_lanes(factor, place, pairs, rows + 2 * done, pitch, 32, sum + done);
    for (; done + 16 <= lanes; done += 16)
        multiply_lanes(factor, place, pairs, rows + 2 * done, pitch, 16, sum + done);
    for (; done < lanes; done += 8)
        multiply_lanes(factor, place, pairs, rows + 2 * done, pitch, 8, sum + done);
}
