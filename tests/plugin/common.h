/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the plugin tests share: pictures, coded frames, harnesses. */
#ifndef M2T_TEST_COMMON_H
#define M2T_TEST_COMMON_H

#include <gst/check/gstharness.h>
#include <gst/video/video.h>
#include <m2t/m2t.h>

#define WIDTH 64
#define HEIGHT 48
#define FRAME_TIME (40 * GST_MSECOND)
#define RAW_CAPS "video/x-raw, format=I420, width=64, height=48, framerate=25/1"
#define FRAMED_CAPS "video/x-m2t, stream-format=framed, alignment=frame"
#define STREAM_CAPS "video/x-m2t, stream-format=byte-stream, alignment=frame"

/* The first and the last call of main(). All is freed at the end, for the leak tests. */
void test_init(int *argc, char ***argv);
int test_run(void);

/* A gradient that moves with @index; time stamp and duration as at 25 frames a second. */
GstBuffer *raw_frame(guint width, guint height, guint index);
char *raw_caps(guint width, guint height, const char *more);

/* Over I420 pictures of one size without padding between the rows. */
double psnr(GstBuffer *a, GstBuffer *b);

/* A harness with a bus (test_bus()), between caps; NULL leaves them open. Free with harness_free(). */
GstHarness *harness(const char *launch, const char *src_caps, const char *sink_caps);
GstBus *test_bus(GstHarness *h);
void harness_free(GstHarness *h);

void send_segment(GstHarness *h);

/* The frame that was due at @when came @late. */
void send_late(GstHarness *h, GstClockTime when, GstClockTimeDiff late);

/* To every buffer from now on, in place of taking it. */
void answer_always(GstHarness *h, GstFlowReturn answer);

/* An element of @factory says that the file its property model-file names is not there. */
void assert_model_missing(const char *factory);

/* The first error on the bus: its code if it is in @domain, else -1. */
gint posted_error(GstHarness *h, GQuark domain);

/* @count frames coded by m2tenc, framed, key frames every @key_int_max (as its property says); elements are GstBuffers. */
GPtrArray *coded_frames(guint width, guint height, guint count, guint key_int_max);
GPtrArray *coded_frames_of(const char *raw, const char *properties, guint count);
GPtrArray *coded_still_of(const char *raw, const char *properties, guint count); /* of one picture that stays */

/* The same as the bytes of an .m2tv file. */
GBytes *coded_file(guint count, guint key_int_max);

void assert_same_picture(GstBuffer *a, GstBuffer *b, guint width, guint height);

M2tFrameInfo frame_info(GstBuffer *coded);
gboolean is_delta(GstBuffer *buffer);
GstBuffer *with_flags(GstBuffer *buffer, guint set); /* a copy of @buffer */
guint requests_for_key_frames(GstHarness *h);        /* upstream events taken from the harness */
GstStructure *current_caps(GstHarness *h);           /* of the harness's sink pad */

guint caps_events(GstHarness *h);                    /* among the downstream events taken from the harness */

typedef struct {
    const char *caps;
    gboolean accepted;
} AcceptCase;

/* What the element says to an accept-caps query. */
void assert_accepted(GstHarness *h, const AcceptCase *cases, guint count);

/* What arrives at the sink pad of the harness, in order: "c64" caps of this width, "b3" the buffer of frame 3, "k" force-key-unit, "g"
 * gap, "e" end of stream, a blank after each. Belongs to the pad. */
GString *arrivals(GstHarness *h);

GstClockTime min_latency(GstHarness *h); /* of the element alone */

/* Runs a pipeline to its end. Returns: NULL, or the text of the error. Free with g_free(). */
char *run_pipeline(const char *format, ...) G_GNUC_PRINTF(1, 2);
void assert_runs(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* The same, and what arrives at the element named "out" (an appsink) meanwhile, as GstSamples. */
GPtrArray *samples_of(const char *format, ...) G_GNUC_PRINTF(1, 2);
GPtrArray *samples_from(GstElement *pipeline); /* takes the pipeline */
GPtrArray *pull_samples(GstElement *pipeline);

/* A path in a directory that goes away at the end. Free with g_free(). */
char *temporary(const char *name);

#endif
