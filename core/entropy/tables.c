/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Builds the cumulative frequencies and buckets of all (level, fraction) from a model that was checked: every frequency
 * is at least 1 and every table sums to 32768. */
#include "entropy/tables.h"

#include <string.h>

static gsize
count_starts(const M2tEntropyWeights *weights)
{
    gsize count = 0;

    for (int level = 0; level < weights->levels; level++)
        count += M2T_FRACTIONS * (2 * weights->radius[level] + 3);
    return count;
}

static void
fill_buckets(const guint16 *start, guint8 *bucket)
{
    int entry = 0;

    for (int i = 0; i < 1 << M2T_BUCKET_BITS; i++) {
        while (start[entry + 1] <= i << (M2T_PROBABILITY_BITS - M2T_BUCKET_BITS))
            entry++;
        bucket[i] = entry;
    }
}

static void
fill_starts(guint16 *start, const guint16 *frequency, int entries)
{
    start[0] = 0;
    for (int i = 0; i < entries; i++)
        start[i + 1] = start[i] + frequency[i];
}

M2tEntropyTables *
m2t_entropy_tables_new(const M2tEntropyWeights *weights)
{
    M2tEntropyTables *tables = g_new0(M2tEntropyTables, 1);
    const guint16 *frequency = weights->frequency;
    const gint8 *centroid = weights->centroid;
    guint32 first = 0;

    tables->levels = weights->levels;
    tables->skip = weights->skip;
    tables->start = g_new(guint16, count_starts(weights));
    tables->centroid = g_new(gint8, count_starts(weights));
    for (int table = 0; table < weights->levels * M2T_FRACTIONS; table++) {
        int level = table / M2T_FRACTIONS, entries = 2 * weights->radius[level] + 2;

        tables->level[level] = (M2tEntropyLevel) {8 * ((1 << weights->raw[level]) - 1), weights->raw[level], weights->radius[level]};
        tables->first[table] = first;
        fill_starts(tables->start + first, frequency, entries);
        fill_buckets(tables->start + first, tables->bucket[table]);
        memcpy(tables->centroid + first, centroid, entries);
        first += entries + 1;
        frequency += entries;
        centroid += entries;
    }
    return tables;
}

void
m2t_entropy_tables_free(M2tEntropyTables *tables)
{
    if (!tables)
        return;
    g_free(tables->start);
    g_free(tables->centroid);
    g_free(tables);
}
