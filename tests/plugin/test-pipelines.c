/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The elements among others: files, containers, playback, transport. */
#include "common.h"

#include <string.h>

#define SOURCE "videotestsrc num-buffers=%u ! video/x-raw, width=64, height=48, framerate=25/1"
#define OUT "appsink name=out sync=false"

static guint
assert_times(GPtrArray *samples, guint expected)
{
    g_assert_cmpuint(samples->len, ==, expected);
    for (guint i = 0; i < samples->len; i++)
        g_assert_cmpuint(GST_BUFFER_PTS(gst_sample_get_buffer(samples->pdata[i])) / GST_MSECOND, ==, i * FRAME_TIME / GST_MSECOND);
    return samples->len;
}

/* Returns: the path of a new file with @frames of the test picture, made by @rest of a pipeline. */
static char *
make_file(const char *name, guint frames, const char *rest)
{
    char *path = temporary(name);

    assert_runs(SOURCE " ! %s ! filesink location=%s", frames, rest, path);
    return path;
}

static void
encoder_and_decoder(void)
{
    g_autoptr(GPtrArray) samples = samples_of(SOURCE " ! m2tenc ! m2tdec ! " OUT, 10u);

    assert_times(samples, 10);
}

static void
stream_files(void)
{
    const char *players[] = {"m2tparse ! m2tdec", "decodebin", "typefind ! m2tparse ! m2tdec", "parsebin ! m2tdec"};
    g_autofree char *path = make_file("a.m2tv", 10, "m2tenc key-int-max=4");

    for (guint i = 0; i < G_N_ELEMENTS(players); i++) {
        g_autoptr(GPtrArray) samples = samples_of("filesrc location=%s ! %s ! " OUT, path, players[i]);

        assert_times(samples, 10);
    }
}

static void
mp4_files(void)
{
    const char *muxers[] = {"mp4mux", "qtmux", "mp4mux fragment-duration=200", "qtmux faststart=true"};
    const char *players[] = {"qtdemux ! m2tdec", "decodebin", "qtdemux ! m2tparse ! m2tdec"};

    for (guint m = 0; m < G_N_ELEMENTS(muxers); m++) {
        g_autofree char *rest = g_strdup_printf("m2tenc key-int-max=4 ! %s", muxers[m]);
        g_autofree char *path = make_file("a.mp4", 10, rest);

        for (guint p = 0; p < G_N_ELEMENTS(players); p++) {
            g_autoptr(GPtrArray) samples = samples_of("filesrc location=%s ! %s ! " OUT, path, players[p]);

            assert_times(samples, 10);
        }
    }
}

/* What the muxer wrote about key frames, times and type. */
static void
mp4_sample_table(void)
{
    g_autofree char *path = make_file("table.mp4", 10, "m2tenc key-int-max=4 ! mp4mux");
    g_autoptr(GPtrArray) samples = samples_of("filesrc location=%s ! qtdemux ! " OUT, path);
    GstStructure *s = gst_caps_get_structure(gst_sample_get_caps(samples->pdata[0]), 0);

    g_assert_cmpstr(gst_structure_get_name(s), ==, "video/x-gst-fourcc-m2tv");
    assert_times(samples, 10);
    for (guint i = 0; i < samples->len; i++) {
        GstBuffer *buffer = gst_sample_get_buffer(samples->pdata[i]);

        g_assert_cmpint(is_delta(buffer), ==, i % 4 != 0);
        g_assert_cmpuint(GST_BUFFER_DTS(buffer), ==, GST_BUFFER_PTS(buffer));
        g_assert_cmpuint(GST_BUFFER_DURATION(buffer), ==, FRAME_TIME);
    }
}

/* .m2tv to .mp4 and back gives the same file. */
static void
remuxing(void)
{
    g_autofree char *stream = make_file("b.m2tv", 10, "m2tenc"), *mp4 = temporary("b.mp4"), *again = temporary("c.m2tv");
    g_autofree char *a = NULL, *b = NULL;
    gsize size_a, size_b;

    assert_runs("filesrc location=%s ! m2tparse ! mp4mux ! filesink location=%s", stream, mp4);
    assert_runs("filesrc location=%s ! qtdemux ! m2tparse ! filesink location=%s", mp4, again);
    g_assert_true(g_file_get_contents(stream, &a, &size_a, NULL));
    g_assert_true(g_file_get_contents(again, &b, &size_b, NULL));
    g_assert_cmpmem(a, size_a, b, size_b);
}

static void
refusals(void)
{
    const char *muxers[] = {"matroskamux", "webmmux", "mpegtsmux", "mpegpsmux", "flvmux", "avimux", "oggmux"};

    for (guint i = 0; i < G_N_ELEMENTS(muxers); i++) {
        g_autofree char *text = run_pipeline(SOURCE " ! m2tenc ! %s ! fakesink", 1u, muxers[i]);

        g_assert_nonnull(text);
        g_assert_nonnull(strstr(text, "could not link"));
    }
}

static void
gdp(void)
{
    g_autofree char *path = make_file("a.gdp", 10, "m2tenc key-int-max=4 ! gdppay");
    g_autoptr(GPtrArray) coded = samples_of("filesrc location=%s ! gdpdepay ! " OUT, path);
    g_autoptr(GPtrArray) decoded = samples_of("filesrc location=%s ! gdpdepay ! m2tparse ! m2tdec ! " OUT, path);

    assert_times(coded, 10);
    assert_times(decoded, 10);
    for (guint i = 0; i < coded->len; i++)
        g_assert_cmpint(is_delta(gst_sample_get_buffer(coded->pdata[i])), ==, i % 4 != 0);
}

static void
rtp(void)
{
    const char *forms[] = {"m2tenc", "m2tenc ! video/x-m2t, stream-format=framed"};

    for (guint i = 0; i < G_N_ELEMENTS(forms); i++) {
        g_autoptr(GPtrArray) samples =
            samples_of(SOURCE " ! %s ! rtpgstpay mtu=200 ! rtpgstdepay ! m2tparse ! m2tdec ! " OUT, 10u, forms[i]);

        assert_times(samples, 10);
    }
}

static GstPadProbeReturn
lose_every_20th(GstPad *pad, GstPadProbeInfo *info, gpointer packets)
{
    return ++*(guint *)packets % 20 == 0 ? GST_PAD_PROBE_DROP : GST_PAD_PROBE_OK;
}

static void
rtp_with_loss(void)
{
    GstElement *pipeline = gst_parse_launch("videotestsrc num-buffers=100 ! video/x-raw, width=64, height=48, framerate=25/1 ! "
                                            "m2tenc key-int-max=10 ! rtpgstpay config-interval=1 mtu=300 ! identity name=loss ! "
                                            "rtpgstdepay ! m2tparse ! m2tdec ! " OUT,
                                            NULL);
    g_autoptr(GstElement) loss = gst_bin_get_by_name(GST_BIN(pipeline), "loss");
    g_autoptr(GstPad) pad = gst_element_get_static_pad(loss, "src");
    g_autoptr(GPtrArray) samples = NULL;
    guint packets = 0;

    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, lose_every_20th, &packets, NULL);
    samples = samples_from(pipeline);
    g_test_message("%u packets, %u pictures of 100", packets, samples->len);
    g_assert_cmpuint(packets, >, 100);
    g_assert_cmpuint(samples->len, >, 20);
    g_assert_cmpuint(samples->len, <, 100);
}

static void
playbin(void)
{
    const char *sinks[] = {"fakesink", "fakevideosink"};
    g_autofree char *stream = make_file("p.m2tv", 5, "m2tenc"), *mp4 = make_file("p.mp4", 5, "m2tenc ! mp4mux");

    for (guint i = 0; i < G_N_ELEMENTS(sinks); i++) {
        assert_runs("playbin uri=file://%s video-sink=\"%s sync=false\"", stream, sinks[i]);
        assert_runs("playbin uri=file://%s video-sink=\"%s sync=false\"", mp4, sinks[i]);
    }
}

/* A file and a picture from one encoder: what suits the muxer suits the decoder. */
static void
recorded_and_shown(void)
{
    const char *branches[] = {"m2tdec", "m2tparse ! m2tdec"};

    for (guint i = 0; i < G_N_ELEMENTS(branches); i++) {
        g_autofree char *path = temporary("recorded.mp4");
        g_autoptr(GPtrArray) played = NULL;

        assert_runs(SOURCE " ! m2tenc ! tee name=t ! queue ! mp4mux ! filesink location=%s t. ! queue ! %s ! fakesink", 10u, path, branches[i]);
        played = samples_of("filesrc location=%s ! decodebin ! " OUT, path);
        assert_times(played, 10);
    }
}

/* What multifilesink makes of a stream: the magic is in the first file only. */
static void
one_frame_per_file(void)
{
    g_autofree char *pattern = temporary("frame%d.m2tv");

    assert_runs(SOURCE " ! m2tenc key-int-max=1 ! multifilesink location=%s", 3u, pattern);
    for (guint i = 0; i < 3; i++) {
        g_autofree char *name = g_strdup_printf("frame%u.m2tv", i), *path = temporary(name);
        g_autoptr(GPtrArray) samples = samples_of("filesrc location=%s ! decodebin ! " OUT, path);

        g_assert_cmpuint(samples->len, ==, 1);
    }
}

static void
encodebin(void)
{
    const char *profiles[] = {"video/x-m2t,stream-format=byte-stream", "video/quicktime,variant=iso:video/x-mp4-part",
                              "video/quicktime,variant=apple:video/x-qt-part"};

    for (guint i = 0; i < G_N_ELEMENTS(profiles); i++) {
        g_autofree char *path = temporary("encodebin");
        g_autoptr(GPtrArray) samples = NULL;

        assert_runs(SOURCE " ! encodebin profile=\"%s\" ! filesink location=%s", 10u, profiles[i], path);
        samples = samples_of("filesrc location=%s ! decodebin ! " OUT, path);
        assert_times(samples, 10);
    }
}

static void
splitmuxsink(void)
{
    g_autofree char *pattern = temporary("split%d.mov");
    guint frames = 0;

    assert_runs(SOURCE " ! m2tenc key-int-max=5 ! splitmuxsink muxer=qtmux max-size-time=800000000 location=%s", 50u, pattern);
    for (guint i = 0; i < 3; i++) {
        g_autofree char *name = g_strdup_printf("split%u.mov", i), *path = temporary(name);
        g_autoptr(GPtrArray) samples = samples_of("filesrc location=%s ! decodebin ! " OUT, path);

        frames += samples->len;
    }
    g_assert_cmpuint(frames, ==, 50);
}

static void
concat(void)
{
    g_autofree char *path = make_file("c.m2tv", 5, "m2tenc"), *large = temporary("large.m2tv");
    g_autoptr(GPtrArray) samples = NULL;
    g_autoptr(GPtrArray) raw = NULL;

    assert_runs("videotestsrc num-buffers=5 ! video/x-raw, width=96, height=80 ! m2tenc ! filesink location=%s", large);
    samples = samples_of("concat name=c ! m2tdec ! " OUT " filesrc location=%s ! m2tparse ! c. filesrc location=%s ! m2tparse ! c. "
                         "filesrc location=%s ! m2tparse ! c.",
                         path, large, path);
    g_assert_cmpuint(samples->len, ==, 15);
    raw = samples_of("concat name=c ! m2tenc ! m2tdec ! " OUT " videotestsrc num-buffers=3 ! video/x-raw, width=64, height=48 ! c. "
                     "videotestsrc num-buffers=3 ! video/x-raw, width=96, height=80 ! c.");
    g_assert_cmpuint(raw->len, ==, 6);
}

/* Two sources, one after the other, into what @rest makes of them. */
#define CHANGE "videotestsrc num-buffers=5 ! video/x-raw, width=96, height=64, framerate=25/1 ! c. " \
               "videotestsrc num-buffers=5 ! video/x-raw, width=%u, height=64, framerate=%u/1 ! c. concat name=c ! m2tenc model-file=live ! %s"

/* Another size or rate in the middle, through the parser: what it says of its output now does not bind those before it. */
static void
new_caps_through_the_parser(void)
{
    const char *rests[] = {"m2tparse ! m2tdec ! " OUT, "m2tparse ! " OUT, "m2tparse ! rtpm2tpay ! rtpm2tdepay ! m2tparse ! m2tdec ! " OUT};

    for (guint rest = 0; rest < G_N_ELEMENTS(rests); rest++) {
        const struct {
            guint width, rate;
        } second[] = {{64, 25}, {96, 10}};

        for (guint i = 0; i < G_N_ELEMENTS(second); i++) {
            g_autoptr(GPtrArray) samples = samples_of(CHANGE, second[i].width, second[i].rate, rests[rest]);
            gint width, n, d;

            g_assert_cmpuint(samples->len, ==, 10);
            for (guint at = 0; at < samples->len; at++) {
                const GstStructure *s = gst_caps_get_structure(gst_sample_get_caps(samples->pdata[at]), 0);

                g_assert_true(gst_structure_get(s, "width", G_TYPE_INT, &width, "framerate", GST_TYPE_FRACTION, &n, &d, NULL));
                g_assert_cmpint(width, ==, at < 5 ? 96 : second[i].width);
                g_assert_cmpint(n, ==, at < 5 ? 25 : second[i].rate);
            }
        }
    }
}

/* Frames of a file last as long as the header says that they come with. */
static void
new_rate_in_a_file(void)
{
    g_autofree char *path = temporary("rates.m2tv"), *to_file = g_strdup_printf("filesink location=%s", path);
    g_autoptr(GPtrArray) samples = NULL;

    assert_runs(CHANGE, 96u, 10u, to_file);
    samples = samples_of("filesrc location=%s ! m2tparse ! m2tdec ! " OUT, path);
    g_assert_cmpuint(samples->len, ==, 10);
    for (guint i = 0; i < samples->len; i++) {
        GstBuffer *buffer = gst_sample_get_buffer(samples->pdata[i]);

        g_assert_cmpuint(GST_BUFFER_PTS(buffer) / GST_MSECOND, ==, i < 5 ? 40 * i : 200 + 100 * (i - 5));
        g_assert_cmpuint(GST_BUFFER_DURATION(buffer) / GST_MSECOND, ==, i < 5 ? 40 : 100);
    }
}

static void
tee_and_queue(void)
{
    g_autofree char *path = temporary("tee.mp4");
    g_autoptr(GPtrArray) samples = samples_of(SOURCE " ! m2tenc ! video/x-m2t, stream-format=framed ! tee name=t ! queue ! m2tdec ! " OUT
                                                     " t. ! queue ! m2tparse ! mp4mux ! filesink location=%s",
                                              10u, path);

    assert_times(samples, 10);
}

/* Where frames come bare, m2tparse makes a file of them that can be read. */
static void
file_behind_framed(void)
{
    const char *ways[] = {"tee name=t ! queue ! m2tdec ! fakesink t. ! queue", "rtpm2tpay ! rtpm2tdepay"};

    for (guint w = 0; w < G_N_ELEMENTS(ways); w++) {
        g_autofree char *path = temporary("framed.m2tv");
        g_autoptr(GPtrArray) samples = NULL;

        assert_runs(SOURCE " ! m2tenc ! %s ! m2tparse ! filesink location=%s", 10u, ways[w], path);
        samples = samples_of("filesrc location=%s ! m2tparse ! m2tdec ! " OUT, path);
        assert_times(samples, 10);
    }
}

static void
videorate_and_live(void)
{
    g_autoptr(GPtrArray) rate = samples_of(SOURCE " ! videorate ! video/x-raw, framerate=50/1 ! m2tenc ! m2tdec ! " OUT, 5u);
    g_autoptr(GPtrArray) live = samples_of("videotestsrc is-live=true num-buffers=5 ! video/x-raw, width=64, height=48 ! compositor ! "
                                           "videoconvert ! m2tenc ! m2tdec ! " OUT);

    g_assert_cmpuint(rate->len, >=, 9);
    g_assert_cmpuint(live->len, >=, 4);
}

/* --- seeking --- */

static GstElement *
paused(const char *format, const char *path)
{
    g_autofree char *launch = g_strdup_printf(format, path);
    g_autoptr(GError) error = NULL;
    GstElement *pipeline = gst_parse_launch(launch, &error);

    g_assert_no_error(error);
    gst_element_set_state(pipeline, GST_STATE_PAUSED);
    g_assert_cmpint(gst_element_get_state(pipeline, NULL, NULL, 20 * GST_SECOND), !=, GST_STATE_CHANGE_FAILURE);
    return pipeline;
}

static GPtrArray *
after_seek(GstElement *pipeline, gdouble rate, GstSeekFlags more, guint start, guint stop)
{
    GstClockTime end = stop == 0 ? GST_CLOCK_TIME_NONE : stop * FRAME_TIME;

    g_assert_true(gst_element_seek(pipeline, rate, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH | more, GST_SEEK_TYPE_SET, start * FRAME_TIME,
                                   stop == 0 ? GST_SEEK_TYPE_NONE : GST_SEEK_TYPE_SET, end));
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    return pull_samples(pipeline);
}

static guint
frame_index(GPtrArray *samples, guint i)
{
    GstClockTime pts = GST_BUFFER_PTS(gst_sample_get_buffer(samples->pdata[i]));

    return (guint) ((pts + FRAME_TIME / 2) / FRAME_TIME);
}

static void
stop(GstElement *pipeline)
{
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
}

static const struct {
    const char *rest, *play;
} seekable[] = {
    {"m2tenc key-int-max=5", "filesrc location=%s ! m2tparse ! m2tdec ! " OUT},
    {"m2tenc key-int-max=5 ! mp4mux", "filesrc location=%s ! qtdemux ! m2tdec ! " OUT},
    {"m2tenc key-int-max=5", "filesrc location=%s ! m2tparse ! m2tdec max-frame-delay=3 ! " OUT},
};

static void
seeks(void)
{
    const struct {
        GstSeekFlags flags;
        guint start, stop, first, last;
    } cases[] = {
        {GST_SEEK_FLAG_ACCURATE, 32, 0, 32, 49},   {GST_SEEK_FLAG_ACCURATE, 7, 19, 7, 18}, {GST_SEEK_FLAG_KEY_UNIT, 32, 0, 30, 49},
        {GST_SEEK_FLAG_ACCURATE, 0, 0, 0, 49},     {GST_SEEK_FLAG_ACCURATE, 49, 0, 49, 49}, {GST_SEEK_FLAG_ACCURATE, 0, 10, 0, 9},
    };

    for (guint s = 0; s < G_N_ELEMENTS(seekable); s++) {
        g_autofree char *path = make_file("seek", 50, seekable[s].rest);

        for (guint c = 0; c < G_N_ELEMENTS(cases); c++) {
            GstElement *pipeline = paused(seekable[s].play, path);
            g_autoptr(GPtrArray) samples = after_seek(pipeline, 1.0, cases[c].flags, cases[c].start, cases[c].stop);
            guint first;

            g_test_message("%s: %u to %u", seekable[s].rest, cases[c].start, cases[c].stop);
            g_assert_cmpuint(samples->len, >, 0);
            first = frame_index(samples, 0);
            g_assert_cmpuint(first, >=, cases[c].first);
            g_assert_cmpuint(first, <=, cases[c].start); /* the parser may be more exact than it was asked to be */
            g_assert_cmpuint(frame_index(samples, samples->len - 1), ==, cases[c].last);
            g_assert_cmpuint(samples->len, ==, cases[c].last - first + 1);
            stop(pipeline);
        }
    }
}

static void
seek_past_the_end(void)
{
    for (guint s = 0; s < G_N_ELEMENTS(seekable); s++) {
        g_autofree char *path = make_file("past", 20, seekable[s].rest);
        GstElement *pipeline = paused(seekable[s].play, path);
        g_autoptr(GPtrArray) samples = after_seek(pipeline, 1.0, GST_SEEK_FLAG_ACCURATE, 500, 0);

        g_assert_cmpuint(samples->len, <=, 1);
        stop(pipeline);
    }
}

static void
segment_loop(void)
{
    for (guint s = 0; s < G_N_ELEMENTS(seekable); s++) {
        g_autofree char *path = make_file("loop", 20, seekable[s].rest);
        GstElement *pipeline = paused(seekable[s].play, path), *out = gst_bin_get_by_name(GST_BIN(pipeline), "out");

        g_assert_true(gst_element_seek(pipeline, 1.0, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_SEGMENT, GST_SEEK_TYPE_SET, 0,
                                       GST_SEEK_TYPE_SET, 10 * FRAME_TIME));
        gst_element_set_state(pipeline, GST_STATE_PLAYING);
        for (guint round = 0; round < 3; round++) {
            GstMessage *done;

            for (guint i = 0; i < 10; i++) {
                GstSample *sample;

                g_signal_emit_by_name(out, "try-pull-sample", (guint64) 20 * GST_SECOND, &sample);
                g_assert_nonnull(sample);
                g_assert_cmpuint(GST_BUFFER_PTS(gst_sample_get_buffer(sample)) / GST_MSECOND, ==, i * 40);
                gst_sample_unref(sample);
            }
            done = gst_bus_timed_pop_filtered(GST_ELEMENT_BUS(pipeline), 20 * GST_SECOND, GST_MESSAGE_SEGMENT_DONE | GST_MESSAGE_ERROR);
            g_assert_cmpint(GST_MESSAGE_TYPE(done), ==, GST_MESSAGE_SEGMENT_DONE);
            gst_message_unref(done);
            g_assert_true(gst_element_seek(pipeline, 1.0, GST_FORMAT_TIME, GST_SEEK_FLAG_SEGMENT, GST_SEEK_TYPE_SET, 0, GST_SEEK_TYPE_SET,
                                           10 * FRAME_TIME));
        }
        gst_object_unref(out);
        stop(pipeline);
    }
}

#define LONG_FRAMES 1750 /* 70 seconds */
#define LONG_GROUP 30

/* A picture that stands still for 30 seconds, then one that does not, so that the mean bit rate says little about where a frame is. */
static char *
make_long_file(const char *name)
{
    char *path = temporary(name);

    assert_runs("concat name=c ! m2tenc quantizer=20 key-int-max=%u ! filesink location=%s "
                "videotestsrc num-buffers=750 ! video/x-raw, width=64, height=48, framerate=25/1 ! c. "
                "videotestsrc num-buffers=%u pattern=snow ! video/x-raw, width=64, height=48, framerate=25/1 ! c.",
                LONG_GROUP, path, LONG_FRAMES - 750);
    return path;
}

static guint
pts_index(GstSample *sample)
{
    return (guint) (GST_BUFFER_PTS(gst_sample_get_buffer(sample)) / FRAME_TIME);
}

/* The first buffer after a flush. */
static GstPadProbeReturn
note_first(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
    guint *first = data;

    (void) pad;
    if (!GST_IS_BUFFER(info->data))
        *first = GST_EVENT_TYPE(info->data) == GST_EVENT_FLUSH_STOP ? G_MAXUINT : *first;
    else if (*first == G_MAXUINT)
        *first = (guint) (GST_BUFFER_PTS(GST_BUFFER(info->data)) / FRAME_TIME);
    return GST_PAD_PROBE_OK;
}

/* A seek begins with the key frame @key, and the first frame that is shown is the one that has its time when the file is played from its start. */
static void
assert_seek_finds(GPtrArray *played, const char *path, GstSeekFlags flags, guint target, guint key)
{
    GstElement *pipeline = paused("filesrc location=%s ! m2tparse name=parse ! appsink name=out sync=false max-buffers=2", path);
    GstElement *out = gst_bin_get_by_name(GST_BIN(pipeline), "out"), *parse = gst_bin_get_by_name(GST_BIN(pipeline), "parse");
    GstPad *pad = gst_element_get_static_pad(parse, "src");
    guint shown = flags & GST_SEEK_FLAG_KEY_UNIT ? key : target, first = G_MAXUINT;
    GstSample *sample;
    GstMapInfo map;

    g_test_message("flags %x, to %u: %u", flags, target, key);
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_FLUSH, note_first, &first, NULL);
    g_assert_true(gst_element_seek(pipeline, 1.0, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH | flags, GST_SEEK_TYPE_SET, target * FRAME_TIME,
                                   GST_SEEK_TYPE_NONE, 0));
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    g_signal_emit_by_name(out, "try-pull-sample", (guint64) 20 * GST_SECOND, &sample);
    g_assert_nonnull(sample);
    g_assert_cmpuint(first, ==, key);
    g_assert_cmpuint(pts_index(sample), ==, shown);
    g_assert_cmpuint(gst_sample_get_segment(sample)->start, ==, shown * FRAME_TIME);
    gst_buffer_map(gst_sample_get_buffer(sample), &map, GST_MAP_READ);
    g_assert_cmpint(gst_buffer_memcmp(gst_sample_get_buffer(played->pdata[shown]), 0, map.data, map.size), ==, 0);
    gst_buffer_unmap(gst_sample_get_buffer(sample), &map);
    gst_sample_unref(sample);
    gst_object_unref(pad);
    gst_object_unref(parse);
    gst_object_unref(out);
    stop(pipeline);
}

static void
seeks_in_a_long_file(void)
{
    const GstSeekFlags snap_after = GST_SEEK_FLAG_KEY_UNIT | GST_SEEK_FLAG_SNAP_AFTER;
    const GstSeekFlags snap_nearest = GST_SEEK_FLAG_KEY_UNIT | GST_SEEK_FLAG_SNAP_NEAREST;
    g_autofree char *path = make_long_file("long.m2tv");
    g_autoptr(GPtrArray) played = samples_of("filesrc location=%s ! m2tparse ! " OUT, path);
    GstElement *pipeline = paused("filesrc location=%s ! m2tparse ! " OUT, path);
    gint64 duration;

    assert_times(played, LONG_FRAMES);
    g_assert_true(gst_element_query_duration(pipeline, GST_FORMAT_TIME, &duration));
    g_assert_cmpint(duration, ==, LONG_FRAMES * FRAME_TIME);
    stop(pipeline);
    for (guint target = 200; target < LONG_FRAMES; target += 500) {
        guint key = target / LONG_GROUP * LONG_GROUP;

        assert_seek_finds(played, path, GST_SEEK_FLAG_NONE, target, key);
        assert_seek_finds(played, path, GST_SEEK_FLAG_ACCURATE, target, key);
        assert_seek_finds(played, path, GST_SEEK_FLAG_KEY_UNIT, target, key);
    }
    assert_seek_finds(played, path, snap_after, 1701, 1710);
    assert_seek_finds(played, path, snap_after, 1745, 1740); /* there is none after */
    assert_seek_finds(played, path, snap_nearest, 1709, 1710);
    assert_seek_finds(played, path, snap_nearest, 1681, 1680);
    {
        g_autoptr(GPtrArray) samples = NULL;

        pipeline = paused(seekable[0].play, path);
        samples = after_seek(pipeline, -1.0, GST_SEEK_FLAG_NONE, 1500, 1550);
        g_assert_cmpuint(samples->len, ==, 50);
        for (guint i = 0; i < samples->len; i++)
            g_assert_cmpuint(frame_index(samples, i), ==, 1549 - i);
        stop(pipeline);
    }
}

/* A file whose rate is variable or not stated plays at 25 frames a second, can be put into a container, and can be sought in. */
static void
files_without_rate(void)
{
    g_autofree char *path = temporary("variable.m2tv"), *mp4 = temporary("variable.mp4");
    g_autoptr(GPtrArray) played = NULL, muxed = NULL;

    assert_runs("videotestsrc num-buffers=100 ! video/x-raw, format=I420, width=64, height=48, framerate=10/1 ! "
                "capssetter caps=\"video/x-raw, framerate=0/1\" ! m2tenc key-int-max=30 ! filesink location=%s",
                path);
    played = samples_of("filesrc location=%s ! m2tparse ! " OUT, path);
    assert_times(played, 100);
    assert_seek_finds(played, path, GST_SEEK_FLAG_KEY_UNIT, 70, 60);
    assert_runs("filesrc location=%s ! m2tparse ! mp4mux ! filesink location=%s", path, mp4);
    muxed = samples_of("filesrc location=%s ! qtdemux ! " OUT, mp4);
    assert_times(muxed, 100);
}

/* What is shown after a seek is whole: it began where the picture was. */
static void
seeks_with_intra_refresh(void)
{
    const struct {
        const char *rest, *play;
        gdouble rate;
        GstSeekFlags flags;
    } cases[] = {
        {"identity", "filesrc location=%s ! m2tparse ! m2tdec ! " OUT, 1.0, GST_SEEK_FLAG_KEY_UNIT},
        {"identity", "filesrc location=%s ! m2tparse ! m2tdec ! " OUT, -1.0, GST_SEEK_FLAG_ACCURATE},
        {"mp4mux", "filesrc location=%s ! qtdemux ! m2tdec ! " OUT, 1.0, GST_SEEK_FLAG_KEY_UNIT},
        {"m2tparse ! mp4mux", "filesrc location=%s ! qtdemux ! m2tdec ! " OUT, -1.0, GST_SEEK_FLAG_ACCURATE},
    };

    for (guint c = 0; c < G_N_ELEMENTS(cases); c++) {
        g_autofree char *path = temporary("refresh");
        g_autoptr(GPtrArray) samples = NULL;
        GstElement *pipeline;

        assert_runs("videotestsrc num-buffers=40 pattern=ball ! video/x-raw, width=64, height=96, framerate=25/1 ! "
                    "m2tenc slices=3 intra-refresh=true key-int-max=9 ! %s ! filesink location=%s",
                    cases[c].rest, path);
        pipeline = paused(cases[c].play, path);
        samples = after_seek(pipeline, cases[c].rate, cases[c].flags, cases[c].rate < 0.0 ? 10 : 31, cases[c].rate < 0.0 ? 40 : 0);
        g_assert_cmpuint(samples->len, >, 0);
        for (guint i = 0; i < samples->len; i++)
            g_assert_false(GST_BUFFER_FLAG_IS_SET(gst_sample_get_buffer(samples->pdata[i]), GST_BUFFER_FLAG_CORRUPTED));
        stop(pipeline);
    }
}

/* Key frames that were lost are not found, all others are, at the times at which they play. */
static void
seeks_in_a_damaged_file(void)
{
    const guint8 zeros[3000] = {0};
    g_autofree char *path = make_long_file("damaged.m2tv"), *content = NULL;
    g_autoptr(GPtrArray) played = NULL;
    gsize size;

    g_assert_true(g_file_get_contents(path, &content, &size, NULL));
    memcpy(content + size / 4, zeros, sizeof zeros);
    for (gsize at = size / 2; at < size - 100; at += size / 9) /* the first byte of a header, and of a length */
        for (gsize end = at + 9; at < end; at++)
            content[at] ^= 0x55;
    memcpy(content + size - 8, "\0\0\2M\x84\x80\x80\x80", 8); /* 8 MiB are to come */
    g_assert_true(g_file_set_contents(path, content, (gssize) size, NULL));

    played = samples_of("filesrc location=%s ! m2tparse ! " OUT, path);
    g_assert_cmpuint(played->len, >, LONG_FRAMES / 2);
    for (guint target = 150; target < played->len; target += 300) {
        guint key = target;

        while (is_delta(gst_sample_get_buffer(played->pdata[key])))
            key--;
        assert_seek_finds(played, path, GST_SEEK_FLAG_KEY_UNIT, target, key);
    }
}

/* What lies between and behind the rows of the output is the same in every run. */
static void
padding_is_zero(void)
{
    g_autoptr(GPtrArray) samples = samples_of("videotestsrc num-buffers=3 ! video/x-raw, width=101, height=33 ! m2tenc ! m2tdec ! " OUT);

    g_assert_cmpuint(samples->len, ==, 3);
    for (guint i = 0; i < samples->len; i++) {
        GstVideoInfo info;
        GstVideoFrame frame;

        g_assert_true(gst_video_info_from_caps(&info, gst_sample_get_caps(samples->pdata[i])));
        g_assert_true(gst_video_frame_map(&frame, &info, gst_sample_get_buffer(samples->pdata[i]), GST_MAP_READ));
        for (guint plane = 0; plane < 3; plane++) {
            const guint8 *data = GST_VIDEO_FRAME_PLANE_DATA(&frame, plane);
            int stride = GST_VIDEO_FRAME_PLANE_STRIDE(&frame, plane), width = GST_VIDEO_FRAME_COMP_WIDTH(&frame, plane);

            g_assert_cmpint(stride, >, width);
            for (int y = 0; y < GST_VIDEO_FRAME_COMP_HEIGHT(&frame, plane); y++)
                for (int x = width; x < stride; x++)
                    g_assert_cmpuint(data[y * stride + x], ==, 0);
        }
        gst_video_frame_unmap(&frame);
    }
}

/* Each frame once, the last one first. */
static void
reverse(void)
{
    for (guint s = 0; s < G_N_ELEMENTS(seekable); s++) {
        g_autofree char *path = make_file("reverse", 30, seekable[s].rest);
        GstElement *pipeline = paused(seekable[s].play, path);
        g_autoptr(GPtrArray) samples = after_seek(pipeline, -1.0, GST_SEEK_FLAG_ACCURATE, 0, 30);

        g_assert_cmpuint(samples->len, ==, 30);
        for (guint i = 0; i < samples->len; i++)
            g_assert_cmpuint(frame_index(samples, i), ==, 29 - i);
        stop(pipeline);
    }
}

/* Nobody has to know how long a file is; and the end may be counted from. */
static void
reverse_from_the_end(void)
{
    const struct {
        GstSeekType type;
        gint64 stop;
        guint frames;
    } ends[] = {{GST_SEEK_TYPE_NONE, -1, 30}, {GST_SEEK_TYPE_SET, -1, 30}, {GST_SEEK_TYPE_END, 0, 30}, {GST_SEEK_TYPE_END, -10 * FRAME_TIME, 20}};
    g_autofree char *path = make_file("reverse-open", 30, seekable[0].rest);

    for (guint e = 0; e < G_N_ELEMENTS(ends); e++)
        for (int forward = 0; forward < 2; forward++) {
            GstElement *pipeline = paused(seekable[0].play, path);
            g_autoptr(GPtrArray) samples = NULL;

            g_assert_true(gst_element_seek(pipeline, forward ? 1.0 : -1.0, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_ACCURATE,
                                           GST_SEEK_TYPE_SET, 0, ends[e].type, ends[e].stop));
            gst_element_set_state(pipeline, GST_STATE_PLAYING);
            samples = pull_samples(pipeline);
            g_assert_cmpuint(samples->len, ==, ends[e].frames);
            for (guint i = 0; i < samples->len; i++)
                g_assert_cmpuint(frame_index(samples, i), ==, forward ? i : samples->len - 1 - i);
            stop(pipeline);
        }
}

/* A group of more than 1 MiB, which the base class reads in several pieces. */
static void
reverse_large_group(void)
{
    g_autofree char *path = temporary("large-group.m2tv");
    g_autoptr(GPtrArray) samples = NULL;
    GstElement *pipeline;
    g_autofree char *content = NULL;
    gsize size;

    assert_runs("videotestsrc num-buffers=110 pattern=snow ! video/x-raw, width=352, height=288, framerate=25/1 ! "
                "m2tenc quantizer=0 key-int-max=1000 ! filesink location=%s",
                path);
    g_assert_true(g_file_get_contents(path, &content, &size, NULL));
    g_assert_cmpuint(size, >, 1200000);
    pipeline = paused(seekable[0].play, path);
    samples = after_seek(pipeline, -1.0, GST_SEEK_FLAG_ACCURATE, 0, 110);
    g_assert_cmpuint(samples->len, ==, 110);
    for (guint i = 0; i < samples->len; i++)
        g_assert_cmpuint(frame_index(samples, i), ==, 109 - i);
    stop(pipeline);
}

static void
key_frames_only(void)
{
    for (guint f = 0; f < G_N_ELEMENTS(seekable); f++) {
        g_autofree char *path = make_file("trick", 30, seekable[f].rest);
        GstElement *pipeline = paused(seekable[f].play, path);
        g_autoptr(GPtrArray) samples = after_seek(pipeline, 2.0, GST_SEEK_FLAG_TRICKMODE_KEY_UNITS, 0, 0);

        g_assert_cmpuint(samples->len, ==, 6);
        for (guint i = 0; i < samples->len; i++)
            g_assert_cmpuint(frame_index(samples, i), ==, 5 * i);
        g_assert_null(gst_bus_pop_filtered(GST_ELEMENT_BUS(pipeline), GST_MESSAGE_ERROR | GST_MESSAGE_QOS)); /* nothing came too late */
        stop(pipeline);
    }
}

/* Where no key frame is left to be shown, that is no error. */
static void
key_frames_only_at_the_end(void)
{
    for (guint f = 0; f < G_N_ELEMENTS(seekable); f++) {
        g_autofree char *path = make_file("trick", 30, seekable[f].rest);
        GstElement *pipeline = paused(seekable[f].play, path);
        g_autoptr(GPtrArray) samples = after_seek(pipeline, 2.0, GST_SEEK_FLAG_TRICKMODE_KEY_UNITS | GST_SEEK_FLAG_ACCURATE, 27, 0);

        g_assert_cmpuint(samples->len, <=, 1);
        g_assert_null(gst_bus_pop_filtered(GST_ELEMENT_BUS(pipeline), GST_MESSAGE_ERROR));
        stop(pipeline);
    }
}

int
main(int argc, char **argv)
{
    test_init(&argc, &argv);
    g_test_add_func("/pipelines/encoder and decoder", encoder_and_decoder);
    g_test_add_func("/pipelines/m2tv files", stream_files);
    g_test_add_func("/pipelines/mp4 and mov files", mp4_files);
    g_test_add_func("/pipelines/mp4 sample table", mp4_sample_table);
    g_test_add_func("/pipelines/remuxing", remuxing);
    g_test_add_func("/pipelines/containers that refuse", refusals);
    g_test_add_func("/pipelines/gdp", gdp);
    g_test_add_func("/pipelines/rtp", rtp);
    g_test_add_func("/pipelines/rtp with loss", rtp_with_loss);
    g_test_add_func("/pipelines/playbin", playbin);
    g_test_add_func("/pipelines/recorded and shown", recorded_and_shown);
    g_test_add_func("/pipelines/one frame per file", one_frame_per_file);
    g_test_add_func("/pipelines/encodebin", encodebin);
    g_test_add_func("/pipelines/splitmuxsink", splitmuxsink);
    g_test_add_func("/pipelines/concat", concat);
    g_test_add_func("/pipelines/new caps through the parser", new_caps_through_the_parser);
    g_test_add_func("/pipelines/new rate in a file", new_rate_in_a_file);
    g_test_add_func("/pipelines/tee and queue", tee_and_queue);
    g_test_add_func("/pipelines/files behind the framed form", file_behind_framed);
    g_test_add_func("/pipelines/videorate and compositor", videorate_and_live);
    g_test_add_func("/pipelines/seeks", seeks);
    g_test_add_func("/pipelines/seeks in a long file", seeks_in_a_long_file);
    g_test_add_func("/pipelines/seeks in a damaged file", seeks_in_a_damaged_file);
    g_test_add_func("/pipelines/files without a rate", files_without_rate);
    g_test_add_func("/pipelines/seeks with intra refresh", seeks_with_intra_refresh);
    g_test_add_func("/pipelines/seek past the end", seek_past_the_end);
    g_test_add_func("/pipelines/segment loop", segment_loop);
    g_test_add_func("/pipelines/padding is zero", padding_is_zero);
    g_test_add_func("/pipelines/reverse", reverse);
    g_test_add_func("/pipelines/reverse, from the end", reverse_from_the_end);
    g_test_add_func("/pipelines/reverse, large group", reverse_large_group);
    g_test_add_func("/pipelines/key frames only", key_frames_only);
    g_test_add_func("/pipelines/key frames only at the end", key_frames_only_at_the_end);
    return test_run();
}
