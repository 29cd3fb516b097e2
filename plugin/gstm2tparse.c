/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* m2tparse: coded video in any form in, one frame per buffer out in the form that downstream takes.
 *
 * From a byte stream the units are cut out; framed input already comes one frame to a buffer. Either way the headers of each frame
 * are read, caps follow the sequence header, and key frames are told from others. Where input and output have the same form the
 * payload is not copied.
 *
 * A file that can be read anywhere is indexed before its first frame goes out, or as much of it as is read in no time; the first seek
 * waits for the rest, and plays on to its place where even that would take too long. So the duration is known, and the base class finds the
 * key frame that a seek has to begin with. */
/**
 * SECTION:element-m2tparse
 * @title: m2tparse
 * @see_also: m2tenc, m2tdec
 *
 * Parses M2T video and converts between its byte-stream form (.m2tv files) and its framed form (containers).
 *
 * A byte stream has no times. Its frames are counted at the rate in its header, or, where that is variable or not stated, at 25 frames a
 * second: video whose rate varies belongs into a container.
 *
 * ## Example pipelines
 * |[
 * gst-launch-1.0 filesrc location=test.m2tv ! m2tparse ! m2tdec ! videoconvert ! autovideosink
 * gst-launch-1.0 -e filesrc location=test.m2tv ! m2tparse ! mp4mux ! filesink location=test.mp4
 * ]|
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstm2tindex.h"
#include "gstm2tparse.h"
#include "gstm2tvideo.h"

GST_DEBUG_CATEGORY_STATIC(gst_m2t_parse_debug);
#define GST_CAT_DEFAULT gst_m2t_parse_debug

#define LOOK_AGAIN 65536 /* bytes between two looks at a unit that is not all there, at least */
#define INDEX_AT_START (G_TIME_SPAN_SECOND / 4)
#define INDEX_AT_SEEK (10 * G_TIME_SPAN_SECOND)

struct _GstM2tParse {
    GstBaseParse parent;

    GstCaps *input_caps; /* NULL: a byte stream that nobody described */
    gboolean framed;     /* the input is */
    gboolean byte_stream; /* the output is */
    gboolean magic_owed; /* the output byte stream has not begun yet */
    gboolean tags_owed;

    gboolean caps_stale; /* the output caps do not follow @input_caps yet */
    gboolean has_header; /* @header is that of the output caps */
    M2tVideoInfo header;
    GByteArray *packet;  /* from a byte stream: the last frame, unescaped */

    GMutex index_lock;  /* a seek comes from any thread */
    GstM2tIndex *index; /* NULL: no frame has come, or the input is no file */
    guint indexed;      /* key frames that the base class has been told of */
    gboolean index_owed, index_complete;
    GstClockTime duration; /* by the index */
};

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS("video/x-m2t; " GST_M2T_FOURCC_NAME "; " GST_M2T_PART_CAPS));

static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS,
                            GST_STATIC_CAPS("video/x-m2t, parsed = (boolean) true, "
                                            "stream-format = (string) { framed, byte-stream }, "
                                            "alignment = (string) frame; " GST_M2T_PART_CAPS));

#define gst_m2t_parse_parent_class parent_class
G_DEFINE_TYPE_WITH_CODE(GstM2tParse, gst_m2t_parse, GST_TYPE_BASE_PARSE,
                        GST_DEBUG_CATEGORY_INIT(gst_m2t_parse_debug, "m2tparse", 0, "M2T parser"))
GST_ELEMENT_REGISTER_DEFINE(m2tparse, "m2tparse", GST_RANK_PRIMARY + 1, GST_TYPE_M2T_PARSE)

/* --- start, stop, input --- */

static void
gst_m2t_parse_expect(GstM2tParse *self, gsize size)
{
    gst_base_parse_set_min_frame_size(GST_BASE_PARSE(self), (guint) size);
}

static void
gst_m2t_parse_set_framed(GstM2tParse *self, gboolean framed)
{
    self->framed = framed;
    gst_m2t_parse_expect(self, framed ? 1 : M2T_STREAM_UNIT_HEADER_SIZE);
}

static gboolean
gst_m2t_parse_start(GstBaseParse *parse)
{
    GstM2tParse *self = GST_M2T_PARSE(parse);

    self->magic_owed = TRUE;
    self->tags_owed = TRUE;
    self->has_header = FALSE;
    self->caps_stale = TRUE;
    self->indexed = 0;
    self->index_owed = TRUE;
    self->index_complete = FALSE;
    self->duration = GST_CLOCK_TIME_NONE;
    gst_m2t_parse_set_framed(self, FALSE);
    return TRUE;
}

static gboolean
gst_m2t_parse_stop(GstBaseParse *parse)
{
    GstM2tParse *self = GST_M2T_PARSE(parse);

    g_mutex_lock(&self->index_lock);
    g_clear_pointer(&self->index, gst_m2t_index_free);
    g_mutex_unlock(&self->index_lock);
    gst_clear_caps(&self->input_caps);
    g_byte_array_set_size(self->packet, 0);
    return TRUE;
}

static gboolean
gst_m2t_parse_set_sink_caps(GstBaseParse *parse, GstCaps *caps)
{
    GstM2tParse *self = GST_M2T_PARSE(parse);
    const GstStructure *s = gst_caps_get_structure(caps, 0);
    const char *form = gst_structure_get_string(s, "stream-format");

    gst_m2t_parse_set_framed(self, !gst_structure_has_name(s, GST_M2T_CAPS_NAME) || g_strcmp0(form, "framed") == 0);
    gst_caps_replace(&self->input_caps, caps);
    self->caps_stale = TRUE;
    return TRUE;
}

/* What downstream limits beside the form, which is ours to convert. What our own caps are now limits nothing. */
static GstCaps *
gst_m2t_parse_get_sink_caps(GstBaseParse *parse, GstCaps *filter)
{
    g_autoptr(GstCaps) mine = gst_pad_get_pad_template_caps(GST_BASE_PARSE_SINK_PAD(parse));
    g_autoptr(GstCaps) ours = gst_pad_get_pad_template_caps(GST_BASE_PARSE_SRC_PAD(parse));
    g_autoptr(GstCaps) wanted = gst_pad_peer_query_caps(GST_BASE_PARSE_SRC_PAD(parse), ours);
    g_autoptr(GstCaps) accepted = gst_caps_new_empty();
    GstCaps *result;

    for (guint i = 0; i < gst_caps_get_size(wanted); i++) {
        g_autoptr(GstStructure) limits = gst_structure_copy(gst_caps_get_structure(wanted, i));

        gst_structure_remove_fields(limits, "parsed", "stream-format", "alignment", "format", NULL);
        for (guint form = 0; form < gst_caps_get_size(mine); form++) {
            GstStructure *in = gst_structure_copy(limits);

            gst_structure_set_name(in, gst_structure_get_name(gst_caps_get_structure(mine, form)));
            accepted = gst_caps_merge_structure(accepted, in);
        }
    }
    result = gst_caps_intersect_full(mine, accepted, GST_CAPS_INTERSECT_FIRST);
    if (filter != NULL) {
        GstCaps *filtered = gst_caps_intersect_full(filter, result, GST_CAPS_INTERSECT_FIRST);

        gst_caps_unref(result);
        result = filtered;
    }
    return result;
}

/* --- output caps --- */

/* Whether upstream says when frames are; a byte stream does not, and its frames are counted. */
static gboolean
gst_m2t_parse_has_times(GstM2tParse *self)
{
    g_autoptr(GstEvent) event = gst_pad_get_sticky_event(GST_BASE_PARSE_SINK_PAD(self), GST_EVENT_SEGMENT, 0);
    const GstSegment *segment;

    if (event == NULL)
        return FALSE;
    gst_event_parse_segment(event, &segment);
    return segment->format == GST_FORMAT_TIME;
}

static void
gst_m2t_parse_set_rate(GstM2tParse *self, const M2tVideoInfo *info)
{
    gboolean known = info->has_rate && info->rate_n > 0;

    if (known)
        gst_base_parse_set_frame_rate(GST_BASE_PARSE(self), info->rate_n, info->rate_d, 0, 0);
    else if (gst_m2t_parse_has_times(self))
        gst_base_parse_set_frame_rate(GST_BASE_PARSE(self), 0, 0, 0, 0);
    else
        gst_base_parse_set_frame_rate(GST_BASE_PARSE(self), GST_M2T_RATE_ASSUMED, 1, 0, 0);
}

static gboolean
gst_m2t_parse_set_output_caps(GstM2tParse *self, const M2tVideoInfo *header)
{
    GstBaseParse *parse = GST_BASE_PARSE(self);
    g_autoptr(GstCaps) caps = gst_m2t_output_caps(GST_BASE_PARSE_SRC_PAD(parse), &self->byte_stream);
    M2tVideoInfo info = *header;

    if (self->input_caps != NULL)
        gst_m2t_info_overlay(&info, self->input_caps);
    gst_m2t_info_add_to_caps(&info, caps);
    if (gst_structure_has_name(gst_caps_get_structure(caps, 0), GST_M2T_CAPS_NAME)) {
        const char *profile = self->input_caps != NULL
            ? gst_structure_get_string(gst_caps_get_structure(self->input_caps, 0), "profile")
            : NULL;

        gst_caps_set_simple(caps, "parsed", G_TYPE_BOOLEAN, TRUE, NULL);
        if (profile != NULL)
            gst_caps_set_simple(caps, "profile", G_TYPE_STRING, profile, NULL);
    }
    gst_m2t_parse_set_rate(self, &info);
    GST_INFO_OBJECT(self, "%s to %" GST_PTR_FORMAT, self->framed ? "framed" : "byte stream", caps);
    return gst_pad_set_caps(GST_BASE_PARSE_SRC_PAD(parse), caps);
}

static GstFlowReturn
gst_m2t_parse_follow_header(GstM2tParse *self, const M2tVideoInfo *header)
{
    GstPad *srcpad = GST_BASE_PARSE_SRC_PAD(self);
    gboolean reconfigure = gst_pad_check_reconfigure(srcpad);

    if (self->has_header && !self->caps_stale && !reconfigure && m2t_video_info_equal(header, &self->header))
        return GST_FLOW_OK;
    self->header = *header;
    self->has_header = TRUE;
    self->caps_stale = !gst_m2t_parse_set_output_caps(self, header);
    if (!self->caps_stale)
        return GST_FLOW_OK;
    gst_pad_mark_reconfigure(srcpad);
    return GST_PAD_IS_FLUSHING(srcpad) ? GST_FLOW_FLUSHING : GST_FLOW_NOT_NEGOTIATED;
}

/* --- the index of a file --- */

/* Whether any place can be read at once; a source in a network would have to fetch all of the file. */
static gboolean
gst_m2t_parse_is_file(GstM2tParse *self)
{
    GstPad *sinkpad = GST_BASE_PARSE_SINK_PAD(self);
    g_autoptr(GstQuery) query = gst_query_new_scheduling();
    GstSchedulingFlags flags;

    if (self->framed || GST_PAD_MODE(sinkpad) != GST_PAD_MODE_PULL || !gst_pad_peer_query(sinkpad, query))
        return FALSE;
    gst_query_parse_scheduling(query, &flags, NULL, NULL, NULL);
    return !(flags & (GST_SCHEDULING_FLAG_SEQUENTIAL | GST_SCHEDULING_FLAG_BANDWIDTH_LIMITED));
}

/* Reads on in the index, and tells the base class of new key frames. Under the lock. */
static void
gst_m2t_parse_read_index(GstM2tParse *self, gint64 time)
{
    const GstM2tKey *keys;
    guint count;

    self->index_complete = gst_m2t_index_read(self->index, time);
    self->duration = gst_m2t_index_duration(self->index);
    keys = gst_m2t_index_keys(self->index, &count);
    for (; self->indexed < count; self->indexed++)
        gst_base_parse_add_index_entry(GST_BASE_PARSE(self), keys[self->indexed].offset, keys[self->indexed].time, TRUE, TRUE);
    GST_INFO_OBJECT(self, "%u key frames, %" GST_TIME_FORMAT "%s", count, GST_TIME_ARGS(self->duration), self->index_complete ? "" : ", so far");
}

/* Not under the lock: this posts a message, and whoever gets it may seek. */
static void
gst_m2t_parse_announce_duration(GstM2tParse *self)
{
    GstClockTime duration;

    g_mutex_lock(&self->index_lock);
    duration = self->duration;
    g_mutex_unlock(&self->index_lock);
    if (GST_CLOCK_TIME_IS_VALID(duration))
        gst_base_parse_set_duration(GST_BASE_PARSE(self), GST_FORMAT_TIME, (gint64) duration, 0);
}

static void
gst_m2t_parse_begin_index(GstM2tParse *self)
{
    self->index_owed = FALSE;
    if (!gst_m2t_parse_is_file(self))
        return;
    g_mutex_lock(&self->index_lock);
    self->index = gst_m2t_index_new(GST_BASE_PARSE_SINK_PAD(self), self->input_caps);
    gst_m2t_parse_read_index(self, INDEX_AT_START);
    g_mutex_unlock(&self->index_lock);
    gst_m2t_parse_announce_duration(self);
}

/* Backwards, playback begins at the stop, which the base class has to be told; nor does it know where the end is. */
static void
gst_m2t_parse_find_stop(GstM2tParse *self, gdouble rate, GstSeekType *type, gint64 *stop)
{
    gboolean open = *type == GST_SEEK_TYPE_NONE || (*type == GST_SEEK_TYPE_SET && *stop < 0);

    if (*type == GST_SEEK_TYPE_END)
        *stop = MAX((gint64) self->duration + *stop, 0);
    else if (rate < 0.0 && open)
        *stop = (gint64) self->duration;
    else
        return;
    *type = GST_SEEK_TYPE_SET;
}

/* The base class goes by its index only if it is asked to be accurate; else it guesses from the bit rate, and times are not those of the
 * frames. It does not move the start to the key frame either. */
static GstEvent *
gst_m2t_parse_refine_seek(GstM2tParse *self, GstEvent *event)
{
    GstSeekType start_type, stop_type;
    gint64 start, stop;
    const GstM2tKey *key;
    GstClockTime interval;
    GstSeekFlags flags;
    GstFormat format;
    GstEvent *refined;
    gdouble rate;

    gst_event_parse_seek(event, &rate, &format, &flags, &start_type, &start, &stop_type, &stop);
    if (format != GST_FORMAT_TIME || start_type != GST_SEEK_TYPE_SET || start < 0 || (flags & GST_SEEK_FLAG_INSTANT_RATE_CHANGE))
        return event;
    if (self->index_complete && GST_CLOCK_TIME_IS_VALID(self->duration))
        gst_m2t_parse_find_stop(self, rate, &stop_type, &stop);
    if ((flags & GST_SEEK_FLAG_KEY_UNIT) && rate > 0.0) {
        key = gst_m2t_index_find(self->index, (GstClockTime) start, flags);
        if (key != NULL && stop_type == GST_SEEK_TYPE_SET && stop >= 0 && key->time > (GstClockTime) stop)
            key = gst_m2t_index_find(self->index, (GstClockTime) start, GST_SEEK_FLAG_SNAP_BEFORE);
        start = key != NULL ? (gint64) key->time : start;
    }
    refined = gst_event_new_seek(rate, format, flags | GST_SEEK_FLAG_ACCURATE, start_type, start, stop_type, stop);
    gst_event_parse_seek_trickmode_interval(event, &interval);
    gst_event_set_seek_trickmode_interval(refined, interval);
    gst_event_set_seqnum(refined, gst_event_get_seqnum(event));
    gst_event_unref(event);
    return refined;
}

static gboolean
gst_m2t_parse_src_event(GstBaseParse *parse, GstEvent *event)
{
    GstM2tParse *self = GST_M2T_PARSE(parse);
    gboolean read = FALSE;

    if (GST_EVENT_TYPE(event) == GST_EVENT_SEEK) {
        g_mutex_lock(&self->index_lock);
        read = self->index != NULL && !self->index_complete;
        if (read)
            gst_m2t_parse_read_index(self, INDEX_AT_SEEK);
        if (self->index != NULL)
            event = gst_m2t_parse_refine_seek(self, event);
        g_mutex_unlock(&self->index_lock);
    }
    if (read)
        gst_m2t_parse_announce_duration(self);
    return GST_BASE_PARSE_CLASS(parent_class)->src_event(parse, event);
}

/* --- frames --- */

static gboolean
gst_m2t_parse_read_info(GstM2tParse *self, const void *packet, gsize size, M2tFrameInfo *info)
{
    g_autoptr(GError) error = NULL;

    if (!m2t_frame_info_read(packet, size, info, &error)) {
        GST_WARNING_OBJECT(self, "frame skipped: %s", error->message);
        return FALSE;
    }
    if (!info->key && !self->has_header) {
        GST_DEBUG_OBJECT(self, "frame skipped: no key frame has come yet");
        return FALSE;
    }
    return TRUE;
}

/* Returns: size of the unit at the start of the data, now in self->packet; or 0, with @skip bytes to be dropped. */
static gsize
gst_m2t_parse_find_unit(GstM2tParse *self, const GstMapInfo *map, gint *skip)
{
    gsize garbage, size, there;

    /* Each look starts over: not after every few bytes of a large unit, nor as often as its size would have it. Nor is a damaged length
     * believed for too long. */
    if (m2t_stream_find(map->data, map->size, &garbage, &size) == M2T_STREAM_MORE) {
        there = map->size - garbage;
        *skip = (gint) (GST_BASE_PARSE_DRAINING(self) ? map->size : garbage);
        gst_m2t_parse_expect(self, MIN(size, there + MAX(LOOK_AGAIN, there / 2)));
        return 0;
    }
    if (garbage > 0) {
        *skip = (gint) garbage;
        return 0;
    }
    gst_m2t_parse_expect(self, M2T_STREAM_UNIT_HEADER_SIZE);
    g_byte_array_set_size(self->packet, 0);
    m2t_stream_unescape(self->packet, map->data, size);
    return size;
}

/* Returns: how many bytes the next frame takes up; or 0, with @skip bytes to be dropped (0: more are needed). */
static gsize
gst_m2t_parse_next(GstM2tParse *self, const GstMapInfo *map, M2tFrameInfo *info, gint *skip)
{
    gsize size = map->size;
    gboolean ok;

    if (self->framed) {
        ok = gst_m2t_parse_read_info(self, map->data, map->size, info);
    } else {
        size = gst_m2t_parse_find_unit(self, map, skip);
        if (size == 0)
            return 0;
        ok = gst_m2t_parse_read_info(self, self->packet->data, self->packet->len, info);
    }
    if (!ok)
        *skip = (gint) size;
    return ok ? size : 0;
}

/* With intra refresh only the first frame is whole at once, and one who comes late starts with one that is not. */
static gboolean
gst_m2t_parse_is_sync_point(GstM2tParse *self, GstBuffer *buffer, const M2tFrameInfo *info)
{
    gboolean first = GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DISCONT) && GST_BASE_PARSE(self)->segment.rate > 0.0;

    return info->key && (!info->inter || first);
}

static GstFlowReturn
gst_m2t_parse_handle_frame(GstBaseParse *parse, GstBaseParseFrame *frame, gint *skip)
{
    GstM2tParse *self = GST_M2T_PARSE(parse);
    GstFlowReturn ret;
    M2tFrameInfo info;
    GstMapInfo map;
    gsize size;

    if (!gst_buffer_map(frame->buffer, &map, GST_MAP_READ))
        return GST_FLOW_ERROR;
    size = gst_m2t_parse_next(self, &map, &info, skip);
    gst_buffer_unmap(frame->buffer, &map);
    if (size == 0)
        return GST_FLOW_OK;

    if (info.key) {
        ret = gst_m2t_parse_follow_header(self, &info.video);
        if (ret != GST_FLOW_OK)
            return ret;
        if (!gst_m2t_parse_has_times(self)) /* the base class has set that of the rate before */
            GST_BUFFER_DURATION(frame->buffer) = gst_m2t_info_frame_time(&info.video);
    }
    if (gst_m2t_parse_is_sync_point(self, frame->buffer, &info))
        GST_BUFFER_FLAG_UNSET(frame->buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    else
        GST_BUFFER_FLAG_SET(frame->buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    GST_BUFFER_FLAG_SET(frame->buffer, GST_BUFFER_FLAG_MARKER);
    if (self->index_owed)
        gst_m2t_parse_begin_index(self);
    return gst_base_parse_finish_frame(parse, frame, (gint) size);
}

/* --- output --- */

static void
gst_m2t_parse_send_tags(GstM2tParse *self)
{
    GstTagList *tags = gst_tag_list_new(GST_TAG_VIDEO_CODEC, GST_M2T_CODEC_TAG, NULL);

    gst_base_parse_merge_tags(GST_BASE_PARSE(self), tags, GST_TAG_MERGE_REPLACE);
    gst_tag_list_unref(tags);
    self->tags_owed = FALSE;
}

static GstBuffer *
gst_m2t_parse_take_packet(GstM2tParse *self)
{
    GBytes *bytes = g_byte_array_free_to_bytes(self->packet);
    GstBuffer *buffer = gst_buffer_new_wrapped_bytes(bytes);

    g_bytes_unref(bytes);
    self->packet = g_byte_array_new();
    return buffer;
}

/* @in: a packet if the input is framed, else a unit. FALSE if it cannot be read, or fits no unit. */
static gboolean
gst_m2t_parse_append_unit(GstM2tParse *self, GByteArray *unit, GstBuffer *in)
{
    gboolean fits = TRUE;
    GstMapInfo map;

    if (!gst_buffer_map(in, &map, GST_MAP_READ)) {
        GST_ELEMENT_WARNING(self, RESOURCE, READ, ("A frame is left out."), ("its memory cannot be read"));
        return FALSE;
    }
    if (self->framed)
        fits = m2t_stream_append(unit, map.data, map.size);
    else
        g_byte_array_append(unit, map.data, (guint) map.size);
    if (!fits)
        GST_ELEMENT_WARNING(self, STREAM, FORMAT, ("A frame is left out."),
                            ("%" G_GSIZE_FORMAT " bytes, of which a byte stream takes %u at most", map.size, M2T_STREAM_PACKET_MAX));
    gst_buffer_unmap(in, &map);
    return fits;
}

/* Returns: NULL if @in is to be left out. */
static GstBuffer *
gst_m2t_parse_make_unit(GstM2tParse *self, GstBuffer *in)
{
    GByteArray *unit = g_byte_array_new();
    GstBuffer *out;
    GBytes *bytes;

    if (self->magic_owed)
        g_byte_array_append(unit, m2t_stream_magic(), M2T_STREAM_MAGIC_SIZE);
    if (!gst_m2t_parse_append_unit(self, unit, in)) {
        g_byte_array_unref(unit);
        return NULL;
    }
    self->magic_owed = FALSE;
    bytes = g_byte_array_free_to_bytes(unit);
    out = gst_buffer_new_wrapped_bytes(bytes);
    g_bytes_unref(bytes);
    return out;
}

/* The base class has set times and flags by now; a conversion takes them over. */
static GstFlowReturn
gst_m2t_parse_pre_push_frame(GstBaseParse *parse, GstBaseParseFrame *frame)
{
    GstM2tParse *self = GST_M2T_PARSE(parse);
    GstBuffer *in = frame->buffer;
    gboolean same = self->framed != self->byte_stream && !(self->byte_stream && self->magic_owed);

    frame->flags |= GST_BASE_PARSE_FRAME_FLAG_CLIP;
    if (self->tags_owed)
        gst_m2t_parse_send_tags(self);
    if (same)
        return GST_FLOW_OK;

    frame->out_buffer = self->byte_stream ? gst_m2t_parse_make_unit(self, in) : gst_m2t_parse_take_packet(self);
    if (frame->out_buffer == NULL)
        return GST_BASE_PARSE_FLOW_DROPPED;
    gst_buffer_copy_into(frame->out_buffer, in, GST_BUFFER_COPY_METADATA, 0, -1);
    return GST_FLOW_OK;
}

static void
gst_m2t_parse_finalize(GObject *object)
{
    g_byte_array_unref(GST_M2T_PARSE(object)->packet);
    g_mutex_clear(&GST_M2T_PARSE(object)->index_lock);
    G_OBJECT_CLASS(parent_class)->finalize(object);
}

static void
gst_m2t_parse_class_init(GstM2tParseClass *class)
{
    GstElementClass *element_class = GST_ELEMENT_CLASS(class);
    GstBaseParseClass *parse_class = GST_BASE_PARSE_CLASS(class);

    G_OBJECT_CLASS(class)->finalize = gst_m2t_parse_finalize;
    gst_element_class_add_static_pad_template(element_class, &sink_template);
    gst_element_class_add_static_pad_template(element_class, &src_template);
    gst_element_class_set_static_metadata(element_class, "M2T video parser", "Codec/Parser/Converter/Video",
                                          "Parses video of the M2T learned codec and converts between its forms",
                                          "The libm2t developers");

    parse_class->start = GST_DEBUG_FUNCPTR(gst_m2t_parse_start);
    parse_class->stop = GST_DEBUG_FUNCPTR(gst_m2t_parse_stop);
    parse_class->set_sink_caps = GST_DEBUG_FUNCPTR(gst_m2t_parse_set_sink_caps);
    parse_class->get_sink_caps = GST_DEBUG_FUNCPTR(gst_m2t_parse_get_sink_caps);
    parse_class->handle_frame = GST_DEBUG_FUNCPTR(gst_m2t_parse_handle_frame);
    parse_class->src_event = GST_DEBUG_FUNCPTR(gst_m2t_parse_src_event);
    parse_class->pre_push_frame = GST_DEBUG_FUNCPTR(gst_m2t_parse_pre_push_frame);
}

static void
gst_m2t_parse_init(GstM2tParse *self)
{
    GstPad *sinkpad = GST_BASE_PARSE_SINK_PAD(self);

    self->packet = g_byte_array_new();
    g_mutex_init(&self->index_lock);
    gst_base_parse_set_syncable(GST_BASE_PARSE(self), TRUE);
    GST_PAD_SET_ACCEPT_INTERSECT(sinkpad);
    GST_PAD_SET_ACCEPT_TEMPLATE(sinkpad);
}
