/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Builds the cumulative frequencies and buckets of all tables from a model that was checked: every frequency
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
spread(M2tEntropyTables *tables, const guint16 *start, const gint8 *centroid, int quantizer, int level, int fraction)
{
    M2tEntropyLevel l = tables->level[level];

    for (int i = 0; i < 2 * l.radius + 2; i++) {
        guint32 at = (guint32) quantizer * tables->entries + l.first + (guint32) (M2T_FRACTIONS * (i + 1) - 1 - fraction);
        guint16 frequency = start[i + 1] - start[i];

        tables->range[at] = (M2tEntropyRange) {start[i], frequency};
        tables->centroid[at] = level < tables->skip ? 0 : centroid[i];
        tables->outcome[m2t_entropy_outcomes(l, fraction) + M2T_QUANTIZERS * i + quantizer] =
            m2t_entropy_pack(m2t_entropy_frequency_cost(frequency) + M2T_COST_BIT * l.raw, tables->centroid[at]);
    }
}

static void
set_levels(M2tEntropyTables *tables, const M2tEntropyWeights *weights)
{
    for (int i = 0; i < weights->levels; i++) {
        int radius = weights->radius[i], raw = weights->raw[i];
        M2tEntropyLevel *level = &tables->level[i];

        *level = (M2tEntropyLevel) {tables->entries, tables->bytes, .raw = raw, .radius = radius};
        level->stride = M2T_BUCKETS + (2 * radius + 3) * sizeof(guint16);
        tables->entries += M2T_FRACTIONS * (2 * radius + 2);
        tables->bytes += M2T_FRACTIONS * level->stride;
    }
}

M2tEntropyTables *
m2t_entropy_tables_new(const M2tEntropyWeights *weights)
{
    M2tEntropyTables *tables = g_new0(M2tEntropyTables, 1);
    const guint16 *frequency = weights->frequency;
    const gint8 *centroid = weights->centroid;

    tables->levels = weights->levels;
    tables->skip = weights->skip;
    set_levels(tables, weights);
    tables->search = g_malloc((gsize) M2T_QUANTIZERS * tables->bytes);
    tables->range = g_new(M2tEntropyRange, (gsize) M2T_QUANTIZERS * tables->entries);
    tables->outcome = g_new(M2tEntropyOutcome, (gsize) M2T_QUANTIZERS * tables->entries);
    tables->centroid = g_new(gint8, (gsize) M2T_QUANTIZERS * tables->entries);
    for (int table = 0; table < M2T_QUANTIZERS * weights->levels * M2T_FRACTIONS; table++) {
        int fraction = table % M2T_FRACTIONS, level = table / M2T_FRACTIONS % weights->levels, quantizer = table / M2T_FRACTIONS / weights->levels;
        int entries = 2 * weights->radius[level] + 2;
        guint8 *bucket = tables->search + (gsize) quantizer * tables->bytes + tables->level[level].search + fraction * tables->level[level].stride;
        guint16 *start = (guint16 *) (bucket + M2T_BUCKETS);

        fill_starts(start, frequency, entries);
        fill_buckets(start, bucket);
        spread(tables, start, centroid, quantizer, level, fraction);
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
    g_free(tables->outcome);
    g_free(tables->centroid);
    g_free(tables);
}
