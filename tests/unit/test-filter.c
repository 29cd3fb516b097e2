/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The filter over whole pictures against its definition, value by value: edges, sizes that are no multiple of anything, memory behind lines. */
#include "filter/filter.h"

#include <string.h>

#define GUARD 0xa5

static GRand *rng;

typedef struct {
    M2tArena arena;
    M2tFilter filter;
    gint16 *values[3];         /* of the padded picture, without margins */
    int columns[3], rows[3];   /* of the padded picture */
    M2tPicture picture;
    guint8 *memory[3];
} Fixture;

static void
fixture_init(Fixture *f, int width, int height)
{
    M2tGeometry g;

    memset(f, 0, sizeof *f);
    m2t_geometry_init(&g, width, height, 1);
    m2t_filter_layout(&f->filter, &f->arena, &g);
    g_assert_true(m2t_arena_allocate(&f->arena));
    m2t_filter_layout(&f->filter, &f->arena, &g);
    for (int plane = 0; plane < 3; plane++) {
        int w = plane ? (width + 1) / 2 : width, h = plane ? (height + 1) / 2 : height;

        f->columns[plane] = (plane ? 4 : 8) * g.patch_columns;
        f->rows[plane] = (plane ? 4 : 8) * g.patch_rows;
        f->values[plane] = g_new0(gint16, f->columns[plane] * f->rows[plane]);
        f->picture.stride[plane] = w + 5;
        f->picture.data[plane] = f->memory[plane] = g_malloc((w + 5) * h);
        memset(f->memory[plane], GUARD, (w + 5) * h);
    }
}

static void
fixture_clear(Fixture *f)
{
    for (int plane = 0; plane < 3; plane++) {
        g_free(f->values[plane]);
        g_free(f->memory[plane]);
    }
    m2t_arena_free(&f->arena);
}

/* Places of all kinds: flat, smooth in all directions, rough. */
static void
fill_values(Fixture *f)
{
    for (int plane = 0; plane < 3; plane++)
        for (int y = 0; y < f->rows[plane]; y++)
            for (int x = 0; x < f->columns[plane]; x++) {
                int across = (x / 16 % 3 - 1) * y + (y / 16 % 3 - 1) * x, noise = 1 << (x / 8 + y / 8) % 12;

                f->values[plane][y * f->columns[plane] + x] =
                    (gint16) CLAMP(8000 + 300 * (across % 23) + g_rand_int_range(rng, -noise, noise), 0, M2T_VALUE_MAX);
            }
}

static void
enter_values(Fixture *f)
{
    const M2tGeometry *g = &f->filter.geometry;

    for (int row = 0; row < g->patch_rows; row++)
        for (int column = 0; column < g->patch_columns; column++) {
            gint16 patch[M2T_PATCH_CHANNELS];
            int channel = 0;

            for (int plane = 0; plane < 3; plane++)
                for (int i = 0, side = plane ? 4 : 8; i < side * side; i++)
                    patch[channel++] = f->values[plane][(row * side + i / side) * f->columns[plane] + column * side + i % side];
            m2t_filter_enter(&f->filter, row, column, patch);
        }
    m2t_filter_repeat_edges(&f->filter);
}

/* ---- the definition ---- */

static int
value_at(const Fixture *f, int plane, int y, int x)
{
    y = CLAMP(y, 0, f->rows[plane] - 1);
    x = CLAMP(x, 0, f->columns[plane] - 1);
    return f->values[plane][y * f->columns[plane] + x];
}

static int
class_at(const Fixture *f, int top, int left)
{
    static const int away[4][2] = {{1, 0}, {0, 1}, {1, 1}, {1, -1}};
    static const int steps[] = {512, 1024, 2304, 5120};
    int d[4] = {0}, i = 0, side, strength, activity = 0;

    for (int direction = 0; direction < 4; direction++)
        for (int place = 0; place < 16; place++) {
            int y = top + place / 4, x = left + place % 4, dy = away[direction][0], dx = away[direction][1];

            d[direction] += ABS(2 * value_at(f, 0, y, x) - value_at(f, 0, y - dy, x - dx) - value_at(f, 0, y + dy, x + dx)) >> 4;
        }
    for (int direction = 1; direction < 4; direction++)
        if (d[direction] < d[i])
            i = direction;
    side = i < 2 ? d[3] < d[2] : d[1] < d[0];
    strength = (d[i ^ 1] > 2 * d[i]) + (d[i ^ 1] > 4 * d[i]);
    for (gsize step = 0; step < G_N_ELEMENTS(steps); step++)
        activity += steps[step] <= d[0] + d[1];
    return ((2 * i + side) * 3 + strength) * 5 + activity;
}

static int
sample_at(const Fixture *f, const gint16 *weight, int plane, int y, int x)
{
    static const int away[M2T_FILTER_PAIRS][2] = {{0, 1}, {0, 2}, {1, -1}, {1, 0}, {1, 1}, {2, 0}}, limits[] = {192, 768, 3072};
    int class = plane ? class_at(f, y / 2 * 4, x / 2 * 4) : class_at(f, y / 4 * 4, x / 4 * 4), v = value_at(f, plane, y, x), r = 0;

    for (int tap = 0; tap < M2T_FILTER_TAPS; tap++) {
        int dy = away[tap / 3][0], dx = away[tap / 3][1], limit = limits[tap % 3];
        int a = value_at(f, plane, y + dy, x + dx) - v, b = value_at(f, plane, y - dy, x - dx) - v;

        r += ((CLAMP(a, -limit, limit) + CLAMP(b, -limit, limit)) * weight[tap * M2T_FILTER_ROW + class] + 16384) >> 15;
    }
    return CLAMP((v + r + 32) >> 6, 0, 255);
}

static void
check_picture(const Fixture *f, const M2tQuant *quant)
{
    const M2tGeometry *g = &f->filter.geometry;

    for (int plane = 0; plane < 3; plane++) {
        int width = plane ? (g->width + 1) / 2 : g->width, height = plane ? (g->height + 1) / 2 : g->height;

        for (int y = 0; y < height; y++) {
            const guint8 *line = f->memory[plane] + y * f->picture.stride[plane];

            for (int x = 0; x < width; x++)
                g_assert_cmpint(line[x], ==, sample_at(f, quant->filter[plane], plane, y, x));
            for (int x = width; x < f->picture.stride[plane]; x++)
                g_assert_cmpint(line[x], ==, GUARD);
        }
    }
}

/* ---- tests ---- */

static void
filter_picture(Fixture *f, const M2tKernels *kernels, const M2tQuant *quant)
{
    for (int row = f->filter.geometry.token_rows - 1; row >= 0; row--)
        m2t_filter_row(&f->filter, kernels, quant, row, &f->picture);
}

static void
test_definition(void)
{
    static const int sizes[][2] = {{16, 16}, {17, 31}, {64, 48}, {65, 50}, {130, 18}, {200, 33}};
    gint16 weight[3][M2T_FILTER_TAPS * M2T_FILTER_ROW] = {0};
    M2tQuant quant = {.filter = {weight[0], weight[1], weight[2]}};

    for (int plane = 0; plane < 3; plane++)
        for (gsize i = 0; i < G_N_ELEMENTS(weight[plane]); i++)
            weight[plane][i] = (gint16) g_rand_int_range(rng, -9000, 9000);
    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        Fixture f;

        fixture_init(&f, sizes[i][0], sizes[i][1]);
        fill_values(&f);
        enter_values(&f);
        for (const M2tKernels *const *kernels = m2t_kernels_all(); *kernels; kernels++) {
            filter_picture(&f, *kernels, &quant);
            check_picture(&f, &quant);
        }
        fixture_clear(&f);
    }
}

/* Whatever the weights are, nothing changes where all neighbours are alike; and weights of zero only round. */
static void
test_fixed_points(void)
{
    gint16 weight[M2T_FILTER_TAPS * M2T_FILTER_ROW], none[M2T_FILTER_TAPS * M2T_FILTER_ROW] = {0};
    M2tQuant quant = {.filter = {weight, weight, weight}}, nothing = {.filter = {none, none, none}};
    Fixture f;

    for (gsize i = 0; i < G_N_ELEMENTS(weight); i++)
        weight[i] = (gint16) g_rand_int_range(rng, -11096, 11096);
    fixture_init(&f, 40, 24);
    for (int plane = 0; plane < 3; plane++)
        for (int i = 0; i < f.columns[plane] * f.rows[plane]; i++)
            f.values[plane][i] = (gint16) (100 + 4000 * plane);
    enter_values(&f);
    filter_picture(&f, m2t_kernels_get(), &quant);
    for (int plane = 0; plane < 3; plane++)
        g_assert_cmpint(f.memory[plane][11 * f.picture.stride[plane] + 7], ==, (100 + 4000 * plane + 32) / 64);
    fill_values(&f);
    enter_values(&f);
    filter_picture(&f, m2t_kernels_get(), &nothing);
    for (int plane = 0; plane < 3; plane++)
        g_assert_cmpint(f.memory[plane][11 * f.picture.stride[plane] + 7], ==, MIN((value_at(&f, plane, 11, 7) + 32) / 64, 255));
    fixture_clear(&f);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    rng = g_rand_new_with_seed(64);
    g_test_add_func("/filter/definition", test_definition);
    g_test_add_func("/filter/fixed-points", test_fixed_points);
    return g_test_run();
}
