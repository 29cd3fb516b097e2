/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One function describes a square of samples for both sides: it asks for decisions, which a writer has been told and a reader finds out. */
#include "exact/samples.h"

#include "model/model.h"

#define UNKNOWN 128
#define MARGIN 8                /* columns at both sides of a plane; a sample looks three to the left and one to the right */
#define SHAPES 512              /* conditions of the samples around, see shape_of() */
#define GUESSES 4
#define LITERALS 64

#define PROBABILITY_BITS 12
#define COUNT_BITS 3
#define SLOWEST 5
#define EVEN (1 << (PROBABILITY_BITS - 1) << COUNT_BITS)

/* Probability of a 1, in 1/4096, and below it how many decisions it has seen, up to SLOWEST. */
typedef guint16 Context;

typedef struct {
    Context guess[GUESSES][SHAPES];
    Context literal[LITERALS][256];
    Context flat[4];
} PlaneContexts;

struct _M2tExactContexts {
    PlaneContexts plane[3];
};

typedef struct {
    guint32 low, high, value;   /* value: of a reader */
    GByteArray *out;            /* of a writer, else NULL */
    const guint8 *at, *end;
    gsize shifts;
} Coder;

/* A token's part of a plane. */
typedef struct {
    int side, left, top;
} Square;

static int
side_of(int plane)
{
    return plane == 0 ? 16 : 8;
}

static Square
square_of(const M2tGeometry *g, int plane, int token)
{
    int side = side_of(plane);

    return (Square) {side, token % g->token_columns * side, token / g->token_columns * side};
}

void
m2t_exact_layout(M2tExact *exact, M2tArena *arena, const M2tGeometry *geometry)
{
    exact->geometry = *geometry;
    for (int i = 0; i < 3; i++) {
        exact->stride[i] = side_of(i) * geometry->token_columns + 2 * MARGIN;
        exact->plane[i] = m2t_arena_take(arena, (gsize) exact->stride[i] * side_of(i) * geometry->token_rows, 1);
    }
    exact->contexts = m2t_arena_take(arena, geometry->slices, sizeof *exact->contexts);
}

static guint8 *
sample_at(const M2tExact *exact, int plane, int x, int y)
{
    return exact->plane[plane] + (gsize) y * exact->stride[plane] + MARGIN + x;
}

/* ---- arithmetic coding ---- */

static void
begin_coder(Coder *c, GByteArray *out, const guint8 *data, gsize size)
{
    *c = (Coder) {.high = G_MAXUINT32, .out = out, .at = data, .end = data + size};
    for (int i = 0; i < 4 && !out; i++)
        c->value = c->value << 8 | (c->at < c->end ? *c->at++ : 0);
}

static void
shift_coder(Coder *c)
{
    if (c->out) {
        guint8 byte = c->low >> 24;

        g_byte_array_append(c->out, &byte, 1);
    } else {
        c->value = c->value << 8 | (c->at < c->end ? *c->at++ : 0);
    }
    c->low <<= 8;
    c->high = c->high << 8 | 255;
    c->shifts++;
}

/* @bit: what a writer decides. */
static inline gboolean
decide(Coder *c, Context *context, gboolean bit)
{
    guint probability = *context >> COUNT_BITS, count = *context & ((1 << COUNT_BITS) - 1), shift = MIN(count + 1, SLOWEST);
    guint32 middle = c->low + ((c->high - c->low) >> PROBABILITY_BITS) * probability;

    if (!c->out)
        bit = c->value <= middle;
    if (bit) {
        c->high = middle;
        probability += ((1u << PROBABILITY_BITS) - probability) >> shift;
    } else {
        c->low = middle + 1;
        probability -= probability >> shift;
    }
    *context = (Context) (probability << COUNT_BITS | shift);
    while (!((c->low ^ c->high) >> 24))
        shift_coder(c);
    return bit;
}

static void
end_writer(Coder *c)
{
    guint8 last = (c->low >> 24) + 1;

    g_byte_array_append(c->out, &last, 1);
}

/* ---- samples ---- */

/* A slice on its way. */
typedef struct {
    const M2tExact *exact;
    const M2tPicture *picture;  /* of a writer */
    int first_row;              /* of tokens */
    guint8 unknown[2 * MARGIN + 16]; /* stands above the first row */
} Slice;

/* A row of a square, and what stands above it. */
typedef struct {
    guint8 *at;
    const guint8 *above, *above2;
} Row;

static Row
row_at(const Slice *slice, int plane, int x, int y)
{
    const M2tExact *e = slice->exact;
    int inside = y - slice->first_row * side_of(plane), stride = e->stride[plane];
    guint8 *at = sample_at(e, plane, x, y);

    return (Row) {at, inside > 0 ? at - stride : slice->unknown + MARGIN, inside > 1 ? at - 2 * stride : slice->unknown + MARGIN};
}

static inline guint
shape_of(const guint8 *at, const guint8 *above, const guint8 *above2)
{
    guint8 w = at[-1], n = above[0];

    return (w == n) | (w == above[-1]) << 1 | (n == above[-1]) << 2 | (n == above[1]) << 3 | (at[-2] == w) << 4 | (above2[0] == n) << 5 |
           (at[-3] == w) << 6;
}

/* The plane that says more about a sample of chroma: what is true there at the same place. @step: samples of it for each sample. */
static inline guint
shape_beside(const Row *row, int x, int step)
{
    const guint8 *at = row->at + step * x;

    return (at[0] == at[-step]) << 7 | (at[0] == (step == 2 ? row->above2 : row->above)[step * x]) << 8;
}

static inline guint8
code_literal(Coder *c, Context *tree, guint8 sample)
{
    guint node = 1;

    for (int bit = 7; bit >= 0; bit--)
        node = node << 1 | decide(c, &tree[node], sample >> bit & 1);
    return (guint8) node;
}

/* @sample: what a writer codes. -> what it is */
static inline guint8
code_sample(Coder *c, PlaneContexts *contexts, const guint8 *at, const guint8 *above, guint shape, guint8 sample)
{
    guint8 w = at[-1], n = above[0], b = above[1], a = above[-1];

    if (decide(c, &contexts->guess[0][shape], sample == w))
        return w;
    if (n != w && decide(c, &contexts->guess[1][shape], sample == n))
        return n;
    if (b != w && b != n && decide(c, &contexts->guess[2][shape], sample == b))
        return b;
    if (a != w && a != n && a != b && decide(c, &contexts->guess[3][shape], sample == a))
        return a;
    return code_literal(c, contexts->literal[(w >> 5) * 8 + (n >> 5)], sample);
}

/* All samples of a square of a writer, and whether they are the same. */
static gboolean
fetch_square(const M2tGeometry *g, const M2tPicture *picture, int plane, Square at, guint8 *square)
{
    int width = m2t_geometry_width(g, plane), height = m2t_geometry_height(g, plane);
    gboolean flat = TRUE;

    for (int y = 0; y < at.side; y++) {
        const guint8 *line = picture->data[plane] + (gssize) MIN(at.top + y, height - 1) * picture->stride[plane];

        for (int x = 0; x < at.side; x++, square++) {
            *square = line[MIN(at.left + x, width - 1)];
            flat = flat && *square == *(square - (y * at.side + x));
        }
    }
    return flat;
}

static void
code_square(const Slice *slice, Coder *c, PlaneContexts *contexts, int plane, int token)
{
    const M2tGeometry *g = &slice->exact->geometry;
    Square to = square_of(g, plane, token);
    guint8 square[16 * 16] = {0}, first = 0;
    gboolean flat = slice->picture && fetch_square(g, slice->picture, plane, to, square);

    for (int y = 0; y < to.side; y++) {
        Row row = row_at(slice, plane, to.left, to.top + y), beside = {0};

        if (plane == 1)
            beside = row_at(slice, 0, 2 * to.left, 2 * (to.top + y));
        else if (plane == 2)
            beside = row_at(slice, 1, to.left, to.top + y);
        for (int x = 0; x < to.side; x++) {
            guint8 *at = row.at + x;
            guint shape;

            if (flat && (x || y)) {
                *at = first;
                continue;
            }
            shape = shape_of(at, row.above + x, row.above2 + x) | (plane ? shape_beside(&beside, x, plane == 1 ? 2 : 1) : 0);
            *at = code_sample(c, contexts, at, row.above + x, shape, square[y * to.side + x]);
            if (x || y)
                continue;
            first = *at;
            flat = decide(c, &contexts->flat[(first == at[-1]) + 2 * (first == row.above[0])], flat);
        }
    }
}

/* Both ways. */
static void
code_slice(const M2tExact *exact, const M2tPicture *picture, int index, const guint8 *kind, Coder *c)
{
    const M2tGeometry *g = &exact->geometry;
    PlaneContexts *contexts = exact->contexts[index].plane;
    Slice slice = {exact, picture, m2t_geometry_slice_row(g, index)};
    int rows = m2t_geometry_slice_row(g, index + 1) - slice.first_row, token = m2t_geometry_slice_token(g, index);

    memset(slice.unknown, UNKNOWN, sizeof slice.unknown);
    for (int i = 0; i < 3; i++) {
        gsize row = (gsize) side_of(i) * exact->stride[i];

        memset(exact->plane[i] + slice.first_row * row, UNKNOWN, rows * row);
    }
    for (gsize i = 0; i < sizeof *exact->contexts / sizeof(Context); i++)
        ((Context *) contexts)[i] = EVEN;
    for (int i = token; i < token + m2t_geometry_slice_tokens(g, index); i++)
        for (int plane = 0; plane < 3 && kind[i] == M2T_TOKEN_EXACT; plane++)
            code_square(&slice, c, &contexts[plane], plane, i);
}

void
m2t_exact_load(M2tExact *exact, const M2tPicture *picture, const guint8 *kind)
{
    const M2tGeometry *g = &exact->geometry;
    guint8 square[16 * 16];

    for (int token = 0; token < m2t_geometry_tokens(g); token++)
        for (int plane = 0; plane < 3 && kind[token] == M2T_TOKEN_EXACT; plane++) {
            Square to = square_of(g, plane, token);

            fetch_square(g, picture, plane, to, square);
            for (int y = 0; y < to.side; y++)
                memcpy(sample_at(exact, plane, to.left, to.top + y), square + y * to.side, to.side);
        }
}

void
m2t_exact_write(M2tExact *exact, const M2tPicture *picture, int slice, const guint8 *kind, GByteArray *out)
{
    Coder coder;

    begin_coder(&coder, out, NULL, 0);
    code_slice(exact, picture, slice, kind, &coder);
    end_writer(&coder);
}

gboolean
m2t_exact_read(M2tExact *exact, int slice, const guint8 *kind, const guint8 *data, gsize size)
{
    Coder coder;

    begin_coder(&coder, NULL, data, size);
    code_slice(exact, NULL, slice, kind, &coder);
    return coder.shifts + 1 == size;
}

void
m2t_exact_samples(const M2tExact *exact, int token, guint8 *samples)
{
    const M2tGeometry *g = &exact->geometry;

    for (int place = 0; place < 4; place++, samples += M2T_PATCH_CHANNELS)
        for (int plane = 0, channel = 0; plane < 3; plane++) {
            Square from = square_of(g, plane, token);
            int half = from.side / 2, left = from.left + place % 2 * half, top = from.top + place / 2 * half;

            for (int y = 0; y < half; y++, channel += half)
                memcpy(samples + channel, sample_at(exact, plane, left, top + y), half);
        }
}
