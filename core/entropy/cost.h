/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What coding a latent costs, for an encoder that weighs bits against quality. In integers, so that encoders agree as well. Costs come
 * from the frequencies that will be used. An escape and an exception are rare; theirs are estimates. */
#ifndef M2T_ENTROPY_COST_H
#define M2T_ENTROPY_COST_H

#include "entropy/tables.h"

#define M2T_COST_BIT 64 /* costs are in this fraction of a bit */
#define M2T_COST_EXCEPTION (26 * M2T_COST_BIT)

/* Of an entry of this frequency (1...32767). */
int m2t_entropy_frequency_cost(guint frequency);

/* What an escape of n costs beyond its entry. */
int m2t_entropy_escape_cost(int n);

/* What comes of a value, the escape included; mean and value as the tables have them. */
static inline M2tEntropyOutcome
m2t_entropy_outcome(const M2tEntropyTables *tables, int quantizer, int mean, int level, int value)
{
    M2tEntropyLevel l = tables->level[level];
    int place = m2t_entropy_mean(l, mean), v = (value >> l.raw) - (place >> 4), beyond = ABS(v) - l.radius;
    int entry = beyond > 0 ? 2 * l.radius + 1 : v + l.radius;
    M2tEntropyOutcome outcome = tables->outcome[m2t_entropy_outcomes(l, place & (M2T_FRACTIONS - 1)) + (gsize) (M2T_QUANTIZERS * entry + quantizer)];

    return beyond > 0 ? m2t_entropy_pack(m2t_entropy_cost(outcome) + m2t_entropy_escape_cost(beyond), m2t_entropy_centroid(outcome)) : outcome;
}

#endif
