/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The encoder: encode_picture() is the list of the stages. */
#include <m2t/m2t-encoder.h>

#include "analysis/analysis.h"
#include "bitstream/frame.h"
#include "bitstream/video-info.h"
#include "codec/codec.h"
#include "quant/choose.h"

#include <m2t/m2t-stream.h>
#include <string.h>

/* So that it fits a unit of a byte stream even if every third byte has to be escaped. */
#define PACKET_MAX (M2T_STREAM_UNIT_MAX / 4 * 3)

struct _M2tEncoder {
    M2tCodec codec;
    M2tAnalysis analysis;
    gint8 *rest;           /* of the latents, see analysis.h */
    M2tSliceWriter *writer;
    GByteArray *slice, *packet;
    M2tVideoInfo info;
    int q;                 /* quarter steps */
    guint key_interval, since_key;
    gboolean started;
    guint8 number;
};

void
m2t_encoder_settings_init(M2tEncoderSettings *settings)
{
    g_return_if_fail(settings);
    *settings = (M2tEncoderSettings) {.quantizer = 32};
}

static void
layout_encoder(M2tCodec *codec, gpointer stage)
{
    M2tEncoder *e = stage;

    m2t_analysis_layout(&e->analysis, &codec->arena, &codec->context, &codec->geometry);
    e->rest = m2t_arena_take(&codec->arena, (gsize) codec->geometry.token_rows * codec->geometry.token_columns * codec->model->latents,
                             sizeof *e->rest);
}

static gboolean
check_info(const M2tVideoInfo *info, GError **error)
{
    const char *problem = m2t_video_info_problem(info);

    if (problem)
        g_set_error(error, M2T_ERROR, M2T_ERROR_SETTINGS, "video of %ux%u: %s", info->width, info->height, problem);
    return !problem;
}

/* Memory for the size, and for its symbols. */
static gboolean
open_codec(M2tEncoder *e, M2tModel *model, const M2tGemm *gemm, guint threads, GError **error)
{
    const M2tGeometry *geometry = &e->codec.geometry;

    if (!m2t_codec_init(&e->codec, model, gemm, threads, (int) e->info.width, (int) e->info.height, layout_encoder, e, error))
        return FALSE;
    e->writer = m2t_slice_writer_new(e->codec.tables, (gsize) geometry->token_rows * geometry->token_columns * model->latents);
    if (!e->writer)
        g_set_error(error, M2T_ERROR, M2T_ERROR_MEMORY, "no memory for the symbols of %ux%u", e->info.width, e->info.height);
    return e->writer != NULL;
}

M2tEncoder *
m2t_encoder_new(M2tModel *model, const M2tVideoInfo *info, const M2tEncoderSettings *settings, GError **error)
{
    M2tEncoderSettings defaults;
    const M2tGemm *gemm;
    M2tEncoder *e;

    g_return_val_if_fail(model && info, NULL);
    m2t_encoder_settings_init(&defaults);
    settings = settings ? settings : &defaults;
    gemm = m2t_codec_backend(settings->backend, settings->threads, error);
    if (!gemm || !check_info(info, error))
        return NULL;

    e = g_new0(M2tEncoder, 1);
    e->info = *info;
    e->slice = g_byte_array_new();
    e->packet = g_byte_array_new();
    if (!open_codec(e, model, gemm, settings->threads, error)) {
        m2t_encoder_free(e);
        return NULL;
    }
    m2t_encoder_set_quantizer(e, settings->quantizer);
    e->key_interval = settings->key_interval;
    return e;
}

void
m2t_encoder_free(M2tEncoder *e)
{
    if (!e)
        return;
    m2t_codec_clear(&e->codec);
    m2t_slice_writer_free(e->writer);
    g_byte_array_unref(e->slice);
    g_byte_array_unref(e->packet);
    g_free(e);
}

static void
predict_latents(M2tEncoder *e)
{
    m2t_prior_predict(&e->codec.prior, &e->codec.quant, e->codec.latents);
}

static void
choose_latents(void *data, int begin, int end, int worker)
{
    M2tEncoder *e = data;
    const M2tPrior *prior = &e->codec.prior;

    for (int slot = begin; slot < end; slot++) {
        gint64 position = m2t_codec_position(&e->codec, slot);
        gsize at = (gsize) slot * prior->latents;

        if (position >= 0)
            m2t_quant_choose(e->codec.tables, prior->mean + at, prior->level + at, e->rest + position, e->codec.latents + position,
                             prior->latents);
    }
}

/* Symbols are queued in the order in which a decoder will ask for them. Returns the code for the number of lanes. */
static int
write_latents(M2tEncoder *e)
{
    M2tCodec *codec = &e->codec;
    const M2tPrior *prior = &codec->prior;
    const M2tPriorWeights *w = &codec->model->prior;

    m2t_slice_writer_begin(e->writer);
    for (int group = 0; group < w->groups; group++)
        for (int part = 0; part < w->parts; part++)
            for (int slot = prior->plan.group_start[group]; slot < prior->plan.group_start[group + 1]; slot++) {
                gint64 position = m2t_codec_position(codec, slot) + w->part_start[part];
                gsize at = (gsize) slot * prior->latents + w->part_start[part];

                if (prior->plan.slot[slot].token >= 0)
                    m2t_slice_writer_put(e->writer, (guint32) position, prior->mean + at, prior->level + at, codec->latents + position,
                                         w->part_size[part]);
            }
    g_byte_array_set_size(e->slice, 0);
    return m2t_slice_writer_end(e->writer, e->slice);
}

/* The first prediction tells what latents will cost, the second one what those that were chosen do. */
static void
encode_picture(M2tEncoder *e, const M2tPicture *picture, M2tFrameHeader *header)
{
    M2tProfile *profile = &e->codec.profile;

    m2t_profile_begin(profile);
    m2t_quant_set(&e->codec.quant, e->q);
    m2t_analysis_run(&e->analysis, picture, &e->codec.quant, e->codec.latents, e->rest);
    m2t_profile_end(profile, M2T_STAGE_ANALYSIS);
    predict_latents(e);
    m2t_profile_end(profile, M2T_STAGE_PRIOR);
    m2t_threads_run(e->codec.context.threads, e->codec.prior.plan.slots, M2T_CHUNK, choose_latents, e);
    m2t_profile_end(profile, M2T_STAGE_CHOICE);
    predict_latents(e);
    m2t_profile_end(profile, M2T_STAGE_PRIOR);
    header->lanes = write_latents(e);
    g_byte_array_set_size(e->packet, 0);
    m2t_frame_write(e->packet, header, e->slice->data, e->slice->len);
    m2t_profile_end(profile, M2T_STAGE_ENTROPY);
}

gboolean
m2t_encoder_encode(M2tEncoder *e, const M2tPicture *picture, gboolean force_key, M2tPacket *packet, GError **error)
{
    M2tFrameHeader header = {0};

    g_return_val_if_fail(e && picture && packet, FALSE);
    for (int i = 0; i < 3; i++)
        if (!picture->data[i]) {
            g_set_error(error, M2T_ERROR, M2T_ERROR_SETTINGS, "picture without plane %d", i);
            return FALSE;
        }
    header.has_sequence = force_key || !e->started || e->since_key + 1 >= e->key_interval;
    header.video = e->info;
    memcpy(header.model, m2t_model_identity(e->codec.model), sizeof header.model);
    header.number = e->number++;
    header.q = (guint8) e->q;
    e->codec.net->gemm->begin();
    encode_picture(e, picture, &header);
    e->codec.net->gemm->end();
    if (e->packet->len > PACKET_MAX) {
        g_set_error(error, M2T_ERROR, M2T_ERROR_SETTINGS, "frame of %u bytes, more than the %u that a stream can hold: raise the quantizer", e->packet->len,
                    PACKET_MAX);
        return FALSE;
    }

    e->started = TRUE;
    e->since_key = header.has_sequence ? 0 : e->since_key + 1;
    *packet = (M2tPacket) {e->packet->data, e->packet->len, header.has_sequence, header.number};
    return TRUE;
}

void
m2t_encoder_set_quantizer(M2tEncoder *e, double quantizer)
{
    g_return_if_fail(e);
    e->q = quantizer > 0 ? (int) (MIN(quantizer, M2T_QUANTIZER_MAX) * 4 + 0.5) : 0;
}

void
m2t_encoder_set_key_interval(M2tEncoder *e, guint frames)
{
    g_return_if_fail(e);
    e->key_interval = frames;
}

void
m2t_encoder_reset(M2tEncoder *e)
{
    g_return_if_fail(e);
    e->started = FALSE;
}

const char *
m2t_encoder_backend(const M2tEncoder *e)
{
    return e->codec.net->gemm->name;
}

const M2tProfile *
m2t_encoder_profile(const M2tEncoder *e)
{
    return &e->codec.profile;
}

guint
m2t_encoder_threads(const M2tEncoder *e)
{
    return (guint) m2t_threads_count(e->codec.context.threads);
}
