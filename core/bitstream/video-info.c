/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The description of a video: made, compared and checked. The fields are those of the sequence header
 * (docs/bitstream.md, section 3); what is not there has no value, whatever stands in the struct. */
#include "bitstream/video-info.h"

#include <string.h>

void
m2t_video_info_init(M2tVideoInfo *info, guint width, guint height)
{
    g_return_if_fail(info != NULL);

    memset(info, 0, sizeof *info);
    info->width = width;
    info->height = height;
}

static gboolean
equal_colour(const M2tVideoInfo *a, const M2tVideoInfo *b)
{
    if (!a->has_colour || !b->has_colour)
        return !a->has_colour && !b->has_colour;
    return a->colour.range == b->colour.range && a->colour.matrix == b->colour.matrix &&
           a->colour.transfer == b->colour.transfer && a->colour.primaries == b->colour.primaries;
}

static gboolean
equal_mastering(const M2tVideoInfo *a, const M2tVideoInfo *b)
{
    if (!a->has_mastering || !b->has_mastering)
        return !a->has_mastering && !b->has_mastering;
    return memcmp(a->mastering.primaries, b->mastering.primaries, sizeof a->mastering.primaries) == 0 &&
           a->mastering.max_luminance == b->mastering.max_luminance &&
           a->mastering.min_luminance == b->mastering.min_luminance;
}

static gboolean
equal_content_light(const M2tVideoInfo *a, const M2tVideoInfo *b)
{
    if (!a->has_content_light || !b->has_content_light)
        return !a->has_content_light && !b->has_content_light;
    return a->content_light.max_content == b->content_light.max_content &&
           a->content_light.max_average == b->content_light.max_average;
}

/* Optional pairs and the chroma site: equal if both are absent, or both are there with the same values. */
static gboolean
equal_numbers(gboolean has_a, guint a0, guint a1, gboolean has_b, guint b0, guint b1)
{
    if (!has_a || !has_b)
        return !has_a && !has_b;
    return a0 == b0 && a1 == b1;
}

gboolean
m2t_video_info_equal(const M2tVideoInfo *a, const M2tVideoInfo *b)
{
    g_return_val_if_fail(a != NULL && b != NULL, FALSE);

    return a->width == b->width && a->height == b->height &&
           equal_numbers(a->has_rate, a->rate_n, a->rate_d, b->has_rate, b->rate_n, b->rate_d) &&
           equal_numbers(a->has_aspect, a->aspect_n, a->aspect_d, b->has_aspect, b->aspect_n, b->aspect_d) &&
           equal_numbers(a->has_chroma_site, a->chroma_site, 0, b->has_chroma_site, b->chroma_site, 0) &&
           equal_colour(a, b) && equal_mastering(a, b) && equal_content_light(a, b);
}

const char *
m2t_video_info_problem(const M2tVideoInfo *info)
{
    if (info->width < M2T_SIZE_MIN || info->width > M2T_SIZE_MAX)
        return "width is not " G_STRINGIFY(M2T_SIZE_MIN) "..." G_STRINGIFY(M2T_SIZE_MAX);
    if (info->height < M2T_SIZE_MIN || info->height > M2T_SIZE_MAX)
        return "height is not " G_STRINGIFY(M2T_SIZE_MIN) "..." G_STRINGIFY(M2T_SIZE_MAX);
    if (info->has_rate && (info->rate_n > G_MAXINT32 || info->rate_d < 1 || info->rate_d > G_MAXINT32))
        return "frame rate is not 0...2147483647 / 1...2147483647";
    if (info->has_aspect && (info->aspect_n < 1 || info->aspect_n > G_MAXINT32 || info->aspect_d < 1 || info->aspect_d > G_MAXINT32))
        return "pixel aspect is not 1...2147483647 : 1...2147483647";
    if (info->has_colour && info->colour.range > 2)
        return "colour range is not 0...2";
    if (info->has_chroma_site && info->chroma_site > 15)
        return "chroma site is not 0...15";
    return NULL;
}
