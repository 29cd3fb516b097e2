/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Registration, states, life and death of the elements. */
#include "common.h"

#include <string.h>

static const char *elements[] = {"m2tenc", "m2tdec", "m2tparse", "rtpm2tpay", "rtpm2tdepay"};

static void
features(void)
{
    const struct {
        const char *name, *class;
        guint rank;
    } expected[] = {
        {"m2tenc", "Codec/Encoder/Video", GST_RANK_PRIMARY},
        {"m2tdec", "Codec/Decoder/Video", GST_RANK_PRIMARY},
        {"m2tparse", "Codec/Parser/Converter/Video", GST_RANK_PRIMARY + 1},
        {"rtpm2tpay", "Codec/Payloader/Network/RTP", GST_RANK_MARGINAL},
        {"rtpm2tdepay", "Codec/Depayloader/Network/RTP", GST_RANK_MARGINAL},
    };
    GList *all = gst_registry_get_feature_list_by_plugin(gst_registry_get(), "m2t");

    g_assert_cmpuint(g_list_length(all), ==, 6);
    gst_plugin_feature_list_free(all);
    for (guint i = 0; i < G_N_ELEMENTS(expected); i++) {
        GstElementFactory *factory = gst_element_factory_find(expected[i].name);

        g_assert_nonnull(factory);
        g_assert_cmpstr(gst_element_factory_get_metadata(factory, GST_ELEMENT_METADATA_KLASS), ==, expected[i].class);
        g_assert_cmpuint(gst_plugin_feature_get_rank(GST_PLUGIN_FEATURE(factory)), ==, expected[i].rank);
        gst_object_unref(factory);
    }
}

static guint
threads_of_process(void)
{
    GDir *dir = g_dir_open("/proc/self/task", 0, NULL);
    guint count = 0;

    while (g_dir_read_name(dir) != NULL)
        count++;
    g_dir_close(dir);
    return count;
}

static void
up_and_down(void)
{
    for (guint e = 0; e < G_N_ELEMENTS(elements); e++) {
        GstElement *element = gst_element_factory_make(elements[e], NULL);

        for (guint i = 0; i < 100; i++) {
            g_assert_cmpint(gst_element_set_state(element, GST_STATE_PLAYING), !=, GST_STATE_CHANGE_FAILURE);
            g_assert_cmpint(gst_element_set_state(element, i % 3 ? GST_STATE_NULL : GST_STATE_READY), ==, GST_STATE_CHANGE_SUCCESS);
        }
        gst_element_set_state(element, GST_STATE_NULL);
        gst_object_unref(element);
    }
}

static void
cycles_with_data(void)
{
    guint before = 0;

    for (guint i = 0; i < 20; i++) {
        g_autoptr(GPtrArray) samples =
            samples_of("videotestsrc num-buffers=2 ! video/x-raw, width=64, height=48 ! m2tenc threads=2 ! m2tdec threads=2 ! "
                       "appsink name=out sync=false");

        g_assert_cmpuint(samples->len, ==, 2);
        if (i == 0)
            before = threads_of_process();
    }
    g_assert_cmpuint(threads_of_process(), <=, before + 2); /* GStreamer keeps some in a pool */
}

/* PLAYING, down in the middle of the stream, and again. */
static void
restarts(void)
{
    GstElement *pipeline = gst_parse_launch("videotestsrc ! video/x-raw, width=64, height=48 ! m2tenc key-int-max=7 ! m2tdec ! "
                                            "appsink name=out sync=false max-buffers=3",
                                            NULL);
    GstElement *out = gst_bin_get_by_name(GST_BIN(pipeline), "out");

    for (guint i = 0; i < 6; i++) {
        gst_element_set_state(pipeline, GST_STATE_PLAYING);
        for (guint s = 0; s < 3; s++) {
            GstSample *sample;

            g_signal_emit_by_name(out, "try-pull-sample", (guint64) 20 * GST_SECOND, &sample);
            g_assert_nonnull(sample);
            gst_sample_unref(sample);
        }
        gst_element_set_state(pipeline, i % 2 ? GST_STATE_READY : GST_STATE_NULL);
    }
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(out);
    gst_object_unref(pipeline);
}

static void
never_started(void)
{
    for (guint e = 0; e < G_N_ELEMENTS(elements); e++) {
        GstElement *element = gst_element_factory_make(elements[e], NULL);

        if (e < 2)
            g_object_set(element, "model-file", "anything", NULL);
        gst_object_unref(element);
    }
}

static gpointer
encode_and_decode(gpointer data)
{
    g_autofree char *text = run_pipeline("videotestsrc num-buffers=20 ! video/x-raw, width=64, height=48 ! m2tenc ! m2tdec ! fakesink");

    g_assert_cmpstr(text, ==, NULL);
    return NULL;
}

static void
several_at_once(void)
{
    GThread *threads[4];

    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new(NULL, encode_and_decode, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        g_thread_join(threads[i]);
}

/* A thousand changes while playing. */
static void
property_changes(void)
{
    GstHarness *h = harness("m2tenc tune=zerolatency", RAW_CAPS, FRAMED_CAPS);

    for (guint i = 0; i < 1000; i++) {
        g_object_set(h->element, "quantizer", i % 64, "key-int-max", i % 5, NULL);
        if (i % 10 == 0) {
            gst_harness_push(h, raw_frame(WIDTH, HEIGHT, i));
            gst_buffer_unref(gst_harness_pull(h));
        }
    }
    harness_free(h);
}

int
main(int argc, char **argv)
{
    test_init(&argc, &argv);
    g_test_add_func("/states/features", features);
    g_test_add_func("/states/up and down", up_and_down);
    g_test_add_func("/states/cycles with data", cycles_with_data);
    g_test_add_func("/states/restarts", restarts);
    g_test_add_func("/states/never started", never_started);
    g_test_add_func("/states/several at once", several_at_once);
    g_test_add_func("/states/property changes", property_changes);
    return test_run();
}
