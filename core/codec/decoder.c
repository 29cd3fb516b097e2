/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The decoder: decode_picture() is the list of the stages. Headers are read in the caller's thread and in order; what follows happens in
 * the frame's own memory, so that several can be decoded at the same time: each takes over what it keeps as soon as the one before has its
 * values. Everything that comes from a stream is checked before it is used; a frame is checked whole, checksum and end of its data
 * included, before a sample is written. */
#include <m2t/m2t-decoder.h>

#include "base/rounding.h"
#include "base/varint.h"
#include "bitstream/frame.h"
#include "codec/codec.h"
#include "codec/jobs.h"
#include "inter/kept.h"
#include "model/load.h"
#include "synthesis/synthesis.h"

#include <string.h>

/* What the next frame can lean on, slice by slice. */
typedef struct {
    gboolean known;            /* a slice was decoded here, its checksum was @crc */
    guint32 crc;
    gboolean damaged;          /* something is missing in it, or in what it leans on */
} SliceState;

/* How far a slice is read. */
typedef struct {
    guint8 state;              /* of the chain (entropy/dependent.h) */
    gint64 time;               /* microseconds that reading has taken */
} SliceTurn;

/* One frame in flight. */
typedef struct _FrameDecoder FrameDecoder;
struct _FrameDecoder {
    M2tDecoder *decoder;       /* for its jobs */
    M2tCodec codec;            /* for the model and size of the sequence; zeros before the first */
    M2tSynthesis synthesis;
    M2tSliceReader *reader[M2T_SLICES_MAX];
    SliceTurn turn[M2T_SLICES_MAX];
    M2tFrameHeader header;
    M2tSliceBytes slice[M2T_SLICES_MAX]; /* behind what says of tokens that they are not coded; without data where that goes for all */
    M2tSliceBytes exact[M2T_SLICES_MAX]; /* samples of exact tokens; without data where there are none */
    M2tKeptHead head[M2T_SLICES_MAX];
    gboolean missing[M2T_SLICES_MAX];
    M2tPicture picture;
    gboolean shown;
    gint broken;               /* atomic: the data of a slice turned out to be none */

    /* In turn, when the frame before has them: */
    const FrameDecoder *before; /* maybe this very one; NULL: there is none */
    gboolean follows;          /* what is known of that one goes for this one */
    SliceState state[M2T_SLICES_MAX];
    guint damaged;             /* slices that are not what the encoder meant */
};

struct _M2tDecoder {
    M2tModel *model;           /* the only one allowed, or NULL */
    M2tCodecSettings settings;
    guint64 max_samples;

    M2tFrameHeader sequence;   /* of the last key frame, if it has_sequence */
    FrameDecoder *frame;       /* [settings.frames] */
    FrameDecoder *last;        /* that was started, NULL if none was since the memory was taken */
    gboolean forget;           /* the next frame does not follow that one */
    M2tJobs *jobs;
    M2tProfile profile;
    guint damaged;             /* slices of the frame finished last */

    gboolean open;             /* there is a frame that is open: */
    M2tFrameHeader header;
    M2tSliceBytes slice[M2T_SLICES_MAX];
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
    d->max_samples = settings->max_samples ? settings->max_samples : G_MAXUINT64;
    d->frame = g_new0(FrameDecoder, common.frames);
    for (guint i = 0; i < common.frames; i++)
        d->frame[i].decoder = d;
    d->jobs = m2t_jobs_new(common.frames, run_frame, d->frame, sizeof *d->frame);
    return d;
}

/* How frames in flight end stays for m2t_decoder_finish(). */
static void
close_codecs(M2tDecoder *d)
{
    m2t_jobs_settle(d->jobs);
    d->last = NULL;
    for (guint i = 0; i < d->settings.frames; i++) {
        for (int slice = 0; slice < M2T_SLICES_MAX; slice++)
            g_clear_pointer(&d->frame[i].reader[slice], m2t_slice_reader_free);
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
layout_decoder(M2tCodec *codec, gpointer data)
{
    FrameDecoder *f = data;

    m2t_synthesis_layout(&f->synthesis, &codec->arena, &codec->context, &codec->geometry);
}

static gboolean
open_codecs(M2tDecoder *d, M2tModel *model, const M2tVideoInfo *video, guint slices, GError **error)
{
    for (guint i = 0; i < d->settings.frames; i++) {
        FrameDecoder *f = &d->frame[i];

        if (!m2t_codec_init(&f->codec, model, d->settings.gemm, m2t_codec_share(&d->settings, i), (int) video->width, (int) video->height,
                            (int) slices, layout_decoder, f, error)) {
            close_codecs(d);
            return FALSE;
        }
        for (guint slice = 0; slice < slices; slice++)
            f->reader[slice] = m2t_slice_reader_new(f->codec.tables);
        m2t_synthesis_clear(&f->synthesis);
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
    g_autofree char *wanted = NULL;

    if (is_model(d->model, identity))
        return m2t_model_ref(d->model);
    if (is_model(d->frame->codec.model, identity))
        return m2t_model_ref(d->frame->codec.model);
    if (!d->model)
        return m2t_model_open_identity(identity, error);
    wanted = m2t_identity_hex(identity);
    g_set_error(error, M2T_ERROR, M2T_ERROR_WRONG_MODEL, "the stream needs the model %s, %s is \"%s\", %s", wanted,
                m2t_model_path(d->model), m2t_model_name(d->model), m2t_model_identity_hex(d->model));
    return NULL;
}

static gboolean
check_slices(const M2tFrameHeader *header, GError **error)
{
    guint rows = (header->video.height + 15) / 16;

    if (header->slices <= rows)
        return TRUE;
    g_set_error(error, M2T_ERROR, M2T_ERROR_STREAM, "%u slices in a picture of %u rows of tokens", header->slices, rows);
    return FALSE;
}

/* The prior pads slices; what it needs for them is most of the memory. */
static gboolean
check_samples(const M2tDecoder *d, const M2tFrameHeader *header, GError **error)
{
    M2tGeometry geometry;
    guint64 samples;

    m2t_geometry_init(&geometry, (int) header->video.width, (int) header->video.height, (int) header->slices);
    samples = (guint64) m2t_plan_slots(&geometry) * 16 * 16;
    if (samples <= d->max_samples)
        return TRUE;
    g_set_error(error, M2T_ERROR, M2T_ERROR_UNSUPPORTED,
                "picture of %ux%u, padded to %" G_GUINT64_FORMAT " samples in %u slices, more than the %" G_GUINT64_FORMAT " allowed",
                header->video.width, header->video.height, samples, header->slices, d->max_samples);
    return FALSE;
}

/* Memory and weights for the sequence that this header opens, unless they are there already. */
static gboolean
open_sequence(M2tDecoder *d, const M2tFrameHeader *header, GError **error)
{
    const M2tVideoInfo *video = &header->video;
    const M2tCodec *codec = &d->frame->codec;
    g_autoptr(M2tModel) model = NULL;

    if (!check_slices(header, error) || !check_samples(d, header, error))
        return FALSE;
    model = find_model(d, header->model, error);
    if (!model)
        return FALSE;
    if (codec->model != model || codec->geometry.width != (int) video->width || codec->geometry.height != (int) video->height ||
        codec->geometry.slices != (int) header->slices) {
        close_codecs(d);
        if (!open_codecs(d, model, video, header->slices, error))
            return FALSE;
    }
    d->sequence = *header;
    return TRUE;
}

static void
fill_info(const M2tDecoder *d, M2tFrameInfo *info)
{
    *info = (M2tFrameInfo) {.key = d->header.has_sequence, .inter = d->header.inter, .number = d->header.number, .slices = d->header.slices,
                            .quantizer = d->header.q / 4.0, .has_sequence = TRUE, .video = d->sequence.video};
    memcpy(info->identity, d->sequence.model, sizeof info->identity);
}

/* Slices that were damaged on the way are missing from here on. FALSE if that is all of them. */
static gboolean
check_slice_data(M2tDecoder *d, GError **error)
{
    guint good = 0, damaged = 0;

    for (guint i = 0; i < d->header.slices; i++) {
        M2tSliceBytes *slice = &d->slice[i];

        if (slice->data && m2t_crc32c(slice->data, slice->size) != slice->crc) {
            *slice = (M2tSliceBytes) {0};
            damaged++;
        }
        good += slice->data != NULL;
    }
    if (good == 0 && damaged == 0)
        g_set_error_literal(error, M2T_ERROR, M2T_ERROR_STREAM, "all slices are missing");
    else if (good == 0)
        g_set_error(error, M2T_ERROR, M2T_ERROR_STREAM, "checksum of the slice does not match%s", damaged > 1 ? ", in none of them" : "");
    return good > 0;
}

/* A frame that opens a sequence, or belongs to the one that is open. */
static gboolean
check_sequence(M2tDecoder *d, GError **error)
{
    if (d->header.has_sequence)
        return open_sequence(d, &d->header, error);
    if (!d->sequence.has_sequence)
        g_set_error_literal(error, M2T_ERROR, M2T_ERROR_NO_HEADER, "a frame without sequence header came before any key frame");
    else if (d->header.slices != d->sequence.slices)
        g_set_error(error, M2T_ERROR, M2T_ERROR_STREAM, "a frame of %u slices in a sequence of %u", d->header.slices, d->sequence.slices);
    return d->sequence.has_sequence && d->header.slices == d->sequence.slices;
}

/* A frame that opens another sequence ends the one that is open, even where it is refused itself: what follows belongs to the other. */
static void
leave_sequence(M2tDecoder *d)
{
    const M2tFrameHeader *header = &d->header, *open = &d->sequence;
    gboolean same = header->slices == open->slices && !memcmp(header->model, open->model, sizeof open->model) &&
                    m2t_video_info_equal(&header->video, &open->video);

    if (header->has_sequence && !same)
        d->sequence.has_sequence = FALSE;
}

gboolean
m2t_decoder_open_frame(M2tDecoder *d, const void *data, gsize size, M2tFrameInfo *info, GError **error)
{
    gboolean headers;

    g_return_val_if_fail(d && (data || !size), FALSE);
    headers = m2t_frame_read(data, size, &d->header, d->slice, error);
    leave_sequence(d);
    d->open = headers && check_slice_data(d, error) && check_sequence(d, error);
    if (d->open && info)
        fill_info(d, info);
    return d->open;
}

/* What is not coded has no latents of its own; that goes for exceptions as well. */
static gboolean
nothing_in_others(const M2tCodec *codec, int slice)
{
    int latents = codec->model->latents, first = m2t_geometry_slice_token(&codec->geometry, slice);
    gboolean nothing = TRUE;

    for (int token = first; token < first + m2t_geometry_slice_tokens(&codec->geometry, slice) && nothing; token++)
        for (int i = 0; i < latents && codec->kind[token] != M2T_TOKEN_CODED && nothing; i++)
            nothing = codec->latents[(gsize) token * latents + i] == 0;
    return nothing;
}

static void
begin_slices(void *data, int begin, int end, int worker)
{
    FrameDecoder *f = data;
    M2tCodec *codec = &f->codec;

    for (int i = begin; i < end; i++) {
        gint16 *latents = codec->latents + m2t_codec_slice_position(codec, i);
        gsize count = m2t_codec_slice_latents(codec, i);

        if (!f->slice[i].data)
            memset(latents, 0, count * sizeof *latents);
        else if (!m2t_slice_reader_begin(f->reader[i], f->slice[i].data, f->slice[i].size, f->header.lanes, latents, count) ||
                 !nothing_in_others(codec, i))
            g_atomic_int_set(&f->broken, TRUE);
        if (f->exact[i].data && !m2t_exact_read(&codec->exact, i, codec->kind, f->exact[i].data, f->exact[i].size))
            g_atomic_int_set(&f->broken, TRUE);
    }
}

static void
read_slots(gpointer data, const M2tSpan *slice, int part, int begin, int end)
{
    FrameDecoder *f = data;
    const M2tCodec *codec = &f->codec;
    SliceTurn *turn = &f->turn[slice->slice];
    int channel = codec->model->prior.part_start[part], n = codec->model->prior.part_size[part];
    gint64 start = g_get_monotonic_time();

    for (int i = begin; i < end; i++) {
        int slot = codec->prior.plan.coded[i];
        gsize at = m2t_prior_place(&codec->prior, slot, channel, n), position = (gsize) m2t_codec_position(codec, slot) + channel;

        if ((i - slice->begin) % M2T_CHAIN == 0)
            turn->state = 0;
        m2t_slice_reader_get(f->reader[slice->slice], &turn->state, codec->prior.mean + at, codec->prior.level + at, codec->latents + position,
                             codec->centroid + position, n);
    }
    turn->time += g_get_monotonic_time() - start;
}

static const M2tPriorFollower reader = {.take = read_slots};

/* Threads read beside those that predict: what counts is a thread's share. */
static void
count_reading(FrameDecoder *f)
{
    gint64 time = 0;

    for (guint i = 0; i < f->header.slices; i++) {
        time += f->turn[i].time;
        f->turn[i].time = 0;
    }
    m2t_profile_move(&f->codec.profile, M2T_STAGE_PRIOR, M2T_STAGE_ENTROPY, time / m2t_threads_count(f->codec.context.threads));
}

static gboolean
end_slices(const FrameDecoder *f)
{
    gboolean complete = TRUE;

    for (guint i = 0; i < f->header.slices; i++)
        complete = complete && (!f->slice[i].data || m2t_slice_reader_end(f->reader[i]));
    return complete;
}

/* Group after group, part after part: what is decoded tells the prior what to expect next. */
static gboolean
decode_latents(FrameDecoder *f)
{
    M2tCodec *codec = &f->codec;

    m2t_threads_run(codec->context.threads, codec->geometry.slices, 1, begin_slices, f);
    m2t_profile_end(&codec->profile, M2T_STAGE_ENTROPY);
    if (f->broken)
        return FALSE;
    if (!m2t_tokens_any(codec->kind, m2t_geometry_tokens(&codec->geometry), M2T_TOKEN_CODED))
        return TRUE;
    m2t_plan_select(&codec->prior.plan, codec->kind);
    m2t_prior_predict(&codec->prior, &codec->quant, codec->latents, &reader, f);
    m2t_profile_end(&codec->profile, M2T_STAGE_PRIOR);
    count_reading(f);
    return end_slices(f);
}

/* A slice is as it should be if it stands alone, or if what it leans on is what the encoder had. */
static SliceState
follow_state(SliceState before, guint32 crc, const M2tKeptHead *head)
{
    gboolean same = before.known && (before.crc & 0xFFFF) == head->reference;

    return (SliceState) {TRUE, crc, head->leans && (before.damaged || !same)};
}

/* What this frame makes of the one before, once that one is through here. Of a frame that is broken nothing is left: it keeps all, damaged. */
static void
take_values(FrameDecoder *f)
{
    M2tCodec *codec = &f->codec;

    f->damaged = 0;
    for (guint i = 0; i < f->header.slices; i++) {
        SliceState before = f->follows ? f->before->state[i] : (SliceState) {FALSE};

        f->state[i] = f->broken || f->missing[i] ? (SliceState) {.damaged = TRUE} : follow_state(before, f->slice[i].crc, &f->head[i]);
        f->damaged += f->state[i].damaged;
    }
    if (f->broken)
        memset(codec->kind, M2T_TOKEN_KEPT, m2t_geometry_tokens(&codec->geometry));
    if (f->before && f->before != f)
        m2t_synthesis_keep(&f->synthesis, &f->before->synthesis, codec->kind);
    m2t_codec_dequantise(codec, &f->synthesis);
}

static void
decode_picture(FrameDecoder *f)
{
    guint place = (guint) (f - f->decoder->frame);

    m2t_profile_begin(&f->codec.profile);
    m2t_quant_set(&f->codec.quant, f->header.q);
    f->broken = FALSE;
    if (!decode_latents(f))
        f->broken = TRUE;
    m2t_jobs_await_turn(f->decoder->jobs, place);
    take_values(f);
    m2t_jobs_end_turn(f->decoder->jobs, place);
    if (f->shown && !f->broken)
        m2t_synthesis_run(&f->synthesis, &f->codec.quant, &f->picture);
    m2t_profile_end(&f->codec.profile, M2T_STAGE_SYNTHESIS);
}

static void
run_frame(gpointer data)
{
    FrameDecoder *f = data;
    const M2tGemm *gemm = f->codec.net->gemm;
    int rounding = m2t_rounding_begin();

    m2t_gemm_begin(gemm);
    decode_picture(f);
    m2t_gemm_end(gemm);
    m2t_rounding_end(rounding);
}

/* Nothing may be left of a slice that has no latents. */
static gboolean
end_slice(M2tSliceBytes *slice, guint i, GError **error)
{
    gboolean end = slice->size == 0;

    if (!end)
        g_set_error(error, M2T_ERROR, M2T_ERROR_STREAM, "slice %u: %" G_GSIZE_FORMAT " bytes too many", i, slice->size);
    slice->data = NULL;
    return end;
}

static void
move_slice(M2tSliceBytes *slice, const guint8 *to)
{
    slice->size -= to - slice->data;
    slice->data = to;
}

static gboolean
read_kept(M2tSliceBytes *slice, M2tKeptHead *head, guint8 *kind, int tokens)
{
    const guint8 *at = slice->data;
    gboolean good = m2t_kept_read(&at, at + slice->size, kind, tokens, head);

    move_slice(slice, at);
    return good;
}

/* Which tokens are exact, and the bytes of their samples. */
static gboolean
read_exact(M2tSliceBytes *slice, M2tSliceBytes *exact, guint8 *kind, int tokens)
{
    const guint8 *at = slice->data, *end = at + slice->size;
    guint32 runs, size = 0;
    gboolean good = m2t_varint_read(&at, end, &runs);

    if (good && runs > 0) {
        good = m2t_tokens_read_runs(&at, end, kind, tokens, M2T_TOKEN_EXACT, M2T_TOKEN_KEPT, runs) && m2t_varint_read(&at, end, &size) &&
               size <= (gsize) (end - at);
        *exact = (M2tSliceBytes) {.data = at, .size = size};
    }
    move_slice(slice, good ? at + size : at);
    return good;
}

/* Reads of slice @i which of its tokens are not coded; those of one that is missing are kept. */
static gboolean
open_slice(const M2tDecoder *d, FrameDecoder *f, guint i, GError **error)
{
    int tokens = m2t_geometry_slice_tokens(&f->codec.geometry, (int) i);
    guint8 *kind = f->codec.kind + m2t_geometry_slice_token(&f->codec.geometry, (int) i);
    M2tSliceBytes *slice = &f->slice[i];

    f->head[i] = (M2tKeptHead) {FALSE, 0};
    f->exact[i] = (M2tSliceBytes) {0};
    *slice = d->slice[i];
    f->missing[i] = !slice->data;
    memset(kind, f->missing[i] ? M2T_TOKEN_KEPT : M2T_TOKEN_CODED, tokens);
    if (f->missing[i])
        return TRUE;
    if (d->header.inter && !read_kept(slice, &f->head[i], kind, tokens)) {
        g_set_error(error, M2T_ERROR, M2T_ERROR_STREAM, "slice %u: the list of its tokens is damaged", i);
        return FALSE;
    }
    if (m2t_tokens_all(kind, tokens, M2T_TOKEN_KEPT))
        return end_slice(slice, i, error);
    if (d->header.exact && !read_exact(slice, &f->exact[i], kind, tokens)) {
        g_set_error(error, M2T_ERROR, M2T_ERROR_STREAM, "slice %u: the list of its exact tokens is damaged", i);
        return FALSE;
    }
    return m2t_tokens_any(kind, tokens, M2T_TOKEN_CODED) || end_slice(slice, i, error);
}

static gboolean
open_slices(const M2tDecoder *d, FrameDecoder *f, GError **error)
{
    for (guint i = 0; i < d->header.slices; i++)
        if (!open_slice(d, f, i, error))
            return FALSE;
    return TRUE;
}

gboolean
m2t_decoder_start(M2tDecoder *d, const M2tPicture *picture, GError **error)
{
    FrameDecoder *f;

    g_return_val_if_fail(d && m2t_jobs_pending(d->jobs) < d->settings.frames, FALSE);
    if (!d->open) {
        g_set_error_literal(error, M2T_ERROR, M2T_ERROR_STREAM, "no frame is open");
        return FALSE;
    }
    if (picture && !m2t_codec_check_picture(picture, error))
        return FALSE;
    d->open = FALSE;
    f = &d->frame[m2t_jobs_next(d->jobs)];
    if (!open_slices(d, f, error)) {
        d->forget = TRUE;
        return FALSE;
    }
    f->header = d->header;
    f->shown = picture != NULL;
    f->picture = picture ? *picture : (M2tPicture) {0};
    f->before = d->last;
    f->follows = d->last && !d->forget;
    d->last = f;
    d->forget = FALSE;
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
    d->damaged = f->damaged;
    if (f->broken)
        g_set_error_literal(error, M2T_ERROR, M2T_ERROR_STREAM, "entropy coded data are damaged");
    return !f->broken;
}

guint
m2t_decoder_damaged(const M2tDecoder *d)
{
    return d->damaged;
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
    d->open = FALSE;
    d->forget = TRUE;
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

    for (guint i = 0; i < d->settings.frames; i++)
        threads += d->frame[i].codec.model ? (guint) m2t_threads_count(d->frame[i].codec.context.threads) : m2t_codec_share(&d->settings, i);
    return threads;
}

guint
m2t_decoder_frames(const M2tDecoder *d)
{
    return d->settings.frames;
}
