/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "entropy/cost.h"

/* 64 log2(1 + i/64), rounded: the part of a logarithm behind its point. */
static const guint8 log2_fraction[64] = {
    0,  1,  3,  4,  6,  7,  8,  10, 11, 12, 13, 15, 16, 17, 18, 19, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 34, 35, 35, 36,
    37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 47, 48, 49, 50, 51, 52, 52, 53, 54, 55, 56, 56, 57, 58, 59, 60, 60, 61, 62, 63, 63,
};

static int
floor_log2(guint value)
{
    return 31 - __builtin_clz(value);
}

/* -64 log2(frequency / 32768) */
int
m2t_entropy_frequency_cost(guint frequency)
{
    int exponent = floor_log2(frequency);

    return M2T_COST_BIT * (M2T_PROBABILITY_BITS - exponent) - log2_fraction[(frequency << 6 >> exponent) & 63];
}

int
m2t_entropy_escape_cost(int n)
{
    return M2T_COST_BIT * (M2T_PREFIX_BITS + floor_log2((guint) n));
}
