/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Builds the cumulative frequencies and buckets of all (level, fraction) from a model that was checked: every frequency
 * is at least 1 and every table sums to 32768. */
#include "entropy/tables.h"

static gsize
count_starts(const M2tEntropyWeights *weights)
{
    gsize count = 0;

    for (int level = 0; level < weights->levels; level++)
        count += M2T_FRACTIONS * (2 * weights->radius[level] + 3);
    return count;
}

static void
fill_buckets(M2tEntropyTable *table)
{
    int entry = 0;

    for (int bucket = 0; bucket < 1 << M2T_BUCKET_BITS; bucket++) {
        while (table->start[entry + 1] <= bucket << (M2T_PROBABILITY_BITS - M2T_BUCKET_BITS))
            entry++;
        table->bucket[bucket] = entry;
    }
}

static void
fill_table(M2tEntropyTable *table, guint16 *start, const guint16 *frequency, int entries)
{
    start[0] = 0;
    for (int i = 0; i < entries; i++)
        start[i + 1] = start[i] + frequency[i];
    table->start = start;
    fill_buckets(table);
}

M2tEntropyTables *
m2t_entropy_tables_new(const M2tEntropyWeights *weights)
{
    M2tEntropyTables *tables = g_new0(M2tEntropyTables, 1);
    const guint16 *frequency = weights->frequency;
    guint16 *start = tables->starts = g_new(guint16, count_starts(weights));

    tables->levels = weights->levels;
    tables->skip = weights->skip;
    for (int level = 0; level < weights->levels; level++) {
        int entries = 2 * weights->radius[level] + 2;

        tables->radius[level] = weights->radius[level];
        tables->raw[level] = weights->raw[level];
        for (int fraction = 0; fraction < M2T_FRACTIONS; fraction++) {
            fill_table(&tables->table[level][fraction], start, frequency, entries);
            start += entries + 1;
            frequency += entries;
        }
    }
    return tables;
}

void
m2t_entropy_tables_free(M2tEntropyTables *tables)
{
    if (!tables)
        return;
    g_free(tables->starts);
    g_free(tables);
}
