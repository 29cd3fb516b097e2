/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pictures for tests. */
#include "planes.h"

#include <math.h>
#include <string.h>

void
planes_init(Planes *p, int width, int height)
{
    int half = (width + 1) / 2;
    gsize luma = (gsize) width * height, chroma = (gsize) half * ((height + 1) / 2);

    p->width = width;
    p->height = height;
    p->size = luma + 2 * chroma;
    p->memory = g_malloc0(p->size);
    p->picture = (M2tPicture) {{p->memory, p->memory + luma, p->memory + luma + chroma}, {width, half, half}};
}

void
planes_clear(Planes *p)
{
    g_free(p->memory);
}

static void
draw_plane(guint8 *data, int width, int height, GRand *rng)
{
    double slope = g_rand_double_range(rng, 0.2, 2), wave = g_rand_double_range(rng, 5, 40), noise = g_rand_double_range(rng, 0, 12);
    int edge = g_rand_int_range(rng, 0, width + 1), low = g_rand_int_range(rng, 20, 120);

    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            double v = low + slope * y / height * 60 + 25 * sin((x + 2 * y) / wave) + (x > edge ? 50 : 0) + g_rand_double_range(rng, -noise, noise + 0.01);

            data[(gsize) y * width + x] = (guint8) CLAMP(v, 0, 255);
        }
}

void
planes_draw(Planes *p, guint seed)
{
    GRand *rng = g_rand_new_with_seed(seed);

    draw_plane(p->picture.data[0], p->width, p->height, rng);
    draw_plane(p->picture.data[1], (p->width + 1) / 2, (p->height + 1) / 2, rng);
    draw_plane(p->picture.data[2], (p->width + 1) / 2, (p->height + 1) / 2, rng);
    g_rand_free(rng);
}

/* A value at a place of luma, in all planes; an even place counts for chroma. */
static void
put(Planes *p, int x, int y, const guint8 *colour)
{
    if (x >= p->width || y >= p->height)
        return;
    p->picture.data[0][(gsize) y * p->width + x] = colour[0];
    for (int i = 1; i < 3 && x % 2 == 0 && y % 2 == 0; i++)
        p->picture.data[i][(gsize) (y / 2) * p->picture.stride[i] + x / 2] = colour[i];
}

/* A frame one sample wide, with marks in its left half and a line from one corner. */
static void
draw_window(Planes *p, GRand *rng)
{
    int left = g_rand_int_range(rng, 0, p->width), width = g_rand_int_range(rng, 10, p->width / 2 + 12);
    int top = g_rand_int_range(rng, 0, p->height), height = g_rand_int_range(rng, 10, p->height / 2 + 12), slope = g_rand_int_range(rng, 1, 4);
    guint8 colour[4][3]; /* from the ground to the line */

    for (int i = 0; i < 3; i++) {
        colour[0][i] = (guint8) g_rand_int_range(rng, 0, 256);
        colour[3][i] = (guint8) g_rand_int_range(rng, 0, 256);
        colour[1][i] = (guint8) ((2 * colour[0][i] + colour[3][i]) / 3);
        colour[2][i] = (guint8) ((colour[0][i] + 2 * colour[3][i]) / 3);
    }
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            gboolean frame = x == 0 || y == 0 || x == width - 1 || y == height - 1;
            gboolean mark = x < width / 2 && y % 7 > 2 && g_rand_int_range(rng, 0, 4) == 0;

            put(p, left + x, top + y, colour[frame || mark ? 3 : MAX(3 - ABS(slope * x - 2 * y), 0)]);
        }
}

void
planes_draw_screen(Planes *p, guint seed)
{
    GRand *rng = g_rand_new_with_seed(seed);

    for (int i = 0; i < 3; i++) {
        int rows = i ? (p->height + 1) / 2 : p->height;

        memset(p->picture.data[i], g_rand_int_range(rng, 0, 256), (gsize) rows * p->picture.stride[i]);
    }
    for (int i = 0; i < 4; i++)
        draw_window(p, rng);
    g_rand_free(rng);
}

gboolean
planes_same(const Planes *a, const Planes *b)
{
    return a->size == b->size && memcmp(a->memory, b->memory, a->size) == 0;
}

char *
planes_md5(const Planes *p)
{
    return g_compute_checksum_for_data(G_CHECKSUM_MD5, p->memory, p->size);
}

double
planes_psnr(const Planes *a, const Planes *b)
{
    gsize count = (gsize) a->width * a->height;
    double sum = 0;

    for (gsize i = 0; i < count; i++)
        sum += pow((double) a->memory[i] - b->memory[i], 2);
    return sum > 0 ? MIN(10 * log10(255.0 * 255.0 * (double) count / sum), 99) : 99;
}
