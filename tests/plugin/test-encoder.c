/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* m2tenc, one behaviour per test. */
#include "common.h"

#include <string.h>

#define MASTERED_CAPS RAW_CAPS ", mastering-display-info=(string)35400:14600:8500:39850:6550:2300:15635:16450:10000000:1"

static GstHarness *
encoder_that_may_hold(const char *properties)
{
    g_autofree char *launch = g_strdup_printf("m2tenc key-int-max=1 %s", properties);

    return harness(launch, RAW_CAPS, FRAMED_CAPS);
}

/* One in, one out. */
static GstHarness *
encoder(const char *properties)
{
    g_autofree char *more = g_strdup_printf("tune=zerolatency %s", properties);

    return encoder_that_may_hold(more);
}

static GstBuffer *
encode(GstHarness *h, guint index)
{
    g_assert_cmpint(gst_harness_push(h, raw_frame(WIDTH, HEIGHT, index)), ==, GST_FLOW_OK);
    return gst_harness_pull(h);
}

static gboolean
encode_is_key(GstHarness *h, guint index)
{
    g_autoptr(GstBuffer) coded = encode(h, index);

    g_assert_cmpint(frame_info(coded).key, ==, !is_delta(coded));
    return !is_delta(coded);
}

static void
one_in_one_out(void)
{
    GstHarness *h = encoder("");

    gst_harness_set_live(h, TRUE);
    for (guint i = 0; i < 3; i++) {
        g_autoptr(GstBuffer) coded = encode(h, i);

        g_assert_cmpuint(gst_harness_buffers_in_queue(h), ==, 0);
        g_assert_cmpuint(GST_BUFFER_PTS(coded), ==, i * FRAME_TIME);
        g_assert_cmpuint(GST_BUFFER_DTS(coded), ==, GST_BUFFER_PTS(coded));
        g_assert_cmpuint(GST_BUFFER_DURATION(coded), ==, FRAME_TIME);
    }
    g_assert_cmpuint(gst_harness_query_latency(h), ==, 0);
    harness_free(h);
}

static void
accept_caps(void)
{
    const AcceptCase cases[] = {
        {"video/x-raw, format=I420, width=64, height=48, framerate=25/1", TRUE},
        {"video/x-raw, format=I420, width=16, height=16, framerate=0/1", TRUE},
        {"video/x-raw, format=I420, width=8192, height=8192, framerate=25/1", TRUE},
        {"video/x-raw, format=I420, width=64, height=48, framerate=25/1, interlace-mode=progressive", TRUE},
        {"video/x-raw, format=I420, width=15, height=48, framerate=25/1", FALSE},
        {"video/x-raw, format=I420, width=64, height=8193, framerate=25/1", FALSE},
        {"video/x-raw, format=NV12, width=64, height=48, framerate=25/1", FALSE},
    };
    GstHarness *h = harness("m2tenc tune=zerolatency", NULL, FRAMED_CAPS);

    assert_accepted(h, cases, G_N_ELEMENTS(cases));
    harness_free(h);
}

static void
output_form(void)
{
    const struct {
        const char *wanted, *name, *form;
    } cases[] = {
        {"ANY", "video/x-m2t", "byte-stream"},
        {FRAMED_CAPS, "video/x-m2t", "framed"},
        {STREAM_CAPS, "video/x-m2t", "byte-stream"},
        {"video/x-m2t", "video/x-m2t", "framed"},
        {"video/x-mp4-part", "video/x-mp4-part", NULL},
        {"video/x-qt-part; video/x-m2t", "video/x-qt-part", NULL},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        GstHarness *h = harness("m2tenc tune=zerolatency", RAW_CAPS, cases[i].wanted);
        g_autoptr(GstBuffer) first = encode(h, 0);
        g_autoptr(GstBuffer) second = encode(h, 1);
        g_autoptr(GstStructure) s = current_caps(h);
        gboolean stream = g_strcmp0(cases[i].form, "byte-stream") == 0;
        guint format;

        g_test_message("%s", cases[i].wanted);
        g_assert_cmpstr(gst_structure_get_name(s), ==, cases[i].name);
        g_assert_cmpstr(gst_structure_get_string(s, "stream-format"), ==, cases[i].form);
        if (cases[i].form == NULL) {
            g_assert_true(gst_structure_get_uint(s, "format", &format));
            g_assert_cmpuint(format, ==, GST_MAKE_FOURCC('m', '2', 't', 'v'));
        } else {
            g_assert_cmpstr(gst_structure_get_string(s, "profile"), ==, "tiny");
        }
        g_assert_cmpint(gst_buffer_memcmp(first, 0, m2t_stream_magic(), M2T_STREAM_MAGIC_SIZE) == 0, ==, stream);
        g_assert_cmpint(gst_buffer_memcmp(second, 0, "\0\0\2M", 4) == 0, ==, stream);
        harness_free(h);
    }
}

/* Nothing before the frame is needed: no caps field, no earlier frame. */
static void
key_frames_carry_header(void)
{
    g_autoptr(GPtrArray) frames = coded_frames(WIDTH, HEIGHT, 5, 2);

    for (guint i = 0; i < frames->len; i++) {
        M2tFrameInfo info = frame_info(frames->pdata[i]);

        g_assert_cmpint(info.key, ==, i % 2 == 0);
        g_assert_cmpint(info.key, ==, info.has_sequence);
        g_assert_cmpuint(info.number, ==, i);
        if (info.key) {
            g_assert_cmpuint(info.video.width, ==, WIDTH);
            g_assert_cmpuint(info.video.height, ==, HEIGHT);
        }
    }
}

static void
flags(void)
{
    g_autoptr(GPtrArray) frames = coded_frames(WIDTH, HEIGHT, 5, 3);

    for (guint i = 0; i < frames->len; i++) {
        GstBuffer *buffer = frames->pdata[i];

        g_assert_cmpint(is_delta(buffer), ==, i % 3 != 0);
        g_assert_true(GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_MARKER));
        g_assert_cmpint(GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DISCONT), ==, i == 0);
        g_assert_false(GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_HEADER));
    }
}

static void
properties(void)
{
    GstElement *element = gst_element_factory_make("m2tenc", NULL);
    guint quantizer, interval, threads, tune;
    gboolean qos;
    g_autofree char *model = NULL;

    g_object_get(element, "quantizer", &quantizer, "key-int-max", &interval, "threads", &threads, "tune", &tune, "model-file", &model, "qos",
                 &qos, NULL);
    g_assert_cmpuint(quantizer, ==, 32);
    g_assert_cmpuint(interval, ==, 0);
    g_assert_cmpuint(threads, ==, 0);
    g_assert_cmpuint(tune, ==, 0);
    g_assert_null(model);
    g_assert_false(qos);
    gst_util_set_object_arg(G_OBJECT(element), "tune", "zerolatency");
    g_object_get(element, "tune", &tune, NULL);
    g_assert_cmpuint(tune, ==, 1);
    gst_object_unref(element);
}

static void
change_while_playing(void)
{
    GstHarness *h = encoder("key-int-max=1000 quantizer=50");

    for (guint i = 0; i < 4; i++) {
        GstBuffer *coded;
        M2tFrameInfo info;

        if (i == 2)
            g_object_set(h->element, "quantizer", 10, NULL);
        coded = encode(h, i);
        info = frame_info(coded);
        g_assert_cmpfloat(info.quantizer, ==, i < 2 ? 50 : 10);
        g_assert_cmpint(info.key, ==, i == 0);
        g_assert_cmpuint(info.number, ==, i);
        gst_buffer_unref(coded);
    }
    harness_free(h);
}

static void
ready_properties_stay(void)
{
    GstHarness *h = encoder_that_may_hold("threads=1");
    guint threads, tune;
    gint preset;
    g_autofree char *model = NULL;

    g_object_set(h->element, "threads", 2, "tune", 1, "speed-preset", 0, "model-file", "/nowhere", NULL);
    g_object_get(h->element, "threads", &threads, "tune", &tune, "speed-preset", &preset, "model-file", &model, NULL);
    g_assert_cmpuint(threads, ==, 1);
    g_assert_cmpuint(tune, ==, 0);
    g_assert_cmpint(preset, ==, 1);
    g_assert_null(model);
    harness_free(h);
}

static void
key_interval_counts_from_last(void)
{
    GstHarness *h = encoder("key-int-max=4");
    const gboolean keys[] = {1, 0, 0, 1, 0, 0, 0, 1, 0};

    for (guint i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (i == 3)
            gst_harness_push_upstream_event(h, gst_video_event_new_upstream_force_key_unit(GST_CLOCK_TIME_NONE, TRUE, 1));
        g_assert_cmpint(encode_is_key(h, i), ==, keys[i]);
    }
    harness_free(h);
}

static void
presets(void)
{
    GstElement *element = gst_element_factory_make("m2tenc", NULL);
    const char *names[] = {"Profile Realtime", "Quality High", "Quality Low", "Quality Normal"};
    const guint quantizers[] = {32, 20, 44, 32}, slices[] = {3, 0, 0, 0};
    char **found = gst_preset_get_preset_names(GST_PRESET(element));

    g_assert_cmpuint(g_strv_length(found), ==, G_N_ELEMENTS(names));
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        guint quantizer, bands;
        gint control;

        g_object_set(element, "slices", 0, NULL);
        g_assert_true(g_strv_contains((const char *const *) found, names[i]));
        g_assert_true(gst_preset_load_preset(GST_PRESET(element), names[i]));
        g_object_get(element, "quantizer", &quantizer, "slices", &bands, "rate-control", &control, NULL);
        g_assert_cmpuint(quantizer, ==, quantizers[i]);
        g_assert_cmpuint(bands, ==, slices[i]);
        g_assert_cmpint(control, ==, i == 0 ? M2T_RATE_CONTROL_CBR : M2T_RATE_CONTROL_CQP);
    }
    g_strfreev(found);
    gst_object_unref(element);
}

static void
tags(void)
{
    GstHarness *h = encoder("");
    g_autoptr(GstEvent) event = NULL;
    GstTagList *list;
    g_autofree char *encoder_name = NULL, *codec = NULL;
    guint version;

    gst_buffer_unref(encode(h, 0));
    event = gst_pad_get_sticky_event(h->sinkpad, GST_EVENT_TAG, 0);
    g_assert_nonnull(event);
    gst_event_parse_tag(event, &list);
    g_assert_true(gst_tag_list_get_string(list, GST_TAG_ENCODER, &encoder_name));
    g_assert_true(gst_tag_list_get_string(list, GST_TAG_VIDEO_CODEC, &codec));
    g_assert_true(gst_tag_list_get_uint(list, GST_TAG_ENCODER_VERSION, &version));
    g_assert_cmpstr(encoder_name, ==, "m2tenc");
    g_assert_cmpstr(codec, ==, "M2T");
    harness_free(h);
}

static void
qos_drops(void)
{
    GstHarness *h = encoder("qos=true");
    GstMessage *message;

    gst_buffer_unref(encode(h, 0));
    send_late(h, 0, 100 * GST_MSECOND); /* the base class then waits for 240 ms */
    for (guint i = 1; i < 6; i++)
        g_assert_cmpint(gst_harness_push(h, raw_frame(WIDTH, HEIGHT, i)), ==, GST_FLOW_OK);
    g_assert_cmpuint(gst_harness_buffers_in_queue(h), ==, 0);
    message = gst_bus_pop_filtered(test_bus(h), GST_MESSAGE_QOS);
    g_assert_nonnull(message);
    gst_message_unref(message);
    gst_buffer_unref(encode(h, 10));
    harness_free(h);
}

static void
qos_off_drops_nothing(void)
{
    GstHarness *h = encoder("");

    send_late(h, 0, 10 * GST_SECOND);
    for (guint i = 0; i < 3; i++)
        gst_buffer_unref(encode(h, i));
    harness_free(h);
}

/* A late frame for which a key frame is owed is not dropped, and neither is the debt. */
static void
forced_key_survives_drops(void)
{
    GstHarness *h = encoder("qos=true key-int-max=1000");

    g_assert_true(encode_is_key(h, 0));
    send_late(h, 0, 100 * GST_MSECOND);
    gst_harness_push(h, raw_frame(WIDTH, HEIGHT, 1));
    g_assert_cmpuint(gst_harness_buffers_in_queue(h), ==, 0);
    gst_harness_push_upstream_event(h, gst_video_event_new_upstream_force_key_unit(GST_CLOCK_TIME_NONE, TRUE, 1));
    g_assert_true(encode_is_key(h, 2));
    g_assert_false(encode_is_key(h, 10));
    harness_free(h);
}

static void
proposes_video_meta(void)
{
    GstHarness *h = encoder("");
    g_autoptr(GstCaps) caps = gst_caps_from_string(RAW_CAPS);
    GstQuery *query = gst_query_new_allocation(caps, TRUE);

    g_assert_true(gst_pad_peer_query(h->srcpad, query));
    g_assert_true(gst_query_find_allocation_meta(query, GST_VIDEO_META_API_TYPE, NULL));
    g_assert_false(gst_query_find_allocation_meta(query, GST_VIDEO_CROP_META_API_TYPE, NULL));
    g_assert_cmpuint(gst_query_get_n_allocation_pools(query), ==, 1);
    gst_query_unref(query);
    harness_free(h);
}

/* Planes with padding, as a camera may deliver them, code to the same bytes. */
static void
any_strides(void)
{
    GstHarness *h = encoder("");
    g_autoptr(GstBuffer) plain = encode(h, 0), padded_coded = NULL, raw = raw_frame(WIDTH, HEIGHT, 0);
    GstBuffer *padded = gst_buffer_new_allocate(NULL, 3 * 128 * HEIGHT, NULL);
    gsize offsets[GST_VIDEO_MAX_PLANES] = {64, 64 + 128 * HEIGHT, 64 + 128 * HEIGHT + 96 * HEIGHT / 2};
    gint strides[GST_VIDEO_MAX_PLANES] = {128, 96, 80};
    GstVideoInfo info;
    GstVideoFrame from, to;

    harness_free(h);
    gst_buffer_memset(padded, 0, 0xee, gst_buffer_get_size(padded));
    gst_buffer_add_video_meta_full(padded, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_I420, WIDTH, HEIGHT, 3, offsets, strides);
    gst_video_info_set_format(&info, GST_VIDEO_FORMAT_I420, WIDTH, HEIGHT);
    g_assert_true(gst_video_frame_map(&from, &info, raw, GST_MAP_READ));
    g_assert_true(gst_video_frame_map(&to, &info, padded, GST_MAP_WRITE));
    g_assert_true(gst_video_frame_copy(&to, &from));
    gst_video_frame_unmap(&to);
    gst_video_frame_unmap(&from);

    h = encoder("");
    g_assert_cmpint(gst_harness_push(h, padded), ==, GST_FLOW_OK);
    padded_coded = gst_harness_pull(h);
    {
        GstMapInfo map;

        gst_buffer_map(plain, &map, GST_MAP_READ);
        g_assert_cmpuint(gst_buffer_get_size(padded_coded), ==, map.size);
        g_assert_cmpint(gst_buffer_memcmp(padded_coded, 0, map.data, map.size), ==, 0);
        gst_buffer_unmap(plain, &map);
    }
    harness_free(h);
}

/* What is tagged as video stays on the coded frame; the layout of the planes does not. */
static void
metas(void)
{
    GstHarness *h = encoder("");
    GstBuffer *raw = raw_frame(WIDTH, HEIGHT, 0);
    const guint8 caption[] = {0xfc, 0x80, 0x80};
    g_autoptr(GstBuffer) coded = NULL;

    gst_buffer_add_video_caption_meta(raw, GST_VIDEO_CAPTION_TYPE_CEA708_RAW, caption, sizeof caption);
    gst_buffer_add_video_region_of_interest_meta(raw, "face", 0, 0, 16, 16);
    gst_buffer_add_video_meta(raw, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_I420, WIDTH, HEIGHT);
    gst_harness_push(h, raw);
    coded = gst_harness_pull(h);
    g_assert_nonnull(gst_buffer_get_video_caption_meta(coded));
    g_assert_nonnull(gst_buffer_get_meta(coded, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE));
    g_assert_null(gst_buffer_get_video_meta(coded));
    harness_free(h);
}

static void
missing_model(void)
{
    assert_model_missing("m2tenc");
}

static void
same_caps_twice(void)
{
    GstHarness *h = encoder("key-int-max=1000");

    g_assert_true(encode_is_key(h, 0));
    g_assert_cmpuint(caps_events(h), ==, 1);
    gst_harness_set_src_caps_str(h, RAW_CAPS);
    g_assert_false(encode_is_key(h, 1));
    g_assert_cmpuint(caps_events(h), ==, 0);
    harness_free(h);
}

/* Every field that the header has: a new caps event, a key frame with the new header, time goes on. */
static void
each_field_starts_anew(void)
{
    const char *variants[] = {
        "video/x-raw, format=I420, width=64, height=48, framerate=30/1",
        "video/x-raw, format=I420, width=64, height=48, framerate=25/1, pixel-aspect-ratio=4/3",
        "video/x-raw, format=I420, width=64, height=48, framerate=25/1, colorimetry=bt709",
        "video/x-raw, format=I420, width=64, height=48, framerate=25/1, colorimetry=bt601", /* what was assumed all along */
        "video/x-raw, format=I420, width=64, height=48, framerate=25/1, chroma-site=mpeg2",
        MASTERED_CAPS,
        "video/x-raw, format=I420, width=64, height=48, framerate=25/1, content-light-level=(string)1000:400",
        "video/x-raw, format=I420, width=64, height=48, framerate=25/1, content-light-level=(string)1000:500",
    };
    GstHarness *h = encoder("key-int-max=1000");

    for (guint i = 0; i < G_N_ELEMENTS(variants); i++) {
        M2tVideoInfo before, after;
        g_autoptr(GstBuffer) first = NULL, second = NULL;

        g_test_message("%s", variants[i]);
        gst_harness_set_src_caps_str(h, RAW_CAPS);
        first = encode(h, 2 * i + 1);
        before = frame_info(first).video;
        gst_harness_set_src_caps_str(h, variants[i]);
        second = encode(h, 2 * i + 2);
        after = frame_info(second).video;
        g_assert_true(frame_info(first).key && frame_info(second).key);
        g_assert_false(m2t_video_info_equal(&before, &after));
        g_assert_cmpuint(GST_BUFFER_PTS(second), ==, (2 * i + 2) * FRAME_TIME);
        g_assert_false(encode_is_key(h, 2 * i + 2));
    }
    harness_free(h);
}

static void
new_size(void)
{
    GstHarness *h = encoder("key-int-max=1000");
    g_autoptr(GstBuffer) coded = NULL;
    g_autoptr(GstStructure) s = NULL;
    gint width;

    gst_buffer_unref(encode(h, 0));
    gst_harness_set_src_caps_str(h, "video/x-raw, format=I420, width=80, height=32, framerate=25/1");
    g_assert_cmpint(gst_harness_push(h, raw_frame(80, 32, 1)), ==, GST_FLOW_OK);
    coded = gst_harness_pull(h);
    g_assert_cmpuint(frame_info(coded).video.width, ==, 80);
    g_assert_cmpuint(frame_info(coded).video.height, ==, 32);
    s = current_caps(h);
    gst_structure_get_int(s, "width", &width);
    g_assert_cmpint(width, ==, 80);
    harness_free(h);
}

static void
many_caps(void)
{
    const char *other = "video/x-raw, format=I420, width=80, height=32, framerate=25/1";
    GstHarness *h = harness("m2tenc tune=zerolatency", NULL, FRAMED_CAPS);

    gst_harness_set_src_caps_str(h, other); /* before any frame, twice in a row, and back */
    gst_harness_set_src_caps_str(h, RAW_CAPS);
    gst_buffer_unref(encode(h, 0));
    for (guint i = 1; i < 5; i++) {
        gst_harness_set_src_caps_str(h, other);
        gst_harness_set_src_caps_str(h, RAW_CAPS);
        g_assert_true(encode_is_key(h, i));
    }
    harness_free(h);
}

static void
rejected_caps(void)
{
    GstHarness *h = encoder("");
    g_autoptr(GstCaps) bad = gst_caps_from_string(RAW_CAPS ", interlace-mode=interleaved");

    gst_buffer_unref(encode(h, 0));
    g_assert_false(gst_pad_send_event(GST_PAD_PEER(h->srcpad), gst_event_new_caps(bad)));
    g_assert_null(gst_bus_pop_filtered(test_bus(h), GST_MESSAGE_ERROR));
    gst_pad_push_event(h->srcpad, gst_event_new_caps(bad));
    g_assert_cmpint(gst_harness_push(h, raw_frame(WIDTH, HEIGHT, 1)), ==, GST_FLOW_NOT_NEGOTIATED);
    gst_harness_set_src_caps_str(h, RAW_CAPS);
    gst_buffer_unref(encode(h, 2));
    harness_free(h);
}

/* New caps that fail because downstream is flushing, then the old ones again: frames are coded with the old size. */
static void
failed_caps_and_back(void)
{
    const struct {
        guint width, height;
    } sizes[] = {{WIDTH, HEIGHT}, {96, 80}};

    for (guint s = 0; s < 2; s++) {
        g_autofree char *old = raw_caps(sizes[s].width, sizes[s].height, NULL);
        g_autofree char *new = raw_caps(sizes[1 - s].width, sizes[1 - s].height, NULL);
        GstHarness *h = harness("m2tenc", old, FRAMED_CAPS);
        g_autoptr(GstCaps) old_caps = gst_caps_from_string(old), new_caps = gst_caps_from_string(new);
        GstPad *srcpad = gst_element_get_static_pad(h->element, "src");
        g_autoptr(GstBuffer) coded = NULL;
        GstSegment segment;

        g_assert_cmpint(gst_harness_push(h, raw_frame(sizes[s].width, sizes[s].height, 0)), ==, GST_FLOW_OK);
        gst_buffer_unref(gst_harness_pull(h));
        gst_pad_push_event(srcpad, gst_event_new_flush_start());
        gst_pad_push_event(h->srcpad, gst_event_new_caps(new_caps)); /* pads keep such events, and say that all is well */
        gst_pad_push_event(srcpad, gst_event_new_flush_stop(TRUE));
        g_assert_true(gst_pad_push_event(h->srcpad, gst_event_new_caps(old_caps)));
        gst_segment_init(&segment, GST_FORMAT_TIME);
        gst_harness_push_event(h, gst_event_new_segment(&segment));
        g_assert_cmpint(gst_harness_push(h, raw_frame(sizes[s].width, sizes[s].height, 1)), ==, GST_FLOW_OK);
        coded = gst_harness_pull(h);
        g_assert_true(frame_info(coded).key);
        g_assert_cmpuint(frame_info(coded).video.width, ==, sizes[s].width);
        g_assert_null(gst_bus_pop_filtered(test_bus(h), GST_MESSAGE_ERROR));
        gst_object_unref(srcpad);
        harness_free(h);
    }
}

static void
not_progressive_or_not_mono(void)
{
    const char *bad[] = {
        RAW_CAPS ", interlace-mode=interleaved",
        RAW_CAPS ", interlace-mode=mixed",
        RAW_CAPS ", multiview-mode=side-by-side",
    };

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        GstHarness *h = harness("m2tenc tune=zerolatency", NULL, FRAMED_CAPS);
        g_autoptr(GstCaps) caps = gst_caps_from_string(bad[i]);

        gst_pad_push_event(h->srcpad, gst_event_new_stream_start("x"));
        g_assert_false(gst_pad_send_event(GST_PAD_PEER(h->srcpad), gst_event_new_caps(caps)));
        g_assert_null(gst_bus_pop_filtered(test_bus(h), GST_MESSAGE_ERROR));
        harness_free(h);
    }
    {
        GstHarness *h = harness("m2tenc tune=zerolatency", RAW_CAPS ", multiview-mode=mono", FRAMED_CAPS);

        gst_buffer_unref(encode(h, 0));
        harness_free(h);
    }
}

static void
end_of_stream(void)
{
    for (guint frames = 0; frames < 3; frames++) {
        GstHarness *h = encoder("");
        gboolean eos = FALSE;
        GstEvent *event;

        for (guint i = 0; i < frames; i++)
            g_assert_cmpint(gst_harness_push(h, raw_frame(WIDTH, HEIGHT, i)), ==, GST_FLOW_OK);
        g_assert_true(gst_harness_push_event(h, gst_event_new_eos()));
        g_assert_cmpuint(gst_harness_buffers_received(h), ==, frames);
        while ((event = gst_harness_try_pull_event(h)) != NULL) {
            eos = GST_EVENT_TYPE(event) == GST_EVENT_EOS;
            gst_event_unref(event);
        }
        g_assert_true(eos);
        harness_free(h);
    }
    {
        GstHarness *h = harness("m2tenc tune=zerolatency", NULL, NULL);

        gst_harness_push_event(h, gst_event_new_stream_start("x"));
        gst_harness_push_event(h, gst_event_new_eos());
        harness_free(h);
    }
}

static void
flush(void)
{
    GstHarness *h = encoder("key-int-max=1000");

    gst_harness_push_event(h, gst_event_new_flush_start());
    gst_harness_push_event(h, gst_event_new_flush_stop(TRUE));
    send_segment(h);
    g_assert_true(encode_is_key(h, 0));
    g_assert_false(encode_is_key(h, 1));
    gst_harness_push_event(h, gst_event_new_flush_start());
    gst_harness_push_event(h, gst_event_new_flush_stop(TRUE));
    send_segment(h);
    g_assert_true(encode_is_key(h, 0));
    harness_free(h);
}

static void
gap(void)
{
    GstHarness *h = encoder("");
    GstEvent *event;
    gboolean seen = FALSE;

    gst_buffer_unref(encode(h, 0));
    gst_harness_push_event(h, gst_event_new_gap(FRAME_TIME, FRAME_TIME));
    gst_buffer_unref(encode(h, 2));
    while ((event = gst_harness_try_pull_event(h)) != NULL) {
        seen |= GST_EVENT_TYPE(event) == GST_EVENT_GAP;
        gst_event_unref(event);
    }
    g_assert_true(seen);
    harness_free(h);
}

/* Returns: the counts of the force-key-unit events that came out, as a bit set. */
static guint
downstream_key_units(GstHarness *h)
{
    GstEvent *event;
    guint counts = 0;

    while ((event = gst_harness_try_pull_event(h)) != NULL) {
        guint count;

        if (gst_video_event_is_force_key_unit(event) &&
            gst_video_event_parse_downstream_force_key_unit(event, NULL, NULL, NULL, NULL, &count))
            counts |= 1u << count;
        gst_event_unref(event);
    }
    return counts;
}

static void
force_key_unit(void)
{
    GstHarness *h = encoder("key-int-max=1000");

    g_assert_true(encode_is_key(h, 0));
    g_assert_false(encode_is_key(h, 1));
    gst_harness_push_upstream_event(h, gst_video_event_new_upstream_force_key_unit(GST_CLOCK_TIME_NONE, TRUE, 1));
    g_assert_true(encode_is_key(h, 2));
    g_assert_cmpuint(downstream_key_units(h), ==, 1u << 1);
    g_assert_false(encode_is_key(h, 3));

    gst_harness_push_upstream_event(h, gst_video_event_new_upstream_force_key_unit(5 * FRAME_TIME, TRUE, 2));
    g_assert_false(encode_is_key(h, 4));
    g_assert_true(encode_is_key(h, 5));
    g_assert_cmpuint(downstream_key_units(h), ==, 1u << 2);

    gst_harness_push_event(h, gst_video_event_new_downstream_force_key_unit(7 * FRAME_TIME, 7 * FRAME_TIME, 7 * FRAME_TIME, TRUE, 3));
    g_assert_false(encode_is_key(h, 6));
    g_assert_true(encode_is_key(h, 7));
    g_assert_cmpuint(downstream_key_units(h), ==, 1u << 3);

    gst_harness_push_upstream_event(h, gst_video_event_new_upstream_force_key_unit(GST_CLOCK_TIME_NONE, TRUE, 4));
    gst_harness_push_upstream_event(h, gst_video_event_new_upstream_force_key_unit(8 * FRAME_TIME, TRUE, 5));
    g_assert_true(encode_is_key(h, 8));
    g_assert_cmpuint(downstream_key_units(h), ==, 1u << 4 | 1u << 5);
    g_assert_false(encode_is_key(h, 9));
    harness_free(h);
}

static void
key_units_not_too_often(void)
{
    GstHarness *h = encoder("key-int-max=1000 min-force-key-unit-interval=200000000");

    g_assert_true(encode_is_key(h, 0));
    gst_harness_push_upstream_event(h, gst_video_event_new_upstream_force_key_unit(GST_CLOCK_TIME_NONE, TRUE, 1));
    for (guint i = 1; i < 7; i++)
        g_assert_cmpint(encode_is_key(h, i), ==, i == 5);
    harness_free(h);
}

static void
variable_rate(void)
{
    const char *raws[] = {
        "video/x-raw, format=I420, width=64, height=48, framerate=0/1",
        "video/x-raw, format=I420, width=64, height=48, framerate=0/1, max-framerate=30/1",
    };

    for (guint i = 0; i < G_N_ELEMENTS(raws); i++) {
        GstHarness *h = harness("m2tenc tune=zerolatency", raws[i], FRAMED_CAPS);
        g_autoptr(GstBuffer) coded = encode(h, 0);
        g_autoptr(GstStructure) s = current_caps(h);
        gint n = -1, d = -1;

        g_assert_true(gst_structure_get_fraction(s, "framerate", &n, &d));
        g_assert_cmpint(n, ==, 0);
        g_assert_cmpint(gst_structure_has_field(s, "max-framerate"), ==, i == 1);
        g_assert_true(frame_info(coded).video.has_rate);
        g_assert_cmpuint(frame_info(coded).video.rate_n, ==, 0);
        harness_free(h);
    }
}

static void
odd_time_stamps(void)
{
    GstHarness *h = encoder("");
    const GstClockTime times[] = {0, GST_CLOCK_TIME_NONE, 40, 40, 20, 1000};

    for (guint i = 0; i < G_N_ELEMENTS(times); i++) {
        GstBuffer *raw = raw_frame(WIDTH, HEIGHT, i), *coded;

        GST_BUFFER_PTS(raw) = GST_CLOCK_TIME_IS_VALID(times[i]) ? times[i] * GST_MSECOND : GST_CLOCK_TIME_NONE;
        g_assert_cmpint(gst_harness_push(h, raw), ==, GST_FLOW_OK);
        coded = gst_harness_pull(h);
        g_assert_cmpuint(GST_BUFFER_PTS(coded), ==, GST_CLOCK_TIME_IS_VALID(times[i]) ? times[i] * GST_MSECOND : GST_CLOCK_TIME_NONE);
        gst_buffer_unref(coded);
    }
    harness_free(h);
}

static void
segments_leave_time_alone(void)
{
    GstHarness *h = encoder("");
    g_autoptr(GstBuffer) coded = NULL;
    GstSegment segment;

    gst_segment_init(&segment, GST_FORMAT_TIME);
    segment.start = 10 * FRAME_TIME;
    segment.time = 3 * GST_SECOND;
    segment.rate = 2.0;
    segment.offset = FRAME_TIME;
    gst_harness_push_event(h, gst_event_new_segment(&segment));
    coded = encode(h, 20);
    g_assert_cmpuint(GST_BUFFER_PTS(coded), ==, 20 * FRAME_TIME);
    harness_free(h);
}

static void
flow_returns(void)
{
    const GstFlowReturn answers[] = {GST_FLOW_FLUSHING, GST_FLOW_EOS, GST_FLOW_NOT_LINKED, GST_FLOW_ERROR};

    for (guint i = 0; i < G_N_ELEMENTS(answers); i++) {
        GstHarness *h = encoder("");

        answer_always(h, answers[i]);
        g_assert_cmpint(gst_harness_push(h, raw_frame(WIDTH, HEIGHT, 0)), ==, answers[i]);
        g_assert_cmpint(posted_error(h, GST_STREAM_ERROR), ==, -1);
        g_assert_null(gst_bus_pop_filtered(test_bus(h), GST_MESSAGE_ERROR));
        harness_free(h);
    }
}

static void
short_buffer_is_an_error(void)
{
    GstHarness *h = encoder("");

    g_assert_cmpint(gst_harness_push(h, gst_buffer_new_allocate(NULL, 100, NULL)), ==, GST_FLOW_ERROR);
    g_assert_cmpint(posted_error(h, GST_STREAM_ERROR), ==, GST_STREAM_ERROR_ENCODE);
    harness_free(h);
}

static void
same_bytes_for_all_threads(void)
{
    g_autoptr(GPtrArray) one = coded_frames_of(RAW_CAPS, "threads=1", 3);
    g_autoptr(GPtrArray) two = coded_frames_of(RAW_CAPS, "threads=2", 3);
    g_autoptr(GPtrArray) automatic = coded_frames_of(RAW_CAPS, "threads=0", 3);

    for (guint i = 0; i < one->len; i++) {
        GstMapInfo map;

        gst_buffer_map(one->pdata[i], &map, GST_MAP_READ);
        g_assert_cmpuint(gst_buffer_get_size(two->pdata[i]), ==, map.size);
        g_assert_cmpint(gst_buffer_memcmp(two->pdata[i], 0, map.data, map.size), ==, 0);
        g_assert_cmpint(gst_buffer_memcmp(automatic->pdata[i], 0, map.data, map.size), ==, 0);
        gst_buffer_unmap(one->pdata[i], &map);
    }
}

/* --- several frames at the same time --- */

static void
latency(void)
{
    const struct {
        const char *properties, *raw;
        GstClockTime latency;
    } cases[] = {
        {"threads=1", RAW_CAPS, 0},
        {"threads=2", RAW_CAPS, FRAME_TIME},
        {"threads=3", RAW_CAPS, 2 * FRAME_TIME},
        {"threads=3 tune=zerolatency", RAW_CAPS, 0},
        {"threads=3 key-int-max=2", RAW_CAPS, 0},
        {"threads=3 rate-control=cbr", RAW_CAPS, 0},
        {"threads=64", RAW_CAPS, 7 * FRAME_TIME},
        {"threads=2", "video/x-raw, format=I420, width=64, height=48, framerate=24000/1001", 41708333},
        {"threads=2", "video/x-raw, format=I420, width=64, height=48, framerate=0/1", FRAME_TIME},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *launch = g_strdup_printf("m2tenc key-int-max=1 %s", cases[i].properties);
        GstHarness *h = harness(launch, cases[i].raw, FRAMED_CAPS);

        g_test_message("%s, %s", cases[i].properties, cases[i].raw);
        gst_harness_push(h, raw_frame(WIDTH, HEIGHT, 0));
        g_assert_cmpuint(min_latency(h), ==, cases[i].latency);
        harness_free(h);
    }
}

static void
push_frames(GstHarness *h, guint first, guint last)
{
    for (guint i = first; i <= last; i++)
        g_assert_cmpint(gst_harness_push(h, raw_frame(WIDTH, HEIGHT, i)), ==, GST_FLOW_OK);
}

/* Never more than two are held, all come out in order, and before the end. */
static void
holds_no_more_than_it_says(void)
{
    GstHarness *h = encoder_that_may_hold("threads=3");
    GString *log = arrivals(h);

    for (guint i = 0; i < 8; i++) {
        push_frames(h, i, i);
        g_assert_cmpuint(gst_harness_buffers_received(h) + 2, >=, i + 1);
    }
    g_assert_true(gst_harness_push_event(h, gst_event_new_eos()));
    g_assert_cmpstr(log->str, ==, "b0 b1 b2 b3 b4 b5 b6 b7 e ");
    harness_free(h);
}

static void
events_stay_in_place(void)
{
    GstHarness *h = encoder_that_may_hold("threads=4");
    GString *log = arrivals(h);

    push_frames(h, 0, 1);
    gst_harness_push_event(h, gst_event_new_gap(2 * FRAME_TIME, FRAME_TIME));
    push_frames(h, 3, 4);
    gst_harness_set_src_caps_str(h, "video/x-raw, format=I420, width=80, height=32, framerate=25/1");
    g_assert_cmpint(gst_harness_push(h, raw_frame(80, 32, 5)), ==, GST_FLOW_OK);
    gst_harness_set_src_caps_str(h, RAW_CAPS ", content-light-level=(string)1000:400");
    push_frames(h, 6, 6);
    gst_harness_set_src_caps_str(h, RAW_CAPS ", content-light-level=(string)1000:500");
    push_frames(h, 7, 7);
    g_assert_true(gst_harness_push_event(h, gst_event_new_eos()));
    g_assert_cmpstr(log->str, ==, "b0 b1 g b3 b4 c80 b5 c64 b6 c64 b7 e ");
    harness_free(h);
}

static void
flush_discards_what_is_held(void)
{
    GstHarness *h = encoder_that_may_hold("threads=4");
    guint before;

    push_frames(h, 0, 2);
    g_assert_cmpuint(min_latency(h), >, 0);
    before = gst_harness_buffers_received(h);
    gst_harness_push_event(h, gst_event_new_flush_start());
    gst_harness_push_event(h, gst_event_new_flush_stop(TRUE));
    send_segment(h);
    push_frames(h, 10, 12);
    g_assert_true(gst_harness_push_event(h, gst_event_new_eos()));
    g_assert_cmpuint(gst_harness_buffers_received(h), ==, before + 3);
    for (guint i = 0; i < before + 3; i++) {
        g_autoptr(GstBuffer) coded = gst_harness_pull(h);

        if (i >= before)
            g_assert_cmpuint(GST_BUFFER_PTS(coded), ==, (10 + i - before) * FRAME_TIME);
    }
    harness_free(h);
}

/* All frames are key frames then. The event leaves before the one that came in after the request, at the latest. */
static void
key_unit_while_frames_are_held(void)
{
    GstHarness *h = encoder_that_may_hold("threads=4");
    GString *log = arrivals(h);
    const char *event, *answer;

    push_frames(h, 0, 3); /* the first is out then */
    g_assert_cmpuint(min_latency(h), >, 0);
    gst_harness_push_upstream_event(h, gst_video_event_new_upstream_force_key_unit(GST_CLOCK_TIME_NONE, TRUE, 1));
    push_frames(h, 4, 6);
    g_assert_true(gst_harness_push_event(h, gst_event_new_eos()));
    event = strstr(log->str, "k ");
    answer = strstr(log->str, "b4 ");
    g_assert_true(event && answer && event < answer);
    g_string_erase(log, event - log->str, 2);
    g_assert_cmpstr(log->str, ==, "b0 b1 b2 b3 b4 b5 b6 e ");
    harness_free(h);
}

static void
drops_in_order(void)
{
    GstHarness *h = encoder_that_may_hold("threads=4 qos=true");
    GString *log = arrivals(h);

    push_frames(h, 0, 1);
    send_late(h, 0, 100 * GST_MSECOND);
    gst_harness_push_event(h, gst_event_new_gap(2 * FRAME_TIME, 0));
    push_frames(h, 2, 2);
    g_assert_cmpstr(log->str, ==, "b0 b1 g ");
    push_frames(h, 10, 10);
    g_assert_true(gst_harness_push_event(h, gst_event_new_eos()));
    g_assert_cmpstr(log->str, ==, "b0 b1 g b10 e ");
    harness_free(h);
}

static void
proposes_buffers_for_held_frames(void)
{
    const struct {
        const char *properties;
        guint min;
    } cases[] = {{"threads=1", 0}, {"threads=3 tune=zerolatency", 0}, {"threads=3", 3}};

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        GstHarness *h = encoder_that_may_hold(cases[i].properties);
        g_autoptr(GstCaps) caps = gst_caps_from_string(RAW_CAPS);
        GstQuery *query = gst_query_new_allocation(caps, TRUE);
        guint min;

        g_assert_true(gst_pad_peer_query(h->srcpad, query));
        g_assert_cmpuint(gst_query_get_n_allocation_pools(query), ==, 1);
        gst_query_parse_nth_allocation_pool(query, 0, NULL, NULL, &min, NULL);
        g_assert_cmpuint(min, ==, cases[i].min);
        gst_query_unref(query);
        harness_free(h);
    }
}

/* Downstream refuses in the middle, and the next caps need another encoder. */
static void
refused_frames_are_let_go(void)
{
    GstHarness *h = encoder_that_may_hold("threads=4");

    answer_always(h, GST_FLOW_ERROR);
    for (guint i = 0; i < 3; i++)
        gst_harness_push(h, raw_frame(WIDTH, HEIGHT, i));
    gst_harness_set_src_caps_str(h, "video/x-raw, format=I420, width=80, height=32, framerate=25/1");
    gst_harness_push(h, raw_frame(80, 32, 3));
    gst_harness_push_event(h, gst_event_new_eos());
    g_assert_null(gst_bus_pop_filtered(test_bus(h), GST_MESSAGE_ERROR));
    harness_free(h);
}

/* Down to READY with frames that nobody will ever ask for. */
static void
stops_with_held_frames(void)
{
    for (guint frames = 1; frames < 4; frames++) {
        GstHarness *h = encoder_that_may_hold("threads=4");

        push_frames(h, 0, frames - 1);
        g_assert_cmpint(gst_element_set_state(h->element, GST_STATE_READY), ==, GST_STATE_CHANGE_SUCCESS);
        harness_free(h);
    }
}

static void
speed_presets(void)
{
    g_autoptr(GPtrArray) unset = coded_frames_of(RAW_CAPS, "", 1);
    g_autoptr(GPtrArray) medium = coded_frames_of(RAW_CAPS, "speed-preset=medium", 1);
    g_autoptr(GPtrArray) fast = coded_frames_of(RAW_CAPS, "speed-preset=fast", 1);
    GstMapInfo map;

    gst_buffer_map(medium->pdata[0], &map, GST_MAP_READ);
    g_assert_cmpint(gst_buffer_memcmp(unset->pdata[0], 0, map.data, map.size), ==, 0);
    g_assert_true(gst_buffer_get_size(fast->pdata[0]) != map.size || gst_buffer_memcmp(fast->pdata[0], 0, map.data, map.size) != 0);
    gst_buffer_unmap(medium->pdata[0], &map);
}

static void
stress(void)
{
    GstHarness *h = encoder_that_may_hold("threads=3");
    GstBuffer *raw = raw_frame(WIDTH, HEIGHT, 0);
    GstSegment segment;
    g_autoptr(GstCaps) caps = gst_caps_from_string(RAW_CAPS);
    GstHarnessThread *push, *set, *force;
    GstEvent *event = gst_video_event_new_upstream_force_key_unit(GST_CLOCK_TIME_NONE, TRUE, 1);
    GValue value = G_VALUE_INIT;

    gst_segment_init(&segment, GST_FORMAT_TIME);
    g_value_init(&value, G_TYPE_UINT);
    g_value_set_uint(&value, 20);
    gst_harness_set_drop_buffers(h, TRUE);
    push = gst_harness_stress_push_buffer_start(h, caps, &segment, raw);
    set = gst_harness_stress_property_start_full(h, "quantizer", &value, 100);
    force = gst_harness_stress_send_upstream_event_start(h, event);
    g_usleep(G_USEC_PER_SEC);
    gst_harness_stress_thread_stop(force);
    gst_harness_stress_thread_stop(set);
    g_assert_cmpuint(gst_harness_stress_thread_stop(push), >, 0);
    g_value_unset(&value);
    gst_event_unref(event);
    gst_buffer_unref(raw);
    harness_free(h);
}

/* --- streams whose frames depend on each other --- */

/* Bytes of @count frames from @first on, which move. */
static gsize
bytes_of(GstHarness *h, guint first, guint count, guint width, guint height)
{
    gsize bytes = 0;

    for (guint i = first; i < first + count; i++) {
        g_autoptr(GstBuffer) coded = NULL;

        g_assert_cmpint(gst_harness_push(h, raw_frame(width, height, i)), ==, GST_FLOW_OK);
        coded = gst_harness_pull(h);
        bytes += gst_buffer_get_size(coded);
    }
    return bytes;
}

/* FRAME_TIME is 1/25 s: 150 kbit/s are 750 bytes a frame. In two seconds half a buffer is an eighth. */
static void
bitrate_while_playing(void)
{
    const guint bitrates[] = {300, 150, 600};
    g_autofree char *caps = raw_caps(208, 144, NULL);
    const char *modes[] = {"cbr", "vbr max-bitrate=1200"};

    for (guint mode = 0; mode < G_N_ELEMENTS(modes); mode++) {
        g_autofree char *launch = g_strdup_printf("m2tenc model-file=live key-int-max=1 bitrate=300 rate-control=%s", modes[mode]);
        GstHarness *h = harness(launch, caps, FRAMED_CAPS);

        for (guint i = 0; i < G_N_ELEMENTS(bitrates); i++) {
            gsize bytes;

            g_object_set(h->element, "bitrate", bitrates[i], NULL);
            bytes_of(h, 60 * i, 3, 208, 144); /* that it may take */
            bytes = bytes_of(h, 60 * i + 3, 50, 208, 144);
            g_test_message("%s, %u kbit/s: %" G_GSIZE_FORMAT " bytes in 2 s", modes[mode], bitrates[i], bytes);
            g_assert_cmpuint(bytes, >, bitrates[i] * 125 * 2 * 8 / 10);
            g_assert_cmpuint(bytes, <, bitrates[i] * 125 * 2 * 12 / 10);
        }
        harness_free(h);
    }
}

/* The mean is not above the maximum, whoever asked for that. */
static void
maximum_below_bitrate(void)
{
    g_autofree char *caps = raw_caps(208, 144, NULL);
    const char *rates[] = {"bitrate=600 max-bitrate=150", "max-bitrate=150 vbv-buf-capacity=1000"};

    for (guint i = 0; i < G_N_ELEMENTS(rates); i++) {
        g_autofree char *launch = g_strdup_printf("m2tenc model-file=live key-int-max=1 rate-control=vbr %s", rates[i]);
        GstHarness *h = harness(launch, caps, FRAMED_CAPS);

        if (i == 1)
            g_object_set(h->element, "bitrate", 1000, NULL);
        bytes_of(h, 0, 3, 208, 144);
        g_assert_cmpuint(bytes_of(h, 3, 50, 208, 144), <, 150 * 125 * 2 * 12 / 10);
        harness_free(h);
    }
}

static void
rate_control_without_time(void)
{
    GstHarness *h = harness("m2tenc rate-control=cbr bitrate=50", "video/x-raw, format=I420, width=64, height=48, framerate=0/1", FRAMED_CAPS);

    for (guint i = 0; i < 20; i++) {
        GstBuffer *raw = raw_frame(WIDTH, HEIGHT, i);
        g_autoptr(GstBuffer) coded = NULL;

        GST_BUFFER_PTS(raw) = GST_BUFFER_DURATION(raw) = GST_CLOCK_TIME_NONE;
        g_assert_cmpint(gst_harness_push(h, raw), ==, GST_FLOW_OK);
        coded = gst_harness_pull(h);
        g_assert_cmpuint(gst_buffer_get_size(coded), <, 1000);
    }
    harness_free(h);
}

/* What does not change costs a header; a key frame all of it. */
static void
still_picture(void)
{
    GstHarness *h = harness("m2tenc", RAW_CAPS, FRAMED_CAPS), *every = encoder("");
    GstHarness *decoder = harness("m2tdec", FRAMED_CAPS, NULL);
    g_autoptr(GstBuffer) first = NULL;
    gsize whole = 0;

    for (guint i = 0; i < 60; i++) {
        GstBuffer *raw = raw_frame(WIDTH, HEIGHT, 0);
        g_autoptr(GstBuffer) coded = NULL, shown = NULL, key = NULL;

        GST_BUFFER_PTS(raw) = i * FRAME_TIME;
        g_assert_cmpint(gst_harness_push(every, gst_buffer_ref(raw)), ==, GST_FLOW_OK);
        g_assert_cmpint(gst_harness_push(h, raw), ==, GST_FLOW_OK);
        coded = gst_harness_pull(h);
        key = gst_harness_pull(every);
        whole = i == 0 ? gst_buffer_get_size(coded) : whole;
        g_assert_false(is_delta(key));
        g_assert_cmpint(is_delta(coded), ==, i != 0 && i != 50); /* two seconds */
        if (is_delta(coded))
            g_assert_cmpuint(gst_buffer_get_size(coded), <, whole / 10);
        g_assert_cmpint(gst_harness_push(decoder, gst_buffer_ref(coded)), ==, GST_FLOW_OK);
        shown = gst_harness_pull(decoder);
        g_assert_false(GST_BUFFER_FLAG_IS_SET(shown, GST_BUFFER_FLAG_CORRUPTED));
        if (first)
            assert_same_picture(first, shown, WIDTH, HEIGHT);
        else
            first = g_steal_pointer(&shown);
    }
    harness_free(decoder);
    harness_free(every);
    harness_free(h);
}

/* More than there is room for is lowered with a warning, also when a new size has less. */
static void
slices(void)
{
    GstHarness *h = harness("m2tenc slices=4", RAW_CAPS, FRAMED_CAPS);
    const guint heights[] = {HEIGHT, 96, HEIGHT}, expected[] = {3, 4, 3};

    for (guint i = 0; i < G_N_ELEMENTS(heights); i++) {
        g_autofree char *caps = raw_caps(WIDTH, heights[i], NULL);
        g_autoptr(GstMessage) warning = NULL;
        g_autoptr(GstBuffer) coded = NULL;

        gst_harness_set_src_caps_str(h, caps);
        g_assert_cmpint(gst_harness_push(h, raw_frame(WIDTH, heights[i], i)), ==, GST_FLOW_OK);
        coded = gst_harness_pull(h);
        g_assert_cmpuint(frame_info(coded).slices, ==, expected[i]);
        warning = gst_bus_pop_filtered(test_bus(h), GST_MESSAGE_WARNING);
        g_assert_cmpint(warning != NULL, ==, expected[i] < 4);
    }
    harness_free(h);
}

/* Every frame that renews a part has the header, but only those that are whole are sync points. */
static void
sync_points_of_intra_refresh(void)
{
    g_autofree char *caps = raw_caps(WIDTH, 96, NULL);
    g_autoptr(GPtrArray) coded = coded_still_of(caps, "slices=3 intra-refresh=true key-int-max=3", 7);

    for (guint i = 0; i < coded->len; i++) {
        g_assert_true(frame_info(coded->pdata[i]).key);
        g_assert_cmpint(frame_info(coded->pdata[i]).inter, ==, i != 0);
        g_assert_cmpint(is_delta(coded->pdata[i]), ==, i != 0);
    }
}

int
main(int argc, char **argv)
{
    test_init(&argc, &argv);
    g_test_add_func("/encoder/one in one out, no latency, DTS is PTS", one_in_one_out);
    g_test_add_func("/encoder/accepted caps", accept_caps);
    g_test_add_func("/encoder/form of the output", output_form);
    g_test_add_func("/encoder/key frames carry the header", key_frames_carry_header);
    g_test_add_func("/encoder/flags", flags);
    g_test_add_func("/encoder/sync points of intra refresh", sync_points_of_intra_refresh);
    g_test_add_func("/encoder/properties", properties);
    g_test_add_func("/encoder/change while playing", change_while_playing);
    g_test_add_func("/encoder/ready properties stay", ready_properties_stay);
    g_test_add_func("/encoder/key interval counts from the last key frame", key_interval_counts_from_last);
    g_test_add_func("/encoder/presets", presets);
    g_test_add_func("/encoder/tags", tags);
    g_test_add_func("/encoder/qos drops late frames", qos_drops);
    g_test_add_func("/encoder/without qos nothing is dropped", qos_off_drops_nothing);
    g_test_add_func("/encoder/a forced key frame survives drops", forced_key_survives_drops);
    g_test_add_func("/encoder/proposed allocation", proposes_video_meta);
    g_test_add_func("/encoder/any strides", any_strides);
    g_test_add_func("/encoder/metas", metas);
    g_test_add_func("/encoder/missing model", missing_model);
    g_test_add_func("/encoder/same caps twice", same_caps_twice);
    g_test_add_func("/encoder/each field of the header", each_field_starts_anew);
    g_test_add_func("/encoder/new size", new_size);
    g_test_add_func("/encoder/many caps", many_caps);
    g_test_add_func("/encoder/rejected caps", rejected_caps);
    g_test_add_func("/encoder/failed caps and back", failed_caps_and_back);
    g_test_add_func("/encoder/interlaced or multiview", not_progressive_or_not_mono);
    g_test_add_func("/encoder/end of stream", end_of_stream);
    g_test_add_func("/encoder/flush", flush);
    g_test_add_func("/encoder/gap", gap);
    g_test_add_func("/encoder/force key unit", force_key_unit);
    g_test_add_func("/encoder/not more often than allowed", key_units_not_too_often);
    g_test_add_func("/encoder/variable frame rate", variable_rate);
    g_test_add_func("/encoder/odd time stamps", odd_time_stamps);
    g_test_add_func("/encoder/segments", segments_leave_time_alone);
    g_test_add_func("/encoder/flow returns", flow_returns);
    g_test_add_func("/encoder/short buffer", short_buffer_is_an_error);
    g_test_add_func("/encoder/same bytes for all threads", same_bytes_for_all_threads);
    g_test_add_func("/encoder/latency", latency);
    g_test_add_func("/encoder/holds no more than it says", holds_no_more_than_it_says);
    g_test_add_func("/encoder/events stay in place", events_stay_in_place);
    g_test_add_func("/encoder/flush discards what is held", flush_discards_what_is_held);
    g_test_add_func("/encoder/key unit while frames are held", key_unit_while_frames_are_held);
    g_test_add_func("/encoder/drops in order", drops_in_order);
    g_test_add_func("/encoder/buffers for held frames", proposes_buffers_for_held_frames);
    g_test_add_func("/encoder/refused frames are let go", refused_frames_are_let_go);
    g_test_add_func("/encoder/stops with held frames", stops_with_held_frames);
    g_test_add_func("/encoder/speed presets", speed_presets);
    g_test_add_func("/encoder/bitrate while playing", bitrate_while_playing);
    g_test_add_func("/encoder/maximum below bitrate", maximum_below_bitrate);
    g_test_add_func("/encoder/rate control without time", rate_control_without_time);
    g_test_add_func("/encoder/still pictures", still_picture);
    g_test_add_func("/encoder/slices", slices);
    g_test_add_func("/encoder/stress", stress);
    return test_run();
}
