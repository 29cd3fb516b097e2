/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernels, in plain C that compilers turn into vectors; in intrinsics where they do not (multiply_lanes()). Built once per instruction
 * set with M2T_ISA naming it. The loops inside run over channels or cells, have no branches, and no dependence from one turn to the next
 * but for sums of integers. */
#include "kernels/kernels.h"
#include "base/limits.h"

#include <math.h>
#include <string.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

#define WIDE_MAX 16319   /* of a value that is split in two: 127 times 128, and 63 */

static inline gint32
clamp32(gint32 x, gint32 low, gint32 high)
{
    x = x < low ? low : x;
    return x > high ? high : x;
}

static inline float
clampf(float x, float low, float high)
{
    x = x < low ? low : x;
    return x > high ? high : x;
}

static inline gint8
clamp8(gint32 x)
{
    return (gint8) clamp32(x, -127, 127);
}

static inline gint16
sat16(gint32 x)
{
    return (gint16) clamp32(x, -32768, 32767);
}

/* rnd() of the bitstream document between two integers: clamping before rounding gives the same as after it with fewer instructions. Adding
 * 1.5 * 2^23 leaves the nearest integer, ties to even, in the low bits of the sum. */
static inline gint32
round_within(float x, float low, float high)
{
    gint32 bits;

    x = clampf(x, low, high) + 12582912.0f;
    memcpy(&bits, &x, sizeof bits);
    return bits - 0x4b400000;
}

static inline gint32
rnd(float x)
{
    return round_within(x, -2097152.0f, 2097152.0f);
}

static inline gint8
round8(float x)
{
    return (gint8) round_within(x, -127.0f, 127.0f);
}

static inline gint16
round16(float x)
{
    return (gint16) round_within(x, -32768.0f, 32767.0f);
}

#define SCALED(s, row, i) ((float) ((s)->sum[(gsize) (row) * (s)->n + (i)] + (s)->bias[i]) * (s)->scale[i])

static void
to8(const M2tStore *s, gint8 *restrict out)
{
    for (int r = 0; r < s->m; r++, out += s->n)
        for (int i = 0; i < s->n; i++)
            out[i] = round8(SCALED(s, r, i));
}

static void
relu8(const M2tStore *s, gint8 *restrict out)
{
    for (int r = 0; r < s->m; r++, out += s->n)
        for (int i = 0; i < s->n; i++)
            out[i] = (gint8) (round_within(SCALED(s, r, i), 0.0f, 254.0f) - 127);
}

static void
to16(const M2tStore *s, gint16 *restrict out)
{
    for (int r = 0; r < s->m; r++, out += s->n)
        for (int i = 0; i < s->n; i++)
            out[i] = round16(SCALED(s, r, i));
}

static void
add16(const M2tStore *s, gint16 *restrict out)
{
    for (int r = 0; r < s->m; r++, out += s->n)
        for (int i = 0; i < s->n; i++)
            out[i] = sat16(out[i] + round16(SCALED(s, r, i)));
}

static void
to32(const M2tStore *s, gint32 *restrict out)
{
    for (int r = 0; r < s->m; r++, out += s->n)
        for (int i = 0; i < s->n; i++)
            out[i] = rnd(SCALED(s, r, i));
}

static void
to_float(const gint8 *restrict in, float *restrict out, gsize count)
{
    for (gsize i = 0; i < count; i++)
        out[i] = in[i];
}

static void
from_float(const float *restrict in, gint32 *restrict out, gsize count)
{
    for (gsize i = 0; i < count; i++)
        out[i] = (gint32) in[i];
}

static void
combine(gint32 *restrict sum, const gint32 *restrict low, gsize count)
{
    for (gsize i = 0; i < count; i++)
        sum[i] = 128 * sum[i] + low[i];
}

static void
narrow(const gint16 *restrict in, int shift, gint8 *restrict out, gsize count)
{
    gint16 factor = (gint16) (1 << (15 - shift)); /* a shift that rounds is a product in 16 bits */

    if (shift == 0)
        for (gsize i = 0; i < count; i++)
            out[i] = clamp8(in[i]);
    else
        for (gsize i = 0; i < count; i++)
            out[i] = clamp8((gint16) (((in[i] * factor >> 14) + 1) >> 1));
}

static void
split(const gint16 *restrict in, gint8 *restrict hi, gint8 *restrict lo, gsize count)
{
    for (gsize i = 0; i < count; i++) {
        gint32 v = clamp32(in[i], -WIDE_MAX, WIDE_MAX), h = (v + 64) >> 7;

        hi[i] = (gint8) h;
        lo[i] = (gint8) (v - 128 * h);
    }
}

#ifdef __AVX512VNNI__
/* Of 64 channels, four bytes of each side by side, which products work on: part[q] has channels 16 l + 4 q ... 16 l + 4 q + 3 in lane l,
 * for that is how bytes are interleaved, and what packs sums again undoes it. */
typedef struct {
    __m512i part[4];
} Quads;

typedef struct {
    __m512i low, high;
} Pairs;

static inline Pairs
pairs_of(__m512i a, __m512i b)
{
    return (Pairs) {_mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b)};
}

static inline Quads
quads_of(Pairs a, Pairs b)
{
    return (Quads) {{_mm512_unpacklo_epi16(a.low, b.low), _mm512_unpackhi_epi16(a.low, b.low), _mm512_unpacklo_epi16(a.high, b.high),
                     _mm512_unpackhi_epi16(a.high, b.high)}};
}

/* What 64 channels of depthwise() have in common; channels behind the last one are zeros. */
typedef struct {
    Quads weight[2][3];      /* of the first and of the second of two columns side by side, whose quads are the same; by row */
    __m512i bias[4];         /* and what takes away what the 128 more of inputs add */
    __m512 scale[4];
    __mmask64 inside;
} Depthwise;

#define NOTHING _mm512_set1_epi8(-128) /* products want factors of 0...255 on one side, so inputs get 128 more */

static void
depthwise_prepare(Depthwise *d, const gint8 *weight, const gint32 *bias, const float *scale, int channels, int first)
{
    gint32 turned_bias[64] = {0};
    float turned_scale[64] = {0};

    d->inside = ~(guint64) 0 >> MAX(first + 64 - channels, 0);
    for (int i = 0; i < MIN(64, channels - first); i++) {
        int at = i / 4 % 4 * 16 + i / 16 * 4 + i % 4;

        turned_bias[at] = bias[first + i];
        turned_scale[at] = scale[first + i];
    }
    for (int q = 0; q < 4; q++) {
        d->bias[q] = _mm512_loadu_si512(turned_bias + 16 * q);
        d->scale[q] = _mm512_loadu_ps(turned_scale + 16 * q);
    }
    for (int r = 0; r < 3; r++) {
        __m512i w[3], none = _mm512_setzero_si512();

        for (int k = 0; k < 3; k++)
            w[k] = _mm512_maskz_loadu_epi8(d->inside, weight + (3 * r + k) * channels + first);
        d->weight[0][r] = quads_of(pairs_of(w[0], w[1]), pairs_of(w[2], none));
        d->weight[1][r] = quads_of(pairs_of(none, w[0]), pairs_of(w[1], w[2]));
        for (int q = 0; q < 4; q++)
            d->bias[q] = _mm512_sub_epi32(d->bias[q], _mm512_dpbusd_epi32(none, NOTHING, d->weight[0][r].part[q]));
    }
}

/* Of column x and the next. */
static inline Pairs
depthwise_load(const Depthwise *d, const gint8 *row, int x, int width, int channels)
{
    __m512i column[2] = {NOTHING, NOTHING};

    for (int k = 0; k < 2; k++)
        if (row && x + k >= 0 && x + k < width)
            column[k] = _mm512_xor_si512(_mm512_maskz_loadu_epi8(d->inside, row + (gsize) (x + k) * channels), NOTHING);
    return pairs_of(column[0], column[1]);
}

static inline void
depthwise_store(const Depthwise *d, const Quads *factor, int place, gint8 *out)
{
    __m512i value[4];

    for (int q = 0; q < 4; q++) {
        __m512i sum = d->bias[q];

        for (int r = 0; r < 3; r++)
            sum = _mm512_dpbusd_epi32(sum, factor[r].part[q], d->weight[place][r].part[q]);
        value[q] = _mm512_cvtps_epi32(_mm512_min_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sum), d->scale[q]), _mm512_set1_ps(127.0f)));
    }
    value[0] = _mm512_packs_epi16(_mm512_packs_epi32(value[0], value[1]), _mm512_packs_epi32(value[2], value[3]));
    _mm512_mask_storeu_epi8(out, d->inside, _mm512_max_epi8(value[0], _mm512_set1_epi8(-127)));
}

/* Two columns at a time: with their neighbours they are four, and two of those stand in the next two columns' four. */
static void
depthwise(const gint8 *above, const gint8 *here, const gint8 *below, int width, int channels, const gint8 *weight, const gint32 *bias,
          const float *scale, gint8 *out)
{
    for (int first = 0; first < channels; first += 64) {
        const gint8 *row[3] = {above ? above + first : NULL, here + first, below ? below + first : NULL};
        Depthwise d;
        Pairs left[3];

        depthwise_prepare(&d, weight, bias, scale, channels, first);
        for (int r = 0; r < 3; r++)
            left[r] = depthwise_load(&d, row[r], -1, width, channels);
        for (int x = 0; x < width; x += 2) {
            Quads factor[3];

            for (int r = 0; r < 3; r++) {
                Pairs right = depthwise_load(&d, row[r], x + 1, width, channels);

                factor[r] = quads_of(left[r], right);
                left[r] = right;
            }
            for (int place = 0; place < MIN(2, width - x); place++)
                depthwise_store(&d, factor, place, out + (gsize) (x + place) * channels + first);
        }
    }
}
#else
/* Two products of int8 fit int16, so taps go in pairs. */
#define PAIR(a, b) ((gint32) (gint16) (tap[a][i] * weight[(a) * channels + i] + tap[b][i] * weight[(b) * channels + i]))

static void
depthwise_column(const gint8 *const *tap, int channels, const gint16 *restrict weight, const gint32 *restrict bias, const float *restrict scale,
                 gint8 *restrict out)
{
    for (int i = 0; i < channels; i++) {
        gint32 sum = PAIR(0, 1) + PAIR(2, 3) + PAIR(4, 5) + PAIR(6, 7) + tap[8][i] * weight[8 * channels + i];

        out[i] = round8((float) (sum + bias[i]) * scale[i]);
    }
}

static void
depthwise(const gint8 *above, const gint8 *here, const gint8 *below, int width, int channels, const gint8 *weight, const gint32 *bias,
          const float *scale, gint8 *out)
{
    static const gint8 outside[M2T_CHANNELS_MAX];
    const gint8 *row[3] = {above, here, below}, *tap[9];
    gint16 wide[9 * M2T_CHANNELS_MAX];

    for (int i = 0; i < 9 * channels; i++)
        wide[i] = weight[i];
    for (int x = 0; x < width; x++, out += channels) {
        for (int k = 0; k < 9; k++) {
            int column = x + k % 3 - 1;
            gboolean inside = row[k / 3] && column >= 0 && column < width;

            tap[k] = inside ? row[k / 3] + (gsize) column * channels : outside;
        }
        depthwise_column(tap, channels, wide, bias, scale, out);
    }
}
#endif

static void
gate(const gint8 *restrict in, gint8 *restrict out, int rows, int channels)
{
    for (int r = 0; r < rows; r++, in += 2 * channels, out += channels)
        for (int i = 0; i < channels; i++)
            out[i] = clamp8((in[i] * (in[channels + i] + 127) + 64) >> 7);
}

typedef struct {
    gint32 sum;
    float t;                 /* 1 / sqrt(V) */
} Spread;

/* Of one row. Squares of 128 h + l are summed in parts, so that 32 bits and multiply-add instructions of 16 bits do. */
static Spread
row_spread(const gint16 *restrict in, int width)
{
    gint32 sum = 0, hh = 0, hl = 0, ll = 0;
    gint64 spread;

    for (int i = 0; i < width; i++) {
        gint16 h = (gint16) (in[i] >> 7), l = in[i] & 127;

        sum += in[i];
        hh += h * h;
        hl += h * l;
        ll += l * l;
    }
    spread = width * (16384 * (gint64) hh + 256 * (gint64) hl + ll) - (gint64) sum * sum;
    return (Spread) {sum, spread > 0 ? 1.0f / sqrtf((float) spread) : 0.0f};
}

#define NORM_ROWS 8 /* at a time: roots take long, but not each one after the other */
/* Of as many rows as there are, up to NORM_ROWS; returns how many. */
static inline int
find_spreads(const gint16 *in, int rows, int width, Spread *spread)
{
    int m = MIN(rows, NORM_ROWS);

    for (int r = 0; r < m; r++)
        spread[r] = row_spread(in + r * width, width);
    return m;
}

#define NORMED(i) ((float) (width * in[i] - spread[r].sum) * spread[r].t * scale[i])

static void
norm8(const gint16 *restrict in, const float *restrict scale, gint8 *restrict out, int rows, int width)
{
    Spread spread[NORM_ROWS];

    for (int m; rows > 0; rows -= m) {
        m = find_spreads(in, rows, width, spread);
        for (int r = 0; r < m; r++, in += width, out += width)
            for (int i = 0; i < width; i++)
                out[i] = round8(NORMED(i));
    }
}

static void
norm16(const gint16 *restrict in, const float *restrict scale, gint16 *restrict out, int rows, int width)
{
    Spread spread[NORM_ROWS];

    for (int m; rows > 0; rows -= m) {
        m = find_spreads(in, rows, width, spread);
        for (int r = 0; r < m; r++, in += width, out += width)
            for (int i = 0; i < width; i++)
                out[i] = round16(NORMED(i));
    }
}

static void
quantise(const gint32 *restrict s, const gint32 *restrict t, const float *restrict gain, gint16 *restrict out, gint8 *restrict rest, int n)
{
    for (int i = 0; i < n; i++) {
        float v = (float) (s[i] + t[i]) * gain[i];
        gint32 y = round_within(v, -M2T_LATENT_MAX, M2T_LATENT_MAX);

        out[i] = (gint16) y;
        rest[i] = (gint8) round_within((v - (float) y) * M2T_LATENT_ONE, -M2T_LATENT_ONE / 2, M2T_LATENT_ONE / 2);
    }
}

static void
dequantise(const gint16 *restrict in, const gint8 *restrict centroid, const float *restrict gain, gint16 *restrict out, int n)
{
    for (int i = 0; i < n; i++)
        out[i] = (gint16) round_within((float) (M2T_LATENT_ONE * in[i] + centroid[i]) * gain[i], -WIDE_MAX, WIDE_MAX);
}

/* @table: 128 numbers; @index: from -127, by its amount. @n: a multiple of 8. */
static void
look_up(const gint8 *restrict table, const gint8 *restrict index, gint8 *restrict out, int n)
{
    int i = 0;

#ifdef __AVX512VBMI__
    for (__m512i low = _mm512_loadu_si512(table), high = _mm512_loadu_si512(table + 64); i < n; i += 64) {
        __mmask64 inside = ~(guint64) 0 >> MAX(i + 64 - n, 0);
        __m512i at = _mm512_abs_epi8(_mm512_maskz_loadu_epi8(inside, index + i));

        _mm512_mask_storeu_epi8(out + i, inside, _mm512_permutex2var_epi8(low, at, high));
    }
#elif defined(__AVX2__)
    for (; i + 32 <= n; i += 32) {
        __m256i at = _mm256_abs_epi8(_mm256_loadu_si256((const __m256i *) (index + i))), found = _mm256_setzero_si256();

        for (int part = 0; part < 128; part += 16) { /* found where 0x70 more does not reach the highest bit */
            __m256i entries = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *) (table + part)));
            __m256i key = _mm256_adds_epu8(_mm256_sub_epi8(at, _mm256_set1_epi8((gint8) part)), _mm256_set1_epi8(0x70));

            found = _mm256_or_si256(found, _mm256_shuffle_epi8(entries, key));
        }
        _mm256_storeu_si256((__m256i *) (out + i), found);
    }
#endif
    for (; i < n; i++)
        out[i] = table[index[i] < 0 ? -index[i] : index[i]];
}

static void
features(const gint16 *restrict latent, const float *restrict feature, const gint8 *restrict log, gint8 *restrict t, gint8 *restrict out_log, int n)
{
    int i = 0;

#ifdef __AVX512BW__
    for (; i < n; i += 16) { /* parts of 16 and 48: compilers take them one by one, since bytes would fill longer vectors */
        __mmask16 inside = n - i < 16 ? 0xff : 0xffff;
        __m512 x = _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm256_maskz_loadu_epi16(inside, latent + i)));

        x = _mm512_mul_ps(x, _mm512_maskz_loadu_ps(inside, feature + i));
        x = _mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(-127.0f)), _mm512_set1_ps(127.0f));
        _mm_mask_storeu_epi8(t + i, inside, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x)));
    }
#endif
    for (; i < n; i++)
        t[i] = round8((float) latent[i] * feature[i]);
    look_up(log, t, out_log, n);
}

static void
add_rows(const gint16 *restrict a, const gint32 *restrict b, gint16 *restrict inout, int n)
{
    for (int i = 0; i < n; i++)
        inout[i] = sat16(inout[i] + a[i] + b[i]);
}

static void
unshuffle(const gint8 *restrict above, const gint8 *restrict below, gint8 *restrict out, int channels)
{
    for (int i = 0; i < channels; i++) {
        out[4 * i] = above[i];
        out[4 * i + 1] = above[channels + i];
        out[4 * i + 2] = below[i];
        out[4 * i + 3] = below[channels + i];
    }
}

static void
shuffle(const gint16 *restrict in, gint16 *restrict above, gint16 *restrict below, int channels)
{
    for (int i = 0; i < channels; i++) {
        above[i] = in[4 * i];
        above[channels + i] = in[4 * i + 1];
        below[i] = in[4 * i + 2];
        below[channels + i] = in[4 * i + 3];
    }
}

static void
values(const gint32 *restrict shortcut, const gint32 *restrict network, gint16 *restrict out, gsize count)
{
    for (gsize i = 0; i < count; i++)
        out[i] = (gint16) clamp32(shortcut[4 * i] + network[i] + 128 * M2T_VALUE_ONE, 0, M2T_VALUE_MAX);
}

#include "filter-impl.h"
#include "pairs-impl.h"

static void
sparse(const gint16 *pair, const guint16 *place, int count, const gint16 *weight, gint32 *restrict sum, int n)
{
    multiply_pairs(pair, place, count, weight, 2 * (gsize) n, n, sum);
}

#define ABSENT (-(1 << 28)) /* below every logit */

/* Two ways to the same numbers: turn_cells() puts keys and values as the products want them, attend() is one head of one query. */
#ifdef __AVX512VBMI__
#include "attention-icl-impl.h"
#else
#include "attention-impl.h"
#endif

static void
attention(const M2tAttention *a, const gint8 *qkv, const gint32 *slot, gint16 *cache, int begin, int end, gint8 *out)
{
    turn_cells(qkv, a->width, slot, begin, end, cache);
    for (int next; begin < end; begin = next) { /* queries of a group see the same */
        int seen = MIN(a->seen[begin], end);
        gint32 absent[M2T_CELLS];

        for (next = begin + 1; next < end && a->seen[next] == a->seen[begin];)
            next++;
        for (int j = 0; j < M2T_CELLS; j++)
            absent[j] = j < seen && slot[j] >= 0 ? 0 : ABSENT;
        for (int head = 0; head < a->heads; head++)
            for (int i = begin; i < next; i++)
                if (slot[i] >= 0)
                    attend(a, head, absent, cache, qkv + slot[i] * 3 * (gsize) a->width, a->rel + (gsize) i * a->heads * M2T_CELLS, seen,
                           out + slot[i] * (gsize) a->width);
    }
}

static void
levels(const M2tLevels *l, const gint32 *restrict sum, const gint32 *restrict bias, const float *restrict mean_scale,
       const float *restrict level_scale, const gint32 *restrict size, gint32 *restrict mean, guint8 *restrict level, int n)
{
    float per_step = 1.0f / (float) l->step, limit = (float) l->limit;
    float highest = (float) (l->levels - 1);
    gint32 base = l->base, wide[M2T_LATENTS_MAX]; /* levels; vectors of bytes would leave most of a small part to single steps */

    for (int i = 0; i < n; i++)
        mean[i] = round_within((float) (sum[i] + bias[i]) * mean_scale[i], -262128.0f, 262128.0f);
    for (int i = 0; i < n; i++) {
        gint32 v = round_within((float) (sum[n + i] + bias[n + i]) * level_scale[i], -limit, limit) + size[i] - base;

        /* v / step rounded down: v is below 2^17, and half a unit more keeps it farther from the next integer than two roundings
         * can take it. Clamped as floats: gcc makes branches of the same with integers. */
        wide[i] = (gint32) clampf(((float) v + 0.5f) * per_step, 0.0f, highest);
    }
    for (int i = 0; i < n; i++)
        level[i] = (guint8) wide[i];
}

/* Bits and error of a value so many steps from the centre. */
static inline gint32
price_of(guint32 outcome, gint32 worth, gint32 distance, gint32 offset)
{
    gint32 error = distance - M2T_LATENT_ONE * offset - ((gint32) (outcome << 8) >> 24);

    return (gint32) (outcome & 0xFFFF) + (worth * (error * error / M2T_LATENT_ONE) / M2T_LATENT_ONE);
}

static inline void
find_branch(int quantizer, int odd, const guint32 *restrict outcome, gint32 worth, gint32 step, const gint32 *restrict distance, const guint32 *restrict at,
            int n, gint32 *restrict price, gint32 *restrict choice)
{
    for (int i = 0; i < n; i++) {
        gint32 sign = distance[i] < 0 ? -1 : 1, size = sign * distance[i] + M2T_LATENT_ONE * quantizer;
        gint32 place = odd + 2 * ((size + 2 * M2T_LATENT_ONE * (1 - odd)) / (4 * M2T_LATENT_ONE)), other = place - (place > 1 ? step : 0);
        gint32 offset = sign * (2 * place - (place > 0 ? quantizer : 0)), other_offset = sign * (2 * other - (other > 0 ? quantizer : 0));
        guint32 of_place = outcome[(gint32) at[i] + 2 * sign * place + quantizer], of_other = outcome[(gint32) at[i] + 2 * sign * other + quantizer];
        gint32 a = price_of(of_place, worth, distance[i], offset), b = price_of(of_other, worth, distance[i], other_offset);

        price[i] = b < a ? b : a;
        choice[i] = b < a ? other_offset * 256 | (gint32) (of_other >> 16) : offset * 256 | (gint32) (of_place >> 16);
    }
}

static void
branches(const guint32 *outcome, int worth, gboolean nearest, const gint32 *distance, const guint32 *at, int n, gint32 *price, gint32 *choice)
{
    gint32 step = nearest ? 0 : 2;

    find_branch(0, 0, outcome, worth, step, distance, at, n, price, choice);
    find_branch(0, 1, outcome, worth, step, distance, at, n, price + n, choice + n);
    find_branch(1, 0, outcome, worth, step, distance, at, n, price + 2 * n, choice + 2 * n);
    find_branch(1, 1, outcome, worth, step, distance, at, n, price + 3 * n, choice + 3 * n);
}

/* Eight states, or for each of them all ones or zeros. */
typedef gint32 Eight __attribute__((vector_size(32)));

/* Of a block of eight, those two to the left and right change places. */
#define SWAPPED(x) __builtin_shufflevector(x, x, 2, 3, 0, 1, 6, 7, 4, 5)

/* @least is the lesser of itself and @other, and bit @bit of @second says whether it is @other. */
static inline void
take_least(Eight *least, const Eight *other, int bit, Eight *second)
{
    Eight less = *other < *least;

    *second |= less & 1 << bit;
    *least = (*other & less) | (*least & ~less);
}

/* Behind latent @i. State s is reached from two states of quantizer s % 2: with t = s / 2, for odd s xor 16, and 32 more for that quantizer, these are t on an
 * even place and t xor 10 on an odd one (entropy/dependent.h). */
static inline void
pass_latent(const gint32 *price, int n, int i, const Eight *now, Eight *then, guint8 *second)
{
    Eight from = {0};

    for (int block = 0; block < 4; block++) {
        Eight even = now[block] + price[i], even_second = SWAPPED(now[block ^ 1]) + price[n + i];
        Eight odd = now[4 + (block ^ 2)] + price[2 * n + i], odd_second = SWAPPED(now[4 + (block ^ 3)]) + price[3 * n + i];

        take_least(&even, &even_second, block, &from);
        take_least(&odd, &odd_second, 4 + block, &from);
        then[2 * block] = __builtin_shufflevector(even, odd, 0, 8, 1, 9, 2, 10, 3, 11);
        then[2 * block + 1] = __builtin_shufflevector(even, odd, 4, 12, 5, 13, 6, 14, 7, 15);
    }
    for (int lane = 0; lane < 8; lane++)
        second[lane] = (guint8) from[lane];
}

/* Two latents in turn, so that nothing is copied. */
static void
states(const gint32 *price, int n, gint32 *sum, guint8 (*second)[8])
{
    Eight now[8], then[8];
    int i = 0;

    memcpy(now, sum, sizeof now);
    for (; i + 1 < n; i += 2) {
        pass_latent(price, n, i, now, then, second[i]);
        pass_latent(price, n, i + 1, then, now, second[i + 1]);
    }
    if (i < n)
        pass_latent(price, n, i, now, then, second[i]);
    memcpy(sum, i < n ? then : now, sizeof now);
}

#define PASTE(a, b) a##b
#define TABLE(isa) PASTE(m2t_kernels_, isa)
#define QUOTE(x) #x
#define NAME(isa) QUOTE(isa)

const M2tKernels TABLE(M2T_ISA);
const M2tKernels TABLE(M2T_ISA) = {
    .name = NAME(M2T_ISA),
    .to8 = to8,
    .relu8 = relu8,
    .to16 = to16,
    .add16 = add16,
    .to32 = to32,
    .to_float = to_float,
    .from_float = from_float,
    .combine = combine,
    .narrow = narrow,
    .split = split,
    .depthwise = depthwise,
    .gate = gate,
    .norm8 = norm8,
    .norm16 = norm16,
    .quantise = quantise,
    .dequantise = dequantise,
    .features = features,
    .add_rows = add_rows,
    .unshuffle = unshuffle,
    .shuffle = shuffle,
    .values = values,
    .classify = classify,
    .filter = filter,
    .attention = attention,
    .levels = levels,
    .branches = branches,
    .states = states,
    .sparse = sparse,
};
