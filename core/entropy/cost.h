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

/* What comes of a latent that is coded. */
typedef struct {
    int cost, centroid;
} M2tEntropyOutcome;

static inline M2tEntropyOutcome
m2t_entropy_outcome(const M2tEntropyTables *tables, gint32 mean, guint8 level, gint16 latent)
{
    M2tEntropyPlace place;

    if (level < tables->skip)
        return (M2tEntropyOutcome) {latent ? M2T_COST_EXCEPTION : 0, 0};
    place = m2t_entropy_place(tables, mean, level, latent);
    return (M2tEntropyOutcome) {tables->cost[place.entry] + (place.escape ? m2t_entropy_escape_cost(ABS(place.escape)) : 0), tables->centroid[place.entry]};
}

#endif
