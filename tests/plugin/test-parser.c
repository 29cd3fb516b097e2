/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* m2tparse and the type finder, one behaviour per test. */
#include "common.h"

#include <gst/base/gsttypefindhelper.h>
#include <string.h>

/* Byte streams come as from a file, with positions in bytes. */
static void
start_stream(GstHarness *h, const char *caps_string)
{
    g_autoptr(GstCaps) caps = gst_caps_from_string(caps_string);
    GstSegment segment;

    gst_segment_init(&segment, strstr(caps_string, "framed") || strstr(caps_string, "fourcc") ? GST_FORMAT_TIME : GST_FORMAT_BYTES);
    gst_harness_push_event(h, gst_event_new_stream_start("test"));
    gst_harness_push_event(h, gst_event_new_caps(caps));
    gst_harness_push_event(h, gst_event_new_segment(&segment));
}

static GstHarness *
parser(const char *src_caps, const char *sink_caps)
{
    GstHarness *h = harness("m2tparse", NULL, sink_caps);

    if (src_caps != NULL)
        start_stream(h, src_caps);
    return h;
}

static void
push_bytes(GstHarness *h, const void *data, gsize size)
{
    g_assert_cmpint(gst_harness_push(h, gst_buffer_new_memdup(data, size)), ==, GST_FLOW_OK);
}

static void
push_file(GstHarness *h, GBytes *file)
{
    gsize size;
    gconstpointer data = g_bytes_get_data(file, &size);

    push_bytes(h, data, size);
}

static void
assert_equal_bytes(GstBuffer *a, GstBuffer *b)
{
    GstMapInfo map;

    gst_buffer_map(a, &map, GST_MAP_READ);
    g_assert_cmpuint(gst_buffer_get_size(b), ==, map.size);
    g_assert_cmpint(gst_buffer_memcmp(b, 0, map.data, map.size), ==, 0);
    gst_buffer_unmap(a, &map);
}

/* All that came out is @frames, in order. */
static void
assert_frames(GstHarness *h, GPtrArray *frames)
{
    g_assert_cmpuint(gst_harness_buffers_in_queue(h), ==, frames->len);
    for (guint i = 0; i < frames->len; i++) {
        g_autoptr(GstBuffer) out = gst_harness_pull(h);

        assert_equal_bytes(out, frames->pdata[i]);
        g_assert_cmpint(is_delta(out), ==, is_delta(frames->pdata[i]));
        g_assert_cmpuint(GST_BUFFER_PTS(out), ==, i * FRAME_TIME);
        g_assert_cmpuint(GST_BUFFER_DURATION(out), ==, FRAME_TIME);
    }
}

static void
whole(void)
{
    g_autoptr(GBytes) file = coded_file(5, 2);
    g_autoptr(GPtrArray) frames = coded_frames(WIDTH, HEIGHT, 5, 2);
    GstHarness *h = parser(STREAM_CAPS, FRAMED_CAPS);

    push_file(h, file);
    assert_frames(h, frames);
    harness_free(h);
}

static void
byte_by_byte(void)
{
    g_autoptr(GBytes) file = coded_file(4, 2);
    g_autoptr(GPtrArray) frames = coded_frames(WIDTH, HEIGHT, 4, 2);
    GstHarness *h = parser(STREAM_CAPS, FRAMED_CAPS);
    gsize size;
    const guint8 *data = g_bytes_get_data(file, &size);

    for (gsize i = 0; i < size; i++)
        push_bytes(h, data + i, 1);
    assert_frames(h, frames);
    harness_free(h);
}

static void
no_caps(void)
{
    g_autoptr(GBytes) file = coded_file(2, 0);
    g_autoptr(GPtrArray) frames = coded_frames(WIDTH, HEIGHT, 2, 0);
    GstHarness *h = parser("video/x-m2t", FRAMED_CAPS);

    push_file(h, file);
    assert_frames(h, frames);
    harness_free(h);
}

/* Rubbish before, between and after, some of it much like a unit. */
static void
garbage(void)
{
    const guint8 rubbish[] = {0, 0, 2, 0x4d, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 'M', '2', 'T', 'V', 0, 0, 0, 2, 0x4d, 0, 0, 0, 2};
    g_autoptr(GPtrArray) frames = coded_frames(WIDTH, HEIGHT, 4, 0);
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    GstHarness *h = parser(STREAM_CAPS, FRAMED_CAPS);

    for (guint i = 0; i < frames->len; i++) {
        GstMapInfo map;

        g_byte_array_append(bytes, rubbish, sizeof rubbish);
        gst_buffer_map(frames->pdata[i], &map, GST_MAP_READ);
        m2t_stream_append(bytes, map.data, map.size);
        gst_buffer_unmap(frames->pdata[i], &map);
    }
    g_byte_array_append(bytes, rubbish, sizeof rubbish);
    push_bytes(h, bytes->data, bytes->len);
    gst_harness_push_event(h, gst_event_new_eos());
    assert_frames(h, frames);
    g_assert_null(gst_bus_pop_filtered(test_bus(h), GST_MESSAGE_ERROR));
    harness_free(h);
}

static void
damaged_unit(void)
{
    g_autoptr(GBytes) file = coded_file(4, 0);
    g_autoptr(GPtrArray) frames = coded_frames(WIDTH, HEIGHT, 4, 0);
    GstHarness *h = parser(STREAM_CAPS, FRAMED_CAPS);
    gsize size;
    g_autofree guint8 *data = g_memdup2(g_bytes_get_data(file, NULL), g_bytes_get_size(file));
    gsize second;

    size = g_bytes_get_size(file);
    for (second = M2T_STREAM_MAGIC_SIZE + 4; memcmp(data + second, "\0\0\2M", 4) != 0; second++)
        ;
    data[second + M2T_STREAM_UNIT_HEADER_SIZE] ^= 0x55;
    push_bytes(h, data, size);
    g_assert_cmpuint(gst_harness_buffers_in_queue(h), ==, 3);
    gst_buffer_unref(gst_harness_pull(h));
    {
        g_autoptr(GstBuffer) third = gst_harness_pull(h);

        assert_equal_bytes(third, frames->pdata[2]);
        g_assert_true(GST_BUFFER_FLAG_IS_SET(third, GST_BUFFER_FLAG_DISCONT));
    }
    harness_free(h);
}

static void
cut_end(void)
{
    g_autoptr(GBytes) file = coded_file(3, 0), cut = g_bytes_new_from_bytes(file, 0, g_bytes_get_size(file) - 5);
    g_autoptr(GPtrArray) frames = coded_frames(WIDTH, HEIGHT, 2, 0);
    GstHarness *h = parser(STREAM_CAPS, FRAMED_CAPS);

    push_file(h, cut);
    gst_harness_push_event(h, gst_event_new_eos());
    assert_frames(h, frames);
    harness_free(h);
}

static void
only_garbage(void)
{
    GstHarness *h = parser(STREAM_CAPS, FRAMED_CAPS);
    guint8 rubbish[3000];

    memset(rubbish, 0x5a, sizeof rubbish);
    push_bytes(h, rubbish, sizeof rubbish);
    gst_harness_push_event(h, gst_event_new_eos());
    g_assert_cmpuint(gst_harness_buffers_received(h), ==, 0);
    g_assert_cmpint(posted_error(h, GST_STREAM_ERROR), ==, GST_STREAM_ERROR_WRONG_TYPE);
    harness_free(h);
}

/* A length that is not true must not swallow what comes after. */
static void
hostile_length(void)
{
    const guint8 claims[][8] = {{0, 0, 2, 0x4d, 0xff, 0xff, 0xff, 0xff}, {0, 0, 2, 0x4d, 0x90, 0x80, 0x80, 0x80}};
    g_autoptr(GBytes) file = coded_file(2, 0);
    g_autoptr(GPtrArray) frames = coded_frames(WIDTH, HEIGHT, 2, 0);

    for (guint c = 0; c < G_N_ELEMENTS(claims); c++) {
        GstHarness *h = parser(STREAM_CAPS, FRAMED_CAPS);

        push_bytes(h, claims[c], sizeof claims[c]);
        push_file(h, file);
        gst_harness_push_event(h, gst_event_new_eos());
        assert_frames(h, frames);
        harness_free(h);
    }
}

static void
to_byte_stream(void)
{
    const char *sources[] = {FRAMED_CAPS, "video/x-gst-fourcc-m2tv, width=64, height=48, framerate=25/1"};
    g_autoptr(GBytes) file = coded_file(4, 2);

    for (guint s = 0; s < G_N_ELEMENTS(sources); s++) {
        g_autoptr(GPtrArray) frames = coded_frames(WIDTH, HEIGHT, 4, 2);
        GstHarness *h = parser(sources[s], s == 0 ? STREAM_CAPS : NULL);
        g_autoptr(GByteArray) bytes = g_byte_array_new();
        gconstpointer expected;
        gsize size;

        for (guint i = 0; i < frames->len; i++) {
            GstBuffer *out;
            GstMapInfo map;

            gst_harness_push(h, gst_buffer_copy(frames->pdata[i]));
            out = gst_harness_pull(h);
            g_assert_cmpuint(GST_BUFFER_PTS(out), ==, i * FRAME_TIME);
            g_assert_cmpint(is_delta(out), ==, i % 2 != 0);
            gst_buffer_map(out, &map, GST_MAP_READ);
            g_byte_array_append(bytes, map.data, (guint) map.size);
            gst_buffer_unmap(out, &map);
            gst_buffer_unref(out);
        }
        expected = g_bytes_get_data(file, &size);
        g_assert_cmpmem(bytes->data, bytes->len, expected, size);
        harness_free(h);
    }
}

static void
byte_stream_stays(void)
{
    g_autoptr(GBytes) file = coded_file(4, 2);
    GstHarness *h = parser(STREAM_CAPS, STREAM_CAPS);
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    gconstpointer expected;
    gsize size;

    push_file(h, file);
    for (guint i = 0; i < 4; i++) {
        g_autoptr(GstBuffer) out = gst_harness_pull(h);
        GstMapInfo map;

        gst_buffer_map(out, &map, GST_MAP_READ);
        g_byte_array_append(bytes, map.data, (guint) map.size);
        gst_buffer_unmap(out, &map);
    }
    expected = g_bytes_get_data(file, &size);
    g_assert_cmpmem(bytes->data, bytes->len, expected, size);
    harness_free(h);
}

static void
framed_stays(void)
{
    g_autoptr(GPtrArray) frames = coded_frames(WIDTH, HEIGHT, 4, 2);
    GstHarness *h = parser(FRAMED_CAPS, FRAMED_CAPS);

    for (guint i = 0; i < frames->len; i++) {
        GstBuffer *in = gst_buffer_copy(frames->pdata[i]), *out;

        /* Flags that are the wrong way round are put right. */
        if (i % 2 == 0)
            GST_BUFFER_FLAG_SET(in, GST_BUFFER_FLAG_DELTA_UNIT);
        else
            GST_BUFFER_FLAG_UNSET(in, GST_BUFFER_FLAG_DELTA_UNIT);
        gst_harness_push(h, in);
        out = gst_harness_pull(h);
        assert_equal_bytes(out, frames->pdata[i]);
        g_assert_true(gst_buffer_peek_memory(out, 0) == gst_buffer_peek_memory(frames->pdata[i], 0));
        g_assert_cmpint(is_delta(out), ==, i % 2 != 0);
        g_assert_cmpuint(GST_BUFFER_PTS(out), ==, i * FRAME_TIME);
        gst_buffer_unref(out);
    }
    harness_free(h);
}

static void
from_mp4_and_to_mp4(void)
{
    const char *targets[] = {"video/x-mp4-part, format=(uint)0x7674326d", "video/x-qt-part, format=(uint)0x7674326d"};
    g_autoptr(GBytes) file = coded_file(3, 0);
    g_autoptr(GPtrArray) frames = coded_frames(WIDTH, HEIGHT, 3, 0);

    for (guint t = 0; t < G_N_ELEMENTS(targets); t++) {
        GstHarness *h = parser(STREAM_CAPS, targets[t]);
        g_autoptr(GstStructure) s = NULL;
        gint width;

        push_file(h, file);
        assert_frames(h, frames);
        s = current_caps(h);
        g_assert_true(gst_structure_get_int(s, "width", &width));
        harness_free(h);
    }
    {
        GstHarness *h = parser("video/x-gst-fourcc-m2tv, width=64, height=48, framerate=25/1", FRAMED_CAPS);

        for (guint i = 0; i < 3; i++)
            gst_harness_push(h, gst_buffer_copy(frames->pdata[i]));
        assert_frames(h, frames);
        harness_free(h);
    }
}

static void
caps_follow_the_header(void)
{
    g_autoptr(GPtrArray) a = coded_frames(WIDTH, HEIGHT, 3, 0), b = coded_frames(96, 80, 2, 0);
    GstHarness *h = parser(FRAMED_CAPS, FRAMED_CAPS);
    g_autoptr(GstStructure) s = NULL;
    gint width, n, d;
    gboolean parsed;

    for (guint i = 0; i < a->len; i++)
        gst_harness_push(h, gst_buffer_copy(a->pdata[i]));
    g_assert_cmpuint(caps_events(h), ==, 1);
    for (guint i = 0; i < b->len; i++)
        gst_harness_push(h, gst_buffer_copy(b->pdata[i]));
    g_assert_cmpuint(caps_events(h), ==, 1);
    s = current_caps(h);
    gst_structure_get(s, "width", G_TYPE_INT, &width, "framerate", GST_TYPE_FRACTION, &n, &d, "parsed", G_TYPE_BOOLEAN, &parsed, NULL);
    g_assert_cmpint(width, ==, 96);
    g_assert_cmpint(n, ==, 25);
    g_assert_true(parsed);
    harness_free(h);
}

static void
starts_with_a_key_frame(void)
{
    const char *forms[] = {FRAMED_CAPS, STREAM_CAPS};
    g_autoptr(GPtrArray) frames = coded_frames(WIDTH, HEIGHT, 6, 3);
    g_autoptr(GBytes) file = coded_file(6, 3);

    for (guint f = 0; f < 2; f++) {
        GstHarness *h = parser(forms[f], FRAMED_CAPS);

        if (f == 0) {
            for (guint i = 1; i < 6; i++)
                g_assert_cmpint(gst_harness_push(h, gst_buffer_copy(frames->pdata[i])), ==, GST_FLOW_OK);
        } else {
            gsize size;
            const guint8 *data = g_bytes_get_data(file, &size);

            push_bytes(h, data + 20, size - 20);
        }
        g_assert_cmpuint(gst_harness_buffers_in_queue(h), ==, 3);
        harness_free(h);
    }
}

/* Frames that renew a part of the picture are no sync points, but one who comes late has to start with one. */
static void
intra_refresh(void)
{
    g_autofree char *caps = raw_caps(64, 96, NULL);
    g_autoptr(GPtrArray) frames = coded_still_of(caps, "slices=2 intra-refresh=true key-int-max=4", 10);

    for (guint first = 0; first < 4; first++) {
        GstHarness *h = parser(FRAMED_CAPS, FRAMED_CAPS);
        guint start = first;

        while (!frame_info(frames->pdata[start]).key)
            start++;
        for (guint i = first; i < 10; i++)
            gst_harness_push(h, gst_buffer_copy(frames->pdata[i]));
        g_assert_cmpuint(gst_harness_buffers_in_queue(h), ==, 10 - start);
        for (guint i = start; i < 10; i++) {
            g_autoptr(GstBuffer) out = gst_harness_pull(h);

            g_assert_cmpint(is_delta(out), ==, i != start);
        }
        harness_free(h);
    }
}

static void
accepted_input(void)
{
    GstHarness *h = parser(NULL, "video/x-m2t, stream-format=framed, alignment=frame, width=[16, 100], parsed=true");
    g_autoptr(GstCaps) caps = gst_pad_peer_query_caps(h->srcpad, NULL);
    const struct {
        const char *caps;
        gboolean possible;
    } cases[] = {
        {"video/x-m2t, stream-format=byte-stream", TRUE},
        {"video/x-m2t, stream-format=framed, alignment=frame, width=64", TRUE},
        {"video/x-gst-fourcc-m2tv, width=64", TRUE},
        {"video/x-m2t, stream-format=byte-stream, width=200", FALSE},
        {"video/x-h264", FALSE},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GstCaps) wanted = gst_caps_from_string(cases[i].caps);

        g_test_message("%s", cases[i].caps);
        g_assert_cmpint(gst_caps_can_intersect(caps, wanted), ==, cases[i].possible);
    }
    harness_free(h);
}

static void
accepted_input_for_mp4(void)
{
    GstHarness *h = parser(NULL, "video/x-mp4-part, format=(uint)0x7674326d");
    g_autoptr(GstCaps) caps = gst_pad_peer_query_caps(h->srcpad, NULL);
    g_autoptr(GstCaps) wanted = gst_caps_from_string(STREAM_CAPS);

    g_assert_true(gst_caps_can_intersect(caps, wanted));
    harness_free(h);
}

static void
tags(void)
{
    g_autoptr(GBytes) file = coded_file(1, 0);
    GstHarness *h = parser(STREAM_CAPS, FRAMED_CAPS);
    g_autoptr(GstEvent) event = NULL;
    g_autofree char *codec = NULL;
    GstTagList *list;

    push_file(h, file);
    gst_harness_push_event(h, gst_event_new_eos());
    event = gst_pad_get_sticky_event(h->sinkpad, GST_EVENT_TAG, 0);
    g_assert_nonnull(event);
    gst_event_parse_tag(event, &list);
    g_assert_true(gst_tag_list_get_string(list, GST_TAG_VIDEO_CODEC, &codec));
    g_assert_cmpstr(codec, ==, "M2T");
    harness_free(h);
}

static void
starts_again(void)
{
    g_autoptr(GBytes) file = coded_file(2, 0);
    g_autoptr(GPtrArray) frames = coded_frames(WIDTH, HEIGHT, 2, 0);
    GstHarness *h = parser(STREAM_CAPS, FRAMED_CAPS);
    gsize size;
    const guint8 *data = g_bytes_get_data(file, &size);

    push_bytes(h, data, size - 10);
    gst_buffer_unref(gst_harness_pull(h));
    gst_element_set_state(h->element, GST_STATE_READY);
    gst_element_set_state(h->element, GST_STATE_PLAYING);
    start_stream(h, STREAM_CAPS);
    push_bytes(h, data, size);
    assert_frames(h, frames);
    harness_free(h);
}

static GstCaps *
type_of(const void *data, gsize size, GstTypeFindProbability *probability)
{
    return gst_type_find_helper_for_data(NULL, data, size, probability);
}

static void
finds_files(void)
{
    g_autoptr(GBytes) file = coded_file(3, 0);
    gsize size;
    const guint8 *data = g_bytes_get_data(file, &size);
    GstTypeFindProbability probability;
    g_autoptr(GstCaps) caps = type_of(data, size, &probability), cut = NULL;
    g_autoptr(GstCaps) expected = gst_caps_from_string("video/x-m2t, stream-format=byte-stream");

    g_assert_true(gst_caps_is_equal(caps, expected));
    g_assert_cmpint(probability, ==, GST_TYPE_FIND_MAXIMUM);
    cut = type_of(data + 30, size - 30, &probability);
    g_assert_nonnull(cut);
    g_assert_true(gst_caps_is_equal(cut, expected));
    g_assert_cmpint(probability, ==, GST_TYPE_FIND_LIKELY);
}

static void
later_versions_are_not_ours(void)
{
    g_autoptr(GBytes) file = coded_file(1, 0);
    gsize size;
    const guint8 *start = g_bytes_get_data(file, &size);
    g_autofree guint8 *data = g_memdup2(start, size);

    for (int version = 0; version <= 2; version += 2) {
        GstTypeFindProbability probability;
        g_autoptr(GstCaps) caps = NULL;

        data[4] = (guint8) version;
        caps = type_of(data, size, &probability);
        g_assert_true(caps == NULL || !gst_structure_has_name(gst_caps_get_structure(caps, 0), "video/x-m2t"));
    }
}

/* 1,000 files whose payload is random: never another type; and 1,000 random blocks: never ours. */
static void
no_wrong_guess(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(3);
    guint8 data[4096];

    for (guint round = 0; round < 1000; round++) {
        GstTypeFindProbability probability;
        GstCaps *caps;

        for (guint i = 0; i < sizeof data; i++)
            data[i] = (guint8) g_rand_int(random);
        caps = type_of(data, sizeof data, &probability);
        g_assert_true(caps == NULL || !gst_structure_has_name(gst_caps_get_structure(caps, 0), "video/x-m2t"));
        gst_clear_caps(&caps);

        memcpy(data, m2t_stream_magic(), M2T_STREAM_MAGIC_SIZE);
        caps = type_of(data, sizeof data, &probability);
        g_assert_true(gst_structure_has_name(gst_caps_get_structure(caps, 0), "video/x-m2t"));
        gst_caps_unref(caps);
    }
}

int
main(int argc, char **argv)
{
    test_init(&argc, &argv);
    g_test_add_func("/parser/whole file", whole);
    g_test_add_func("/parser/byte by byte", byte_by_byte);
    g_test_add_func("/parser/caps without a form", no_caps);
    g_test_add_func("/parser/garbage before, between, after", garbage);
    g_test_add_func("/parser/damaged unit", damaged_unit);
    g_test_add_func("/parser/cut end", cut_end);
    g_test_add_func("/parser/only garbage", only_garbage);
    g_test_add_func("/parser/hostile length", hostile_length);
    g_test_add_func("/parser/starts again", starts_again);
    g_test_add_func("/parser/framed to byte stream", to_byte_stream);
    g_test_add_func("/parser/byte stream stays as it is", byte_stream_stays);
    g_test_add_func("/parser/framed is not copied, flags are corrected", framed_stays);
    g_test_add_func("/parser/from MP4 and to MP4", from_mp4_and_to_mp4);
    g_test_add_func("/parser/caps follow the header", caps_follow_the_header);
    g_test_add_func("/parser/starts with a key frame", starts_with_a_key_frame);
    g_test_add_func("/parser/intra refresh", intra_refresh);
    g_test_add_func("/parser/accepted input", accepted_input);
    g_test_add_func("/parser/accepted input for MP4", accepted_input_for_mp4);
    g_test_add_func("/parser/tags", tags);
    g_test_add_func("/typefind/files, whole and cut", finds_files);
    g_test_add_func("/typefind/later versions are not ours", later_versions_are_not_ours);
    g_test_add_func("/typefind/no wrong guess", no_wrong_guess);
    return test_run();
}
