/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rtpm2tdepay: RTP packets in, coded frames out (docs/rtp.md).
 *
 * A frame is gathered from the packets of one time stamp and frame number: its header, then the slices in their order, one after
 * the other. If all came, that is the frame. If not, the frame is put together anew with gaps where its header says that slices are
 * missing, and is marked as corrupted; the decoder conceals them. What is lost is read from the frames themselves, not from holes in
 * the sequence numbers, which packets that never were ours also leave.
 *
 * Nothing is believed that a header only claims: memory grows with the bytes that came. */
/**
 * SECTION:element-rtpm2tdepay
 * @title: rtpm2tdepay
 * @see_also: rtpm2tpay, m2tdec
 *
 * Takes M2T video out of RTP packets.
 *
 * ## Example pipeline
 * |[
 * gst-launch-1.0 udpsrc port=5004 caps="application/x-rtp, media=video, clock-rate=90000, encoding-name=M2T" ! \
 *     rtpjitterbuffer ! rtpm2tdepay ! m2tdec ! videoconvert ! autovideosink
 * ]|
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <gst/rtp/rtp.h>
#include <string.h>

#include "gstm2trtp.h"
#include "gstm2tvideo.h"
#include "gstrtpm2tdepay.h"

GST_DEBUG_CATEGORY_STATIC(gst_rtp_m2t_depay_debug);
#define GST_CAT_DEFAULT gst_rtp_m2t_depay_debug

#define FRAME_MAX M2T_STREAM_UNIT_MAX

enum {
    PROP_0,
    PROP_WAIT_FOR_KEYFRAME,
    PROP_REQUEST_KEYFRAME,
};

/* What tells the packets of one frame from those of others. */
typedef struct {
    guint32 ssrc, timestamp;
    guint8 number;
} Identity;

typedef struct {
    Identity frame;
    gboolean has_header;
    guint slice;
    guint32 offset;      /* of the first byte, in the slice */
    const guint8 *data;  /* behind the descriptor (and the offset) */
    gsize size;
    gboolean last;       /* of the frame */
} Packet;

struct _GstRtpM2tDepay {
    GstRTPBaseDepayload parent;

    /* Properties, under the object lock. */
    gboolean wait_for_keyframe;
    gboolean request_keyframe;

    /* The last frame that packets came of, under the stream lock as all that follows. */
    gboolean has_frame;      /* @frame is one */
    gboolean finished;       /* nothing more is taken for it */
    Identity frame;
    GstClockTime pts, dts;
    gboolean has_header;     /* @layout and the start of @bytes are its header */
    M2tFrameLayout layout;
    GByteArray *bytes;       /* header and slices in the order they came, which is that of the frame */
    gsize slice_at[M2T_SLICES_MAX];
    gsize slice_came[M2T_SLICES_MAX];
    guint next_slice;        /* the first that may still begin */

    gboolean waiting;        /* for a key frame */
    gboolean discont;        /* the next frame does not follow the last one that was pushed */
    GstEvent *packet_lost;   /* came since the last frame, or NULL */
};

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS(GST_M2T_RTP_CAPS));

static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS,
                            GST_STATIC_CAPS("video/x-m2t, stream-format = (string) framed, alignment = (string) frame"));

#define gst_rtp_m2t_depay_parent_class parent_class
G_DEFINE_TYPE_WITH_CODE(GstRtpM2tDepay, gst_rtp_m2t_depay, GST_TYPE_RTP_BASE_DEPAYLOAD,
                        GST_DEBUG_CATEGORY_INIT(gst_rtp_m2t_depay_debug, "rtpm2tdepay", 0, "M2T RTP depayloader"))
GST_ELEMENT_REGISTER_DEFINE(rtpm2tdepay, "rtpm2tdepay", GST_RANK_MARGINAL, GST_TYPE_RTP_M2T_DEPAY)

/* --- caps --- */

static void
copy_number(GstCaps *caps, const char *name, const GstStructure *rtp)
{
    const char *text = gst_structure_get_string(rtp, name);
    guint64 value;

    if (text != NULL && g_ascii_string_to_unsigned(text, 10, M2T_SIZE_MIN, M2T_SIZE_MAX, &value, NULL))
        gst_caps_set_simple(caps, name, G_TYPE_INT, (gint) value, NULL);
}

/* An integer or a ratio. Not read as GStreamer reads fractions: those may be negative, and what it makes of the smallest integer is a
 * critical warning. */
static void
copy_rate(GstCaps *caps, const GstStructure *rtp)
{
    const char *text = gst_structure_get_string(rtp, "exactframerate");
    g_auto(GStrv) parts = g_strsplit(text != NULL ? text : "", "/", 2);
    guint64 n, d = 1;

    if (parts[0] == NULL || !g_ascii_string_to_unsigned(parts[0], 10, 1, G_MAXINT, &n, NULL) ||
        (parts[1] != NULL && !g_ascii_string_to_unsigned(parts[1], 10, 1, G_MAXINT, &d, NULL)))
        return;
    gst_caps_set_simple(caps, "framerate", GST_TYPE_FRACTION, (gint) n, (gint) d, NULL);
}

static gboolean
gst_rtp_m2t_depay_set_caps(GstRTPBaseDepayload *base, GstCaps *caps)
{
    const GstStructure *rtp = gst_caps_get_structure(caps, 0);
    const char *profile = gst_structure_get_string(rtp, "profile");
    g_autoptr(GstCaps) video = gst_static_pad_template_get_caps(&src_template);

    video = gst_caps_make_writable(video);
    copy_number(video, "width", rtp);
    copy_number(video, "height", rtp);
    copy_rate(video, rtp);
    if (profile != NULL)
        gst_caps_set_simple(video, "profile", G_TYPE_STRING, profile, NULL);
    base->clock_rate = GST_M2T_RTP_CLOCK_RATE;
    return gst_pad_set_caps(GST_RTP_BASE_DEPAYLOAD_SRCPAD(base), video);
}

/* --- loss --- */

static void
gst_rtp_m2t_depay_ask_for_key(GstRtpM2tDepay *self)
{
    gst_pad_push_event(GST_RTP_BASE_DEPAYLOAD_SINKPAD(self),
                       gst_video_event_new_upstream_force_key_unit(GST_CLOCK_TIME_NONE, TRUE, 0));
}

/* Slices or whole frames did not come. */
static void
gst_rtp_m2t_depay_answer_loss(GstRtpM2tDepay *self)
{
    gboolean wait, request;

    GST_OBJECT_LOCK(self);
    wait = self->wait_for_keyframe;
    request = self->request_keyframe;
    GST_OBJECT_UNLOCK(self);
    self->waiting |= wait;
    if (request)
        gst_rtp_m2t_depay_ask_for_key(self);
}

/* Downstream learns of the gap only now that it is known that the packets made up whole frames, and were not forward error correction. */
static void
gst_rtp_m2t_depay_report_gap(GstRtpM2tDepay *self)
{
    GstEvent *event = g_steal_pointer(&self->packet_lost);

    if (event == NULL)
        return;
    event = gst_event_make_writable(event);
    gst_structure_remove_field(gst_event_writable_structure(event), "might-have-been-fec");
    GST_RTP_BASE_DEPAYLOAD_CLASS(parent_class)->packet_lost(GST_RTP_BASE_DEPAYLOAD(self), event);
    gst_event_unref(event);
}

static void
gst_rtp_m2t_depay_lose_frames(GstRtpM2tDepay *self)
{
    GST_INFO_OBJECT(self, "frames are missing before or at frame %u", self->frame.number);
    self->discont = TRUE;
    gst_rtp_m2t_depay_report_gap(self);
    gst_rtp_m2t_depay_answer_loss(self);
}

/* The base class marks what it pushes after a hole in the sequence numbers. Here that means frames which are missing, and no other hole. */
static GstPadProbeReturn
gst_rtp_m2t_depay_mark_discont(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
    GstRtpM2tDepay *self = data;
    GstBuffer *buffer = gst_buffer_make_writable(GST_PAD_PROBE_INFO_BUFFER(info));

    if (self->discont)
        GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DISCONT);
    else
        GST_BUFFER_FLAG_UNSET(buffer, GST_BUFFER_FLAG_DISCONT);
    self->discont = FALSE;
    info->data = buffer;
    return GST_PAD_PROBE_OK;
}

/* --- packets --- */

/* Payload descriptor; the rest is only delimited. */
static gboolean
gst_rtp_m2t_depay_read_packet(GstRTPBuffer *rtp, Packet *packet)
{
    const guint8 *data = gst_rtp_buffer_get_payload(rtp);
    gsize size = gst_rtp_buffer_get_payload_len(rtp), start = GST_M2T_RTP_DESCRIPTOR_SIZE;

    if (size < start || (data[0] & GST_M2T_RTP_UNKNOWN) != 0)
        return FALSE;
    packet->frame.ssrc = gst_rtp_buffer_get_ssrc(rtp);
    packet->frame.timestamp = gst_rtp_buffer_get_timestamp(rtp);
    packet->frame.number = data[1];
    packet->has_header = (data[0] & GST_M2T_RTP_HEADER) != 0;
    packet->slice = data[2];
    packet->offset = 0;
    if (!packet->has_header) {
        if (size < start + GST_M2T_RTP_OFFSET_SIZE)
            return FALSE;
        packet->offset = gst_m2t_rtp_read_offset(data + start);
        start += GST_M2T_RTP_OFFSET_SIZE;
    }
    packet->data = data + start;
    packet->size = size - start;
    packet->last = gst_rtp_buffer_get_marker(rtp);
    return TRUE;
}

/* The first header that comes of a frame is the frame's. */
static gboolean
gst_rtp_m2t_depay_take_header(GstRtpM2tDepay *self, const Packet *packet)
{
    g_autoptr(GError) error = NULL;

    if (!m2t_frame_layout_read(packet->data, packet->size, &self->layout, &error)) {
        GST_WARNING_OBJECT(self, "packet ignored: %s", error->message);
        return FALSE;
    }
    if (self->layout.size > FRAME_MAX || self->layout.number != packet->frame.number) {
        GST_WARNING_OBJECT(self, "packet ignored: its header is of frame %u with %" G_GSIZE_FORMAT " bytes", self->layout.number, self->layout.size);
        return FALSE;
    }
    g_byte_array_append(self->bytes, packet->data, (guint) self->layout.header_size);
    self->has_header = TRUE;
    return TRUE;
}

/* Returns: whether the packet repeats the header that the frame has. */
static gboolean
gst_rtp_m2t_depay_check_header(GstRtpM2tDepay *self, const Packet *packet)
{
    if (!self->has_header)
        return gst_rtp_m2t_depay_take_header(self, packet);
    return packet->size >= self->layout.header_size && memcmp(packet->data, self->bytes->data, self->layout.header_size) == 0;
}

/* Appends what @data has of slice @slice. Returns: how many bytes that were. */
static gsize
gst_rtp_m2t_depay_take_bytes(GstRtpM2tDepay *self, guint slice, const guint8 *data, gsize size)
{
    gsize taken = MIN(size, self->layout.slice_size[slice] - self->slice_came[slice]);

    g_byte_array_append(self->bytes, data, (guint) taken);
    self->slice_came[slice] += taken;
    return taken;
}

/* The start of one slice or of several. Slices that have begun already are duplicates. */
static void
gst_rtp_m2t_depay_take_start(GstRtpM2tDepay *self, const Packet *packet)
{
    const guint8 *at, *end = packet->data + packet->size;

    if (!gst_rtp_m2t_depay_check_header(self, packet) || packet->slice < self->next_slice)
        return;
    at = packet->data + self->layout.header_size;
    for (guint slice = packet->slice; slice < self->layout.slices && at < end; slice++) {
        self->slice_at[slice] = self->bytes->len;
        at += gst_rtp_m2t_depay_take_bytes(self, slice, at, (gsize) (end - at));
        self->next_slice = slice + 1;
    }
}

/* More of the slice that was begun last, if nothing is missing in between. */
static void
gst_rtp_m2t_depay_take_continuation(GstRtpM2tDepay *self, const Packet *packet)
{
    if (self->has_header && packet->slice + 1 == self->next_slice && packet->offset == self->slice_came[packet->slice])
        gst_rtp_m2t_depay_take_bytes(self, packet->slice, packet->data, packet->size);
}

/* --- frames --- */

static void
gst_rtp_m2t_depay_begin(GstRtpM2tDepay *self, const Packet *packet, const GstBuffer *buffer)
{
    gboolean follows = packet->frame.ssrc == self->frame.ssrc && packet->frame.number == (guint8) (self->frame.number + 1);

    if (self->has_frame && !follows)
        gst_rtp_m2t_depay_lose_frames(self);
    gst_clear_event(&self->packet_lost);
    self->has_frame = TRUE;
    self->finished = FALSE;
    self->frame = packet->frame;
    self->pts = GST_BUFFER_PTS(buffer);
    self->dts = GST_BUFFER_DTS(buffer);
    self->has_header = FALSE;
    g_byte_array_set_size(self->bytes, 0);
    memset(self->slice_came, 0, sizeof self->slice_came);
    self->next_slice = 0;
}

static gboolean
gst_rtp_m2t_depay_has_slice(GstRtpM2tDepay *self, guint slice)
{
    return self->slice_came[slice] > 0 && self->slice_came[slice] == self->layout.slice_size[slice];
}

/* Not so either if slices were missing already when the frame was sent. */
static gboolean
gst_rtp_m2t_depay_is_whole(GstRtpM2tDepay *self)
{
    for (guint i = 0; i < self->layout.slices; i++) {
        if (!gst_rtp_m2t_depay_has_slice(self, i))
            return FALSE;
    }
    return TRUE;
}

/* The frame with what came of it; slices that did not come whole are left out. */
static GByteArray *
gst_rtp_m2t_depay_assemble(GstRtpM2tDepay *self)
{
    const guint8 *slices[M2T_SLICES_MAX];
    GByteArray *frame = g_byte_array_new();

    for (guint i = 0; i < self->layout.slices; i++)
        slices[i] = gst_rtp_m2t_depay_has_slice(self, i) ? self->bytes->data + self->slice_at[i] : NULL;
    m2t_frame_assemble(frame, self->bytes->data, &self->layout, slices);
    return frame;
}

static GstBuffer *
gst_rtp_m2t_depay_make_buffer(GstRtpM2tDepay *self, gboolean whole)
{
    GByteArray *frame = whole ? self->bytes : gst_rtp_m2t_depay_assemble(self);
    GBytes *bytes = g_byte_array_free_to_bytes(frame);
    GstBuffer *buffer = gst_buffer_new_wrapped_bytes(bytes);

    if (whole)
        self->bytes = g_byte_array_new();
    g_bytes_unref(bytes);
    GST_BUFFER_PTS(buffer) = self->pts;
    GST_BUFFER_DTS(buffer) = self->dts;
    GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_MARKER);
    if (!self->layout.key)
        GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    if (!whole)
        GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_CORRUPTED);
    return buffer;
}

/* Whoever waits for a whole key frame is not served with a damaged one; who starts to receive is: it has the sequence header. With intra
 * refresh one that renews some slices has to do, since there may be no other; rtph264depay goes on at parameter sets likewise. */
static gboolean
gst_rtp_m2t_depay_is_wanted(GstRtpM2tDepay *self, gboolean whole)
{
    gboolean wait;

    GST_OBJECT_LOCK(self);
    wait = self->wait_for_keyframe;
    GST_OBJECT_UNLOCK(self);
    if (self->layout.key && (whole || !wait))
        self->waiting = FALSE;
    return !self->waiting;
}

/* Returns: the frame, or NULL if there is nothing to be pushed. */
static GstBuffer *
gst_rtp_m2t_depay_finish(GstRtpM2tDepay *self)
{
    gboolean whole;

    self->finished = TRUE;
    if (!self->has_header) {
        gst_rtp_m2t_depay_lose_frames(self);
        return NULL;
    }
    whole = gst_rtp_m2t_depay_is_whole(self);
    if (!whole) {
        GST_INFO_OBJECT(self, "slices of frame %u are missing", self->frame.number);
        gst_rtp_m2t_depay_answer_loss(self);
    }
    if (!gst_rtp_m2t_depay_is_wanted(self, whole)) {
        GST_DEBUG_OBJECT(self, "frame %u dropped, waiting for a key frame", self->frame.number);
        self->discont = TRUE;
        gst_rtp_m2t_depay_ask_for_key(self);
        return NULL;
    }
    return gst_rtp_m2t_depay_make_buffer(self, whole);
}

/* Pushes the frame that is being gathered, if there is one. */
static void
gst_rtp_m2t_depay_drain(GstRtpM2tDepay *self)
{
    GstBuffer *buffer = self->has_frame && !self->finished ? gst_rtp_m2t_depay_finish(self) : NULL;

    if (buffer != NULL)
        gst_rtp_base_depayload_push(GST_RTP_BASE_DEPAYLOAD(self), buffer);
}

static gboolean
gst_rtp_m2t_depay_is_of_frame(GstRtpM2tDepay *self, const Packet *packet)
{
    return self->has_frame && packet->frame.ssrc == self->frame.ssrc && packet->frame.timestamp == self->frame.timestamp &&
        packet->frame.number == self->frame.number;
}

static GstBuffer *
gst_rtp_m2t_depay_process(GstRTPBaseDepayload *base, GstRTPBuffer *rtp)
{
    GstRtpM2tDepay *self = GST_RTP_M2T_DEPAY(base);
    Packet packet;

    if (!gst_rtp_m2t_depay_read_packet(rtp, &packet)) {
        GST_WARNING_OBJECT(self, "packet ignored: its payload descriptor is not of this version");
        return NULL;
    }
    if (!gst_rtp_m2t_depay_is_of_frame(self, &packet)) {
        gst_rtp_m2t_depay_drain(self);
        gst_rtp_m2t_depay_begin(self, &packet, rtp->buffer);
    }
    if (self->finished)
        return NULL;
    if (packet.has_header)
        gst_rtp_m2t_depay_take_start(self, &packet);
    else
        gst_rtp_m2t_depay_take_continuation(self, &packet);
    return packet.last ? gst_rtp_m2t_depay_finish(self) : NULL;
}

/* --- events and states --- */

/* Kept until it is known whether that cost a whole frame. */
static gboolean
gst_rtp_m2t_depay_packet_lost(GstRTPBaseDepayload *base, GstEvent *event)
{
    gst_event_replace(&GST_RTP_M2T_DEPAY(base)->packet_lost, event);
    return TRUE;
}

static void
gst_rtp_m2t_depay_reset(GstRtpM2tDepay *self)
{
    self->has_frame = FALSE;
    self->waiting = TRUE;
    self->discont = TRUE;
    g_byte_array_set_size(self->bytes, 0);
    gst_clear_event(&self->packet_lost);
}

static gboolean
gst_rtp_m2t_depay_handle_event(GstRTPBaseDepayload *base, GstEvent *event)
{
    GstRtpM2tDepay *self = GST_RTP_M2T_DEPAY(base);

    if (GST_EVENT_TYPE(event) == GST_EVENT_FLUSH_STOP)
        gst_rtp_m2t_depay_reset(self);
    else if (GST_EVENT_TYPE(event) == GST_EVENT_EOS)
        gst_rtp_m2t_depay_drain(self);
    return GST_RTP_BASE_DEPAYLOAD_CLASS(parent_class)->handle_event(base, event);
}

static GstStateChangeReturn
gst_rtp_m2t_depay_change_state(GstElement *element, GstStateChange transition)
{
    GstStateChangeReturn ret;

    if (transition == GST_STATE_CHANGE_READY_TO_PAUSED)
        gst_rtp_m2t_depay_reset(GST_RTP_M2T_DEPAY(element));
    ret = GST_ELEMENT_CLASS(parent_class)->change_state(element, transition);
    if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
        gst_rtp_m2t_depay_reset(GST_RTP_M2T_DEPAY(element));
    return ret;
}

/* --- properties --- */

static void
gst_rtp_m2t_depay_set_property(GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
    GstRtpM2tDepay *self = GST_RTP_M2T_DEPAY(object);

    GST_OBJECT_LOCK(self);
    if (id == PROP_WAIT_FOR_KEYFRAME)
        self->wait_for_keyframe = g_value_get_boolean(value);
    else if (id == PROP_REQUEST_KEYFRAME)
        self->request_keyframe = g_value_get_boolean(value);
    else
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    GST_OBJECT_UNLOCK(self);
}

static void
gst_rtp_m2t_depay_get_property(GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
    GstRtpM2tDepay *self = GST_RTP_M2T_DEPAY(object);

    GST_OBJECT_LOCK(self);
    if (id == PROP_WAIT_FOR_KEYFRAME)
        g_value_set_boolean(value, self->wait_for_keyframe);
    else if (id == PROP_REQUEST_KEYFRAME)
        g_value_set_boolean(value, self->request_keyframe);
    else
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    GST_OBJECT_UNLOCK(self);
}

static void
gst_rtp_m2t_depay_finalize(GObject *object)
{
    g_byte_array_unref(GST_RTP_M2T_DEPAY(object)->bytes);
    G_OBJECT_CLASS(parent_class)->finalize(object);
}

static void
gst_rtp_m2t_depay_class_init(GstRtpM2tDepayClass *class)
{
    const GParamFlags playing = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING;
    GObjectClass *object_class = G_OBJECT_CLASS(class);
    GstElementClass *element_class = GST_ELEMENT_CLASS(class);
    GstRTPBaseDepayloadClass *depayload_class = GST_RTP_BASE_DEPAYLOAD_CLASS(class);

    object_class->set_property = gst_rtp_m2t_depay_set_property;
    object_class->get_property = gst_rtp_m2t_depay_get_property;
    object_class->finalize = gst_rtp_m2t_depay_finalize;
    g_object_class_install_property(object_class, PROP_WAIT_FOR_KEYFRAME,
                                    g_param_spec_boolean("wait-for-keyframe", "Wait for key frame",
                                                         "After loss, drop everything up to the next key frame that came whole; with intra refresh "
                                                         "up to the next frame that renews a part of the picture, the rest of which may be damaged "
                                                         "until it is renewed",
                                                         FALSE, playing));
    g_object_class_install_property(object_class, PROP_REQUEST_KEYFRAME,
                                    g_param_spec_boolean("request-keyframe", "Request key frame",
                                                         "After loss, ask the sender for a key frame", FALSE, playing));

    gst_element_class_add_static_pad_template(element_class, &sink_template);
    gst_element_class_add_static_pad_template(element_class, &src_template);
    gst_element_class_set_static_metadata(element_class, "RTP M2T depayloader", "Codec/Depayloader/Network/RTP",
                                          "Takes video of the M2T learned codec out of RTP packets", "The libm2t developers");

    element_class->change_state = GST_DEBUG_FUNCPTR(gst_rtp_m2t_depay_change_state);
    depayload_class->set_caps = GST_DEBUG_FUNCPTR(gst_rtp_m2t_depay_set_caps);
    depayload_class->process_rtp_packet = GST_DEBUG_FUNCPTR(gst_rtp_m2t_depay_process);
    depayload_class->packet_lost = GST_DEBUG_FUNCPTR(gst_rtp_m2t_depay_packet_lost);
    depayload_class->handle_event = GST_DEBUG_FUNCPTR(gst_rtp_m2t_depay_handle_event);
}

static void
gst_rtp_m2t_depay_init(GstRtpM2tDepay *self)
{
    self->bytes = g_byte_array_new();
    gst_pad_add_probe(GST_RTP_BASE_DEPAYLOAD_SRCPAD(self), GST_PAD_PROBE_TYPE_BUFFER, gst_rtp_m2t_depay_mark_discont, self, NULL);
}
