/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the caller's planes and patches: 8x8 luma samples and twice 4x4 chroma samples side by side (docs/bitstream.md, section 4). */
#ifndef M2T_FRAME_PATCH_H
#define M2T_FRAME_PATCH_H

#include <m2t/m2t-picture.h>

/* The grids that belong to a size. */
typedef struct {
    int width, height;                 /* luma samples of the picture */
    int patch_columns, patch_rows;     /* of the padded picture, even */
    int token_columns, token_rows;     /* half of that */
    int slices;                        /* at most token_rows */
} M2tGeometry;

void m2t_geometry_init(M2tGeometry *geometry, int width, int height, int slices);

/* Samples of a plane (0: luma). */
static inline int
m2t_geometry_width(const M2tGeometry *geometry, int plane)
{
    return plane ? (geometry->width + 1) / 2 : geometry->width;
}

static inline int
m2t_geometry_height(const M2tGeometry *geometry, int plane)
{
    return plane ? (geometry->height + 1) / 2 : geometry->height;
}

static inline int
m2t_geometry_tokens(const M2tGeometry *geometry)
{
    return geometry->token_rows * geometry->token_columns;
}

/* The row of tokens where a slice begins; slice number @slices begins where the last one ends. */
static inline int
m2t_geometry_slice_row(const M2tGeometry *geometry, int slice)
{
    return slice * geometry->token_rows / geometry->slices;
}

/* The same as an index of a token. */
static inline int
m2t_geometry_slice_token(const M2tGeometry *geometry, int slice)
{
    return m2t_geometry_slice_row(geometry, slice) * geometry->token_columns;
}

static inline int
m2t_geometry_slice_tokens(const M2tGeometry *geometry, int slice)
{
    return m2t_geometry_slice_token(geometry, slice + 1) - m2t_geometry_slice_token(geometry, slice);
}

/* Patches of one row of the grid, [patch_columns][96]; what lies outside the picture repeats its edge. */
void m2t_patch_load_row(const M2tGeometry *geometry, const M2tPicture *picture, int row, gint8 *patches);

/* Samples as they stand in patches. */
void m2t_patch_centre(const guint8 *samples, gint8 *patches, int n);

/* Puts one patch of samples ([96]) where it belongs; what lies outside the picture is dropped. */
void m2t_patch_store(const M2tGeometry *geometry, M2tPicture *picture, int row, int column, const guint8 *samples);

#endif
