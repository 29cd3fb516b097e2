/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The RTP elements in pipelines with the real encoder and decoder: direct, over UDP, in sessions with feedback, and with
 * retransmission and forward error correction. */
#include "common.h"

#include <gst/rtp/rtp.h>
#include <string.h>

#define FRAMES 30
#define SOURCE "videotestsrc num-buffers=30 pattern=ball ! video/x-raw, width=64, height=48, framerate=25/1"
#define LIVE_SOURCE "videotestsrc num-buffers=30 pattern=ball is-live=true ! video/x-raw, width=64, height=48, framerate=25/1"
#define LONG_LIVE_SOURCE "videotestsrc num-buffers=500 pattern=ball is-live=true ! video/x-raw, width=64, height=48, framerate=25/1"
#define ENCODER "m2tenc name=enc slices=3 key-int-max=10"
#define OUT "appsink name=out sync=false"
#define RTP_CAPS "application/x-rtp, media=video, clock-rate=90000, encoding-name=M2T, payload=96"

/* --- pipelines --- */

static GstElement *
pipeline_of(const char *launch)
{
    g_autoptr(GError) error = NULL;
    GstElement *pipeline = gst_parse_launch(launch, &error);

    g_test_message("%s", launch);
    g_assert_no_error(error);
    return pipeline;
}

static void
assert_same_samples(GPtrArray *a, GPtrArray *b)
{
    g_assert_cmpuint(a->len, ==, b->len);
    for (guint i = 0; i < a->len; i++)
        g_assert_cmpfloat(psnr(gst_sample_get_buffer(a->pdata[i]), gst_sample_get_buffer(b->pdata[i])), ==, 99);
}

/* The pictures as they are without any transport. */
static GPtrArray *
reference(void)
{
    return samples_of(SOURCE " ! " ENCODER " ! m2tdec ! " OUT);
}

/* --- what happens on a pad --- */

/* Loses the packets whose count modulo @of is @which. The first frame is spared, and the end, after which there is no time for repair. */
typedef struct {
    guint of, which, until;
    guint seen, lost;
} Loss;

static GstPadProbeReturn
lose_packet(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
    Loss *loss = data;
    gboolean lost = loss->seen > loss->of && loss->seen < loss->until && loss->seen % loss->of == loss->which;

    loss->seen++;
    loss->lost += lost;
    return lost ? GST_PAD_PROBE_DROP : GST_PAD_PROBE_OK;
}

static GstPadProbeReturn
count_key_requests(GstPad *pad, GstPadProbeInfo *info, gpointer count)
{
    *(guint *) count += gst_video_event_is_force_key_unit(GST_PAD_PROBE_INFO_EVENT(info)) != 0;
    return GST_PAD_PROBE_OK;
}

static GstPadProbeReturn
count_key_frames(GstPad *pad, GstPadProbeInfo *info, gpointer count)
{
    g_atomic_int_add((gint *) count, !is_delta(GST_PAD_PROBE_INFO_BUFFER(info)));
    return GST_PAD_PROBE_OK;
}

static GstPadProbeReturn
count_pictures(GstPad *pad, GstPadProbeInfo *info, gpointer count)
{
    g_atomic_int_inc((gint *) count);
    return GST_PAD_PROBE_OK;
}

static void
probe(GstElement *pipeline, const char *element, GstPadProbeType type, GstPadProbeCallback callback, gpointer data)
{
    GstElement *found = gst_bin_get_by_name(GST_BIN(pipeline), element);
    GstPad *pad = gst_element_get_static_pad(found, "src");

    gst_pad_add_probe(pad, type, callback, data, NULL);
    gst_object_unref(pad);
    gst_object_unref(found);
}

/* --- without a session --- */

static void
direct(void)
{
    const guint mtus[] = {150, 400, 1400};
    g_autoptr(GPtrArray) expected = reference();

    g_assert_cmpuint(expected->len, ==, FRAMES);
    for (guint i = 0; i < G_N_ELEMENTS(mtus); i++) {
        g_autoptr(GPtrArray) samples = samples_of(SOURCE " ! " ENCODER " ! rtpm2tpay mtu=%u ! rtpm2tdepay ! m2tdec ! " OUT, mtus[i]);

        assert_same_samples(samples, expected);
    }
}

/* The packets name what they carry, and decodebin finds the rest. */
static void
found_by_decodebin(void)
{
    g_autoptr(GPtrArray) expected = reference();
    g_autoptr(GPtrArray) samples = samples_of(SOURCE " ! " ENCODER " ! rtpm2tpay mtu=200 ! decodebin ! " OUT);

    assert_same_samples(samples, expected);
}

/* From one container to another, without decoding. */
static void
into_a_file(void)
{
    g_autofree char *path = temporary("rtp.mp4");
    g_autoptr(GPtrArray) expected = reference(), samples = NULL;

    assert_runs(SOURCE " ! " ENCODER " ! rtpm2tpay mtu=200 ! rtpm2tdepay ! m2tparse ! mp4mux ! filesink location=%s", path);
    samples = samples_of("filesrc location=%s ! qtdemux ! m2tdec ! " OUT, path);
    assert_same_samples(samples, expected);
}

/* A file is in the other form, which the parser changes. */
static void
out_of_a_file(void)
{
    g_autofree char *path = temporary("rtp.m2tv");
    g_autoptr(GPtrArray) expected = reference(), samples = NULL;

    assert_runs(SOURCE " ! " ENCODER " ! filesink location=%s", path);
    samples = samples_of("filesrc location=%s ! m2tparse ! rtpm2tpay mtu=200 ! rtpm2tdepay ! m2tdec ! " OUT, path);
    assert_same_samples(samples, expected);
}

/* New caps in the middle of the stream are those of the packets that follow. */
static void
changes_of_size(void)
{
    g_autoptr(GPtrArray) samples =
        samples_of("concat name=c ! m2tenc ! rtpm2tpay mtu=200 ! rtpm2tdepay ! m2tdec ! " OUT
                   " videotestsrc num-buffers=3 ! video/x-raw, width=64, height=48 ! c. "
                   "videotestsrc num-buffers=3 ! video/x-raw, width=96, height=80 ! c.");

    g_assert_cmpuint(samples->len, ==, 6);
    for (guint i = 0; i < samples->len; i++) {
        gint width;

        gst_structure_get_int(gst_caps_get_structure(gst_sample_get_caps(samples->pdata[i]), 0), "width", &width);
        g_assert_cmpint(width, ==, i < 3 ? 64 : 96);
    }
}

/* Every picture comes, and those that leave out what was lost say so. */
static void
with_loss(void)
{
    const char *encoders[] = {ENCODER, "m2tenc name=enc slices=3 intra-refresh=true", "m2tenc name=enc slices=3 key-int-max=1"};

    for (guint i = 0; i < G_N_ELEMENTS(encoders); i++) {
        g_autofree char *launch =
            g_strdup_printf(SOURCE " ! %s ! rtpm2tpay mtu=150 ! identity name=loss ! rtpm2tdepay ! m2tdec ! " OUT, encoders[i]);
        GstElement *pipeline = pipeline_of(launch);
        Loss loss = {17, 5, 1000};
        g_autoptr(GPtrArray) samples = NULL;
        guint corrupted = 0;

        probe(pipeline, "loss", GST_PAD_PROBE_TYPE_BUFFER, lose_packet, &loss);
        samples = samples_from(pipeline);
        for (guint s = 0; s < samples->len; s++)
            corrupted += GST_BUFFER_FLAG_IS_SET(gst_sample_get_buffer(samples->pdata[s]), GST_BUFFER_FLAG_CORRUPTED) != 0;
        g_test_message("%s: %u of %u packets lost, %u pictures, %u damaged", encoders[i], loss.lost, loss.seen, samples->len, corrupted);
        g_assert_cmpuint(loss.lost, >, 0);
        g_assert_cmpuint(corrupted, >, 0);
        g_assert_cmpuint(samples->len + loss.lost, >=, FRAMES); /* a packet costs one picture at most */
    }
}

/* --- over sockets --- */

/* Opens the socket of the udpsrc @name. Returns: its port. */
static gint
open_port(GstElement *pipeline, const char *name)
{
    GstElement *source = gst_bin_get_by_name(GST_BIN(pipeline), name);
    gint port;

    gst_element_set_state(source, GST_STATE_READY);
    g_object_get(source, "port", &port, NULL);
    gst_object_unref(source);
    return port;
}

static void
send_to(GstElement *pipeline, const char *name, gint port)
{
    GstElement *sink = gst_bin_get_by_name(GST_BIN(pipeline), name);

    g_object_set(sink, "host", "127.0.0.1", "port", port, "sync", FALSE, "async", FALSE, NULL);
    gst_object_unref(sink);
}

static void
stop(GstElement *pipeline)
{
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
}

/* Takes both to their end. RTP itself has none: it ends when nothing comes any more. Returns: what arrived at the receiver. */
static GPtrArray *
samples_over_network(GstElement *sender, GstElement *receiver)
{
    GPtrArray *samples = g_ptr_array_new_with_free_func((GDestroyNotify) gst_sample_unref);
    GstElement *out = gst_bin_get_by_name(GST_BIN(receiver), "out");
    GstSample *sample;

    gst_element_set_state(receiver, GST_STATE_PLAYING);
    gst_element_set_state(sender, GST_STATE_PLAYING);
    do {
        g_signal_emit_by_name(out, "try-pull-sample", (guint64) (samples->len > 0 ? 5 : 20) * GST_SECOND, &sample);
        if (sample != NULL)
            g_ptr_array_add(samples, sample);
    } while (sample != NULL && samples->len < FRAMES);
    gst_object_unref(out);
    stop(sender);
    stop(receiver);
    return samples;
}

static void
over_udp(void)
{
    g_autoptr(GPtrArray) expected = reference(), samples = NULL;
    GstElement *sender = pipeline_of(LIVE_SOURCE " ! " ENCODER " ! rtpm2tpay mtu=200 ! udpsink name=rtp");
    GstElement *receiver = pipeline_of("udpsrc name=rtp address=127.0.0.1 port=0 caps=\"" RTP_CAPS "\" ! rtpjitterbuffer latency=50 ! "
                                       "rtpm2tdepay ! m2tdec ! " OUT);

    send_to(sender, "rtp", open_port(receiver, "rtp"));
    samples = samples_over_network(sender, receiver);
    assert_same_samples(samples, expected);
}

/* --- sessions --- */

/* Both ends play until *@count is @enough, for 20 seconds at most. */
static void
run_until(GstElement *sender, GstElement *receiver, const gint *count, gint enough)
{
    gst_element_set_state(receiver, GST_STATE_PLAYING);
    gst_element_set_state(sender, GST_STATE_PLAYING);
    for (guint wait = 0; wait < 1000 && g_atomic_int_get(count) < enough; wait++)
        g_usleep(20000);
    stop(sender);
    stop(receiver);
}

/* A lost packet becomes a picture loss indication, and that a key frame; whether the depayloader asks for it or the decoder. */
static void
feedback(void)
{
    const char *depayloaders[] = {"rtpm2tdepay", "rtpm2tdepay request-keyframe=true", "rtpm2tdepay wait-for-keyframe=true"};

    for (guint i = 0; i < G_N_ELEMENTS(depayloaders); i++) {
        g_autofree char *receiving = g_strdup_printf(
            "rtpbin name=bin rtp-profile=avpf latency=60 do-lost=true udpsrc name=rtp address=127.0.0.1 port=0 "
            "caps=\"" RTP_CAPS ", rtcp-fb-nack-pli=(boolean)true\" ! bin.recv_rtp_sink_0 udpsrc name=rtcp address=127.0.0.1 port=0 ! "
            "bin.recv_rtcp_sink_0 bin.send_rtcp_src_0 ! udpsink name=feedback bin. ! %s ! m2tdec name=dec ! fakesink",
            depayloaders[i]);
        GstElement *receiver = pipeline_of(receiving);
        GstElement *sender = pipeline_of("rtpbin name=bin rtp-profile=avpf " LONG_LIVE_SOURCE " ! m2tenc name=enc slices=3 key-int-max=1000 ! "
                                         "rtpm2tpay mtu=200 ! " RTP_CAPS ", rtcp-fb-nack-pli=(boolean)true ! identity name=loss ! "
                                         "bin.send_rtp_sink_0 bin.send_rtp_src_0 ! udpsink name=rtp bin.send_rtcp_src_0 ! udpsink name=rtcp "
                                         "udpsrc name=feedback address=127.0.0.1 port=0 ! bin.recv_rtcp_sink_0");
        Loss loss = {40, 5, 50};
        guint requests = 0;
        gint key_frames = 0, pictures = 0;

        send_to(sender, "rtp", open_port(receiver, "rtp"));
        send_to(sender, "rtcp", open_port(receiver, "rtcp"));
        send_to(receiver, "feedback", open_port(sender, "feedback"));
        probe(sender, "loss", GST_PAD_PROBE_TYPE_BUFFER, lose_packet, &loss);
        probe(sender, "enc", GST_PAD_PROBE_TYPE_EVENT_UPSTREAM, count_key_requests, &requests);
        probe(sender, "enc", GST_PAD_PROBE_TYPE_BUFFER, count_key_frames, &key_frames);
        probe(receiver, "dec", GST_PAD_PROBE_TYPE_BUFFER, count_pictures, &pictures);
        run_until(sender, receiver, &key_frames, 2);
        g_test_message("%u of %u packets lost, %u requests, %d key frames, %d pictures", loss.lost, loss.seen, requests, key_frames, pictures);
        g_assert_cmpuint(loss.lost, >, 0);
        g_assert_cmpuint(requests, >, 0);
        g_assert_cmpint(key_frames, >, 1);
        g_assert_cmpint(pictures, >, 0);
    }
}

/* Every lost packet is sent again in time, and the pictures are as if none had been lost. */
static void
retransmission(void)
{
    g_autoptr(GPtrArray) expected = reference(), samples = NULL;
    GstElement *pipeline = pipeline_of(LIVE_SOURCE " ! " ENCODER " ! rtpm2tpay mtu=200 ! rtprtxsend name=send ! identity name=loss ! "
                                       "rtprtxreceive name=receive ! rtpssrcdemux ! rtpjitterbuffer do-retransmission=true latency=1000 ! "
                                       "rtpm2tdepay ! m2tdec ! " OUT);
    GstStructure *map = gst_structure_new("application/x-rtp-pt-map", "96", G_TYPE_UINT, 99u, NULL);
    GstElement *send = gst_bin_get_by_name(GST_BIN(pipeline), "send"), *receive = gst_bin_get_by_name(GST_BIN(pipeline), "receive");
    Loss loss = {11, 5, 50};

    g_object_set(send, "payload-type-map", map, NULL);
    g_object_set(receive, "payload-type-map", map, NULL);
    gst_structure_free(map);
    gst_object_unref(send);
    gst_object_unref(receive);
    probe(pipeline, "loss", GST_PAD_PROBE_TYPE_BUFFER, lose_packet, &loss);
    samples = samples_from(pipeline);
    g_assert_cmpuint(loss.lost, >, 3);
    assert_same_samples(samples, expected);
}

/* RFC 5109: packets among the others that repair them. They take sequence numbers which never come out; that is no loss, and nobody asks for
 * a key frame. */
static void
forward_error_correction(void)
{
    g_autoptr(GPtrArray) expected = reference(), samples = NULL;
    GstElement *pipeline = pipeline_of(LIVE_SOURCE " ! " ENCODER " ! rtpm2tpay mtu=200 ! rtpulpfecenc pt=122 percentage=100 ! "
                                       "identity name=loss ! rtpstorage name=storage size-time=1000000000 ! "
                                       "rtpssrcdemux ! " RTP_CAPS " ! rtpjitterbuffer do-lost=true latency=500 ! "
                                       "rtpulpfecdec name=fec pt=122 ! rtpm2tdepay request-keyframe=true ! m2tdec ! " OUT);
    GstElement *storage = gst_bin_get_by_name(GST_BIN(pipeline), "storage"), *fec = gst_bin_get_by_name(GST_BIN(pipeline), "fec");
    Loss loss = {13, 5, 100};
    GObject *internal;
    guint recovered, requests = 0;

    g_object_get(storage, "internal-storage", &internal, NULL);
    g_object_set(fec, "storage", internal, NULL);
    g_object_unref(internal);
    probe(pipeline, "enc", GST_PAD_PROBE_TYPE_EVENT_UPSTREAM, count_key_requests, &requests);
    probe(pipeline, "loss", GST_PAD_PROBE_TYPE_BUFFER, lose_packet, &loss);
    samples = samples_from(pipeline);
    g_object_get(fec, "recovered", &recovered, NULL);
    g_test_message("%u of %u packets lost, %u recovered, %u requests", loss.lost, loss.seen, recovered, requests);
    assert_same_samples(samples, expected);
    g_assert_cmpuint(recovered, >, 0);
    g_assert_cmpuint(requests, ==, 0);
    gst_object_unref(storage);
    gst_object_unref(fec);
}

/* SMPTE ST 2022-1 has its parity in two streams of its own; it asks for an SSRC of 0. */
static void
parity_by_row_and_column(void)
{
    g_autoptr(GPtrArray) expected = reference(), samples = NULL;
    GstElement *pipeline = pipeline_of(LIVE_SOURCE " ! " ENCODER " ! rtpm2tpay mtu=200 ssrc=0 ! "
                                       "rtpst2022-1-fecenc name=parity rows=4 columns=4 ! identity name=loss ! "
                                       "rtpst2022-1-fecdec name=repair ! rtpjitterbuffer do-lost=true latency=1000 ! "
                                       "rtpm2tdepay ! m2tdec ! " OUT " parity.fec_0 ! queue ! repair.fec_0 "
                                       "parity.fec_1 ! queue ! repair.fec_1");
    Loss loss = {11, 5, 40};

    probe(pipeline, "loss", GST_PAD_PROBE_TYPE_BUFFER, lose_packet, &loss);
    samples = samples_from(pipeline);
    g_assert_cmpuint(loss.lost, >, 1);
    assert_same_samples(samples, expected);
}

int
main(int argc, char **argv)
{
    test_init(&argc, &argv);
    g_test_add_func("/rtp-session/direct", direct);
    g_test_add_func("/rtp-session/found by decodebin", found_by_decodebin);
    g_test_add_func("/rtp-session/into a file", into_a_file);
    g_test_add_func("/rtp-session/out of a file", out_of_a_file);
    g_test_add_func("/rtp-session/changes of size", changes_of_size);
    g_test_add_func("/rtp-session/with loss", with_loss);
    g_test_add_func("/rtp-session/over UDP", over_udp);
    g_test_add_func("/rtp-session/feedback", feedback);
    g_test_add_func("/rtp-session/retransmission", retransmission);
    g_test_add_func("/rtp-session/forward error correction", forward_error_correction);
    g_test_add_func("/rtp-session/parity by row and column", parity_by_row_and_column);
    return test_run();
}
