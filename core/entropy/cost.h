/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What coding a latent costs, for an encoder that weighs bits against quality. In integers, so that encoders agree as well. */
#ifndef M2T_ENTROPY_COST_H
#define M2T_ENTROPY_COST_H

#include "entropy/slice.h"

#define M2T_COST_BIT 64 /* costs are in this fraction of a bit */

int m2t_entropy_cost(const M2tEntropyTables *tables, gint32 mean, guint8 level, gint16 latent);

/* The lowest level that is coded. */
int m2t_entropy_skip(const M2tEntropyTables *tables);

#endif
