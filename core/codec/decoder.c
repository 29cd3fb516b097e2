/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The decoder: decode_picture() is the list of the stages. Headers are read in the caller's thread and in order; what follows happens in the frame's own
 * memory, so that several can be decoded at the same time. Everything that comes from a stream is checked before it is used; a frame is checked whole,
 * checksum and end of its data included, before a sample is written. */
#include <m2t/m2t-decoder.h>

#include "bitstream/frame.h"
#include "codec/codec.h"
#include "codec/jobs.h"
#include "synthesis/synthesis.h"

#include <m2t/m2t-encoder.h>
#include <string.h>

/* One frame in flight. */
typedef struct {
    M2tCodec codec;            /* for the model and size of the sequence; zeros before the first */
    M2tSynthesis synthesis;
    M2tSliceReader *reader;
    M2tFrameHeader header;
    const guint8 *slice;
    gsize slice_size;
    M2tPicture picture;
    gboolean good;             /* how it ended */
} FrameDecoder;

struct _M2tDecoder {
    M2tModel *model;           /* the only one allowed, or NULL */
    M2tCodecSettings settings;
    guint64 max_samples;

    M2tFrameHeader sequence;   /* of the last key frame, if it has_sequence */
    FrameDecoder *frame;       /* [settings.frames] */
    M2tJobs *jobs;
    M2tProfile profile;

    M2tFrameHeader header;     /* of the frame that is open, */
    const guint8 *slice;       /* if there is one */
    gsize slice_size;
};

void
m2t_decoder_settings_init(M2tDecoderSettings *settings)
{
    g_return_if_fail(settings);
    *settings = (M2tDecoderSettings) {.frames = 1};
}

static void run_frame(gpointer data);

M2tDecoder *
m2t_decoder_new(M2tModel *model, const M2tDecoderSettings *settings, GError **error)
{
    M2tDecoderSettings defaults;
    M2tCodecSettings common;
    M2tDecoder *d;

    m2t_decoder_settings_init(&defaults);
    settings = settings ? settings : &defaults;
    if (!m2t_codec_settings(&common, settings->backend, settings->threads, settings->frames, error))
        return NULL;
    d = g_new0(M2tDecoder, 1);
    d->model = model ? m2t_model_ref(model) : NULL;
    d->settings = common;
    d->max_samples = settings->max_samples ? settings->max_samples : (guint64) M2T_SIZE_MAX * M2T_SIZE_MAX;
    d->frame = g_new0(FrameDecoder, common.frames);
    d->jobs = m2t_jobs_new(common.frames, run_frame, d->frame, sizeof *d->frame);
    return d;
}

/* How frames in flight end stays for m2t_decoder_finish(). */
static void
close_codecs(M2tDecoder *d)
{
    m2t_jobs_settle(d->jobs);
    for (guint i = 0; i < d->settings.frames; i++) {
        g_clear_pointer(&d->frame[i].reader, m2t_slice_reader_free);
        m2t_codec_clear(&d->frame[i].codec);
    }
}

void
m2t_decoder_free(M2tDecoder *d)
{
    if (!d)
        return;
    close_codecs(d);
    m2t_jobs_free(d->jobs);
    g_free(d->frame);
    m2t_model_unref(d->model);
    g_free(d);
}

static void
layout_synthesis(M2tCodec *codec, gpointer stage)
{
    m2t_synthesis_layout(stage, &codec->arena, &codec->context, &codec->geometry);
}

static gboolean
open_codecs(M2tDecoder *d, M2tModel *model, const M2tVideoInfo *video, GError **error)
{
    for (guint i = 0; i < d->settings.frames; i++) {
        FrameDecoder *f = &d->frame[i];

        if (!m2t_codec_init(&f->codec, model, d->settings.gemm, m2t_codec_share(&d->settings, i), (int) video->width, (int) video->height,
                            layout_synthesis, &f->synthesis, error)) {
            close_codecs(d);
            return FALSE;
        }
        f->reader = m2t_slice_reader_new(f->codec.tables);
    }
    return TRUE;
}

static gboolean
is_model(const M2tModel *model, const guint8 *identity)
{
    return model && !memcmp(m2t_model_identity(model), identity, M2T_MODEL_IDENTITY_SIZE);
}

/* The model of this identity: the one given, the one in use, or one that is installed. Returns a new reference. */
static M2tModel *
find_model(const M2tDecoder *d, const guint8 *identity, GError **error)
{
    g_autoptr(GString) wanted = NULL;

    if (is_model(d->model, identity))
        return m2t_model_ref(d->model);
    if (is_model(d->frame->codec.model, identity))
        return m2t_model_ref(d->frame->codec.model);
    if (!d->model)
        return m2t_model_open_identity(identity, error);
    wanted = g_string_new(NULL);
    for (int i = 0; i < M2T_MODEL_IDENTITY_SIZE; i++)
        g_string_append_printf(wanted, "%02x", identity[i]);
    g_set_error(error, M2T_ERROR, M2T_ERROR_WRONG_MODEL, "the stream needs the model %s, %s is \"%s\", %s", wanted->str, m2t_model_path(d->model),
                m2t_model_name(d->model), m2t_model_identity_hex(d->model));
    return NULL;
}

/* Memory and weights for the sequence that this header opens, unless they are there already. */
static gboolean
open_sequence(M2tDecoder *d, const M2tFrameHeader *header, GError **error)
{
    const M2tVideoInfo *video = &header->video;
    const M2tCodec *codec = &d->frame->codec;
    g_autoptr(M2tModel) model = NULL;

    if ((guint64) video->width * video->height > d->max_samples) {
        g_set_error(error, M2T_ERROR, M2T_ERROR_UNSUPPORTED, "picture of %ux%u, more than the %" G_GUINT64_FORMAT " samples allowed", video->width,
                    video->height, d->max_samples);
        return FALSE;
    }
    model = find_model(d, header->model, error);
    if (!model)
        return FALSE;
    if (codec->model != model || codec->geometry.width != (int) video->width || codec->geometry.height != (int) video->height) {
        close_codecs(d);
        d->sequence.has_sequence = FALSE;
        if (!open_codecs(d, model, video, error))
            return FALSE;
    }
    d->sequence = *header;
    return TRUE;
}

static void
fill_info(const M2tDecoder *d, M2tFrameInfo *info)
{
    *info = (M2tFrameInfo) {.key = d->header.has_sequence, .number = d->header.number, .quantizer = d->header.q / 4.0, .has_sequence = TRUE,
                            .video = d->sequence.video};
    memcpy(info->identity, d->sequence.model, sizeof info->identity);
}

gboolean
m2t_decoder_open_frame(M2tDecoder *d, const void *data, gsize size, M2tFrameInfo *info, GError **error)
{
    guint32 crc;

    g_return_val_if_fail(d && (data || !size), FALSE);
    d->slice = NULL;
    if (!m2t_frame_read(data, size, &d->header, &d->slice, &d->slice_size, &crc, error))
        return d->slice = NULL, FALSE;
    if (m2t_crc32c(d->slice, d->slice_size) != crc) {
        d->slice = NULL;
        g_set_error_literal(error, M2T_ERROR, M2T_ERROR_STREAM, "checksum of the slice does not match");
        return FALSE;
    }
    if (d->header.has_sequence ? !open_sequence(d, &d->header, error) : !d->sequence.has_sequence) {
        d->slice = NULL;
        if (!d->header.has_sequence)
            g_set_error_literal(error, M2T_ERROR, M2T_ERROR_NO_HEADER, "a frame without sequence header came before any key frame");
        return FALSE;
    }
    if (info)
        fill_info(d, info);
    return TRUE;
}

/* Group after group, part after part: what is decoded tells the prior what to expect next. */
static gboolean
decode_latents(FrameDecoder *f)
{
    M2tCodec *codec = &f->codec;
    M2tPrior *prior = &codec->prior;
    const M2tPriorWeights *w = &codec->model->prior;
    gsize count = (gsize) codec->geometry.token_rows * codec->geometry.token_columns * codec->model->latents;

    if (!m2t_slice_reader_begin(f->reader, f->slice, f->slice_size, f->header.lanes, codec->latents, count))
        return FALSE;
    m2t_profile_end(&codec->profile, M2T_STAGE_ENTROPY);
    for (int group = 0; group < w->groups; group++) {
        m2t_prior_run(prior, &codec->quant, codec->latents, group, group);
        for (int part = 0; part < w->parts; part++) {
            m2t_prior_heads(prior, &codec->quant, codec->latents, group, group, part);
            m2t_profile_end(&codec->profile, M2T_STAGE_PRIOR);
            for (int slot = prior->plan.group_start[group]; slot < prior->plan.group_start[group + 1]; slot++) {
                gsize at = (gsize) slot * prior->latents + w->part_start[part];

                if (prior->plan.slot[slot].token >= 0)
                    m2t_slice_reader_get(f->reader, prior->mean + at, prior->level + at,
                                         codec->latents + m2t_codec_position(codec, slot) + w->part_start[part], w->part_size[part]);
            }
            m2t_profile_end(&codec->profile, M2T_STAGE_ENTROPY);
        }
    }
    return m2t_slice_reader_end(f->reader);
}

static gboolean
decode_picture(FrameDecoder *f)
{
    m2t_profile_begin(&f->codec.profile);
    m2t_quant_set(&f->codec.quant, f->header.q);
    if (!decode_latents(f))
        return FALSE;
    m2t_synthesis_run(&f->synthesis, f->codec.latents, &f->codec.quant, &f->picture);
    m2t_profile_end(&f->codec.profile, M2T_STAGE_SYNTHESIS);
    return TRUE;
}

static void
run_frame(gpointer data)
{
    FrameDecoder *f = data;
    const M2tGemm *gemm = f->codec.net->gemm;

    gemm->begin();
    f->good = decode_picture(f);
    gemm->end();
}

gboolean
m2t_decoder_start(M2tDecoder *d, const M2tPicture *picture, GError **error)
{
    FrameDecoder *f;

    g_return_val_if_fail(d && picture && m2t_jobs_pending(d->jobs) < d->settings.frames, FALSE);
    if (!d->slice) {
        g_set_error_literal(error, M2T_ERROR, M2T_ERROR_STREAM, "no frame is open");
        return FALSE;
    }
    f = &d->frame[m2t_jobs_next(d->jobs)];
    f->header = d->header;
    f->slice = d->slice;
    f->slice_size = d->slice_size;
    f->picture = *picture;
    d->slice = NULL;
    m2t_jobs_start(d->jobs);
    return TRUE;
}

gboolean
m2t_decoder_finish(M2tDecoder *d, GError **error)
{
    const FrameDecoder *f;

    g_return_val_if_fail(d && m2t_jobs_pending(d->jobs) > 0, FALSE);
    f = &d->frame[m2t_jobs_finish(d->jobs)];
    m2t_profile_add(&d->profile, &f->codec.profile);
    if (!f->good)
        g_set_error_literal(error, M2T_ERROR, M2T_ERROR_STREAM, "entropy coded data are damaged");
    return f->good;
}

gboolean
m2t_decoder_ready(const M2tDecoder *d)
{
    return m2t_jobs_pending(d->jobs) > 0 && m2t_jobs_ready(d->jobs);
}

guint
m2t_decoder_pending(const M2tDecoder *d)
{
    return m2t_jobs_pending(d->jobs);
}

gboolean
m2t_decoder_decode(M2tDecoder *d, M2tPicture *picture, GError **error)
{
    g_return_val_if_fail(d && m2t_jobs_pending(d->jobs) == 0, FALSE);
    return m2t_decoder_start(d, picture, error) && m2t_decoder_finish(d, error);
}

void
m2t_decoder_reset(M2tDecoder *d)
{
    g_return_if_fail(d);
    while (m2t_jobs_pending(d->jobs) > 0)
        m2t_jobs_finish(d->jobs);
    d->sequence.has_sequence = FALSE;
    d->slice = NULL;
}

const char *
m2t_decoder_backend(const M2tDecoder *d)
{
    return d->settings.gemm->name;
}

const M2tProfile *
m2t_decoder_profile(const M2tDecoder *d)
{
    return &d->profile;
}

guint
m2t_decoder_threads(const M2tDecoder *d)
{
    guint threads = 0;

    if (!d->frame->codec.model)
        return d->settings.threads;
    for (guint i = 0; i < d->settings.frames; i++)
        threads += (guint) m2t_threads_count(d->frame[i].codec.context.threads);
    return threads;
}

guint
m2t_decoder_frames(const M2tDecoder *d)
{
    return d->settings.frames;
}
