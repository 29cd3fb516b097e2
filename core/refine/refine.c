/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rounds in which all latents go a quarter of the way: neighbours see the same error, and each would mend all of it. What four such rounds save, and what the
 * true gradient of the synthesis would: docs/compression.md. */
#include "refine/refine.h"
#include "base/limits.h"

#include <string.h>

static gsize
count_latents(const M2tRefine *r)
{
    return (gsize) m2t_geometry_tokens(&r->analysis.geometry) * r->analysis.context->net->model->latents;
}

static void
layout_picture(M2tPicture *picture, M2tArena *arena, const M2tGeometry *g)
{
    for (int i = 0; i < 3; i++) {
        picture->stride[i] = m2t_geometry_width(g, i);
        picture->data[i] = m2t_arena_take(arena, (gsize) m2t_geometry_width(g, i) * m2t_geometry_height(g, i), 1);
    }
}

void
m2t_refine_layout(M2tRefine *r, M2tArena *arena, const M2tContext *context, const M2tGeometry *g)
{
    gsize latents = (gsize) m2t_geometry_tokens(g) * context->net->model->latents;

    m2t_synthesis_layout(&r->synthesis, arena, context, g);
    m2t_analysis_layout(&r->analysis, arena, context, g);
    layout_picture(&r->shown, arena, g);
    r->final = m2t_arena_take(arena, latents, sizeof *r->final);
    r->aim = m2t_arena_take(arena, latents, sizeof *r->aim);
    r->seen = m2t_arena_take(arena, latents, sizeof *r->seen);
    r->seen_rest = m2t_arena_take(arena, latents, sizeof *r->seen_rest);
}

void
m2t_refine_begin(M2tRefine *r, const gint16 *wanted, const gint8 *wanted_rest)
{
    for (gsize i = 0; i < count_latents(r); i++)
        r->aim[i] = M2T_LATENT_ONE * wanted[i] + wanted_rest[i];
}

void
m2t_refine_look(M2tRefine *r, const M2tQuant *quant)
{
    m2t_synthesis_run(&r->synthesis, quant, &r->shown);
    m2t_analysis_load(&r->analysis, &r->shown);
    m2t_analysis_run(&r->analysis, quant, r->seen, r->seen_rest);
}

void
m2t_refine_aim(M2tRefine *r, const gint16 *latents, const gint8 *centroids, const gint16 *wanted, const gint8 *wanted_rest, gsize at, int n)
{
    for (gsize i = at; i < at + n; i++) {
        int difference = M2T_LATENT_ONE * (wanted[i] - r->seen[i]) + wanted_rest[i] - r->seen_rest[i];
        int to = M2T_LATENT_ONE * latents[i] + centroids[i] + difference;

        r->aim[i] += (to - r->aim[i]) / 4;
    }
}

void
m2t_refine_end(M2tRefine *r)
{
    memcpy(r->final, r->synthesis.values, count_latents(r) * sizeof *r->final);
}
