/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening and closing, where the latents of a frame are, and the values that a decoder sees for them. */
#include "codec/codec.h"

#include <m2t/m2t-encoder.h>
#include <string.h>

static void
lay_out(M2tCodec *codec, M2tLayout layout, gpointer stage)
{
    gsize tokens = m2t_geometry_tokens(&codec->geometry);

    codec->latents = m2t_arena_take(&codec->arena, tokens * codec->model->latents, sizeof *codec->latents);
    codec->centroid = m2t_arena_take(&codec->arena, tokens * codec->model->latents, sizeof *codec->centroid);
    codec->kind = m2t_arena_take(&codec->arena, tokens, sizeof *codec->kind);
    m2t_exact_layout(&codec->exact, &codec->arena, &codec->geometry);
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
    memset(codec->kind, M2T_TOKEN_CODED, m2t_geometry_tokens(&codec->geometry));
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

    return token < 0 || codec->kind[token] != M2T_TOKEN_CODED ? -1 : (gint64) token * codec->model->latents;
}

typedef struct {
    const M2tCodec *codec;
    M2tSynthesis *synthesis;
} DequantiseRun;

static void
dequantise_coded(const M2tCodec *codec, M2tSynthesis *synthesis, int token)
{
    gsize latents = codec->model->latents, at = token * latents;

    synthesis->exact[token] = FALSE;
    codec->context.kernels->dequantise(codec->latents + at, codec->centroid + at, codec->quant.igain, synthesis->values + at, (int) latents);
}

/* The part of the short-cut in the latents that the samples would have. */
static void
dequantise_exact(const M2tCodec *codec, M2tSynthesis *synthesis, M2tScratch *scratch, const int *token, int m)
{
    static const gint32 no_network[M2T_LATENTS_MAX];
    static const gint8 no_centroid[M2T_LATENTS_MAX];
    const M2tKernels *kernels = codec->context.kernels;
    const M2tTransform *net = &codec->net->analysis;
    int latents = codec->model->latents;
    M2tStore store = m2t_linear_store(scratch, &net->shortcut, net->weights->shortcut.bias, m);

    for (int i = 0; i < m; i++) {
        guint8 *samples = synthesis->samples + (gsize) token[i] * M2T_TOKEN_CHANNELS;
        gint8 patches[M2T_TOKEN_CHANNELS];

        synthesis->exact[token[i]] = TRUE;
        m2t_exact_samples(&codec->exact, token[i], samples);
        m2t_patch_centre(samples, patches, M2T_TOKEN_CHANNELS);
        kernels->unshuffle(patches, patches + 2 * M2T_PATCH_CHANNELS, scratch->a + (gsize) i * M2T_TOKEN_CHANNELS, M2T_PATCH_CHANNELS);
    }
    m2t_linear_sums_wide_weights(&codec->context, scratch, &net->shortcut, scratch->a, m);
    kernels->to32(&store, scratch->low);
    for (int i = 0; i < m; i++) {
        gint16 latent[M2T_LATENTS_MAX];
        gint8 rest[M2T_LATENTS_MAX];

        kernels->quantise(scratch->low + (gsize) i * latents, no_network, codec->quant.gain, latent, rest, latents);
        kernels->dequantise(latent, no_centroid, codec->quant.igain, synthesis->values + (gsize) token[i] * latents, latents);
    }
}

static void
dequantise_tokens(void *data, int begin, int end, int worker)
{
    const DequantiseRun *run = data;
    const M2tCodec *codec = run->codec;
    int exact[M2T_CHUNK], count = 0;

    for (int token = begin; token < end; token++)
        if (codec->kind[token] == M2T_TOKEN_CODED)
            dequantise_coded(codec, run->synthesis, token);
        else if (codec->kind[token] == M2T_TOKEN_EXACT)
            exact[count++] = token;
    if (count > 0)
        dequantise_exact(codec, run->synthesis, &codec->context.scratch[worker], exact, count);
}

void
m2t_codec_dequantise(const M2tCodec *codec, M2tSynthesis *synthesis)
{
    DequantiseRun run = {codec, synthesis};

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
