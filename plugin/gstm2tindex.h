/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the key frames of an .m2tv file are, and how long it is. */
#ifndef GST_M2T_INDEX_H
#define GST_M2T_INDEX_H

#include <gst/gst.h>

G_BEGIN_DECLS

typedef struct _GstM2tIndex GstM2tIndex;

/* A frame at which decoding can start and the picture is whole at once. */
typedef struct {
    guint64 offset; /* of its unit in the file */
    GstClockTime time;
} GstM2tKey;

/* The file is what can be pulled through @sinkpad. @caps (NULL: none) state what its headers do not. Free with gst_m2t_index_free(). */
GstM2tIndex *gst_m2t_index_new(GstPad *sinkpad, GstCaps *caps);
void gst_m2t_index_free(GstM2tIndex *index); /* NULL is allowed */

/* Goes on where it left off, for about @time microseconds at most.
 * Returns: TRUE if the file has been read to its end. */
gboolean gst_m2t_index_read(GstM2tIndex *index, gint64 time);

/* How long the file is; an estimate as long as it has not been read to its end. GST_CLOCK_TIME_NONE if there is nothing to go by. */
GstClockTime gst_m2t_index_duration(const GstM2tIndex *index);

/* The key frames that were found so far, in order. Belongs to the index, valid until it reads on. */
const GstM2tKey *gst_m2t_index_keys(const GstM2tIndex *index, guint *count);

/* Which of them to begin with for @time: the last one that is not later, as far as @flags (GST_SEEK_FLAG_SNAP_...) do not want another.
 * NULL if there is none. */
const GstM2tKey *gst_m2t_index_find(const GstM2tIndex *index, GstClockTime time, GstSeekFlags flags);

G_END_DECLS

#endif
