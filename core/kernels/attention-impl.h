/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attention of one head of one query by products of pairs of 16-bit values: a part of kernels-impl.c, which has the other one in
 * attention-icl-impl.h. */

/* Keys in pairs of channels, [width / 2][M2T_CELLS][2], and values in pairs of keys, [M2T_CELLS / 2][width][2]. */
static void
turn_key(const gint8 *key, int width, int j, gint16 *restrict keys)
{
    for (int i = 0; i < width; i += 2)
        for (int k = 0; k < 2; k++)
            keys[i * M2T_CELLS + 2 * j + k] = key[i + k];
}

static void
turn_value(const gint8 *value, int width, int j, gint16 *restrict values)
{
    values += (gsize) (j / 2) * 2 * width;
    for (int i = 0; i < width; i++)
        values[2 * i + j % 2] = value[i];
}

/* Cells @begin...@end - 1; a cell that is not there is zeros, and so is the one that stands beside an odd last one. */
static void
turn_cells(const gint8 *qkv, int width, const gint32 *slot, int begin, int end, gint16 *cache)
{
    static const gint8 nothing[2 * M2T_CHANNELS_MAX];
    gint16 *keys = cache, *values = cache + (gsize) width * M2T_CELLS;

    for (int j = begin; j < end + (end & 1); j++) {
        const gint8 *key = j < end && slot[j] >= 0 ? qkv + slot[j] * 3 * (gsize) width + width : nothing;

        turn_key(key, width, j, keys);
        turn_value(key + width, width, j, values);
    }
}

/* From products to weights; returns their sum. @count is a multiple of 8, what is not seen is absent. */
static inline gint32
softmax(const M2tAttention *a, int head, const gint32 *absent, const gint16 *rel, int seen, int count, gint32 *restrict product, gint16 *restrict weight)
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

/* One head of one query. */
static inline void
attend(const M2tAttention *a, int head, const gint32 *absent, const gint16 *cache, const gint8 *query, const gint16 *rel, int seen, gint8 *restrict out)
{
    const gint16 *keys = cache, *values = cache + (gsize) a->width * M2T_CELLS;
    gint16 factor[M2T_CHANNELS_MAX], weight[M2T_CELLS];
    gint32 product[M2T_CHANNELS_MAX];
    int size = a->width / a->heads, offset = head * size, count = (seen + 7) / 8 * 8;
    float t;

    for (int i = 0; i < size; i++)
        factor[i] = query[offset + i];
    multiply_pairs(factor, NULL, size / 2, keys + offset * M2T_CELLS, 2 * M2T_CELLS, count, product);
    t = 1.0f / (float) softmax(a, head, absent, rel + head * M2T_CELLS, seen, count, product, weight);
    multiply_pairs(weight, NULL, (seen + 1) / 2, values + 2 * offset, 2 * (gsize) a->width, size, product);
    for (int i = 0; i < size; i++)
        out[offset + i] = round8((float) product[i] * t * a->context[offset + i]);
}
