/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Builds the cumulative frequencies and buckets of all (level, fraction) from a model that was checked: every frequency
 * is at least 1 and every table sums to 32768. */
#include "entropy/tables.h"
#include "entropy/cost.h"

static void
fill_buckets(const guint16 *start, guint8 *bucket)
{
    int entry = 0;

    for (int i = 0; i < M2T_BUCKETS; i++) {
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

/* The entries of a table to their places, see m2t_entropy_place(). What is not coded has no centroid. */
static void
spread(M2tEntropyTables *tables, const guint16 *start, const gint8 *centroid, int level, int fraction)
{
    M2tEntropyLevel l = tables->level[level];

    for (int i = 0; i < 2 * l.radius + 2; i++) {
        guint32 at = l.first + (guint32) (M2T_FRACTIONS * (i + 1) - 1 - fraction);
        guint16 frequency = start[i + 1] - start[i];

        tables->range[at] = (M2tEntropyRange) {start[i], frequency};
        tables->cost[at] = (guint16) (m2t_entropy_frequency_cost(frequency) + M2T_COST_BIT * l.raw);
        tables->centroid[at] = level < tables->skip ? 0 : centroid[i];
    }
}

static void
set_levels(M2tEntropyTables *tables, const M2tEntropyWeights *weights, guint32 *entries, guint32 *search)
{
    *entries = *search = 0;
    for (int i = 0; i < weights->levels; i++) {
        int radius = weights->radius[i], raw = weights->raw[i];
        M2tEntropyLevel *level = &tables->level[i];

        *level = (M2tEntropyLevel) {*entries, *search, .raw = raw, .radius = radius};
        level->offset = 8 * ((1 << raw) - 1) - (M2T_FRACTIONS / 2 << raw);
        level->stride = M2T_BUCKETS + (2 * radius + 3) * sizeof(guint16);
        *entries += M2T_FRACTIONS * (2 * radius + 2);
        *search += M2T_FRACTIONS * level->stride;
    }
}

M2tEntropyTables *
m2t_entropy_tables_new(const M2tEntropyWeights *weights)
{
    M2tEntropyTables *tables = g_new0(M2tEntropyTables, 1);
    const guint16 *frequency = weights->frequency;
    const gint8 *centroid = weights->centroid;
    guint32 count, search;

    tables->levels = weights->levels;
    tables->skip = weights->skip;
    set_levels(tables, weights, &count, &search);
    tables->search = g_malloc(search);
    tables->range = g_new(M2tEntropyRange, count);
    tables->cost = g_new(guint16, count);
    tables->centroid = g_new(gint8, count);
    for (int table = 0; table < weights->levels * M2T_FRACTIONS; table++) {
        int level = table / M2T_FRACTIONS, fraction = table % M2T_FRACTIONS, entries = 2 * weights->radius[level] + 2;
        guint8 *bucket = tables->search + tables->level[level].search + fraction * tables->level[level].stride;
        guint16 *start = (guint16 *) (bucket + M2T_BUCKETS);

        fill_starts(start, frequency, entries);
        fill_buckets(start, bucket);
        spread(tables, start, centroid, level, fraction);
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
    g_free(tables->search);
    g_free(tables->range);
    g_free(tables->cost);
    g_free(tables->centroid);
    g_free(tables);
}
