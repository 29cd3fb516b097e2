/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a writer queues for a latent that is coded. */
#ifndef M2T_ENTROPY_SYMBOL_H
#define M2T_ENTROPY_SYMBOL_H

#include "entropy/tables.h"

#define M2T_ESCAPE_BITS_MAX 15

/* Bit fields, so that a queue has 8 bytes for each latent, the most that its code can take. */
struct _M2tSymbol {
    guint64 start : 15, frequency : 15;     /* of the entry */
    guint64 escape : 15, negative : 1;      /* n of the Exp-Golomb code, 0 if the entry is no escape */
    guint64 raw_bits : 4, raw : 8;
};

/* Of an entry that says all: no escape, no raw bits. */
static inline M2tSymbol
m2t_symbol_of_entry(const M2tEntropyTables *tables, int quantizer, guint32 entry)
{
    M2tEntropyRange range = tables->range[(guint32) quantizer * tables->entries + entry];

    return (M2tSymbol) {.start = range.start, .frequency = range.frequency};
}

/* @half, @value: see dependent.h */
static inline M2tSymbol
m2t_symbol_of_value(const M2tEntropyTables *tables, int quantizer, int half, int level, int value)
{
    int raw = tables->level[level].raw;
    M2tEntropyPlace place = m2t_entropy_place(tables, half, level, value);
    M2tSymbol symbol = m2t_symbol_of_entry(tables, quantizer, place.entry);

    g_assert(ABS(place.escape) < 1 << M2T_ESCAPE_BITS_MAX);
    symbol.escape = (guint64) ABS(place.escape);
    symbol.negative = place.escape < 0;
    symbol.raw_bits = (guint64) raw;
    symbol.raw = (guint64) value & ((1u << raw) - 1);
    return symbol;
}

#endif
