/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What caps say beside the size comes through every carrier: colorimetry, chroma site, pixel aspect, HDR metadata. */
#include "common.h"

#include <string.h>

#define MASTERING "mastering-display-info=(string)35400:14600:8500:39850:6550:2300:15635:16450:10000000:1"

static const char *carriers[] = {
    "m2tenc ! m2tdec",
    "m2tenc ! video/x-m2t, stream-format=framed ! m2tparse ! m2tdec",
    "m2tenc ! video/x-m2t, stream-format=byte-stream ! m2tparse ! m2tdec",
    "m2tenc ! gdppay ! gdpdepay ! m2tparse ! m2tdec",
    "m2tenc ! rtpgstpay ! rtpgstdepay ! m2tparse ! m2tdec",
};

/* Returns: caps of the decoded video. */
static GstStructure *
through(const char *carrier, const char *raw)
{
    GstHarness *h = harness(carrier, raw, NULL);
    GstStructure *caps;

    g_test_message("%s: %s", carrier, raw);
    g_assert_cmpint(gst_harness_push(h, raw_frame(WIDTH, HEIGHT, 0)), ==, GST_FLOW_OK);
    g_assert_true(gst_harness_push_event(h, gst_event_new_eos()));
    gst_buffer_unref(gst_harness_pull(h));
    caps = current_caps(h);
    harness_free(h);
    return caps;
}

/* Through files: what a source with these caps gives after muxing and demuxing. */
static GstStructure *
through_mp4(const char *muxer, const char *raw)
{
    g_autofree char *path = temporary("caps.mp4");
    g_autoptr(GPtrArray) samples = NULL;

    assert_runs("videotestsrc num-buffers=2 ! video/x-raw, format=I420, width=64, height=48, framerate=25/1 ! "
                "capssetter join=false replace=true caps=\"%s\" ! m2tenc ! %s ! filesink location=%s",
                raw, muxer, path);
    samples = samples_of("filesrc location=%s ! qtdemux ! m2tdec ! appsink name=out sync=false", path);
    g_assert_cmpuint(samples->len, ==, 2);
    return gst_structure_copy(gst_caps_get_structure(gst_sample_get_caps(samples->pdata[0]), 0));
}

static void
assert_field(const GstStructure *got, const char *raw, const char *field)
{
    g_autoptr(GstCaps) caps = gst_caps_from_string(raw);
    const GValue *expected = gst_structure_get_value(gst_caps_get_structure(caps, 0), field);
    const GValue *value = gst_structure_get_value(got, field);

    g_test_message("%s", field);
    g_assert_cmpint(expected == NULL, ==, value == NULL);
    if (expected != NULL)
        g_assert_cmpint(gst_value_compare(expected, value), ==, GST_VALUE_EQUAL);
}

static void
assert_colorimetry(const GstStructure *got, const char *expected)
{
    const char *text = gst_structure_get_string(got, "colorimetry");
    GstVideoColorimetry a, b;

    g_assert_nonnull(text);
    g_assert_true(gst_video_colorimetry_from_string(&a, text));
    g_assert_true(gst_video_colorimetry_from_string(&b, expected));
    g_assert_true(gst_video_colorimetry_is_equal(&a, &b));
}

static void
each_carrier(void)
{
    const char *raws[] = {
        RAW_CAPS,
        RAW_CAPS ", colorimetry=bt709, chroma-site=mpeg2, pixel-aspect-ratio=4/3",
        RAW_CAPS ", colorimetry=bt2100-pq, chroma-site=dv, pixel-aspect-ratio=1/2, " MASTERING ", content-light-level=(string)1000:400",
        RAW_CAPS ", chroma-site=jpeg",
        RAW_CAPS ", content-light-level=(string)65535:1",
    };
    const char *fields[] = {"colorimetry", "chroma-site", "mastering-display-info", "content-light-level", "framerate"};

    for (guint r = 0; r < G_N_ELEMENTS(raws); r++) {
        for (guint c = 0; c < G_N_ELEMENTS(carriers); c++) {
            g_autoptr(GstStructure) got = through(carriers[c], raws[r]);

            for (guint f = 0; f < G_N_ELEMENTS(fields); f++)
                assert_field(got, raws[r], fields[f]);
            if (strstr(raws[r], "pixel-aspect-ratio"))
                assert_field(got, raws[r], "pixel-aspect-ratio");
        }
    }
}

static void
mp4(void)
{
    const char *raw = RAW_CAPS ", interlace-mode=progressive, colorimetry=bt2100-pq, chroma-site=mpeg2, pixel-aspect-ratio=4/3, " MASTERING
                               ", content-light-level=(string)1000:400";
    const char *muxers[] = {"mp4mux", "qtmux"};
    const char *fields[] = {"colorimetry", "chroma-site", "mastering-display-info", "content-light-level", "pixel-aspect-ratio", "framerate"};

    for (guint m = 0; m < G_N_ELEMENTS(muxers); m++) {
        g_autoptr(GstStructure) got = through_mp4(muxers[m], raw);

        for (guint f = 0; f < G_N_ELEMENTS(fields); f++)
            assert_field(got, raw, fields[f]);
    }
}

/* Every value that GStreamer has a name for, and values that have only a number. */
static void
all_colorimetry(void)
{
    const char *named[] = {GST_VIDEO_COLORIMETRY_BT601,  GST_VIDEO_COLORIMETRY_BT709,     GST_VIDEO_COLORIMETRY_SMPTE240M, GST_VIDEO_COLORIMETRY_BT2020,
                           GST_VIDEO_COLORIMETRY_BT2020_10, GST_VIDEO_COLORIMETRY_BT2100_PQ, GST_VIDEO_COLORIMETRY_BT2100_HLG, "1:2:3:4", "2:4:16:9"};
    GPtrArray *all = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < G_N_ELEMENTS(named); i++)
        g_ptr_array_add(all, g_strdup(named[i]));
    for (guint i = 0; i <= GST_VIDEO_TRANSFER_BT601; i++) {
        GstVideoColorimetry c = {GST_VIDEO_COLOR_RANGE_0_255, GST_VIDEO_COLOR_MATRIX_BT709, (GstVideoTransferFunction) i,
                                 GST_VIDEO_COLOR_PRIMARIES_BT709};
        g_ptr_array_add(all, gst_video_colorimetry_to_string(&c));
    }
    for (guint i = 0; i <= GST_VIDEO_COLOR_PRIMARIES_EBU3213; i++) {
        GstVideoColorimetry c = {GST_VIDEO_COLOR_RANGE_16_235, GST_VIDEO_COLOR_MATRIX_FCC, GST_VIDEO_TRANSFER_BT709,
                                 (GstVideoColorPrimaries) i};
        g_ptr_array_add(all, gst_video_colorimetry_to_string(&c));
    }
    for (guint i = 0; i < all->len; i++) {
        g_autofree char *raw = g_strdup_printf(RAW_CAPS ", colorimetry=(string)%s", (char *) all->pdata[i]);

        for (guint c = 0; c < 3; c++) {
            g_autoptr(GstStructure) got = through(carriers[c], raw);

            assert_colorimetry(got, all->pdata[i]);
        }
    }
    g_ptr_array_unref(all);
}

static void
all_chroma_sites(void)
{
    const char *sites[] = {"jpeg", "mpeg2", "dv", "alt-line", "cosited", "none", "h-cosited", "v-cosited"};

    for (guint i = 0; i < G_N_ELEMENTS(sites); i++) {
        g_autofree char *raw = g_strdup_printf(RAW_CAPS ", chroma-site=(string)%s", sites[i]);
        GstVideoChromaSite expected = gst_video_chroma_site_from_string(sites[i]);

        for (guint c = 0; c < 3; c++) {
            g_autoptr(GstStructure) got = through(carriers[c], raw);
            const char *text = gst_structure_get_string(got, "chroma-site");

            if (expected == GST_VIDEO_CHROMA_SITE_UNKNOWN)
                g_assert_null(text);
            else
                g_assert_cmpint(gst_video_chroma_site_from_string(text), ==, expected);
        }
    }
}

static void
variable_rate(void)
{
    const char *raws[] = {
        "video/x-raw, format=I420, width=64, height=48, framerate=0/1",
        "video/x-raw, format=I420, width=64, height=48, framerate=0/1, max-framerate=30/1",
    };

    for (guint r = 0; r < G_N_ELEMENTS(raws); r++) {
        g_autoptr(GstStructure) got = through(carriers[0], raws[r]), parsed = through(carriers[2], raws[r]);

        assert_field(got, raws[r], "framerate");
        assert_field(got, raws[r], "max-framerate");
        assert_field(parsed, raws[r], "framerate");
    }
}

static void
captions_in_one_process(void)
{
    GstHarness *h = harness("m2tenc tune=zerolatency ! m2tdec", RAW_CAPS, NULL);
    GstBuffer *raw = raw_frame(WIDTH, HEIGHT, 0);
    const guint8 caption[] = {0xfc, 0x80, 0x80};
    g_autoptr(GstBuffer) out = NULL;

    gst_buffer_add_video_caption_meta(raw, GST_VIDEO_CAPTION_TYPE_CEA708_RAW, caption, sizeof caption);
    gst_harness_push(h, raw);
    out = gst_harness_pull(h);
    g_assert_nonnull(gst_buffer_get_video_caption_meta(out));
    harness_free(h);
}

int
main(int argc, char **argv)
{
    test_init(&argc, &argv);
    g_test_add_func("/caps/each carrier", each_carrier);
    g_test_add_func("/caps/mp4 and mov", mp4);
    g_test_add_func("/caps/all colorimetry", all_colorimetry);
    g_test_add_func("/caps/all chroma sites", all_chroma_sites);
    g_test_add_func("/caps/variable frame rate", variable_rate);
    g_test_add_func("/caps/captions in one process", captions_in_one_process);
    return test_run();
}
