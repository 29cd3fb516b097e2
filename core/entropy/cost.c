/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Costs from the frequencies that will be used. An escape and an exception are rare; theirs are estimates. */
#include "entropy/cost.h"
#include "entropy/tables.h"

#define EXCEPTION_BITS 26

/* 64 log2(1 + i/64), rounded: the part of a logarithm behind its point. */
static const guint8 log2_fraction[64] = {
    0,  1,  3,  4,  6,  7,  8,  10, 11, 12, 13, 15, 16, 17, 18, 19, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 34, 35, 35, 36,
    37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 47, 48, 49, 50, 51, 52, 52, 53, 54, 55, 56, 56, 57, 58, 59, 60, 60, 61, 62, 63, 63,
};

/* -64 log2(frequency / 32768) */
static inline int
frequency_cost(guint frequency)
{
    int exponent = (int) g_bit_nth_msf(frequency, -1);

    return M2T_COST_BIT * (M2T_PROBABILITY_BITS - exponent) - log2_fraction[(frequency << 6 >> exponent) & 63];
}

int
m2t_entropy_skip(const M2tEntropyTables *tables)
{
    return tables->skip;
}

int
m2t_entropy_cost(const M2tEntropyTables *tables, gint32 mean, guint8 level, gint16 latent)
{
    M2tEntropyPlace place;
    const guint16 *start;
    int cost;

    if (level < tables->skip)
        return latent ? M2T_COST_BIT * EXCEPTION_BITS : 0;
    place = m2t_entropy_place(tables, mean, level, latent);
    start = tables->start + place.entry;
    cost = frequency_cost((guint) start[1] - start[0]) + M2T_COST_BIT * tables->level[level].raw;
    return place.escape ? cost + M2T_COST_BIT * (M2T_PREFIX_BITS + (int) g_bit_nth_msf((gulong) place.escape, -1)) : cost;
}
