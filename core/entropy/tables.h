/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The model's frequencies made ready for coding. A table belongs to a (level, fraction) of the prior: 2R+1 values, then escape.
 * From value to slot it is one look-up of the cumulative frequencies. From slot to value, 64 buckets say where to start
 * looking, and few entries share a bucket: a search is one or two steps, and a table stays small enough for the caches. */
#ifndef M2T_ENTROPY_TABLES_H
#define M2T_ENTROPY_TABLES_H

#include "entropy/slice.h"

#define M2T_PROBABILITY_BITS 15
#define M2T_BUCKET_BITS 6
#define M2T_FRACTIONS 16
#define M2T_RAW_MAX 8

typedef struct {
    const guint16 *start;                   /* [2R + 3]: cumulative frequencies, the last is 32768 */
    guint8 bucket[1 << M2T_BUCKET_BITS];    /* the entry that holds the bucket's first slot */
} M2tEntropyTable;

struct _M2tEntropyTables {
    int levels, skip;
    guint8 radius[M2T_LEVELS_MAX], raw[M2T_LEVELS_MAX];
    guint16 *starts;                        /* of all tables */
    M2tEntropyTable table[M2T_LEVELS_MAX][M2T_FRACTIONS];
};

/* Where a latent's mean lies: the value that entry R stands for, and the table's fraction (0...15). */
typedef struct {
    int center, fraction;
} M2tEntropyCenter;

static inline M2tEntropyCenter
m2t_entropy_center(int mean, int raw)
{
    int a = mean - 8 * ((1 << raw) - 1);
    int center = (a + (8 << raw)) >> (raw + 4);

    return (M2tEntropyCenter) {center, (a >> raw) - 16 * center + 8};
}

/* The entry that @slot (0...32767) belongs to. */
static inline int
m2t_entropy_find(const M2tEntropyTable *table, guint slot)
{
    int entry = table->bucket[slot >> (M2T_PROBABILITY_BITS - M2T_BUCKET_BITS)];

    while (table->start[entry + 1] <= slot)
        entry++;
    return entry;
}

#endif
