/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Latents of a slice to bytes and back (docs/bitstream.md, section 7), between the prior and the frame's headers.
 *
 * rANS is a stack: what is decoded first is coded last. A writer therefore has a queue of all symbols, and codes them from the last to the
 * first when it knows how many there are, which also decides the number of lanes. A reader decodes as it is asked; most latents are not
 * coded at all, so it first makes a list of those of a row that are. */
#include "entropy/slice.h"
#include "base/limits.h"
#include "base/varint.h"
#include "entropy/symbol.h"

#include <string.h>

#define LANES_MAX 16
#define RANS_LOW 65536u         /* a state has at least this much between two symbols */
#define SYMBOL_BYTES_MAX 8      /* entry, prefix, low bits of an escape and raw bits move at most one word each */

G_STATIC_ASSERT(sizeof(M2tSymbol) == SYMBOL_BYTES_MAX);

typedef struct {
    const guint8 *at, *end;
    gboolean overrun;
} Words;

struct _M2tSliceReader {
    const M2tEntropyTables *tables;
    Words words;
    guint32 state[LANES_MAX];
    int lanes, lane;            /* lane: of the next symbol */
    gboolean damaged;
};

/* ---- writer ---- */

static gsize
set_words(gsize latents)
{
    return (latents + 31) / 32;
}

void
m2t_slice_writer_layout(M2tSliceWriter *writer, M2tArena *arena, gsize latents, int sections)
{
    *writer = (M2tSliceWriter) {.latents = latents, .sections_max = sections};
    writer->symbols = m2t_arena_take(arena, latents, sizeof *writer->symbols);
    writer->section = m2t_arena_take(arena, (gsize) sections + 1, sizeof *writer->section);
    writer->count = m2t_arena_take(arena, (gsize) sections, sizeof *writer->count);
    writer->exceptions = m2t_arena_take(arena, latents, sizeof *writer->exceptions);
    writer->exception_set = m2t_arena_take(arena, set_words(latents), sizeof *writer->exception_set);
}

void
m2t_slice_writer_begin(M2tSliceWriter *writer)
{
    writer->sections = 0;
    writer->section[0] = 0;
    writer->exception_count = 0;
    memset(writer->exception_set, 0, set_words(writer->latents) * sizeof *writer->exception_set);
}

void
m2t_slice_writer_add_section(M2tSliceWriter *writer, gsize latents)
{
    int section = writer->sections++;

    g_assert(section < writer->sections_max && latents <= writer->latents - writer->section[section]);
    writer->section[section + 1] = writer->section[section] + latents;
    writer->count[section] = 0;
}

M2tSymbol *
m2t_slice_writer_symbols(M2tSliceWriter *writer, int section, gsize count)
{
    g_assert(section < writer->sections && count <= writer->section[section + 1] - writer->section[section]);
    writer->count[section] = count;
    return writer->symbols + writer->section[section];
}

void
m2t_slice_writer_add_exception(M2tSliceWriter *writer, gsize position, gint16 latent)
{
    g_assert(position < writer->latents);
    writer->exceptions[position] = latent;
    g_atomic_int_or(&writer->exception_set[position / 32], 1u << position % 32);
    g_atomic_int_inc(&writer->exception_count);
}

static void
write_exceptions(const M2tSliceWriter *writer, GByteArray *out)
{
    gsize next = 0; /* the position after the last one written */

    m2t_varint_write(out, writer->exception_count);
    for (gsize word = 0; word < set_words(writer->latents); word++) {
        for (guint set = writer->exception_set[word]; set; set &= set - 1) {
            gsize position = 32 * word + __builtin_ctz(set);

            m2t_varint_write(out, (guint32) (position - next));
            m2t_varint_write(out, m2t_zigzag(writer->exceptions[position]));
            next = position + 1;
        }
    }
}

static inline guint8 *
push_word(guint8 *at, guint32 word)
{
    at -= 2;
    at[0] = word & 255;
    at[1] = word >> 8 & 255;
    return at;
}

static inline guint8 *
push_bits(guint8 *at, guint32 *state, guint32 value, int bits)
{
    if (*state >> (32 - bits)) {
        at = push_word(at, *state);
        *state >>= 16;
    }
    *state = *state << bits | value;
    return at;
}

static inline guint8 *
push_entry(guint8 *at, guint32 *state, guint32 start, guint32 frequency)
{
    if (*state >= frequency << 17) {
        at = push_word(at, *state);
        *state >>= 16;
    }
    *state = (*state / frequency << M2T_PROBABILITY_BITS) + *state % frequency + start;
    return at;
}

/* In the opposite order of decoding. */
static inline guint8 *
push_symbol(guint8 *at, guint32 *state, M2tSymbol symbol)
{
    if (symbol.raw_bits)
        at = push_bits(at, state, symbol.raw, symbol.raw_bits);
    if (symbol.escape) {
        int b = g_bit_nth_msf(symbol.escape, -1);

        if (b)
            at = push_bits(at, state, symbol.escape & ((1u << b) - 1), b);
        at = push_bits(at, state, 2 * b + symbol.negative, M2T_PREFIX_BITS);
    }
    return push_entry(at, state, symbol.start, symbol.frequency);
}

static gsize
count_symbols(const M2tSliceWriter *writer)
{
    gsize count = 0;

    for (int i = 0; i < writer->sections; i++)
        count += writer->count[i];
    return count;
}

static guint8 *
queue_end(const M2tSliceWriter *writer)
{
    return (guint8 *) (writer->symbols + writer->section[writer->sections]);
}

/* Codes the queue into the memory of the queue itself: the code of a symbol never is longer than the symbol, so that what is written
 * from the end down stays behind what is still to be read. Returns where the words begin; they end where the queue does. */
static const guint8 *
code_queue(M2tSliceWriter *writer, guint32 *state, int lanes)
{
    guint8 *at = queue_end(writer);
    gsize left = count_symbols(writer);

    for (int section = writer->sections; section-- > 0;)
        for (gsize i = writer->count[section]; i-- > 0;) {
            M2tSymbol symbol = writer->symbols[writer->section[section] + i];

            at = push_symbol(at, &state[--left & (lanes - 1)], symbol);
        }
    return at;
}

/* More lanes let a decoder work on more symbols at once: with four it reads as fast as with sixteen, with one some nanoseconds a symbol more
 * slowly. A lane costs three bytes: four of its state, of which one is used in the mean. */
int
m2t_slice_writer_lanes(const M2tSliceWriter *writer)
{
    gsize count = count_symbols(writer);

    return count < 32768 ? 0 : count < 524288 ? 1 : 2;
}

void
m2t_slice_writer_end(M2tSliceWriter *writer, int code, GByteArray *out)
{
    int lanes = 1 << 2 * code;
    const guint8 *words;
    guint32 state[LANES_MAX];

    write_exceptions(writer, out);
    for (int i = 0; i < lanes; i++)
        state[i] = RANS_LOW;
    words = code_queue(writer, state, lanes);
    for (int i = 0; i < lanes; i++) {
        guint32 bytes = GUINT32_TO_LE(state[i]);

        g_byte_array_append(out, (const guint8 *) &bytes, 4);
    }
    g_byte_array_append(out, words, queue_end(writer) - words);
}

/* ---- reader ---- */

M2tSliceReader *
m2t_slice_reader_new(const M2tEntropyTables *tables)
{
    M2tSliceReader *reader = g_new0(M2tSliceReader, 1);

    reader->tables = tables;
    return reader;
}

void
m2t_slice_reader_free(M2tSliceReader *reader)
{
    g_free(reader);
}

static gboolean
read_exceptions(Words *words, gint16 *latents, gsize count)
{
    guint32 exceptions, step, value;
    gsize next = 0;

    if (!m2t_varint_read(&words->at, words->end, &exceptions))
        return FALSE;
    for (guint32 i = 0; i < exceptions; i++) {
        gint32 latent;

        if (!m2t_varint_read(&words->at, words->end, &step) || step >= count - next ||
            !m2t_varint_read(&words->at, words->end, &value))
            return FALSE;
        latent = m2t_unzigzag(value);
        if (latent == 0 || latent < M2T_LATENT_MIN || latent > M2T_LATENT_MAX)
            return FALSE;
        next += step;
        latents[next++] = latent;
    }
    return TRUE;
}

static gboolean
read_states(M2tSliceReader *reader)
{
    Words *words = &reader->words;

    if (words->end - words->at < 4 * reader->lanes)
        return FALSE;
    for (int i = 0; i < reader->lanes; i++, words->at += 4) {
        guint32 bytes;

        memcpy(&bytes, words->at, 4);
        reader->state[i] = GUINT32_FROM_LE(bytes);
        if (reader->state[i] < RANS_LOW)
            return FALSE;
    }
    return TRUE;
}

gboolean
m2t_slice_reader_begin(M2tSliceReader *reader, const guint8 *data, gsize size, int lanes, gint16 *latents, gsize count)
{
    g_assert(lanes >= 0 && lanes <= 2);

    memset(latents, 0, count * sizeof *latents);
    reader->words = (Words) {data, data + size, FALSE};
    reader->lanes = 1 << 2 * lanes;
    reader->lane = 0;
    reader->damaged = FALSE;
    return read_exceptions(&reader->words, latents, count) && read_states(reader);
}

/* One word always suffices: between symbols a state is at least 65536; a symbol of frequency f >= 1 leaves at least 2, and
 * 15 raw bits leave at least 2 of it. @enough: the caller knows that the data do not end here; without a branch, because
 * whether a word is due is as good as random. */
static inline guint32
refill(Words *words, guint32 state, gboolean enough)
{
    if (enough) {
        guint32 due = state < RANS_LOW, word = words->at[0] | (guint32) words->at[1] << 8;

        words->at += 2 * due;
        return state << 16 * due | (word & (0 - due));
    }
    if (state >= RANS_LOW)
        return state;
    if (words->end - words->at < 2) {
        words->overrun = TRUE;
        return state << 16;
    }
    words->at += 2;
    return state << 16 | words->at[-2] | (guint32) words->at[-1] << 8;
}

static inline guint32
pop_bits(Words *words, guint32 *state, int bits, gboolean enough)
{
    guint32 value = *state & ((1u << bits) - 1);

    *state = refill(words, *state >> bits, enough);
    return value;
}

/* n of an escape, with the sign of the value. */
static inline int
pop_escape(M2tSliceReader *reader, Words *words, guint32 *state, gboolean enough)
{
    int prefix = pop_bits(words, state, M2T_PREFIX_BITS, enough);
    int b = prefix >> 1, n;

    if (b > M2T_ESCAPE_BITS_MAX) {
        reader->damaged = TRUE;
        b = 0;
    }
    n = 1 << b | pop_bits(words, state, b, enough);
    return prefix & 1 ? -n : n;
}

/* A latent that is coded, and what the prior knows about it. */
typedef struct {
    M2tEntropySpot at;
    gint16 centre;              /* see dependent.h */
    guint16 channel;
    guint8 raw, radius;
} Expected;

typedef struct {
    gint16 *latent;
    gint8 *centroid;
} Row;

static inline void
pop_latent(M2tSliceReader *reader, Words *words, guint8 *chain, const Expected *e, Row row, gboolean enough)
{
    const M2tEntropyTables *tables = reader->tables;
    guint32 quantizer = m2t_dependent_quantizer(*chain), table = e->at.table + quantizer * tables->bytes;
    guint32 state = reader->state[reader->lane], slot = state & ((1u << M2T_PROBABILITY_BITS) - 1);
    int entry = m2t_entropy_find(tables, table, slot), v = entry - e->radius, low = 0, place;
    const guint16 *starts = m2t_entropy_starts(tables, table) + entry;
    guint32 start = starts[0], frequency = starts[1] - start;

    state = refill(words, frequency * (state >> M2T_PROBABILITY_BITS) + slot - start, enough);
    row.centroid[e->channel] = tables->centroid[e->at.first + (guint32) (M2T_FRACTIONS * entry) + quantizer * tables->entries];
    if (v > e->radius) {
        int n = pop_escape(reader, words, &state, enough);

        v = n < 0 ? n - e->radius : n + e->radius;
    }
    if (e->raw)
        low = pop_bits(words, &state, e->raw, enough);
    reader->state[reader->lane] = state;
    reader->lane = (reader->lane + 1) & (reader->lanes - 1);
    place = (v + e->at.value) * (1 << e->raw) + low - e->centre;
    *chain = m2t_dependent_next(*chain, place);
    row.latent[e->channel] = (gint16) CLAMP(m2t_dependent_value(e->centre, place, (int) quantizer), M2T_LATENT_MIN, M2T_LATENT_MAX);
}

static inline void
pop_row(M2tSliceReader *reader, guint8 *chain, const Expected *expected, int count, Row row, gboolean enough)
{
    Words words = reader->words;
    guint8 state = *chain;

    for (int k = 0; k < count; k++)
        pop_latent(reader, &words, &state, &expected[k], row, enough);
    reader->words = words;
    *chain = state;
}

/* What is read of a table first, whichever quantizer it will be. */
static inline void
prefetch(const M2tEntropyTables *tables, guint32 table)
{
    for (int quantizer = 0; quantizer < M2T_QUANTIZERS; quantizer++, table += tables->bytes) {
        __builtin_prefetch(tables->search + table);
        __builtin_prefetch(tables->search + table + M2T_BUCKETS);
    }
}

/* All that can be known before the data: what waits for the state of a lane, and for a wrong guess, then is short. */
static int
expect_row(const M2tEntropyTables *tables, const gint32 *mean, const guint8 *level, int n, Expected *expected)
{
    guint16 list[M2T_LATENTS_MAX];
    int count = m2t_entropy_coded(tables, level, n, list);

    for (int k = 0; k < count; k++) {
        int i = list[k], half = m2t_dependent_half(mean[i]);
        M2tEntropyLevel l = tables->level[level[i]];

        expected[k] = (Expected) {m2t_entropy_spot(tables, half, level[i]), (gint16) m2t_dependent_centre(half), list[k], l.raw, l.radius};
        prefetch(tables, expected[k].at.table);
    }
    return count;
}

void
m2t_slice_reader_get(M2tSliceReader *reader, guint8 *state, const gint32 *mean, const guint8 *level, gint16 *latent, gint8 *centroid, int n)
{
    Expected expected[M2T_LATENTS_MAX];
    Row row = {latent, centroid};
    int count = expect_row(reader->tables, mean, level, n, expected);

    memset(centroid, 0, n);
    if (reader->words.end - reader->words.at >= SYMBOL_BYTES_MAX * (gssize) count + 2)
        pop_row(reader, state, expected, count, row, TRUE);
    else
        pop_row(reader, state, expected, count, row, FALSE);
}

gboolean
m2t_slice_reader_end(M2tSliceReader *reader)
{
    gboolean complete = reader->words.at == reader->words.end && !reader->words.overrun && !reader->damaged;

    for (int i = 0; i < reader->lanes; i++)
        complete = complete && reader->state[i] == RANS_LOW;
    return complete;
}
