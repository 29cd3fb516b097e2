/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernels, in plain C that compilers turn into vectors. Built once per instruction set with M2T_ISA naming it. Loops run over channels,
 * have no branches and no dependence from one turn to the next. */
#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

#define CHANNELS_MAX 512 /* docs/model-format.md */

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

/* rnd() of the bitstream document. Adding 1.5 * 2^23 leaves the nearest integer, ties to even, in the low bits of the sum. */
static inline gint32
rnd(float x)
{
    gint32 bits;

    x = x < -2097152.0f ? -2097152.0f : x;
    x = x > 2097152.0f ? 2097152.0f : x;
    x += 12582912.0f;
    memcpy(&bits, &x, sizeof bits);
    return bits - 0x4b400000;
}

#define SCALED(s, row, i) rnd((float) ((s)->sum[(gsize) (row) * (s)->n + (i)] + (s)->bias[i]) * (s)->scale[i])

static void
to8(const M2tStore *s, gint8 *restrict out)
{
    for (int r = 0; r < s->m; r++, out += s->n)
        for (int i = 0; i < s->n; i++)
            out[i] = clamp8(SCALED(s, r, i));
}

static void
relu8(const M2tStore *s, gint8 *restrict out)
{
    for (int r = 0; r < s->m; r++, out += s->n)
        for (int i = 0; i < s->n; i++)
            out[i] = clamp8(SCALED(s, r, i) - 127);
}

static void
to16(const M2tStore *s, gint16 *restrict out)
{
    for (int r = 0; r < s->m; r++, out += s->n)
        for (int i = 0; i < s->n; i++)
            out[i] = sat16(SCALED(s, r, i));
}

static void
add16(const M2tStore *s, gint16 *restrict out)
{
    for (int r = 0; r < s->m; r++, out += s->n)
        for (int i = 0; i < s->n; i++)
            out[i] = sat16(out[i] + sat16(SCALED(s, r, i)));
}

static void
to32(const M2tStore *s, gint32 *restrict out)
{
    for (int r = 0; r < s->m; r++, out += s->n)
        for (int i = 0; i < s->n; i++)
            out[i] = SCALED(s, r, i);
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
        gint32 v = clamp32(in[i], -16319, 16319), h = (v + 64) >> 7;

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

        out[i] = clamp8(rnd((float) (sum + bias[i]) * scale[i]));
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

#define NORMED(i) rnd((float) (width * in[i] - sum) * t * scale[i])

static void
norm8(const gint16 *restrict in, const float *restrict scale, gint8 *restrict out, int rows, int width)
{
    for (int r = 0; r < rows; r++, in += width, out += width) {
        gint32 sum;
        float t = row_spread(in, width, &sum);

        for (int i = 0; i < width; i++)
            out[i] = clamp8(NORMED(i));
    }
}

static void
norm16(const gint16 *restrict in, const float *restrict scale, gint16 *restrict out, int rows, int width)
{
    for (int r = 0; r < rows; r++, in += width, out += width) {
        gint32 sum;
        float t = row_spread(in, width, &sum);

        for (int i = 0; i < width; i++)
            out[i] = sat16(NORMED(i));
    }
}

static void
quantise(const gint32 *restrict s, const gint32 *restrict t, const float *restrict gain, gint16 *restrict out, gint8 *restrict rest, int n)
{
    for (int i = 0; i < n; i++) {
        float v = (float) (s[i] + t[i]) * gain[i];
        gint32 y = clamp32(rnd(v), -16383, 16383);

        out[i] = (gint16) y;
        rest[i] = (gint8) clamp32(rnd((v - (float) y) * 128.0f), -64, 64);
    }
}

static void
dequantise(const gint16 *restrict in, const float *restrict gain, gint16 *restrict out, int n)
{
    for (int i = 0; i < n; i++)
        out[i] = (gint16) clamp32(rnd((float) in[i] * gain[i]), -16319, 16319);
}

static void
features(const gint16 *restrict latent, const float *restrict feature, const gint8 *restrict log, gint8 *restrict t, gint8 *restrict out_log, int n)
{
    for (int i = 0; i < n; i++)
        t[i] = clamp8(rnd((float) latent[i] * feature[i]));
    for (int i = 0; i < n; i++)
        out_log[i] = log[t[i] < 0 ? -t[i] : t[i]];
}

static void
add_rows(const gint16 *restrict a, const gint32 *restrict b, gint16 *restrict inout, int n)
{
    for (int i = 0; i < n; i++)
        inout[i] = sat16(inout[i] + a[i] + b[i]);
}

#define KEY_BLOCK 16
#define VALUE_BLOCK 32
#define HEAD_MAX CHANNELS_MAX
#define ABSENT (-(1 << 28)) /* below every logit */

/* Puts keys @begin...@end - 1 where products with them fill vectors. What is not there, and what a block reads behind the last one, is zero. */
static inline void
turn_keys(const gint8 *qkv, int width, const gint32 *slot, int begin, int end, gint16 *restrict keys)
{
    int padded = (end + KEY_BLOCK - 1) / KEY_BLOCK * KEY_BLOCK;

    for (int j = begin; j < padded; j++) {
        gboolean there = j < end && slot[j] >= 0;
        const gint8 *key = qkv + (there ? slot[j] * 3 * (gsize) width + width : 0);

        for (int i = 0; i < width; i++)
            keys[i * M2T_KEYS + j] = there ? key[i] : 0;
    }
}

/* Two products of int8 fit int16, so channels go in pairs; a head has a multiple of 8. */
static inline void
multiply_keys(const gint16 *keys, const gint8 *restrict query, int count, int size, gint32 *restrict product)
{
    for (int block = 0; block < count; block += KEY_BLOCK) {
        gint32 sum[KEY_BLOCK] = {0};

        for (int i = 0; i < size; i += 2) {
            const gint16 *even = keys + i * M2T_KEYS + block, *odd = even + M2T_KEYS;

            for (int j = 0; j < KEY_BLOCK; j++)
                sum[j] += (gint16) (query[i] * even[j] + query[i + 1] * odd[j]);
        }
        memcpy(product + block, sum, sizeof sum);
    }
}

/* From products to weights; returns their sum. @count is a multiple of the block, what is not seen is absent. */
static inline gint32
softmax(const M2tAttention *a, int head, const gint32 *absent, const gint16 *rel, int seen, int count, gint32 *restrict product, guint8 *restrict weight)
{
    gint32 most = ABSENT, sum = 0;

    for (int j = 0; j < count; j++)
        product[j] = rnd((float) product[j] * a->logit[head]) + rel[j] + absent[j];
    for (int j = seen; j < count; j++)
        product[j] = ABSENT;
    for (int j = 0; j < count; j++)
        most = product[j] > most ? product[j] : most;
    for (int j = 0; j < count; j++) {
        gint32 distance = most - product[j];

        product[j] = distance < M2T_EXP_SIZE ? distance : M2T_EXP_SIZE;
    }
    for (int j = 0; j < count; j++) {
        weight[j] = a->exp[product[j]];
        sum += weight[j];
    }
    return sum;
}

/* @lanes is a constant, so that the sums stay in registers. */
static inline void
mix_lanes(const gint8 *const *value, const guint8 *weight, int count, int first, int lanes, gint32 *restrict out)
{
    gint32 sum[VALUE_BLOCK] = {0};

    for (int j = 0; j < count; j++) {
        const gint8 *v = value[j] + first;
        gint16 w = weight[j];

        for (int i = 0; i < lanes; i++)
            sum[i] += (gint16) (w * v[i]);
    }
    memcpy(out, sum, lanes * sizeof *sum);
}

static inline void
mix_values(const gint8 *const *value, const guint8 *weight, int count, int first, int size, gint32 total, const float *restrict context,
           gint8 *restrict out)
{
    gint32 sum[HEAD_MAX];
    float t = 1.0f / (float) total;
    int done = 0;

    for (; done + VALUE_BLOCK <= size; done += VALUE_BLOCK)
        mix_lanes(value, weight, count, first + done, VALUE_BLOCK, sum + done);
    for (; done < size; done += 8)
        mix_lanes(value, weight, count, first + done, 8, sum + done);
    for (int i = 0; i < size; i++)
        out[i] = clamp8(rnd((float) sum[i] * t * context[i]));
}

/* What the queries of a window have in common. */
typedef struct {
    const gint8 *value[M2T_KEYS];
    gint32 absent[M2T_KEYS];
} Window;

/* @size is a constant where this is inlined for the usual models. */
static inline void
attend_head(const M2tAttention *a, const Window *w, const gint16 *keys, const gint8 *qkv, const gint32 *slot, int begin, int end, int head,
            int size, gint8 *out)
{
    gsize width = a->width, offset = (gsize) head * size;

    for (int i = begin; i < end; i++) {
        gint32 product[M2T_KEYS], sum;
        guint8 weight[M2T_KEYS];
        int seen = a->seen[i], count = (seen + KEY_BLOCK - 1) / KEY_BLOCK * KEY_BLOCK;

        if (slot[i] < 0)
            continue;
        multiply_keys(keys + offset * M2T_KEYS, qkv + slot[i] * 3 * width + offset, count, size, product);
        sum = softmax(a, head, w->absent, a->rel + ((gsize) i * a->heads + head) * M2T_KEYS, seen, count, product, weight);
        mix_values(w->value, weight, seen, (int) offset, size, sum, a->context + offset, out + slot[i] * width + offset);
    }
}

static void
attention(const M2tAttention *a, const gint8 *qkv, const gint32 *slot, gint16 *keys, int begin, int end, gint8 *out)
{
    static const gint8 nothing[CHANNELS_MAX];
    int size = a->width / a->heads;
    Window w;

    turn_keys(qkv, a->width, slot, begin, end, keys);
    for (int j = 0; j < M2T_KEYS; j++) {
        gboolean there = j < end && slot[j] >= 0;

        w.value[j] = there ? qkv + slot[j] * 3 * (gsize) a->width + 2 * a->width : nothing;
        w.absent[j] = there ? 0 : ABSENT;
    }
    for (int head = 0; head < a->heads; head++)
        if (size == 32)
            attend_head(a, &w, keys, qkv, slot, begin, end, head, 32, out);
        else
            attend_head(a, &w, keys, qkv, slot, begin, end, head, size, out);
}

static void
levels(const M2tLevels *l, const gint32 *restrict sum, const gint32 *restrict bias, const float *restrict mean_scale,
       const float *restrict level_scale, const gint32 *restrict size, gint32 *restrict mean, guint8 *restrict level, int n)
{
    float step = (float) l->step;

    for (int i = 0; i < n; i++)
        mean[i] = clamp32(rnd((float) (sum[i] + bias[i]) * mean_scale[i]), -262128, 262128);
    for (int i = 0; i < n; i++) {
        gint32 v = clamp32(rnd((float) (sum[n + i] + bias[n + i]) * level_scale[i]), -l->limit, l->limit) + size[i] - l->base;

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
    NAME(M2T_ISA), to8, relu8, to16, add16, to32, combine, narrow, split, depthwise, gate, norm8, norm16,
    quantise, dequantise, features, add_rows, attention, levels,
};
