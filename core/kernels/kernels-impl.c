/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernels, in plain C that compilers turn into vectors; in intrinsics where they do not (multiply_lanes()). Built once per instruction
 * set with M2T_ISA naming it. The loops inside run over channels or cells, have no branches, and no dependence from one turn to the next
 * but for sums of integers. */
#include "kernels/kernels.h"
#include "base/latent.h"

#include <math.h>
#include <string.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

#define CHANNELS_MAX 512 /* docs/model-format.md */
#define WIDE_MAX 16319   /* of a value that is split in two: 127 times 128, and 63 */

static inline gint32
clamp32(gint32 x, gint32 low, gint32 high)
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

    x = x < low ? low : x;
    x = x > high ? high : x;
    x += 12582912.0f;
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
add_float(const float *restrict in, gint32 *restrict inout, gsize count)
{
    for (gsize i = 0; i < count; i++)
        inout[i] += (gint32) in[i];
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
    gint32 half = 1 << shift >> 1;

    for (gsize i = 0; i < count; i++)
        out[i] = clamp8((in[i] + half) >> shift);
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

/* Two products of int8 fit int16, so taps go in pairs. */
#define PAIR(a, b) ((gint32) (gint16) (tap[a][i] * weight[(a) * channels + i] + tap[b][i] * weight[(b) * channels + i]))

static void
depthwise_column(const gint8 *const *tap, int channels, const gint8 *restrict weight, const gint32 *restrict bias, const float *restrict scale,
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
    static const gint8 outside[CHANNELS_MAX];
    const gint8 *row[3] = {above, here, below}, *tap[9];

    for (int x = 0; x < width; x++, out += channels) {
        for (int k = 0; k < 9; k++) {
            int column = x + k % 3 - 1;
            gboolean inside = row[k / 3] && column >= 0 && column < width;

            tap[k] = inside ? row[k / 3] + (gsize) column * channels : outside;
        }
        depthwise_column(tap, channels, weight, bias, scale, out);
    }
}

static void
gate(const gint8 *restrict in, gint8 *restrict out, int rows, int channels)
{
    for (int r = 0; r < rows; r++, in += 2 * channels, out += channels)
        for (int i = 0; i < channels; i++)
            out[i] = clamp8((in[i] * (in[channels + i] + 127) + 64) >> 7);
}

/* 1 / sqrt(V) of a row, and its sum. */
static float
row_spread(const gint16 *restrict in, int width, gint32 *sum_out)
{
    gint32 sum = 0;
    gint64 squares = 0, spread;

    for (int i = 0; i < width; i++) {
        sum += in[i];
        squares += (gint64) ((gint32) in[i] * in[i]);
    }
    *sum_out = sum;
    spread = width * squares - (gint64) sum * sum;
    return spread > 0 ? 1.0f / sqrtf((float) spread) : 0.0f;
}

#define NORMED(i) ((float) (width * in[i] - sum) * t * scale[i])

static void
norm8(const gint16 *restrict in, const float *restrict scale, gint8 *restrict out, int rows, int width)
{
    for (int r = 0; r < rows; r++, in += width, out += width) {
        gint32 sum;
        float t = row_spread(in, width, &sum);

        for (int i = 0; i < width; i++)
            out[i] = round8(NORMED(i));
    }
}

static void
norm16(const gint16 *restrict in, const float *restrict scale, gint16 *restrict out, int rows, int width)
{
    for (int r = 0; r < rows; r++, in += width, out += width) {
        gint32 sum;
        float t = row_spread(in, width, &sum);

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

static void
features(const gint16 *restrict latent, const float *restrict feature, const gint8 *restrict log, gint8 *restrict t, gint8 *restrict out_log, int n)
{
    for (int i = 0; i < n; i++)
        t[i] = round8((float) latent[i] * feature[i]);
    for (int i = 0; i < n; i++)
        out_log[i] = log[t[i] < 0 ? -t[i] : t[i]];
}

static void
add_rows(const gint16 *restrict a, const gint32 *restrict b, gint16 *restrict inout, int n)
{
    for (int i = 0; i < n; i++)
        inout[i] = sat16(inout[i] + a[i] + b[i]);
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
    gint32 absent[M2T_KEYS];

    turn_cells(qkv, a->width, slot, begin, end, cache);
    for (int j = 0; j < M2T_KEYS; j++)
        absent[j] = j < end && slot[j] >= 0 ? 0 : ABSENT;
    for (int head = 0; head < a->heads; head++)
        for (int i = begin; i < end; i++)
            if (slot[i] >= 0)
                attend(a, head, absent, cache, qkv + slot[i] * 3 * (gsize) a->width, a->rel + (gsize) i * a->heads * M2T_KEYS, a->seen[i],
                       out + slot[i] * (gsize) a->width);
}

static void
levels(const M2tLevels *l, const gint32 *restrict sum, const gint32 *restrict bias, const float *restrict mean_scale,
       const float *restrict level_scale, const gint32 *restrict size, gint32 *restrict mean, guint8 *restrict level, int n)
{
    float step = (float) l->step, limit = (float) l->limit;

    for (int i = 0; i < n; i++)
        mean[i] = round_within((float) (sum[i] + bias[i]) * mean_scale[i], -262128.0f, 262128.0f);
    for (int i = 0; i < n; i++) {
        gint32 v = round_within((float) (sum[n + i] + bias[n + i]) * level_scale[i], -limit, limit) + size[i] - l->base;

        /* Numerator below 2^17: the rounded quotient has the same floor as the exact one. */
        level[i] = (guint8) MIN((gint32) ((float) MAX(v, 0) / step), l->levels - 1);
    }
}

#define PASTE(a, b) a##b
#define TABLE(isa) PASTE(m2t_kernels_, isa)
#define QUOTE(x) #x
#define NAME(isa) QUOTE(isa)

const M2tKernels TABLE(M2T_ISA);
const M2tKernels TABLE(M2T_ISA) = {
    NAME(M2T_ISA), to8, relu8, to16, add16, to32, to_float, from_float, add_float, combine, narrow, split, depthwise, gate, norm8, norm16,
    quantise, dequantise, features, add_rows, attention, levels,
};
