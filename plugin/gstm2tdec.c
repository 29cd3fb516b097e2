/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* m2tdec: coded frames in, raw frames out, one for one.
 *
 * A frame is opened (headers, checksums, model), the output format follows its header, and it is decoded straight into the planes of a
 * buffer from downstream's pool. By default nothing is held back, the latency is zero; with max-frame-delay several frames are decoded at
 * the same time, and all but one are held. Frames are pushed from the streaming thread only, in order, and nothing is pushed, dropped or
 * negotiated before those that are held.
 * After damage or loss a key frame is asked for. Until it comes nothing is shown, or, where the picture is made of slices, what is there:
 * slices that are missing, or lean on what is, show what was there before, and the frame is flagged as corrupted. Only a missing model or
 * memory is an error. */
/**
 * SECTION:element-m2tdec
 * @title: m2tdec
 * @see_also: m2tenc, m2tparse
 *
 * Decodes video that was coded with the M2T learned codec.
 *
 * ## Example pipelines
 * |[
 * gst-launch-1.0 filesrc location=test.m2tv ! m2tparse ! m2tdec ! videoconvert ! autovideosink
 * gst-launch-1.0 filesrc location=test.mp4 ! qtdemux ! m2tdec ! videoconvert ! autovideosink
 * ]|
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstm2tdec.h"
#include "gstm2tvideo.h"

GST_DEBUG_CATEGORY_STATIC(gst_m2t_dec_debug);
GST_DEBUG_CATEGORY_STATIC(gst_m2t_dec_perf);
#define GST_CAT_DEFAULT gst_m2t_dec_debug

#define DEFAULT_THREADS 0
#define DEFAULT_MAX_FRAME_DELAY 1
#define KEY_REQUEST_INTERVAL (500 * GST_MSECOND)
#define LATENESS_MAX (500 * GST_MSECOND)

/* How a frame can end beside the ordinary flow returns. */
#define FLOW_SKIP GST_FLOW_CUSTOM_SUCCESS   /* nothing to show */
#define FLOW_PASS GST_FLOW_CUSTOM_SUCCESS_1 /* nobody wants to see it */
#define FLOW_DAMAGED GST_FLOW_CUSTOM_ERROR  /* nothing to show; unless frames are made of slices, until the next key frame */

enum {
    PROP_0,
    PROP_THREADS,
    PROP_MAX_FRAME_DELAY,
    PROP_MODEL_FILE,
};

/* A frame that the decoder works on. */
typedef struct {
    GstVideoCodecFrame *frame;
    GstMapInfo map;      /* its input */
    GstVideoFrame video; /* its output, mapped */
    GstClockTime began;
} Held;

struct _GstM2tDec {
    GstVideoDecoder parent;

    /* Properties, under the object lock. */
    guint threads;
    guint max_frame_delay;
    char *model_file;

    /* From start() to stop(), under the stream lock. */
    M2tDecoder *decoder;
    GstVideoCodecState *input_state;
    gboolean format_stale; /* the output state does not follow @input_state yet */
    M2tVideoInfo header;   /* that the output state was made from */
    gboolean model_given;  /* by the property */
    gboolean started;      /* a key frame has been opened */
    gboolean sliced;       /* frames have more than one slice: what comes after a loss can be shown */
    gboolean refreshed;    /* slices are refreshed in turn, damage goes away by itself */
    gboolean has_number;   /* @number is the counter of the frame before */
    guint8 number;
    Held held[M2T_FRAMES_MAX]; /* a ring; as many as are pending in @decoder */
    guint count;               /* frames ever put into it */
};

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS,
                            GST_STATIC_CAPS("video/x-m2t, stream-format = (string) framed, "
                                            "alignment = (string) frame; " GST_M2T_FOURCC_NAME "; " GST_M2T_PART_CAPS));

static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS(GST_M2T_RAW_CAPS));

#define gst_m2t_dec_parent_class parent_class
G_DEFINE_TYPE_WITH_CODE(GstM2tDec, gst_m2t_dec, GST_TYPE_VIDEO_DECODER,
                        GST_DEBUG_CATEGORY_INIT(gst_m2t_dec_debug, "m2tdec", 0, "M2T decoder");
                        GST_DEBUG_CATEGORY_INIT(gst_m2t_dec_perf, "m2tperf", 0, "M2T time per frame"))
GST_ELEMENT_REGISTER_DEFINE(m2tdec, "m2tdec", GST_RANK_PRIMARY, GST_TYPE_M2T_DEC)

/* --- start and stop --- */

/* Without a model file the stream decides which model is opened, and when. */
static gboolean
gst_m2t_dec_start(GstVideoDecoder *base)
{
    GstM2tDec *self = GST_M2T_DEC(base);
    g_autoptr(M2tModel) model = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *model_file = NULL;
    M2tDecoderSettings settings;

    m2t_decoder_settings_init(&settings);
    GST_OBJECT_LOCK(self);
    model_file = g_strdup(self->model_file);
    settings.threads = self->threads;
    settings.frames = self->max_frame_delay;
    GST_OBJECT_UNLOCK(self);
    if (model_file != NULL) {
        model = gst_m2t_open_model(GST_ELEMENT(self), GST_CAT_DEFAULT, model_file);
        if (model == NULL)
            return FALSE;
    }
    self->model_given = model != NULL;
    self->decoder = m2t_decoder_new(model, &settings, &error);
    if (self->decoder == NULL) {
        GST_ELEMENT_ERROR(self, LIBRARY, SETTINGS, ("The M2T decoder cannot be set up."), ("%s", error->message));
        return FALSE;
    }
    self->started = FALSE;
    self->has_number = FALSE;
    return TRUE;
}

/* The oldest of the frames that are pending in the decoder. */
static Held *
gst_m2t_dec_oldest(GstM2tDec *self)
{
    return &self->held[(self->count - m2t_decoder_pending(self->decoder)) % M2T_FRAMES_MAX];
}

static void
gst_m2t_dec_unmap(Held *held)
{
    gst_video_frame_unmap(&held->video);
    gst_buffer_unmap(held->frame->input_buffer, &held->map);
}

/* Throws away what is held. */
static void
gst_m2t_dec_discard(GstM2tDec *self)
{
    while (m2t_decoder_pending(self->decoder) > 0) {
        Held *held = gst_m2t_dec_oldest(self);

        m2t_decoder_finish(self->decoder, NULL);
        gst_m2t_dec_unmap(held);
        gst_video_decoder_release_frame(GST_VIDEO_DECODER(self), held->frame);
    }
}

static gboolean
gst_m2t_dec_stop(GstVideoDecoder *base)
{
    GstM2tDec *self = GST_M2T_DEC(base);

    gst_m2t_dec_discard(self);
    g_clear_pointer(&self->decoder, m2t_decoder_free);
    g_clear_pointer(&self->input_state, gst_video_codec_state_unref);
    return TRUE;
}

static gboolean
gst_m2t_dec_flush(GstVideoDecoder *base)
{
    GstM2tDec *self = GST_M2T_DEC(base);

    gst_m2t_dec_discard(self);
    m2t_decoder_reset(self->decoder);
    self->has_number = FALSE;
    return TRUE;
}

/* --- frames: out --- */

/* What the library refused of @frame: either the stream is damaged, which passes, or we cannot go on. What a transport lost, and said so, is no
 * error of the stream. */
static GstFlowReturn
gst_m2t_dec_refuse(GstM2tDec *self, const GstVideoCodecFrame *frame, const GError *error)
{
    GstFlowReturn ret = FLOW_DAMAGED;

    switch (error->code) {
    case M2T_ERROR_WRONG_MODEL:
        if (self->model_given)
            GST_ELEMENT_ERROR(self, STREAM, WRONG_TYPE, ("The video was not coded with the model of the property model-file."), ("%s", error->message));
        else
            GST_ELEMENT_ERROR(self, STREAM, WRONG_TYPE, ("The video was coded with a model that is not installed."), ("%s", error->message));
        return GST_FLOW_ERROR;
    case M2T_ERROR_MEMORY:
        GST_ELEMENT_ERROR(self, RESOURCE, NO_SPACE_LEFT, ("There is not enough memory to decode video of this size."),
                          ("%s", error->message));
        return GST_FLOW_ERROR;
    default:
        if (GST_BUFFER_FLAG_IS_SET(frame->input_buffer, GST_BUFFER_FLAG_CORRUPTED)) {
            GST_INFO_OBJECT(self, "too little came of frame %u: %s", frame->system_frame_number, error->message);
            return FLOW_DAMAGED;
        }
        GST_VIDEO_DECODER_ERROR(self, 1, STREAM, DECODE, ("A frame cannot be decoded."), ("%s", error->message), ret);
        return ret == GST_FLOW_OK ? FLOW_DAMAGED : ret;
    }
}

/* A dropped frame counts as output: a damaged end does not make a good stream an error, but a stream of which nothing could ever be
 * opened is one. */
static GstFlowReturn
gst_m2t_dec_skip(GstM2tDec *self, GstVideoCodecFrame *frame)
{
    if (self->started)
        return gst_video_decoder_drop_frame(GST_VIDEO_DECODER(self), frame);
    gst_video_decoder_release_frame(GST_VIDEO_DECODER(self), frame);
    return GST_FLOW_OK;
}

/* What can be decoded meanwhile is. */
static void
gst_m2t_dec_ask_for_key(GstM2tDec *self, GstVideoCodecFrame *frame)
{
    if (!self->refreshed)
        gst_video_decoder_request_sync_point(GST_VIDEO_DECODER(self), frame, (GstVideoDecoderRequestSyncPointFlags) 0);
}

/* Lets go of a frame that did not come out as a picture. A frame of slices that is damaged costs no more than one that did not come at all. */
static GstFlowReturn
gst_m2t_dec_give_up(GstM2tDec *self, GstVideoCodecFrame *frame, GstFlowReturn ret)
{
    GstVideoDecoder *base = GST_VIDEO_DECODER(self);

    if (ret == FLOW_DAMAGED && self->started && self->sliced)
        gst_m2t_dec_ask_for_key(self, frame);
    else if (ret == FLOW_DAMAGED)
        gst_video_decoder_request_sync_point(base, frame, GST_VIDEO_DECODER_REQUEST_SYNC_POINT_DISCARD_INPUT);
    if (ret == FLOW_DAMAGED || ret == FLOW_SKIP)
        return gst_m2t_dec_skip(self, frame);
    gst_video_decoder_release_frame(base, frame);
    return ret == FLOW_PASS ? GST_FLOW_OK : ret;
}

/* Waits for the oldest frame that is held and pushes it. */
static GstFlowReturn
gst_m2t_dec_push_oldest(GstM2tDec *self)
{
    Held *held = gst_m2t_dec_oldest(self);
    g_autoptr(GError) error = NULL;
    gboolean ok = m2t_decoder_finish(self->decoder, &error);

    gst_m2t_dec_unmap(held);
    GST_CAT_LOG_OBJECT(gst_m2t_dec_perf, self, "frame %u took %" GST_TIME_FORMAT, held->frame->system_frame_number,
                       GST_TIME_ARGS(gst_util_get_timestamp() - held->began));
    if (!ok)
        return gst_m2t_dec_give_up(self, held->frame, gst_m2t_dec_refuse(self, held->frame, error));
    if (m2t_decoder_damaged(self->decoder) > 0) {
        GST_DEBUG_OBJECT(self, "frame %u: %u slices are damaged", held->frame->system_frame_number, m2t_decoder_damaged(self->decoder));
        GST_BUFFER_FLAG_SET(held->frame->output_buffer, GST_BUFFER_FLAG_CORRUPTED);
        gst_m2t_dec_ask_for_key(self, held->frame);
    }
    return gst_video_decoder_finish_frame(GST_VIDEO_DECODER(self), held->frame);
}

/* Pushes all that is held; what follows may lean on what came before. */
static GstFlowReturn
gst_m2t_dec_drain(GstVideoDecoder *base)
{
    GstM2tDec *self = GST_M2T_DEC(base);
    GstFlowReturn ret = GST_FLOW_OK;

    while (ret == GST_FLOW_OK && m2t_decoder_pending(self->decoder) > 0)
        ret = gst_m2t_dec_push_oldest(self);
    return ret;
}

/* --- formats --- */

/* The size may not be known yet: the output format waits for the header of a key frame. */
static gboolean
gst_m2t_dec_set_format(GstVideoDecoder *base, GstVideoCodecState *state)
{
    GstM2tDec *self = GST_M2T_DEC(base);

    g_clear_pointer(&self->input_state, gst_video_codec_state_unref);
    self->input_state = gst_video_codec_state_ref(state);
    self->format_stale = TRUE;
    return TRUE;
}

static void
gst_m2t_dec_make_output_state(GstM2tDec *self, const M2tVideoInfo *header)
{
    GstVideoCodecState *output = gst_video_decoder_set_output_state(GST_VIDEO_DECODER(self), GST_VIDEO_FORMAT_I420, header->width,
                                                                    header->height, self->input_state);
    GstVideoInfo *video = &output->info;
    GstClockTime latency;
    M2tVideoInfo info = *header;

    gst_m2t_info_overlay(&info, self->input_state->caps);
    gst_m2t_info_to_gst(&info, video);
    if (info.has_rate && GST_VIDEO_INFO_FPS_N(video) == 0 && info.rate_n != 0) {
        GST_VIDEO_INFO_FPS_N(video) = (gint) info.rate_n;
        GST_VIDEO_INFO_FPS_D(video) = (gint) info.rate_d;
    }
    output->caps = gst_video_info_to_caps(video);
    gst_m2t_info_add_hdr(&info, output->caps);
    latency = gst_m2t_latency(video, m2t_decoder_frames(self->decoder) - 1);
    gst_video_decoder_set_latency(GST_VIDEO_DECODER(self), latency, latency);
    gst_video_codec_state_unref(output);
}

static GstFlowReturn
gst_m2t_dec_follow_format(GstM2tDec *self, const M2tVideoInfo *header)
{
    GstVideoDecoder *base = GST_VIDEO_DECODER(self);

    if (self->format_stale || !m2t_video_info_equal(header, &self->header)) {
        GstFlowReturn ret = gst_m2t_dec_drain(base);

        if (ret != GST_FLOW_OK)
            return ret;
        gst_m2t_dec_make_output_state(self, header);
        self->header = *header;
        self->format_stale = FALSE;
        GST_INFO_OBJECT(self, "new format, %ux%u", header->width, header->height);
        if (!gst_video_decoder_negotiate(base)) {
            self->format_stale = TRUE;
            return GST_PAD_IS_FLUSHING(GST_VIDEO_DECODER_SRC_PAD(base)) ? GST_FLOW_FLUSHING : GST_FLOW_NOT_NEGOTIATED;
        }
    }
    return GST_FLOW_OK;
}

typedef struct {
    GstCaps *caps;
    guint size, min, max;
    GstAllocator *allocator;
    GstAllocationParams params;
    gboolean any_strides;  /* the decoder writes them; whether they may differ from the default ones is for downstream to say */
} PoolSettings;

/* TRUE if @pool takes the settings, or those that it would rather have and that will do. */
static gboolean
gst_m2t_dec_configure_pool(GstBufferPool *pool, const PoolSettings *s)
{
    GstStructure *config;

    if (s->max != 0 && s->max < s->min)
        return FALSE;
    config = gst_buffer_pool_get_config(pool);
    gst_buffer_pool_config_set_params(config, s->caps, s->size, s->min, s->max);
    gst_buffer_pool_config_set_allocator(config, s->allocator, &s->params);
    if (s->any_strides)
        gst_buffer_pool_config_add_option(config, GST_BUFFER_POOL_OPTION_VIDEO_META);
    if (gst_buffer_pool_set_config(pool, config))
        return TRUE;
    config = gst_buffer_pool_get_config(pool);
    if (gst_buffer_pool_config_validate_params(config, s->caps, s->size, s->min, s->max))
        return gst_buffer_pool_set_config(pool, config);
    gst_structure_free(config);
    return FALSE;
}

/* Downstream's pool, for the frames that are held as well; or one of our own where it refuses. */
static void
gst_m2t_dec_choose_pool(GstM2tDec *self, GstQuery *query)
{
    PoolSettings s = {.any_strides = gst_query_find_allocation_meta(query, GST_VIDEO_META_API_TYPE, NULL)};
    GstBufferPool *pool;

    gst_query_parse_allocation(query, &s.caps, NULL);
    gst_query_parse_nth_allocation_param(query, 0, &s.allocator, &s.params);
    gst_query_parse_nth_allocation_pool(query, 0, &pool, &s.size, &s.min, &s.max);
    s.min += m2t_decoder_frames(self->decoder) - 1;
    if (!gst_m2t_dec_configure_pool(pool, &s)) {
        gst_object_unref(pool);
        pool = gst_video_buffer_pool_new();
        s.max = 0;
        gst_m2t_dec_configure_pool(pool, &s);
    }
    gst_query_set_nth_allocation_pool(query, 0, pool, s.size, s.min, s.max);
    gst_clear_object(&s.allocator);
    gst_object_unref(pool);
}

static gboolean
gst_m2t_dec_decide_allocation(GstVideoDecoder *base, GstQuery *query)
{
    if (!GST_VIDEO_DECODER_CLASS(parent_class)->decide_allocation(base, query))
        return FALSE;
    gst_m2t_dec_choose_pool(GST_M2T_DEC(base), query);
    return TRUE;
}

/* --- frames: in --- */

/* With the first key frame, when the model and with it the threads are there. */
static void
gst_m2t_dec_report_start(GstM2tDec *self)
{
    guint threads = m2t_decoder_threads(self->decoder);

    GST_INFO_OBJECT(self, "backend %s, %u threads", m2t_decoder_backend(self->decoder), threads);
    if (threads < self->threads)
        GST_ELEMENT_WARNING(self, LIBRARY, SETTINGS, ("Fewer threads are used than were asked for."), ("%u of %u", threads, self->threads));
}

/* In reverse playback the pieces of one group come as discontinuities, and only the counter tells. */
static gboolean
gst_m2t_dec_is_loss(GstM2tDec *self, GstBuffer *input, const M2tFrameInfo *info)
{
    gboolean forward = GST_VIDEO_DECODER_INPUT_SEGMENT(self).rate > 0.0;
    gboolean jump = self->has_number && info->number != (guint8) (self->number + 1);

    if (info->key)
        return FALSE;
    return jump || GST_BUFFER_FLAG_IS_SET(input, GST_BUFFER_FLAG_CORRUPTED) ||
        (forward && GST_BUFFER_FLAG_IS_SET(input, GST_BUFFER_FLAG_DISCONT));
}

/* In playback of key frames only, of a stream that has the others as well. */
static gboolean
gst_m2t_dec_is_passed_over(GstM2tDec *self, const M2tFrameInfo *info)
{
    gboolean keys_only = (GST_VIDEO_DECODER_INPUT_SEGMENT(self).flags & GST_SEGMENT_FLAG_TRICKMODE_KEY_UNITS) != 0;

    return keys_only && (!info->key || info->inter);
}

/* The base class knows deadlines even where nobody wants frames to be skipped. */
static gboolean
gst_m2t_dec_is_too_late(GstM2tDec *self, GstVideoCodecFrame *frame)
{
    gboolean qos;

    if (gst_video_decoder_get_max_decode_time(GST_VIDEO_DECODER(self), frame) >= 0)
        return FALSE;
    g_object_get(self, "qos", &qos, NULL);
    return qos;
}

/* A gap that is a loss. The frame behind it knows what it lacks, and need not be discarded as the base class would. */
static gboolean
gst_m2t_dec_handle_missing_data(GstVideoDecoder *base, GstClockTime timestamp, GstClockTime duration)
{
    return GST_M2T_DEC(base)->sliced || GST_VIDEO_DECODER_CLASS(parent_class)->handle_missing_data(base, timestamp, duration);
}

/* What is behind the rows of sizes that strides do not divide is not decoded, but the same in every run as well. */
static void
gst_m2t_dec_clear_padding(const GstVideoInfo *video, GstBuffer *buffer)
{
    if (GST_VIDEO_INFO_WIDTH(video) % 8 != 0 || GST_VIDEO_INFO_HEIGHT(video) % 2 != 0)
        gst_buffer_memset(buffer, 0, 0, (gsize) -1);
}

/* Begins to decode the frame that is open into frame->output_buffer. */
static GstFlowReturn
gst_m2t_dec_decode_into(GstM2tDec *self, Held *held)
{
    g_autoptr(GError) error = NULL;
    GstVideoCodecState *output = gst_video_decoder_get_output_state(GST_VIDEO_DECODER(self));
    M2tPicture picture;
    gboolean ok;

    gst_m2t_dec_clear_padding(&output->info, held->frame->output_buffer);
    ok = gst_video_frame_map(&held->video, &output->info, held->frame->output_buffer, GST_MAP_WRITE);
    gst_video_codec_state_unref(output);
    if (!ok) {
        GST_ELEMENT_ERROR(self, RESOURCE, WRITE, ("A frame cannot be written."), ("gst_video_frame_map() failed"));
        return GST_FLOW_ERROR;
    }
    picture = gst_m2t_picture(&held->video);
    if (m2t_decoder_start(self->decoder, &picture, &error))
        return GST_FLOW_OK;
    gst_video_frame_unmap(&held->video);
    return gst_m2t_dec_refuse(self, held->frame, error);
}

/* Later frames may lean on the one that is open, although nobody will see it. */
static GstFlowReturn
gst_m2t_dec_decode_unseen(GstM2tDec *self, const GstVideoCodecFrame *frame)
{
    GstFlowReturn ret = gst_m2t_dec_drain(GST_VIDEO_DECODER(self));
    g_autoptr(GError) error = NULL;

    if (ret != GST_FLOW_OK)
        return ret;
    if (!m2t_decoder_start(self->decoder, NULL, &error) || !m2t_decoder_finish(self->decoder, &error))
        return gst_m2t_dec_refuse(self, frame, error);
    return FLOW_SKIP;
}

/* From coded bytes on, until the frame is in the decoder's hands. */
static GstFlowReturn
gst_m2t_dec_decode(GstM2tDec *self, Held *held)
{
    GstVideoCodecFrame *frame = held->frame;
    g_autoptr(GError) error = NULL;
    GstFlowReturn ret;
    M2tFrameInfo info;

    if (!m2t_decoder_open_frame(self->decoder, held->map.data, held->map.size, &info, &error)) {
        ret = gst_m2t_dec_drain(GST_VIDEO_DECODER(self)); /* the base class counts errors up to the next good picture */
        return ret != GST_FLOW_OK ? ret : gst_m2t_dec_refuse(self, frame, error);
    }
    self->sliced = info.slices > 1;
    if (gst_m2t_dec_is_passed_over(self, &info)) {
        self->has_number = FALSE;
        return FLOW_PASS;
    }
    if (gst_m2t_dec_is_loss(self, frame->input_buffer, &info)) {
        GST_INFO_OBJECT(self, "frames were lost before frame %u", frame->system_frame_number);
        if (!self->sliced)
            return FLOW_DAMAGED;
        gst_m2t_dec_ask_for_key(self, frame);
    }
    if (!self->started)
        gst_m2t_dec_report_start(self);
    self->started = TRUE;
    if (info.key)
        self->refreshed = info.inter;
    self->has_number = TRUE;
    self->number = info.number;

    if (gst_m2t_dec_is_too_late(self, frame)) {
        GST_DEBUG_OBJECT(self, "frame %u is too late to be shown", frame->system_frame_number);
        return gst_m2t_dec_decode_unseen(self, frame);
    }
    ret = gst_m2t_dec_follow_format(self, &info.video);
    if (ret == GST_FLOW_OK)
        ret = gst_video_decoder_allocate_output_frame(GST_VIDEO_DECODER(self), frame);
    if (ret == GST_FLOW_OK)
        ret = gst_m2t_dec_decode_into(self, held);
    return ret;
}

/* The frame is held from then on, if this is GST_FLOW_OK. */
static GstFlowReturn
gst_m2t_dec_hold(GstM2tDec *self, GstVideoCodecFrame *frame)
{
    Held *held = &self->held[self->count % M2T_FRAMES_MAX];
    GstFlowReturn ret;

    held->frame = frame;
    held->began = gst_util_get_timestamp();
    if (!gst_buffer_map(frame->input_buffer, &held->map, GST_MAP_READ)) {
        GST_ELEMENT_ERROR(self, RESOURCE, READ, ("A buffer cannot be read."), ("gst_buffer_map() failed"));
        return GST_FLOW_ERROR;
    }
    ret = gst_m2t_dec_decode(self, held);
    if (ret == GST_FLOW_OK)
        self->count++;
    else
        gst_buffer_unmap(frame->input_buffer, &held->map);
    return ret;
}

static GstFlowReturn
gst_m2t_dec_handle_frame(GstVideoDecoder *base, GstVideoCodecFrame *frame)
{
    GstM2tDec *self = GST_M2T_DEC(base);
    GstFlowReturn ret = gst_m2t_dec_hold(self, frame);

    if (ret != GST_FLOW_OK) {
        GstFlowReturn drained = gst_m2t_dec_drain(base);
        GstFlowReturn given_up = gst_m2t_dec_give_up(self, frame, ret);

        return drained != GST_FLOW_OK ? drained : given_up;
    }
    while (ret == GST_FLOW_OK &&
           (m2t_decoder_pending(self->decoder) == m2t_decoder_frames(self->decoder) || m2t_decoder_ready(self->decoder)))
        ret = gst_m2t_dec_push_oldest(self);
    return ret;
}

/* The base class holds other events back until the next frame comes out, but not a gap. */
static gboolean
gst_m2t_dec_sink_event(GstVideoDecoder *base, GstEvent *event)
{
    if (GST_EVENT_TYPE(event) == GST_EVENT_GAP) {
        GST_VIDEO_DECODER_STREAM_LOCK(base);
        gst_m2t_dec_drain(base);
        GST_VIDEO_DECODER_STREAM_UNLOCK(base);
    }
    return GST_VIDEO_DECODER_CLASS(parent_class)->sink_event(base, event);
}

/* The base class skips twice as far ahead as the sink was late. After one long stall that would be a long blackout. */
static GstEvent *
gst_m2t_dec_limit_lateness(GstEvent *event)
{
    GstQOSType type;
    gdouble proportion;
    GstClockTimeDiff late;
    GstClockTime timestamp;
    GstEvent *limited;

    gst_event_parse_qos(event, &type, &proportion, &late, &timestamp);
    if (late <= (GstClockTimeDiff) LATENESS_MAX)
        return event;
    limited = gst_event_new_qos(type, proportion, LATENESS_MAX, timestamp);
    gst_event_set_seqnum(limited, gst_event_get_seqnum(event));
    gst_event_unref(event);
    return limited;
}

static gboolean
gst_m2t_dec_src_event(GstVideoDecoder *base, GstEvent *event)
{
    if (GST_EVENT_TYPE(event) == GST_EVENT_QOS)
        event = gst_m2t_dec_limit_lateness(event);
    return GST_VIDEO_DECODER_CLASS(parent_class)->src_event(base, event);
}

/* --- properties --- */

static void
gst_m2t_dec_set_property(GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
    GstM2tDec *self = GST_M2T_DEC(object);

    GST_OBJECT_LOCK(self);
    if (GST_STATE(self) > GST_STATE_READY) {
        GST_WARNING_OBJECT(self, "property %s can only be set in the states NULL and READY", pspec->name);
    } else if (id == PROP_THREADS) {
        self->threads = g_value_get_uint(value);
    } else if (id == PROP_MAX_FRAME_DELAY) {
        self->max_frame_delay = g_value_get_uint(value);
    } else if (id == PROP_MODEL_FILE) {
        g_free(self->model_file);
        self->model_file = g_value_dup_string(value);
    } else {
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    }
    GST_OBJECT_UNLOCK(self);
}

static void
gst_m2t_dec_get_property(GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
    GstM2tDec *self = GST_M2T_DEC(object);

    GST_OBJECT_LOCK(self);
    if (id == PROP_THREADS)
        g_value_set_uint(value, self->threads);
    else if (id == PROP_MAX_FRAME_DELAY)
        g_value_set_uint(value, self->max_frame_delay);
    else if (id == PROP_MODEL_FILE)
        g_value_set_string(value, self->model_file);
    else
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    GST_OBJECT_UNLOCK(self);
}

static void
gst_m2t_dec_finalize(GObject *object)
{
    g_free(GST_M2T_DEC(object)->model_file);
    G_OBJECT_CLASS(parent_class)->finalize(object);
}

static void
gst_m2t_dec_install_properties(GObjectClass *class)
{
    const GParamFlags ready = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;

    g_object_class_install_property(class, PROP_THREADS,
                                    g_param_spec_uint("threads", "Threads", "Number of threads to decode with (0 = automatic)", 0,
                                                      M2T_THREADS_MAX, DEFAULT_THREADS, ready));
    g_object_class_install_property(
        class, PROP_MAX_FRAME_DELAY,
        g_param_spec_uint("max-frame-delay", "Maximum frame delay",
                          "Frames to decode at the same time, all but one of them held back (1 = none is, 0 = one for each thread)", 0,
                          M2T_FRAMES_MAX, DEFAULT_MAX_FRAME_DELAY, ready));
    g_object_class_install_property(
        class, PROP_MODEL_FILE,
        g_param_spec_string("model-file", "Model file",
                            "Path of the only model to decode with, or name of an installed one "
                            "(NULL = the installed model that the stream names)",
                            NULL, ready));
}

static void
gst_m2t_dec_class_init(GstM2tDecClass *class)
{
    GObjectClass *object_class = G_OBJECT_CLASS(class);
    GstElementClass *element_class = GST_ELEMENT_CLASS(class);
    GstVideoDecoderClass *decoder_class = GST_VIDEO_DECODER_CLASS(class);

    object_class->set_property = gst_m2t_dec_set_property;
    object_class->get_property = gst_m2t_dec_get_property;
    object_class->finalize = gst_m2t_dec_finalize;
    gst_m2t_dec_install_properties(object_class);

    gst_element_class_add_static_pad_template(element_class, &sink_template);
    gst_element_class_add_static_pad_template(element_class, &src_template);
    gst_element_class_set_static_metadata(element_class, "M2T video decoder", "Codec/Decoder/Video",
                                          "Decodes video of the M2T learned codec", "The libm2t developers");

    decoder_class->start = GST_DEBUG_FUNCPTR(gst_m2t_dec_start);
    decoder_class->stop = GST_DEBUG_FUNCPTR(gst_m2t_dec_stop);
    decoder_class->flush = GST_DEBUG_FUNCPTR(gst_m2t_dec_flush);
    decoder_class->drain = GST_DEBUG_FUNCPTR(gst_m2t_dec_drain);
    decoder_class->finish = GST_DEBUG_FUNCPTR(gst_m2t_dec_drain);
    decoder_class->set_format = GST_DEBUG_FUNCPTR(gst_m2t_dec_set_format);
    decoder_class->decide_allocation = GST_DEBUG_FUNCPTR(gst_m2t_dec_decide_allocation);
    decoder_class->handle_frame = GST_DEBUG_FUNCPTR(gst_m2t_dec_handle_frame);
    decoder_class->handle_missing_data = GST_DEBUG_FUNCPTR(gst_m2t_dec_handle_missing_data);
    decoder_class->sink_event = GST_DEBUG_FUNCPTR(gst_m2t_dec_sink_event);
    decoder_class->src_event = GST_DEBUG_FUNCPTR(gst_m2t_dec_src_event);
}

/* Key frames are asked for where needed, but not for every frame that comes without one; and the key frame that
 * answers is a clean one, so the flag that would mark it as corrupted is not set. */
static void
gst_m2t_dec_init(GstM2tDec *self)
{
    GstVideoDecoder *base = GST_VIDEO_DECODER(self);

    self->threads = DEFAULT_THREADS;
    self->max_frame_delay = DEFAULT_MAX_FRAME_DELAY;
    gst_video_decoder_set_packetized(base, TRUE);
    gst_video_decoder_set_needs_format(base, TRUE);
    gst_video_decoder_set_needs_sync_point(base, TRUE);
    gst_video_decoder_set_use_default_pad_acceptcaps(base, TRUE);
    GST_PAD_SET_ACCEPT_TEMPLATE(GST_VIDEO_DECODER_SINK_PAD(base));
    g_object_set(self, "automatic-request-sync-points", TRUE, "automatic-request-sync-point-flags",
                 GST_VIDEO_DECODER_REQUEST_SYNC_POINT_DISCARD_INPUT, "min-force-key-unit-interval", (guint64) KEY_REQUEST_INTERVAL, NULL);
}
