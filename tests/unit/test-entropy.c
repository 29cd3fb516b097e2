/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Slices: the reference's words for the same symbols, round trips over all that latents can be, and damage, which must be noticed or
 * harmless and never read or write where it should not. And the choice of latents, against trying all there are. */
#include "base/marked.h"
#include "base/varint.h"
#include "entropy/cost.h"
#include "entropy/symbol.h"
#include "quant/trellis.h"
#include "vectors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROW 40
#define SECTIONS 64

static Vectors vectors;
static GRand *rng;
static M2tModel *model;

/* A writer with memory of its own. */
typedef struct {
    M2tSliceWriter writer;
    M2tArena arena;
    const M2tEntropyTables *tables;
} OwnWriter;

static M2tSliceWriter *
new_writer(const M2tEntropyTables *tables, gsize latents)
{
    OwnWriter *own = g_new0(OwnWriter, 1);

    own->tables = tables;
    m2t_slice_writer_layout(&own->writer, &own->arena, latents, SECTIONS);
    g_assert_true(m2t_arena_allocate(&own->arena));
    m2t_slice_writer_layout(&own->writer, &own->arena, latents, SECTIONS);
    return &own->writer;
}

static void
free_writer(M2tSliceWriter *writer)
{
    OwnWriter *own = (OwnWriter *) writer;

    m2t_arena_free(&own->arena);
    g_free(own);
}

/* A row of n latents, which are values of their quantizers, behind the @count symbols that the section has. -> how many it has now. @state: of the chain */
static gsize
put(M2tSliceWriter *writer, int section, gsize count, gsize position, guint8 *state, const gint32 *mean, const guint8 *level, const gint16 *latent, int n)
{
    const M2tEntropyTables *tables = ((const OwnWriter *) writer)->tables;

    for (int i = 0; i < n; i++) {
        int quantizer = m2t_dependent_quantizer(*state), half = m2t_dependent_half(mean[i]), centre = m2t_dependent_centre(half);
        int place = m2t_dependent_place(latent[i], centre);

        if (level[i] >= tables->skip) {
            m2t_slice_writer_symbols(writer, section, count + 1)[count] = m2t_symbol_of_value(tables, quantizer, half, level[i], centre + place);
            *state = m2t_dependent_next(*state, place);
            count++;
        } else if (latent[i]) {
            m2t_slice_writer_add_exception(writer, position + (gsize) i, latent[i]);
        }
    }
    return count;
}

/* ---- golden vectors ---- */

/* The tables of the test model, without latents that are not coded, for vectors that are symbols only. */
static M2tEntropyTables *
tables_without_skip(void)
{
    M2tEntropyWeights weights = model->entropy;

    weights.skip = 0;
    return m2t_entropy_tables_new(&weights);
}

static void
check_golden_coder(const M2tEntropyTables *tables, int lanes, int code, int symbols)
{
    g_autofree char *name = g_strdup_printf("rans-%d-%d", lanes, symbols);
    gsize size;
    const gint32 *mean = vectors_find(&vectors, name, "mean", NULL);
    const guint8 *level = vectors_find(&vectors, name, "level", NULL), *data = vectors_find(&vectors, name, "data", &size);
    const gint16 *value = vectors_find(&vectors, name, "value", NULL);
    g_autofree guint8 *slice = g_malloc0(size + 1); /* no exceptions */
    const gint8 *centroid = vectors_find(&vectors, name, "centroid", NULL);
    g_autofree gint16 *latents = g_new(gint16, symbols + 1);
    g_autofree gint8 *centroids = g_new(gint8, symbols + 1);
    M2tSliceReader *reader = m2t_slice_reader_new(tables);
    M2tSliceWriter *writer = new_writer(tables, symbols + 1);
    g_autoptr(GByteArray) out = g_byte_array_new();
    guint8 state = 0;
    gsize count = 0;

    memcpy(slice + 1, data, size);
    g_assert_true(m2t_slice_reader_begin(reader, slice, size + 1, code, latents, symbols));
    for (int i = 0; i < symbols; i += ROW)
        m2t_slice_reader_get(reader, &state, mean + i, level + i, latents + i, centroids + i, MIN(ROW, symbols - i));
    g_assert_true(m2t_slice_reader_end(reader));
    g_assert_cmpmem(latents, symbols * sizeof *latents, value, symbols * sizeof *value);
    g_assert_cmpmem(centroids, symbols, centroid, symbols);

    state = 0;
    m2t_slice_writer_begin(writer);
    m2t_slice_writer_add_section(writer, symbols);
    for (int i = 0; i < symbols; i += ROW)
        count = put(writer, 0, count, i, &state, mean + i, level + i, value + i, MIN(ROW, symbols - i));
    m2t_slice_writer_end(writer, code, out);
    g_assert_cmpmem(out->data, out->len, slice, size + 1);
    m2t_slice_reader_free(reader);
    free_writer(writer);
}

static void
test_golden_coder(void)
{
    static const int counts[] = {0, 1, 3, 17, 3000};
    M2tEntropyTables *tables = tables_without_skip();

    for (guint i = 0; i < G_N_ELEMENTS(counts); i++) {
        check_golden_coder(tables, 1, 0, counts[i]);
        check_golden_coder(tables, 4, 1, counts[i]);
        check_golden_coder(tables, 16, 2, counts[i]);
    }
    m2t_entropy_tables_free(tables);
}

/* No latent is coded, the exceptions are all there is. */
static void
check_golden_exceptions(const M2tEntropyTables *tables, const char *name)
{
    gsize count, size;
    const gint16 *values = vectors_find(&vectors, name, "values", &count);
    const guint8 *data = vectors_find(&vectors, name, "data", &size);
    M2tSliceReader *reader = m2t_slice_reader_new(tables);
    M2tSliceWriter *writer = new_writer(tables, count / 2);
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_autofree gint32 *mean = g_new0(gint32, count);
    g_autofree guint8 *level = g_malloc0(count);
    g_autofree gint16 *latents = g_malloc(count);
    g_autofree gint8 *centroid = g_malloc(count);
    guint8 state = 0;

    count /= 2;
    m2t_slice_writer_begin(writer);
    m2t_slice_writer_add_section(writer, count);
    for (gsize i = 0; i < count; i += ROW)
        put(writer, 0, 0, i, &state, mean + i, level + i, values + i, MIN(ROW, count - i));
    g_assert_cmpint(m2t_slice_writer_lanes(writer), ==, 0);
    m2t_slice_writer_end(writer, 0, out);
    g_assert_cmpmem(out->data, out->len - 4, data, size);
    g_assert_cmpmem(out->data + size, 4, "\0\0\1\0", 4);
    g_assert_true(m2t_slice_reader_begin(reader, out->data, out->len, 0, latents, count));
    for (gsize i = 0; i < count; i += ROW)
        m2t_slice_reader_get(reader, &state, mean + i, level + i, latents + i, centroid + i, MIN(ROW, count - i));
    g_assert_true(m2t_slice_reader_end(reader));
    g_assert_cmpmem(latents, count * 2, values, count * 2);
    m2t_slice_reader_free(reader);
    free_writer(writer);
}

static void
test_golden_exceptions(void)
{
    M2tEntropyTables *tables = m2t_entropy_tables_new(&model->entropy);

    for (int i = 0; i < 4; i++) {
        g_autofree char *name = g_strdup_printf("exceptions-%d", i);

        check_golden_exceptions(tables, name);
    }
    m2t_entropy_tables_free(tables);
}

/* ---- tables ---- */

/* Random tables, some flat, some with all the weight in one entry: what a checked model may have. */
typedef struct {
    M2tEntropyWeights weights;
    gint32 radius[M2T_LEVELS_MAX], raw[M2T_LEVELS_MAX];
    guint16 *frequency;
    gint8 *centroid;
} RandomWeights;

static void
fill_frequencies(guint16 *frequency, int entries)
{
    int left = 32768 - entries;

    for (int i = 0; i < entries; i++)
        frequency[i] = 1;
    for (int i = 0; i < 3 * entries && left > 0; i++) {
        int more = g_rand_int_range(rng, 0, MIN(left, 65536 / entries) + 1);

        frequency[g_rand_int_range(rng, 0, entries)] += more;
        left -= more;
    }
    frequency[g_rand_int_range(rng, 0, entries)] += left;
}

static void
random_clear(RandomWeights *r)
{
    g_free(r->frequency);
    g_free(r->centroid);
}

static void
random_weights(RandomWeights *r, int levels, int skip)
{
    guint16 *frequency = r->frequency = g_new(guint16, M2T_QUANTIZERS * levels * 16 * 256);
    gint8 *centroid = r->centroid = g_new(gint8, M2T_QUANTIZERS * levels * 16 * 256);

    r->weights = (M2tEntropyWeights) {levels, 0, 1, skip, r->radius, r->raw, r->frequency, r->centroid};
    for (int i = 0; i < M2T_QUANTIZERS * levels * 16 * 256; i++)
        centroid[i] = (gint8) g_rand_int_range(rng, -128, 128);
    for (int level = 0; level < levels; level++) {
        r->radius[level] = g_rand_boolean(rng) ? g_rand_int_range(rng, 1, 128) : g_rand_int_range(rng, 1, 5);
        r->raw[level] = g_rand_int_range(rng, 0, 9);
    }
    for (int table = 0; table < M2T_QUANTIZERS * levels * 16; table++) {
        int entries = 2 * r->radius[table / 16 % levels] + 2;

        fill_frequencies(frequency, entries);
        frequency += entries;
    }
}

/* Of a value that may be none. @mean: as the tables have it, half of the prior's. */
static void
check_entry(const M2tEntropyTables *tables, const RandomWeights *random, int quantizer, int mean, int level, int value, const guint16 *start, int centroid)
{
    M2tEntropyPlace place = m2t_entropy_place(tables, mean, level, value);
    guint32 entry = (guint32) quantizer * tables->entries + place.entry;
    int frequency = start[1] - start[0], radius = random->radius[level];
    int beyond = abs((value >> random->raw[level]) - m2t_entropy_spot(tables, mean, level).value) - radius;
    double bits = 15 - log2(frequency) + random->raw[level];
    M2tEntropyOutcome outcome = m2t_entropy_outcome(tables, quantizer, mean, level, value);

    g_assert_cmpint(tables->range[entry].start, ==, start[0]);
    g_assert_cmpint(tables->range[entry].frequency, ==, frequency);
    g_assert_cmpint(abs(place.escape), ==, MAX(beyond, 0));
    if (beyond > 0)
        bits += M2T_PREFIX_BITS + (int) log2(beyond);
    g_assert_cmpfloat_with_epsilon(m2t_entropy_cost(outcome), M2T_COST_BIT * bits, 2);
    g_assert_cmpint(tables->centroid[entry], ==, level < random->weights.skip ? 0 : centroid);
    g_assert_cmpint(m2t_entropy_centroid(outcome), ==, tables->centroid[entry]);
}

/* One table: each entry is found from its slots, and from its values. */
static void
check_table(const M2tEntropyTables *tables, const RandomWeights *random, int quantizer, int level, int fraction, const gint8 *centroid)
{
    int radius = random->radius[level], last = 2 * radius + 1, one = 1 << random->raw[level];
    int center = g_rand_int_range(rng, -20, 21), mean = (16 * center + fraction - 8) * one + 8 * (one - 1);
    M2tEntropySpot at = m2t_entropy_spot(tables, mean, level);
    guint32 table = at.table + (guint32) quantizer * tables->bytes;
    const guint16 *start = m2t_entropy_starts(tables, table);

    g_assert_cmpint(at.value, ==, center);
    g_assert_cmpint(start[0], ==, 0);
    g_assert_cmpint(start[last + 1], ==, 32768);
    for (int i = 0; i <= last; i++) {
        g_assert_cmpint(m2t_entropy_find(tables, table, start[i]), ==, i);
        g_assert_cmpint(m2t_entropy_find(tables, table, start[i + 1] - 1), ==, i);
    }
    for (int i = 0; i < last; i++) {
        int value = (center + i - radius) * one + g_rand_int_range(rng, 0, one);

        g_assert_cmpint(m2t_entropy_place(tables, mean, level, value).entry, ==, at.first + 16 * i);
        check_entry(tables, random, quantizer, mean, level, value, start + i, centroid[i]);
    }
    for (int beyond = 1; beyond < 20000; beyond *= 3) {
        check_entry(tables, random, quantizer, mean, level, (center + radius + beyond) * one, start + last, centroid[last]);
        check_entry(tables, random, quantizer, mean, level, (center - radius - beyond) * one, start + last, centroid[last]);
    }
}

static void
check_tables(int skip)
{
    RandomWeights random;
    M2tEntropyTables *tables;
    const gint8 *centroid;

    random_weights(&random, M2T_LEVELS_MAX, skip);
    tables = m2t_entropy_tables_new(&random.weights);
    centroid = random.centroid;
    for (int table = 0; table < M2T_QUANTIZERS * M2T_LEVELS_MAX * 16; table++) {
        int level = table / 16 % M2T_LEVELS_MAX;

        check_table(tables, &random, table / 16 / M2T_LEVELS_MAX, level, table % 16, centroid);
        centroid += 2 * random.radius[level] + 2;
    }
    m2t_entropy_tables_free(tables);
    random_clear(&random);
}

static void
test_tables(void)
{
    check_tables(0);
    check_tables(20);
}

/* Against the plain way, for rows of all lengths. */
static void
test_marked(void)
{
    guint8 mark[200];
    guint16 list[200];

    for (int turn = 0; turn < 20000; turn++) {
        int n = g_rand_int_range(rng, 0, 201), often = g_rand_int_range(rng, 1, 80), count = 0, found;

        for (int i = 0; i < n; i++)
            mark[i] = g_rand_int_range(rng, 0, often) == 0;
        found = m2t_marked_list(mark, n, list);
        for (int i = 0; i < n; i++)
            if (mark[i])
                g_assert_cmpint(list[count++], ==, i);
        g_assert_cmpint(found, ==, count);
    }
}

/* ---- round trips ---- */

typedef struct {
    gsize count;
    gint32 *mean;
    guint8 *level;
    gint16 *latents;
    guint32 *rows; /* positions of rows in coding order */
    guint8 *state; /* of the chain, before each of them */
} Slice;

static int
random_latent(int mean, int scale)
{
    int near = mean / 16 + g_rand_int_range(rng, -scale, scale + 1);

    switch (g_rand_int_range(rng, 0, 20)) {
    case 0:
        return g_rand_int_range(rng, -16383, 16384);
    case 1:
        return g_rand_boolean(rng) ? -16383 : 16383;
    case 2:
        return 0;
    default:
        return CLAMP(near, -16383, 16383);
    }
}

/* The value beside it that the quantizer has. */
static int
legal_latent(int latent, int mean, int state)
{
    int centre = m2t_dependent_centre(m2t_dependent_half(mean)), quantizer = m2t_dependent_quantizer(state);
    int place = m2t_dependent_place(latent, centre);

    while (m2t_dependent_value(centre, place, quantizer) > M2T_LATENT_MAX)
        place--;
    while (m2t_dependent_value(centre, place, quantizer) < M2T_LATENT_MIN)
        place++;
    return m2t_dependent_value(centre, place, quantizer);
}

/* In coding order; chains of a few rows. */
static void
make_legal(Slice *s, int skip)
{
    guint8 state = 0;

    for (gsize row = 0; row < s->count / ROW; row++) {
        state = row % 5 ? state : 0;
        s->state[row] = state;
        for (gsize i = s->rows[row]; i < s->rows[row] + ROW; i++)
            if (s->level[i] >= skip) {
                int centre = m2t_dependent_centre(m2t_dependent_half(s->mean[i]));

                s->latents[i] = (gint16) legal_latent(s->latents[i], s->mean[i], state);
                state = m2t_dependent_next(state, m2t_dependent_place(s->latents[i], centre));
            }
    }
}

/* @coded: one of so many rows has levels that are all coded, the others are mostly skipped. */
static void
slice_init(Slice *s, const M2tEntropyWeights *weights, gsize rows, int coded)
{
    s->count = rows * ROW;
    s->mean = g_new(gint32, s->count + 1);
    s->level = g_malloc(s->count + 1);
    s->latents = g_new(gint16, s->count + 1);
    s->rows = g_new(guint32, rows + 1);
    s->state = g_malloc(rows + 1);
    for (gsize i = 0; i < s->count; i++) {
        int level = g_rand_int_range(rng, 0, i / ROW % coded && weights->skip ? weights->skip : weights->levels);
        int limit = g_rand_int_range(rng, 0, 262128) >> g_rand_int_range(rng, 0, 18);

        s->mean[i] = g_rand_int_range(rng, 0, 100) == 0 ? (i & 1 ? 262128 : -262128) : g_rand_int_range(rng, -limit, limit + 1);
        s->level[i] = level;
        s->latents[i] = random_latent(s->mean[i], 2 * weights->radius[level] << weights->raw[level]);
        if (level < weights->skip && g_rand_int_range(rng, 0, 30))
            s->latents[i] = 0;
    }
    for (gsize i = 0; i < rows; i++) {
        gsize other = g_rand_int_range(rng, 0, i + 1);

        s->rows[i] = s->rows[other];
        s->rows[other] = i * ROW;
    }
    make_legal(s, weights->skip);
}

static void
slice_clear(Slice *s)
{
    g_free(s->mean);
    g_free(s->level);
    g_free(s->latents);
    g_free(s->rows);
    g_free(s->state);
}

/* In sections, some of them empty, which are filled from the last to the first. */
static int
slice_write(const Slice *s, M2tSliceWriter *writer, GByteArray *out)
{
    gsize rows = s->count / ROW, first[SECTIONS + 1] = {0};
    int code;

    m2t_slice_writer_begin(writer);
    for (int i = 0; i < SECTIONS; i++) {
        first[i + 1] = i + 1 < SECTIONS ? (gsize) g_rand_int_range(rng, (gint32) first[i], (gint32) MIN(rows, first[i] + rows / 20) + 1) : rows;
        m2t_slice_writer_add_section(writer, (first[i + 1] - first[i]) * ROW);
    }
    for (int section = SECTIONS; section-- > 0;) {
        gsize count = 0;

        for (gsize i = first[section]; i < first[section + 1]; i++) {
            guint32 at = s->rows[i];
            guint8 state = s->state[i];

            count = put(writer, section, count, at, &state, s->mean + at, s->level + at, s->latents + at, ROW);
        }
    }
    code = m2t_slice_writer_lanes(writer);
    m2t_slice_writer_end(writer, code, out);
    return code;
}

static gboolean
slice_read(const Slice *s, M2tSliceReader *reader, const guint8 *data, gsize size, int lanes, gint16 *latents)
{
    guint8 state = 0;

    if (!m2t_slice_reader_begin(reader, data, size, lanes, latents, s->count))
        return FALSE;
    for (gsize i = 0; i < s->count / ROW; i++) {
        guint32 at = s->rows[i];
        gint8 centroid[ROW];

        state = i % 5 ? state : 0;
        m2t_slice_reader_get(reader, &state, s->mean + at, s->level + at, latents + at, centroid, ROW);
    }
    return m2t_slice_reader_end(reader);
}

static void
check_round_trip(const M2tEntropyWeights *weights, gsize rows, int coded, int expected_lanes)
{
    M2tEntropyTables *tables = m2t_entropy_tables_new(weights);
    M2tSliceWriter *writer = new_writer(tables, rows * ROW + 1);
    M2tSliceReader *reader = m2t_slice_reader_new(tables);
    g_autofree gint16 *latents = g_new(gint16, rows * ROW + 1);

    for (int turn = 0; turn < 3; turn++) {
        g_autoptr(GByteArray) out = g_byte_array_new();
        Slice slice;
        int lanes;

        slice_init(&slice, weights, rows, coded);
        lanes = slice_write(&slice, writer, out);
        g_assert_true(expected_lanes < 0 || lanes == expected_lanes);
        memset(latents, 0x55, slice.count * 2);
        g_assert_true(slice_read(&slice, reader, out->data, out->len, lanes, latents));
        g_assert_cmpmem(latents, slice.count * 2, slice.latents, slice.count * 2);
        g_byte_array_append(out, (const guint8 *) "\0\0", 2);
        g_assert_false(slice_read(&slice, reader, out->data, out->len, lanes, latents));
        slice_clear(&slice);
    }
    m2t_slice_reader_free(reader);
    free_writer(writer);
    m2t_entropy_tables_free(tables);
}

static void
test_round_trips(void)
{
    static const struct {
        int levels, skip, rows, coded, lanes;
    } shapes[] = {
        {64, 0, 0, 1, 0},    {64, 0, 1, 1, 0},      {1, 0, 20, 1, 0},    {64, 0, 200, 1, 0},   {64, 0, 3000, 1, 1},
        {64, 8, 16000, 1, 2}, {64, 8, 3000, 20, 0}, {64, 64, 300, 1, 0}, {20, 3, 77, 3, -1},
    };

    for (guint i = 0; i < G_N_ELEMENTS(shapes); i++) {
        RandomWeights random;

        random_weights(&random, shapes[i].levels, shapes[i].skip);
        check_round_trip(&random.weights, shapes[i].rows, shapes[i].coded, shapes[i].lanes);
        random_clear(&random);
    }
    check_round_trip(&model->entropy, 500, 4, -1);
}

/* Every latent against means at both limits, so that escapes are as long as they can be. */
static void
test_longest_escapes(void)
{
    RandomWeights random;
    M2tEntropyTables *tables;
    M2tSliceReader *reader;

    random_weights(&random, 9, 0);
    for (int level = 0; level < 9; level++)
        random.raw[level] = level;
    tables = m2t_entropy_tables_new(&random.weights);
    reader = m2t_slice_reader_new(tables);
    for (int turn = 0; turn < 200; turn++) {
        M2tSliceWriter *writer = new_writer(tables, ROW);
        g_autoptr(GByteArray) out = g_byte_array_new();
        gint32 mean[ROW];
        guint8 level[ROW];
        gint16 latent[ROW], back[ROW];
        gint8 centroid[ROW];
        guint8 state = 0;

        for (int i = 0; i < ROW; i++) {
            mean[i] = g_rand_boolean(rng) ? 262128 : -262128;
            level[i] = g_rand_int_range(rng, 0, 9);
            latent[i] = (gint16) legal_latent((g_rand_boolean(rng) ? 1 : -1) * (16383 - g_rand_int_range(rng, 0, 4)), mean[i], state);
            state = m2t_dependent_next(state, m2t_dependent_place(latent[i], m2t_dependent_centre(m2t_dependent_half(mean[i]))));
        }
        state = 0;
        m2t_slice_writer_begin(writer);
        m2t_slice_writer_add_section(writer, ROW);
        put(writer, 0, 0, 0, &state, mean, level, latent, ROW);
        g_assert_cmpint(m2t_slice_writer_lanes(writer), ==, 0);
        m2t_slice_writer_end(writer, 0, out);
        g_assert_true(m2t_slice_reader_begin(reader, out->data, out->len, 0, back, ROW));
        state = 0;
        m2t_slice_reader_get(reader, &state, mean, level, back, centroid, ROW);
        g_assert_true(m2t_slice_reader_end(reader));
        g_assert_cmpmem(back, sizeof back, latent, sizeof latent);
        free_writer(writer);
    }
    m2t_slice_reader_free(reader);
    m2t_entropy_tables_free(tables);
    random_clear(&random);
}

/* ---- damage ---- */

static void
test_bad_starts(void)
{
    static const struct {
        const char *data;
        gsize size;
        int lanes;
    } bad[] = {
        {"", 0, 0},
        {"\x80\x00", 2, 0},
        {"\x01", 1, 0},
        {"\x01\x00", 2, 0},
        {"\x00\x00\x00\x01", 4, 0},             /* states cut */
        {"\x00\xff\xff\x00\x00", 5, 0},         /* a state too small */
        {"\x00\x00\x00\x01\x00", 5, 1},         /* one state of four */
        {"\x01\x00\x00\x00\x00\x01\x00", 7, 0}, /* exception of zero */
        {"\x01\x50\x02\x00\x00\x01\x00", 7, 0}, /* outside */
        {"\x02\x00\x02\xff\xff\xff\xff\x0f\x02\x00\x00\x01\x00", 13, 0},
        {"\x01\x00\x80\x80\x02\x00\x00\x01\x00", 9, 0}, /* 16384 */
        {"\xff\xff\xff\xff\x0f\x00\x02\x00\x02", 9, 0}, /* four thousand million exceptions */
    };
    M2tEntropyTables *tables = m2t_entropy_tables_new(&model->entropy);
    M2tSliceReader *reader = m2t_slice_reader_new(tables);
    gint16 latents[80];

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree guint8 *copy = g_memdup2(bad[i].data, bad[i].size + 1);

        g_assert_false(m2t_slice_reader_begin(reader, copy, bad[i].size, bad[i].lanes, latents, 80));
    }
    g_assert_true(m2t_slice_reader_begin(reader, (const guint8 *) "\x01\x4f\xff\xff\x01\x00\x00\x01\x00", 9, 0, latents, 80));
    g_assert_cmpint(latents[79], ==, -16384);
    m2t_slice_reader_free(reader);
    m2t_entropy_tables_free(tables);
}

/* Reading always ends, within the data and the latents, and what is cut never passes. A flipped bit may: exceptions and raw bits have no
 * redundancy, the frame's checksum covers them. Means and levels are those of the undamaged slice, and then others, as they would
 * be when the prior has seen wrong latents. */
static void
test_damage(void)
{
    RandomWeights random;
    M2tEntropyTables *tables;
    M2tSliceWriter *writer;
    M2tSliceReader *reader;
    Slice slice, other;
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_autofree gint16 *latents = NULL;
    int lanes;

    random_weights(&random, 30, 4);
    tables = m2t_entropy_tables_new(&random.weights);
    reader = m2t_slice_reader_new(tables);
    slice_init(&slice, &random.weights, 60, 2);
    slice_init(&other, &random.weights, 60, 2);
    writer = new_writer(tables, slice.count);
    latents = g_new(gint16, slice.count);
    lanes = slice_write(&slice, writer, out);
    for (int turn = 0; turn < 20000; turn++) {
        gsize size = turn & 1 ? out->len : (gsize) g_rand_int_range(rng, 1, out->len);
        g_autofree guint8 *copy = g_memdup2(out->data, size);

        if (turn & 1)
            copy[g_rand_int_range(rng, 0, size)] ^= 1 << g_rand_int_range(rng, 0, 8);
        if (slice_read(&slice, reader, copy, size, lanes, latents))
            g_assert_cmpuint(size, ==, out->len);
        slice_read(&other, reader, copy, size, g_rand_int_range(rng, 0, 3), latents);
    }
    slice_clear(&slice);
    slice_clear(&other);
    m2t_slice_reader_free(reader);
    free_writer(writer);
    m2t_entropy_tables_free(tables);
    random_clear(&random);
}

/* ---- the choice of latents ---- */

enum { TRIED = 6 };     /* latents in a row */

typedef struct {
    gint32 mean[TRIED], wanted[TRIED];
    guint8 level[TRIED];
} Row;

/* Bits and error together, of one latent. */
static double
price(const M2tEntropyTables *tables, const Row *row, int i, int quantizer, int place)
{
    int half = m2t_dependent_half(row->mean[i]), centre = m2t_dependent_centre(half);
    M2tEntropyOutcome outcome = m2t_entropy_outcome(tables, quantizer, half, row->level[i], centre + place);
    double error = (row->wanted[i] - m2t_entropy_centroid(outcome)) / 128.0 - m2t_dependent_value(centre, place, quantizer);

    return m2t_entropy_cost(outcome) + m2t_trellis_error_worth(0) * error * error;
}

/* Of the even or odd places: the nearest to what the latent should be, or the next one towards the mean. */
static double
least_of(const M2tEntropyTables *tables, const Row *row, int i, int quantizer, int odd)
{
    int centre = m2t_dependent_centre(m2t_dependent_half(row->mean[i])), nearest = odd, distance = G_MAXINT;

    for (int place = -60 + odd; place <= 60; place += 2) {
        int other = abs(128 * m2t_dependent_value(centre, place, quantizer) - row->wanted[i]);

        if (other < distance || (other == distance && abs(place) > abs(nearest))) {
            distance = other;
            nearest = place;
        }
    }
    return abs(nearest) < 2 ? price(tables, row, i, quantizer, nearest)
                            : MIN(price(tables, row, i, quantizer, nearest), price(tables, row, i, quantizer, nearest < 0 ? nearest + 2 : nearest - 2));
}

/* The least for the latents from the i-th on, of all ways that there are. */
static double
least(const M2tEntropyTables *tables, const Row *row, int i, int state)
{
    double sum[2];

    for (int odd = 0; odd < 2; odd++) {
        sum[odd] = least_of(tables, row, i, m2t_dependent_quantizer(state), odd);
        if (i + 1 < TRIED)
            sum[odd] += least(tables, row, i + 1, m2t_dependent_next(state, odd));
    }
    return MIN(sum[0], sum[1]);
}

/* A trellis for one chain of up to ROW latents, and where its outcome goes. */
typedef struct {
    M2tTrellis trellis;
    M2tTrellisMemory memory;
    M2tArena arena;
    gint32 sum[M2T_STATES];
    M2tSliceWriter *writer;
    gint16 latents[ROW];
    gint8 centroids[ROW];
} OwnTrellis;

static OwnTrellis *
new_trellis(const M2tEntropyTables *tables)
{
    OwnTrellis *own = g_new0(OwnTrellis, 1);

    m2t_trellis_layout(&own->memory, &own->arena, TRIED, ROW);
    g_assert_true(m2t_arena_allocate(&own->arena));
    m2t_trellis_layout(&own->memory, &own->arena, TRIED, ROW);
    own->writer = new_writer(tables, ROW);
    own->trellis = (M2tTrellis) {m2t_kernels_get(), tables, &own->memory, own->sum, m2t_trellis_error_worth(0), FALSE,
                                 {own->latents, own->centroids, own->writer}};
    return own;
}

static void
free_trellis(OwnTrellis *own)
{
    free_writer(own->writer);
    m2t_arena_free(&own->arena);
    g_free(own);
}

static void
begin_trellis(OwnTrellis *own)
{
    m2t_slice_writer_begin(own->writer);
    m2t_slice_writer_add_section(own->writer, ROW);
    m2t_trellis_begin(&own->trellis);
}

/* What was queued is what was chosen: a decoder has the same latents and centroids. */
static void
end_trellis(OwnTrellis *own, const M2tEntropyTables *tables, const gint32 *mean, const guint8 *level, int n, int rows)
{
    M2tSliceReader *reader = m2t_slice_reader_new(tables);
    g_autoptr(GByteArray) out = g_byte_array_new();
    gint16 latents[ROW];
    gint8 centroids[ROW];
    guint8 state = 0;

    m2t_trellis_end(&own->trellis, 0, rows, 0);
    m2t_slice_writer_end(own->writer, 0, out);
    g_assert_true(m2t_slice_reader_begin(reader, out->data, out->len, 0, latents, (gsize) n));
    m2t_slice_reader_get(reader, &state, mean, level, latents, centroids, n);
    g_assert_true(m2t_slice_reader_end(reader));
    g_assert_cmpmem(latents, (gsize) n * sizeof *latents, own->latents, (gsize) n * sizeof *latents);
    g_assert_cmpmem(centroids, (gsize) n, own->centroids, (gsize) n);
    m2t_slice_reader_free(reader);
}

/* What the trellis takes is as good as the best there is. */
static void
test_trellis(void)
{
    M2tEntropyTables *tables = m2t_entropy_tables_new(&model->entropy);
    OwnTrellis *own = new_trellis(tables);
    int moved = 0;

    for (int turn = 0; turn < 5000; turn++) {
        guint8 state = 0;
        double sum = 0;
        Row row;

        for (int i = 0; i < TRIED; i++) {
            row.level[i] = (guint8) g_rand_int_range(rng, model->entropy.skip, model->entropy.levels);
            row.mean[i] = g_rand_int_range(rng, -80, 81);
            row.wanted[i] = 8 * row.mean[i] + g_rand_int_range(rng, -500, 501);
        }
        begin_trellis(own);
        for (int at = TRIED - 2; at >= 0; at -= 2) /* in any order */
            m2t_trellis_add(&own->trellis, at / 2, (gsize) at, row.mean + at, row.level + at, row.wanted + at, 2);
        for (int i = 0; i < TRIED / 2; i++)
            m2t_trellis_pass(&own->trellis, i);
        end_trellis(own, tables, row.mean, row.level, TRIED, TRIED / 2);
        for (int i = 0; i < TRIED; i++) {
            int quantizer = m2t_dependent_quantizer(state), centre = m2t_dependent_centre(m2t_dependent_half(row.mean[i]));
            int place = m2t_dependent_place(own->latents[i], centre);

            g_assert_cmpint(m2t_dependent_value(centre, place, quantizer), ==, own->latents[i]);
            sum += price(tables, &row, i, quantizer, place);
            state = m2t_dependent_next(state, place);
            moved += abs(128 * own->latents[i] - row.wanted[i]) > 64;
        }
        g_assert_cmpfloat(sum, <=, least(tables, &row, 0, 0) + TRIED * (m2t_trellis_error_worth(0) / 128 + 1));
    }
    g_assert_cmpint(moved, >, 5000);
    free_trellis(own);
    m2t_entropy_tables_free(tables);
}

/* Of latents whose level is not coded only large ones are kept; a latent does not leave the range that decoders know, however far it is to go. */
static void
test_trellis_ends(void)
{
    M2tEntropyTables *tables = m2t_entropy_tables_new(&model->entropy);
    const gint32 mean[] = {0, 0, 0, -262128, 262128, 262128, -262128}, far = 40000 * 128;
    const gint32 wanted[] = {120, -100, -900 * 128, -far, far, -far, far};
    guint8 level[G_N_ELEMENTS(mean)];
    OwnTrellis *own = new_trellis(tables);
    const gint16 *latents = own->latents;

    memset(level, model->entropy.levels - 1, sizeof level);
    memset(level, model->entropy.skip - 1, 3);
    begin_trellis(own);
    m2t_trellis_add(&own->trellis, 0, 0, mean, level, wanted, G_N_ELEMENTS(mean));
    m2t_trellis_pass(&own->trellis, 0);
    end_trellis(own, tables, mean, level, G_N_ELEMENTS(mean), 1);
    g_assert_cmpint(latents[0], ==, 0);
    g_assert_cmpint(latents[1], ==, 0);
    g_assert_cmpint(latents[2], ==, -900);
    for (guint i = 3; i < G_N_ELEMENTS(mean); i++) {
        g_assert_cmpint(ABS(latents[i]), <=, M2T_LATENT_MAX);
        g_assert_cmpint(ABS(latents[i]), >, M2T_LATENT_MAX - 20);
        g_assert_cmpint(latents[i] > 0, ==, wanted[i] > 0);
    }
    free_trellis(own);
    m2t_entropy_tables_free(tables);
}

static void
test_random_bytes(void)
{
    M2tEntropyTables *tables = m2t_entropy_tables_new(&model->entropy);
    M2tSliceReader *reader = m2t_slice_reader_new(tables);
    Slice slice;
    g_autofree gint16 *latents = NULL;

    slice_init(&slice, &model->entropy, 20, 1);
    latents = g_new(gint16, slice.count);
    for (int turn = 0; turn < 20000; turn++) {
        gsize size = g_rand_int_range(rng, 1, 600);
        g_autofree guint8 *data = g_malloc(size);

        for (gsize i = 0; i < size; i++)
            data[i] = g_rand_int(rng);
        data[0] = 0;
        g_assert_false(slice_read(&slice, reader, data, size, g_rand_int_range(rng, 0, 3), latents));
        for (gsize i = 0; i < slice.count; i++)
            g_assert_true(latents[i] >= -16384 && latents[i] <= 16383);
    }
    slice_clear(&slice);
    m2t_slice_reader_free(reader);
    m2t_entropy_tables_free(tables);
}

/* ---- speed ---- */

/* Levels as an ordinary frame has them, latents as likely as the tables say. */
static void
likely_latents(Slice *s, const M2tEntropyTables *tables)
{
    for (gsize i = 0; i < s->count; i++) {
        int a = g_rand_int_range(rng, 0, 45), b = g_rand_int_range(rng, 0, 45);
        int level = s->level[i] = MIN(MIN(a, b), tables->levels - 1), mean = s->mean[i] = g_rand_int_range(rng, -24, 25);
        M2tEntropySpot at = m2t_entropy_spot(tables, m2t_dependent_half(mean), level);
        int v = m2t_entropy_find(tables, at.table, g_rand_int_range(rng, 0, 32768)) - tables->level[level].radius;

        s->latents[i] = level < tables->skip ? 0 : 2 * (v + at.value) * (1 << tables->level[level].raw);
    }
    for (gsize i = 0; i < s->count / ROW; i++)
        s->rows[i] = i * ROW;
    make_legal(s, tables->skip);
}

/* A frame of 1920x1080: two million latents, nearly all of them coded. The best of twenty turns; run with -m perf. */
static void
test_speed(void)
{
    M2tModel *standard = m2t_model_open(NULL, NULL);
    const M2tEntropyWeights *weights = standard ? &standard->entropy : &model->entropy;
    M2tEntropyTables *tables = m2t_entropy_tables_new(weights);
    const gsize rows = 51840;
    M2tSliceWriter *writer = new_writer(tables, rows * ROW);
    M2tSliceReader *reader = m2t_slice_reader_new(tables);
    g_autofree gint16 *latents = g_new(gint16, rows * ROW);
    g_autoptr(GByteArray) out = g_byte_array_new();
    Slice slice;
    double write = G_MAXDOUBLE, read = G_MAXDOUBLE;

    slice_init(&slice, weights, rows, 7);
    likely_latents(&slice, tables);
    for (int turn = 0; turn < 20; turn++) {
        int lanes;

        g_byte_array_set_size(out, 0);
        g_test_timer_start();
        lanes = slice_write(&slice, writer, out);
        g_test_timer_elapsed();
        write = MIN(write, g_test_timer_last());
        g_test_timer_start();
        g_assert_true(slice_read(&slice, reader, out->data, out->len, lanes, latents));
        g_test_timer_elapsed();
        read = MIN(read, g_test_timer_last());
    }
    g_test_message("%u bytes, writing %.2f ms, reading %.2f ms", out->len, 1000 * write, 1000 * read);
    slice_clear(&slice);
    m2t_slice_reader_free(reader);
    free_writer(writer);
    m2t_entropy_tables_free(tables);
    m2t_model_unref(standard);
}

int
main(int argc, char **argv)
{
    g_autofree char *path = vectors_path("tiny.m2tw");
    GError *error = NULL;
    int status;

    g_test_init(&argc, &argv, NULL);
    vectors = vectors_open("coder");
    rng = g_rand_new_with_seed(3);
    model = m2t_model_open(path, &error);
    g_assert_no_error(error);
    g_test_add_func("/entropy/golden-coder", test_golden_coder);
    g_test_add_func("/entropy/golden-exceptions", test_golden_exceptions);
    g_test_add_func("/entropy/tables", test_tables);
    g_test_add_func("/entropy/marked", test_marked);
    g_test_add_func("/entropy/round-trips", test_round_trips);
    g_test_add_func("/entropy/longest-escapes", test_longest_escapes);
    g_test_add_func("/entropy/bad-starts", test_bad_starts);
    g_test_add_func("/entropy/damage", test_damage);
    g_test_add_func("/entropy/random-bytes", test_random_bytes);
    g_test_add_func("/entropy/trellis", test_trellis);
    g_test_add_func("/entropy/trellis-ends", test_trellis_ends);
    if (g_test_perf())
        g_test_add_func("/entropy/speed", test_speed);
    status = g_test_run();
    m2t_model_unref(model);
    g_rand_free(rng);
    vectors_close(&vectors);
    return status;
}
