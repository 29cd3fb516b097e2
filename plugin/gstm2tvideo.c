/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Caps, GstVideoInfo and sequence headers say the same in three ways; all translation between them is here. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstm2tvideo.h"

/* H.273 has no name for some of GStreamer's values, and one name for several others: these travel as private code points. */
#define PRIVATE_CODE 0x80

static guint8
code_from_value(guint value, guint iso, guint value_of_iso)
{
    if (value_of_iso == value)
        return (guint8) iso;
    return value < PRIVATE_CODE ? (guint8) (PRIVATE_CODE | value) : 2;
}

static M2tColour
colour_from_gst(const GstVideoColorimetry *c)
{
    M2tColour colour = {.range = c->range <= GST_VIDEO_COLOR_RANGE_16_235 ? (guint8) c->range : 0};
    guint iso = gst_video_color_matrix_to_iso(c->matrix);

    colour.matrix = code_from_value(c->matrix, iso, gst_video_color_matrix_from_iso(iso));
    iso = gst_video_transfer_function_to_iso(c->transfer);
    colour.transfer = code_from_value(c->transfer, iso, gst_video_transfer_function_from_iso(iso));
    iso = gst_video_color_primaries_to_iso(c->primaries);
    colour.primaries = code_from_value(c->primaries, iso, gst_video_color_primaries_from_iso(iso));
    return colour;
}

/* A stream may name private values that no GStreamer ever had: those are unknown. */
static guint
private_value(guint8 code, guint last)
{
    guint value = code & ~PRIVATE_CODE;

    return value <= last ? value : 0;
}

static GstVideoColorimetry
colour_to_gst(const M2tColour *colour)
{
    GstVideoColorimetry c = {.range = (GstVideoColorRange) colour->range};

    c.matrix = colour->matrix & PRIVATE_CODE
        ? (GstVideoColorMatrix) private_value(colour->matrix, GST_VIDEO_COLOR_MATRIX_BT2020)
        : gst_video_color_matrix_from_iso(colour->matrix);
    c.transfer = colour->transfer & PRIVATE_CODE
        ? (GstVideoTransferFunction) private_value(colour->transfer, GST_VIDEO_TRANSFER_BT601)
        : gst_video_transfer_function_from_iso(colour->transfer);
    c.primaries = colour->primaries & PRIVATE_CODE
        ? (GstVideoColorPrimaries) private_value(colour->primaries, GST_VIDEO_COLOR_PRIMARIES_EBU3213)
        : gst_video_color_primaries_from_iso(colour->primaries);
    return c;
}

static const struct {
    guint m2t;
    guint gst;
} chroma_sites[] = {
    {M2T_CHROMA_SITE_HORIZONTAL, GST_VIDEO_CHROMA_SITE_H_COSITED},
    {M2T_CHROMA_SITE_VERTICAL, GST_VIDEO_CHROMA_SITE_V_COSITED},
    {M2T_CHROMA_SITE_ALTERNATE, GST_VIDEO_CHROMA_SITE_ALT_LINE},
    {M2T_CHROMA_SITE_NONE, GST_VIDEO_CHROMA_SITE_NONE},
};

static guint8
chroma_site_from_gst(guint gst)
{
    guint m2t = 0;

    for (guint i = 0; i < G_N_ELEMENTS(chroma_sites); i++)
        m2t |= gst & chroma_sites[i].gst ? chroma_sites[i].m2t : 0;
    return (guint8) m2t;
}

static GstVideoChromaSite
chroma_site_to_gst(guint m2t)
{
    guint gst = 0;

    for (guint i = 0; i < G_N_ELEMENTS(chroma_sites); i++)
        gst |= m2t & chroma_sites[i].m2t ? chroma_sites[i].gst : 0;
    return (GstVideoChromaSite) gst;
}

static void
mastering_from_gst(const GstVideoMasteringDisplayInfo *gst, M2tMastering *m2t)
{
    for (guint i = 0; i < 3; i++) {
        m2t->primaries[i][0] = gst->display_primaries[i].x;
        m2t->primaries[i][1] = gst->display_primaries[i].y;
    }
    m2t->primaries[3][0] = gst->white_point.x;
    m2t->primaries[3][1] = gst->white_point.y;
    m2t->max_luminance = gst->max_display_mastering_luminance;
    m2t->min_luminance = gst->min_display_mastering_luminance;
}

static void
mastering_to_gst(const M2tMastering *m2t, GstVideoMasteringDisplayInfo *gst)
{
    gst_video_mastering_display_info_init(gst);
    for (guint i = 0; i < 3; i++) {
        gst->display_primaries[i].x = m2t->primaries[i][0];
        gst->display_primaries[i].y = m2t->primaries[i][1];
    }
    gst->white_point.x = m2t->primaries[3][0];
    gst->white_point.y = m2t->primaries[3][1];
    gst->max_display_mastering_luminance = m2t->max_luminance;
    gst->min_display_mastering_luminance = m2t->min_luminance;
}

static void
overlay_rate(M2tVideoInfo *info, const GstStructure *s)
{
    gint n, d;

    if (gst_structure_get_fraction(s, "framerate", &n, &d)) {
        info->has_rate = TRUE;
        info->rate_n = (guint) n;
        info->rate_d = (guint) d;
    }
}

static void
overlay_shape_and_colour(M2tVideoInfo *info, const GstStructure *s)
{
    const char *site = gst_structure_get_string(s, "chroma-site");
    const char *text = gst_structure_get_string(s, "colorimetry");
    GstVideoColorimetry colorimetry;
    gint n, d;

    if (gst_structure_get_fraction(s, "pixel-aspect-ratio", &n, &d) && n > 0 && d > 0) {
        info->has_aspect = TRUE;
        info->aspect_n = (guint) n;
        info->aspect_d = (guint) d;
    }
    if (text != NULL && gst_video_colorimetry_from_string(&colorimetry, text)) {
        info->has_colour = TRUE;
        info->colour = colour_from_gst(&colorimetry);
    }
    if (site != NULL) {
        info->has_chroma_site = TRUE;
        info->chroma_site = chroma_site_from_gst(gst_video_chroma_site_from_string(site));
    }
}

static void
overlay_hdr(M2tVideoInfo *info, const GstCaps *caps)
{
    GstVideoMasteringDisplayInfo mastering;
    GstVideoContentLightLevel light;

    if (gst_video_mastering_display_info_from_caps(&mastering, caps)) {
        info->has_mastering = TRUE;
        mastering_from_gst(&mastering, &info->mastering);
    }
    if (gst_video_content_light_level_from_caps(&light, caps)) {
        info->has_content_light = TRUE;
        info->content_light.max_content = light.max_content_light_level;
        info->content_light.max_average = light.max_frame_average_light_level;
    }
}

void
gst_m2t_info_overlay(M2tVideoInfo *info, const GstCaps *caps)
{
    const GstStructure *s = gst_caps_get_structure(caps, 0);

    overlay_rate(info, s);
    if (gst_structure_has_name(s, GST_M2T_FOURCC_NAME))
        return;
    overlay_shape_and_colour(info, s);
    overlay_hdr(info, caps);
}

void
gst_m2t_info_to_gst(const M2tVideoInfo *info, GstVideoInfo *video)
{
    const GstVideoColorimetry unstated = {.range = GST_VIDEO_COLOR_RANGE_UNKNOWN};

    if (info->has_aspect) {
        GST_VIDEO_INFO_PAR_N(video) = (gint) info->aspect_n;
        GST_VIDEO_INFO_PAR_D(video) = (gint) info->aspect_d;
    }
    GST_VIDEO_INFO_COLORIMETRY(video) = info->has_colour ? colour_to_gst(&info->colour) : unstated;
    GST_VIDEO_INFO_CHROMA_SITE(video) = info->has_chroma_site ? chroma_site_to_gst(info->chroma_site) : GST_VIDEO_CHROMA_SITE_UNKNOWN;
}

void
gst_m2t_info_add_hdr(const M2tVideoInfo *info, GstCaps *caps)
{
    if (info->has_mastering) {
        GstVideoMasteringDisplayInfo mastering;

        mastering_to_gst(&info->mastering, &mastering);
        gst_video_mastering_display_info_add_to_caps(&mastering, caps);
    }
    if (info->has_content_light) {
        GstVideoContentLightLevel light;

        gst_video_content_light_level_init(&light);
        light.max_content_light_level = info->content_light.max_content;
        light.max_frame_average_light_level = info->content_light.max_average;
        gst_video_content_light_level_add_to_caps(&light, caps);
    }
}

static void
add_string(GstCaps *caps, const char *field, char *value)
{
    if (value != NULL)
        gst_caps_set_simple(caps, field, G_TYPE_STRING, value, NULL);
    g_free(value);
}

void
gst_m2t_info_add_to_caps(const M2tVideoInfo *info, GstCaps *caps)
{
    gst_caps_set_simple(caps, "width", G_TYPE_INT, (gint) info->width, "height", G_TYPE_INT, (gint) info->height, NULL);
    if (info->has_rate)
        gst_caps_set_simple(caps, "framerate", GST_TYPE_FRACTION, (gint) info->rate_n, (gint) info->rate_d, NULL);
    if (info->has_aspect)
        gst_caps_set_simple(caps, "pixel-aspect-ratio", GST_TYPE_FRACTION, (gint) info->aspect_n, (gint) info->aspect_d, NULL);
    if (info->has_colour) {
        GstVideoColorimetry colorimetry = colour_to_gst(&info->colour);

        add_string(caps, "colorimetry", gst_video_colorimetry_to_string(&colorimetry));
    }
    if (info->has_chroma_site)
        add_string(caps, "chroma-site", gst_video_chroma_site_to_string(chroma_site_to_gst(info->chroma_site)));
    gst_m2t_info_add_hdr(info, caps);
}

GstCaps *
gst_m2t_output_caps(GstPad *srcpad, gboolean *byte_stream)
{
    g_autoptr(GstCaps) mine = gst_pad_get_pad_template_caps(srcpad);
    g_autoptr(GstCaps) theirs = gst_pad_peer_query_caps(srcpad, NULL);
    g_autoptr(GstCaps) allowed = gst_caps_intersect_full(theirs, mine, GST_CAPS_INTERSECT_FIRST);
    const char *name = GST_M2T_CAPS_NAME;
    const char *form = "byte-stream";
    g_autoptr(GstStructure) first = NULL;

    if (gst_caps_is_empty(allowed)) {
        form = "framed";
    } else if (!gst_caps_is_any(theirs)) {
        first = gst_structure_copy(gst_caps_get_structure(allowed, 0));
        gst_structure_fixate_field(first, "stream-format");
        name = gst_structure_get_name(first);
        form = gst_structure_get_string(first, "stream-format");
    }
    *byte_stream = g_strcmp0(form, "byte-stream") == 0;

    if (g_strcmp0(name, GST_M2T_CAPS_NAME) != 0)
        return gst_caps_new_simple(name, "format", G_TYPE_UINT, GST_M2T_FOURCC, NULL);
    return gst_caps_new_simple(name, "stream-format", G_TYPE_STRING, form, "alignment", G_TYPE_STRING, "frame", NULL);
}

GstClockTime
gst_m2t_info_frame_time(const M2tVideoInfo *info)
{
    gboolean known = info->has_rate && info->rate_n > 0 && info->rate_d > 0;

    return known ? MAX(gst_util_uint64_scale(GST_SECOND, info->rate_d, info->rate_n), 1) : GST_SECOND / GST_M2T_RATE_ASSUMED;
}

M2tPicture
gst_m2t_picture(GstVideoFrame *video)
{
    M2tPicture picture;

    for (guint i = 0; i < G_N_ELEMENTS(picture.data); i++) {
        picture.data[i] = GST_VIDEO_FRAME_PLANE_DATA(video, i);
        picture.stride[i] = GST_VIDEO_FRAME_PLANE_STRIDE(video, i);
    }
    return picture;
}

GstClockTime
gst_m2t_latency(const GstVideoInfo *video, guint frames)
{
    gboolean known = GST_VIDEO_INFO_FPS_N(video) > 0 && GST_VIDEO_INFO_FPS_D(video) > 0;
    guint64 n = known ? (guint64) GST_VIDEO_INFO_FPS_N(video) : GST_M2T_RATE_ASSUMED, d = known ? (guint64) GST_VIDEO_INFO_FPS_D(video) : 1;

    return gst_util_uint64_scale(frames * GST_SECOND, d, n);
}

#define GST_CAT_DEFAULT category /* what elements report goes to their own */

M2tModel *
gst_m2t_open_model(GstElement *element, GstDebugCategory *category, const char *model_file)
{
    g_autoptr(GError) error = NULL;
    M2tModel *model = m2t_model_open(model_file, &error);

    if (model == NULL)
        GST_ELEMENT_ERROR(element, RESOURCE, NOT_FOUND, ("There is no usable M2T model."),
                          ("%s; set the property model-file or the environment variable M2T_MODEL_PATH", error->message));
    return model;
}
