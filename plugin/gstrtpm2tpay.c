/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rtpm2tpay: coded frames in, RTP packets out (docs/rtp.md).
 *
 * Packets are cut where slices end, so that a lost one costs only the slices it carries: whole slices share a packet while they fit,
 * one that is too long for a packet gets several of its own. Each packet that begins a slice repeats the frame header, so that none
 * of them is the one that the others can not do without. The bytes of slices are not copied. */
/**
 * SECTION:element-rtpm2tpay
 * @title: rtpm2tpay
 * @see_also: rtpm2tdepay, m2tenc
 *
 * Puts M2T video into RTP packets.
 *
 * ## Example pipelines
 * |[
 * gst-launch-1.0 videotestsrc is-live=true ! m2tenc ! rtpm2tpay ! udpsink host=127.0.0.1 port=5004
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
#include "gstrtpm2tpay.h"

GST_DEBUG_CATEGORY_STATIC(gst_rtp_m2t_pay_debug);
#define GST_CAT_DEFAULT gst_rtp_m2t_pay_debug

struct _GstRtpM2tPay {
    GstRTPBasePayload parent;
};

/* A frame on its way into packets. */
typedef struct {
    GstBuffer *buffer;
    GstMapInfo map;
    M2tFrameLayout layout;
    gsize at;               /* what comes before is in packets */
    GstBufferList *packets;
} Frame;

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS,
                            GST_STATIC_CAPS("video/x-m2t, stream-format = (string) framed, alignment = (string) frame"));

static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS,
                            GST_STATIC_CAPS(GST_M2T_RTP_CAPS ", payload = (int) " GST_RTP_PAYLOAD_DYNAMIC_STRING));

G_DEFINE_TYPE_WITH_CODE(GstRtpM2tPay, gst_rtp_m2t_pay, GST_TYPE_RTP_BASE_PAYLOAD,
                        GST_DEBUG_CATEGORY_INIT(gst_rtp_m2t_pay_debug, "rtpm2tpay", 0, "M2T RTP payloader"))
GST_ELEMENT_REGISTER_DEFINE(rtpm2tpay, "rtpm2tpay", GST_RANK_MARGINAL, GST_TYPE_RTP_M2T_PAY)

/* --- caps --- */

static void
set_number(GstStructure *fields, const char *name, const GstStructure *video)
{
    g_autofree char *text = NULL;
    gint value;

    if (!gst_structure_get_int(video, name, &value))
        return;
    text = g_strdup_printf("%d", value);
    gst_structure_set(fields, name, G_TYPE_STRING, text, NULL);
}

static void
set_rate(GstStructure *fields, const GstStructure *video)
{
    g_autofree char *text = NULL;
    gint n, d;

    if (!gst_structure_get_fraction(video, "framerate", &n, &d) || n == 0)
        return;
    text = d == 1 ? g_strdup_printf("%d", n) : g_strdup_printf("%d/%d", n, d);
    gst_structure_set(fields, "exactframerate", G_TYPE_STRING, text, NULL);
}

/* What a receiver may want to know before the first packet. Strings become parameters of the format in SDP. */
static gboolean
gst_rtp_m2t_pay_set_caps(GstRTPBasePayload *base, GstCaps *caps)
{
    const GstStructure *video = gst_caps_get_structure(caps, 0);
    const char *profile = gst_structure_get_string(video, "profile");
    g_autoptr(GstStructure) fields = gst_structure_new_empty("application/x-rtp");

    set_number(fields, "width", video);
    set_number(fields, "height", video);
    set_rate(fields, video);
    if (profile != NULL)
        gst_structure_set(fields, "profile", G_TYPE_STRING, profile, NULL);
    gst_rtp_base_payload_set_options(base, "video", TRUE, GST_M2T_RTP_ENCODING, GST_M2T_RTP_CLOCK_RATE);
    return gst_rtp_base_payload_set_outcaps_structure(base, fields);
}

/* --- packets --- */

static guint
gst_rtp_m2t_pay_flags(const M2tFrameLayout *layout)
{
    return (layout->key ? GST_M2T_RTP_KEY : 0) | (layout->inter ? GST_M2T_RTP_PREDICTED : 0);
}

static GstBuffer *
gst_rtp_m2t_pay_make_packet(GstRtpM2tPay *self, const Frame *frame, const guint8 *start, gsize start_size, gsize size)
{
    GstRTPBasePayload *base = GST_RTP_BASE_PAYLOAD(self);
    GstBuffer *packet = gst_rtp_base_payload_allocate_output_buffer(base, (guint) start_size, 0, 0);
    GstRTPBuffer rtp = GST_RTP_BUFFER_INIT;

    gst_rtp_buffer_map(packet, GST_MAP_WRITE, &rtp);
    memcpy(gst_rtp_buffer_get_payload(&rtp), start, start_size);
    gst_rtp_buffer_set_marker(&rtp, frame->at + size == frame->map.size);
    gst_rtp_buffer_unmap(&rtp);
    if (size > 0)
        packet = gst_buffer_append(packet, gst_buffer_copy_region(frame->buffer, GST_BUFFER_COPY_MEMORY, frame->at, size));
    return packet;
}

/* Times are those of the frame, in each packet. Of a key frame only the first packet is a place to start at. */
static void
gst_rtp_m2t_pay_describe_packet(const Frame *frame, GstBuffer *packet, gsize size)
{
    gboolean first = gst_buffer_list_length(frame->packets) == 0;

    GST_BUFFER_PTS(packet) = GST_BUFFER_PTS(frame->buffer);
    GST_BUFFER_DTS(packet) = GST_BUFFER_DTS(frame->buffer);
    GST_BUFFER_DURATION(packet) = GST_BUFFER_DURATION(frame->buffer);
    if (!first || !frame->layout.key)
        GST_BUFFER_FLAG_SET(packet, GST_BUFFER_FLAG_DELTA_UNIT);
    if (first && GST_BUFFER_FLAG_IS_SET(frame->buffer, GST_BUFFER_FLAG_DISCONT))
        GST_BUFFER_FLAG_SET(packet, GST_BUFFER_FLAG_DISCONT);
    if (frame->at + size == frame->map.size)
        GST_BUFFER_FLAG_SET(packet, GST_BUFFER_FLAG_MARKER);
}

/* @start: descriptor, and header or offset; the next @size bytes of the frame follow them. */
static void
gst_rtp_m2t_pay_add_packet(GstRtpM2tPay *self, Frame *frame, const guint8 *start, gsize start_size, gsize size)
{
    GstBuffer *packet = gst_rtp_m2t_pay_make_packet(self, frame, start, start_size, size);

    gst_rtp_m2t_pay_describe_packet(frame, packet, size);
    gst_buffer_list_add(frame->packets, packet);
    frame->at += size;
}

/* A packet that begins with the first byte of slice @slice. */
static void
gst_rtp_m2t_pay_add_start(GstRtpM2tPay *self, Frame *frame, guint slice, gsize size)
{
    gsize start_size = GST_M2T_RTP_DESCRIPTOR_SIZE + frame->layout.header_size;
    g_autofree guint8 *start = g_malloc(start_size);

    start[0] = (guint8) (GST_M2T_RTP_HEADER | gst_rtp_m2t_pay_flags(&frame->layout));
    start[1] = frame->layout.number;
    start[2] = (guint8) slice;
    memcpy(start + GST_M2T_RTP_DESCRIPTOR_SIZE, frame->map.data, frame->layout.header_size);
    gst_rtp_m2t_pay_add_packet(self, frame, start, start_size, size);
}

/* A packet that goes on where the one before ended, @offset bytes into slice @slice. */
static void
gst_rtp_m2t_pay_add_continuation(GstRtpM2tPay *self, Frame *frame, guint slice, gsize offset, gsize size)
{
    guint8 start[GST_M2T_RTP_DESCRIPTOR_SIZE + GST_M2T_RTP_OFFSET_SIZE];

    start[0] = (guint8) gst_rtp_m2t_pay_flags(&frame->layout);
    start[1] = frame->layout.number;
    start[2] = (guint8) slice;
    gst_m2t_rtp_write_offset(start + GST_M2T_RTP_DESCRIPTOR_SIZE, (guint32) offset);
    gst_rtp_m2t_pay_add_packet(self, frame, start, sizeof start, size);
}

/* Puts slice @slice, and as many of the next as fit into the same packet, into packets of @room bytes.
 * Returns: the index of the first slice that is left. */
static guint
gst_rtp_m2t_pay_add_slices(GstRtpM2tPay *self, Frame *frame, guint slice, gsize room)
{
    const M2tFrameLayout *layout = &frame->layout;
    gsize start_room = room - GST_M2T_RTP_DESCRIPTOR_SIZE - layout->header_size;
    gsize more_room = room - GST_M2T_RTP_DESCRIPTOR_SIZE - GST_M2T_RTP_OFFSET_SIZE;
    guint next = slice;
    gsize size = 0;

    while (next < layout->slices && size + layout->slice_size[next] <= start_room)
        size += layout->slice_size[next++];
    if (next > slice) {
        gst_rtp_m2t_pay_add_start(self, frame, slice, size);
        return next;
    }
    gst_rtp_m2t_pay_add_start(self, frame, slice, start_room);
    for (gsize offset = start_room; offset < layout->slice_size[slice]; offset += more_room)
        gst_rtp_m2t_pay_add_continuation(self, frame, slice, offset, MIN(more_room, layout->slice_size[slice] - offset));
    do
        next++;
    while (next < layout->slices && layout->slice_size[next] == 0); /* nothing is left to be sent of a missing one */
    return next;
}

/* --- frames --- */

/* Fills in frame->layout. */
static gboolean
gst_rtp_m2t_pay_read_layout(GstRtpM2tPay *self, Frame *frame)
{
    g_autoptr(GError) error = NULL;

    if (!m2t_frame_layout_read(frame->map.data, frame->map.size, &frame->layout, &error)) {
        GST_WARNING_OBJECT(self, "frame skipped: %s", error->message);
        return FALSE;
    }
    if (frame->layout.size != frame->map.size) {
        GST_WARNING_OBJECT(self, "frame skipped: its header says %" G_GSIZE_FORMAT " bytes, it has %" G_GSIZE_FORMAT, frame->layout.size,
                           frame->map.size);
        return FALSE;
    }
    return TRUE;
}

static GstFlowReturn
gst_rtp_m2t_pay_push(GstRtpM2tPay *self, Frame *frame)
{
    GstRTPBasePayload *base = GST_RTP_BASE_PAYLOAD(self);
    GstBufferList *packets = g_steal_pointer(&frame->packets);
    guint count = gst_buffer_list_length(packets);
    GstBuffer *packet;

    GST_LOG_OBJECT(self, "frame %u: %u slices, %" G_GSIZE_FORMAT " bytes in %u packets", frame->layout.number, frame->layout.slices,
                   frame->map.size, count);
    if (count > 1)
        return gst_rtp_base_payload_push_list(base, packets);
    packet = gst_buffer_ref(gst_buffer_list_get(packets, 0));
    gst_buffer_list_unref(packets);
    return gst_rtp_base_payload_push(base, packet);
}

static GstFlowReturn
gst_rtp_m2t_pay_packetize(GstRtpM2tPay *self, Frame *frame)
{
    GstRTPBasePayload *base = GST_RTP_BASE_PAYLOAD(self);
    gsize mtu = GST_RTP_BASE_PAYLOAD_MTU(base);
    gsize room = mtu - MIN(mtu, gst_rtp_buffer_calc_header_len((guint8) gst_rtp_base_payload_get_source_count(base, frame->buffer)));
    gsize least = GST_M2T_RTP_DESCRIPTOR_SIZE + MAX(frame->layout.header_size, GST_M2T_RTP_OFFSET_SIZE) + 1;
    guint slice = 0;

    if (room < least) {
        GST_ELEMENT_ERROR(self, LIBRARY, SETTINGS, ("The packets are too small for M2T video."),
                          ("%" G_GSIZE_FORMAT " bytes for the payload, at least %" G_GSIZE_FORMAT " are needed; increase the property mtu",
                           room, least));
        return GST_FLOW_ERROR;
    }
    frame->at = frame->layout.header_size;
    do {
        slice = gst_rtp_m2t_pay_add_slices(self, frame, slice, room);
    } while (slice < frame->layout.slices);
    return gst_rtp_m2t_pay_push(self, frame);
}

static GstFlowReturn
gst_rtp_m2t_pay_handle_buffer(GstRTPBasePayload *base, GstBuffer *buffer)
{
    GstRtpM2tPay *self = GST_RTP_M2T_PAY(base);
    Frame frame = {.buffer = buffer};
    GstFlowReturn ret = GST_FLOW_OK;

    if (!gst_buffer_map(buffer, &frame.map, GST_MAP_READ)) {
        GST_ELEMENT_ERROR(self, RESOURCE, READ, ("A buffer cannot be read."), ("gst_buffer_map() failed"));
        gst_buffer_unref(buffer);
        return GST_FLOW_ERROR;
    }
    frame.packets = gst_buffer_list_new();
    if (gst_rtp_m2t_pay_read_layout(self, &frame))
        ret = gst_rtp_m2t_pay_packetize(self, &frame);
    gst_clear_buffer_list(&frame.packets);
    gst_buffer_unmap(buffer, &frame.map);
    gst_buffer_unref(buffer);
    return ret;
}

static void
gst_rtp_m2t_pay_class_init(GstRtpM2tPayClass *class)
{
    GstElementClass *element_class = GST_ELEMENT_CLASS(class);
    GstRTPBasePayloadClass *payload_class = GST_RTP_BASE_PAYLOAD_CLASS(class);

    gst_element_class_add_static_pad_template(element_class, &sink_template);
    gst_element_class_add_static_pad_template(element_class, &src_template);
    gst_element_class_set_static_metadata(element_class, "RTP M2T payloader", "Codec/Payloader/Network/RTP",
                                          "Puts video of the M2T learned codec into RTP packets", "The libm2t developers");

    payload_class->set_caps = GST_DEBUG_FUNCPTR(gst_rtp_m2t_pay_set_caps);
    payload_class->handle_buffer = GST_DEBUG_FUNCPTR(gst_rtp_m2t_pay_handle_buffer);
}

static void
gst_rtp_m2t_pay_init(GstRtpM2tPay *self)
{
}
