/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Recognizes .m2tv files by their magic, and byte streams that were cut somewhere in the middle by a unit that ends where the
 * next one starts, or the file ends. Reads 4 KiB, and four bytes at that place. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <string.h>

#include "gstm2ttypefind.h"
#include "gstm2tvideo.h"

GST_DEBUG_CATEGORY_STATIC(gst_m2t_type_find_debug);
#define GST_CAT_DEFAULT gst_m2t_type_find_debug

#define PEEK_MAX 4096
#define PEEK_MIN 16
#define MAGIC_VERSION_AT 4
#define SYNC_SIZE 4 /* what all units begin with */

/* The magic, of whatever version. */
static gboolean
gst_m2t_is_magic(const guint8 *data)
{
    guint8 magic[M2T_STREAM_MAGIC_SIZE];

    memcpy(magic, m2t_stream_magic(), sizeof magic);
    magic[MAGIC_VERSION_AT] = data[MAGIC_VERSION_AT];
    return memcmp(data, magic, sizeof magic) == 0;
}

static gboolean
gst_m2t_is_known_version(guint8 version)
{
    return version > 0 && version <= m2t_stream_magic()[MAGIC_VERSION_AT];
}

/* As much of the start as there is, up to PEEK_MAX. */
static const guint8 *
gst_m2t_peek_start(GstTypeFind *find, guint *size)
{
    const guint8 *data;

    for (*size = PEEK_MAX; *size >= PEEK_MIN; *size /= 2) {
        data = gst_type_find_peek(find, 0, *size);
        if (data != NULL)
            return data;
    }
    return NULL;
}

static gboolean
gst_m2t_has_unit(GstTypeFind *find, const guint8 *start, guint size)
{
    const guint8 *next;
    gsize at, unit_size;

    m2t_stream_find(start, size, &at, &unit_size);
    if (at + M2T_STREAM_UNIT_HEADER_SIZE > size)
        return FALSE;
    if (at + unit_size == gst_type_find_get_length(find))
        return TRUE;
    next = gst_type_find_peek(find, (gint64) (at + unit_size), SYNC_SIZE);
    return next != NULL && memcmp(next, start + at, SYNC_SIZE) == 0;
}

static void
gst_m2t_type_find(GstTypeFind *find, gpointer user_data)
{
    GstTypeFindProbability probability = GST_TYPE_FIND_NONE;
    guint size;
    const guint8 *start = gst_m2t_peek_start(find, &size);

    if (start == NULL)
        return;
    if (gst_m2t_is_magic(start))
        probability = gst_m2t_is_known_version(start[MAGIC_VERSION_AT]) ? GST_TYPE_FIND_MAXIMUM : GST_TYPE_FIND_NONE;
    else if (gst_m2t_has_unit(find, start, size))
        probability = GST_TYPE_FIND_LIKELY;

    if (probability != GST_TYPE_FIND_NONE) {
        GST_DEBUG("probability %u", probability);
        gst_type_find_suggest_simple(find, probability, GST_M2T_CAPS_NAME, "stream-format", G_TYPE_STRING, "byte-stream", NULL);
    }
}

static gboolean
gst_m2t_type_find_register(GstPlugin *plugin)
{
    g_autoptr(GstCaps) caps =
        gst_caps_new_simple(GST_M2T_CAPS_NAME, "stream-format", G_TYPE_STRING, "byte-stream", NULL);

    GST_DEBUG_CATEGORY_INIT(gst_m2t_type_find_debug, "m2ttypefind", 0, "M2T type finder");
    return gst_type_find_register(plugin, GST_M2T_CAPS_NAME, GST_RANK_PRIMARY, gst_m2t_type_find, "m2tv", caps, NULL, NULL);
}

GST_TYPE_FIND_REGISTER_DEFINE_CUSTOM(m2t, gst_m2t_type_find_register)
