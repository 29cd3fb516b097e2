/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attention of one head of one query for x86 CPUs from Ice Lake and Zen 4 on: products by vpdpbusd, and the table of the exponential in
 * registers, where vpermi2b looks up all keys at once. A part of kernels-impl.c. */

#define QUAD 4                      /* factors that a product adds up at once */
#define KEY_OFFSET 128              /* makes keys unsigned, which one side of a product has to be */
#define VECTORS (M2T_CELLS / 16)     /* of a number for each key */

/* Keys in quads of channels, [width / 4][M2T_CELLS][4], and values in quads of keys, [M2T_CELLS / 4][width][4]. */
static void
turn_key(const gint8 *key, int width, int j, guint8 *keys)
{
    for (int i = 0; i < width; i += QUAD) {
        guint32 quad;

        memcpy(&quad, key + i, QUAD);
        quad ^= 0x01010101u * KEY_OFFSET;
        memcpy(keys + i * M2T_CELLS + QUAD * j, &quad, QUAD);
    }
}

static void
turn_value(const gint8 *value, int width, int j, gint8 *values)
{
    const __mmask64 byte = G_GUINT64_CONSTANT(0x1111111111111111) << j % QUAD;

    values += (gsize) (j / QUAD) * QUAD * width;
    for (int i = 0; i < width; i += 16) {
        gboolean half = width - i < 16;
        __m512i spread = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(half ? 0xff : 0xffff, value + i));

        spread = _mm512_sll_epi32(spread, _mm_cvtsi32_si128(8 * (j % QUAD)));
        _mm512_mask_storeu_epi8(values + QUAD * i, half ? byte & 0xffffffff : byte, spread);
    }
}

/* Cells @begin...@end - 1; a cell that is not there is zeros. Others of an incomplete quad are whatever they are: their weights are zero. */
static void
turn_cells(const gint8 *qkv, int width, const gint32 *slot, int begin, int end, gint16 *cache)
{
    static const gint8 nothing[2 * M2T_CHANNELS_MAX];
    guint8 *keys = (guint8 *) cache, *values = keys + (gsize) width * M2T_CELLS;

    for (int j = begin; j < end; j++) {
        const gint8 *key = slot[j] >= 0 ? qkv + slot[j] * 3 * (gsize) width + width : nothing;

        turn_key(key, width, j, keys);
        turn_value(key + width, width, j, (gint8 *) values);
    }
}

static inline __m512i
broadcast_quad(gconstpointer factors)
{
    gint32 quad;

    memcpy(&quad, factors, QUAD);
    return _mm512_set1_epi32(quad);
}

/* rnd() of 16 numbers. */
static inline __m512i
rnd_vector(__m512 x)
{
    return _mm512_cvtps_epi32(_mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(-2097152.0f)), _mm512_set1_ps(2097152.0f)));
}

/* Products of a query's head, [size], with the first 16 @vectors keys. What the offset of the keys adds is the same for all of them. */
static inline __attribute__((always_inline)) void
multiply_keys(const gint8 *query, int size, const guint8 *keys, int vectors, __m512i *product)
{
    __m512i added = _mm512_setzero_si512();

    for (int v = 0; v < vectors; v++)
        product[v] = _mm512_setzero_si512();
    for (int i = 0; i < size; i += QUAD, keys += QUAD * M2T_CELLS) {
        __m512i quad = broadcast_quad(query + i);

        added = _mm512_dpbusd_epi32(added, _mm512_set1_epi8((char) KEY_OFFSET), quad);
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            product[v] = _mm512_dpbusd_epi32(product[v], _mm512_loadu_si512(keys + 64 * v), quad);
    }
    for (int v = 0; v < vectors; v++)
        product[v] = _mm512_sub_epi32(product[v], added);
}

/* exp[distance] of 64 distances below 256. */
static inline __m512i
exponential(const guint8 *exp, __m512i distance)
{
    __m512i near = _mm512_permutex2var_epi8(_mm512_loadu_si512(exp), distance, _mm512_loadu_si512(exp + 64));
    __m512i far = _mm512_permutex2var_epi8(_mm512_loadu_si512(exp + 128), distance, _mm512_loadu_si512(exp + 192));

    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(distance), near, far);
}

/* From products to weights of M2T_CELLS keys. */
static inline __attribute__((always_inline)) void
softmax(const M2tAttention *a, int head, const gint32 *absent, const gint16 *rel, int seen, int vectors, __m512i *product, guint8 *weight)
{
    const __m512i none = _mm512_set1_epi32(ABSENT);
    __m512i most = none, distance = _mm512_setzero_si512();
    __mmask64 counts = 0;

    for (int v = 0; v < vectors; v++) {
        __mmask16 inside = (__mmask16) (seen - 16 * v >= 16 ? 0xffff : (1 << (seen - 16 * v)) - 1);
        __m512i sum = rnd_vector(_mm512_mul_ps(_mm512_cvtepi32_ps(product[v]), _mm512_set1_ps(a->logit[head])));

        sum = _mm512_add_epi32(sum, _mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *) (rel + 16 * v))));
        product[v] = _mm512_mask_add_epi32(none, inside, sum, _mm512_loadu_si512(absent + 16 * v));
        most = _mm512_max_epi32(most, product[v]);
    }
    most = _mm512_set1_epi32(_mm512_reduce_max_epi32(most));
    for (int v = 0; v < vectors; v++) {
        __m512i away = _mm512_sub_epi32(most, product[v]);

        counts |= (__mmask64) _mm512_cmplt_epi32_mask(away, _mm512_set1_epi32(M2T_EXP_SIZE)) << 16 * v;
        distance = _mm512_mask_broadcast_i32x4(distance, (__mmask16) (0xf << 4 * v), _mm512_cvtepi32_epi8(away));
    }
    _mm512_storeu_si512(weight, _mm512_maskz_mov_epi8(counts, exponential(a->exp, distance)));
}

/* Values weighted, for 32 channels or what is left of them, divided by the sum of the weights. */
static inline void
multiply_values(const guint8 *weight, int quads, const gint8 *values, int width, const float *context, int channels, gint8 *out)
{
    __mmask16 inside[2] = {(__mmask16) (channels < 16 ? 0x00ff : 0xffff), (__mmask16) (channels <= 16 ? 0 : channels < 32 ? 0x00ff : 0xffff)};
    __m512i sum[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()}, all = _mm512_setzero_si512();
    __m512 t;

    for (int i = 0; i < quads; i++, values += QUAD * (gsize) width) {
        __m512i quad = broadcast_quad(weight + QUAD * i);

        all = _mm512_dpbusd_epi32(all, quad, _mm512_set1_epi8(1));
#pragma GCC unroll 2
        for (int v = 0; v < 2; v++)
            sum[v] = _mm512_dpbusd_epi32(sum[v], quad, _mm512_maskz_loadu_epi32(inside[v], values + 64 * v));
    }
    t = _mm512_div_ps(_mm512_set1_ps(1.0f), _mm512_cvtepi32_ps(all));
    for (int v = 0; v < 2; v++) {
        __m512 scaled = _mm512_mul_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sum[v]), t), _mm512_maskz_loadu_ps(inside[v], context + 16 * v));

        scaled = _mm512_min_ps(_mm512_max_ps(scaled, _mm512_set1_ps(-127.0f)), _mm512_set1_ps(127.0f));
        _mm512_mask_cvtepi32_storeu_epi8(out + 16 * v, inside[v], _mm512_cvtps_epi32(scaled));
    }
}

/* @vectors is a constant, so that products stay in registers. */
static inline __attribute__((always_inline)) void
attend_vectors(const M2tAttention *a, int head, const gint32 *absent, const gint16 *cache, const gint8 *query, const gint16 *rel, int seen, int vectors,
               gint8 *out)
{
    const guint8 *keys = (const guint8 *) cache;
    const gint8 *values = (const gint8 *) keys + (gsize) a->width * M2T_CELLS;
    int size = a->width / a->heads, offset = head * size;
    __m512i product[VECTORS];
    guint8 weight[M2T_CELLS];

    multiply_keys(query + offset, size, keys + (gsize) offset * M2T_CELLS, vectors, product);
    softmax(a, head, absent, rel + head * M2T_CELLS, seen, vectors, product, weight);
    for (int i = 0; i < size; i += 32)
        multiply_values(weight, (seen + QUAD - 1) / QUAD, values + QUAD * (offset + i), a->width, a->context + offset + i, size - i, out + offset + i);
}

static inline void
attend(const M2tAttention *a, int head, const gint32 *absent, const gint16 *cache, const gint8 *query, const gint16 *rel, int seen, gint8 *out)
{
    switch ((seen + 15) / 16) {
    case 1:
        attend_vectors(a, head, absent, cache, query, rel, seen, 1, out);
        break;
    case 2:
        attend_vectors(a, head, absent, cache, query, rel, seen, 2, out);
        break;
    case 3:
        attend_vectors(a, head, absent, cache, query, rel, seen, 3, out);
        break;
    default:
        attend_vectors(a, head, absent, cache, query, rel, seen, 4, out);
    }
}
