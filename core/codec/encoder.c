/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The encoder: encode_picture() is the list of the stages. With every frame a key frame and a constant quantizer, what depends on the
 * order of frames is settled when one is started, everything else happens in the frame's own memory, so that several can be coded at the
 * same time. Otherwise frames run in a chain: what they leave to the next one is the encoder's, and only the frame that is being coded
 * touches it. */
#include <m2t/m2t-encoder.h>

#include "analysis/analysis.h"
#include "base/rounding.h"
#include "base/varint.h"
#include "bitstream/frame.h"
#include "bitstream/video-info.h"
#include "codec/codec.h"
#include "codec/jobs.h"
#include "exact/choose.h"
#include "inter/kept.h"
#include "inter/still.h"
#include "quant/trellis.h"
#include "rate/rate.h"
#include "refine/refine.h"

#include <m2t/m2t-stream.h>
#include <string.h>

#define BITS_PER_SAMPLE 0.15     /* where no bitrate is given */
#define RATE_UNKNOWN 30.0        /* frames per second */
#define KEY_SECONDS 2            /* between key frames that are not asked for */
#define KEPT_SHARE 0.125         /* of all tokens: less is not worth a frame that leans on another, */
#define KEPT_SHARE_DOUBTFUL 0.75 /* where it did not pay lately */
#define KEPT_PAUSE 50            /* frames until that is forgotten */
#define ALIKE_FRAMES 4           /* so far from each other, frames can be compared */

/* What a frame leaves to the next one. */
typedef struct {
    M2tRate rate;
    M2tStill still;
    const gint16 *final;   /* see refine.h; NULL before the first frame, and for other presets than slow */
    guint32 slice_crc[M2T_SLICES_MAX];
    guint since_key;
    guint whole_bytes, since_whole; /* of the last frame that kept nothing */
    int whole_q;
    guint doubtful;        /* so many frames keep much or nothing */
    gboolean broken;       /* the last frame is too large for any packet, so that nobody will have it */
    int q;                 /* that was asked for, see prepare_frame() */
} M2tChain;

/* One frame in flight. */
typedef struct {
    M2tCodec codec;
    M2tAnalysis analysis;
    M2tRefine refine;      /* of the preset slow */
    gint16 *wanted;        /* [tokens][latents]: what the analysis makes of the picture, rounded, */
    gint8 *rest;           /* and what rounding took away, see analysis.h */
    M2tTrellisMemory trellis; /* of all slots of a group */
    gint32 (*sum)[M2T_STATES]; /* of each of its chains */
    int scanty;            /* see trellis.h; 0 but where the rate control is at the end of the quantizer */
    float *gain;           /* [latents]: that they were rounded with, if they are to be rounded again */
    M2tSliceWriter writer[M2T_SLICES_MAX];
    guint16 *worth;        /* [tokens], see exact/choose.h */
    GByteArray *slice[M2T_SLICES_MAX];
    GByteArray *samples[M2T_SLICES_MAX]; /* of exact tokens */
    M2tSliceBytes bytes[M2T_SLICES_MAX];
    GByteArray *packet;
    M2tSpeedPreset preset;
    M2tPicture picture;
    M2tFrameHeader header;
    M2tChain *chain;       /* NULL: the frame has nothing to do with others */
    gboolean key;          /* the count to the next key frame, or the next turn of all slices, begins here */
    gboolean forced;       /* to be a key frame, at any price */
    gboolean alone;        /* nothing may be taken over */
    guint refresh_begin, refresh_end; /* slices of which nothing may be */
    gboolean key_if_alone; /* make it a key frame if nothing is */
    double duration;       /* seconds */
} FrameEncoder;

struct _M2tEncoder {
    M2tCodecSettings settings;
    FrameEncoder *frame;   /* [settings.frames] */
    M2tChain chain;
    M2tJobs *jobs;
    M2tProfile profile;
    M2tVideoInfo info;
    int q;                 /* quarter steps */
    guint slices;
    guint key_interval;
    gboolean intra_refresh;
    M2tRateControl rate_control;
    guint bitrate, max_bitrate, vbv_buf_capacity;
    guint64 duration;
    gboolean started;
    gboolean chained;      /* the frame that was started last is */
    guint8 number;
};

void
m2t_encoder_settings_init(M2tEncoderSettings *settings)
{
    g_return_if_fail(settings);
    *settings = (M2tEncoderSettings) {.quantizer = M2T_QUANTIZER_DEFAULT, .frames = 1, .speed_preset = M2T_SPEED_PRESET_MEDIUM,
                                      .vbv_buf_capacity = M2T_VBV_DEFAULT};
}

static int
largest(const int *size, int count)
{
    int most = 0;

    for (int i = 0; i < count; i++)
        most = MAX(most, size[i]);
    return most;
}

/* Of a slice: one for each part of each chain. */
static int
sections_max(const M2tPriorWeights *prior, int tokens)
{
    return prior->parts * (tokens / M2T_CHAIN + prior->groups);
}

static void
layout_encoder(M2tCodec *codec, gpointer stage)
{
    FrameEncoder *f = stage;
    const M2tPriorWeights *prior = &codec->model->prior;

    m2t_analysis_layout(&f->analysis, &codec->arena, &codec->context, &codec->geometry);
    f->wanted = m2t_arena_take(&codec->arena, (gsize) m2t_geometry_tokens(&codec->geometry) * codec->model->latents, sizeof *f->wanted);
    f->rest = m2t_arena_take(&codec->arena, (gsize) m2t_geometry_tokens(&codec->geometry) * codec->model->latents, sizeof *f->rest);
    m2t_trellis_layout(&f->trellis, &codec->arena, largest(prior->group_size, prior->groups) * codec->prior.plan.slots / M2T_CELLS,
                       largest(prior->part_size, prior->parts));
    f->sum = m2t_arena_take(&codec->arena, m2t_plan_spans_max(&codec->prior.plan), sizeof *f->sum);
    f->gain = m2t_arena_take(&codec->arena, codec->model->latents, sizeof *f->gain);
    f->worth = m2t_arena_take(&codec->arena, m2t_geometry_tokens(&codec->geometry), sizeof *f->worth);
    if (f->preset == M2T_SPEED_PRESET_SLOW)
        m2t_refine_layout(&f->refine, &codec->arena, &codec->context, &codec->geometry);
    for (int i = 0; i < codec->geometry.slices; i++)
        m2t_slice_writer_layout(&f->writer[i], &codec->arena, m2t_codec_slice_latents(codec, i),
                                sections_max(&codec->model->prior, m2t_geometry_slice_tokens(&codec->geometry, i)));
}

static gboolean
check_info(const M2tVideoInfo *info, GError **error)
{
    const char *problem = m2t_video_info_problem(info);

    if (problem)
        g_set_error(error, M2T_ERROR, M2T_ERROR_SETTINGS, "video of %ux%u: %s", info->width, info->height, problem);
    return !problem;
}

static gboolean
open_frame(FrameEncoder *f, M2tModel *model, const M2tGemm *gemm, guint threads, const M2tVideoInfo *info, guint slices, GError **error)
{
    f->packet = g_byte_array_new();
    for (guint i = 0; i < slices; i++) {
        f->slice[i] = g_byte_array_new();
        f->samples[i] = g_byte_array_new();
    }
    return m2t_codec_init(&f->codec, model, gemm, threads, (int) info->width, (int) info->height, (int) slices, layout_encoder, f, error);
}

static void
close_frame(FrameEncoder *f)
{
    m2t_codec_clear(&f->codec);
    for (int i = 0; i < M2T_SLICES_MAX; i++) {
        g_clear_pointer(&f->slice[i], g_byte_array_unref);
        g_clear_pointer(&f->samples[i], g_byte_array_unref);
    }
    g_clear_pointer(&f->packet, g_byte_array_unref);
}

static gboolean
check_choices(const M2tEncoderSettings *settings, GError **error)
{
    guint preset = (guint) settings->speed_preset, control = (guint) settings->rate_control;
    gboolean good = FALSE;

    if (preset > M2T_SPEED_PRESET_SLOW)
        g_set_error(error, M2T_ERROR, M2T_ERROR_SETTINGS, "speed preset %u is none", preset);
    else if (control > M2T_RATE_CONTROL_CBR)
        g_set_error(error, M2T_ERROR, M2T_ERROR_SETTINGS, "rate control %u is none", control);
    else if (!(settings->quantizer >= 0 && settings->quantizer <= M2T_QUANTIZER_MAX))
        g_set_error(error, M2T_ERROR, M2T_ERROR_SETTINGS, "quantizer %g, it must be 0 to %g", settings->quantizer, M2T_QUANTIZER_MAX);
    else if (settings->vbv_buf_capacity == 0)
        g_set_error(error, M2T_ERROR, M2T_ERROR_SETTINGS, "a buffer of 0 ms, it must hold at least 1");
    else
        good = TRUE;
    return good;
}

/* @asked: 0 for a number that suits; intra refresh needs several. FALSE with M2T_ERROR_SETTINGS. */
static gboolean
choose_slices(guint asked, gboolean intra_refresh, const M2tVideoInfo *info, guint *slices, GError **error)
{
    guint rows = (info->height + 15) / 16, windows = (rows + M2T_WINDOW - 1) / M2T_WINDOW;

    *slices = asked ? asked : intra_refresh ? windows : 1;
    if (*slices <= MIN(rows, M2T_SLICES_MAX))
        return TRUE;
    g_set_error(error, M2T_ERROR, M2T_ERROR_SETTINGS, "%u slices of a picture of %u rows: at most %u", *slices, info->height, MIN(rows, M2T_SLICES_MAX));
    return FALSE;
}

static double
frame_rate(const M2tVideoInfo *info)
{
    return info->has_rate && info->rate_n ? (double) info->rate_n / info->rate_d : RATE_UNKNOWN;
}

static M2tRateLimits
rate_limits(const M2tEncoder *e)
{
    M2tRateLimits limits = {.mode = e->rate_control};

    limits.bitrate = e->bitrate ? e->bitrate * 1000.0 : BITS_PER_SAMPLE * e->info.width * e->info.height * frame_rate(&e->info);
    if (limits.mode == M2T_RATE_CONTROL_VBR && e->max_bitrate)
        limits.bitrate = MIN(limits.bitrate, e->max_bitrate * 1000.0);
    limits.peak = limits.mode == M2T_RATE_CONTROL_CBR ? limits.bitrate : e->max_bitrate ? e->max_bitrate * 1000.0 : 2 * limits.bitrate;
    limits.capacity = limits.peak * MAX(e->vbv_buf_capacity, 1) / 1000;
    return limits;
}

static void run_frame(gpointer data);

M2tEncoder *
m2t_encoder_new(M2tModel *model, const M2tVideoInfo *info, const M2tEncoderSettings *settings, GError **error)
{
    M2tEncoderSettings defaults;
    M2tCodecSettings common;
    M2tRateLimits limits;
    M2tEncoder *e;
    guint slices;

    g_return_val_if_fail(model && info, NULL);
    m2t_encoder_settings_init(&defaults);
    settings = settings ? settings : &defaults;
    if (!m2t_codec_settings(&common, settings->backend, settings->threads, settings->frames, error) || !check_info(info, error))
        return NULL;

    if (!check_choices(settings, error) || !choose_slices(settings->slices, settings->intra_refresh, info, &slices, error))
        return NULL;

    e = g_new0(M2tEncoder, 1);
    e->settings = common;
    e->info = *info;
    e->slices = slices;
    e->frame = g_new0(FrameEncoder, common.frames);
    for (guint i = 0; i < common.frames; i++) {
        e->frame[i].preset = settings->speed_preset;
        if (!open_frame(&e->frame[i], model, common.gemm, m2t_codec_share(&common, i), info, slices, error)) {
            m2t_encoder_free(e);
            return NULL;
        }
    }
    if (!m2t_still_init(&e->chain.still, &e->frame->codec.geometry)) {
        g_set_error(error, M2T_ERROR, M2T_ERROR_MEMORY, "no memory to compare pictures of %ux%u", info->width, info->height);
        m2t_encoder_free(e);
        return NULL;
    }
    e->jobs = m2t_jobs_new(common.frames, run_frame, e->frame, sizeof *e->frame);
    e->key_interval = settings->key_interval;
    e->intra_refresh = settings->intra_refresh;
    e->rate_control = settings->rate_control;
    m2t_encoder_set_quantizer(e, settings->quantizer);
    m2t_encoder_set_bitrate(e, settings->bitrate, settings->max_bitrate, settings->vbv_buf_capacity);
    limits = rate_limits(e);
    m2t_rate_init(&e->chain.rate, &limits);
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
    m2t_still_clear(&e->chain.still);
    g_free(e->frame);
    g_free(e);
}

static int
count_tokens(const FrameEncoder *f)
{
    return m2t_geometry_tokens(&f->codec.geometry);
}

static int
slice_tokens(const FrameEncoder *f, int slice)
{
    return m2t_geometry_slice_tokens(&f->codec.geometry, slice);
}

static const guint8 *
slice_kind(const FrameEncoder *f, int slice)
{
    return f->codec.kind + m2t_geometry_slice_token(&f->codec.geometry, slice);
}

static int
coded_slots(const FrameEncoder *f, int slice, int group)
{
    return m2t_plan_coded(&f->codec.prior.plan, group, slice + 1) - m2t_plan_coded(&f->codec.prior.plan, group, slice);
}

/* One section for each part of each chain: the order in which a decoder will ask for symbols. */
static void
begin_slice(FrameEncoder *f, int slice)
{
    const M2tPriorWeights *w = &f->codec.model->prior;

    m2t_slice_writer_begin(&f->writer[slice]);
    for (int group = 0; group < w->groups; group++) {
        int slots = coded_slots(f, slice, group);

        for (int part = 0; part < w->parts; part++)
            for (int begin = 0; begin < slots; begin += M2T_CHAIN)
                m2t_slice_writer_add_section(&f->writer[slice], (gsize) MIN(slots - begin, M2T_CHAIN) * w->part_size[part]);
    }
}

static void
begin_slices(FrameEncoder *f)
{
    for (int i = 0; i < f->codec.geometry.slices; i++)
        begin_slice(f, i);
}

static int
section_of(const FrameEncoder *f, int part, const M2tSpan *chain)
{
    const M2tPlan *plan = &f->codec.prior.plan;
    int section = chain->number;

    for (int before = 0; before < chain->group; before++)
        section += f->codec.model->prior.parts * m2t_plan_chains_of_slice(plan, before, chain->slice);
    return section + part * m2t_plan_chains_of_slice(plan, chain->group, chain->slice);
}

typedef struct {
    FrameEncoder *frame;
    gboolean again; /* the outcome was looked at */
} Choice;

/* What the n latents from @at on should be, in 1/M2T_LATENT_ONE. @memory: for n of them */
static const gint32 *
aim(const Choice *choice, gsize at, int n, gint32 *memory)
{
    FrameEncoder *f = choice->frame;

    if (choice->again) {
        m2t_refine_aim(&f->refine, f->codec.latents, f->codec.centroid, f->wanted, f->rest, at, n);
        return f->refine.aim + at;
    }
    for (int i = 0; i < n; i++)
        memory[i] = M2T_LATENT_ONE * f->wanted[at + i] + f->rest[at + i];
    return memory;
}

static M2tTrellis
trellis_of(const Choice *choice, const M2tSpan *chain)
{
    FrameEncoder *f = choice->frame;
    const M2tCodec *codec = &f->codec;

    return (M2tTrellis) {
        .kernels = codec->context.kernels,
        .tables = codec->tables,
        .memory = &f->trellis,
        .sum = f->sum[chain->place],
        .worth = m2t_trellis_error_worth(f->scanty),
        .nearest = f->preset == M2T_SPEED_PRESET_FAST,
        .out = {codec->latents, codec->centroid, &f->writer[chain->slice], m2t_codec_slice_position(codec, chain->slice)},
    };
}

static int
trellis_row(const Choice *choice, const M2tSpan *chain, int i)
{
    return i - choice->frame->codec.prior.plan.coded_start[chain->group];
}

static void
weigh_slots(gpointer data, const M2tSpan *chain, int part, int begin, int end)
{
    const Choice *choice = data;
    const M2tCodec *codec = &choice->frame->codec;
    const M2tPrior *prior = &codec->prior;
    int channel = codec->model->prior.part_start[part], n = codec->model->prior.part_size[part];
    M2tTrellis trellis = trellis_of(choice, chain);

    for (int i = begin; i < end; i++) {
        int slot = prior->plan.coded[i];
        gsize at = m2t_prior_place(prior, slot, channel, n), position = (gsize) m2t_codec_position(codec, slot) + channel;
        gint32 memory[M2T_LATENTS_MAX];

        m2t_trellis_add(&trellis, trellis_row(choice, chain, i), position, prior->mean + at, prior->level + at, aim(choice, position, n, memory), n);
    }
}

static void
choose_slots(gpointer data, const M2tSpan *chain, int part, int begin, int end)
{
    const Choice *choice = data;
    M2tTrellis trellis = trellis_of(choice, chain);

    if (begin == chain->begin)
        m2t_trellis_begin(&trellis);
    for (int i = begin; i < end; i++)
        m2t_trellis_pass(&trellis, trellis_row(choice, chain, i));
    if (end == chain->end)
        m2t_trellis_end(&trellis, trellis_row(choice, chain, chain->begin), chain->end - chain->begin, section_of(choice->frame, part, chain));
}

static const M2tPriorFollower chooser = {TRUE, weigh_slots, choose_slots};

/* Latents are chosen as they will be coded, each with the mean and level that the decoder will have for it, and their symbols queued. */
static void
choose_in_order(FrameEncoder *f, gboolean again)
{
    Choice choice = {f, again};

    begin_slices(f);
    m2t_prior_predict(&f->codec.prior, &f->codec.quant, f->codec.latents, &chooser, &choice);
    m2t_profile_end(&f->codec.profile, M2T_STAGE_PRIOR);
}

/* Which tokens are exact, and their samples. */
static void
write_exact(FrameEncoder *f, int slice, GByteArray *out)
{
    GByteArray *samples = f->samples[slice];
    const guint8 *kind = slice_kind(f, slice);
    int tokens = slice_tokens(f, slice), runs = m2t_tokens_count_runs(kind, tokens, M2T_TOKEN_EXACT, M2T_TOKEN_KEPT);

    m2t_varint_write(out, (guint32) runs);
    if (runs == 0)
        return;
    m2t_tokens_write_runs(out, kind, tokens, M2T_TOKEN_EXACT, M2T_TOKEN_KEPT, runs);
    g_byte_array_set_size(samples, 0);
    m2t_exact_write(&f->codec.exact, &f->picture, slice, f->codec.kind, samples);
    m2t_varint_write(out, samples->len);
    g_byte_array_append(out, samples->data, samples->len);
}

static void
finish_slices(void *data, int begin, int end, int worker)
{
    FrameEncoder *f = data;

    for (int i = begin; i < end; i++) {
        GByteArray *slice = f->slice[i];

        g_byte_array_set_size(slice, 0);
        if (f->header.inter)
            m2t_kept_write(slice, slice_kind(f, i), slice_tokens(f, i), f->chain->slice_crc[i] & 0xFFFF);
        if (f->header.exact && !m2t_tokens_all(slice_kind(f, i), slice_tokens(f, i), M2T_TOKEN_KEPT))
            write_exact(f, i, slice);
        if (m2t_tokens_any(slice_kind(f, i), slice_tokens(f, i), M2T_TOKEN_CODED))
            m2t_slice_writer_end(&f->writer[i], f->header.lanes, slice);
        f->bytes[i] = (M2tSliceBytes) {slice->data, slice->len, m2t_crc32c(slice->data, slice->len)};
    }
}

static void
write_packet(FrameEncoder *f)
{
    M2tThreads *threads = f->codec.context.threads;
    int slices = f->codec.geometry.slices;

    f->header.lanes = 0;
    for (int i = 0; i < slices; i++)
        f->header.lanes = MAX(f->header.lanes, m2t_slice_writer_lanes(&f->writer[i]));
    m2t_threads_run(threads, slices, 1, finish_slices, f);
    g_byte_array_set_size(f->packet, 0);
    m2t_frame_write(f->packet, &f->header, f->bytes);
}

/* What a decoder would have: of tokens that are kept, the values of the frame before. */
static void
set_values(FrameEncoder *f)
{
    gint16 *values = f->refine.synthesis.values;

    if (f->header.inter)
        memcpy(values, f->chain->final, (gsize) count_tokens(f) * f->codec.model->latents * sizeof *values);
    memset(f->refine.synthesis.exact, FALSE, count_tokens(f)); /* of kept ones, too: close enough */
    if (f->header.exact)
        m2t_exact_load(&f->codec.exact, &f->picture, f->codec.kind);
    m2t_codec_dequantise(&f->codec, &f->refine.synthesis);
}

/* Once latents are chosen, what comes of them is looked at, and the choice reconsidered. */
static void
choose_by_outcome(FrameEncoder *f)
{
    m2t_refine_begin(&f->refine, f->wanted, f->rest);
    choose_in_order(f, FALSE);
    for (int round = 0; round < M2T_REFINE_ROUNDS; round++) {
        set_values(f);
        m2t_refine_look(&f->refine, &f->codec.quant);
        m2t_profile_end(&f->codec.profile, M2T_STAGE_CHOICE);
        choose_in_order(f, TRUE);
    }
}

/* The latents, and mean and level of each. */
static void
choose(FrameEncoder *f)
{
    if (f->preset == M2T_SPEED_PRESET_SLOW)
        choose_by_outcome(f);
    else
        choose_in_order(f, FALSE);
}

static int
count_coded(const FrameEncoder *f)
{
    int coded = 0;

    for (int i = 0; i < count_tokens(f); i++)
        coded += f->codec.kind[i] == M2T_TOKEN_CODED;
    return coded;
}

/* What does not change between two frames is taken over from the first, where that is allowed and worth it. */
static void
choose_kept(FrameEncoder *f, int q)
{
    double share = 0;
    int kept;

    memset(f->codec.kind, M2T_TOKEN_CODED, count_tokens(f));
    if (f->chain && !f->alone) {
        share = f->chain->doubtful ? KEPT_SHARE_DOUBTFUL : KEPT_SHARE;
        m2t_still_find(&f->chain->still, f->analysis.patches, q, f->codec.context.threads, f->codec.kind);
        for (guint i = f->refresh_begin; i < f->refresh_end; i++)
            memset(f->codec.kind + m2t_geometry_slice_token(&f->codec.geometry, (int) i), M2T_TOKEN_CODED, slice_tokens(f, (int) i));
    }
    kept = count_tokens(f) - count_coded(f);
    f->header.inter = kept > 0 && kept >= share * count_tokens(f);
    if (!f->header.inter)
        memset(f->codec.kind, M2T_TOKEN_CODED, count_tokens(f));
    f->key = f->key || (f->key_if_alone && !f->header.inter);
    f->header.has_sequence = (f->key && !f->header.inter) || f->refresh_begin < f->refresh_end; /* not where a turn of slices only begins */
}

/* A later frame of the chain may be one that nothing has to be coded for. If it was to be a key frame, the next one is. */
static void
keep_all(FrameEncoder *f)
{
    memset(f->codec.kind, M2T_TOKEN_KEPT, count_tokens(f));
    f->header.inter = TRUE;
    f->header.exact = FALSE;
    f->key = f->header.has_sequence = FALSE;
}

/* Slices that were to stand alone do not. */
static gboolean
is_put_off(const FrameEncoder *f)
{
    return f->refresh_begin < f->refresh_end && m2t_tokens_all(f->codec.kind, count_tokens(f), M2T_TOKEN_KEPT);
}

/* From rounded latents to a packet. */
static void
code_latents(FrameEncoder *f)
{
    M2tProfile *profile = &f->codec.profile;
    gsize latents = f->codec.model->latents;

    for (int token = 0; token < count_tokens(f); token++)
        if (f->codec.kind[token] != M2T_TOKEN_CODED)
            memset(f->codec.latents + token * latents, 0, latents * sizeof *f->codec.latents);
    m2t_plan_select(&f->codec.prior.plan, f->codec.kind);
    if (m2t_tokens_any(f->codec.kind, count_tokens(f), M2T_TOKEN_CODED))
        choose(f);
    else
        begin_slices(f);
    write_packet(f);
    m2t_profile_end(profile, M2T_STAGE_ENTROPY);
}

/* @q: 0 … M2T_RATE_COARSEST */
static void
set_quantizer(FrameEncoder *f, int q)
{
    f->header.q = (guint8) MIN(q, M2T_Q_MAX);
    f->scanty = q - f->header.q;
}

/* Latents, and which tokens do without them. */
static void
analyse(FrameEncoder *f)
{
    M2tCodec *codec = &f->codec;

    m2t_analysis_run(&f->analysis, &codec->quant, f->wanted, f->rest);
    f->header.exact = m2t_exact_choose(&codec->geometry, &f->picture, f->wanted, codec->model->latents, codec->context.threads, f->worth,
                                       codec->kind);
}

/* The same frame with another quantizer. The analysis is not repeated, unless there are exact tokens, of which others may be so now. */
static void
change_quantizer(FrameEncoder *f, int q)
{
    M2tQuant *quant = &f->codec.quant;
    int latents = f->codec.model->latents;

    memcpy(f->gain, quant->gain, latents * sizeof *f->gain);
    set_quantizer(f, q);
    m2t_quant_set(quant, f->header.q);
    if (f->header.exact) {
        analyse(f);
        return;
    }
    for (int token = 0; token < count_tokens(f); token++)
        m2t_quant_again(quant, f->gain, f->wanted + (gsize) token * latents, f->rest + (gsize) token * latents, latents);
}

/* Whether the frame before can be shown again in place of one of so many bits. One that stands alone is only put off, and only if that helps. */
static gboolean
can_drop(const FrameEncoder *f, double bits)
{
    return f->chain->still.valid && !f->forced && (!f->alone || m2t_rate_fits_later(&f->chain->rate, bits));
}

/* Codes the frame until its size is right, as a rule once or twice. Where even that is too much for the buffer, it is dropped if it can be. */
static void
code_to_rate(FrameEncoder *f)
{
    M2tRate *rate = &f->chain->rate;
    int q = f->header.q + f->scanty;

    code_latents(f);
    while (m2t_rate_again(rate, 8.0 * f->packet->len, &q)) {
        change_quantizer(f, q);
        code_latents(f);
    }
    if (!m2t_rate_fits(rate, 8.0 * f->packet->len) && can_drop(f, 8.0 * f->packet->len)) {
        keep_all(f);
        code_latents(f);
    } else {
        m2t_rate_learn(rate, 8.0 * f->packet->len, q);
    }
    m2t_rate_send(rate, 8.0 * f->packet->len, q);
}

static gboolean
has_rate(const FrameEncoder *f)
{
    return f->chain && f->chain->rate.limits.mode != M2T_RATE_CONTROL_CQP;
}

static gboolean
is_too_large(const FrameEncoder *f)
{
    return f->packet->len > M2T_STREAM_PACKET_MAX;
}

/* Of tokens that are kept the prior knows nothing, so that those beside them become dearer. In some pictures that costs more than is saved: a frame
 * that keeps some is larger than the one shortly before that kept none, of a quantizer that was no coarser. */
static void
learn_what_pays(const FrameEncoder *f)
{
    M2tChain *chain = f->chain;
    gboolean should_be_smaller = ++chain->since_whole <= ALIKE_FRAMES && f->header.q >= chain->whole_q;

    if (chain->doubtful > 0)
        chain->doubtful--;
    if (!f->header.inter) {
        chain->whole_bytes = f->packet->len;
        chain->whole_q = f->header.q;
        chain->since_whole = 0;
    } else if (should_be_smaller && f->packet->len > chain->whole_bytes + chain->whole_bytes / 16) {
        chain->doubtful = KEPT_PAUSE;
    }
}

/* Leaves to the next frame what it may need. */
static void
leave_to_next(FrameEncoder *f)
{
    if (!f->chain)
        return;
    if (f->preset == M2T_SPEED_PRESET_SLOW) {
        set_values(f);
        m2t_refine_end(&f->refine);
        f->chain->final = f->refine.final;
    }
    m2t_still_store(&f->chain->still, f->analysis.patches, f->header.q, f->codec.kind);
    learn_what_pays(f);
    for (int i = 0; i < f->codec.geometry.slices; i++)
        f->chain->slice_crc[i] = f->bytes[i].crc;
    f->chain->broken = is_too_large(f);
    if (f->key)
        f->chain->since_key = 0;
    else if (!is_put_off(f))
        f->chain->since_key++;
}

static void
encode_picture(FrameEncoder *f)
{
    M2tProfile *profile = &f->codec.profile;

    m2t_profile_begin(profile);
    m2t_analysis_load(&f->analysis, &f->picture);
    choose_kept(f, has_rate(f) ? MIN(f->chain->rate.q, M2T_Q_MAX) : f->header.q);
    if (has_rate(f))
        set_quantizer(f, m2t_rate_begin(&f->chain->rate, f->duration, count_coded(f)));
    m2t_quant_set(&f->codec.quant, f->header.q);
    if (!m2t_tokens_all(f->codec.kind, count_tokens(f), M2T_TOKEN_KEPT))
        analyse(f);
    m2t_profile_end(profile, M2T_STAGE_ANALYSIS);
    if (has_rate(f))
        code_to_rate(f);
    else
        code_latents(f);
    leave_to_next(f);
}

static void
run_frame(gpointer data)
{
    FrameEncoder *f = data;
    const M2tGemm *gemm = f->codec.net->gemm;
    int rounding = m2t_rounding_begin();

    m2t_gemm_begin(gemm);
    encode_picture(f);
    m2t_gemm_end(gemm);
    m2t_rounding_end(rounding);
}

/* Frames between two that decoding can start with, at most. */
static guint
key_interval(const M2tEncoder *e)
{
    return e->key_interval ? e->key_interval : (guint) CLAMP(KEY_SECONDS * frame_rate(&e->info) + 0.5, 1, G_MAXINT);
}

/* Which part of the picture stands alone in the frame after @since_key others. */
static void
set_refresh(const M2tEncoder *e, FrameEncoder *f)
{
    guint interval = key_interval(e);
    guint64 turn = f->key ? 0 : (guint64) e->chain.since_key + 1; /* an interval may be as long as a guint holds */

    f->refresh_begin = f->refresh_end = 0;
    if (e->intra_refresh) {
        f->refresh_begin = (guint) (turn * e->slices / interval);
        f->refresh_end = (guint) MIN((turn + 1) * e->slices / interval, e->slices);
        f->alone = f->alone || f->refresh_end - f->refresh_begin == e->slices; /* the only slice: then it is a key frame, and written as one */
    }
}

/* Frames that lean on others, or whose size counts, are coded one after the other. */
static gboolean
is_chained(const M2tEncoder *e)
{
    return e->key_interval != 1 || e->rate_control != M2T_RATE_CONTROL_CQP;
}

static void
prepare_frame(M2tEncoder *e, FrameEncoder *f, const M2tPicture *picture, gboolean force_key)
{
    gboolean first = !e->started || e->chain.broken, key = first || force_key || e->chain.since_key + 1 >= key_interval(e);
    gboolean changed = e->rate_control == M2T_RATE_CONTROL_CQP && e->q != e->chain.q; /* is to be seen everywhere at once */

    f->header = (M2tFrameHeader) {.video = e->info, .number = e->number++, .q = (guint8) e->q, .slices = e->slices};
    memcpy(f->header.model, m2t_model_identity(f->codec.model), sizeof f->header.model);
    f->picture = *picture;
    f->key = key;
    f->chain = is_chained(e) ? &e->chain : NULL;
    f->forced = first || force_key || e->key_interval == 1;
    f->alone = f->forced || changed || (key && !e->intra_refresh);
    e->chain.q = e->q;
    f->key_if_alone = e->key_interval == 0 && !e->intra_refresh;
    f->duration = e->duration ? e->duration / 1e9 : 1 / frame_rate(&e->info);
    set_refresh(e, f);
}

gboolean
m2t_encoder_start(M2tEncoder *e, const M2tPicture *picture, gboolean force_key, GError **error)
{
    M2tRateLimits limits;
    FrameEncoder *f;

    g_return_val_if_fail(e && picture && m2t_jobs_pending(e->jobs) < e->settings.frames, FALSE);
    if (!m2t_codec_check_picture(picture, error))
        return FALSE;
    if (e->chained || is_chained(e)) /* the chain is this frame's, or the caller's */
        m2t_jobs_settle(e->jobs);
    e->chained = is_chained(e);
    limits = rate_limits(e);
    m2t_rate_set(&e->chain.rate, &limits);
    f = &e->frame[m2t_jobs_next(e->jobs)];
    prepare_frame(e, f, picture, force_key);
    if (!f->chain) {
        e->chain.broken = e->chain.still.valid = FALSE;
        e->chain.since_key = 0;
    }
    e->started = TRUE;
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
    if (is_too_large(f)) {
        g_set_error(error, M2T_ERROR, M2T_ERROR_SETTINGS, "frame of %u bytes, more than the %u that a stream can hold: raise the quantizer", f->packet->len,
                    M2T_STREAM_PACKET_MAX);
        e->started = FALSE; /* the next one is a key frame, whether the two are a chain or not */
        return FALSE;
    }
    *packet = (M2tPacket) {f->packet->data, f->packet->len, f->header.has_sequence, f->header.q / 4.0, f->header.number};
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
m2t_encoder_set_bitrate(M2tEncoder *e, guint bitrate, guint max_bitrate, guint vbv_buf_capacity)
{
    g_return_if_fail(e);
    e->bitrate = bitrate;
    e->max_bitrate = max_bitrate;
    e->vbv_buf_capacity = vbv_buf_capacity;
}

void
m2t_encoder_set_duration(M2tEncoder *e, guint64 duration)
{
    g_return_if_fail(e);
    e->duration = duration;
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
