/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The encoder: encode_picture() is the list of the stages. What depends on the order of frames is settled when one is started, everything else
 * happens in the frame's own memory, so that several can be coded at the same time. */
#include <m2t/m2t-encoder.h>

#include "analysis/analysis.h"
#include "bitstream/frame.h"
#include "bitstream/video-info.h"
#include "codec/codec.h"
#include "codec/jobs.h"
#include "quant/choose.h"

#include <m2t/m2t-stream.h>
#include <string.h>

/* So that it fits a unit of a byte stream even if every third byte has to be escaped. */
#define PACKET_MAX (M2T_STREAM_UNIT_MAX / 4 * 3)

/* One frame in flight. */
typedef struct {
    M2tCodec codec;
    M2tAnalysis analysis;
    gint8 *rest;           /* of the latents, see analysis.h */
    M2tSliceWriter *writer;
    GByteArray *slice, *packet;
    M2tSpeedPreset preset;
    M2tPicture picture;
    M2tFrameHeader header;
} FrameEncoder;

struct _M2tEncoder {
    M2tCodecSettings settings;
    FrameEncoder *frame;   /* [settings.frames] */
    M2tJobs *jobs;
    M2tProfile profile;
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
    *settings = (M2tEncoderSettings) {.quantizer = 32, .frames = 1, .speed_preset = M2T_SPEED_PRESET_MEDIUM};
}

static void
layout_encoder(M2tCodec *codec, gpointer stage)
{
    FrameEncoder *f = stage;

    m2t_analysis_layout(&f->analysis, &codec->arena, &codec->context, &codec->geometry);
    f->rest = m2t_arena_take(&codec->arena, (gsize) codec->geometry.token_rows * codec->geometry.token_columns * codec->model->latents,
                             sizeof *f->rest);
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
open_frame(FrameEncoder *f, M2tModel *model, const M2tGemm *gemm, guint threads, const M2tVideoInfo *info, GError **error)
{
    const M2tGeometry *geometry = &f->codec.geometry;

    f->slice = g_byte_array_new();
    f->packet = g_byte_array_new();
    if (!m2t_codec_init(&f->codec, model, gemm, threads, (int) info->width, (int) info->height, layout_encoder, f, error))
        return FALSE;
    f->writer = m2t_slice_writer_new(f->codec.tables, (gsize) geometry->token_rows * geometry->token_columns * model->latents);
    if (!f->writer)
        g_set_error(error, M2T_ERROR, M2T_ERROR_MEMORY, "no memory for the symbols of %ux%u", info->width, info->height);
    return f->writer != NULL;
}

static void
close_frame(FrameEncoder *f)
{
    m2t_codec_clear(&f->codec);
    m2t_slice_writer_free(f->writer);
    g_clear_pointer(&f->slice, g_byte_array_unref);
    g_clear_pointer(&f->packet, g_byte_array_unref);
}

static void run_frame(gpointer data);

M2tEncoder *
m2t_encoder_new(M2tModel *model, const M2tVideoInfo *info, const M2tEncoderSettings *settings, GError **error)
{
    M2tEncoderSettings defaults;
    M2tCodecSettings common;
    M2tEncoder *e;

    g_return_val_if_fail(model && info, NULL);
    m2t_encoder_settings_init(&defaults);
    settings = settings ? settings : &defaults;
    if (!m2t_codec_settings(&common, settings->backend, settings->threads, settings->frames, error) || !check_info(info, error))
        return NULL;

    e = g_new0(M2tEncoder, 1);
    e->settings = common;
    e->info = *info;
    e->frame = g_new0(FrameEncoder, common.frames);
    for (guint i = 0; i < common.frames; i++) {
        e->frame[i].preset = settings->speed_preset;
        if (!open_frame(&e->frame[i], model, common.gemm, m2t_codec_share(&common, i), info, error)) {
            m2t_encoder_free(e);
            return NULL;
        }
    }
    e->jobs = m2t_jobs_new(common.frames, run_frame, e->frame, sizeof *e->frame);
    m2t_encoder_set_quantizer(e, settings->quantizer);
    e->key_interval = settings->key_interval;
    return e;
}

void
m2t_encoder_free(M2tEncoder *e)
{
    if (!e)
        return;
    m2t_jobs_free(e->jobs);
    for (guint i = 0; i < e->settings.frames; i++)
        close_frame(&e->frame[i]);
    g_free(e->frame);
    g_free(e);
}

static void
predict_latents(FrameEncoder *f)
{
    m2t_prior_predict(&f->codec.prior, &f->codec.quant, f->codec.latents);
}

static void
choose_latents(void *data, int begin, int end, int worker)
{
    FrameEncoder *f = data;
    const M2tPrior *prior = &f->codec.prior;

    for (int slot = begin; slot < end; slot++) {
        gint64 position = m2t_codec_position(&f->codec, slot);
        gsize at = (gsize) slot * prior->latents;

        if (position >= 0)
            m2t_quant_choose(f->codec.tables, prior->mean + at, prior->level + at, f->rest + position, f->codec.latents + position,
                             prior->latents);
    }
}

/* Symbols are queued in the order in which a decoder will ask for them. Returns the code for the number of lanes. */
static int
write_latents(FrameEncoder *f)
{
    M2tCodec *codec = &f->codec;
    const M2tPrior *prior = &codec->prior;
    const M2tPriorWeights *w = &codec->model->prior;

    m2t_slice_writer_begin(f->writer);
    for (int group = 0; group < w->groups; group++)
        for (int part = 0; part < w->parts; part++)
            for (int slot = prior->plan.group_start[group]; slot < prior->plan.group_start[group + 1]; slot++) {
                gint64 position = m2t_codec_position(codec, slot) + w->part_start[part];
                gsize at = (gsize) slot * prior->latents + w->part_start[part];

                if (prior->plan.slot[slot].token >= 0)
                    m2t_slice_writer_put(f->writer, (guint32) position, prior->mean + at, prior->level + at, codec->latents + position,
                                         w->part_size[part]);
            }
    g_byte_array_set_size(f->slice, 0);
    return m2t_slice_writer_end(f->writer, f->slice);
}

/* The first prediction tells what latents will cost, the second one what those that were chosen do. */
static void
choose_by_cost(FrameEncoder *f)
{
    predict_latents(f);
    m2t_profile_end(&f->codec.profile, M2T_STAGE_PRIOR);
    m2t_threads_run(f->codec.context.threads, f->codec.prior.plan.slots, M2T_CHUNK, choose_latents, f);
    m2t_profile_end(&f->codec.profile, M2T_STAGE_CHOICE);
}

static void
choose_by_size(void *data, int begin, int end, int worker)
{
    FrameEncoder *f = data;
    int latents = f->codec.model->latents;

    for (int token = begin; token < end; token++) {
        gsize at = (gsize) token * latents;

        m2t_quant_choose_small(f->codec.quant.feature, f->rest + at, f->codec.latents + at, latents);
    }
}

static void
choose(FrameEncoder *f)
{
    int tokens = f->codec.geometry.token_rows * f->codec.geometry.token_columns;

    if (f->preset == M2T_SPEED_PRESET_FAST) {
        m2t_threads_run(f->codec.context.threads, tokens, M2T_CHUNK, choose_by_size, f);
        m2t_profile_end(&f->codec.profile, M2T_STAGE_CHOICE);
    } else {
        choose_by_cost(f);
    }
}

static void
encode_picture(FrameEncoder *f)
{
    M2tProfile *profile = &f->codec.profile;

    m2t_profile_begin(profile);
    m2t_quant_set(&f->codec.quant, f->header.q);
    m2t_analysis_run(&f->analysis, &f->picture, &f->codec.quant, f->codec.latents, f->rest);
    m2t_profile_end(profile, M2T_STAGE_ANALYSIS);
    choose(f);
    predict_latents(f);
    m2t_profile_end(profile, M2T_STAGE_PRIOR);
    f->header.lanes = write_latents(f);
    g_byte_array_set_size(f->packet, 0);
    m2t_frame_write(f->packet, &f->header, f->slice->data, f->slice->len);
    m2t_profile_end(profile, M2T_STAGE_ENTROPY);
}

static void
run_frame(gpointer data)
{
    FrameEncoder *f = data;
    const M2tGemm *gemm = f->codec.net->gemm;

    gemm->begin();
    encode_picture(f);
    gemm->end();
}

gboolean
m2t_encoder_start(M2tEncoder *e, const M2tPicture *picture, gboolean force_key, GError **error)
{
    M2tFrameHeader header = {0};
    FrameEncoder *f;

    g_return_val_if_fail(e && picture && m2t_jobs_pending(e->jobs) < e->settings.frames, FALSE);
    for (int i = 0; i < 3; i++)
        if (!picture->data[i]) {
            g_set_error(error, M2T_ERROR, M2T_ERROR_SETTINGS, "picture without plane %d", i);
            return FALSE;
        }
    f = &e->frame[m2t_jobs_next(e->jobs)];
    header.has_sequence = force_key || !e->started || e->since_key + 1 >= e->key_interval;
    header.video = e->info;
    memcpy(header.model, m2t_model_identity(f->codec.model), sizeof header.model);
    header.number = e->number++;
    header.q = (guint8) e->q;
    e->started = TRUE;
    e->since_key = header.has_sequence ? 0 : e->since_key + 1;
    f->picture = *picture;
    f->header = header;
    m2t_jobs_start(e->jobs);
    return TRUE;
}

gboolean
m2t_encoder_finish(M2tEncoder *e, M2tPacket *packet, GError **error)
{
    const FrameEncoder *f;

    g_return_val_if_fail(e && packet && m2t_jobs_pending(e->jobs) > 0, FALSE);
    f = &e->frame[m2t_jobs_finish(e->jobs)];
    m2t_profile_add(&e->profile, &f->codec.profile);
    if (f->packet->len > PACKET_MAX) {
        g_set_error(error, M2T_ERROR, M2T_ERROR_SETTINGS, "frame of %u bytes, more than the %u that a stream can hold: raise the quantizer", f->packet->len,
                    PACKET_MAX);
        if (f->header.has_sequence)
            e->started = FALSE;
        return FALSE;
    }
    *packet = (M2tPacket) {f->packet->data, f->packet->len, f->header.has_sequence, f->header.number};
    return TRUE;
}

gboolean
m2t_encoder_ready(const M2tEncoder *e)
{
    return m2t_jobs_pending(e->jobs) > 0 && m2t_jobs_ready(e->jobs);
}

guint
m2t_encoder_pending(const M2tEncoder *e)
{
    return m2t_jobs_pending(e->jobs);
}

gboolean
m2t_encoder_encode(M2tEncoder *e, const M2tPicture *picture, gboolean force_key, M2tPacket *packet, GError **error)
{
    g_return_val_if_fail(e && packet && m2t_jobs_pending(e->jobs) == 0, FALSE);
    return m2t_encoder_start(e, picture, force_key, error) && m2t_encoder_finish(e, packet, error);
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
    while (m2t_jobs_pending(e->jobs) > 0)
        m2t_jobs_finish(e->jobs);
    e->started = FALSE;
}

const char *
m2t_encoder_backend(const M2tEncoder *e)
{
    return e->settings.gemm->name;
}

const M2tProfile *
m2t_encoder_profile(const M2tEncoder *e)
{
    return &e->profile;
}

guint
m2t_encoder_threads(const M2tEncoder *e)
{
    guint threads = 0;

    for (guint i = 0; i < e->settings.frames; i++)
        threads += (guint) m2t_threads_count(e->frame[i].codec.context.threads);
    return threads;
}

guint
m2t_encoder_frames(const M2tEncoder *e)
{
    return e->settings.frames;
}
