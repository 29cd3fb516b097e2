/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common.h"

#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

static char *directory;

void
test_init(int *argc, char ***argv)
{
    gst_init(argc, argv);
    g_test_init(argc, argv, NULL);
}

GstBuffer *
raw_frame(guint width, guint height, guint index)
{
    GstVideoInfo info;
    GstVideoFrame frame;
    GstBuffer *buffer;

    gst_video_info_set_format(&info, GST_VIDEO_FORMAT_I420, width, height);
    buffer = gst_buffer_new_allocate(NULL, info.size, NULL);
    gst_buffer_memset(buffer, 0, 0x55, info.size);
    gst_video_frame_map(&frame, &info, buffer, GST_MAP_WRITE);
    for (guint plane = 0; plane < 3; plane++) {
        for (gint y = 0; y < GST_VIDEO_FRAME_COMP_HEIGHT(&frame, plane); y++) {
            guint8 *row = (guint8 *) GST_VIDEO_FRAME_PLANE_DATA(&frame, plane) + y * GST_VIDEO_FRAME_PLANE_STRIDE(&frame, plane);

            for (gint x = 0; x < GST_VIDEO_FRAME_COMP_WIDTH(&frame, plane); x++)
                row[x] = (guint8) (64 + 96 * plane / 2 + (x + y + 2 * index) % 64);
        }
    }
    gst_video_frame_unmap(&frame);
    GST_BUFFER_PTS(buffer) = index * FRAME_TIME;
    GST_BUFFER_DURATION(buffer) = FRAME_TIME;
    return buffer;
}

char *
raw_caps(guint width, guint height, const char *more)
{
    return g_strdup_printf("video/x-raw, format=I420, width=%u, height=%u, framerate=25/1%s%s", width, height, more ? ", " : "",
                           more ? more : "");
}

double
psnr(GstBuffer *a, GstBuffer *b)
{
    GstMapInfo ma, mb;
    double sum = 0;

    gst_buffer_map(a, &ma, GST_MAP_READ);
    gst_buffer_map(b, &mb, GST_MAP_READ);
    g_assert_cmpuint(ma.size, ==, mb.size);
    for (gsize i = 0; i < ma.size; i++)
        sum += (ma.data[i] - mb.data[i]) * (ma.data[i] - mb.data[i]);
    sum /= (double) ma.size;
    gst_buffer_unmap(a, &ma);
    gst_buffer_unmap(b, &mb);
    return sum == 0 ? 99 : 10 * log10(255 * 255 / sum);
}

GstHarness *
harness(const char *launch, const char *src_caps, const char *sink_caps)
{
    g_autoptr(GError) error = NULL;
    GstHarness *h;
    GstElement *element;
    GstBus *bus = gst_bus_new();

    element = strchr(launch, '!') != NULL ? gst_parse_bin_from_description(launch, TRUE, &error) : gst_parse_launch(launch, &error);
    g_assert_no_error(error);
    gst_element_set_bus(element, bus);
    h = gst_harness_new_with_element(element, "sink", "src");
    g_object_set_data_full(G_OBJECT(element), "test-bus", bus, gst_object_unref);
    if (sink_caps != NULL)
        gst_harness_set_sink_caps_str(h, sink_caps);
    if (src_caps != NULL)
        gst_harness_set_src_caps_str(h, src_caps);
    gst_object_unref(element);
    return h;
}

GstBus *
test_bus(GstHarness *h)
{
    return g_object_get_data(G_OBJECT(h->element), "test-bus");
}

/* Messages on the bus hold their source, which holds the bus. */
void
harness_free(GstHarness *h)
{
    gst_bus_set_flushing(test_bus(h), TRUE);
    gst_harness_teardown(h);
}

gint
posted_error(GstHarness *h, GQuark domain)
{
    GstMessage *message = gst_bus_pop_filtered(test_bus(h), GST_MESSAGE_ERROR);
    g_autoptr(GError) error = NULL;
    gint code;

    if (message == NULL)
        return -1;
    gst_message_parse_error(message, &error, NULL);
    code = error->domain == domain ? error->code : -1;
    gst_message_unref(message);
    return code;
}

static GPtrArray *
code(const char *raw, const char *properties, guint count, gboolean still)
{
    g_autofree char *launch = g_strdup_printf("m2tenc %s", properties);
    GstHarness *h = harness(launch, raw, FRAMED_CAPS);
    GPtrArray *frames = g_ptr_array_new_with_free_func((GDestroyNotify) gst_buffer_unref);
    g_autoptr(GstCaps) caps = gst_caps_from_string(raw);
    GstVideoInfo info;

    gst_video_info_from_caps(&info, caps);
    for (guint i = 0; i < count; i++) {
        GstBuffer *frame = raw_frame((guint) info.width, (guint) info.height, still ? 0 : i);

        GST_BUFFER_PTS(frame) = i * FRAME_TIME;
        g_assert_cmpint(gst_harness_push(h, frame), ==, GST_FLOW_OK);
    }
    g_assert_true(gst_harness_push_event(h, gst_event_new_eos()));
    for (guint i = 0; i < count; i++)
        g_ptr_array_add(frames, gst_harness_pull(h));
    harness_free(h);
    return frames;
}

GPtrArray *
coded_frames_of(const char *raw, const char *properties, guint count)
{
    return code(raw, properties, count, FALSE);
}

GPtrArray *
coded_still_of(const char *raw, const char *properties, guint count)
{
    return code(raw, properties, count, TRUE);
}

GPtrArray *
coded_frames(guint width, guint height, guint count, guint key_int_max)
{
    g_autofree char *raw = raw_caps(width, height, NULL);
    g_autofree char *properties = g_strdup_printf("key-int-max=%u", key_int_max);

    return coded_frames_of(raw, properties, count);
}

GBytes *
coded_file(guint count, guint key_int_max)
{
    g_autoptr(GPtrArray) frames = coded_frames(WIDTH, HEIGHT, count, key_int_max);
    GByteArray *file = g_byte_array_new();

    g_byte_array_append(file, m2t_stream_magic(), M2T_STREAM_MAGIC_SIZE);
    for (guint i = 0; i < frames->len; i++) {
        GstMapInfo map;

        gst_buffer_map(frames->pdata[i], &map, GST_MAP_READ);
        m2t_stream_append(file, map.data, map.size);
        gst_buffer_unmap(frames->pdata[i], &map);
    }
    return g_byte_array_free_to_bytes(file);
}

M2tFrameInfo
frame_info(GstBuffer *coded)
{
    g_autoptr(GError) error = NULL;
    M2tFrameInfo info;
    GstMapInfo map;

    gst_buffer_map(coded, &map, GST_MAP_READ);
    m2t_frame_info_read(map.data, map.size, &info, &error);
    g_assert_no_error(error);
    gst_buffer_unmap(coded, &map);
    return info;
}

gboolean
is_delta(GstBuffer *buffer)
{
    return GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
}

GstBuffer *
with_flags(GstBuffer *buffer, guint set)
{
    GstBuffer *copy = gst_buffer_copy(buffer);

    GST_BUFFER_FLAG_SET(copy, set);
    return copy;
}

guint
requests_for_key_frames(GstHarness *h)
{
    GstEvent *event;
    guint count = 0;

    while ((event = gst_harness_try_pull_upstream_event(h)) != NULL) {
        count += gst_video_event_is_force_key_unit(event);
        gst_event_unref(event);
    }
    return count;
}

GstStructure *
current_caps(GstHarness *h)
{
    g_autoptr(GstCaps) caps = gst_pad_get_current_caps(h->sinkpad);

    g_assert_nonnull(caps);
    return gst_structure_copy(gst_caps_get_structure(caps, 0));
}

guint
caps_events(GstHarness *h)
{
    GstEvent *event;
    guint count = 0;

    while ((event = gst_harness_try_pull_event(h)) != NULL) {
        count += GST_EVENT_TYPE(event) == GST_EVENT_CAPS;
        gst_event_unref(event);
    }
    return count;
}

void
assert_accepted(GstHarness *h, const AcceptCase *cases, guint count)
{
    for (guint i = 0; i < count; i++) {
        g_autoptr(GstCaps) caps = gst_caps_from_string(cases[i].caps);

        g_test_message("%s", cases[i].caps);
        g_assert_cmpint(gst_pad_peer_query_accept_caps(h->srcpad, caps), ==, cases[i].accepted);
    }
}

static GstPadProbeReturn
note_arrival(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
    GString *log = data;
    GstEvent *event = GST_IS_EVENT(info->data) ? GST_EVENT(info->data) : NULL;
    GstCaps *caps;
    gint width;

    if (GST_IS_BUFFER(info->data)) {
        g_string_append_printf(log, "b%u ", (guint) (GST_BUFFER_PTS(GST_BUFFER(info->data)) / FRAME_TIME));
    } else if (event != NULL && GST_EVENT_TYPE(event) == GST_EVENT_CAPS) {
        gst_event_parse_caps(event, &caps);
        gst_structure_get_int(gst_caps_get_structure(caps, 0), "width", &width);
        g_string_append_printf(log, "c%d ", width);
    } else if (event != NULL && gst_video_event_is_force_key_unit(event)) {
        g_string_append(log, "k ");
    } else if (event != NULL && GST_EVENT_TYPE(event) == GST_EVENT_GAP) {
        g_string_append(log, "g ");
    } else if (event != NULL && GST_EVENT_TYPE(event) == GST_EVENT_EOS) {
        g_string_append(log, "e ");
    }
    return GST_PAD_PROBE_OK;
}

static void
free_log(gpointer log)
{
    g_string_free(log, TRUE);
}

GString *
arrivals(GstHarness *h)
{
    GString *log = g_string_new(NULL);

    gst_pad_add_probe(h->sinkpad, GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, note_arrival, log, free_log);
    return log;
}

GstClockTime
min_latency(GstHarness *h)
{
    GstQuery *query = gst_query_new_latency();
    GstClockTime min;

    gst_harness_set_live(h, TRUE);
    g_assert_true(gst_pad_peer_query(h->sinkpad, query));
    gst_query_parse_latency(query, NULL, &min, NULL);
    gst_query_unref(query);
    return min;
}

static char *
run_launch(const char *launch)
{
    g_autoptr(GError) error = NULL;
    GstElement *pipeline = gst_parse_launch(launch, &error);
    GstMessage *message;
    char *text = NULL;

    if (error != NULL) {
        gst_clear_object(&pipeline);
        return g_strdup(error->message);
    }
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    message = gst_bus_timed_pop_filtered(GST_ELEMENT_BUS(pipeline), 60 * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
    if (message == NULL) {
        text = g_strdup("no end within a minute");
    } else {
        if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
            gst_message_parse_error(message, &error, NULL);
            text = g_strdup(error->message);
        }
        gst_message_unref(message);
    }
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
    return text;
}

char *
run_pipeline(const char *format, ...)
{
    g_autofree char *launch = NULL;
    va_list args;

    va_start(args, format);
    launch = g_strdup_vprintf(format, args);
    va_end(args);
    g_test_message("%s", launch);
    return run_launch(launch);
}

void
assert_runs(const char *format, ...)
{
    g_autofree char *launch = NULL, *text = NULL;
    va_list args;

    va_start(args, format);
    launch = g_strdup_vprintf(format, args);
    va_end(args);
    g_test_message("%s", launch);
    text = run_launch(launch);
    g_assert_cmpstr(text, ==, NULL);
}

GPtrArray *
pull_samples(GstElement *pipeline)
{
    GPtrArray *samples = g_ptr_array_new_with_free_func((GDestroyNotify) gst_sample_unref);
    GstElement *out = gst_bin_get_by_name(GST_BIN(pipeline), "out");
    GstSample *sample;

    do {
        g_signal_emit_by_name(out, "try-pull-sample", (guint64) 20 * GST_SECOND, &sample);
        if (sample != NULL)
            g_ptr_array_add(samples, sample);
    } while (sample != NULL);
    gst_object_unref(out);
    return samples;
}

GPtrArray *
samples_from(GstElement *pipeline)
{
    g_autoptr(GError) error = NULL;
    GstMessage *message;
    GPtrArray *samples;

    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    samples = pull_samples(pipeline);
    message = gst_bus_pop_filtered(GST_ELEMENT_BUS(pipeline), GST_MESSAGE_ERROR);
    if (message != NULL) {
        gst_message_parse_error(message, &error, NULL);
        gst_message_unref(message);
    }
    g_assert_no_error(error);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
    return samples;
}

GPtrArray *
samples_of(const char *format, ...)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *launch = NULL;
    GstElement *pipeline;
    va_list args;

    va_start(args, format);
    launch = g_strdup_vprintf(format, args);
    va_end(args);
    g_test_message("%s", launch);
    pipeline = gst_parse_launch(launch, &error);
    g_assert_no_error(error);
    return samples_from(pipeline);
}

char *
temporary(const char *name)
{
    if (directory == NULL) {
        directory = g_dir_make_tmp("m2t-plugin-XXXXXX", NULL);
        g_assert_nonnull(directory);
    }
    return g_build_filename(directory, name, NULL);
}

static void
remove_directory(void)
{
    GDir *dir = g_dir_open(directory, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(directory, name, NULL);

        g_unlink(path);
    }
    g_dir_close(dir);
    g_rmdir(directory);
    g_clear_pointer(&directory, g_free);
}

int
test_run(void)
{
    int result = g_test_run();

    if (directory != NULL)
        remove_directory();
    gst_deinit();
    return result;
}

/* Only the picture's own samples: what lies between rows is nobody's. */
void
assert_same_picture(GstBuffer *a, GstBuffer *b, guint width, guint height)
{
    GstVideoInfo info;
    GstVideoFrame fa, fb;

    gst_video_info_set_format(&info, GST_VIDEO_FORMAT_I420, width, height);
    g_assert_true(gst_video_frame_map(&fa, &info, a, GST_MAP_READ));
    g_assert_true(gst_video_frame_map(&fb, &info, b, GST_MAP_READ));
    for (guint p = 0; p < 3; p++) {
        for (gint y = 0; y < GST_VIDEO_FRAME_COMP_HEIGHT(&fa, p); y++) {
            const guint8 *ra = (guint8 *) GST_VIDEO_FRAME_PLANE_DATA(&fa, p) + y * GST_VIDEO_FRAME_PLANE_STRIDE(&fa, p);
            const guint8 *rb = (guint8 *) GST_VIDEO_FRAME_PLANE_DATA(&fb, p) + y * GST_VIDEO_FRAME_PLANE_STRIDE(&fb, p);

            g_assert_cmpint(memcmp(ra, rb, (gsize) GST_VIDEO_FRAME_COMP_WIDTH(&fa, p)), ==, 0);
        }
    }
    gst_video_frame_unmap(&fa);
    gst_video_frame_unmap(&fb);
}

void
send_segment(GstHarness *h)
{
    GstSegment segment;

    gst_segment_init(&segment, GST_FORMAT_TIME);
    gst_harness_push_event(h, gst_event_new_segment(&segment));
}

void
send_late(GstHarness *h, GstClockTime when, GstClockTimeDiff late)
{
    gst_harness_push_upstream_event(h, gst_event_new_qos(GST_QOS_TYPE_UNDERFLOW, 2.0, late, when));
}

static GstFlowReturn
refusing_chain(GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
    gst_buffer_unref(buffer);
    return GPOINTER_TO_INT(g_object_get_data(G_OBJECT(pad), "answer"));
}

void
answer_always(GstHarness *h, GstFlowReturn answer)
{
    g_object_set_data(G_OBJECT(h->sinkpad), "answer", GINT_TO_POINTER(answer));
    gst_pad_set_chain_function(h->sinkpad, refusing_chain);
}

void
assert_model_missing(const char *factory)
{
    GstElement *element = gst_element_factory_make(factory, NULL);
    GstBus *bus = gst_bus_new();
    GstMessage *message;
    g_autoptr(GError) error = NULL;
    g_autofree char *debug = NULL;

    gst_element_set_bus(element, bus);
    g_object_set(element, "model-file", "/nowhere/absent.m2tw", NULL);
    g_assert_cmpint(gst_element_set_state(element, GST_STATE_PAUSED), ==, GST_STATE_CHANGE_FAILURE);
    message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR);
    g_assert_nonnull(message);
    gst_message_parse_error(message, &error, &debug);
    g_assert_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND);
    g_assert_nonnull(strstr(debug, "/nowhere/absent.m2tw"));
    g_assert_nonnull(strstr(debug, "model-file"));
    gst_message_unref(message);
    gst_element_set_state(element, GST_STATE_NULL);
    gst_bus_set_flushing(bus, TRUE);
    gst_object_unref(bus);
    gst_object_unref(element);
}
