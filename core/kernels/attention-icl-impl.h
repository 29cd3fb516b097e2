/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attention of one head of one query for x86 CPUs from Ice Lake and Zen 4 on: products by vpdpbusd, and the table of the exponential in
 * registers, where vpermi2b looks up all keys at once. A part of kernels-impl.c. */

#define QUAD 4                      /* factors that a product adds up at once */
#define KEY_OFFSET 128              /* makes keys unsigned, which one side of a product has to be */
#define VECTORS (M2T_CELLS / 16)     /* of a number for each key */
#define USUAL_SIZE 32               /* channels of a head */

/* 16 rows of 16 numbers become 16 columns. */
static inline __attribute__((always_inline)) void
transpose(__m512i *row)
{
    __m512i pair[16];

    for (int i = 0; i < 16; i += 2) {
        pair[i] = _mm512_unpacklo_epi32(row[i], row[i + 1]);
        pair[i + 1] = _mm512_unpackhi_epi32(row[i], row[i + 1]);
    }
    for (int i = 0; i < 16; i += 2) { /* row[4r + c]: of rows 4r ... 4r + 3 column c, and each fourth from there */
        int first = i & ~3, half = i / 2 % 2;

        row[i] = _mm512_unpacklo_epi64(pair[first + half], pair[first + half + 2]);
        row[i + 1] = _mm512_unpackhi_epi64(pair[first + half], pair[first + half + 2]);
    }
    for (int c = 0; c < 4; c++) {
        __m512i even = _mm512_shuffle_i32x4(row[c], row[4 + c], 0x88), even_below = _mm512_shuffle_i32x4(row[8 + c], row[12 + c], 0x88);
        __m512i odd = _mm512_shuffle_i32x4(row[c], row[4 + c], 0xdd), odd_below = _mm512_shuffle_i32x4(row[8 + c], row[12 + c], 0xdd);

        row[c] = _mm512_shuffle_i32x4(even, even_below, 0x88);
        row[4 + c] = _mm512_shuffle_i32x4(odd, odd_below, 0x88);
        row[8 + c] = _mm512_shuffle_i32x4(even, even_below, 0xdd);
        row[12 + c] = _mm512_shuffle_i32x4(odd, odd_below, 0xdd);
    }
}

static __mmask64
first_bytes(int count)
{
    return count >= 64 ? ~G_GUINT64_CONSTANT(0) : (G_GUINT64_CONSTANT(1) << count) - 1;
}

/* Keys in quads of channels, [width / 4][M2T_CELLS][4]: 16 cells at most, from @begin on. */
static void
turn_keys(const gint8 *const *key, int width, int begin, int count, guint8 *keys)
{
    const __mmask16 there = (__mmask16) ((1 << count) - 1);

    for (int i = 0; i < width; i += 16 * QUAD) {
        __mmask64 inside = first_bytes(width - i);
        guint8 *to = keys + i * M2T_CELLS + QUAD * begin;
        __m512i row[16];

        for (int j = 0; j < 16; j++)
            row[j] = _mm512_xor_si512(_mm512_maskz_loadu_epi8(inside, key[MIN(j, count - 1)] + i), _mm512_set1_epi8((char) KEY_OFFSET));
        transpose(row);
        for (int c = 0; c < MIN(16, (width - i) / QUAD); c++)
            _mm512_mask_storeu_epi32(to + c * QUAD * M2T_CELLS, there, row[c]);
    }
}

/* Values in quads of keys, [M2T_CELLS / 4][width][4]. */
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

    for (; begin < end; begin += 16) {
        int count = MIN(16, end - begin);
        const gint8 *key[16];

        for (int j = 0; j < count; j++) {
            key[j] = slot[begin + j] >= 0 ? qkv + slot[begin + j] * 3 * (gsize) width + width : nothing;
            turn_value(key[j] + width, width, begin + j, (gint8 *) values);
        }
        turn_keys(key, width, begin, count, keys);
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

/* What the offset of the keys adds to all products of a query's head, [size]. */
static inline gint32
added_by_offset(const gint8 *query, int size)
{
    __m512i sum = _mm512_setzero_si512();

    for (int i = 0; i < size; i += 64)
        sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8((char) KEY_OFFSET), _mm512_maskz_loadu_epi8(first_bytes(size - i), query + i));
    return _mm512_reduce_add_epi32(sum);
}

/* Products of a query's head, [size], with the first 16 @vectors keys. */
static inline __attribute__((always_inline)) void
multiply_keys(const gint8 *query, int size, const guint8 *keys, int vectors, __m512i *product)
{
    __m512i added = _mm512_set1_epi32(added_by_offset(query, size));

    for (int v = 0; v < vectors; v++)
        product[v] = _mm512_setzero_si512();
    for (int i = 0; i < size; i += QUAD, keys += QUAD * M2T_CELLS) {
        __m512i quad = broadcast_quad(query + i);

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

/* From products to weights of M2T_CELLS keys; returns their sum. */
static inline __attribute__((always_inline)) gint32
softmax(const M2tAttention *a, int head, const gint32 *absent, const gint16 *rel, int vectors, __m512i *product, guint8 *weight)
{
    const __m512i far = _mm512_set1_epi16(M2T_EXP_SIZE);
    __m512i most = _mm512_setzero_si512(), low, high, weights;
    __m256i distance[VECTORS];
    __mmask64 near;

    for (int v = 0; v < vectors; v++) {
        __m512i sum = rnd_vector(_mm512_mul_ps(_mm512_cvtepi32_ps(product[v]), _mm512_set1_ps(a->logit[head])));

        sum = _mm512_add_epi32(sum, _mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *) (rel + 16 * v))));
        product[v] = _mm512_add_epi32(sum, _mm512_loadu_si512(absent + 16 * v));
        most = v ? _mm512_max_epi32(most, product[v]) : product[v];
    }
    most = _mm512_set1_epi32(_mm512_reduce_max_epi32(most));
    for (int v = 0; v < VECTORS; v++)
        distance[v] = v < vectors ? _mm512_cvtusepi32_epi16(_mm512_sub_epi32(most, product[v])) : _mm256_set1_epi16(-1);
    low = _mm512_inserti64x4(_mm512_castsi256_si512(distance[0]), distance[1], 1);
    high = _mm512_inserti64x4(_mm512_castsi256_si512(distance[2]), distance[3], 1);
    near = _mm512_kunpackd(_mm512_cmplt_epu16_mask(high, far), _mm512_cmplt_epu16_mask(low, far));
    weights = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi16_epi8(low)), _mm512_cvtepi16_epi8(high), 1);
    weights = _mm512_maskz_mov_epi8(near, exponential(a->exp, weights));
    _mm512_storeu_si512(weight, weights);
    return (gint32) _mm512_reduce_add_epi64(_mm512_sad_epu8(weights, _mm512_setzero_si512()));
}

/* Values weighted, for 32 channels or what is left of them, divided by @all, the sum of the weights. */
static inline void
multiply_values(const guint8 *weight, gint32 all, int quads, const gint8 *values, int width, const float *context, int channels, gint8 *out)
{
    __mmask16 inside[2] = {(__mmask16) (channels < 16 ? 0x00ff : 0xffff), (__mmask16) (channels <= 16 ? 0 : channels < 32 ? 0x00ff : 0xffff)};
    __m512i sum[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    __m512 t = _mm512_set1_ps(1.0f / (float) all);

    for (int i = 0; i < quads; i++, values += QUAD * (gsize) width) {
        __m512i quad = broadcast_quad(weight + QUAD * i);

#pragma GCC unroll 2
        for (int v = 0; v < 2; v++)
            sum[v] = _mm512_dpbusd_epi32(sum[v], quad, _mm512_maskz_loadu_epi32(inside[v], values + 64 * v));
    }
    for (int v = 0; v < 2; v++) {
        __m512 scaled = _mm512_mul_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sum[v]), t), _mm512_maskz_loadu_ps(inside[v], context + 16 * v));

        scaled = _mm512_min_ps(_mm512_max_ps(scaled, _mm512_set1_ps(-127.0f)), _mm512_set1_ps(127.0f));
        _mm512_mask_cvtepi32_storeu_epi8(out + 16 * v, inside[v], _mm512_cvtps_epi32(scaled));
    }
}

/* @vectors is a constant, so that products stay in registers, and so is @size, that of a head, where it is the usual one. */
static inline __attribute__((always_inline)) void
attend_vectors(const M2tAttention *a, int head, int size, const gint32 *absent, const gint16 *cache, const gint8 *query, const gint16 *rel, int seen,
               int vectors, gint8 *out)
{
    const guint8 *keys = (const guint8 *) cache;
    const gint8 *values = (const gint8 *) keys + (gsize) a->width * M2T_CELLS;
    int offset = head * size;
    __m512i product[VECTORS];
    guint8 weight[M2T_CELLS];
    gint32 all;

    multiply_keys(query + offset, size, keys + (gsize) offset * M2T_CELLS, vectors, product);
    all = softmax(a, head, absent, rel + head * M2T_CELLS, vectors, product, weight);
    for (int i = 0; i < size; i += 32)
        multiply_values(weight, all, (seen + QUAD - 1) / QUAD, values + QUAD * (offset + i), a->width, a->context + offset + i, size - i, out + offset + i);
}

static inline __attribute__((always_inline)) void
attend_size(const M2tAttention *a, int head, int size, const gint32 *absent, const gint16 *cache, const gint8 *query, const gint16 *rel, int seen, gint8 *out)
{
    switch ((seen + 15) / 16) {
    case 1:
        attend_vectors(a, head, size, absent, cache, query, rel, seen, 1, out);
        break;
    case 2:
        attend_vectors(a, head, size, absent, cache, query, rel, seen, 2, out);
        break;
    case 3:
        attend_vectors(a, head, size, absent, cache, query, rel, seen, 3, out);
        break;
    default:
        attend_vectors(a, head, size, absent, cache, query, rel, seen, 4, out);
    }
}

static inline void
attend(const M2tAttention *a, int head, const gint32 *absent, const gint16 *cache, const gint8 *query, const gint16 *rel, int seen, gint8 *out)
{
    if (a->width == a->heads * USUAL_SIZE)
        attend_size(a, head, USUAL_SIZE, absent, cache, query, rel, seen, out);
    else
        attend_size(a, head, a->width / a->heads, absent, cache, query, rel, seen, out);
}
