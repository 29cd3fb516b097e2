/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* RTP packets for the depayloader. Each is a byte for its place (bit 7: marker, bits 4-6: step of the sequence number, bits 0-3: step of the time
 * stamp), one for its length, and its payload. Every frame that comes out can be read, and all of them together are no longer than what went in.
 * Accepted: one came out. */
#include "fuzz.h"

#include <gst/check/gstharness.h>
#include <gst/rtp/rtp.h>
#include <m2t/m2t.h>
#include <stdlib.h>
#include <string.h>

#define CAPS "application/x-rtp, media=video, clock-rate=90000, encoding-name=M2T"

gboolean fuzz_accepted;

void gst_plugin_m2t_register(void);

/* The plugin alone, from this program. */
static void
start_gstreamer(void)
{
    if (gst_is_initialized())
        return;
    g_setenv("GST_REGISTRY_DISABLE", "yes", TRUE);
    g_setenv("GST_PLUGIN_SYSTEM_PATH_1_0", "", TRUE);
    gst_init(NULL, NULL);
    gst_plugin_m2t_register();
}

static GstBuffer *
make_packet(guint sequence, guint timestamp, gboolean marker, const guint8 *payload, guint size)
{
    GstBuffer *packet = gst_rtp_buffer_new_allocate(size, 0, 0);
    GstRTPBuffer rtp = GST_RTP_BUFFER_INIT;

    gst_rtp_buffer_map(packet, GST_MAP_WRITE, &rtp);
    gst_rtp_buffer_set_seq(&rtp, (guint16) sequence);
    gst_rtp_buffer_set_timestamp(&rtp, timestamp);
    gst_rtp_buffer_set_marker(&rtp, marker);
    if (size > 0)
        memcpy(gst_rtp_buffer_get_payload(&rtp), payload, size);
    gst_rtp_buffer_unmap(&rtp);
    return packet;
}

/* Returns: the length of the frame. */
static gsize
check_frame(GstBuffer *frame)
{
    M2tFrameLayout layout;
    GstMapInfo map;
    gsize size;

    gst_buffer_map(frame, &map, GST_MAP_READ);
    if (!m2t_frame_layout_read(map.data, map.size, &layout, NULL))
        abort();
    size = layout.header_size;
    for (guint i = 0; i < layout.slices; i++)
        size += layout.slice_size[i];
    if (size != map.size)
        abort();
    gst_buffer_unmap(frame, &map);
    return size;
}

int
LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    guint sequence = 0, timestamp = 0;
    gsize at = 0, out = 0;
    GstBuffer *frame;
    GstHarness *h;

    start_gstreamer();
    h = gst_harness_new("rtpm2tdepay");
    gst_harness_set_src_caps_str(h, CAPS);
    while (at + 2 <= size) {
        guint place = data[at], length = MIN(data[at + 1], (guint) (size - at - 2));

        sequence += place >> 4 & 7;
        timestamp += place & 15;
        gst_harness_push(h, make_packet(sequence, timestamp, (place & 128) != 0, data + at + 2, length));
        at += 2 + length;
    }
    gst_harness_push_event(h, gst_event_new_eos());
    while ((frame = gst_harness_try_pull(h)) != NULL) {
        out += check_frame(frame);
        gst_buffer_unref(frame);
    }
    if (out > size)
        abort();
    fuzz_accepted = out > 0;
    gst_harness_teardown(h);
    return 0;
}
