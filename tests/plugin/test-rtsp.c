/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* M2T video from an RTSP server: described in SDP, found and decoded by clients that know nothing of it. */
#include "common.h"

#include <gst/rtsp-server/rtsp-server.h>

#define FRAMES 15
#define MEDIA                                                                                                                    \
    "( videotestsrc is-live=true pattern=ball ! video/x-raw, width=64, height=48, framerate=30000/1001 ! "                        \
    "m2tenc slices=3 ! rtpm2tpay name=pay0 pt=96 mtu=200 )"

static GMainLoop *loop;
static GThread *thread;
static char *location;

static gpointer
serve(gpointer data)
{
    g_main_loop_run(loop);
    return NULL;
}

static void
start_server(void)
{
    g_autoptr(GstRTSPServer) server = gst_rtsp_server_new();
    GstRTSPMountPoints *mounts = gst_rtsp_server_get_mount_points(server);
    GstRTSPMediaFactory *factory = gst_rtsp_media_factory_new();

    gst_rtsp_media_factory_set_launch(factory, MEDIA);
    gst_rtsp_mount_points_add_factory(mounts, "/m2t", factory);
    g_object_unref(mounts);
    gst_rtsp_server_set_address(server, "127.0.0.1");
    gst_rtsp_server_set_service(server, "0");
    g_assert_cmpuint(gst_rtsp_server_attach(server, NULL), !=, 0);
    location = g_strdup_printf("rtsp://127.0.0.1:%d/m2t", gst_rtsp_server_get_bound_port(server));
    loop = g_main_loop_new(NULL, FALSE);
    thread = g_thread_new("server", serve, NULL);
}

static void
stop_server(void)
{
    g_main_loop_quit(loop);
    g_thread_join(thread);
    g_main_loop_unref(loop);
    g_free(location);
}

/* The first frames that @format, with the location in it, gives. */
static void
assert_plays(const char *format)
{
    g_autofree char *launch = g_strdup_printf(format, location);
    g_autoptr(GError) error = NULL;
    GstElement *pipeline = gst_parse_launch(launch, &error), *out;

    g_test_message("%s", launch);
    g_assert_no_error(error);
    out = gst_bin_get_by_name(GST_BIN(pipeline), "out");
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    for (guint i = 0; i < FRAMES; i++) {
        GstSample *sample;
        GstStructure *s;
        gint width = 0, height = 0;

        g_signal_emit_by_name(out, "try-pull-sample", (guint64) 20 * GST_SECOND, &sample);
        g_assert_nonnull(sample);
        s = gst_caps_get_structure(gst_sample_get_caps(sample), 0);
        g_assert_true(gst_structure_get_int(s, "width", &width) && gst_structure_get_int(s, "height", &height));
        g_assert_cmpint(width, ==, WIDTH);
        g_assert_cmpint(height, ==, HEIGHT);
        g_assert_false(GST_BUFFER_FLAG_IS_SET(gst_sample_get_buffer(sample), GST_BUFFER_FLAG_CORRUPTED));
        gst_sample_unref(sample);
    }
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(out);
    gst_object_unref(pipeline);
}

static void
named_elements(void)
{
    assert_plays("rtspsrc location=%s latency=50 ! rtpm2tdepay ! m2tdec ! appsink name=out sync=false");
}

static void
over_tcp(void)
{
    assert_plays("rtspsrc location=%s latency=50 protocols=tcp ! rtpm2tdepay ! m2tdec ! appsink name=out sync=false");
}

static void
found_by_uri(void)
{
    assert_plays("uridecodebin uri=%s ! appsink name=out sync=false");
}

/* What the SDP said is in the caps before any packet came. */
static void
caps_from_sdp(void)
{
    g_autofree char *launch = g_strdup_printf("rtspsrc location=%s latency=50 ! rtpm2tdepay ! appsink name=out sync=false", location);
    GstElement *pipeline = gst_parse_launch(launch, NULL), *out = gst_bin_get_by_name(GST_BIN(pipeline), "out");
    g_autoptr(GstCaps) expected = gst_caps_from_string(FRAMED_CAPS ", width=64, height=48, framerate=30000/1001, profile=tiny");
    GstSample *sample;

    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    g_signal_emit_by_name(out, "try-pull-sample", (guint64) 20 * GST_SECOND, &sample);
    g_assert_nonnull(sample);
    g_assert_true(gst_caps_is_equal(gst_sample_get_caps(sample), expected));
    gst_sample_unref(sample);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(out);
    gst_object_unref(pipeline);
}

int
main(int argc, char **argv)
{
    int result;

    test_init(&argc, &argv);
    start_server();
    g_test_add_func("/rtsp/named elements", named_elements);
    g_test_add_func("/rtsp/over TCP", over_tcp);
    g_test_add_func("/rtsp/found by URI", found_by_uri);
    g_test_add_func("/rtsp/caps from SDP", caps_from_sdp);
    result = g_test_run();
    stop_server();
    return result;
}
