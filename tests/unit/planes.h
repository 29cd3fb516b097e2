/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pictures for tests: planes in one block of memory, filled, compared and hashed. */
#ifndef TESTS_PLANES_H
#define TESTS_PLANES_H

#include <m2t/m2t-picture.h>

typedef struct {
    M2tPicture picture;
    int width, height;
    guint8 *memory;       /* the planes one after the other, rows tightly packed: size bytes */
    gsize size;
} Planes;

void planes_init(Planes *planes, int width, int height);
void planes_clear(Planes *planes);

/* A scene with gradients, edges and noise, another one for each seed. */
void planes_draw(Planes *planes, guint seed);

/* What programs draw: flat areas, frames, lines with soft edges, rows of small marks. */
void planes_draw_screen(Planes *planes, guint seed);

gboolean planes_same(const Planes *a, const Planes *b);

/* MD5 of Y, U and V; free with g_free(). */
char *planes_md5(const Planes *planes);

/* PSNR of luma in dB, at most 99. */
double planes_psnr(const Planes *a, const Planes *b);

#endif
