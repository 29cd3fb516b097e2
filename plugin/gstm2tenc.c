/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* m2tenc: raw frames in, one coded frame out for each, in the form that downstream takes.
 *
 * start() opens the model, set_format() makes the encoder. handle_frame() hands a frame over to the encoder and pushes what is coded by then. Where
 * frames have nothing to do with each other (key-int-max=1, constant quantizer), as many are coded at the same time as there are threads, and
 * all but one of these are held, which is the latency; with tune=zerolatency or threads=1, and everywhere else, none is. Frames are pushed from the
 * streaming thread only, in order, and nothing is pushed or dropped before those that are held. */
/**
 * SECTION:element-m2tenc
 * @title: m2tenc
 * @see_also: m2tdec, m2tparse
 *
 * Encodes raw video with the M2T learned codec.
 *
 * ## Example pipelines
 * |[
 * gst-launch-1.0 videotestsrc num-buffers=50 ! m2tenc quantizer=30 ! filesink location=test.m2tv
 * gst-launch-1.0 -e videotestsrc num-buffers=50 ! m2tenc ! mp4mux ! filesink location=test.mp4
 * gst-launch-1.0 videotestsrc is-live=true ! m2tenc tune=zerolatency ! m2tdec ! videoconvert ! autovideosink
 * gst-launch-1.0 v4l2src ! videoconvert ! m2tenc rate-control=cbr bitrate=1000 slices=3 ! rtpm2tpay ! udpsink host=192.168.1.2 port=5004
 * ]|
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstm2tenc.h"
#include "gstm2tvideo.h"

GST_DEBUG_CATEGORY_STATIC(gst_m2t_enc_debug);
GST_DEBUG_CATEGORY_STATIC(gst_m2t_enc_perf);
#define GST_CAT_DEFAULT gst_m2t_enc_debug

#define DEFAULT_QUANTIZER M2T_QUANTIZER_DEFAULT
#define DEFAULT_KEY_INT_MAX 0
#define DEFAULT_THREADS 0
#define DEFAULT_TUNE 0
#define DEFAULT_SPEED_PRESET M2T_SPEED_PRESET_MEDIUM
#define DEFAULT_RATE_CONTROL M2T_RATE_CONTROL_CQP
#define DEFAULT_BITRATE 0
#define DEFAULT_MAX_BITRATE 0
#define DEFAULT_VBV_BUF_CAPACITY M2T_VBV_DEFAULT
#define DEFAULT_SLICES 0
#define DEFAULT_INTRA_REFRESH FALSE
#define BITRATE_MAX 2000000 /* kbit/s */
#define VBV_BUF_CAPACITY_MAX 10000
#define DURATION_MAX GST_SECOND /* of a frame; a longer pause is no reason for a huge frame */

typedef enum {
    TUNE_ZEROLATENCY = 1 << 0,
} GstM2tEncTune;

enum {
    PROP_0,
    PROP_RATE_CONTROL,
    PROP_BITRATE,
    PROP_MAX_BITRATE,
    PROP_VBV_BUF_CAPACITY,
    PROP_QUANTIZER,
    PROP_KEY_INT_MAX,
    PROP_INTRA_REFRESH,
    PROP_SLICES,
    PROP_SPEED_PRESET,
    PROP_TUNE,
    PROP_THREADS,
    PROP_MODEL_FILE,
};

/* A frame that the encoder works on. */
typedef struct {
    GstVideoCodecFrame *frame;
    GstVideoFrame video; /* its input, mapped */
    GstClockTime began;
} Held;

struct _GstM2tEnc {
    GstVideoEncoder parent;

    /* Properties, under the object lock. */
    gint rate_control;
    guint bitrate, max_bitrate;
    guint vbv_buf_capacity;
    guint quantizer;
    guint key_int_max;
    gboolean intra_refresh;
    guint slices;
    gint speed_preset;
    guint tune;
    guint threads;
    char *model_file;

    /* From start() to stop(). */
    M2tModel *model;
    gboolean magic_owed; /* the byte stream has not begun yet */

    /* From set_format() on, under the stream lock. */
    GstVideoCodecState *input_state;
    GstCaps *caps; /* that the encoder was made for */
    M2tVideoInfo info;
    M2tEncoder *encoder;
    gboolean byte_stream;
    GByteArray *unit; /* one coded frame in byte-stream form */
    Held held[M2T_FRAMES_MAX]; /* a ring; as many as are pending in @encoder */
    guint started; /* frames ever put into it */

    gboolean key_owed; /* a key frame was asked for and has not been sent */
    GstClockTime last_pts;
};

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS(GST_M2T_RAW_CAPS));

static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS,
                            GST_STATIC_CAPS("video/x-m2t, stream-format = (string) { framed, byte-stream }, "
                                            "alignment = (string) frame; " GST_M2T_PART_CAPS));

#define gst_m2t_enc_parent_class parent_class
G_DEFINE_TYPE_WITH_CODE(GstM2tEnc, gst_m2t_enc, GST_TYPE_VIDEO_ENCODER,
                        GST_DEBUG_CATEGORY_INIT(gst_m2t_enc_debug, "m2tenc", 0, "M2T encoder");
                        GST_DEBUG_CATEGORY_INIT(gst_m2t_enc_perf, "m2tperf", 0, "M2T time per frame"))
GST_ELEMENT_REGISTER_DEFINE(m2tenc, "m2tenc", GST_RANK_PRIMARY, GST_TYPE_M2T_ENC)

/* --- start and stop --- */

static gboolean
gst_m2t_enc_start(GstVideoEncoder *base)
{
    GstM2tEnc *self = GST_M2T_ENC(base);
    g_autofree char *model_file = NULL;

    GST_OBJECT_LOCK(self);
    model_file = g_strdup(self->model_file);
    GST_OBJECT_UNLOCK(self);
    self->model = gst_m2t_open_model(GST_ELEMENT(self), GST_CAT_DEFAULT, model_file);
    self->magic_owed = TRUE;
    self->key_owed = FALSE;
    self->last_pts = GST_CLOCK_TIME_NONE;
    return self->model != NULL;
}

/* The oldest of the frames that are pending in the encoder. */
static Held *
gst_m2t_enc_oldest(GstM2tEnc *self)
{
    return &self->held[(self->started - m2t_encoder_pending(self->encoder)) % M2T_FRAMES_MAX];
}

/* Throws away what is held; the base class forgets its frames itself. */
static void
gst_m2t_enc_discard(GstM2tEnc *self)
{
    while (self->encoder != NULL && m2t_encoder_pending(self->encoder) > 0) {
        Held *held = gst_m2t_enc_oldest(self);
        M2tPacket packet;

        m2t_encoder_finish(self->encoder, &packet, NULL);
        gst_video_frame_unmap(&held->video);
        gst_video_codec_frame_unref(held->frame);
    }
}

static gboolean
gst_m2t_enc_stop(GstVideoEncoder *base)
{
    GstM2tEnc *self = GST_M2T_ENC(base);

    gst_m2t_enc_discard(self);
    g_clear_pointer(&self->encoder, m2t_encoder_free);
    g_clear_pointer(&self->model, m2t_model_unref);
    g_clear_pointer(&self->input_state, gst_video_codec_state_unref);
    gst_clear_caps(&self->caps);
    return TRUE;
}

static gboolean
gst_m2t_enc_flush(GstVideoEncoder *base)
{
    GstM2tEnc *self = GST_M2T_ENC(base);

    gst_m2t_enc_discard(self);
    if (self->encoder != NULL)
        m2t_encoder_reset(self->encoder);
    self->last_pts = GST_CLOCK_TIME_NONE;
    return TRUE;
}

/* --- frames: out --- */

static GstFlowReturn
gst_m2t_enc_wrap(GstM2tEnc *self, GstVideoCodecFrame *frame, const M2tPacket *packet)
{
    const guint8 *data = packet->data;
    gsize size = packet->size;
    GstFlowReturn ret;

    if (self->byte_stream) {
        g_byte_array_set_size(self->unit, 0);
        if (self->magic_owed)
            g_byte_array_append(self->unit, m2t_stream_magic(), M2T_STREAM_MAGIC_SIZE);
        m2t_stream_append(self->unit, packet->data, packet->size);
        data = self->unit->data;
        size = self->unit->len;
    }
    ret = gst_video_encoder_allocate_output_frame(GST_VIDEO_ENCODER(self), frame, size);
    if (ret == GST_FLOW_OK) {
        gst_buffer_fill(frame->output_buffer, 0, data, size);
        self->magic_owed = FALSE;
    }
    return ret;
}

/* A finished frame without a buffer is a dropped one. */
static GstFlowReturn
gst_m2t_enc_drop(GstM2tEnc *self, GstVideoCodecFrame *frame, GstFlowReturn ret)
{
    GstFlowReturn dropped = gst_video_encoder_finish_frame(GST_VIDEO_ENCODER(self), frame);

    return ret != GST_FLOW_OK ? ret : dropped;
}

/* With intra refresh the header comes with each part of the picture that is coded afresh, so that decoding can start there; but the
 * picture is whole at once only where nothing is taken over. Files are cut and sought in at such frames. */
static gboolean
gst_m2t_enc_is_sync_point(const M2tPacket *packet)
{
    M2tFrameLayout layout;

    return packet->key && m2t_frame_layout_read(packet->data, packet->size, &layout, NULL) && !layout.inter;
}

/* Waits for the oldest frame that is held and pushes it. */
static GstFlowReturn
gst_m2t_enc_push_oldest(GstM2tEnc *self)
{
    Held *held = gst_m2t_enc_oldest(self);
    GstVideoCodecFrame *frame = held->frame;
    g_autoptr(GError) error = NULL;
    GstFlowReturn ret;
    M2tPacket packet;
    gboolean ok = m2t_encoder_finish(self->encoder, &packet, &error);

    gst_video_frame_unmap(&held->video);
    GST_CAT_LOG_OBJECT(gst_m2t_enc_perf, self, "frame %u took %" GST_TIME_FORMAT, frame->system_frame_number,
                       GST_TIME_ARGS(gst_util_get_timestamp() - held->began));
    if (!ok) {
        GST_ELEMENT_ERROR(self, STREAM, ENCODE, ("A frame cannot be encoded."), ("%s", error->message));
        return gst_m2t_enc_drop(self, frame, GST_FLOW_ERROR);
    }
    ret = gst_m2t_enc_wrap(self, frame, &packet);
    if (ret != GST_FLOW_OK)
        return gst_m2t_enc_drop(self, frame, ret);

    if (gst_m2t_enc_is_sync_point(&packet))
        GST_VIDEO_CODEC_FRAME_SET_SYNC_POINT(frame);
    GST_LOG_OBJECT(self, "frame %u: %" G_GSIZE_FORMAT " bytes%s", frame->system_frame_number, packet.size, packet.key ? ", key" : "");
    return gst_video_encoder_finish_frame(GST_VIDEO_ENCODER(self), frame);
}

/* Pushes all that is held, even where downstream does not want it any more: nothing is left for an encoder that is about to go. */
static GstFlowReturn
gst_m2t_enc_finish(GstVideoEncoder *base)
{
    GstM2tEnc *self = GST_M2T_ENC(base);
    GstFlowReturn ret = GST_FLOW_OK;

    while (self->encoder != NULL && m2t_encoder_pending(self->encoder) > 0) {
        GstFlowReturn pushed = gst_m2t_enc_push_oldest(self);

        ret = ret != GST_FLOW_OK ? ret : pushed;
    }
    return ret;
}

/* --- formats --- */

static gboolean
gst_m2t_enc_accepts(GstM2tEnc *self, const GstVideoInfo *video)
{
    GstVideoMultiviewMode views = GST_VIDEO_INFO_MULTIVIEW_MODE(video);

    if (GST_VIDEO_INFO_IS_INTERLACED(video)) {
        GST_WARNING_OBJECT(self, "interlace-mode: only progressive video can be encoded");
        return FALSE;
    }
    if (views != GST_VIDEO_MULTIVIEW_MODE_NONE && views != GST_VIDEO_MULTIVIEW_MODE_MONO) {
        GST_WARNING_OBJECT(self, "multiview-mode: only one view can be encoded");
        return FALSE;
    }
    return TRUE;
}

static void
gst_m2t_enc_post_open_error(GstM2tEnc *self, const GError *error)
{
    if (g_error_matches(error, M2T_ERROR, M2T_ERROR_MEMORY))
        GST_ELEMENT_ERROR(self, RESOURCE, NO_SPACE_LEFT, ("There is not enough memory to encode video of this size."), ("%s", error->message));
    else
        GST_ELEMENT_ERROR(self, LIBRARY, SETTINGS, ("The M2T encoder cannot be set up."), ("%s", error->message));
}

/* Frames that depend on the one before cannot be coded at the same time, so there is no sense in holding any. */
static gboolean
gst_m2t_enc_may_hold(const GstM2tEnc *self)
{
    return !(self->tune & TUNE_ZEROLATENCY) && self->key_int_max == 1 && self->rate_control == M2T_RATE_CONTROL_CQP;
}

/* As many as the picture has room for. */
static guint
gst_m2t_enc_slices(GstM2tEnc *self, const M2tVideoInfo *info)
{
    guint most = (info->height + 15) / 16;

    if (self->slices > most)
        GST_ELEMENT_WARNING(self, LIBRARY, SETTINGS, ("The picture is cut into fewer slices than were asked for."), ("%u of %u", most, self->slices));
    return MIN(self->slices, most);
}

/* A new encoder starts with a key frame, which carries the new header. */
static gboolean
gst_m2t_enc_open(GstM2tEnc *self, const M2tVideoInfo *info)
{
    g_autoptr(GError) error = NULL;
    M2tEncoderSettings settings;

    m2t_encoder_settings_init(&settings);
    settings.threads = self->threads;
    settings.speed_preset = (M2tSpeedPreset) self->speed_preset;
    settings.slices = gst_m2t_enc_slices(self, info);
    GST_OBJECT_LOCK(self);
    settings.frames = gst_m2t_enc_may_hold(self) ? 0 : 1;
    settings.key_interval = self->key_int_max;
    settings.intra_refresh = self->intra_refresh;
    settings.rate_control = (M2tRateControl) self->rate_control;
    settings.bitrate = self->bitrate;
    settings.max_bitrate = self->max_bitrate;
    settings.vbv_buf_capacity = self->vbv_buf_capacity;
    GST_OBJECT_UNLOCK(self);
    g_clear_pointer(&self->encoder, m2t_encoder_free);
    self->encoder = m2t_encoder_new(self->model, info, &settings, &error);
    if (self->encoder == NULL) {
        gst_m2t_enc_post_open_error(self, error);
        return FALSE;
    }
    self->info = *info;
    GST_INFO_OBJECT(self, "%ux%u, model %s, backend %s, %u threads, %u frames", info->width, info->height,
                    m2t_model_identity_hex(self->model), m2t_encoder_backend(self->encoder), m2t_encoder_threads(self->encoder),
                    m2t_encoder_frames(self->encoder));
    if (m2t_encoder_threads(self->encoder) < self->threads)
        GST_ELEMENT_WARNING(self, LIBRARY, SETTINGS, ("Fewer threads are used than were asked for."),
                            ("%u of %u", m2t_encoder_threads(self->encoder), self->threads));
    return TRUE;
}

static void
gst_m2t_enc_announce_tags(GstM2tEnc *self)
{
    GstTagList *tags = gst_tag_list_new(GST_TAG_ENCODER, "m2tenc", GST_TAG_VIDEO_CODEC, GST_M2T_CODEC_TAG, NULL);
    guint version = M2T_VERSION_MAJOR * 1000000 + M2T_VERSION_MINOR * 1000 + M2T_VERSION_MICRO, bitrate;

    GST_OBJECT_LOCK(self);
    bitrate = self->rate_control == M2T_RATE_CONTROL_CQP ? 0 : self->bitrate;
    GST_OBJECT_UNLOCK(self);
    gst_tag_list_add(tags, GST_TAG_MERGE_REPLACE, GST_TAG_ENCODER_VERSION, version, NULL);
    if (bitrate > 0)
        gst_tag_list_add(tags, GST_TAG_MERGE_REPLACE, GST_TAG_NOMINAL_BITRATE, bitrate * 1000, NULL);
    gst_video_encoder_merge_tags(GST_VIDEO_ENCODER(self), tags, GST_TAG_MERGE_REPLACE);
    gst_tag_list_unref(tags);
}

/* What the input does not state is not stated in the output either, whatever the base class assumes. */
static gboolean
gst_m2t_enc_announce(GstM2tEnc *self)
{
    GstVideoEncoder *base = GST_VIDEO_ENCODER(self);
    GstVideoCodecState *output;
    GstClockTime latency;
    GstCaps *caps = gst_m2t_output_caps(GST_VIDEO_ENCODER_SRC_PAD(base), &self->byte_stream);

    if (gst_structure_has_name(gst_caps_get_structure(caps, 0), GST_M2T_CAPS_NAME))
        gst_caps_set_simple(caps, "profile", G_TYPE_STRING, m2t_model_name(self->model), NULL);
    gst_m2t_info_add_hdr(&self->info, caps);

    output = gst_video_encoder_set_output_state(base, caps, self->input_state);
    gst_m2t_info_to_gst(&self->info, &output->info);
    if (output->mastering_display_info != NULL) /* those in @caps are newer */
        g_slice_free(GstVideoMasteringDisplayInfo, g_steal_pointer(&output->mastering_display_info));
    if (output->content_light_level != NULL)
        g_slice_free(GstVideoContentLightLevel, g_steal_pointer(&output->content_light_level));
    gst_video_codec_state_unref(output);

    latency = gst_m2t_latency(&self->input_state->info, m2t_encoder_frames(self->encoder) - 1);
    gst_video_encoder_set_latency(base, latency, latency);
    gst_m2t_enc_announce_tags(self);
    return gst_video_encoder_negotiate(base);
}

/* Where this fails there is no encoder: the next caps make one, be they the same as before. */
static gboolean
gst_m2t_enc_configure(GstM2tEnc *self, GstCaps *caps)
{
    M2tVideoInfo info;
    gboolean ok;

    gst_m2t_enc_finish(GST_VIDEO_ENCODER(self)); /* under the old caps */
    m2t_video_info_init(&info, (guint) self->input_state->info.width, (guint) self->input_state->info.height);
    gst_m2t_info_overlay(&info, caps);
    ok = (self->encoder != NULL && m2t_video_info_equal(&info, &self->info)) || gst_m2t_enc_open(self, &info);
    ok = ok && gst_m2t_enc_announce(self);
    gst_caps_replace(&self->caps, ok ? caps : NULL);
    if (!ok)
        g_clear_pointer(&self->encoder, m2t_encoder_free);
    return ok;
}

/* The base class keeps the old format where this fails, and does not come again if that comes back; so it is kept here, too. */
static gboolean
gst_m2t_enc_set_format(GstVideoEncoder *base, GstVideoCodecState *state)
{
    GstM2tEnc *self = GST_M2T_ENC(base);
    GstVideoCodecState *before;

    if (!gst_m2t_enc_accepts(self, &state->info))
        return FALSE;
    before = self->input_state;
    self->input_state = gst_video_codec_state_ref(state);
    if (!gst_m2t_enc_configure(self, state->caps)) {
        gst_video_codec_state_unref(self->input_state);
        self->input_state = before;
        return FALSE;
    }
    g_clear_pointer(&before, gst_video_codec_state_unref);
    return TRUE;
}

/* The base class calls set_format() only if GstVideoInfo changes, which knows nothing of HDR metadata, nor whether colours were
 * stated or assumed. The header does. */
static gboolean
gst_m2t_enc_sink_event(GstVideoEncoder *base, GstEvent *event)
{
    GstM2tEnc *self = GST_M2T_ENC(base);
    g_autoptr(GstCaps) caps = NULL;
    gboolean ok;

    if (GST_EVENT_TYPE(event) == GST_EVENT_CAPS) {
        gst_event_parse_caps(event, &caps);
        gst_caps_ref(caps);
    }
    ok = GST_VIDEO_ENCODER_CLASS(parent_class)->sink_event(base, event);
    if (caps != NULL && ok) {
        GST_VIDEO_ENCODER_STREAM_LOCK(base);
        if (self->caps == NULL || !gst_caps_is_equal(self->caps, caps))
            ok = gst_m2t_enc_configure(self, caps);
        GST_VIDEO_ENCODER_STREAM_UNLOCK(base);
    }
    return ok;
}

/* Whoever fills the frames that are held needs others meanwhile. */
static gboolean
gst_m2t_enc_propose_allocation(GstVideoEncoder *base, GstQuery *query)
{
    GstM2tEnc *self = GST_M2T_ENC(base);
    GstBufferPool *pool;
    guint size, min, max;

    gst_query_add_allocation_meta(query, GST_VIDEO_META_API_TYPE, NULL);
    if (!GST_VIDEO_ENCODER_CLASS(parent_class)->propose_allocation(base, query))
        return FALSE;
    if (self->encoder != NULL && m2t_encoder_frames(self->encoder) > 1 && gst_query_get_n_allocation_pools(query) > 0) {
        gst_query_parse_nth_allocation_pool(query, 0, &pool, &size, &min, &max);
        gst_query_set_nth_allocation_pool(query, 0, pool, size, min + m2t_encoder_frames(self->encoder), max);
        gst_clear_object(&pool);
    }
    return TRUE;
}

/* --- frames: in --- */

static void
gst_m2t_enc_apply_settings(GstM2tEnc *self)
{
    GST_OBJECT_LOCK(self);
    m2t_encoder_set_quantizer(self->encoder, self->quantizer);
    m2t_encoder_set_key_interval(self->encoder, self->key_int_max);
    m2t_encoder_set_bitrate(self->encoder, self->bitrate, self->max_bitrate, self->vbv_buf_capacity);
    GST_OBJECT_UNLOCK(self);
}

/* How long a frame lasts is known when the next one comes; until then, as long as the one before. */
static void
gst_m2t_enc_set_duration(GstM2tEnc *self, const GstVideoCodecFrame *frame)
{
    gboolean comes_after = GST_CLOCK_TIME_IS_VALID(self->last_pts) && GST_CLOCK_TIME_IS_VALID(frame->pts) && frame->pts > self->last_pts;

    if (comes_after)
        m2t_encoder_set_duration(self->encoder, MIN(frame->pts - self->last_pts, DURATION_MAX));
    else
        m2t_encoder_set_duration(self->encoder, GST_CLOCK_TIME_IS_VALID(frame->duration) ? MIN(frame->duration, DURATION_MAX) : 0);
}

static void
gst_m2t_enc_check_pts(GstM2tEnc *self, GstClockTime pts)
{
    if (!GST_CLOCK_TIME_IS_VALID(pts))
        return;
    if (GST_CLOCK_TIME_IS_VALID(self->last_pts) && pts <= self->last_pts)
        GST_WARNING_OBJECT(self, "timestamp %" GST_TIME_FORMAT " does not come after %" GST_TIME_FORMAT, GST_TIME_ARGS(pts),
                           GST_TIME_ARGS(self->last_pts));
    self->last_pts = pts;
}

/* Begins to encode. The frame is held from then on. */
static gboolean
gst_m2t_enc_hold(GstM2tEnc *self, GstVideoCodecFrame *frame)
{
    Held *held = &self->held[self->started % M2T_FRAMES_MAX];
    g_autoptr(GError) error = NULL;
    M2tPicture picture;

    if (!gst_video_frame_map(&held->video, &self->input_state->info, frame->input_buffer, GST_MAP_READ)) {
        GST_ELEMENT_ERROR(self, STREAM, ENCODE, ("A frame cannot be read."), ("gst_video_frame_map() failed"));
        return FALSE;
    }
    held->frame = frame;
    held->began = gst_util_get_timestamp();
    picture = gst_m2t_picture(&held->video);
    if (!m2t_encoder_start(self->encoder, &picture, self->key_owed, &error)) {
        gst_video_frame_unmap(&held->video);
        GST_ELEMENT_ERROR(self, STREAM, ENCODE, ("A frame cannot be encoded."), ("%s", error->message));
        return FALSE;
    }
    self->started++;
    self->key_owed = FALSE;
    return TRUE;
}

/* Events that came before frames that are held must not overtake them. */
static GstFlowReturn
gst_m2t_enc_drop_in_order(GstM2tEnc *self, GstVideoCodecFrame *frame, GstFlowReturn ret)
{
    GstFlowReturn finished = gst_m2t_enc_finish(GST_VIDEO_ENCODER(self));

    return gst_m2t_enc_drop(self, frame, ret != GST_FLOW_OK ? ret : finished);
}

static GstFlowReturn
gst_m2t_enc_handle_frame(GstVideoEncoder *base, GstVideoCodecFrame *frame)
{
    GstM2tEnc *self = GST_M2T_ENC(base);
    GstFlowReturn ret = GST_FLOW_OK;

    if (self->encoder == NULL)
        return gst_m2t_enc_drop(self, frame, GST_FLOW_NOT_NEGOTIATED);

    /* The base class forgets a request whose frame does not come out, so it is remembered here until one is coded. */
    if (GST_VIDEO_CODEC_FRAME_IS_FORCE_KEYFRAME(frame))
        self->key_owed = TRUE;
    if (!self->key_owed && gst_video_encoder_get_max_encode_time(base, frame) < 0) {
        GST_DEBUG_OBJECT(self, "frame %u is too late to be encoded", frame->system_frame_number);
        return gst_m2t_enc_drop_in_order(self, frame, GST_FLOW_OK);
    }

    gst_m2t_enc_apply_settings(self);
    gst_m2t_enc_set_duration(self, frame);
    gst_m2t_enc_check_pts(self, frame->pts);
    if (!gst_m2t_enc_hold(self, frame))
        return gst_m2t_enc_drop_in_order(self, frame, GST_FLOW_ERROR);
    while (ret == GST_FLOW_OK &&
           (m2t_encoder_pending(self->encoder) == m2t_encoder_frames(self->encoder) || m2t_encoder_ready(self->encoder)))
        ret = gst_m2t_enc_push_oldest(self);
    return ret;
}

/* --- properties --- */

/* With the object lock. */
static gboolean
gst_m2t_enc_can_set(GstM2tEnc *self, GParamSpec *pspec)
{
    if ((pspec->flags & GST_PARAM_MUTABLE_PLAYING) || GST_STATE(self) <= GST_STATE_READY)
        return TRUE;
    GST_WARNING_OBJECT(self, "property %s can only be set in the states NULL and READY", pspec->name);
    return FALSE;
}

static void
gst_m2t_enc_assign(GstM2tEnc *self, guint id, const GValue *value, GParamSpec *pspec)
{
    switch (id) {
    case PROP_RATE_CONTROL:
        self->rate_control = g_value_get_enum(value);
        break;
    case PROP_BITRATE:
        self->bitrate = g_value_get_uint(value);
        break;
    case PROP_MAX_BITRATE:
        self->max_bitrate = g_value_get_uint(value);
        break;
    case PROP_VBV_BUF_CAPACITY:
        self->vbv_buf_capacity = g_value_get_uint(value);
        break;
    case PROP_QUANTIZER:
        self->quantizer = g_value_get_uint(value);
        break;
    case PROP_KEY_INT_MAX:
        self->key_int_max = g_value_get_uint(value);
        break;
    case PROP_INTRA_REFRESH:
        self->intra_refresh = g_value_get_boolean(value);
        break;
    case PROP_SLICES:
        self->slices = g_value_get_uint(value);
        break;
    case PROP_SPEED_PRESET:
        self->speed_preset = g_value_get_enum(value);
        break;
    case PROP_TUNE:
        self->tune = g_value_get_flags(value);
        break;
    case PROP_THREADS:
        self->threads = g_value_get_uint(value);
        break;
    case PROP_MODEL_FILE:
        g_free(self->model_file);
        self->model_file = g_value_dup_string(value);
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(self, id, pspec);
    }
}

static void
gst_m2t_enc_set_property(GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
    GstM2tEnc *self = GST_M2T_ENC(object);

    GST_OBJECT_LOCK(self);
    if (gst_m2t_enc_can_set(self, pspec))
        gst_m2t_enc_assign(self, id, value, pspec);
    GST_OBJECT_UNLOCK(self);
}

static void
gst_m2t_enc_get_property(GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
    GstM2tEnc *self = GST_M2T_ENC(object);

    GST_OBJECT_LOCK(self);
    switch (id) {
    case PROP_RATE_CONTROL:
        g_value_set_enum(value, self->rate_control);
        break;
    case PROP_BITRATE:
        g_value_set_uint(value, self->bitrate);
        break;
    case PROP_MAX_BITRATE:
        g_value_set_uint(value, self->max_bitrate);
        break;
    case PROP_VBV_BUF_CAPACITY:
        g_value_set_uint(value, self->vbv_buf_capacity);
        break;
    case PROP_QUANTIZER:
        g_value_set_uint(value, self->quantizer);
        break;
    case PROP_KEY_INT_MAX:
        g_value_set_uint(value, self->key_int_max);
        break;
    case PROP_INTRA_REFRESH:
        g_value_set_boolean(value, self->intra_refresh);
        break;
    case PROP_SLICES:
        g_value_set_uint(value, self->slices);
        break;
    case PROP_SPEED_PRESET:
        g_value_set_enum(value, self->speed_preset);
        break;
    case PROP_TUNE:
        g_value_set_flags(value, self->tune);
        break;
    case PROP_THREADS:
        g_value_set_uint(value, self->threads);
        break;
    case PROP_MODEL_FILE:
        g_value_set_string(value, self->model_file);
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    }
    GST_OBJECT_UNLOCK(self);
}

static void
gst_m2t_enc_finalize(GObject *object)
{
    GstM2tEnc *self = GST_M2T_ENC(object);

    g_free(self->model_file);
    g_byte_array_unref(self->unit);
    G_OBJECT_CLASS(parent_class)->finalize(object);
}

static GType
gst_m2t_enc_tune_get_type(void)
{
    static const GFlagsValue values[] = {
        {TUNE_ZEROLATENCY, "Zero latency", "zerolatency"},
        {0, NULL, NULL},
    };
    static GType type = 0;

    if (g_once_init_enter(&type)) {
        GType registered = g_flags_register_static("GstM2tEncTune", values);

        gst_type_mark_as_plugin_api(registered, 0);
        g_once_init_leave(&type, registered);
    }
    return type;
}

static GType
gst_m2t_enc_rate_control_get_type(void)
{
    static const GEnumValue values[] = {
        {M2T_RATE_CONTROL_CQP, "Constant quantizer", "cqp"},
        {M2T_RATE_CONTROL_VBR, "Variable bitrate", "vbr"},
        {M2T_RATE_CONTROL_CBR, "Constant bitrate", "cbr"},
        {0, NULL, NULL},
    };
    static GType type = 0;

    if (g_once_init_enter(&type)) {
        GType registered = g_enum_register_static("GstM2tEncRateControl", values);

        gst_type_mark_as_plugin_api(registered, 0);
        g_once_init_leave(&type, registered);
    }
    return type;
}

static GType
gst_m2t_enc_speed_preset_get_type(void)
{
    static const GEnumValue values[] = {
        {M2T_SPEED_PRESET_FAST, "Chooses among the nearest values", "fast"},
        {M2T_SPEED_PRESET_MEDIUM, "Chooses among the nearest values and cheaper ones", "medium"},
        {M2T_SPEED_PRESET_SLOW, "Looks at the outcome and chooses again, four times", "slow"},
        {0, NULL, NULL},
    };
    static GType type = 0;

    if (g_once_init_enter(&type)) {
        GType registered = g_enum_register_static("GstM2tEncSpeedPreset", values);

        gst_type_mark_as_plugin_api(registered, 0);
        g_once_init_leave(&type, registered);
    }
    return type;
}

static void
gst_m2t_enc_install_properties(GObjectClass *class)
{
    const GParamFlags ready = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;
    const GParamFlags playing = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING;

    g_object_class_install_property(
        class, PROP_RATE_CONTROL,
        g_param_spec_enum("rate-control", "Rate control", "What chooses the quantizer of a frame", gst_m2t_enc_rate_control_get_type(),
                          DEFAULT_RATE_CONTROL, ready));
    g_object_class_install_property(
        class, PROP_BITRATE,
        g_param_spec_uint("bitrate", "Bitrate", "Bitrate in kbit/s for rate-control vbr and cbr (0 = 0.15 bits for each pixel)", 0, BITRATE_MAX,
                          DEFAULT_BITRATE, playing));
    g_object_class_install_property(
        class, PROP_MAX_BITRATE,
        g_param_spec_uint("max-bitrate", "Maximum bitrate",
                          "Bitrate in kbit/s that rate-control=vbr keeps to over vbv-buf-capacity; a higher bitrate is lowered to it (0 = twice bitrate)",
                          0, BITRATE_MAX, DEFAULT_MAX_BITRATE, playing));
    g_object_class_install_property(
        class, PROP_VBV_BUF_CAPACITY,
        g_param_spec_uint("vbv-buf-capacity", "VBV buffer capacity", "Size of the VBV buffer in milliseconds of the (maximum) bitrate", 1,
                          VBV_BUF_CAPACITY_MAX, DEFAULT_VBV_BUF_CAPACITY, playing));
    g_object_class_install_property(
        class, PROP_QUANTIZER,
        g_param_spec_uint("quantizer", "Quantizer", "Coarseness of the quantization with rate-control=cqp (0 = finest, 63 = fewest bits)", 0,
                          (guint) M2T_QUANTIZER_MAX, DEFAULT_QUANTIZER, playing));
    g_object_class_install_property(
        class, PROP_KEY_INT_MAX,
        g_param_spec_uint("key-int-max", "Key frame interval",
                          "Frames from one key frame to the next at most, counted from the last one sent (0 = automatic: two seconds, and every "
                          "frame of which nothing is taken over from the one before; 1 = every frame, nothing is ever taken over)",
                          0, G_MAXINT, DEFAULT_KEY_INT_MAX, playing));
    g_object_class_install_property(
        class, PROP_INTRA_REFRESH,
        g_param_spec_boolean("intra-refresh", "Intra refresh",
                             "Code one slice after the other without reference, all within key-int-max frames, instead of key frames",
                             DEFAULT_INTRA_REFRESH, ready));
    g_object_class_install_property(
        class, PROP_SLICES,
        g_param_spec_uint("slices", "Slices",
                          "Bands of the picture that can be decoded without the others (0 = automatic: 1, with intra-refresh one for each 128 rows)", 0,
                          M2T_SLICES_MAX, DEFAULT_SLICES, ready));
    g_object_class_install_property(
        class, PROP_SPEED_PRESET,
        g_param_spec_enum("speed-preset", "Speed preset", "How much time to spend on fewer bits",
                          gst_m2t_enc_speed_preset_get_type(), DEFAULT_SPEED_PRESET, ready));
    g_object_class_install_property(
        class, PROP_TUNE,
        g_param_spec_flags("tune", "Tune",
                           "What to optimise for (0 = throughput: with key-int-max=1 and rate-control=cqp as many frames at the same time as there "
                           "are threads, 8 at most, all but one of them held back; zerolatency = one after the other, none held back)",
                           gst_m2t_enc_tune_get_type(), DEFAULT_TUNE, ready));
    g_object_class_install_property(class, PROP_THREADS,
                                    g_param_spec_uint("threads", "Threads", "Number of threads to encode with (0 = automatic)", 0,
                                                      M2T_THREADS_MAX, DEFAULT_THREADS, ready));
    g_object_class_install_property(
        class, PROP_MODEL_FILE,
        g_param_spec_string("model-file", "Model file", "Path of the model, or name of an installed one (NULL = the default model)",
                            NULL, ready));
}

static void
gst_m2t_enc_class_init(GstM2tEncClass *class)
{
    GObjectClass *object_class = G_OBJECT_CLASS(class);
    GstElementClass *element_class = GST_ELEMENT_CLASS(class);
    GstVideoEncoderClass *encoder_class = GST_VIDEO_ENCODER_CLASS(class);

    object_class->set_property = gst_m2t_enc_set_property;
    object_class->get_property = gst_m2t_enc_get_property;
    object_class->finalize = gst_m2t_enc_finalize;
    gst_m2t_enc_install_properties(object_class);

    gst_element_class_add_static_pad_template(element_class, &sink_template);
    gst_element_class_add_static_pad_template(element_class, &src_template);
    gst_element_class_set_static_metadata(element_class, "M2T video encoder", "Codec/Encoder/Video",
                                          "Encodes video with the M2T learned codec", "The libm2t developers");

    encoder_class->start = GST_DEBUG_FUNCPTR(gst_m2t_enc_start);
    encoder_class->stop = GST_DEBUG_FUNCPTR(gst_m2t_enc_stop);
    encoder_class->finish = GST_DEBUG_FUNCPTR(gst_m2t_enc_finish);
    encoder_class->flush = GST_DEBUG_FUNCPTR(gst_m2t_enc_flush);
    encoder_class->set_format = GST_DEBUG_FUNCPTR(gst_m2t_enc_set_format);
    encoder_class->sink_event = GST_DEBUG_FUNCPTR(gst_m2t_enc_sink_event);
    encoder_class->propose_allocation = GST_DEBUG_FUNCPTR(gst_m2t_enc_propose_allocation);
    encoder_class->handle_frame = GST_DEBUG_FUNCPTR(gst_m2t_enc_handle_frame);
}

static void
gst_m2t_enc_init(GstM2tEnc *self)
{
    self->rate_control = DEFAULT_RATE_CONTROL;
    self->bitrate = DEFAULT_BITRATE;
    self->max_bitrate = DEFAULT_MAX_BITRATE;
    self->vbv_buf_capacity = DEFAULT_VBV_BUF_CAPACITY;
    self->intra_refresh = DEFAULT_INTRA_REFRESH;
    self->slices = DEFAULT_SLICES;
    self->quantizer = DEFAULT_QUANTIZER;
    self->key_int_max = DEFAULT_KEY_INT_MAX;
    self->speed_preset = DEFAULT_SPEED_PRESET;
    self->tune = DEFAULT_TUNE;
    self->threads = DEFAULT_THREADS;
    self->unit = g_byte_array_new();
}
