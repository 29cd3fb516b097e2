/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Exact tokens: lists of runs, samples to bytes and back, what is refused, the encoder's choice; and whole streams, in which they are
 * shown as they are for as long as they are kept. */
#include "base/arena.h"
#include "base/limits.h"
#include "base/tokens.h"
#include "base/varint.h"
#include "clips.h"
#include "exact/choose.h"
#include "exact/samples.h"
#include "inter/kept.h"
#include "model/model.h"
#include "nn/gemm.h"
#include "planes.h"

#include <m2t/m2t.h>
#include <string.h>

static M2tModel *tiny;
static GRand *rng;

/* ---- runs of tokens ---- */

/* Runs of any length. -> whether any is of the kind @which */
static gboolean
draw_kinds(guint8 *kind, int tokens, M2tTokenKind which, M2tTokenKind other)
{
    double change = g_rand_double(rng) * g_rand_double(rng), share = g_rand_double(rng);

    for (int i = 0; i < tokens; i++)
        if (i > 0 && g_rand_double(rng) > change)
            kind[i] = kind[i - 1];
        else
            kind[i] = g_rand_double(rng) > share ? M2T_TOKEN_CODED : g_rand_boolean(rng) ? which : other;
    return m2t_tokens_any(kind, tokens, which);
}

/* What is known before runs of others than @passed are read. */
static void
forget_kinds(guint8 *to, const guint8 *kind, int tokens, M2tTokenKind passed)
{
    for (int i = 0; i < tokens; i++)
        to[i] = kind[i] == passed ? passed : M2T_TOKEN_CODED;
}

/* Of all kinds that are not @passed one or the other, written and read. */
static void
check_runs(const guint8 *kind, int tokens, M2tTokenKind which, M2tTokenKind passed)
{
    int runs = m2t_tokens_count_runs(kind, tokens, which, passed);
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_autofree guint8 *back = g_malloc(tokens), *data = NULL;
    const guint8 *at;

    m2t_tokens_write_runs(out, kind, tokens, which, passed, runs);
    for (guint less = 0; less <= out->len; less++) {
        g_free(data);
        at = data = g_memdup2(out->data, MAX(less, 1));
        forget_kinds(back, kind, tokens, passed);
        g_assert_true(m2t_tokens_read_runs(&at, data + less, back, tokens, which, passed, (guint32) runs) == (less == out->len));
    }
    g_assert_true(at == data + out->len);
    g_assert_cmpmem(back, tokens, kind, tokens);
    at = data;
    forget_kinds(back, kind, tokens, passed);
    g_assert_false(m2t_tokens_read_runs(&at, data + out->len, back, tokens, which, passed, (guint32) runs + 1));
}

static void
test_runs(void)
{
    guint8 kind[300];

    for (int turn = 0; turn < 5000; turn++) {
        int tokens = g_rand_int_range(rng, 1, sizeof kind + 1);

        if (draw_kinds(kind, tokens, M2T_TOKEN_EXACT, M2T_TOKEN_KEPT))
            check_runs(kind, tokens, M2T_TOKEN_EXACT, M2T_TOKEN_KEPT);
        else
            g_assert_cmpint(m2t_tokens_count_runs(kind, tokens, M2T_TOKEN_EXACT, M2T_TOKEN_KEPT), ==, 0);
        if (draw_kinds(kind, tokens, M2T_TOKEN_KEPT, M2T_TOKEN_KEPT))
            check_runs(kind, tokens, M2T_TOKEN_KEPT, M2T_TOKEN_NONE);
    }
}

/* What is accepted is what a writer would have written; kept tokens stay kept, and what is not a token stays what it is. */
static void
test_hostile_runs(void)
{
    guint8 memory[2 + 40], *kind = memory + 1, before[40], data[24];
    int taken = 0;

    for (int turn = 0; turn < 100000; turn++) {
        int tokens = g_rand_int_range(rng, 1, sizeof before + 1), size = g_rand_int_range(rng, 0, sizeof data + 1);
        guint32 runs = g_rand_int_range(rng, 0, 20) ? (guint32) g_rand_int_range(rng, 1, 8) : MAX(g_rand_int(rng), 1);
        g_autoptr(GByteArray) again = g_byte_array_new();
        const guint8 *at = data;

        for (int i = 0; i < size; i++)
            data[i] = (guint8) (g_rand_int_range(rng, 0, 9) ? g_rand_int_range(rng, 0, 8) : g_rand_int_range(rng, 0, 256));
        memset(memory, 0xee, sizeof memory);
        draw_kinds(before, tokens, M2T_TOKEN_KEPT, M2T_TOKEN_KEPT);
        memcpy(kind, before, tokens);
        if (m2t_tokens_read_runs(&at, data + size, kind, tokens, M2T_TOKEN_EXACT, M2T_TOKEN_KEPT, runs)) {
            taken++;
            if (!m2t_tokens_any(kind, tokens, M2T_TOKEN_EXACT)) /* an empty run, and another one */
                g_assert_true(runs == 2 && data[0] == 0);
            else
                g_assert_cmpuint(m2t_tokens_count_runs(kind, tokens, M2T_TOKEN_EXACT, M2T_TOKEN_KEPT), ==, runs);
            m2t_tokens_write_runs(again, kind, tokens, M2T_TOKEN_EXACT, M2T_TOKEN_KEPT, (int) runs);
            g_assert_cmpmem(again->data, again->len, data, at - data);
        }
        for (int i = 0; i < tokens; i++) {
            g_assert_true((kind[i] == M2T_TOKEN_KEPT) == (before[i] == M2T_TOKEN_KEPT));
            g_assert_cmpuint(kind[i], <=, M2T_TOKEN_EXACT);
        }
        g_assert_true(memory[0] == 0xee && kind[tokens] == 0xee);
    }
    g_assert_cmpint(taken, >, 1000);
}

/* ---- samples ---- */

/* Memory for the samples of a picture, with something before and behind it that has to stay as it is. */
typedef struct {
    M2tExact exact;
    M2tArena arena;
    guint8 *guard[2];
} Samples;

enum { GUARD = 64, POISON = 0x5a };

static void
lay_out(Samples *s, const M2tGeometry *geometry)
{
    s->guard[0] = m2t_arena_take(&s->arena, GUARD, 1);
    m2t_exact_layout(&s->exact, &s->arena, geometry);
    s->guard[1] = m2t_arena_take(&s->arena, GUARD, 1);
}

static void
samples_init(Samples *s, const M2tGeometry *geometry)
{
    *s = (Samples) {0};
    lay_out(s, geometry);
    g_assert_true(m2t_arena_allocate(&s->arena));
    lay_out(s, geometry);
    memset(s->guard[0], POISON, s->guard[1] + GUARD - s->guard[0]);
}

static void
samples_clear(Samples *s)
{
    for (int i = 0; i < 2; i++)
        for (int at = 0; at < GUARD; at++)
            g_assert_cmphex(s->guard[i][at], ==, POISON);
    m2t_arena_free(&s->arena);
}

typedef enum { NOISE, FLAT, TWO_COLOURS, SCREEN, SCENE, CHARACTERS } Character;

static void
draw(Planes *p, Character character, guint seed)
{
    guint8 colour[2] = {(guint8) g_rand_int(rng), (guint8) g_rand_int(rng)};

    if (character == SCREEN)
        planes_draw_screen(p, seed);
    if (character == SCENE)
        planes_draw(p, seed);
    for (gsize i = 0; i < p->size && character < SCREEN; i++)
        p->memory[i] = character == NOISE ? (guint8) g_rand_int(rng) : character == FLAT ? colour[0] : colour[g_rand_int_range(rng, 0, 5) == 0];
}

typedef struct {
    int plane, x, y;       /* a sample of the padded picture */
    gboolean inside;       /* the picture itself */
} Place;

/* The order of samples is that of docs/bitstream.md, section 4. */
static Place
place_of(const M2tGeometry *g, int token, int channel)
{
    int patch = channel / M2T_PATCH_CHANNELS, c = channel % M2T_PATCH_CHANNELS, plane = c < 64 ? 0 : c < 80 ? 1 : 2, side = plane ? 4 : 8;
    int i = plane == 0 ? c : plane == 1 ? c - 64 : c - 80;
    Place place = {plane, (2 * (token % g->token_columns) + patch % 2) * side + i % side, (2 * (token / g->token_columns) + patch / 2) * side + i / side};

    place.inside = place.x < (plane ? (g->width + 1) / 2 : g->width) && place.y < (plane ? (g->height + 1) / 2 : g->height);
    return place;
}

static guint8
sample_at(const Planes *p, const M2tGeometry *g, int token, int channel)
{
    Place place = place_of(g, token, channel);
    int width = place.plane ? (p->width + 1) / 2 : p->width, height = place.plane ? (p->height + 1) / 2 : p->height;

    return p->picture.data[place.plane][(gsize) MIN(place.y, height - 1) * p->picture.stride[place.plane] + MIN(place.x, width - 1)];
}

/* All samples of exact tokens are those of the picture; all others of the slices from @first to before @last are unknown. */
static void
check_samples(const Samples *s, const Planes *p, const guint8 *kind, int first, int last)
{
    const M2tGeometry *g = &s->exact.geometry;
    guint8 samples[M2T_TOKEN_CHANNELS];

    for (int token = m2t_geometry_slice_token(g, first); token < m2t_geometry_slice_token(g, last); token++) {
        m2t_exact_samples(&s->exact, token, samples);
        for (int i = 0; i < M2T_TOKEN_CHANNELS; i++)
            g_assert_cmpuint(samples[i], ==, kind[token] == M2T_TOKEN_EXACT ? sample_at(p, g, token, i) : 128);
    }
}

/* Nothing was written of slices from @first to before @last. */
static void
check_untouched(const Samples *s, int first, int last)
{
    const M2tGeometry *g = &s->exact.geometry;

    for (int plane = 0; plane < 3; plane++) {
        int rows = plane ? 8 : 16, begin = rows * m2t_geometry_slice_row(g, first), end = rows * m2t_geometry_slice_row(g, last);

        for (const guint8 *at = s->exact.plane[plane] + begin * s->exact.stride[plane]; at < s->exact.plane[plane] + end * s->exact.stride[plane]; at++)
            g_assert_cmphex(*at, ==, POISON);
    }
}

typedef struct {
    M2tGeometry geometry;
    Planes picture;
    guint8 *kind;
} Case;

static void
case_init(Case *c, Character character, guint seed)
{
    int width = g_rand_int_range(rng, 16, 90), height = g_rand_int_range(rng, 16, 90), rows = (height + 15) / 16;

    m2t_geometry_init(&c->geometry, width, height, g_rand_int_range(rng, 1, MIN(rows, 4) + 1));
    planes_init(&c->picture, width, height);
    draw(&c->picture, character, seed);
    c->kind = g_malloc(m2t_geometry_tokens(&c->geometry));
    draw_kinds(c->kind, m2t_geometry_tokens(&c->geometry), M2T_TOKEN_EXACT, seed % 3 ? M2T_TOKEN_KEPT : M2T_TOKEN_EXACT);
}

static void
case_clear(Case *c)
{
    planes_clear(&c->picture);
    g_free(c->kind);
}

static void
test_samples(void)
{
    for (guint turn = 0; turn < 40 * CHARACTERS; turn++) {
        Samples in, out, loaded;
        Case c;

        case_init(&c, turn % CHARACTERS, turn);
        samples_init(&in, &c.geometry);
        samples_init(&out, &c.geometry);
        samples_init(&loaded, &c.geometry);
        for (int slice = c.geometry.slices - 1; slice >= 0; slice--) {
            g_autoptr(GByteArray) data = g_byte_array_new();

            g_byte_array_append(data, (const guint8 *) "before", 6);
            m2t_exact_write(&in.exact, &c.picture.picture, slice, c.kind, data);
            check_samples(&in, &c.picture, c.kind, slice, slice + 1);
            g_assert_true(m2t_exact_read(&out.exact, slice, c.kind, data->data + 6, data->len - 6));
            check_samples(&out, &c.picture, c.kind, slice, c.geometry.slices);
            check_untouched(&out, 0, slice);
        }
        for (int token = 0; token < m2t_geometry_tokens(&c.geometry); token++)
            if (c.kind[token] == M2T_TOKEN_CODED)
                c.kind[token] = M2T_TOKEN_EXACT;
        m2t_exact_load(&loaded.exact, &c.picture.picture, c.kind);
        for (int token = 0; token < m2t_geometry_tokens(&c.geometry); token++) {
            guint8 samples[M2T_TOKEN_CHANNELS];

            m2t_exact_samples(&loaded.exact, token, samples);
            for (int i = 0; i < M2T_TOKEN_CHANNELS && c.kind[token] == M2T_TOKEN_EXACT; i++)
                g_assert_cmpuint(samples[i], ==, sample_at(&c.picture, &c.geometry, token, i));
        }
        samples_clear(&in);
        samples_clear(&out);
        samples_clear(&loaded);
        case_clear(&c);
    }
}

/* What is drawn takes few bytes, and what is flat next to none. */
static void
test_sizes(void)
{
    static const double bits[CHARACTERS] = {[NOISE] = 9, [FLAT] = 0.05, [TWO_COLOURS] = 1, [SCREEN] = 1.5, [SCENE] = 8};

    for (guint turn = 0; turn < CHARACTERS; turn++) {
        g_autoptr(GByteArray) data = g_byte_array_new();
        M2tGeometry geometry;
        guint8 kind[64];
        Samples samples;
        Planes p;

        m2t_geometry_init(&geometry, 128, 128, 1);
        planes_init(&p, 128, 128);
        draw(&p, turn, turn);
        memset(kind, M2T_TOKEN_EXACT, sizeof kind);
        samples_init(&samples, &geometry);
        m2t_exact_write(&samples.exact, &p.picture, 0, kind, data);
        g_test_message("character %u: %.3f bits per sample", turn, 8.0 * data->len / p.size);
        g_assert_cmpfloat(8.0 * data->len / p.size, <, bits[turn]);
        samples_clear(&samples);
        planes_clear(&p);
    }
}

/* -> whether it was taken; whatever it is, nothing is written but exact tokens of this slice. */
static gboolean
read_hostile(Samples *s, const Case *c, int slice, const guint8 *data, gsize size)
{
    g_autofree guint8 *copy = g_memdup2(data, MAX(size, 1));
    guint8 samples[M2T_TOKEN_CHANNELS];
    gboolean taken;

    memset(s->guard[0], POISON, s->guard[1] + GUARD - s->guard[0]);
    taken = m2t_exact_read(&s->exact, slice, c->kind, copy, size);
    check_untouched(s, 0, slice);
    check_untouched(s, slice + 1, c->geometry.slices);
    for (int token = m2t_geometry_slice_token(&c->geometry, slice); token < m2t_geometry_slice_token(&c->geometry, slice + 1); token++) {
        m2t_exact_samples(&s->exact, token, samples);
        for (int i = 0; i < M2T_TOKEN_CHANNELS && c->kind[token] != M2T_TOKEN_EXACT; i++)
            g_assert_cmpuint(samples[i], ==, 128);
    }
    return taken;
}

/* With a byte behind the end, or none at all, nothing is taken; what is cut or changed may well be something else. */
static void
test_hostile_samples(void)
{
    int tried = 0, taken = 0;

    for (guint turn = 0; turn < 6 * CHARACTERS; turn++) {
        g_autoptr(GByteArray) data = g_byte_array_new();
        Samples s;
        Case c;
        int slice;

        case_init(&c, turn % CHARACTERS, turn);
        samples_init(&s, &c.geometry);
        slice = g_rand_int_range(rng, 0, c.geometry.slices);
        m2t_exact_write(&s.exact, &c.picture.picture, slice, c.kind, data);
        for (gsize size = 0; size < data->len; size += 1 + data->len / 50, tried++)
            taken += read_hostile(&s, &c, slice, data->data, size);
        g_assert_false(read_hostile(&s, &c, slice, data->data, 0));
        for (int i = 0; i < 20; i++, tried++) {
            guint at = (guint) g_rand_int_range(rng, 0, (gint32) data->len);
            guint8 change = (guint8) g_rand_int_range(rng, 1, 256);

            data->data[at] ^= change;
            taken += read_hostile(&s, &c, slice, data->data, data->len);
            data->data[at] ^= change;
        }
        g_assert_true(read_hostile(&s, &c, slice, data->data, data->len));
        g_byte_array_set_size(data, data->len + 1);
        data->data[data->len - 1] = 0;
        g_assert_false(read_hostile(&s, &c, slice, data->data, data->len));
        for (guint i = 0; i < data->len; i++)
            data->data[i] = (guint8) (g_rand_int_range(rng, 0, 4) ? g_rand_int(rng) : 255);
        for (int i = 0; i < 20; i++, tried++)
            taken += read_hostile(&s, &c, slice, data->data, (gsize) g_rand_int_range(rng, 0, (gint32) data->len));
        samples_clear(&s);
        case_clear(&c);
    }
    g_test_message("%d of %d were taken", taken, tried);
    g_assert_cmpint(2 * taken, <, tried);
}

/* ---- the encoder's choice ---- */

enum { COLUMNS = 9, ROWS = 6, LATENTS = 24, TOKENS = COLUMNS * ROWS };

static void
expect_choice(const M2tPicture *picture, const gint16 *latents, const guint8 *kind, const guint8 *expected)
{
    M2tGeometry geometry;

    m2t_geometry_init(&geometry, 16 * COLUMNS - 3, 16 * ROWS - 5, 1);
    for (int threads = 1; threads <= 4; threads++) {
        M2tThreads *workers = m2t_threads_new(threads);
        guint16 scratch[TOKENS];
        guint8 chosen[TOKENS];
        gboolean any;

        memcpy(chosen, kind, TOKENS);
        any = m2t_exact_choose(&geometry, picture, latents, LATENTS, workers, scratch, chosen);
        g_assert_cmpmem(chosen, TOKENS, expected, TOKENS);
        g_assert_true(any == m2t_tokens_any(expected, TOKENS, M2T_TOKEN_EXACT));
        m2t_threads_free(workers);
    }
}

/* Flat on the left, noise on the right. What is kept stays so, what costs nothing as latents is not exact, unless it is beside such that are. */
static void
test_choice(void)
{
    guint8 kind[TOKENS], expected[TOKENS];
    gint16 latents[TOKENS * LATENTS] = {0};
    Planes p;

    planes_init(&p, 16 * COLUMNS - 3, 16 * ROWS - 5);
    for (int plane = 0; plane < 3; plane++)
        for (int y = 0; y < (plane ? (p.height + 1) / 2 : p.height); y++)
            for (int x = 0; x < p.picture.stride[plane]; x++)
                p.picture.data[plane][y * p.picture.stride[plane] + x] = (guint8) (x < (plane ? 32 : 64) ? 77 : g_rand_int(rng));

    for (int i = 0; i < TOKENS; i++) {
        kind[i] = i % 7 == 0 ? M2T_TOKEN_KEPT : i % 7 == 1 ? M2T_TOKEN_EXACT : M2T_TOKEN_CODED;
        expected[i] = i % 7 == 0 ? M2T_TOKEN_KEPT : M2T_TOKEN_CODED;
    }
    expect_choice(&p.picture, latents, kind, expected);

    for (int i = 0; i < TOKENS * LATENTS; i++)
        latents[i] = (gint16) (i % 2 ? 50 : -50);
    for (int i = 0; i < TOKENS; i++)
        expected[i] = kind[i] == M2T_TOKEN_KEPT ? M2T_TOKEN_KEPT : i % COLUMNS < 4 ? M2T_TOKEN_EXACT : M2T_TOKEN_CODED;
    expect_choice(&p.picture, latents, kind, expected);

    memset(kind, M2T_TOKEN_CODED, TOKENS);
    memset(latents, 0, sizeof latents);
    for (int token = 0; token < 3; token++)
        for (int i = 0; i < LATENTS; i++)
            latents[((1 + token) * COLUMNS + 1) * LATENTS + i] = M2T_LATENT_MAX;
    for (int i = 0; i < TOKENS; i++)
        expected[i] = i % COLUMNS < 4 ? M2T_TOKEN_EXACT : M2T_TOKEN_CODED;
    expect_choice(&p.picture, latents, kind, expected);

    memset(latents + 2 * COLUMNS * LATENTS, 0, sizeof latents - 2 * COLUMNS * LATENTS * sizeof *latents); /* one alone is not worth it */
    memset(expected, M2T_TOKEN_CODED, TOKENS);
    expect_choice(&p.picture, latents, kind, expected);
    planes_clear(&p);
}

/* ---- whole streams ---- */

enum { CLIP = 8, WIDTH = 93, HEIGHT = 117, SLICES = 3 };

static void
draw_clip(Planes *clip)
{
    Planes other;

    planes_init(&other, WIDTH, HEIGHT);
    planes_draw(&other, 3);
    for (int i = 0; i < CLIP; i++) {
        planes_init(&clip[i], WIDTH, HEIGHT);
        planes_draw_screen(&clip[i], 2);
        for (int y = 3; y < 30; y++) /* does not move, but can not be exact */
            memcpy(clip[i].picture.data[0] + y * WIDTH + 50, other.picture.data[0] + y * WIDTH + 50, 40);
        for (int y = 10 + 4 * i; y < 30 + 4 * i; y++)
            memset(clip[i].picture.data[0] + y * WIDTH + 5 * i, 200 + y % 2, 24);
    }
    planes_clear(&other);
}

static M2tEncoderSettings
settings_of(guint key_interval)
{
    M2tEncoderSettings settings;

    m2t_encoder_settings_init(&settings);
    settings.quantizer = 12;
    settings.threads = 1;
    settings.slices = SLICES;
    settings.key_interval = key_interval;
    return settings;
}

static GPtrArray *
encode_clip(const Planes *clip, const M2tEncoderSettings *settings)
{
    g_autoptr(M2tEncoder) encoder = clips_open_encoder(tiny, clip->width, clip->height, settings);

    return clips_encode(encoder, clip, CLIP);
}

static GPtrArray *
encode_drawn(guint key_interval)
{
    M2tEncoderSettings settings = settings_of(key_interval);
    GPtrArray *packets;
    Planes clip[CLIP];

    draw_clip(clip);
    packets = encode_clip(clip, &settings);
    clips_clear(clip, CLIP);
    return packets;
}

/* Where a slice's list of exact tokens begins, behind the tokens that are kept; NULL if there is none. */
static const guint8 *
find_exact(const M2tFrameHeader *header, const M2tSliceBytes *slice, guint8 *kind, int tokens)
{
    const guint8 *at = slice->data;
    M2tKeptHead head;

    memset(kind, M2T_TOKEN_CODED, tokens);
    if (header->inter)
        g_assert_true(m2t_kept_read(&at, slice->data + slice->size, kind, tokens, &head));
    return header->exact && !m2t_tokens_all(kind, tokens, M2T_TOKEN_KEPT) ? at : NULL;
}

/* What becomes of the tokens of a packet, those of slices that are missing are kept. */
static void
read_kinds(GBytes *packet, const M2tGeometry *g, guint8 *kind)
{
    M2tSliceBytes slices[M2T_SLICES_MAX];
    M2tFrameHeader header;

    clips_find_slice(packet, 0, &header, slices);
    for (int i = 0; i < g->slices; i++) {
        int tokens = m2t_geometry_slice_tokens(g, i);
        guint8 *own = kind + m2t_geometry_slice_token(g, i);
        const guint8 *at;
        guint32 runs = 0;

        memset(own, M2T_TOKEN_KEPT, tokens);
        if (!slices[i].data || !(at = find_exact(&header, &slices[i], own, tokens)))
            continue;
        g_assert_true(m2t_varint_read(&at, slices[i].data + slices[i].size, &runs));
        g_assert_true(runs == 0 || m2t_tokens_read_runs(&at, slices[i].data + slices[i].size, own, tokens, M2T_TOKEN_EXACT, M2T_TOKEN_KEPT, runs));
    }
}

/* What exact tokens must show: the picture that they were coded in. */
typedef struct {
    M2tGeometry geometry;
    guint8 *exact;         /* [tokens] */
    guint8 *samples;       /* [tokens][M2T_TOKEN_CHANNELS] */
    int fresh, kept;       /* of all frames */
} Expected;

static void
expected_init(Expected *e, int width, int height, int slices)
{
    *e = (Expected) {0};
    m2t_geometry_init(&e->geometry, width, height, slices);
    e->exact = g_malloc0(m2t_geometry_tokens(&e->geometry));
    e->samples = g_malloc((gsize) m2t_geometry_tokens(&e->geometry) * M2T_TOKEN_CHANNELS);
}

static void
expected_clear(Expected *e)
{
    g_free(e->exact);
    g_free(e->samples);
}

static void
check_exact_token(const Expected *e, const Planes *out, int token)
{
    for (int i = 0; i < M2T_TOKEN_CHANNELS; i++)
        if (place_of(&e->geometry, token, i).inside)
            g_assert_cmpuint(sample_at(out, &e->geometry, token, i), ==, e->samples[(gsize) token * M2T_TOKEN_CHANNELS + i]);
}

/* @in: the picture that @packet was made of; @out: what a decoder shows for it. */
static void
expect_exact(Expected *e, GBytes *packet, const Planes *in, const Planes *out)
{
    int tokens = m2t_geometry_tokens(&e->geometry);
    g_autofree guint8 *kind = g_malloc(tokens);

    read_kinds(packet, &e->geometry, kind);
    for (int token = 0; token < tokens; token++) {
        guint8 *samples = e->samples + (gsize) token * M2T_TOKEN_CHANNELS;

        if (kind[token] != M2T_TOKEN_KEPT)
            e->exact[token] = kind[token] == M2T_TOKEN_EXACT;
        for (int i = 0; i < M2T_TOKEN_CHANNELS && kind[token] == M2T_TOKEN_EXACT; i++)
            samples[i] = sample_at(in, &e->geometry, token, i);
        if (e->exact[token])
            check_exact_token(e, out, token);
        e->fresh += kind[token] == M2T_TOKEN_EXACT;
        e->kept += kind[token] == M2T_TOKEN_KEPT && e->exact[token];
    }
}

/* Decodes with a slice of each frame lost for which @lost is not negative. */
static void
check_clip(const Planes *clip, GPtrArray *packets, const int *lost, Expected *e)
{
    g_autoptr(M2tDecoder) decoder = clips_open_decoder(tiny, 2, 1);
    Planes out;

    expected_init(e, WIDTH, HEIGHT, SLICES);
    planes_init(&out, WIDTH, HEIGHT);
    for (int i = 0; i < CLIP; i++) {
        g_autoptr(GBytes) packet = lost && lost[i] >= 0 ? clips_without_slice(packets->pdata[i], (guint) lost[i]) : g_bytes_ref(packets->pdata[i]);

        clips_decode(decoder, packet, &out);
        expect_exact(e, packet, &clip[i], &out);
    }
    planes_clear(&out);
    expected_clear(e);
}

/* Pictures of any size: what is drawn is exact, and shown as it is; of noise nothing is. */
static void
test_pictures(void)
{
    static const int sizes[][3] = {{16, 16, 1}, {33, 17, 2}, {90, 61, 4}, {128, 96, 1}, {131, 200, 3}};

    for (guint i = 0; i < 2 * G_N_ELEMENTS(sizes); i++) {
        const int *size = sizes[i / 2];
        gboolean noise = i % 2;
        M2tEncoderSettings settings = settings_of(1);
        g_autoptr(M2tEncoder) encoder = NULL;
        g_autoptr(M2tDecoder) decoder = clips_open_decoder(tiny, 1, 1);
        g_autoptr(GPtrArray) packets = NULL;
        Planes in, out;
        Expected e;

        settings.slices = (guint) size[2];
        settings.speed_preset = (M2tSpeedPreset) (M2T_SPEED_PRESET_FAST + i / 2 % 3);
        encoder = clips_open_encoder(tiny, size[0], size[1], &settings);
        planes_init(&in, size[0], size[1]);
        planes_init(&out, size[0], size[1]);
        draw(&in, noise ? NOISE : SCREEN, i);
        packets = clips_encode(encoder, &in, 1);
        g_assert_cmpuint(clips_decode(decoder, packets->pdata[0], &out), ==, 0);
        expected_init(&e, size[0], size[1], size[2]);
        expect_exact(&e, packets->pdata[0], &in, &out);
        g_test_message("%dx%d: %d of %d tokens", size[0], size[1], e.fresh, m2t_geometry_tokens(&e.geometry));
        if (noise) /* a token at the edge may be little more than padding */
            g_assert_true(e.fresh == 0 || size[0] % 16 || size[1] % 16);
        else
            g_assert_true(e.fresh > 0 || size[0] < 90); /* a few tokens are not worth it */
        expected_clear(&e);
        planes_clear(&in);
        planes_clear(&out);
    }
}

/* On a screen where a box moves, most of it is kept, and shows what it did. Not all frames lean on others. */
static void
test_clips(void)
{
    Planes clip[CLIP];

    draw_clip(clip);
    for (int preset = M2T_SPEED_PRESET_FAST; preset <= M2T_SPEED_PRESET_SLOW; preset++)
        for (int refresh = 0; refresh < 2; refresh++) {
            M2tEncoderSettings settings = settings_of(5);
            g_autoptr(GPtrArray) packets = NULL;
            Expected e;

            settings.speed_preset = (M2tSpeedPreset) preset;
            settings.intra_refresh = refresh;
            packets = encode_clip(clip, &settings);
            check_clip(clip, packets, NULL, &e);
            g_test_message("preset %d: %d new, %d kept", preset, e.fresh, e.kept);
            g_assert_cmpint(e.fresh, >, 20);
            g_assert_cmpint(e.kept, >, 40);
        }
    clips_clear(clip, CLIP);
}

/* What is exact stays so where its slice is lost, be it of an inter frame or of an intra frame. */
static void
test_lost_slices(void)
{
    static const int lost[][CLIP] = {{-1, 0, -1, 1, -1, -1, 2, -1}, {-1, 2, 0, 1, 1, 0, 2, 1}, {1, -1, -1, 0, -1, -1, -1, -1}};
    Planes clip[CLIP];

    draw_clip(clip);
    for (guint i = 0; i < G_N_ELEMENTS(lost); i++) {
        g_autoptr(GPtrArray) packets = encode_drawn(3);
        Expected e;

        check_clip(clip, packets, lost[i], &e);
        g_assert_cmpint(e.kept, >, 20);
    }
    clips_clear(clip, CLIP);
}

/* Packets do not depend on threads, frames in flight and backends, whether frames lean on others or not, and whatever sets the quantizer. */
static void
test_encoder_settings(void)
{
    const M2tGemm *const *backends = m2t_gemm_list();
    Planes clip[CLIP];

    draw_clip(clip);
    for (int i = 0; i < 8; i++) {
        M2tEncoderSettings settings = settings_of(i % 2 ? 5 : 1);
        g_autoptr(GPtrArray) expected = NULL;

        settings.rate_control = i / 2 % 2 ? M2T_RATE_CONTROL_CBR : M2T_RATE_CONTROL_CQP;
        settings.bitrate = 150;
        settings.speed_preset = i / 4 ? M2T_SPEED_PRESET_SLOW : M2T_SPEED_PRESET_MEDIUM;
        expected = encode_clip(clip, &settings);
        for (settings.threads = 1; settings.threads <= 4; settings.threads++) {
            g_autoptr(GPtrArray) got = NULL;

            settings.frames = settings.threads == 4 ? 2 : settings.threads;
            g_test_message("%d: %u threads, %u frames", i, settings.threads, settings.frames);
            got = encode_clip(clip, &settings);
            clips_expect_same(got, expected);
        }
        for (int backend = 0; i < 2 && backends[backend]; backend++) {
            g_autoptr(GPtrArray) got = NULL;

            settings = settings_of(i % 2 ? 5 : 1);
            settings.backend = backends[backend]->name;
            got = encode_clip(clip, &settings);
            clips_expect_same(got, expected);
        }
    }
    clips_clear(clip, CLIP);
}

/* Nor do pictures, also where a slice of every frame is lost. */
static void
test_decoder_settings(void)
{
    for (int i = 0; i < 4; i++) {
        g_autoptr(GPtrArray) packets = encode_drawn(i % 2 ? 4 : 1);
        int damaged[2][CLIP];
        Planes out[2][CLIP];

        for (guint at = 1; i / 2 && at < CLIP; at++) {
            GBytes *whole = packets->pdata[at];

            packets->pdata[at] = clips_without_slice(whole, at % SLICES);
            g_bytes_unref(whole);
        }
        for (int at = 0; at < 2 * CLIP; at++)
            planes_init(&out[at / CLIP][at % CLIP], WIDTH, HEIGHT);
        for (guint frames = 1; frames <= 4; frames++) {
            g_autoptr(M2tDecoder) decoder = clips_open_decoder(tiny, frames < 4 ? frames : 2, frames);

            clips_decode_all(decoder, packets, out[frames > 1], damaged[frames > 1]);
            for (int at = 0; at < CLIP && frames > 1; at++) {
                g_assert_cmpint(damaged[1][at], ==, damaged[0][at]);
                g_assert_true(planes_same(&out[1][at], &out[0][at]));
            }
        }
        clips_clear(out[0], CLIP);
        clips_clear(out[1], CLIP);
    }
}

/* Slice @slice with one byte more in the samples of its exact tokens, and a checksum that says that all is well. */
static GBytes *
with_byte_too_many(GBytes *packet, const M2tGeometry *g, guint slice)
{
    M2tSliceBytes slices[M2T_SLICES_MAX];
    M2tFrameHeader header;
    const guint8 *data = clips_find_slice(packet, slice, &header, slices), *end = data + slices[slice].size, *at;
    int tokens = m2t_geometry_slice_tokens(g, (int) slice);
    g_autofree guint8 *kind = g_malloc(tokens);
    g_autoptr(GByteArray) changed = g_byte_array_new(), out = g_byte_array_new();
    guint32 runs = 0, size = 0;
    gsize begin;

    at = find_exact(&header, &slices[slice], kind, tokens);
    g_assert_true(at && m2t_varint_read(&at, end, &runs) && runs > 0);
    g_assert_true(m2t_tokens_read_runs(&at, end, kind, tokens, M2T_TOKEN_EXACT, M2T_TOKEN_KEPT, runs));
    begin = (gsize) (at - data);
    g_assert_true(m2t_varint_read(&at, end, &size));
    g_byte_array_append(changed, data, (guint) begin);
    m2t_varint_write(changed, size + 1);
    g_byte_array_append(changed, at, size);
    g_byte_array_append(changed, (const guint8 *) "", 1);
    g_byte_array_append(changed, at + size, (guint) (end - at - size));
    slices[slice] = (M2tSliceBytes) {changed->data, changed->len, m2t_crc32c(changed->data, changed->len)};
    m2t_frame_write(out, &header, slices);
    return g_bytes_new(out->data, out->len);
}

/* Nothing is shown of a frame with a fault in its exact tokens, and nothing of it is used. */
static void
test_broken_frame(void)
{
    g_autoptr(GPtrArray) packets = encode_drawn(1);
    g_autoptr(GBytes) broken = NULL, lossy = clips_without_slice(packets->pdata[1], 1);
    GError *error = NULL;
    Planes clip[CLIP], out, untouched;
    Expected e;

    draw_clip(clip);
    planes_init(&out, WIDTH, HEIGHT);
    planes_init(&untouched, WIDTH, HEIGHT);
    expected_init(&e, WIDTH, HEIGHT, SLICES);
    broken = with_byte_too_many(packets->pdata[2], &e.geometry, 1);
    for (guint frames = 1; frames <= 2; frames++) {
        g_autoptr(M2tDecoder) decoder = clips_open_decoder(tiny, 1, frames);

        clips_decode(decoder, packets->pdata[0], &out);
        expect_exact(&e, packets->pdata[0], &clip[0], &out);
        memset(out.memory, 0, out.size);
        g_assert_true(m2t_decoder_open_frame(decoder, g_bytes_get_data(broken, NULL), g_bytes_get_size(broken), NULL, NULL));
        g_assert_false(m2t_decoder_decode(decoder, &out.picture, &error));
        g_assert_error(error, M2T_ERROR, M2T_ERROR_STREAM);
        g_clear_error(&error);
        g_assert_true(planes_same(&out, &untouched));
        g_assert_cmpuint(clips_decode(decoder, lossy, &out), ==, 1);
        expect_exact(&e, lossy, &clip[1], &out);
    }
    g_assert_cmpint(e.kept, >, 0);
    expected_clear(&e);
    planes_clear(&out);
    planes_clear(&untouched);
    clips_clear(clip, CLIP);
}

/* Nothing moves: nothing is coded any more, and what is shown does not change. */
static void
test_still(void)
{
    M2tEncoderSettings settings = settings_of(CLIP);
    g_autoptr(M2tDecoder) decoder = clips_open_decoder(tiny, 1, 1);
    g_autoptr(GPtrArray) packets = NULL;
    Planes clip[CLIP], first, out;

    draw_clip(clip);
    for (int i = 1; i < CLIP; i++)
        memcpy(clip[i].memory, clip[0].memory, clip[0].size);
    packets = encode_clip(clip, &settings);
    planes_init(&first, WIDTH, HEIGHT);
    planes_init(&out, WIDTH, HEIGHT);
    clips_decode(decoder, packets->pdata[0], &first);
    for (int i = 1; i < CLIP; i++) {
        g_assert_cmpuint(g_bytes_get_size(packets->pdata[i]), <, 40);
        g_assert_cmpuint(clips_decode(decoder, packets->pdata[i], &out), ==, 0);
        g_assert_true(planes_same(&out, &first));
    }
    planes_clear(&first);
    planes_clear(&out);
    clips_clear(clip, CLIP);
}

/* With a bitrate, no frame but the first is more than the buffer holds, and what is exact is shown as it is. */
static void
test_bitrate(void)
{
    static const guint bitrates[] = {20, 150, 400}; /* kbit/s */
    Planes clip[CLIP];

    draw_clip(clip);
    for (int i = CLIP / 2; i < CLIP; i++) /* another one */
        planes_draw_screen(&clip[i], 9);
    for (guint i = 0; i < 2 * G_N_ELEMENTS(bitrates); i++) {
        M2tEncoderSettings settings = settings_of(60);
        g_autoptr(GPtrArray) packets = NULL;
        double level = 0;
        Expected e;

        settings.rate_control = M2T_RATE_CONTROL_CBR;
        settings.bitrate = bitrates[i / 2];
        settings.vbv_buf_capacity = 200;
        settings.speed_preset = i % 2 ? M2T_SPEED_PRESET_SLOW : M2T_SPEED_PRESET_MEDIUM;
        packets = encode_clip(clip, &settings);
        for (int at = 0; at < CLIP; at++) {
            double bits = 8.0 * g_bytes_get_size(packets->pdata[at]);

            level = MAX(level + bits - settings.bitrate * 1e3 / 30, 0);
            g_test_message("%u kbit/s, %d: %.0f bits, level %.0f", settings.bitrate, at, bits, level);
            g_assert_true(at == 0 || level <= settings.bitrate * settings.vbv_buf_capacity);
        }
        check_clip(clip, packets, NULL, &e);
        g_assert_true(e.fresh > 0 || i < 2); /* latents this coarse are cheaper */
    }
    clips_clear(clip, CLIP);
}

int
main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    tiny = clips_open_model("tiny.m2tw");
    rng = g_rand_new_with_seed(7);
    g_test_add_func("/exact/runs", test_runs);
    g_test_add_func("/exact/hostile-runs", test_hostile_runs);
    g_test_add_func("/exact/samples", test_samples);
    g_test_add_func("/exact/sizes", test_sizes);
    g_test_add_func("/exact/hostile-samples", test_hostile_samples);
    g_test_add_func("/exact/choice", test_choice);
    g_test_add_func("/exact/pictures", test_pictures);
    g_test_add_func("/exact/clips", test_clips);
    g_test_add_func("/exact/lost-slices", test_lost_slices);
    g_test_add_func("/exact/encoder-settings", test_encoder_settings);
    g_test_add_func("/exact/decoder-settings", test_decoder_settings);
    g_test_add_func("/exact/broken-frame", test_broken_frame);
    g_test_add_func("/exact/still", test_still);
    g_test_add_func("/exact/bitrate", test_bitrate);
    status = g_test_run();
    g_rand_free(rng);
    m2t_model_unref(tiny);
    return status;
}
