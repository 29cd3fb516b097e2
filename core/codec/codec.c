/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening and closing, where the latents of a frame are, and the values that a decoder sees for them. */
#include "codec/codec.h"
#include "entropy/centroid.h"

#include <m2t/m2t-encoder.h>
#include <string.h>

static void
lay_out(M2tCodec *codec, M2tLayout layout, gpointer stage)
{
    gsize tokens = m2t_geometry_tokens(&codec->geometry);

    codec->latents = m2t_arena_take(&codec->arena, tokens * codec->model->latents, sizeof *codec->latents);
    codec->centroid = m2t_arena_take(&codec->arena, tokens * codec->model->latents, sizeof *codec->centroid);
    codec->kept = m2t_arena_take(&codec->arena, tokens, sizeof *codec->kept);
    m2t_prior_layout(&codec->prior, &codec->arena, &codec->context, &codec->geometry);
    layout(codec, stage);
}

gboolean
m2t_codec_init(M2tCodec *codec, M2tModel *model, const M2tGemm *gemm, guint threads, int width, int height, int slices, M2tLayout layout,
               gpointer stage, GError **error)
{
    memset(codec, 0, sizeof *codec);
    codec->model = m2t_model_ref(model);
    codec->net = m2t_net_acquire(model, gemm);
    codec->tables = codec->net->tables;
    m2t_geometry_init(&codec->geometry, width, height, slices);
    m2t_context_init(&codec->context, codec->net, (int) threads, codec->geometry.patch_columns);
    m2t_quant_init(&codec->quant, model);

    lay_out(codec, layout, stage);
    if (!m2t_arena_allocate(&codec->arena)) {
        g_set_error(error, M2T_ERROR, M2T_ERROR_MEMORY, "no memory for a picture of %dx%d", width, height);
        m2t_codec_clear(codec);
        return FALSE;
    }
    lay_out(codec, layout, stage);
    memset(codec->kept, 0, m2t_geometry_tokens(&codec->geometry));
    m2t_plan_make(&codec->prior.plan, &model->prior, &codec->geometry);
    return TRUE;
}

void
m2t_codec_clear(M2tCodec *codec)
{
    if (!codec->model)
        return;
    m2t_arena_free(&codec->arena);
    m2t_quant_clear(&codec->quant);
    m2t_context_clear(&codec->context);
    m2t_net_release(codec->net);
    m2t_model_unref(codec->model);
    memset(codec, 0, sizeof *codec);
}

gint64
m2t_codec_position(const M2tCodec *codec, int slot)
{
    int token = codec->prior.plan.slot[slot].token;

    return token < 0 || codec->kept[token] ? -1 : (gint64) token * codec->model->latents;
}

void
m2t_codec_find_centroids(const M2tCodec *codec, int slot, int part)
{
    int channel = codec->model->prior.part_start[part], n = codec->model->prior.part_size[part];
    gint64 position = m2t_codec_position(codec, slot) + channel;
    gsize at = m2t_prior_place(&codec->prior, slot, channel, n);

    m2t_entropy_centroids(codec->tables, codec->prior.mean + at, codec->prior.level + at, codec->latents + position, codec->centroid + position, n);
}

static void
find_centroids_of_slots(void *data, int begin, int end, int worker)
{
    const M2tCodec *codec = data;

    for (int slot = begin; slot < end; slot++)
        for (int part = 0; part < codec->model->prior.parts && m2t_codec_position(codec, slot) >= 0; part++)
            m2t_codec_find_centroids(codec, slot, part);
}

void
m2t_codec_find_all_centroids(M2tCodec *codec)
{
    m2t_threads_run(codec->context.threads, codec->prior.plan.slots, M2T_CHUNK, find_centroids_of_slots, codec);
}

typedef struct {
    const M2tCodec *codec;
    gint16 *values;
} DequantiseRun;

static void
dequantise_tokens(void *data, int begin, int end, int worker)
{
    const DequantiseRun *run = data;
    const M2tCodec *codec = run->codec;
    gsize latents = codec->model->latents;

    for (int token = begin; token < end; token++) {
        gsize at = token * latents;

        if (!codec->kept[token])
            codec->context.kernels->dequantise(codec->latents + at, codec->centroid + at, codec->quant.igain, run->values + at, (int) latents);
    }
}

void
m2t_codec_dequantise(const M2tCodec *codec, gint16 *values)
{
    DequantiseRun run = {codec, values};

    m2t_threads_run(codec->context.threads, m2t_geometry_tokens(&codec->geometry), M2T_CHUNK, dequantise_tokens, &run);
}

gsize
m2t_codec_slice_position(const M2tCodec *codec, int slice)
{
    return (gsize) m2t_geometry_slice_token(&codec->geometry, slice) * codec->model->latents;
}

gsize
m2t_codec_slice_latents(const M2tCodec *codec, int slice)
{
    return (gsize) m2t_geometry_slice_tokens(&codec->geometry, slice) * codec->model->latents;
}

gboolean
m2t_codec_check_picture(const M2tPicture *picture, GError **error)
{
    for (int i = 0; i < 3; i++)
        if (!picture->data[i]) {
            g_set_error(error, M2T_ERROR, M2T_ERROR_SETTINGS, "picture without plane %d", i);
            return FALSE;
        }
    return TRUE;
}

gboolean
m2t_codec_settings(M2tCodecSettings *settings, const char *backend, guint threads, guint frames, GError **error)
{
    guint processors = MIN(g_get_num_processors(), M2T_THREADS_MAX);

    *settings = (M2tCodecSettings) {.gemm = m2t_gemm_find(backend), .threads = threads ? threads : processors};
    settings->frames = frames ? frames : MIN(settings->threads, M2T_FRAMES_MAX);
    if (!settings->gemm)
        g_set_error(error, M2T_ERROR, M2T_ERROR_UNSUPPORTED, "backend \"%s\" is not built in or does not work on this machine", backend);
    else if (threads > M2T_THREADS_MAX)
        g_set_error(error, M2T_ERROR, M2T_ERROR_SETTINGS, "%u threads, at most %d", threads, M2T_THREADS_MAX);
    else if (frames > M2T_FRAMES_MAX)
        g_set_error(error, M2T_ERROR, M2T_ERROR_SETTINGS, "%u frames at the same time, at most %d", frames, M2T_FRAMES_MAX);
    return settings->gemm && threads <= M2T_THREADS_MAX && frames <= M2T_FRAMES_MAX;
}

guint
m2t_codec_share(const M2tCodecSettings *settings, guint i)
{
    return MAX(1, settings->threads / settings->frames + (i < settings->threads % settings->frames));
}
