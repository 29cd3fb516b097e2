/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Planes of values and the walk over them; what is done to the values is in kernels/filter-impl.h. */
#include "filter/filter.h"

#include <string.h>

#define REACH 2                            /* neighbours in each direction */
#define MARGIN 32                          /* left of a plane, so that its lines are aligned */
#define SPAN (4 * M2T_FILTER_BLOCKS)       /* luma values that kernels work on at once; they may be more than a line has */

static int
plane_rows(const M2tGeometry *g, int plane)
{
    return plane == 0 ? 8 * g->patch_rows : 4 * g->patch_rows;
}

static int
plane_columns(const M2tGeometry *g, int plane)
{
    return plane == 0 ? 8 * g->patch_columns : 4 * g->patch_columns;
}

void
m2t_filter_layout(M2tFilter *filter, M2tArena *arena, const M2tGeometry *geometry)
{
    filter->geometry = *geometry;
    for (int plane = 0; plane < 3; plane++) {
        gssize stride = MARGIN + (plane_columns(geometry, plane) + SPAN - 1) / SPAN * SPAN + MARGIN;
        gint16 *values = m2t_arena_take(arena, (plane_rows(geometry, plane) + 2 * REACH) * stride, sizeof *values);

        filter->stride[plane] = stride;
        filter->plane[plane] = values ? values + REACH * stride + MARGIN : NULL;
    }
}

void
m2t_filter_enter(M2tFilter *filter, int row, int column, const gint16 *values)
{
    for (int plane = 0; plane < 3; plane++) {
        int side = plane == 0 ? 8 : 4;
        gint16 *line = filter->plane[plane] + row * side * filter->stride[plane] + column * side;

        for (int y = 0; y < side; y++, line += filter->stride[plane], values += side)
            if (plane == 0)
                memcpy(line, values, 8 * sizeof *values);
            else
                memcpy(line, values, 4 * sizeof *values);
    }
}

/* To the right as far as kernels read, which end with a whole span. */
static void
repeat_edges(gint16 *values, gssize stride, int rows, int columns)
{
    gssize end = stride - 2 * MARGIN + REACH;
    gsize line = (REACH + end) * sizeof *values;

    for (int y = 0; y < rows; y++) {
        gint16 *first = values + y * stride;

        for (gssize x = -REACH; x < 0; x++)
            first[x] = first[0];
        for (gssize x = columns; x < end; x++)
            first[x] = first[columns - 1];
    }
    for (int y = 1; y <= REACH; y++) {
        memcpy(values - y * stride - REACH, values - REACH, line);
        memcpy(values + (rows - 1 + y) * stride - REACH, values + (rows - 1) * stride - REACH, line);
    }
}

void
m2t_filter_repeat_edges(M2tFilter *filter)
{
    for (int plane = 0; plane < 3; plane++)
        repeat_edges(filter->plane[plane], filter->stride[plane], plane_rows(&filter->geometry, plane), plane_columns(&filter->geometry, plane));
}

/* Blocks of one plane, @side values a side, from @top, @left: as much of them as is in the picture. */
static void
filter_blocks(const M2tFilter *filter, const M2tKernels *kernels, const gint16 *weight, const guint8 *class, int plane, int top, int left,
              M2tPicture *picture)
{
    int side = plane == 0 ? 4 : 2, span = side * M2T_FILTER_BLOCKS;
    int width = m2t_geometry_width(&filter->geometry, plane), height = m2t_geometry_height(&filter->geometry, plane);
    guint8 samples[4 * SPAN];

    if (top >= height || left >= width)
        return;
    kernels->filter(filter->plane[plane] + top * filter->stride[plane] + left, filter->stride[plane], weight, class, side, samples);
    for (int y = 0; y < side && top + y < height; y++)
        memcpy(picture->data[plane] + (gssize) (top + y) * picture->stride[plane] + left, samples + y * span, MIN(span, width - left));
}

void
m2t_filter_row(const M2tFilter *filter, const M2tKernels *kernels, const M2tQuant *quant, int row, M2tPicture *picture)
{
    for (int top = 16 * row; top < 16 * row + 16; top += 4)
        for (int left = 0; left < filter->geometry.width; left += SPAN) {
            guint8 class[M2T_FILTER_BLOCKS];

            kernels->classify(filter->plane[0] + top * filter->stride[0] + left, filter->stride[0], class);
            filter_blocks(filter, kernels, quant->filter[0], class, 0, top, left, picture);
            for (int plane = 1; plane < 3; plane++)
                filter_blocks(filter, kernels, quant->filter[plane], class, plane, top / 2, left / 2, picture);
        }
}
