/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The model's frequencies made ready for coding. A table belongs to a (level, fraction) of the prior: 2R+1 values, then escape.
 * From value to slot it is one look-up of the cumulative frequencies. From slot to value, 64 buckets say where to start
 * looking, and few entries share a bucket: a search is one or two steps, and a table stays small enough for the caches. */
#ifndef M2T_ENTROPY_TABLES_H
#define M2T_ENTROPY_TABLES_H

#include "entropy/slice.h"

#define M2T_PROBABILITY_BITS 15
#define M2T_BUCKET_BITS 6
#define M2T_PREFIX_BITS 6 /* of an escape */

typedef struct {
    gint16 offset;      /* 8 (2^raw - 1): from a mean to that of the values without raw bits */
    guint8 raw, radius;
} M2tEntropyLevel;

/* Tables are numbered 16 level + fraction (0...15). */
struct _M2tEntropyTables {
    int levels, skip;
    M2tEntropyLevel level[M2T_LEVELS_MAX];
    guint32 first[M2T_LEVELS_MAX * M2T_FRACTIONS];                          /* where a table begins in start */
    guint8 bucket[M2T_LEVELS_MAX * M2T_FRACTIONS][1 << M2T_BUCKET_BITS];    /* the entry that holds the bucket's first slot */
    guint16 *start;     /* cumulative frequencies, [2R + 3] for each table, the last is 32768 */
    gint8 *centroid;    /* as many; see centroid.h */
};

/* Where a latent's mean lies: the value that entry R stands for, and the table. */
typedef struct {
    int center, table;
} M2tEntropyCenter;

static inline M2tEntropyCenter
m2t_entropy_center(const M2tEntropyTables *tables, int mean, int level)
{
    int place = ((mean - tables->level[level].offset) >> tables->level[level].raw) + M2T_FRACTIONS / 2;

    return (M2tEntropyCenter) {place >> 4, level * M2T_FRACTIONS + (place & (M2T_FRACTIONS - 1))};
}

/* The entry of a value in start, and by how much it is beyond the table, which makes that the escape. */
typedef struct {
    guint32 entry;
    int escape;
} M2tEntropyPlace;

static inline M2tEntropyPlace
m2t_entropy_place(const M2tEntropyTables *tables, int mean, int level, int latent)
{
    M2tEntropyCenter at = m2t_entropy_center(tables, mean, level);
    int radius = tables->level[level].radius, v = (latent >> tables->level[level].raw) - at.center, escape = MAX(ABS(v) - radius, 0);

    return (M2tEntropyPlace) {tables->first[at.table] + (guint32) (escape ? 2 * radius + 1 : v + radius), escape};
}

/* The entry that @slot (0...32767) belongs to. */
static inline int
m2t_entropy_find(const M2tEntropyTables *tables, int table, guint slot)
{
    const guint16 *start = tables->start + tables->first[table];
    int entry = tables->bucket[table][slot >> (M2T_PROBABILITY_BITS - M2T_BUCKET_BITS)];

    while (start[entry + 1] <= slot)
        entry++;
    return entry;
}

#endif
