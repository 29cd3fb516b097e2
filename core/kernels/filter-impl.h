/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The filter behind the synthesis (docs/bitstream.md, section 6.4), for a row of 16 blocks. Part of kernels-impl.c. */

/* Vectors of 16-bit integers; compilers do not find the rounding product of 16 bits when its factor has been clamped. */
#ifdef __AVX512BW__
typedef __m512i Lanes;
#define LANES 32
#define LANES_LOAD(p) _mm512_loadu_si512(p)
#define LANES_STORE(p, x) _mm512_storeu_si512(p, x)
#define LANES_STORE_SAMPLES(p, x) _mm256_storeu_si256((__m256i *) (p), samples_of(x))
#define LANES_OF(value) _mm512_set1_epi16(value)
#define LANES_ADD _mm512_add_epi16
#define LANES_SUB _mm512_sub_epi16
#define LANES_MIN _mm512_min_epi16
#define LANES_MAX _mm512_max_epi16
#define LANES_WEIGH _mm512_mulhrs_epi16

static inline __m256i
samples_of(__m512i x)
{
    return _mm512_cvtusepi16_epi8(_mm512_max_epi16(_mm512_srai_epi16(x, 6), _mm512_setzero_si512()));
}
#elif defined __AVX2__
typedef __m256i Lanes;
#define LANES 16
#define LANES_LOAD(p) _mm256_loadu_si256((const __m256i *) (p))
#define LANES_STORE_SAMPLES(p, x) _mm_storeu_si128((__m128i *) (p), samples_of(x))
#define LANES_OF(value) _mm256_set1_epi16(value)
#define LANES_ADD _mm256_add_epi16
#define LANES_SUB _mm256_sub_epi16
#define LANES_MIN _mm256_min_epi16
#define LANES_MAX _mm256_max_epi16
#define LANES_WEIGH _mm256_mulhrs_epi16

static inline __m128i
samples_of(__m256i x)
{
    x = _mm256_srai_epi16(x, 6);
    return _mm_packus_epi16(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
}
#else
typedef gint16 Lanes;
#define LANES 1
#define LANES_LOAD(p) (*(p))
#define LANES_STORE_SAMPLES(p, x) (*(p) = (guint8) clamp32((x) >> 6, 0, 255))
#define LANES_OF(value) (value)
#define LANES_ADD(a, b) ((gint16) ((a) + (b)))
#define LANES_SUB(a, b) ((gint16) ((a) - (b)))
#define LANES_MIN(a, b) ((a) < (b) ? (a) : (b))
#define LANES_MAX(a, b) ((a) > (b) ? (a) : (b))
#define LANES_WEIGH(f, w) ((gint16) (((gint32) (f) * (w) + 16384) >> 15))
#endif

static inline Lanes
limited(Lanes x, gint16 limit)
{
    return LANES_MAX(LANES_MIN(x, LANES_OF(limit)), LANES_OF((gint16) -limit));
}

/* The weights of all taps for each place of a row, [M2T_FILTER_TAPS][n]. */
#ifdef __AVX512BW__
static inline void
spread_weights(const gint16 *restrict weight, const guint8 *restrict class, int side, gint16 *restrict out)
{
    int n = side * M2T_FILTER_BLOCKS;
    guint8 block[4 * M2T_FILTER_BLOCKS];
    __m256i classes = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *) class));

    for (int i = 0; i < n; i++)
        block[i] = (guint8) (i / side);
    for (int i = 0; i < n; i += LANES) {
        Lanes here = _mm512_cvtepu8_epi16(_mm256_shuffle_epi8(classes, _mm256_loadu_si256((const __m256i *) (block + i))));
        __mmask32 late = _mm512_test_epi16_mask(here, LANES_OF(64));

        for (int tap = 0; tap < M2T_FILTER_TAPS; tap++) {
            const gint16 *row = weight + tap * M2T_FILTER_ROW;
            Lanes low = _mm512_permutex2var_epi16(LANES_LOAD(row), here, LANES_LOAD(row + 32));
            Lanes high = _mm512_permutex2var_epi16(LANES_LOAD(row + 64), here, LANES_LOAD(row + 96));

            LANES_STORE(out + tap * n + i, _mm512_mask_blend_epi16(late, low, high));
        }
    }
}
#else
static inline void
spread_weights(const gint16 *restrict weight, const guint8 *restrict class, int side, gint16 *restrict out)
{
    for (int tap = 0; tap < M2T_FILTER_TAPS; tap++, weight += M2T_FILTER_ROW)
        for (int block = 0; block < M2T_FILTER_BLOCKS; block++, out += side) {
            guint64 four = (guint16) weight[class[block]] * G_GUINT64_CONSTANT(0x0001000100010001);

            memcpy(out, &four, side * sizeof *out);
        }
}
#endif

/* What the pair of values @away from @v, both ways, adds to it; @w: the weight for the first limit, those for the others n behind each other. */
static inline Lanes
weigh_pair(const gint16 *v, gssize away, const gint16 *w, int n)
{
    static const gint16 limits[M2T_FILTER_LIMITS] = M2T_FILTER_LIMIT_VALUES;
    Lanes here = LANES_LOAD(v), a = LANES_SUB(LANES_LOAD(v + away), here), b = LANES_SUB(LANES_LOAD(v - away), here), sum = LANES_OF(0);

    for (int i = 0; i < M2T_FILTER_LIMITS; i++)
        sum = LANES_ADD(sum, LANES_WEIGH(LANES_ADD(limited(a, limits[i]), limited(b, limits[i])), LANES_LOAD(w + i * n)));
    return sum;
}

/* @side: a constant where it counts. */
static inline void
filter_blocks(const gint16 *restrict in, gssize stride, const gint16 *restrict weight, const guint8 *class, int side, guint8 *restrict out)
{
    const gssize away[M2T_FILTER_PAIRS] = {1, 2, stride - 1, stride, stride + 1, 2 * stride};
    int n = side * M2T_FILTER_BLOCKS;
    gint16 spread[M2T_FILTER_TAPS * 4 * M2T_FILTER_BLOCKS];

    spread_weights(weight, class, side, spread);
    for (int row = 0; row < side; row++, in += stride, out += n)
        for (int i = 0; i < n; i += LANES) {
            Lanes sum = LANES_ADD(LANES_LOAD(in + i), LANES_OF(M2T_VALUE_ONE / 2));

            for (int pair = 0; pair < M2T_FILTER_PAIRS; pair++)
                sum = LANES_ADD(sum, weigh_pair(in + i, away[pair], spread + M2T_FILTER_LIMITS * pair * n + i, n));
            LANES_STORE_SAMPLES(out + i, sum);
        }
}

static void
filter(const gint16 *in, gssize stride, const gint16 *weight, const guint8 *class, int side, guint8 *out)
{
    if (side == 4)
        filter_blocks(in, stride, weight, class, 4, out);
    else
        filter_blocks(in, stride, weight, class, 2, out);
}

static inline gint16
roughness(const gint16 *v, gssize away)
{
    gint16 second = (gint16) (2 * v[0] - v[away] - v[-away]);

    return (gint16) (ABS(second) >> 4);
}

static void
classify(const gint16 *restrict luma, gssize stride, guint8 *restrict class)
{
    gint16 column[4][4 * M2T_FILTER_BLOCKS] = {{0}};
    gint32 sum[4][M2T_FILTER_BLOCKS];

    for (int y = 0; y < 4; y++, luma += stride)
        for (int i = 0; i < 4 * M2T_FILTER_BLOCKS; i++) {
            column[0][i] += roughness(luma + i, stride);
            column[1][i] += roughness(luma + i, 1);
            column[2][i] += roughness(luma + i, stride + 1);
            column[3][i] += roughness(luma + i, stride - 1);
        }
    for (int direction = 0; direction < 4; direction++)
        for (int i = 0; i < M2T_FILTER_BLOCKS; i++) { /* a product adds four columns, of at most 4 * 2040 */
            guint64 four;

            memcpy(&four, column[direction] + 4 * i, sizeof four);
            sum[direction][i] = (gint32) (four * G_GUINT64_CONSTANT(0x0001000100010001) >> 48);
        }
    for (int i = 0; i < M2T_FILTER_BLOCKS; i++) {
        gint32 straight = MIN(sum[0][i], sum[1][i]), slanted = MIN(sum[2][i], sum[3][i]), activity = sum[0][i] + sum[1][i];
        gint32 low = MIN(straight, slanted), total = straight <= slanted ? activity : sum[2][i] + sum[3][i], across = total - low;
        int second_straight = sum[1][i] < sum[0][i], second_slanted = sum[3][i] < sum[2][i];
        int sector = straight <= slanted ? 2 * second_straight + second_slanted : 4 + 2 * second_slanted + second_straight;
        int strength = (across > 2 * low) + (across > 4 * low);

        class[i] = (guint8) ((3 * sector + strength) * 5 + (activity >= 512) + (activity >= 1024) + (activity >= 2304) + (activity >= 5120));
    }
}
