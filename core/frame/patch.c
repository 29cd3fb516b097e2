/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Planes to patches and back. Each plane contributes a square of side 8 or 4 to a patch; rows and columns outside the picture are clamped. */
#include "frame/patch.h"

#include "model/model.h"

#include <string.h>

typedef struct {
    int width, height, side, channel; /* of the plane; side of its square in a patch; its first channel */
} PlaneLayout;

void
m2t_geometry_init(M2tGeometry *g, int width, int height, int slices)
{
    g->width = width;
    g->height = height;
    g->token_columns = (width + 15) / 16;
    g->token_rows = (height + 15) / 16;
    g->patch_columns = 2 * g->token_columns;
    g->patch_rows = 2 * g->token_rows;
    g->slices = slices;
}

static PlaneLayout
plane_layout(const M2tGeometry *g, int plane)
{
    static const int channel[] = {0, 64, 80};

    return (PlaneLayout) {m2t_geometry_width(g, plane), m2t_geometry_height(g, plane), plane ? 4 : 8, channel[plane]};
}

static gint8
centred(guint8 sample)
{
    return (gint8) (MAX(sample, 1) ^ 128);
}

/* @side: a constant where it counts, so that a square's line is one load and one store. */
static inline void
load_line(const guint8 *line, int columns, int side, gint8 *patches)
{
    for (int column = 0; column < columns; column++, line += side, patches += M2T_PATCH_CHANNELS)
        for (int x = 0; x < side; x++)
            patches[x] = centred(line[x]);
}

/* The lines of one plane that make up the channels of a row of patches; its last sample goes on to the right. */
static void
load_plane_row(const PlaneLayout *p, const guint8 *line, int columns, int channel, gint8 *patches)
{
    int inside = p->width / p->side;

    patches += channel;
    if (p->side == 8)
        load_line(line, inside, 8, patches);
    else
        load_line(line, inside, 4, patches);
    for (int x = inside * p->side; x < columns * p->side; x++)
        patches[x / p->side * M2T_PATCH_CHANNELS + x % p->side] = centred(line[MIN(x, p->width - 1)]);
}

void
m2t_patch_load_row(const M2tGeometry *g, const M2tPicture *picture, int row, gint8 *patches)
{
    for (int plane = 0; plane < 3; plane++) {
        PlaneLayout p = plane_layout(g, plane);

        for (int y = 0; y < p.side; y++) {
            int line = MIN(row * p.side + y, p.height - 1);

            load_plane_row(&p, picture->data[plane] + (gssize) line * picture->stride[plane], g->patch_columns, p.channel + y * p.side, patches);
        }
    }
}

void
m2t_patch_centre(const guint8 *samples, gint8 *patches, int n)
{
    for (int i = 0; i < n; i++)
        patches[i] = centred(samples[i]);
}

static void
store_plane(const PlaneLayout *p, guint8 *data, gint stride, int row, int column, const guint8 *samples)
{
    int top = row * p->side, left = column * p->side;
    int rows = MIN(p->side, p->height - top), columns = MIN(p->side, p->width - left);

    data += (gssize) top * stride + left;
    samples += p->channel;
    for (int y = 0; y < rows; y++, data += stride, samples += p->side)
        if (columns == 8)
            memcpy(data, samples, 8);
        else if (columns == 4)
            memcpy(data, samples, 4);
        else
            for (int x = 0; x < columns; x++)
                data[x] = samples[x];
}

void
m2t_patch_store(const M2tGeometry *g, M2tPicture *picture, int row, int column, const guint8 *samples)
{
    for (int plane = 0; plane < 3; plane++) {
        PlaneLayout p = plane_layout(g, plane);

        store_plane(&p, picture->data[plane], picture->stride[plane], row, column, samples);
    }
}
