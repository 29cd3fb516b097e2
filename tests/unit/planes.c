/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pictures for tests. */
#include "planes.h"

#include <math.h>

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
