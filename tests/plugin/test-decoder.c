/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* m2tdec, one behaviour per test. */
#include "common.h"

#include <string.h>

static GstHarness *
decoder(const char *properties)
{
    g_autofree char *launch = g_strdup_printf("m2tdec %s", properties);

    return harness(launch, FRAMED_CAPS ", width=64, height=48, framerate=25/1", NULL);
}

static GstFlowReturn
push(GstHarness *h, GstBuffer *coded)
{
    return gst_harness_push(h, gst_buffer_copy(coded));
}

static void
push_ok(GstHarness *h, GstBuffer *coded)
{
    g_assert_cmpint(push(h, coded), ==, GST_FLOW_OK);
}

static guint
received(GstHarness *h)
{
    return gst_harness_buffers_received(h);
}

/* Nothing that the element was given is still pending in its base class. */
static void
assert_none_pending(GstHarness *h)
{
    g_assert_null(gst_video_decoder_get_frames(GST_VIDEO_DECODER(h->element)));
}

static GstBuffer *
damaged(GstBuffer *coded)
{
    GstBuffer *copy = gst_buffer_copy_deep(coded);
    gsize last = gst_buffer_get_size(copy) - 1;
    guint8 byte;

    gst_buffer_extract(copy, last, &byte, 1);
    byte ^= 0x10;
    gst_buffer_fill(copy, last, &byte, 1);
    return copy;
}

/* The picture as the library alone decodes it. */
static GstBuffer *
decoded_by_library(GstBuffer *coded, guint width, guint height)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(M2tDecoder) library = m2t_decoder_new(NULL, NULL, &error);
    GstVideoInfo video;
    GstBuffer *buffer;
    GstVideoFrame frame;
    GstMapInfo map;
    M2tPicture picture;

    g_assert_no_error(error);
    gst_video_info_set_format(&video, GST_VIDEO_FORMAT_I420, width, height);
    buffer = gst_buffer_new_allocate(NULL, video.size, NULL);
    gst_buffer_memset(buffer, 0, 0, video.size);
    gst_buffer_map(coded, &map, GST_MAP_READ);
    g_assert_true(m2t_decoder_open_frame(library, map.data, map.size, NULL, &error));
    gst_video_frame_map(&frame, &video, buffer, GST_MAP_WRITE);
    for (guint i = 0; i < 3; i++) {
        picture.data[i] = GST_VIDEO_FRAME_PLANE_DATA(&frame, i);
        picture.stride[i] = GST_VIDEO_FRAME_PLANE_STRIDE(&frame, i);
    }
    g_assert_true(m2t_decoder_decode(library, &picture, &error));
    gst_video_frame_unmap(&frame);
    gst_buffer_unmap(coded, &map);
    return buffer;
}

static void
accept_caps(void)
{
    const AcceptCase cases[] = {
        {"video/x-m2t, stream-format=framed, alignment=frame", TRUE},
        {"video/x-m2t, stream-format=framed, alignment=frame, width=64, height=48, profile=tiny, parsed=true", TRUE},
        {"video/x-gst-fourcc-m2tv, width=64, height=48", TRUE},
        {"video/x-m2t", FALSE},
        {"video/x-m2t, stream-format=byte-stream, alignment=frame", FALSE},
    };
    GstHarness *h = harness("m2tdec", NULL, NULL);

    assert_accepted(h, cases, G_N_ELEMENTS(cases));
    harness_free(h);
}

static void
one_in_one_out(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 4, 2);
    GstHarness *h = decoder("");

    gst_harness_set_live(h, TRUE);
    for (guint i = 0; i < coded->len; i++) {
        g_autoptr(GstBuffer) out = NULL, raw = raw_frame(WIDTH, HEIGHT, i);

        push_ok(h, coded->pdata[i]);
        out = gst_harness_pull(h);
        g_assert_cmpuint(GST_BUFFER_PTS(out), ==, i * FRAME_TIME);
        g_assert_cmpuint(GST_BUFFER_DURATION(out), ==, FRAME_TIME);
        g_assert_false(GST_BUFFER_FLAG_IS_SET(out, GST_BUFFER_FLAG_CORRUPTED));
        g_assert_false(is_delta(out));
        g_assert_cmpfloat(psnr(out, raw), >, 10);
    }
    g_assert_cmpuint(gst_harness_query_latency(h), ==, 0);
    assert_none_pending(h);
    harness_free(h);
}

static void
same_as_library(void)
{
    const guint sizes[][2] = {{16, 16}, {17, 17}, {35, 19}, {64, 48}, {130, 70}, {1920, 1080}};
    const char *threads[] = {"threads=1", "threads=2", ""};

    for (guint s = 0; s < G_N_ELEMENTS(sizes); s++) {
        guint width = sizes[s][0], height = sizes[s][1];
        g_autoptr(GPtrArray) coded = coded_frames(width, height, 1, 0);
        g_autoptr(GstBuffer) expected = decoded_by_library(coded->pdata[0], width, height);

        for (guint t = 0; t < G_N_ELEMENTS(threads); t++) {
            GstHarness *h = decoder(threads[t]);
            g_autoptr(GstBuffer) out = NULL;
            g_autoptr(GstStructure) caps = NULL;
            gint w, ht;

            push_ok(h, coded->pdata[0]);
            out = gst_harness_pull(h);
            assert_same_picture(out, expected, width, height);
            caps = current_caps(h);
            gst_structure_get(caps, "width", G_TYPE_INT, &w, "height", G_TYPE_INT, &ht, NULL);
            g_assert_cmpint(w, ==, width);
            g_assert_cmpint(ht, ==, height);
            harness_free(h);
        }
    }
}

static void
add_video_meta(GstHarness *h)
{
    gst_harness_add_propose_allocation_meta(h, GST_VIDEO_META_API_TYPE, NULL);
}

static void
into_downstreams_memory(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(35, 19, 1, 0);
    g_autoptr(GstBuffer) expected = decoded_by_library(coded->pdata[0], 35, 19);

    for (guint with_meta = 0; with_meta < 2; with_meta++) {
        GstHarness *h = harness("m2tdec", NULL, NULL);
        GstAllocationParams params = {GST_MEMORY_FLAG_ZERO_PADDED, 63, 16, 16};
        g_autoptr(GstBuffer) out = NULL;

        if (with_meta)
            add_video_meta(h);
        gst_harness_set_propose_allocator(h, NULL, &params);
        gst_harness_set_src_caps_str(h, FRAMED_CAPS);
        push_ok(h, coded->pdata[0]);
        out = gst_harness_pull(h);
        assert_same_picture(out, expected, 35, 19);
        g_assert_cmpint(gst_buffer_get_video_meta(out) != NULL, ==, with_meta);
        g_assert_nonnull(out->pool);
        harness_free(h);
    }
}

static void
codec_data_is_not_needed(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 1, 1);
    GstHarness *h = harness("m2tdec", FRAMED_CAPS ", codec_data=(buffer)00112233", NULL);

    push_ok(h, coded->pdata[0]);
    g_assert_cmpuint(received(h), ==, 1);
    harness_free(h);
}

static void
header_wins_after_mp4(void)
{
    g_autoptr(GPtrArray) coded = coded_frames_of(
        "video/x-raw, format=I420, width=64, height=48, framerate=25/1, pixel-aspect-ratio=4/3, colorimetry=bt2020", "", 1);
    GstHarness *h = harness("m2tdec", "video/x-gst-fourcc-m2tv, width=66, height=46, framerate=30/1, pixel-aspect-ratio=213/160", NULL);
    g_autoptr(GstStructure) s = NULL;
    gint width, n, d;

    push_ok(h, coded->pdata[0]);
    s = current_caps(h);
    gst_structure_get_int(s, "width", &width);
    g_assert_cmpint(width, ==, 64);
    gst_structure_get_fraction(s, "pixel-aspect-ratio", &n, &d);
    g_assert_cmpint(n, ==, 4);
    g_assert_cmpint(d, ==, 3);
    gst_structure_get_fraction(s, "framerate", &n, &d);
    g_assert_cmpint(n, ==, 30);
    g_assert_cmpstr(gst_structure_get_string(s, "colorimetry"), ==, "bt2020");
    harness_free(h);
}

static void
upstream_wins_otherwise(void)
{
    g_autoptr(GPtrArray) coded =
        coded_frames_of("video/x-raw, format=I420, width=64, height=48, framerate=25/1, pixel-aspect-ratio=4/3, colorimetry=bt2020", "", 1);
    GstHarness *h = harness("m2tdec", FRAMED_CAPS ", pixel-aspect-ratio=2/1, colorimetry=bt709", NULL);
    g_autoptr(GstStructure) s = NULL;
    gint n, d;

    push_ok(h, coded->pdata[0]);
    s = current_caps(h);
    gst_structure_get_fraction(s, "pixel-aspect-ratio", &n, &d);
    g_assert_cmpint(n, ==, 2);
    g_assert_cmpstr(gst_structure_get_string(s, "colorimetry"), ==, "bt709");
    gst_structure_get_fraction(s, "framerate", &n, &d);
    g_assert_cmpint(n, ==, 25);
    harness_free(h);
}

static void
absent_model(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 1, 1);
    g_autofree char *path = g_strdup(g_getenv("M2T_MODEL_PATH"));
    GstHarness *h;
    gint64 began;

    g_setenv("M2T_MODEL_PATH", "/nowhere", TRUE);
    h = decoder("");
    began = g_get_monotonic_time();
    g_assert_cmpint(push(h, coded->pdata[0]), ==, GST_FLOW_ERROR);
    g_assert_cmpint(g_get_monotonic_time() - began, <, 5 * G_USEC_PER_SEC);
    {
        GstMessage *message = gst_bus_pop_filtered(test_bus(h), GST_MESSAGE_ERROR);
        g_autoptr(GError) error = NULL;
        g_autofree char *debug = NULL;
        M2tFrameInfo info = frame_info(coded->pdata[0]);
        g_autoptr(GString) hex = g_string_new(NULL);

        for (guint i = 0; i < 4; i++)
            g_string_append_printf(hex, "%02x", info.identity[i]);
        gst_message_parse_error(message, &error, &debug);
        g_assert_error(error, GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE);
        g_assert_nonnull(strstr(debug, hex->str));
        gst_message_unref(message);
    }
    harness_free(h);
    g_setenv("M2T_MODEL_PATH", path, TRUE);
}

static void
note_category(GstDebugCategory *category, GstDebugLevel level, const char *file, const char *function, gint line, GObject *object,
              GstDebugMessage *message, gpointer data)
{
    (void) file, (void) function, (void) line, (void) object;
    if (level <= GST_LEVEL_WARNING && strstr(gst_debug_message_get(message), "absent.m2tw") != NULL)
        g_string_append_printf(data, "%s ", gst_debug_category_get_name(category));
}

/* What is logged of an element's errors is in the element's category. */
static void
log_of_errors(void)
{
    const char *names[] = {"m2tenc", "m2tdec"};
    GString *categories = g_string_new(NULL);

    gst_debug_add_log_function(note_category, categories, NULL);
    gst_debug_set_default_threshold(GST_LEVEL_WARNING);
    gst_debug_remove_log_function(gst_debug_log_default);
    for (guint n = 0; n < G_N_ELEMENTS(names); n++) {
        GstElement *element = gst_element_factory_make(names[n], NULL);

        g_object_set(element, "model-file", "/nowhere/absent.m2tw", NULL);
        g_assert_cmpint(gst_element_set_state(element, GST_STATE_PAUSED), ==, GST_STATE_CHANGE_FAILURE);
        gst_element_set_state(element, GST_STATE_NULL);
        gst_object_unref(element);
    }
    gst_debug_set_default_threshold(GST_LEVEL_NONE);
    gst_debug_remove_log_function(note_category);
    gst_debug_add_log_function(gst_debug_log_default, NULL, NULL);
    g_assert_cmpstr(categories->str, ==, "m2tenc m2tdec ");
    g_string_free(categories, TRUE);
}

static void
missing_model_file(void)
{
    assert_model_missing("m2tdec");
}

/* The same frame under the name of a model that nobody has. */
static GstBuffer *
of_another_model(GstBuffer *coded)
{
    g_autoptr(GByteArray) out = g_byte_array_new(), bytes = g_byte_array_new();
    const guint8 *parts[M2T_SLICES_MAX];
    M2tFrameLayout layout;
    GstMapInfo map;
    gsize at;

    gst_buffer_map(coded, &map, GST_MAP_READ);
    g_byte_array_append(bytes, map.data, (guint) map.size);
    gst_buffer_unmap(coded, &map);
    g_assert_true(m2t_frame_layout_read(bytes->data, bytes->len, &layout, NULL));
    at = layout.header_size;
    for (guint i = 0; i < layout.slices; at += layout.slice_size[i++])
        parts[i] = bytes->data + at;
    bytes->data[5] ^= 0xff; /* behind flags, number, q, the length of the sequence header and its version */
    m2t_frame_assemble(out, bytes->data, &layout, parts);
    return gst_buffer_new_memdup(out->data, out->len);
}

/* The error says why the model is not there: it is not installed, or model-file wants another. */
static void
another_model(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 1, 1);
    const struct {
        const char *properties, *text;
    } cases[] = {{"", "not installed"}, {"model-file=standard", "model-file"}};

    for (guint c = 0; c < G_N_ELEMENTS(cases); c++) {
        GstHarness *h = decoder(cases[c].properties);
        GstMessage *message;
        g_autoptr(GError) error = NULL;

        g_assert_cmpint(gst_harness_push(h, of_another_model(coded->pdata[0])), ==, GST_FLOW_ERROR);
        message = gst_bus_pop_filtered(test_bus(h), GST_MESSAGE_ERROR);
        gst_message_parse_error(message, &error, NULL);
        g_assert_error(error, GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE);
        g_assert_nonnull(strstr(error->message, cases[c].text));
        gst_message_unref(message);
        harness_free(h);
    }
}

static void
new_header(void)
{
    g_autoptr(GPtrArray) small = coded_frames(WIDTH, HEIGHT, 2, 2), large = coded_frames(96, 80, 2, 2);
    GstHarness *h = decoder("");
    const guint widths[] = {WIDTH, WIDTH, 96, 96, WIDTH, WIDTH};
    GstBuffer *frames[] = {small->pdata[0], small->pdata[1], large->pdata[0], large->pdata[1], small->pdata[0], small->pdata[1]};

    for (guint i = 0; i < G_N_ELEMENTS(widths); i++) {
        g_autoptr(GstStructure) s = NULL;
        GstBuffer *copy = gst_buffer_copy(frames[i]);
        gint width;

        GST_BUFFER_PTS(copy) = i * FRAME_TIME;
        g_assert_cmpint(gst_harness_push(h, copy), ==, GST_FLOW_OK);
        gst_buffer_unref(gst_harness_pull(h));
        s = current_caps(h);
        gst_structure_get_int(s, "width", &width);
        g_assert_cmpint(width, ==, widths[i]);
    }
    harness_free(h);
}

static void
caps_once(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 5, 1);
    GstHarness *h = decoder("");

    for (guint i = 0; i < coded->len; i++)
        push_ok(h, coded->pdata[i]);
    g_assert_cmpuint(caps_events(h), ==, 1);
    harness_free(h);
}

static void
nothing_but_rubbish(void)
{
    GstHarness *h = decoder("");

    for (guint i = 0; i < 3; i++) {
        GstBuffer *rubbish = gst_buffer_new_allocate(NULL, 200, NULL);

        gst_buffer_memset(rubbish, 0, (guint8) (i * 77), 200);
        g_assert_cmpint(gst_harness_push(h, rubbish), ==, GST_FLOW_OK);
    }
    assert_none_pending(h);
    gst_harness_push_event(h, gst_event_new_eos());
    g_assert_cmpint(posted_error(h, GST_STREAM_ERROR), ==, GST_STREAM_ERROR_DECODE);
    harness_free(h);
}

static void
damaged_end(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 2, 1);
    GstHarness *h = decoder("");

    push_ok(h, coded->pdata[0]);
    g_assert_cmpint(gst_harness_push(h, damaged(coded->pdata[1])), ==, GST_FLOW_OK);
    gst_harness_push_event(h, gst_event_new_eos());
    g_assert_null(gst_bus_pop_filtered(test_bus(h), GST_MESSAGE_ERROR));
    g_assert_cmpuint(received(h), ==, 1);
    harness_free(h);
}

static void
only_damaged(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 1, 1);
    GstHarness *h = decoder("");

    g_assert_cmpint(gst_harness_push(h, damaged(coded->pdata[0])), ==, GST_FLOW_OK);
    gst_harness_push_event(h, gst_event_new_eos());
    g_assert_cmpint(posted_error(h, GST_STREAM_ERROR), ==, GST_STREAM_ERROR_DECODE);
    harness_free(h);
}

static void
flush(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 6, 3);
    GstHarness *h = decoder("");

    push_ok(h, coded->pdata[0]);
    push_ok(h, coded->pdata[1]);
    g_assert_cmpuint(received(h), ==, 2);
    gst_harness_push_event(h, gst_event_new_flush_start());
    gst_harness_push_event(h, gst_event_new_flush_stop(TRUE));
    send_segment(h);
    push_ok(h, coded->pdata[2]);
    g_assert_cmpuint(received(h), ==, 2);
    push_ok(h, coded->pdata[3]);
    push_ok(h, coded->pdata[4]);
    g_assert_cmpuint(received(h), ==, 4);
    assert_none_pending(h);
    harness_free(h);
}

static void
drain_keeps_state(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 4, 4);
    GstHarness *h = decoder("");

    push_ok(h, coded->pdata[0]);
    gst_harness_push_event(h, gst_event_new_gap(10 * FRAME_TIME, 0));
    push_ok(h, coded->pdata[1]);
    gst_harness_push_event(h, gst_event_new_stream_start("another"));
    gst_harness_set_src_caps_str(h, FRAMED_CAPS ", width=64, height=48, framerate=30/1");
    push_ok(h, coded->pdata[2]);
    g_assert_cmpuint(received(h), ==, 3);
    harness_free(h);
}

static void
gap_before_any_buffer(void)
{
    GstHarness *h = decoder("");
    g_autoptr(GstStructure) s = NULL;
    gint width;

    gst_harness_push_event(h, gst_event_new_gap(0, FRAME_TIME));
    s = current_caps(h);
    g_assert_cmpstr(gst_structure_get_name(s), ==, "video/x-raw");
    gst_structure_get_int(s, "width", &width);
    g_assert_cmpint(width, ==, WIDTH);
    harness_free(h);
}

static void
no_time_stamps(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 4, 1);
    GstHarness *h = decoder("");

    for (guint i = 0; i < coded->len; i++) {
        GstBuffer *copy = gst_buffer_copy(coded->pdata[i]);
        g_autoptr(GstBuffer) out = NULL;

        if (i > 0)
            GST_BUFFER_PTS(copy) = GST_BUFFER_DTS(copy) = GST_BUFFER_DURATION(copy) = GST_CLOCK_TIME_NONE;
        g_assert_cmpint(gst_harness_push(h, copy), ==, GST_FLOW_OK);
        out = gst_harness_pull(h);
        g_assert_cmpuint(GST_BUFFER_PTS(out), ==, i * FRAME_TIME);
    }
    harness_free(h);
}

static void
late_frames_are_skipped(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 12, 100);
    GstHarness *h = decoder("");
    GstMessage *message;

    push_ok(h, coded->pdata[0]);
    send_late(h, 0, 100 * GST_MSECOND);
    for (guint i = 1; i < 5; i++)
        push_ok(h, coded->pdata[i]);
    g_assert_cmpuint(received(h), ==, 1);
    message = gst_bus_pop_filtered(test_bus(h), GST_MESSAGE_QOS);
    g_assert_nonnull(message);
    gst_message_unref(message);
    for (guint i = 5; i < 12; i++)
        push_ok(h, coded->pdata[i]); /* the header of the skipped frames was not missed */
    g_assert_cmpuint(received(h), >=, 5);
    g_assert_cmpuint(requests_for_key_frames(h), ==, 0);
    assert_none_pending(h);
    harness_free(h);
}

static void
long_stall(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 40, 1);
    GstHarness *h = decoder("");

    push_ok(h, coded->pdata[0]);
    send_late(h, 0, 30 * GST_SECOND);
    for (guint i = 1; i < coded->len; i++)
        push_ok(h, coded->pdata[i]);
    g_assert_cmpuint(received(h), >, 5);
    harness_free(h);
}

/* Upstream gets less lateness than the sink reported, under the number of the sink's event. */
static void
number_of_lateness(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 1, 1);
    GstEvent *sent = gst_event_new_qos(GST_QOS_TYPE_UNDERFLOW, 2.0, 30 * GST_SECOND, 0), *event;
    GstHarness *h = decoder("");
    guint32 number = gst_event_get_seqnum(sent);
    GstClockTimeDiff late = 0;

    push_ok(h, coded->pdata[0]);
    gst_harness_push_upstream_event(h, sent);
    while ((event = gst_harness_try_pull_upstream_event(h)) != NULL) {
        if (GST_EVENT_TYPE(event) == GST_EVENT_QOS) {
            gst_event_parse_qos(event, NULL, NULL, &late, NULL);
            g_assert_cmpuint(gst_event_get_seqnum(event), ==, number);
        }
        gst_event_unref(event);
    }
    g_assert_cmpint(late, ==, 500 * GST_MSECOND);
    harness_free(h);
}

static void
qos_off_skips_nothing(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 4, 1);
    GstHarness *h = decoder("qos=false");

    send_late(h, 0, 10 * GST_SECOND);
    for (guint i = 0; i < coded->len; i++)
        push_ok(h, coded->pdata[i]);
    g_assert_cmpuint(received(h), ==, 4);
    harness_free(h);
}

static void
damage_costs_frames_up_to_the_next_key(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 8, 4);
    GstHarness *h = decoder("");

    push_ok(h, coded->pdata[0]);
    g_assert_cmpint(gst_harness_push(h, damaged(coded->pdata[1])), ==, GST_FLOW_OK);
    push_ok(h, coded->pdata[2]);
    push_ok(h, coded->pdata[3]);
    g_assert_cmpuint(received(h), ==, 1);
    g_assert_cmpuint(requests_for_key_frames(h), ==, 1);
    assert_none_pending(h);

    for (guint i = 4; i < 8; i++)
        push_ok(h, coded->pdata[i]);
    g_assert_cmpuint(received(h), ==, 5);
    for (guint i = 0; i < 5; i++) {
        g_autoptr(GstBuffer) out = gst_harness_pull(h);

        g_assert_false(GST_BUFFER_FLAG_IS_SET(out, GST_BUFFER_FLAG_CORRUPTED));
    }
    g_assert_null(gst_bus_pop_filtered(test_bus(h), GST_MESSAGE_ERROR));
    harness_free(h);
}

/* Intra refresh of the only slice is a key frame. */
static void
damage_with_intra_refresh(void)
{
    g_autofree char *caps = raw_caps(WIDTH, HEIGHT, NULL);
    g_autoptr(GPtrArray) coded = coded_still_of(caps, "intra-refresh=true key-int-max=5", 16);
    GstHarness *h = decoder("");

    for (guint i = 0; i < coded->len; i++)
        g_assert_cmpint(gst_harness_push(h, i == 6 ? damaged(coded->pdata[i]) : gst_buffer_ref(coded->pdata[i])), ==, GST_FLOW_OK);
    g_assert_cmpuint(received(h), >=, 16 - 5);
    g_assert_cmpuint(received(h), <, 16);
    assert_none_pending(h);
    harness_free(h);
}

static void
max_errors(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 1, 1);
    GstHarness *h = decoder("max-errors=2");

    push_ok(h, coded->pdata[0]);
    g_assert_cmpint(gst_harness_push(h, damaged(coded->pdata[0])), ==, GST_FLOW_OK);
    g_assert_cmpint(gst_harness_push(h, damaged(coded->pdata[0])), ==, GST_FLOW_OK);
    push_ok(h, coded->pdata[0]); /* a good one: the count starts again */
    g_assert_cmpint(gst_harness_push(h, damaged(coded->pdata[0])), ==, GST_FLOW_OK);
    g_assert_cmpint(gst_harness_push(h, damaged(coded->pdata[0])), ==, GST_FLOW_OK);
    g_assert_cmpint(gst_harness_push(h, damaged(coded->pdata[0])), ==, GST_FLOW_ERROR);
    g_assert_cmpint(posted_error(h, GST_STREAM_ERROR), ==, GST_STREAM_ERROR_DECODE);
    assert_none_pending(h);
    harness_free(h);
}

/* As depayloaders tell of frame @number. */
static void
push_loss(GstHarness *h, guint number)
{
    GstEvent *gap = gst_event_new_gap(number * FRAME_TIME, FRAME_TIME);

    gst_event_set_gap_flags(gap, GST_GAP_FLAG_MISSING_DATA);
    gst_harness_push_event(h, gap);
}

/* The ways in which a loss shows, each on frame 2 of 8 with key frames 0 and 4. */
static void
loss(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 8, 4);

    for (guint way = 0; way < 4; way++) {
        GstHarness *h = decoder("");

        for (guint i = 0; i < 8; i++) {
            GstBuffer *copy = gst_buffer_copy(coded->pdata[i]);

            GST_BUFFER_FLAG_UNSET(copy, GST_BUFFER_FLAG_DISCONT);
            if (i == 2 && way == 0)
                GST_BUFFER_FLAG_SET(copy, GST_BUFFER_FLAG_DISCONT);
            if (i == 2 && way == 1)
                GST_BUFFER_FLAG_SET(copy, GST_BUFFER_FLAG_CORRUPTED);
            if (i == 2 && way == 2) { /* its number is missing */
                gst_buffer_unref(copy);
                continue;
            }
            if (i == 2 && way == 3)
                push_loss(h, 2);
            g_assert_cmpint(gst_harness_push(h, copy), ==, GST_FLOW_OK);
        }
        g_test_message("way %u", way);
        g_assert_cmpuint(received(h), ==, 6);
        g_assert_cmpuint(requests_for_key_frames(h), ==, 1);
        g_assert_null(gst_bus_pop_filtered(test_bus(h), GST_MESSAGE_ERROR));
        assert_none_pending(h);
        harness_free(h);
    }
}

/* The same frame as a transport hands it on that lost some slices, as the bits of @lost say. */
static GstBuffer *
without_slices(GstBuffer *coded, guint lost)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    const guint8 *parts[M2T_SLICES_MAX];
    M2tFrameLayout layout;
    GstBuffer *rest;
    GstMapInfo map;
    gsize at;

    gst_buffer_map(coded, &map, GST_MAP_READ);
    g_assert_true(m2t_frame_layout_read(map.data, map.size, &layout, NULL));
    at = layout.header_size;
    for (guint i = 0; i < layout.slices; at += layout.slice_size[i++])
        parts[i] = lost >> i & 1 ? NULL : map.data + at;
    m2t_frame_assemble(out, map.data, &layout, parts);
    gst_buffer_unmap(coded, &map);
    rest = gst_buffer_new_memdup(out->data, out->len);
    gst_buffer_copy_into(rest, coded, GST_BUFFER_COPY_METADATA, 0, -1);
    GST_BUFFER_FLAG_SET(rest, GST_BUFFER_FLAG_CORRUPTED);
    return rest;
}

/* A lost slice costs its band, and is asked for; whole frames that are lost cost nothing but themselves. */
static void
lost_slices(void)
{
    g_autofree char *caps = raw_caps(64, 96, NULL);
    g_autoptr(GPtrArray) coded = coded_frames_of(caps, "slices=3 key-int-max=6", 8);
    GstHarness *h = decoder("");

    for (guint i = 0; i < 8; i++) {
        if (i == 4) {
            push_loss(h, 4);
            continue;
        }
        if (i == 2)
            g_assert_cmpint(gst_harness_push(h, without_slices(coded->pdata[i], 2)), ==, GST_FLOW_OK);
        else
            push_ok(h, coded->pdata[i]);
    }
    g_assert_cmpuint(received(h), ==, 7);
    g_assert_cmpuint(requests_for_key_frames(h), ==, 1);
    for (guint i = 0; i < 7; i++) {
        g_autoptr(GstBuffer) shown = gst_harness_pull(h);
        gboolean damaged = GST_BUFFER_FLAG_IS_SET(shown, GST_BUFFER_FLAG_CORRUPTED);

        if (i < 2 || i >= 5)
            g_assert_false(damaged);
        if (i == 2)
            g_assert_true(damaged);
    }
    assert_none_pending(h);
    harness_free(h);
}

/* A frame of which nothing but the header came costs no more than one that did not come, and is no error of the stream. */
static void
lost_all_slices(void)
{
    g_autofree char *caps = raw_caps(64, 96, NULL);
    g_autoptr(GPtrArray) coded = coded_frames_of(caps, "slices=3 key-int-max=100", 8);
    GstHarness *h = decoder("max-errors=0");

    for (guint i = 0; i < 8; i++) {
        if (i == 3)
            g_assert_cmpint(gst_harness_push(h, without_slices(coded->pdata[i], 7)), ==, GST_FLOW_OK);
        else
            push_ok(h, coded->pdata[i]);
    }
    g_assert_cmpuint(received(h), ==, 7);
    g_assert_cmpuint(requests_for_key_frames(h), ==, 1);
    g_assert_null(gst_bus_pop_filtered(test_bus(h), GST_MESSAGE_ERROR));
    assert_none_pending(h);
    harness_free(h);
}

static void
skipped_key_frames_are_no_loss(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 8, 2);
    GstHarness *h = decoder("");

    for (guint i = 0; i < 8; i += 4)
        g_assert_cmpint(gst_harness_push(h, with_flags(coded->pdata[i], GST_BUFFER_FLAG_DISCONT)), ==, GST_FLOW_OK);
    g_assert_cmpuint(received(h), ==, 2);
    g_assert_cmpuint(requests_for_key_frames(h), ==, 0);
    harness_free(h);
}

static void
joins_late(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 20, 15);
    GstHarness *h = decoder("");

    for (guint i = 1; i < 20; i++)
        push_ok(h, coded->pdata[i]);
    g_assert_cmpuint(received(h), ==, 5);
    g_assert_cmpuint(requests_for_key_frames(h), ==, 2); /* at 40 and at 540 ms */
    harness_free(h);
}

static void
fuzz(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 2, 1);
    GstHarness *h = decoder("");
    g_autoptr(GRand) random = g_rand_new_with_seed(7);

    gst_harness_set_drop_buffers(h, TRUE);
    for (guint i = 0; i < 2000; i++) {
        GstBuffer *copy = gst_buffer_copy_deep(coded->pdata[i % 2]);
        gsize size = gst_buffer_get_size(copy);
        guint changes = (guint) g_rand_int_range(random, 1, 6);

        if (i % 5 == 0)
            gst_buffer_set_size(copy, (gssize) g_rand_int_range(random, 0, (gint32) size));
        for (guint c = 0; c < changes && gst_buffer_get_size(copy) > 0; c++) {
            guint8 byte = (guint8) g_rand_int(random);

            gst_buffer_fill(copy, (gsize) g_rand_int_range(random, 0, (gint32) gst_buffer_get_size(copy)), &byte, 1);
        }
        g_assert_cmpint(gst_harness_push(h, copy), ==, GST_FLOW_OK);
    }
    g_assert_null(gst_bus_pop_filtered(test_bus(h), GST_MESSAGE_ERROR));
    assert_none_pending(h);
    gst_harness_set_drop_buffers(h, FALSE);
    push_ok(h, coded->pdata[0]);
    gst_buffer_unref(gst_harness_pull(h));
    harness_free(h);
}

static void
tiny_buffers(void)
{
    GstHarness *h = decoder("");

    for (guint size = 0; size < 40; size++) {
        GstBuffer *buffer = gst_buffer_new_allocate(NULL, size, NULL);

        gst_buffer_memset(buffer, 0, 0xff, size);
        g_assert_cmpint(gst_harness_push(h, buffer), ==, GST_FLOW_OK);
    }
    g_assert_cmpuint(received(h), ==, 0);
    harness_free(h);
}

static void
flow_returns(void)
{
    const GstFlowReturn answers[] = {GST_FLOW_FLUSHING, GST_FLOW_EOS, GST_FLOW_NOT_LINKED, GST_FLOW_ERROR};
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 1, 1);

    for (guint i = 0; i < G_N_ELEMENTS(answers); i++) {
        GstHarness *h = decoder("");

        answer_always(h, answers[i]);
        g_assert_cmpint(push(h, coded->pdata[0]), ==, answers[i]);
        g_assert_null(gst_bus_pop_filtered(test_bus(h), GST_MESSAGE_ERROR));
        harness_free(h);
    }
}

static void
not_negotiated(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 1, 1);
    GstHarness *h = harness("m2tdec", FRAMED_CAPS, "video/x-raw, format=I420, width=100, height=100");

    g_assert_cmpint(push(h, coded->pdata[0]), ==, GST_FLOW_NOT_NEGOTIATED);
    assert_none_pending(h);
    harness_free(h);
}

static GMutex gate;
static GCond gate_changed;
static gboolean gate_open, gate_reached;

static GstFlowReturn
blocking_chain(GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
    g_mutex_lock(&gate);
    gate_reached = TRUE;
    g_cond_broadcast(&gate_changed);
    while (!gate_open)
        g_cond_wait(&gate_changed, &gate);
    g_mutex_unlock(&gate);
    gst_buffer_unref(buffer);
    return GST_PAD_IS_FLUSHING(pad) ? GST_FLOW_FLUSHING : GST_FLOW_OK;
}

static gboolean
opening_event(GstPad *pad, GstObject *parent, GstEvent *event)
{
    if (GST_EVENT_TYPE(event) == GST_EVENT_FLUSH_START) {
        g_mutex_lock(&gate);
        gate_open = TRUE;
        g_cond_broadcast(&gate_changed);
        g_mutex_unlock(&gate);
    }
    gst_event_unref(event);
    return TRUE;
}

static gpointer
push_in_thread(gpointer data)
{
    GstHarness *h = data;
    g_autoptr(GPtrArray) coded = g_object_get_data(G_OBJECT(h->element), "coded");

    return GINT_TO_POINTER(push(h, coded->pdata[0]));
}

static void
flush_while_blocked(void)
{
    GstHarness *h = decoder("");
    GThread *thread;
    gint64 began;
    guint threads;

    gate_open = gate_reached = FALSE;
    gst_pad_set_chain_function(h->sinkpad, blocking_chain);
    gst_pad_set_event_function(h->sinkpad, opening_event);
    g_object_set_data(G_OBJECT(h->element), "coded", coded_frames(WIDTH, HEIGHT, 1, 1));
    thread = g_thread_new("push", push_in_thread, h);
    g_mutex_lock(&gate);
    while (!gate_reached)
        g_cond_wait(&gate_changed, &gate);
    g_mutex_unlock(&gate);

    g_object_get(h->element, "threads", &threads, NULL); /* no property needs the lock that is held */
    began = g_get_monotonic_time();
    g_assert_true(gst_harness_push_event(h, gst_event_new_flush_start()));
    g_thread_join(thread);
    g_assert_true(gst_harness_push_event(h, gst_event_new_flush_stop(TRUE)));
    g_assert_cmpint(g_get_monotonic_time() - began, <, 5 * G_USEC_PER_SEC);
    harness_free(h);
}

static void
metas(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 1, 1);
    GstHarness *h = decoder("");
    GstBuffer *copy = gst_buffer_copy(coded->pdata[0]);
    const guint8 caption[] = {0xfc, 0x80, 0x80};
    g_autoptr(GstBuffer) out = NULL;

    gst_buffer_add_video_caption_meta(copy, GST_VIDEO_CAPTION_TYPE_CEA708_RAW, caption, sizeof caption);
    g_assert_cmpint(gst_harness_push(h, copy), ==, GST_FLOW_OK);
    out = gst_harness_pull(h);
    g_assert_nonnull(gst_buffer_get_video_caption_meta(out));
    harness_free(h);
}

static void
two_instances(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 4, 1);
    GstHarness *a = decoder(""), *b = decoder("");

    push_ok(a, coded->pdata[0]);
    push_ok(b, coded->pdata[0]);
    harness_free(a);
    push_ok(b, coded->pdata[1]);
    g_assert_cmpuint(received(b), ==, 2);
    harness_free(b);
}

static void
properties(void)
{
    GstElement *element = gst_element_factory_make("m2tdec", NULL);
    guint threads;
    g_autofree char *model = NULL;
    gboolean qos, automatic;
    guint64 interval;
    gint errors;

    g_object_get(element, "threads", &threads, "model-file", &model, "qos", &qos, "automatic-request-sync-points", &automatic,
                 "min-force-key-unit-interval", &interval, "max-errors", &errors, NULL);
    g_assert_cmpuint(threads, ==, 0);
    g_assert_null(model);
    g_assert_true(qos && automatic);
    g_assert_cmpuint(interval, ==, 500 * GST_MSECOND);
    g_assert_cmpint(errors, ==, -1);
    gst_element_set_state(element, GST_STATE_PAUSED);
    g_object_set(element, "threads", 3, NULL);
    g_object_get(element, "threads", &threads, NULL);
    g_assert_cmpuint(threads, ==, 0);
    gst_element_set_state(element, GST_STATE_NULL);
    gst_object_unref(element);
}

/* --- several frames at the same time --- */

static void
delayed_latency(void)
{
    const struct {
        const char *properties;
        guint frames;
    } cases[] = {{"", 0}, {"max-frame-delay=1 threads=4", 0}, {"max-frame-delay=3", 2}, {"max-frame-delay=0 threads=2", 1}};
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 1, 1);

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        GstHarness *h = decoder(cases[i].properties);

        push_ok(h, coded->pdata[0]);
        g_assert_cmpuint(min_latency(h), ==, cases[i].frames * FRAME_TIME);
        harness_free(h);
    }
}

/* In order, the same pictures, all of them before a gap and before the end. */
static void
delayed_order(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 9, 3);
    GstHarness *h = decoder("max-frame-delay=3 threads=2"), *plain = decoder("");
    GString *log = arrivals(h);

    for (guint i = 0; i < 9; i++) {
        if (i == 5)
            gst_harness_push_event(h, gst_event_new_gap(5 * FRAME_TIME, 0));
        push_ok(h, coded->pdata[i]);
        push_ok(plain, coded->pdata[i]);
        g_assert_cmpuint(received(h) + 2, >=, i + 1);
    }
    gst_harness_push_event(h, gst_event_new_eos());
    g_assert_cmpstr(log->str, ==, "c64 b0 b1 b2 b3 b4 g b5 b6 b7 b8 e ");
    for (guint i = 0; i < 9; i++) {
        g_autoptr(GstBuffer) a = gst_harness_pull(h), b = gst_harness_pull(plain);

        assert_same_picture(a, b, WIDTH, HEIGHT);
        g_assert_cmpuint(GST_BUFFER_PTS(a), ==, i * FRAME_TIME);
        g_assert_cmpuint(GST_BUFFER_DURATION(a), ==, FRAME_TIME);
    }
    assert_none_pending(h);
    harness_free(h);
    harness_free(plain);
}

static void
delayed_new_size(void)
{
    g_autoptr(GPtrArray) small = coded_frames(WIDTH, HEIGHT, 3, 1), large = coded_frames(96, 80, 5, 1);
    GstHarness *h = decoder("max-frame-delay=4");
    GString *log = arrivals(h);

    for (guint i = 0; i < 3; i++)
        push_ok(h, small->pdata[i]);
    for (guint i = 3; i < 5; i++)
        push_ok(h, large->pdata[i]);
    gst_harness_push_event(h, gst_event_new_eos());
    g_assert_cmpstr(log->str, ==, "c64 b0 b1 b2 c96 b3 b4 e ");
    harness_free(h);
}

static void
delayed_flush(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 9, 3);
    GstHarness *h = decoder("max-frame-delay=4");
    guint before;

    for (guint i = 0; i < 3; i++)
        push_ok(h, coded->pdata[i]);
    before = received(h);
    gst_harness_push_event(h, gst_event_new_flush_start());
    gst_harness_push_event(h, gst_event_new_flush_stop(TRUE));
    assert_none_pending(h);
    send_segment(h);
    for (guint i = 5; i < 8; i++)
        push_ok(h, coded->pdata[i]);
    gst_harness_push_event(h, gst_event_new_eos());
    g_assert_cmpuint(received(h), ==, before + 2); /* 5 has no header */
    for (guint i = 0; i < before; i++)
        gst_buffer_unref(gst_harness_pull(h));
    for (guint i = 6; i < 8; i++) {
        g_autoptr(GstBuffer) out = gst_harness_pull(h);

        g_assert_cmpuint(GST_BUFFER_PTS(out), ==, i * FRAME_TIME);
    }
    harness_free(h);
}

/* Good frames that are held count as good before the damaged one does as damaged. */
static void
delayed_damage(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 8, 4);
    GstHarness *h = decoder("max-frame-delay=4 max-errors=1");

    for (guint i = 0; i < 8; i++) {
        if (i == 2)
            g_assert_cmpint(gst_harness_push(h, damaged(coded->pdata[i])), ==, GST_FLOW_OK);
        else
            push_ok(h, coded->pdata[i]);
    }
    g_assert_cmpuint(requests_for_key_frames(h), ==, 1);
    g_assert_cmpint(gst_harness_push(h, damaged(coded->pdata[4])), ==, GST_FLOW_OK);
    g_assert_cmpuint(received(h), ==, 6);
    assert_none_pending(h);
    g_assert_cmpint(gst_harness_push(h, damaged(coded->pdata[4])), ==, GST_FLOW_ERROR);
    g_assert_cmpint(posted_error(h, GST_STREAM_ERROR), ==, GST_STREAM_ERROR_DECODE);
    harness_free(h);
}

static gboolean
offer_small_pool(GstPad *pad, GstObject *parent, GstQuery *query)
{
    GstBufferPool *pool;
    GstCaps *caps;
    GstVideoInfo info;

    if (GST_QUERY_TYPE(query) != GST_QUERY_ALLOCATION)
        return gst_pad_query_default(pad, parent, query);
    gst_query_parse_allocation(query, &caps, NULL);
    gst_video_info_from_caps(&info, caps);
    pool = gst_video_buffer_pool_new();
    gst_query_add_allocation_pool(query, pool, (guint) info.size, 0, 2);
    gst_object_unref(pool);
    return TRUE;
}

/* Downstream's two buffers are not enough for four frames at the same time. */
static void
delayed_small_pool(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 6, 1);
    GstHarness *h = harness("m2tdec max-frame-delay=4", NULL, NULL);

    gst_pad_set_query_function(h->sinkpad, offer_small_pool);
    gst_harness_set_src_caps_str(h, FRAMED_CAPS ", width=64, height=48, framerate=25/1");
    for (guint i = 0; i < 6; i++)
        push_ok(h, coded->pdata[i]);
    gst_harness_push_event(h, gst_event_new_eos());
    g_assert_cmpuint(received(h), ==, 6);
    harness_free(h);
}

static void
delayed_stop(void)
{
    g_autoptr(GPtrArray) coded = coded_frames(WIDTH, HEIGHT, 3, 1);
    GstHarness *h = decoder("max-frame-delay=4");

    for (guint i = 0; i < 3; i++)
        push_ok(h, coded->pdata[i]);
    g_assert_cmpint(gst_element_set_state(h->element, GST_STATE_READY), ==, GST_STATE_CHANGE_SUCCESS);
    harness_free(h);
}

int
main(int argc, char **argv)
{
    test_init(&argc, &argv);
    g_test_add_func("/decoder/accepted caps", accept_caps);
    g_test_add_func("/decoder/one in one out, no latency", one_in_one_out);
    g_test_add_func("/decoder/log of errors", log_of_errors);
    g_test_add_func("/decoder/same pictures as the library, all sizes and threads", same_as_library);
    g_test_add_func("/decoder/into downstream's memory", into_downstreams_memory);
    g_test_add_func("/decoder/codec_data is not needed", codec_data_is_not_needed);
    g_test_add_func("/decoder/header wins after MP4", header_wins_after_mp4);
    g_test_add_func("/decoder/upstream caps win otherwise", upstream_wins_otherwise);
    g_test_add_func("/decoder/properties", properties);
    g_test_add_func("/decoder/model of the stream is absent", absent_model);
    g_test_add_func("/decoder/another model", another_model);
    g_test_add_func("/decoder/missing model file", missing_model_file);
    g_test_add_func("/decoder/new header", new_header);
    g_test_add_func("/decoder/caps once", caps_once);
    g_test_add_func("/decoder/nothing but rubbish", nothing_but_rubbish);
    g_test_add_func("/decoder/damaged end", damaged_end);
    g_test_add_func("/decoder/only damaged frames", only_damaged);
    g_test_add_func("/decoder/flush", flush);
    g_test_add_func("/decoder/flush while blocked", flush_while_blocked);
    g_test_add_func("/decoder/drain keeps the state", drain_keeps_state);
    g_test_add_func("/decoder/gap before any buffer", gap_before_any_buffer);
    g_test_add_func("/decoder/no time stamps", no_time_stamps);
    g_test_add_func("/decoder/late frames are skipped", late_frames_are_skipped);
    g_test_add_func("/decoder/without qos nothing is skipped", qos_off_skips_nothing);
    g_test_add_func("/decoder/output comes back after a long stall", long_stall);
    g_test_add_func("/decoder/number of lateness", number_of_lateness);
    g_test_add_func("/decoder/damage", damage_costs_frames_up_to_the_next_key);
    g_test_add_func("/decoder/damage with intra refresh", damage_with_intra_refresh);
    g_test_add_func("/decoder/max-errors", max_errors);
    g_test_add_func("/decoder/loss", loss);
    g_test_add_func("/decoder/lost slices", lost_slices);
    g_test_add_func("/decoder/lost all slices", lost_all_slices);
    g_test_add_func("/decoder/skipped frames before a key frame are no loss", skipped_key_frames_are_no_loss);
    g_test_add_func("/decoder/joins late", joins_late);
    g_test_add_func("/decoder/fuzz", fuzz);
    g_test_add_func("/decoder/tiny buffers", tiny_buffers);
    g_test_add_func("/decoder/flow returns", flow_returns);
    g_test_add_func("/decoder/not negotiated", not_negotiated);
    g_test_add_func("/decoder/metas", metas);
    g_test_add_func("/decoder/two instances", two_instances);
    g_test_add_func("/decoder/latency with delay", delayed_latency);
    g_test_add_func("/decoder/order with delay", delayed_order);
    g_test_add_func("/decoder/new size with delay", delayed_new_size);
    g_test_add_func("/decoder/flush with delay", delayed_flush);
    g_test_add_func("/decoder/damage with delay", delayed_damage);
    g_test_add_func("/decoder/a small pool with delay", delayed_small_pool);
    g_test_add_func("/decoder/stop with delay", delayed_stop);
    return test_run();
}
