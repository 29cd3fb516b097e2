/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two WebRTC peers in one program: one offers M2T video, the other takes it and decodes. No browser has the codec, but between
 * applications of GStreamer it is one entry of the offer like any other. */
#define GST_USE_UNSTABLE_API
#include "common.h"

#include <gst/webrtc/webrtc.h>
#include <string.h>

#define ENOUGH 15 /* pictures */

typedef struct {
    GstElement *sender, *receiver;         /* pipelines */
    GstElement *sender_bin, *receiver_bin; /* the webrtcbin in each */
    GMainLoop *loop;
    char *offer, *answer;
    gint pictures, key_requests;
} Call;

/* --- offer and answer --- */

/* The description in a reply. Returns: its text. */
static char *
agree(GstPromise *promise, const char *name, GstElement *from, GstElement *to)
{
    const GstStructure *reply = gst_promise_get_reply(promise);
    GstWebRTCSessionDescription *description = NULL;
    char *text;

    gst_structure_get(reply, name, GST_TYPE_WEBRTC_SESSION_DESCRIPTION, &description, NULL);
    g_assert_nonnull(description);
    gst_promise_unref(promise);
    g_signal_emit_by_name(from, "set-local-description", description, NULL);
    g_signal_emit_by_name(to, "set-remote-description", description, NULL);
    text = gst_sdp_message_as_text(description->sdp);
    gst_webrtc_session_description_free(description);
    return text;
}

static void
on_answer(GstPromise *promise, gpointer data)
{
    Call *call = data;

    call->answer = agree(promise, "answer", call->receiver_bin, call->sender_bin);
}

static void
on_offer(GstPromise *promise, gpointer data)
{
    Call *call = data;

    call->offer = agree(promise, "offer", call->sender_bin, call->receiver_bin);
    g_signal_emit_by_name(call->receiver_bin, "create-answer", NULL, gst_promise_new_with_change_func(on_answer, call, NULL));
}

static void
on_negotiation_needed(GstElement *bin, gpointer data)
{
    g_signal_emit_by_name(bin, "create-offer", NULL, gst_promise_new_with_change_func(on_offer, data, NULL));
}

static void
on_candidate(GstElement *bin, guint line, const char *candidate, gpointer other)
{
    g_signal_emit_by_name(other, "add-ice-candidate", line, candidate);
}

/* --- media --- */

static GstPadProbeReturn
count_picture(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
    Call *call = data;

    gint pictures = g_atomic_int_add(&call->pictures, 1) + 1;

    if (pictures == 5) /* as if the decoder had found damage */
        gst_pad_send_event(pad, gst_video_event_new_upstream_force_key_unit(GST_CLOCK_TIME_NONE, TRUE, 0));
    if (pictures >= ENOUGH && g_atomic_int_get(&call->key_requests) > 0)
        g_main_loop_quit(call->loop);
    return GST_PAD_PROBE_OK;
}

static void
on_stream(GstElement *bin, GstPad *pad, gpointer data)
{
    Call *call = data;
    GstElement *decoder = gst_parse_bin_from_description("rtpm2tdepay ! m2tdec name=dec ! fakesink async=false", TRUE, NULL);
    GstElement *inner = gst_bin_get_by_name(GST_BIN(decoder), "dec");
    GstPad *sink = gst_element_get_static_pad(decoder, "sink"), *out = gst_element_get_static_pad(inner, "src");

    gst_pad_add_probe(out, GST_PAD_PROBE_TYPE_BUFFER, count_picture, call, NULL);
    gst_bin_add(GST_BIN(call->receiver), decoder);
    g_assert_cmpint(gst_pad_link(pad, sink), ==, GST_PAD_LINK_OK);
    gst_element_sync_state_with_parent(decoder);
    gst_object_unref(out);
    gst_object_unref(sink);
    gst_object_unref(inner);
}

static GstPadProbeReturn
count_key_request(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
    if (gst_video_event_is_force_key_unit(GST_PAD_PROBE_INFO_EVENT(info)))
        g_atomic_int_inc(&((Call *) data)->key_requests);
    return GST_PAD_PROBE_OK;
}

static gboolean
give_up(gpointer loop)
{
    g_main_loop_quit(loop);
    return G_SOURCE_CONTINUE;
}

static GstElement *
pipeline_of(const char *launch, const char *name, GstElement **element)
{
    g_autoptr(GError) error = NULL;
    GstElement *pipeline = gst_parse_launch(launch, &error);

    g_assert_no_error(error);
    *element = gst_bin_get_by_name(GST_BIN(pipeline), name);
    return pipeline;
}

static void
watch_encoder(Call *call)
{
    GstElement *encoder = gst_bin_get_by_name(GST_BIN(call->sender), "enc");
    GstPad *pad = gst_element_get_static_pad(encoder, "src");

    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_EVENT_UPSTREAM, count_key_request, call, NULL);
    gst_object_unref(pad);
    gst_object_unref(encoder);
}

static void
hang_up(Call *call)
{
    gst_element_set_state(call->sender, GST_STATE_NULL);
    gst_element_set_state(call->receiver, GST_STATE_NULL);
    gst_object_unref(call->sender_bin);
    gst_object_unref(call->receiver_bin);
    gst_object_unref(call->sender);
    gst_object_unref(call->receiver);
    g_main_loop_unref(call->loop);
    g_free(call->offer);
    g_free(call->answer);
}

static gboolean
is_missing(const char *element)
{
    GstElementFactory *factory = gst_element_factory_find(element);
    gboolean missing = factory == NULL;

    gst_clear_object(&factory);
    if (missing)
        g_test_skip(element);
    return missing;
}

static void
one_way_call(void)
{
    Call call = {NULL};
    guint timer;

    if (is_missing("webrtcbin") || is_missing("nicesink") || is_missing("dtlssrtpenc") || is_missing("srtpenc"))
        return;
    call.loop = g_main_loop_new(NULL, FALSE);
    call.sender = pipeline_of("videotestsrc is-live=true pattern=ball ! video/x-raw, width=64, height=48, framerate=25/1 ! "
                              "m2tenc name=enc slices=3 key-int-max=1000 ! rtpm2tpay pt=96 mtu=1200 ! queue ! webrtcbin name=bin",
                              "bin", &call.sender_bin);
    call.receiver = pipeline_of("pipeline.( webrtcbin name=bin )", "bin", &call.receiver_bin);
    watch_encoder(&call);
    g_signal_connect(call.sender_bin, "on-negotiation-needed", G_CALLBACK(on_negotiation_needed), &call);
    g_signal_connect(call.sender_bin, "on-ice-candidate", G_CALLBACK(on_candidate), call.receiver_bin);
    g_signal_connect(call.receiver_bin, "on-ice-candidate", G_CALLBACK(on_candidate), call.sender_bin);
    g_signal_connect(call.receiver_bin, "pad-added", G_CALLBACK(on_stream), &call);
    timer = g_timeout_add_seconds(30, give_up, call.loop);
    gst_element_set_state(call.receiver, GST_STATE_PLAYING);
    gst_element_set_state(call.sender, GST_STATE_PLAYING);
    g_main_loop_run(call.loop);
    g_source_remove(timer);

    g_test_message("offer:\n%s\nanswer:\n%s", call.offer, call.answer);
    g_assert_true(call.offer != NULL && call.answer != NULL);
    g_assert_nonnull(strstr(call.offer, "M2T/90000"));
    g_assert_nonnull(strstr(call.answer, "M2T/90000"));
    g_assert_cmpint(call.pictures, >=, ENOUGH);
    g_assert_cmpint(call.key_requests, >, 0);
    hang_up(&call);
}

int
main(int argc, char **argv)
{
    test_init(&argc, &argv);
    g_test_add_func("/webrtc/one way call", one_way_call);
    return test_run();
}
