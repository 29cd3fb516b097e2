/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The model's frequencies made ready for coding. A table belongs to a quantizer and a (level, fraction) of the prior: 2R+1 values, then escape.
 * From slot to value, 64 buckets say where to start looking, and few entries share a bucket: a search is one or two steps, and a
 * table stays small enough for the caches. From value to slot, cost and centroid it is one look-up: there, the tables of a level
 * are one, by the distance of value and mean. All is given as for the first quantizer; the same for the second one is so many entries, or bytes, further on.
 * Values and means are those of dependent.h: integers that count the values of a quantizer, and half of what the prior says. */
#ifndef M2T_ENTROPY_TABLES_H
#define M2T_ENTROPY_TABLES_H

#include "base/marked.h"
#include "entropy/dependent.h"
#include "entropy/slice.h"

#define M2T_PROBABILITY_BITS 15
#define M2T_BUCKET_BITS 6
#define M2T_BUCKETS (1 << M2T_BUCKET_BITS)
#define M2T_PREFIX_BITS 6 /* of an escape */

typedef struct {
    guint32 first;      /* where it begins in what is ordered by distance */
    guint32 search;     /* where its tables begin in search */
    guint16 stride;     /* from one of its tables to the next, in search */
    guint8 raw, radius;
} M2tEntropyLevel;

typedef struct {
    guint16 start, frequency;
} M2tEntropyRange;

/* What comes of a latent, as kernels read it: in the lower 16 bits the cost of the entry and the raw bits (see cost.h), above them, in 8 bits, what is added
 * to it for the synthesis (see slice.h). */
typedef guint32 M2tEntropyOutcome;

static inline M2tEntropyOutcome
m2t_entropy_pack(int cost, int centroid)
{
    return (guint32) cost | (guint32) (guint8) centroid << 16;
}

static inline int
m2t_entropy_cost(M2tEntropyOutcome outcome)
{
    return outcome & 0xFFFF;
}

static inline int
m2t_entropy_centroid(M2tEntropyOutcome outcome)
{
    return (gint8) (outcome >> 16);
}

struct _M2tEntropyTables {
    int levels, skip;
    guint32 entries, bytes; /* of one quantizer: in what is ordered by distance, and in search */
    M2tEntropyLevel level[M2T_LEVELS_MAX];
    /* By level and fraction, for a latent that is to be found: the entry that holds the first slot of each bucket, and the cumulative frequencies as guint16,
     * [2R + 3], the last is 32768. */
    guint8 *search;
    /* By level and distance from the mean, for a latent that is known: see m2t_entropy_place(). */
    M2tEntropyRange *range;
    gint8 *centroid;    /* see slice.h */
    /* By level, fraction, entry and quantizer, so that what a latent may become is side by side. */
    M2tEntropyOutcome *outcome;
};

/* A mean among the values without raw bits, in 1/16, and half of one more so that it rounds: 16 center + fraction. */
static inline int
m2t_entropy_mean(M2tEntropyLevel level, int mean)
{
    return (mean + M2T_FRACTIONS / 2) >> level.raw;
}

/* Where a latent's mean lies: the value that entry R stands for, where the table is in search, and where entry 0 is in what is ordered by distance,
 * from where it is 16 numbers to the next entry. */
typedef struct {
    int value;
    guint32 table, first;
} M2tEntropySpot;

static inline M2tEntropySpot
m2t_entropy_spot(const M2tEntropyTables *tables, int mean, int level)
{
    M2tEntropyLevel l = tables->level[level];
    int place = m2t_entropy_mean(l, mean), fraction = place & (M2T_FRACTIONS - 1);

    return (M2tEntropySpot) {place >> 4, l.search + (guint32) fraction * l.stride, l.first + (guint32) (M2T_FRACTIONS - 1 - fraction)};
}

static inline const guint16 *
m2t_entropy_starts(const M2tEntropyTables *tables, guint32 table)
{
    return (const guint16 *) (tables->search + table + M2T_BUCKETS);
}

/* The entry that @slot (0...32767) belongs to. */
static inline int
m2t_entropy_find(const M2tEntropyTables *tables, guint32 table, guint slot)
{
    const guint16 *start = m2t_entropy_starts(tables, table);
    int entry = tables->search[table + (slot >> (M2T_PROBABILITY_BITS - M2T_BUCKET_BITS))];

    while (start[entry + 1] <= slot)
        entry++;
    return entry;
}

/* Where a latent is found in range, cost and centroid, and by how much it is beyond the table, with its sign, which makes that the escape. */
typedef struct {
    guint32 entry;
    int escape;
} M2tEntropyPlace;

/* Entry i of fraction f is number 16 i + 15 - f of its level. The mean being 16 center + f, and the value center + i - R, that depends on
 * their distance alone; means a little apart are side by side, and the value beside this one is 16 numbers on. */
static inline M2tEntropyPlace
m2t_entropy_place(const M2tEntropyTables *tables, int mean, int level, int value)
{
    M2tEntropyLevel l = tables->level[level];
    int number = M2T_FRACTIONS * ((value >> l.raw) + l.radius + 1) - 1 - m2t_entropy_mean(l, mean), escape = M2T_FRACTIONS * (2 * l.radius + 1);
    int i = number >> 4;

    if ((guint) number < (guint) escape)
        return (M2tEntropyPlace) {l.first + (guint32) number, 0};
    return (M2tEntropyPlace) {l.first + (guint32) (escape + (number & (M2T_FRACTIONS - 1))), i < 0 ? i : i - 2 * l.radius};
}

/* The same entry, of a level without raw bits, where it is no escape. @mean: m2t_entropy_mean() */
static inline guint32
m2t_entropy_entry(M2tEntropyLevel level, int mean, int value)
{
    return level.first + (guint32) (M2T_FRACTIONS * (value + level.radius + 1) - 1 - mean);
}

/* The places of those latents of a row that are coded. */
static inline int
m2t_entropy_coded(const M2tEntropyTables *tables, const guint8 *level, int n, guint16 *list)
{
    guint8 skip = (guint8) tables->skip; /* of the type of the levels: compared sixteen at a time */
    guint8 coded[M2T_LATENTS_MAX];

    g_assert(n >= 0 && n <= M2T_LATENTS_MAX);
    for (int i = 0; i < n; i++)
        coded[i] = level[i] >= skip;
    return m2t_marked_list(coded, n, list);
}

/* Where what comes of the first entry of a table is in outcome. */
static inline gsize
m2t_entropy_outcomes(M2tEntropyLevel level, int fraction)
{
    return M2T_QUANTIZERS * (level.first + (gsize) fraction * (2 * level.radius + 2));
}

#endif
