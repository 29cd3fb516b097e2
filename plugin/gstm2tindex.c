/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A byte stream has no times and no table of key frames. Both come from counting its frames, for which their headers suffice: the index
 * goes from unit to unit by the lengths that they state. What is read is a window of the file, as a rule from where the one before ended;
 * only frames larger than that are passed over.
 *
 * It counts what m2tparse will push, because the times are to agree: a unit whose length is true, with a frame header that is. Where the
 * next unit is not at the stated place, it is searched for byte by byte, as m2t_stream_find() does. However damaged a file is, no byte is
 * looked at more than a few times, and the number of entries is limited. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <string.h>

#include "gstm2tindex.h"
#include "gstm2tvideo.h"

#define WINDOW 65536
#define FRAME_MIN 12    /* a header, and a slice of one byte */
#define HEADER_MAX 1024 /* more bytes than a frame header can have, escaped */
#define SEQUENCE_MAX 128
#define KEYS_MAX 16384

static const guint8 sync_word[] = {0x00, 0x00, 0x02, 0x4d};

struct _GstM2tIndex {
    GstPad *sinkpad;
    GstCaps *caps;
    guint64 size; /* of the file */
    gboolean complete;

    /* The window. */
    GstBuffer *buffer; /* NULL: none */
    GstMapInfo map;
    guint64 begin;

    guint64 at;                    /* all units before have been counted */
    GstClockTime time, frame_time; /* of the next frame; from the last sequence header */
    guint8 sequence[SEQUENCE_MAX]; /* with its length */
    gboolean has_sequence;
    GByteArray *packet;
    GArray *keys;
};

GstM2tIndex *
gst_m2t_index_new(GstPad *sinkpad, GstCaps *caps)
{
    GstM2tIndex *self = g_new0(GstM2tIndex, 1);
    gint64 size = 0;

    self->sinkpad = gst_object_ref(sinkpad);
    gst_caps_replace(&self->caps, caps);
    gst_pad_peer_query_duration(sinkpad, GST_FORMAT_BYTES, &size);
    self->size = (guint64) MAX(size, 0);
    self->packet = g_byte_array_new();
    self->keys = g_array_new(FALSE, FALSE, sizeof(GstM2tKey));
    return self;
}

static void
close_window(GstM2tIndex *self)
{
    if (self->buffer == NULL)
        return;
    gst_buffer_unmap(self->buffer, &self->map);
    gst_clear_buffer(&self->buffer);
}

void
gst_m2t_index_free(GstM2tIndex *self)
{
    if (self == NULL)
        return;
    close_window(self);
    g_array_unref(self->keys);
    g_byte_array_unref(self->packet);
    gst_clear_caps(&self->caps);
    gst_object_unref(self->sinkpad);
    g_free(self);
}

/* --- reading --- */

static gboolean
open_window(GstM2tIndex *self, guint64 from, gsize size)
{
    close_window(self);
    if (gst_pad_pull_range(self->sinkpad, from, (guint) MIN(size, self->size - from), &self->buffer) != GST_FLOW_OK) {
        self->buffer = NULL;
        return FALSE;
    }
    if (!gst_buffer_map(self->buffer, &self->map, GST_MAP_READ)) {
        gst_clear_buffer(&self->buffer);
        return FALSE;
    }
    self->begin = from;
    return TRUE;
}

/* What the file has from @at on: @wanted bytes, more if they are there already, or fewer at its end. NULL if that is none, or it cannot be read. */
static const guint8 *
look(GstM2tIndex *self, guint64 at, gsize wanted, gsize *size)
{
    guint64 end = self->buffer != NULL ? self->begin + self->map.size : 0;

    if (at >= self->size)
        return NULL;
    if (self->buffer == NULL || at < self->begin || MIN(at + wanted, self->size) > end) {
        gboolean near = self->buffer != NULL && at >= end && at - end < WINDOW;
        guint64 from = near ? end : at;

        if (!open_window(self, from, (gsize) (at - from) + MAX(wanted, WINDOW)) || at >= from + self->map.size)
            return NULL;
    }
    *size = (gsize) (self->begin + self->map.size - at);
    return self->map.data + (at - self->begin);
}

static gboolean
is_sync(GstM2tIndex *self, guint64 at)
{
    gsize size;
    const guint8 *data = look(self, at, sizeof sync_word, &size);

    return data != NULL && size >= sizeof sync_word && memcmp(data, sync_word, sizeof sync_word) == 0;
}

/* Where the first sync word from @at on is, or the end of the file. */
static guint64
find_sync(GstM2tIndex *self, guint64 at)
{
    const guint8 *data, *last;
    gsize size;

    while ((data = look(self, at, sizeof sync_word, &size)) != NULL && size >= sizeof sync_word) {
        const guint8 *from = data + sizeof sync_word - 1;

        while ((last = memchr(from, sync_word[sizeof sync_word - 1], (gsize) (data + size - from))) != NULL) {
            if (memcmp(last - (sizeof sync_word - 1), sync_word, sizeof sync_word) == 0)
                return at + (guint64) (last - data) - (sizeof sync_word - 1);
            from = last + 1;
        }
        at += size - (sizeof sync_word - 1);
    }
    return self->size;
}

/* --- counting --- */

/* The unescaped form of the first @size bytes of the unit. */
static gboolean
read_packet(GstM2tIndex *self, gsize size)
{
    gsize there;
    const guint8 *unit = look(self, self->at, size, &there);

    g_byte_array_set_size(self->packet, 0);
    if (unit == NULL || there < size)
        return FALSE;
    m2t_stream_unescape(self->packet, unit, size);
    return TRUE;
}

/* Escaping makes three bytes of two at most. */
static gboolean
is_body_of(const M2tFrameLayout *layout, gsize body)
{
    return body >= layout->size && body <= layout->size + layout->size / 2;
}

/* Key frames repeat the sequence header. Only one that is new is worth reading the whole of its frame. */
static gboolean
follow_sequence(GstM2tIndex *self, gsize unit_size)
{
    const guint8 *sequence = self->packet->data + 3; /* behind flags, number and q */
    gsize size = 1 + (gsize) sequence[0];
    M2tFrameInfo info;

    if (self->has_sequence && size <= SEQUENCE_MAX && memcmp(sequence, self->sequence, size) == 0)
        return TRUE;
    if (!read_packet(self, unit_size) || !m2t_frame_info_read(self->packet->data, self->packet->len, &info, NULL))
        return FALSE;
    if (self->caps != NULL)
        gst_m2t_info_overlay(&info.video, self->caps);
    self->frame_time = gst_m2t_info_frame_time(&info.video);
    self->has_sequence = size <= SEQUENCE_MAX;
    memcpy(self->sequence, self->packet->data + 3, MIN(size, SEQUENCE_MAX));
    return TRUE;
}

/* Not all of them where there are very many. */
static void
note_key(GstM2tIndex *self)
{
    const GstM2tKey key = {self->at, self->time};

    if (self->keys->len > 0 && key.offset - g_array_index(self->keys, GstM2tKey, self->keys->len - 1).offset < self->size / KEYS_MAX)
        return;
    g_array_append_val(self->keys, key);
}

static void
count_frame(GstM2tIndex *self, gsize unit_size)
{
    M2tFrameLayout layout;

    if (unit_size < M2T_STREAM_UNIT_HEADER_SIZE + FRAME_MIN)
        return;
    if (!read_packet(self, MIN(unit_size, HEADER_MAX)) || !m2t_frame_layout_read(self->packet->data, self->packet->len, &layout, NULL) ||
        !is_body_of(&layout, unit_size - M2T_STREAM_UNIT_HEADER_SIZE))
        return;
    if (layout.key ? !follow_sequence(self, unit_size) : self->frame_time == 0)
        return;
    if (self->time > (GstClockTime) G_MAXINT64 - self->frame_time)
        return;
    if (layout.key && !layout.inter)
        note_key(self);
    self->time += self->frame_time;
}

/* Counts the unit at self->at, if there is one. Returns: where to go on, or 0 if nothing can be read there. */
static guint64
step(GstM2tIndex *self)
{
    gsize size, skip, unit_size;
    const guint8 *data = look(self, self->at, M2T_STREAM_UNIT_HEADER_SIZE, &size);
    guint64 next, sync;
    M2tStreamResult result;

    if (data == NULL)
        return 0;
    result = m2t_stream_find(data, size, &skip, &unit_size);
    if (skip > 0)
        return self->at + skip;
    if (size < M2T_STREAM_UNIT_HEADER_SIZE)
        return self->size;
    next = self->at + unit_size;
    if (result == M2T_STREAM_MORE && next != self->size && !is_sync(self, next)) {
        sync = find_sync(self, self->at + M2T_STREAM_UNIT_HEADER_SIZE);
        if (sync < next || next > self->size)
            return sync;
        next = sync;
    }
    count_frame(self, unit_size);
    return next;
}

gboolean
gst_m2t_index_read(GstM2tIndex *self, gint64 time)
{
    gint64 end = g_get_monotonic_time() + time;

    while (!self->complete && g_get_monotonic_time() < end) {
        guint64 next = step(self);

        if (next == 0)
            break;
        self->at = next;
        self->complete = next >= self->size;
    }
    close_window(self);
    return self->complete;
}

/* --- what is known --- */

GstClockTime
gst_m2t_index_duration(const GstM2tIndex *self)
{
    if (self->time == 0)
        return GST_CLOCK_TIME_NONE;
    return self->complete ? self->time : gst_util_uint64_scale(self->time, self->size, self->at);
}

const GstM2tKey *
gst_m2t_index_keys(const GstM2tIndex *self, guint *count)
{
    *count = self->keys->len;
    return (const GstM2tKey *) (gpointer) self->keys->data;
}

const GstM2tKey *
gst_m2t_index_find(const GstM2tIndex *self, GstClockTime time, GstSeekFlags flags)
{
    guint count, before = 0, after;
    const GstM2tKey *keys = gst_m2t_index_keys(self, &count);
    GstSeekFlags snap = flags & GST_SEEK_FLAG_SNAP_NEAREST;

    if (count == 0)
        return NULL;
    for (guint end = count; end - before > 1;) {
        guint middle = before + (end - before) / 2;

        if (keys[middle].time <= time)
            before = middle;
        else
            end = middle;
    }
    after = keys[before].time >= time ? before : MIN(before + 1, count - 1);
    if (snap == GST_SEEK_FLAG_SNAP_AFTER ||
        (snap == GST_SEEK_FLAG_SNAP_NEAREST && keys[after].time > time && keys[after].time - time < time - keys[before].time))
        return &keys[after];
    return &keys[before];
}
