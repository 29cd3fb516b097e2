/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rounds in which half of the latents may move, like the fields of a chessboard: neighbours that saw the same error would both mend it.
 * What four such rounds save, and what the true gradient of the synthesis would: docs/compression.md. */
#include "refine/refine.h"
#include "base/limits.h"
#include "quant/choose.h"

#include <string.h>

#define OFF_MAX (256 * M2T_LATENT_ONE) /* more makes no difference, and products stay in 32 bits */

static gsize
count_latents(const M2tRefine *r)
{
    return (gsize) m2t_geometry_tokens(&r->analysis.geometry) * r->analysis.context->net->model->latents;
}

static void
layout_picture(M2tPicture *picture, M2tArena *arena, const M2tGeometry *g)
{
    int width = g->width, height = g->height;

    for (int i = 0; i < 3; i++) {
        picture->data[i] = m2t_arena_take(arena, (gsize) width * height, 1);
        picture->stride[i] = width;
        if (i == 0)
            width = (width + 1) / 2, height = (height + 1) / 2;
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
    r->wanted = m2t_arena_take(arena, latents, sizeof *r->wanted);
    r->seen = m2t_arena_take(arena, latents, sizeof *r->seen);
    r->wanted_rest = m2t_arena_take(arena, latents, sizeof *r->wanted_rest);
    r->seen_rest = m2t_arena_take(arena, latents, sizeof *r->seen_rest);
}

void
m2t_refine_begin(M2tRefine *r, const gint16 *latents, const gint8 *rest)
{
    memcpy(r->wanted, latents, count_latents(r) * sizeof *latents);
    memcpy(r->wanted_rest, rest, count_latents(r) * sizeof *rest);
}

void
m2t_refine_restore(const M2tRefine *r, gint16 *latents, gint8 *rest)
{
    memcpy(latents, r->wanted, count_latents(r) * sizeof *latents);
    memcpy(rest, r->wanted_rest, count_latents(r) * sizeof *rest);
}

void
m2t_refine_look(M2tRefine *r, const M2tQuant *quant)
{
    m2t_synthesis_run(&r->synthesis, quant, &r->shown);
    m2t_analysis_load(&r->analysis, &r->shown);
    m2t_analysis_run(&r->analysis, quant, r->seen, r->seen_rest);
}

void
m2t_refine_choose(const M2tRefine *r, const M2tEntropyTables *tables, const gint32 *mean, const guint8 *level, gsize at, int n, int round, int scanty,
                  gint16 *latents)
{
    int all = r->analysis.context->net->model->latents, columns = r->analysis.geometry.token_columns, worth = m2t_quant_error_worth(scanty);
    int token = (int) (at / all), channel = (int) (at % all);

    for (int i = (token / columns + token % columns + channel + round) & 1; i < n; i += 2) {
        int difference = M2T_LATENT_ONE * (r->wanted[at + i] - r->seen[at + i]) + r->wanted_rest[at + i] - r->seen_rest[at + i];
        int off = CLAMP(difference, -OFF_MAX, OFF_MAX);
        M2tEntropyOutcome now = m2t_entropy_outcome(tables, mean[i], level[i], latents[i]);
        int best = 0, chosen = latents[i];

        for (int step = -1; step <= 1; step += 2) {
            int other = CLAMP(latents[i] + step, M2T_LATENT_MIN, M2T_LATENT_MAX);
            int gain = m2t_quant_gain(now, m2t_entropy_outcome(tables, mean[i], level[i], (gint16) other), step, off, worth);

            if (gain > best) {
                best = gain;
                chosen = other;
            }
        }
        latents[i] = (gint16) chosen;
    }
}

void
m2t_refine_end(M2tRefine *r)
{
    memcpy(r->final, r->synthesis.values, count_latents(r) * sizeof *r->final);
}
