/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Real video, coded with the real model, must look like itself. */
#include "common.h"

#define FRAMES 3
#define FLOOR 36.0 /* dB, over all samples; the default quantizer */

static GstSample *
pull(GstElement *pipeline, const char *name)
{
    GstElement *sink = gst_bin_get_by_name(GST_BIN(pipeline), name);
    GstSample *sample;

    g_signal_emit_by_name(sink, "try-pull-sample", (guint64) 60 * GST_SECOND, &sample);
    gst_object_unref(sink);
    return sample;
}

static void
webcam(void)
{
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "..", "..", "pipelines", "media", "signing_webcam.mp4", NULL);
    g_autofree char *launch = NULL;
    GstElement *pipeline;
    gsize coded = 0;

    if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
        g_test_skip("no clip");
        return;
    }
    launch = g_strdup_printf("filesrc location=%s ! decodebin ! videoconvert ! video/x-raw, format=I420 ! tee name=t ! queue ! "
                             "appsink name=before sync=false max-buffers=4 t. ! queue ! m2tenc ! tee name=c ! queue ! m2tparse ! m2tdec ! "
                             "appsink name=after sync=false max-buffers=4 c. ! queue ! appsink name=coded sync=false max-buffers=4",
                             path);
    pipeline = gst_parse_launch(launch, NULL);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    for (guint i = 0; i < FRAMES; i++) {
        g_autoptr(GstSample) before = pull(pipeline, "before"), after = pull(pipeline, "after"), bytes = pull(pipeline, "coded");
        double db;

        g_assert_true(before && after && bytes);
        g_assert_cmpuint(GST_BUFFER_PTS(gst_sample_get_buffer(before)), ==, GST_BUFFER_PTS(gst_sample_get_buffer(after)));
        coded += gst_buffer_get_size(gst_sample_get_buffer(bytes));
        db = psnr(gst_sample_get_buffer(before), gst_sample_get_buffer(after));
        g_test_message("frame %u: %.2f dB, %" G_GSIZE_FORMAT " bytes so far", i, db, coded);
        g_assert_cmpfloat(db, >, FLOOR);
    }
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
}

int
main(int argc, char **argv)
{
    test_init(&argc, &argv);
    g_test_add_func("/clip/webcam", webcam);
    return test_run();
}
