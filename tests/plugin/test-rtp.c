/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rtpm2tpay and rtpm2tdepay by themselves: the payload format, caps and SDP, loss, and what hostile senders may try. */
#include "common.h"

#include <gst/rtp/rtp.h>
#include <gst/sdp/sdp.h>
#include <string.h>

#define RTP_CAPS "application/x-rtp, media=video, clock-rate=90000, encoding-name=M2T, payload=96"
#define RTP_HEADER 12
#define DESCRIPTOR 3
#define FRAME_TICKS 3600

enum { START = 0x20, KEY = 0x10, PREDICTED = 0x08 }; /* flags of the descriptor */

/* --- frames that were made up, with any slices --- */

static guint32
crc32c(const guint8 *data, gsize size)
{
    guint32 crc = ~0u;

    for (gsize i = 0; i < size; i++) {
        crc ^= data[i];
        for (guint bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

static void
put(GByteArray *out, guint32 value, guint size)
{
    for (guint i = 0; i < size; i++) {
        guint8 byte = (guint8) (value >> 8 * i);

        g_byte_array_append(out, &byte, 1);
    }
}

static void
put_varint(GByteArray *out, guint32 value)
{
    for (; value >= 128; value >>= 7)
        put(out, (value & 127) | 128, 1);
    put(out, value, 1);
}

/* Version 1, some model, 64x48, nothing else stated. */
static void
put_sequence(GByteArray *out)
{
    const guint8 sequence[] = {20, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, WIDTH, HEIGHT, 0};

    g_byte_array_append(out, sequence, sizeof sequence);
}

typedef struct {
    guint number;
    gboolean key;
    guint slices;
    guint size[M2T_SLICES_MAX]; /* without the checksum; 0: missing */
} Shape;

static GByteArray *
header_of(const Shape *shape)
{
    GByteArray *out = g_byte_array_new();

    put(out, shape->key ? 4 : 0, 1);
    put(out, shape->number, 1);
    put(out, 80, 1);
    if (shape->key)
        put_sequence(out);
    put_varint(out, shape->slices);
    for (guint i = 0; i < shape->slices; i++)
        put_varint(out, shape->size[i]);
    put(out, crc32c(out->data, out->len), 2);
    return out;
}

static GstBuffer *
buffer_of(GByteArray *bytes)
{
    GBytes *data = g_byte_array_free_to_bytes(bytes);
    GstBuffer *buffer = gst_buffer_new_wrapped_bytes(data);

    g_bytes_unref(data);
    return buffer;
}

/* The bytes of a slice depend on nothing but the numbers of frame and slice. */
static GstBuffer *
frame_of(const Shape *shape)
{
    GByteArray *out = header_of(shape);
    GstBuffer *buffer;

    for (guint s = 0; s < shape->slices; s++) {
        guint32 state = 1 + shape->number * M2T_SLICES_MAX + s;

        for (guint i = 0; shape->size[s] > 0 && i < 4 + shape->size[s]; i++) {
            state = state * 1664525 + 1013904223;
            put(out, state >> 24, 1);
        }
    }
    buffer = buffer_of(out);
    GST_BUFFER_PTS(buffer) = GST_BUFFER_DTS(buffer) = shape->number * FRAME_TIME;
    GST_BUFFER_DURATION(buffer) = FRAME_TIME;
    if (!shape->key)
        GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    return buffer;
}

/* Small slices, one that needs several packets, a tiny one. */
static Shape
some_shape(guint number, gboolean key)
{
    return (Shape) {number, key, 6, {60, 50, 80, 700, 1, 90}};
}

static void
assert_same_bytes(GstBuffer *a, GstBuffer *b)
{
    GstMapInfo ma, mb;

    gst_buffer_map(a, &ma, GST_MAP_READ);
    gst_buffer_map(b, &mb, GST_MAP_READ);
    g_assert_cmpmem(ma.data, ma.size, mb.data, mb.size);
    gst_buffer_unmap(a, &ma);
    gst_buffer_unmap(b, &mb);
}

static guint
number_of(GstBuffer *frame)
{
    guint8 number;

    gst_buffer_extract(frame, 1, &number, 1);
    return number;
}

/* --- packets --- */

typedef struct {
    guint32 timestamp;
    guint16 sequence;
    gboolean marker;
    guint flags, number, slice;
    gsize size; /* of the whole packet */
} Seen;

static Seen
look_at(GstBuffer *packet)
{
    GstRTPBuffer rtp = GST_RTP_BUFFER_INIT;
    const guint8 *payload;
    Seen seen;

    g_assert_true(gst_rtp_buffer_map(packet, GST_MAP_READ, &rtp));
    payload = gst_rtp_buffer_get_payload(&rtp);
    g_assert_cmpuint(gst_rtp_buffer_get_payload_len(&rtp), >=, DESCRIPTOR);
    seen = (Seen) {gst_rtp_buffer_get_timestamp(&rtp), gst_rtp_buffer_get_seq(&rtp), gst_rtp_buffer_get_marker(&rtp),
                   payload[0], payload[1], payload[2], gst_buffer_get_size(packet)};
    gst_rtp_buffer_unmap(&rtp);
    return seen;
}

static GstHarness *
payloader(guint mtu)
{
    g_autofree char *launch = g_strdup_printf("rtpm2tpay mtu=%u seqnum-offset=0 timestamp-offset=0 ssrc=1", mtu);

    return harness(launch, FRAMED_CAPS ", width=64, height=48, framerate=25/1", NULL);
}

static GstHarness *
depayloader(const char *properties)
{
    g_autofree char *launch = g_strdup_printf("rtpm2tdepay %s", properties);

    return harness(launch, RTP_CAPS, NULL);
}

static GPtrArray *
all_buffers(GstHarness *h)
{
    GPtrArray *all = g_ptr_array_new_with_free_func((GDestroyNotify) gst_buffer_unref);
    GstBuffer *buffer;

    while ((buffer = gst_harness_try_pull(h)) != NULL)
        g_ptr_array_add(all, buffer);
    return all;
}

/* Of @count frames that follow each other, key frames every @key_every. */
static GPtrArray *
packets_of(guint count, guint key_every, guint mtu)
{
    GstHarness *h = payloader(mtu);
    GPtrArray *packets;

    for (guint i = 0; i < count; i++) {
        Shape shape = some_shape(i, i % key_every == 0);

        g_assert_cmpint(gst_harness_push(h, frame_of(&shape)), ==, GST_FLOW_OK);
    }
    packets = all_buffers(h);
    harness_free(h);
    return packets;
}

static void
give(GstHarness *h, GstBuffer *packet)
{
    g_assert_cmpint(gst_harness_push(h, gst_buffer_copy_deep(packet)), ==, GST_FLOW_OK);
}

static void
give_all_but(GstHarness *h, GPtrArray *packets, guint first_lost, guint lost)
{
    for (guint i = 0; i < packets->len; i++) {
        if (i < first_lost || i >= first_lost + lost)
            give(h, packets->pdata[i]);
    }
}

/* A packet of the test's own. */
static GstBuffer *
packet_of(guint sequence, guint32 timestamp, gboolean marker, const void *payload, guint size)
{
    GstBuffer *packet = gst_rtp_buffer_new_allocate(size, 0, 0);
    GstRTPBuffer rtp = GST_RTP_BUFFER_INIT;

    gst_rtp_buffer_map(packet, GST_MAP_WRITE, &rtp);
    gst_rtp_buffer_set_payload_type(&rtp, 96);
    gst_rtp_buffer_set_seq(&rtp, (guint16) sequence);
    gst_rtp_buffer_set_timestamp(&rtp, timestamp);
    gst_rtp_buffer_set_ssrc(&rtp, 1);
    gst_rtp_buffer_set_marker(&rtp, marker);
    if (size > 0)
        memcpy(gst_rtp_buffer_get_payload(&rtp), payload, size);
    gst_rtp_buffer_unmap(&rtp);
    return packet;
}

/* --- there and back --- */

static void
assert_round_trip(GPtrArray *frames, guint mtu)
{
    g_autofree char *launch = g_strdup_printf("rtpm2tpay mtu=%u ! rtpm2tdepay", mtu);
    GstHarness *h = harness(launch, FRAMED_CAPS ", width=64, height=48, framerate=25/1", NULL);

    for (guint i = 0; i < frames->len; i++) {
        GstBuffer *in = frames->pdata[i];
        g_autoptr(GstBuffer) out = NULL;

        g_assert_cmpint(gst_harness_push(h, gst_buffer_ref(in)), ==, GST_FLOW_OK);
        out = gst_harness_try_pull(h);
        g_assert_nonnull(out);
        assert_same_bytes(in, out);
        g_assert_cmpuint(GST_BUFFER_PTS(out), ==, GST_BUFFER_PTS(in));
        g_assert_cmpuint(GST_BUFFER_DTS(out), ==, GST_BUFFER_DTS(in));
        g_assert_cmpuint(GST_BUFFER_DURATION(out), ==, GST_BUFFER_DURATION(in));
        g_assert_cmpint(is_delta(out), ==, is_delta(in));
        g_assert_true(GST_BUFFER_FLAG_IS_SET(out, GST_BUFFER_FLAG_MARKER));
        g_assert_cmpint(GST_BUFFER_FLAG_IS_SET(out, GST_BUFFER_FLAG_CORRUPTED), ==, GST_BUFFER_FLAG_IS_SET(in, GST_BUFFER_FLAG_CORRUPTED));
        g_assert_cmpint(GST_BUFFER_FLAG_IS_SET(out, GST_BUFFER_FLAG_DISCONT), ==, i == 0);
    }
    harness_free(h);
}

static void
round_trip(void)
{
    const guint mtus[] = {100, 101, 200, 500, 1400, 65000};

    for (guint m = 0; m < G_N_ELEMENTS(mtus); m++) {
        g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 6, 3);
        g_autoptr(GPtrArray) made_up = g_ptr_array_new_with_free_func((GDestroyNotify) gst_buffer_unref);

        for (guint i = 0; i < 6; i++) {
            Shape shape = some_shape(i, i % 3 == 0);

            g_ptr_array_add(made_up, frame_of(&shape));
        }
        assert_round_trip(coded, mtus[m]);
        assert_round_trip(made_up, mtus[m]);
    }
}

/* Every size around the borders of packets, in one slice and in two. */
static void
every_size(void)
{
    for (guint slices = 1; slices <= 2; slices++) {
        g_autoptr(GPtrArray) frames = g_ptr_array_new_with_free_func((GDestroyNotify) gst_buffer_unref);

        for (guint size = 1; size < 250; size++) {
            Shape shape = {size, size == 1, slices, {size, 251 - size}};

            g_ptr_array_add(frames, frame_of(&shape));
        }
        assert_round_trip(frames, 100);
    }
}

/* What is missing already stays so: a gateway may pass on what it got. */
static void
missing_slices_pass(void)
{
    g_autoptr(GPtrArray) frames = g_ptr_array_new_with_free_func((GDestroyNotify) gst_buffer_unref);
    const Shape shapes[] = {
        {0, TRUE, 4, {0, 500, 0, 20}}, {1, FALSE, 4, {500, 0, 0, 0}}, {2, FALSE, 4, {0, 0, 0, 0}}, {3, FALSE, 2, {0, 9}},
    };

    for (guint i = 0; i < G_N_ELEMENTS(shapes); i++) {
        GstBuffer *frame = frame_of(&shapes[i]);

        GST_BUFFER_FLAG_SET(frame, GST_BUFFER_FLAG_CORRUPTED);
        g_ptr_array_add(frames, frame);
    }
    assert_round_trip(frames, 100);
    assert_round_trip(frames, 1400);
}

static void
most_slices(void)
{
    g_autoptr(GPtrArray) frames = g_ptr_array_new_with_free_func((GDestroyNotify) gst_buffer_unref);
    Shape shape = {0, TRUE, M2T_SLICES_MAX, {0}};

    for (guint i = 0; i < M2T_SLICES_MAX; i++)
        shape.size[i] = 1 + i * 37 % 1000;
    g_ptr_array_add(frames, frame_of(&shape));
    assert_round_trip(frames, 1400);
    assert_round_trip(frames, 400);
}

/* --- the packets of the payloader --- */

static void
packets_are_as_documented(void)
{
    const guint mtu = 250;
    g_autoptr(GPtrArray) packets = packets_of(2, 2, mtu);
    const struct {
        guint flags, slice;
    } expected[] = {
        {START | KEY, 0}, {START | KEY, 2}, {START | KEY, 3}, {KEY, 3}, {KEY, 3}, {KEY, 3}, {START | KEY, 4},
        {START, 0},       {START, 3},       {0, 3},           {0, 3},   {0, 3},   {START, 4},
    };

    g_assert_cmpuint(packets->len, ==, G_N_ELEMENTS(expected));
    for (guint i = 0; i < packets->len; i++) {
        Seen seen = look_at(packets->pdata[i]);
        guint number = i >= 7;

        g_assert_cmpuint(seen.flags, ==, expected[i].flags);
        g_assert_cmpuint(seen.slice, ==, expected[i].slice);
        g_assert_cmpuint(seen.number, ==, number);
        g_assert_cmpuint(seen.sequence, ==, i);
        g_assert_cmpuint(seen.timestamp, ==, number * FRAME_TICKS);
        g_assert_cmpint(seen.marker, ==, i == 6 || i == packets->len - 1);
        g_assert_cmpint(GST_BUFFER_FLAG_IS_SET(packets->pdata[i], GST_BUFFER_FLAG_MARKER), ==, seen.marker);
        g_assert_cmpint(is_delta(packets->pdata[i]), ==, i != 0);
        g_assert_cmpuint(seen.size, <=, mtu);
    }
}

static GstPadProbeReturn
count_lists(GstPad *pad, GstPadProbeInfo *info, gpointer count)
{
    ++*(guint *) count;
    return GST_PAD_PROBE_OK;
}

/* One list for the packets of a frame, and in them the frame's own memory. */
static void
nothing_is_copied(void)
{
    GstHarness *h = payloader(250);
    GstPad *pad = gst_element_get_static_pad(h->element, "src");
    Shape shape = some_shape(0, TRUE);
    g_autoptr(GstBuffer) frame = frame_of(&shape);
    g_autoptr(GPtrArray) packets = NULL;
    GstMemory *memory = gst_buffer_peek_memory(frame, 0);
    guint lists = 0;

    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER_LIST, count_lists, &lists, NULL);
    gst_harness_push(h, gst_buffer_ref(frame));
    packets = all_buffers(h);
    g_assert_cmpuint(packets->len, ==, 7);
    g_assert_cmpuint(lists, ==, 1);
    for (guint i = 0; i < packets->len; i++) {
        GstMemory *body = gst_buffer_peek_memory(packets->pdata[i], gst_buffer_n_memory(packets->pdata[i]) - 1);

        g_assert_true(body->parent == memory);
    }
    gst_object_unref(pad);
    harness_free(h);
}

static void
times_and_flags(void)
{
    const char *clocks[] = {"perfect-rtptime=true", "perfect-rtptime=false"};

    for (guint c = 0; c < G_N_ELEMENTS(clocks); c++) {
        g_autofree char *launch = g_strdup_printf("rtpm2tpay timestamp-offset=5 mtu=200 %s", clocks[c]);
        GstHarness *h = harness(launch, FRAMED_CAPS, NULL);

        for (guint i = 0; i < 5; i++) {
            Shape shape = some_shape(i, i == 0);
            g_autoptr(GPtrArray) packets = NULL;
            GstBuffer *frame = frame_of(&shape);

            GST_BUFFER_OFFSET(frame) = 1000 + i; /* a number of samples, to whom it may concern */
            if (i == 3)
                GST_BUFFER_FLAG_SET(frame, GST_BUFFER_FLAG_DISCONT);
            gst_harness_push(h, frame);
            packets = all_buffers(h);
            for (guint p = 0; p < packets->len; p++) {
                g_assert_cmpuint(look_at(packets->pdata[p]).timestamp, ==, 5 + i * FRAME_TICKS);
                g_assert_cmpuint(GST_BUFFER_PTS(packets->pdata[p]), ==, i * FRAME_TIME);
                g_assert_cmpuint(GST_BUFFER_DTS(packets->pdata[p]), ==, i * FRAME_TIME);
                g_assert_cmpint(GST_BUFFER_IS_DISCONT(packets->pdata[p]), ==, p == 0 && i == 3);
            }
        }
        harness_free(h);
    }
}

static void
packets_too_small(void)
{
    Shape shape = some_shape(0, TRUE);
    g_autoptr(GByteArray) header = header_of(&shape);
    GstHarness *h = payloader(RTP_HEADER + DESCRIPTOR + header->len);

    g_assert_cmpint(gst_harness_push(h, frame_of(&shape)), ==, GST_FLOW_ERROR);
    g_assert_cmpint(posted_error(h, GST_LIBRARY_ERROR), ==, GST_LIBRARY_ERROR_SETTINGS);
    harness_free(h);
    h = payloader(RTP_HEADER + DESCRIPTOR + header->len + 1);
    g_assert_cmpint(gst_harness_push(h, frame_of(&shape)), ==, GST_FLOW_OK);
    harness_free(h);
}

/* What is no frame is left out and does not stop the stream. */
static void
bad_frames_are_skipped(void)
{
    GstHarness *h = payloader(200);
    Shape shape = some_shape(0, TRUE);
    g_autoptr(GstBuffer) frame = frame_of(&shape);
    gsize size = gst_buffer_get_size(frame);
    guint good = 0;

    for (gsize cut = 0; cut <= size; cut += cut < 60 || cut > size - 20 ? 1 : 19) {
        g_assert_cmpint(gst_harness_push(h, gst_buffer_copy_region(frame, GST_BUFFER_COPY_ALL, 0, cut)), ==, GST_FLOW_OK);
        good += cut == size;
    }
    g_assert_cmpuint(good, ==, 1);
    g_assert_cmpuint(gst_harness_buffers_received(h), ==, gst_harness_buffers_in_queue(h));
    for (gsize i = gst_harness_buffers_in_queue(h); i > 0; i--) {
        g_autoptr(GstBuffer) packet = gst_harness_pull(h);

        g_assert_cmpint(look_at(packet).marker, ==, i == 1);
    }
    harness_free(h);
}

/* --- caps and SDP --- */

static void
caps_of_payloader(void)
{
    GstHarness *h = harness("rtpm2tpay", FRAMED_CAPS ", width=64, height=48, framerate=30000/1001, profile=small", NULL);
    GstStructure *s;
    gint rate;

    gst_buffer_unref(gst_harness_push_and_pull(h, frame_of(&(Shape) {0, TRUE, 1, {10}})));
    s = current_caps(h);
    g_assert_cmpstr(gst_structure_get_name(s), ==, "application/x-rtp");
    g_assert_cmpstr(gst_structure_get_string(s, "media"), ==, "video");
    g_assert_cmpstr(gst_structure_get_string(s, "encoding-name"), ==, "M2T");
    g_assert_cmpstr(gst_structure_get_string(s, "width"), ==, "64");
    g_assert_cmpstr(gst_structure_get_string(s, "height"), ==, "48");
    g_assert_cmpstr(gst_structure_get_string(s, "exactframerate"), ==, "30000/1001");
    g_assert_cmpstr(gst_structure_get_string(s, "profile"), ==, "small");
    g_assert_true(gst_structure_get_int(s, "clock-rate", &rate));
    g_assert_cmpint(rate, ==, 90000);
    gst_structure_free(s);
    harness_free(h);
}

static void
caps_of_depayloader(void)
{
    const struct {
        const char *rtp, *video;
    } cases[] = {
        {"", ""},
        {", width=(string)64, height=(string)48, exactframerate=(string)25, profile=(string)tiny",
         ", width=64, height=48, framerate=25/1, profile=tiny"},
        {", exactframerate=(string)30000/1001", ", framerate=30000/1001"},
        {", width=(string)0, height=(string)-3, exactframerate=(string)fast", ""},
        {", width=(string)99999999999999999999, height=(string)\"48 \", exactframerate=(string)1/0", ""},
        {", width=(int)64, exactframerate=(string)-25", ""},
        {", width=(string)15, height=(string)8193", ""},
        {", width=(string)16, height=(string)8192", ", width=16, height=8192"},
        {", exactframerate=(string)-2147483648/1", ""},
        {", exactframerate=(string)1/-2147483648", ""},
        {", exactframerate=(string)30/0", ""},
        {", exactframerate=(string)30/", ""},
        {", exactframerate=(string)30/1/1", ""},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *rtp = g_strconcat(RTP_CAPS, cases[i].rtp, NULL), *video = g_strconcat(FRAMED_CAPS, cases[i].video, NULL);
        g_autoptr(GstCaps) expected = gst_caps_from_string(video), caps = NULL;
        GstHarness *h = harness("rtpm2tdepay", rtp, NULL);

        caps = gst_pad_get_current_caps(h->sinkpad);
        g_test_message("%s", cases[i].rtp);
        g_assert_true(gst_caps_is_equal(caps, expected));
        harness_free(h);
    }
}

/* From caps to the text of a session description and back. */
static void
through_sdp(void)
{
    g_autoptr(GstCaps) caps = gst_caps_from_string(RTP_CAPS ", width=(string)1280, height=(string)720, "
                                                            "exactframerate=(string)30000/1001, profile=(string)standard, ssrc=(uint)7, "
                                                            "rtcp-fb-nack-pli=(boolean)true");
    g_autoptr(GstCaps) back = NULL, template G_GNUC_UNUSED = NULL;
    g_autofree char *text = NULL;
    GstElementFactory *factory = gst_element_factory_find("rtpm2tdepay");
    const char *fields[] = {"media", "encoding-name", "width", "height", "exactframerate", "profile"};
    GstSDPMessage *message;
    GstSDPMedia *media;

    gst_sdp_media_new(&media);
    g_assert_cmpint(gst_sdp_media_set_media_from_caps(caps, media), ==, GST_SDP_OK);
    gst_sdp_message_new(&message);
    gst_sdp_message_add_media(message, media);
    text = gst_sdp_message_as_text(message);
    g_assert_nonnull(strstr(text, "a=rtpmap:96 M2T/90000\r\n"));
    g_assert_nonnull(strstr(text, "a=rtcp-fb:96 nack pli\r\n"));
    g_assert_nonnull(strstr(text, "exactframerate=30000/1001"));
    gst_sdp_media_free(media);
    gst_sdp_message_free(message);

    gst_sdp_message_new_from_text(text, &message);
    back = gst_sdp_media_get_caps_from_media(gst_sdp_message_get_media(message, 0), 96);
    gst_structure_set_name(gst_caps_get_structure(back, 0), "application/x-rtp"); /* as rtspsrc and webrtcbin do */
    for (guint i = 0; i < G_N_ELEMENTS(fields); i++)
        g_assert_cmpstr(gst_structure_get_string(gst_caps_get_structure(back, 0), fields[i]), ==,
                        gst_structure_get_string(gst_caps_get_structure(caps, 0), fields[i]));
    g_assert_true(gst_element_factory_can_sink_all_caps(factory, back));
    gst_object_unref(factory);
    gst_sdp_message_free(message);
}

/* --- loss --- */

/* Each single packet lost in turn: the slices in it are missing, nothing else is. */
static void
one_packet_lost(void)
{
    const guint lost_slices[] = {0x03, 0x04, 0x08, 0x08, 0x08, 0x08, 0x30}; /* by packet: those of packets_are_as_documented() */
    g_autoptr(GPtrArray) packets = packets_of(2, 2, 250);

    for (guint lost = 0; lost < G_N_ELEMENTS(lost_slices); lost++) {
        GstHarness *h = depayloader("");
        Shape damaged_shape = some_shape(0, TRUE), next_shape = some_shape(1, FALSE);
        g_autoptr(GstBuffer) expected = NULL, next_expected = frame_of(&next_shape), out = NULL, next = NULL;

        for (guint s = 0; s < damaged_shape.slices; s++)
            damaged_shape.size[s] = lost_slices[lost] >> s & 1 ? 0 : damaged_shape.size[s];
        expected = frame_of(&damaged_shape);
        give_all_but(h, packets, lost, 1);
        g_assert_cmpuint(gst_harness_buffers_received(h), ==, 2);
        out = gst_harness_pull(h);
        next = gst_harness_pull(h);
        assert_same_bytes(out, expected);
        assert_same_bytes(next, next_expected);
        g_assert_true(GST_BUFFER_FLAG_IS_SET(out, GST_BUFFER_FLAG_CORRUPTED));
        g_assert_false(GST_BUFFER_FLAG_IS_SET(next, GST_BUFFER_FLAG_CORRUPTED));
        g_assert_false(GST_BUFFER_IS_DISCONT(next));
        g_assert_cmpuint(GST_BUFFER_PTS(out), ==, 0);
        g_assert_cmpuint(GST_BUFFER_PTS(next), ==, FRAME_TIME);
        g_assert_cmpuint(requests_for_key_frames(h), ==, 0);
        harness_free(h);
    }
}

/* Frames are counted apart from packets: what comes in place of a lost frame is marked, what follows is not. */
static void
whole_frames_lost(void)
{
    g_autoptr(GPtrArray) packets = packets_of(4, 4, 1400);
    GstHarness *h = depayloader("");

    g_assert_cmpuint(packets->len, ==, 4);
    give_all_but(h, packets, 1, 1);
    for (guint i = 0; i < 4; i += i ? 1 : 2) {
        g_autoptr(GstBuffer) out = gst_harness_pull(h);

        g_assert_cmpuint(number_of(out), ==, i);
        g_assert_cmpint(GST_BUFFER_IS_DISCONT(out), ==, i == 0 || i == 2);
        g_assert_false(GST_BUFFER_FLAG_IS_SET(out, GST_BUFFER_FLAG_CORRUPTED));
    }
    harness_free(h);
}

/* A hole in the sequence numbers that no frame has is no loss: packets of forward error correction leave such holes. */
static void
holes_without_loss(void)
{
    g_autoptr(GPtrArray) packets = packets_of(3, 3, 250);
    GstHarness *h = depayloader("wait-for-keyframe=true request-keyframe=true");

    for (guint i = 0; i < packets->len; i++) {
        GstRTPBuffer rtp = GST_RTP_BUFFER_INIT;
        g_autoptr(GstBuffer) packet = gst_buffer_copy_deep(packets->pdata[i]);

        gst_rtp_buffer_map(packet, GST_MAP_WRITE, &rtp);
        gst_rtp_buffer_set_seq(&rtp, (guint16) (65000 + 3 * i * i));
        gst_rtp_buffer_unmap(&rtp);
        give(h, packet);
    }
    g_assert_cmpuint(gst_harness_buffers_received(h), ==, 3);
    for (guint i = 0; i < 3; i++) {
        Shape shape = some_shape(i, i == 0);
        g_autoptr(GstBuffer) expected = frame_of(&shape), out = gst_harness_pull(h);

        assert_same_bytes(out, expected);
        g_assert_false(GST_BUFFER_FLAG_IS_SET(out, GST_BUFFER_FLAG_CORRUPTED));
        g_assert_cmpint(GST_BUFFER_IS_DISCONT(out), ==, i == 0);
    }
    g_assert_cmpuint(requests_for_key_frames(h), ==, 0);
    harness_free(h);
}

/* Nothing came that begins a slice, so the frame has no header: it is lost as a whole. */
static void
only_continuations(void)
{
    g_autoptr(GPtrArray) packets = packets_of(3, 3, 250);
    GstHarness *h = depayloader("request-keyframe=true");

    for (guint i = 0; i < packets->len; i++) {
        Seen seen = look_at(packets->pdata[i]);

        if (seen.number != 1 || !(seen.flags & START))
            give(h, packets->pdata[i]);
    }
    g_assert_cmpuint(gst_harness_buffers_received(h), ==, 2);
    gst_buffer_unref(gst_harness_pull(h));
    {
        g_autoptr(GstBuffer) out = gst_harness_pull(h);

        g_assert_cmpuint(GST_BUFFER_PTS(out), ==, 2 * FRAME_TIME);
        g_assert_true(GST_BUFFER_IS_DISCONT(out));
    }
    g_assert_cmpuint(requests_for_key_frames(h), ==, 1);
    harness_free(h);
}

static void
waiting_for_key_frames(void)
{
    g_autoptr(GPtrArray) packets = packets_of(8, 4, 250);
    const struct {
        const char *properties;
        guint frames, requests;
        gboolean damaged;
    } cases[] = {
        {"", 8, 0, TRUE},
        {"request-keyframe=true", 8, 1, TRUE},
        {"wait-for-keyframe=true", 5, 3, FALSE}, /* 1, 2 and 3 are dropped, each asks */
        {"wait-for-keyframe=true request-keyframe=true", 5, 4, FALSE},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        GstHarness *h = depayloader(cases[i].properties);
        g_autoptr(GPtrArray) frames = NULL;
        gboolean damaged = FALSE;

        give_all_but(h, packets, 8, 1);
        frames = all_buffers(h);
        g_assert_cmpuint(frames->len, ==, cases[i].frames);
        for (guint f = 0; f < frames->len; f++)
            damaged |= GST_BUFFER_FLAG_IS_SET(frames->pdata[f], GST_BUFFER_FLAG_CORRUPTED);
        g_assert_cmpint(damaged, ==, cases[i].damaged);
        g_assert_cmpuint(requests_for_key_frames(h), ==, cases[i].requests);
        harness_free(h);
    }
}

/* One packet for each. */
static GPtrArray *
packets_of_refresh(guint count)
{
    g_autofree char *caps = raw_caps(WIDTH, 96, NULL);
    g_autoptr(GPtrArray) frames = coded_still_of(caps, "slices=3 intra-refresh=true key-int-max=5", count);
    GstHarness *h = harness("rtpm2tpay mtu=9000", FRAMED_CAPS ", width=64, height=96, framerate=25/1", NULL);
    GPtrArray *packets;

    for (guint i = 0; i < count; i++)
        g_assert_cmpint(gst_harness_push(h, gst_buffer_ref(frames->pdata[i])), ==, GST_FLOW_OK);
    packets = all_buffers(h);
    g_assert_cmpuint(packets->len, ==, count);
    harness_free(h);
    return packets;
}

/* Decodes @frames. All are shown; those before @whole, but for the first @before, say that they are damaged. */
static void
assert_damaged_between(GPtrArray *frames, guint before, guint whole)
{
    GstHarness *h = harness("m2tdec", FRAMED_CAPS ", width=64, height=96, framerate=25/1", NULL);

    for (guint i = 0; i < frames->len; i++) {
        guint number = number_of(frames->pdata[i]);
        g_autoptr(GstBuffer) shown = NULL;

        g_assert_cmpint(gst_harness_push(h, gst_buffer_ref(frames->pdata[i])), ==, GST_FLOW_OK);
        shown = gst_harness_try_pull(h);
        g_assert_nonnull(shown);
        g_assert_cmpint(GST_BUFFER_FLAG_IS_SET(shown, GST_BUFFER_FLAG_CORRUPTED), ==, number >= before && number < whole);
    }
    harness_free(h);
}

/* With intra refresh there is no other full key frame: the wait ends where a slice is renewed, and with the turns of the others the damage, of
 * which the decoder tells. The slices have their turns in frames 1, 3 and 4, then 6, 8 and 9, .... */
static void
waiting_with_intra_refresh(void)
{
    enum { FRAMES = 16 };
    g_autoptr(GPtrArray) packets = packets_of_refresh(FRAMES);
    const struct {
        guint first_lost, lost, next, whole;
    } cases[] = {
        {4, 1, 6, 9}, /* 5 begins a turn, and renews nothing */
        {7, 1, 8, 11},
        {0, 5, 6, 9}, /* joins late */
    };

    for (guint c = 0; c < G_N_ELEMENTS(cases); c++) {
        GstHarness *h = depayloader("wait-for-keyframe=true");
        g_autoptr(GPtrArray) frames = NULL;

        give_all_but(h, packets, cases[c].first_lost, cases[c].lost);
        frames = all_buffers(h);
        g_assert_cmpuint(frames->len, ==, cases[c].first_lost + FRAMES - cases[c].next);
        for (guint i = 0; i < frames->len; i++) {
            guint number = i < cases[c].first_lost ? i : i - cases[c].first_lost + cases[c].next;

            g_assert_cmpuint(number_of(frames->pdata[i]), ==, number);
            g_assert_false(GST_BUFFER_FLAG_IS_SET(frames->pdata[i], GST_BUFFER_FLAG_CORRUPTED));
        }
        assert_damaged_between(frames, cases[c].first_lost, cases[c].whole);
        harness_free(h);
    }
}

/* Who comes too late for the first key frame gets nothing before the next, and asks for it. */
static void
joining_late(void)
{
    g_autoptr(GPtrArray) packets = packets_of(6, 4, 250);
    GstHarness *h = depayloader("");
    g_autoptr(GstBuffer) first = NULL;

    give_all_but(h, packets, 0, 9);
    g_assert_cmpuint(gst_harness_buffers_received(h), ==, 2);
    first = gst_harness_pull(h);
    g_assert_cmpuint(number_of(first), ==, 4);
    g_assert_cmpuint(requests_for_key_frames(h), ==, 3);
    harness_free(h);
}

static void
push_lost_event(GstHarness *h, guint frame)
{
    GstStructure *lost = gst_structure_new("GstRTPPacketLost", "seqnum", G_TYPE_UINT, 0, "timestamp", G_TYPE_UINT64,
                                           (guint64) frame * FRAME_TIME, "duration", G_TYPE_UINT64, (guint64) FRAME_TIME,
                                           "might-have-been-fec", G_TYPE_BOOLEAN, TRUE, NULL);

    gst_harness_push_event(h, gst_event_new_custom(GST_EVENT_CUSTOM_DOWNSTREAM, lost));
}

/* What a jitter buffer reports becomes a gap where there will be no frame, and nowhere else. */
static void
gaps(void)
{
    g_autoptr(GPtrArray) packets = packets_of(4, 4, 250);
    GstHarness *h = depayloader("");
    GString *log = arrivals(h);

    for (guint i = 0; i < packets->len; i++) {
        Seen seen = look_at(packets->pdata[i]);
        gboolean lost = seen.number == 2 || (seen.number == 1 && seen.slice == 3);

        if (lost)
            push_lost_event(h, seen.number);
        else
            give(h, packets->pdata[i]);
    }
    g_assert_nonnull(strstr(log->str, "b0 b1 g b3 "));
    harness_free(h);
}

/* The end of a stream, and a flush, in the middle of a frame. */
static void
ends_and_flushes(void)
{
    g_autoptr(GPtrArray) packets = packets_of(3, 3, 250);
    GstHarness *h = depayloader("");
    g_autoptr(GstBuffer) out G_GNUC_UNUSED = NULL;

    give_all_but(h, packets, 8, 100);
    g_assert_cmpuint(gst_harness_buffers_received(h), ==, 1);
    gst_harness_push_event(h, gst_event_new_flush_start());
    gst_harness_push_event(h, gst_event_new_flush_stop(TRUE));
    {
        GstSegment segment;

        gst_segment_init(&segment, GST_FORMAT_TIME);
        gst_harness_push_event(h, gst_event_new_segment(&segment));
    }
    for (guint i = 0; i < 3; i++)
        give(h, packets->pdata[i]);
    g_assert_cmpuint(gst_harness_buffers_received(h), ==, 1);
    gst_harness_push_event(h, gst_event_new_eos());
    g_assert_cmpuint(gst_harness_buffers_received(h), ==, 2);
    harness_free(h);
}

/* --- hostile or confused senders --- */

static void
duplicates_and_disorder(void)
{
    g_autoptr(GPtrArray) packets = packets_of(40, 5, 250);
    GRand *random = g_rand_new_with_seed(1);

    for (guint round = 0; round < 50; round++) {
        GstHarness *h = depayloader(round % 2 ? "max-reorder=0" : "");
        g_autoptr(GPtrArray) frames = NULL;

        for (guint i = 0; i < packets->len; i++) {
            guint twist = (guint) g_rand_int_range(random, 0, 12);
            guint other = (guint) g_rand_int_range(random, (gint) (i < 9 ? 0 : i - 9), (gint) MIN(packets->len, i + 9));

            if (twist != 0)
                give(h, packets->pdata[twist == 1 ? other : i]);
            if (twist == 2)
                give(h, packets->pdata[other]);
        }
        frames = all_buffers(h);
        for (guint i = 0; i < frames->len; i++) {
            guint number = number_of(frames->pdata[i]);
            Shape shape = some_shape(number, number % 5 == 0);
            g_autoptr(GstBuffer) expected = frame_of(&shape);

            if (!GST_BUFFER_FLAG_IS_SET(frames->pdata[i], GST_BUFFER_FLAG_CORRUPTED))
                assert_same_bytes(frames->pdata[i], expected);
        }
        harness_free(h);
    }
    g_rand_free(random);
}

/* A frame that comes again after its end is not taken for another. */
static void
frames_that_come_twice(void)
{
    g_autoptr(GPtrArray) packets = packets_of(1, 1, 250);
    GstHarness *h = depayloader("max-reorder=0");

    for (guint i = 0; i < 3; i++)
        give_all_but(h, packets, 0, 0);
    g_assert_cmpuint(gst_harness_buffers_received(h), ==, 1);
    harness_free(h);
}

static void
bad_descriptors(void)
{
    const struct {
        guint8 bytes[8];
        guint size;
    } cases[] = {
        {{0}, 0},
        {{START}, 1},
        {{START, 0}, 2},
        {{START, 0, 0}, 3},
        {{0, 0, 0}, 3},
        {{0, 0, 0, 0, 0, 0}, 6},
        {{0, 0, 255, 255, 255, 255, 255, 1}, 8},
        {{START | 0x40, 0, 0, 0, 0, 0, 0, 0}, 8},
        {{START | 0x01, 0, 0, 0, 0, 0, 0, 0}, 8},
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 8},
    };
    GstHarness *h = depayloader("");

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        for (guint marker = 0; marker < 2; marker++)
            g_assert_cmpint(gst_harness_push(h, packet_of(2 * i + marker, i, marker, cases[i].bytes, cases[i].size)), ==, GST_FLOW_OK);
    }
    g_assert_cmpuint(gst_harness_buffers_received(h), ==, 0);
    harness_free(h);
}

/* Sixty-four slices of a gigabyte each: refused, and nothing is set aside for them. */
static void
claims_of_giants(void)
{
    const guint sizes[] = {G_MAXUINT32, 1u << 30, 1u << 26, (1u << 26) - 4};
    GstHarness *h = depayloader("");

    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        Shape shape = {i, TRUE, i == 3 ? 1 : M2T_SLICES_MAX, {0}};
        g_autoptr(GByteArray) payload = g_byte_array_new(), header = NULL;

        for (guint s = 0; s < shape.slices; s++)
            shape.size[s] = sizes[i];
        header = header_of(&shape);
        put(payload, START | KEY, 1);
        put(payload, i, 1);
        put(payload, 0, 1);
        g_byte_array_append(payload, header->data, header->len);
        put(payload, 0, 4);
        g_assert_cmpint(gst_harness_push(h, packet_of(i, i, TRUE, payload->data, payload->len)), ==, GST_FLOW_OK);
    }
    g_assert_cmpuint(gst_harness_buffers_received(h), ==, 0);
    harness_free(h);
}

/* The most that is allowed may be claimed, but then only what came is passed on. */
static void
claims_that_do_not_come(void)
{
    Shape shape = {0, TRUE, 4, {10000000, 10000000, 20000000, 20000000}};
    g_autoptr(GByteArray) payload = g_byte_array_new(), header = header_of(&shape);
    GstHarness *h = depayloader("");
    g_autoptr(GstBuffer) out = NULL;

    put(payload, START | KEY, 1);
    put(payload, 0, 1);
    put(payload, 2, 1);
    g_byte_array_append(payload, header->data, header->len);
    put(payload, 0, 4);
    g_assert_cmpint(gst_harness_push(h, packet_of(0, 0, TRUE, payload->data, payload->len)), ==, GST_FLOW_OK);
    out = gst_harness_try_pull(h);
    g_assert_nonnull(out);
    g_assert_cmpuint(gst_buffer_get_size(out), <=, payload->len);
    g_assert_true(GST_BUFFER_FLAG_IS_SET(out, GST_BUFFER_FLAG_CORRUPTED));
    harness_free(h);
}

/* Bytes of other packets, other frames and none: whatever comes out is no larger than what went in. */
static void
random_packets(void)
{
    g_autoptr(GPtrArray) packets = packets_of(6, 3, 200);
    GRand *random = g_rand_new_with_seed(2);
    GstHarness *h = depayloader("max-reorder=0");
    gsize in = 0, out = 0;

    for (guint i = 0; i < 50000; i++) {
        g_autoptr(GstBuffer) packet = gst_buffer_copy_deep(packets->pdata[(guint) g_rand_int_range(random, 0, (gint) packets->len)]);
        g_autoptr(GPtrArray) frames = NULL;

        for (guint changes = (guint) g_rand_int_range(random, 0, 4); changes > 0; changes--) {
            gsize size = gst_buffer_get_size(packet);
            guint8 byte = (guint8) g_rand_int(random);

            if (size > RTP_HEADER && g_rand_int_range(random, 0, 4) > 0)
                gst_buffer_fill(packet, (gsize) g_rand_int_range(random, RTP_HEADER, (gint) MIN(size, RTP_HEADER + 40)), &byte, 1);
            else if (size > RTP_HEADER)
                gst_buffer_set_size(packet, g_rand_int_range(random, RTP_HEADER, (gint) size));
        }
        in += gst_buffer_get_size(packet);
        give(h, packet);
        frames = all_buffers(h);
        for (guint f = 0; f < frames->len; f++)
            out += gst_buffer_get_size(frames->pdata[f]);
        g_assert_cmpuint(out, <=, in);
    }
    g_assert_cmpuint(out, >, 0);
    harness_free(h);
    g_rand_free(random);
}

int
main(int argc, char **argv)
{
    test_init(&argc, &argv);
    g_test_add_func("/rtp/round trip", round_trip);
    g_test_add_func("/rtp/every size", every_size);
    g_test_add_func("/rtp/missing slices pass", missing_slices_pass);
    g_test_add_func("/rtp/most slices", most_slices);
    g_test_add_func("/rtp/packets are as documented", packets_are_as_documented);
    g_test_add_func("/rtp/nothing is copied", nothing_is_copied);
    g_test_add_func("/rtp/times and flags", times_and_flags);
    g_test_add_func("/rtp/packets too small", packets_too_small);
    g_test_add_func("/rtp/bad frames are skipped", bad_frames_are_skipped);
    g_test_add_func("/rtp/caps of payloader", caps_of_payloader);
    g_test_add_func("/rtp/caps of depayloader", caps_of_depayloader);
    g_test_add_func("/rtp/through SDP", through_sdp);
    g_test_add_func("/rtp/one packet lost", one_packet_lost);
    g_test_add_func("/rtp/whole frames lost", whole_frames_lost);
    g_test_add_func("/rtp/holes without loss", holes_without_loss);
    g_test_add_func("/rtp/only continuations", only_continuations);
    g_test_add_func("/rtp/waiting for key frames", waiting_for_key_frames);
    g_test_add_func("/rtp/waiting with intra refresh", waiting_with_intra_refresh);
    g_test_add_func("/rtp/joining late", joining_late);
    g_test_add_func("/rtp/gaps", gaps);
    g_test_add_func("/rtp/ends and flushes", ends_and_flushes);
    g_test_add_func("/rtp/duplicates and disorder", duplicates_and_disorder);
    g_test_add_func("/rtp/frames that come twice", frames_that_come_twice);
    g_test_add_func("/rtp/bad descriptors", bad_descriptors);
    g_test_add_func("/rtp/claims of giants", claims_of_giants);
    g_test_add_func("/rtp/claims that do not come", claims_that_do_not_come);
    g_test_add_func("/rtp/random packets", random_packets);
    return test_run();
}
