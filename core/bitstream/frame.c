/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The headers of a frame (docs/bitstream.md, sections 2 and 3): last station of an encoder, first of a decoder.
 *
 * A reader first walks over the outer fields to find the check, and looks at what they say only when the check is right:
 * so a flipped bit is damage (M2T_ERROR_STREAM, wait for the next key frame), and M2T_ERROR_UNSUPPORTED really means a
 * stream of a later version. The cursor fails once, remembers where, and yields zeros from then on. */
#include "bitstream/frame.h"
#include "base/limits.h"
#include "base/varint.h"
#include "bitstream/video-info.h"

#include <m2t/m2t-decoder.h>

#include <string.h>

#define SLICE_CRC_SIZE 4

enum { /* flags of a frame */
    FLAG_TYPE = 3,
    FLAG_TYPE_INTER = 1,
    FLAG_SEQUENCE = 1 << 2,
    FLAG_EXTENSION = 1 << 3,
    FLAG_LANES_SHIFT = 4,
    FLAG_EXACT = 1 << 6,
    FLAG_RESERVED = 1 << 7,
};

enum { /* format of a sequence header */
    FORMAT_SAMPLES = 3,
    FORMAT_RATE = 1 << 2,
    FORMAT_ASPECT = 1 << 3,
    FORMAT_COLOUR = 1 << 4,
    FORMAT_CHROMA_SITE = 1 << 5,
    FORMAT_MASTERING = 1 << 6,
    FORMAT_CONTENT_LIGHT = 1 << 7,
};

/* ---- writing ---- */

static void
put_u8(GByteArray *out, guint value)
{
    guint8 byte = value;

    g_byte_array_append(out, &byte, 1);
}

static void
put_u16(GByteArray *out, guint value)
{
    put_u8(out, value & 255);
    put_u8(out, value >> 8);
}

static void
put_u32(GByteArray *out, guint32 value)
{
    put_u16(out, value & 0xFFFF);
    put_u16(out, value >> 16);
}

static void
put_mastering(GByteArray *out, const M2tMastering *mastering)
{
    for (int i = 0; i < 4; i++) {
        put_u16(out, mastering->primaries[i][0]);
        put_u16(out, mastering->primaries[i][1]);
    }
    put_u32(out, mastering->max_luminance);
    put_u32(out, mastering->min_luminance);
}

static guint
format_of(const M2tVideoInfo *video)
{
    return (video->has_rate ? FORMAT_RATE : 0) | (video->has_aspect ? FORMAT_ASPECT : 0) |
           (video->has_colour ? FORMAT_COLOUR : 0) | (video->has_chroma_site ? FORMAT_CHROMA_SITE : 0) |
           (video->has_mastering ? FORMAT_MASTERING : 0) | (video->has_content_light ? FORMAT_CONTENT_LIGHT : 0);
}

static void
put_sequence(GByteArray *out, const M2tFrameHeader *header)
{
    const M2tVideoInfo *video = &header->video;

    put_u8(out, M2T_BITSTREAM_VERSION);
    g_byte_array_append(out, header->model, sizeof header->model);
    m2t_varint_write(out, video->width);
    m2t_varint_write(out, video->height);
    put_u8(out, format_of(video));
    if (video->has_rate) {
        m2t_varint_write(out, video->rate_n);
        m2t_varint_write(out, video->rate_d);
    }
    if (video->has_aspect) {
        m2t_varint_write(out, video->aspect_n);
        m2t_varint_write(out, video->aspect_d);
    }
    if (video->has_colour) {
        put_u8(out, video->colour.range);
        put_u8(out, video->colour.matrix);
        put_u8(out, video->colour.transfer);
        put_u8(out, video->colour.primaries);
    }
    if (video->has_chroma_site)
        put_u8(out, video->chroma_site);
    if (video->has_mastering)
        put_mastering(out, &video->mastering);
    if (video->has_content_light) {
        put_u16(out, video->content_light.max_content);
        put_u16(out, video->content_light.max_average);
    }
}

/* A sequence header is below 128 bytes, so that its length is one byte, which is filled in afterwards. */
static void
put_sized_sequence(GByteArray *out, const M2tFrameHeader *header)
{
    guint start = out->len;

    put_u8(out, 0);
    put_sequence(out, header);
    g_assert(out->len - start - 1 < 128);
    out->data[start] = out->len - start - 1;
}

static void
put_slices(GByteArray *out, const M2tSliceBytes *slice, guint slices)
{
    m2t_varint_write(out, slices);
    for (guint i = 0; i < slices; i++)
        m2t_varint_write(out, (guint32) slice[i].size);
}

/* Ends the header that began at @start. */
static void
put_check(GByteArray *out, guint start)
{
    put_u16(out, m2t_crc32c(out->data + start, out->len - start) & 0xFFFF);
}

void
m2t_frame_write(GByteArray *out, const M2tFrameHeader *header, const M2tSliceBytes *slice)
{
    guint start = out->len;

    g_assert(header->q <= M2T_Q_MAX && header->lanes >= 0 && header->lanes <= 2 && header->slices >= 1 && header->slices <= M2T_SLICES_MAX);
    g_assert(!header->has_sequence || m2t_video_info_problem(&header->video) == NULL);

    put_u8(out, (header->inter ? FLAG_TYPE_INTER : 0) | (header->has_sequence ? FLAG_SEQUENCE : 0) | header->lanes << FLAG_LANES_SHIFT |
                    (header->exact ? FLAG_EXACT : 0));
    put_u8(out, header->number);
    put_u8(out, header->q);
    if (header->has_sequence)
        put_sized_sequence(out, header);
    put_slices(out, slice, header->slices);
    put_check(out, start);
    for (guint i = 0; i < header->slices; i++) {
        g_assert(slice[i].size > 0 && slice[i].size <= G_MAXUINT32);
        put_u32(out, slice[i].crc);
        g_byte_array_append(out, slice[i].data, slice[i].size);
    }
}

/* ---- reading ---- */

typedef struct {
    const guint8 *at, *end;
    const char *part;  /* "frame" or "sequence header", for messages */
    GError *error;
} Cursor;

G_GNUC_PRINTF(3, 4) static void
fail(Cursor *cursor, M2tError code, const char *format, ...)
{
    va_list args;

    if (cursor->error)
        return;
    va_start(args, format);
    cursor->error = g_error_new_valist(M2T_ERROR, code, format, args);
    va_end(args);
    g_prefix_error(&cursor->error, "%s: ", cursor->part);
    cursor->at = cursor->end;
}

static void
end_too_early(Cursor *cursor, const char *field)
{
    fail(cursor, M2T_ERROR_STREAM, "%s: the data end too early", field);
}

static const guint8 *
get_bytes(Cursor *cursor, gsize size, const char *field)
{
    const guint8 *bytes = cursor->at;

    if ((gsize) (cursor->end - cursor->at) < size) {
        end_too_early(cursor, field);
        return NULL;
    }
    cursor->at += size;
    return bytes;
}

static guint8
get_u8(Cursor *cursor, const char *field)
{
    const guint8 *bytes = get_bytes(cursor, 1, field);

    return bytes ? bytes[0] : 0;
}

static guint16
get_u16(Cursor *cursor, const char *field)
{
    const guint8 *bytes = get_bytes(cursor, 2, field);

    return bytes ? bytes[0] | bytes[1] << 8 : 0;
}

static guint32
get_u32(Cursor *cursor, const char *field)
{
    guint32 low = get_u16(cursor, field);

    return low | (guint32) get_u16(cursor, field) << 16;
}

static guint32
get_varint(Cursor *cursor, const char *field)
{
    const guint8 *begin = cursor->at;
    guint32 value = 0;

    if (m2t_varint_read(&cursor->at, cursor->end, &value))
        return value;
    if (cursor->at == cursor->end && (cursor->at == begin || cursor->at[-1] >= 128))
        end_too_early(cursor, field);
    else
        fail(cursor, M2T_ERROR_STREAM, "%s: not a whole number of at most 32 bits", field);
    return 0;
}

static void
get_mastering(Cursor *cursor, M2tMastering *mastering)
{
    for (int i = 0; i < 4; i++) {
        mastering->primaries[i][0] = get_u16(cursor, "mastering display");
        mastering->primaries[i][1] = get_u16(cursor, "mastering display");
    }
    mastering->max_luminance = get_u32(cursor, "mastering display");
    mastering->min_luminance = get_u32(cursor, "mastering display");
}

static void
get_format(Cursor *cursor, M2tVideoInfo *video)
{
    guint format = get_u8(cursor, "format");

    if (format & FORMAT_SAMPLES)
        fail(cursor, M2T_ERROR_UNSUPPORTED, "format: sample format %u is not known to this version", format & FORMAT_SAMPLES);
    video->has_rate = (format & FORMAT_RATE) != 0;
    video->has_aspect = (format & FORMAT_ASPECT) != 0;
    video->has_colour = (format & FORMAT_COLOUR) != 0;
    video->has_chroma_site = (format & FORMAT_CHROMA_SITE) != 0;
    video->has_mastering = (format & FORMAT_MASTERING) != 0;
    video->has_content_light = (format & FORMAT_CONTENT_LIGHT) != 0;
}

static void
get_video(Cursor *cursor, M2tVideoInfo *video)
{
    video->width = get_varint(cursor, "width");
    video->height = get_varint(cursor, "height");
    get_format(cursor, video);
    if (video->has_rate) {
        video->rate_n = get_varint(cursor, "frame rate");
        video->rate_d = get_varint(cursor, "frame rate");
    }
    if (video->has_aspect) {
        video->aspect_n = get_varint(cursor, "pixel aspect");
        video->aspect_d = get_varint(cursor, "pixel aspect");
    }
    if (video->has_colour) {
        video->colour.range = get_u8(cursor, "colour");
        video->colour.matrix = get_u8(cursor, "colour");
        video->colour.transfer = get_u8(cursor, "colour");
        video->colour.primaries = get_u8(cursor, "colour");
    }
    if (video->has_chroma_site)
        video->chroma_site = get_u8(cursor, "chroma site");
    if (video->has_mastering)
        get_mastering(cursor, &video->mastering);
    if (video->has_content_light) {
        video->content_light.max_content = get_u16(cursor, "content light");
        video->content_light.max_average = get_u16(cursor, "content light");
    }
}

/* @bytes were covered by the check. */
static void
read_sequence(const guint8 *bytes, gsize size, M2tFrameHeader *header, GError **error)
{
    Cursor cursor = {bytes, bytes + size, "sequence header", NULL};
    guint version = get_u8(&cursor, "version");
    const guint8 *model;
    const char *problem;

    if (!cursor.error && version != M2T_BITSTREAM_VERSION)
        fail(&cursor, M2T_ERROR_UNSUPPORTED, "version %u of the bitstream, this library reads version %d", version,
             M2T_BITSTREAM_VERSION);
    model = get_bytes(&cursor, sizeof header->model, "model");
    if (model)
        memcpy(header->model, model, sizeof header->model);
    get_video(&cursor, &header->video);

    problem = m2t_video_info_problem(&header->video);
    if (problem)
        fail(&cursor, M2T_ERROR_STREAM, "%s", problem);
    if (cursor.at < cursor.end)
        fail(&cursor, M2T_ERROR_STREAM, "%" G_GSIZE_FORMAT " bytes too many", (gsize) (cursor.end - cursor.at));
    if (cursor.error)
        g_propagate_error(error, cursor.error);
}

/* The outer fields as they stand in the data. */
typedef struct {
    guint flags, number, q;
    const guint8 *sequence;
    guint32 sequence_size, slices;
    const guint8 *lengths;              /* where they begin */
    guint32 slice_size[M2T_SLICES_MAX];
} Outer;

static void
check_header(Cursor *cursor, const guint8 *start)
{
    guint expected = m2t_crc32c(start, cursor->at - start) & 0xFFFF;
    guint check = get_u16(cursor, "check");

    if (check != expected)
        fail(cursor, M2T_ERROR_STREAM, "check: the header's checksum is 0x%04x, it says 0x%04x", expected, check);
}

/* From the flags to the check. The lengths of more slices than there can be are stepped over. */
static void
read_outer_header(Cursor *cursor, Outer *outer)
{
    const guint8 *start = cursor->at;

    outer->flags = get_u8(cursor, "flags");
    outer->number = get_u8(cursor, "number");
    outer->q = get_u8(cursor, "q");
    if (outer->flags & FLAG_SEQUENCE) {
        outer->sequence_size = get_varint(cursor, "sequence");
        outer->sequence = get_bytes(cursor, outer->sequence_size, "sequence");
    }
    if (outer->flags & FLAG_EXTENSION)
        get_bytes(cursor, get_varint(cursor, "extension"), "extension");
    outer->slices = get_varint(cursor, "slices");
    outer->lengths = cursor->at;
    for (guint32 i = 0; i < outer->slices && !cursor->error; i++)
        outer->slice_size[MIN(i, M2T_SLICES_MAX - 1)] = get_varint(cursor, "length");
    check_header(cursor, start);
}

/* What this version can not decode, or no version may write. */
static void
check_outer_values(Cursor *cursor, const Outer *outer)
{
    if ((outer->flags & FLAG_TYPE) > FLAG_TYPE_INTER)
        fail(cursor, M2T_ERROR_UNSUPPORTED, "flags: frame type %u is not known to this version", outer->flags & FLAG_TYPE);
    if (outer->flags & FLAG_RESERVED)
        fail(cursor, M2T_ERROR_UNSUPPORTED, "flags: reserved bits are set");
    if ((outer->flags >> FLAG_LANES_SHIFT & 3) == 3)
        fail(cursor, M2T_ERROR_UNSUPPORTED, "flags: the number of rANS lanes is not known to this version");
    if (outer->flags & FLAG_EXTENSION)
        fail(cursor, M2T_ERROR_UNSUPPORTED, "extension: not known to this version");
    if (outer->q > M2T_Q_MAX)
        fail(cursor, M2T_ERROR_STREAM, "q: %u, the largest is %d", outer->q, M2T_Q_MAX);
    if (outer->slices == 0)
        fail(cursor, M2T_ERROR_STREAM, "slices: none");
    if (outer->slices > M2T_SLICES_MAX)
        fail(cursor, M2T_ERROR_UNSUPPORTED, "slices: %u, this version reads at most %d", outer->slices, M2T_SLICES_MAX);
}

static void
read_slices(Cursor *cursor, const Outer *outer, M2tSliceBytes *slice)
{
    for (guint i = 0; i < outer->slices && !cursor->error; i++) {
        slice[i] = (M2tSliceBytes) {.size = outer->slice_size[i]};
        if (slice[i].size > 0) {
            slice[i].crc = get_u32(cursor, "slice checksum");
            slice[i].data = get_bytes(cursor, slice[i].size, "slice");
        }
    }
    if (cursor->at < cursor->end)
        fail(cursor, M2T_ERROR_STREAM, "%" G_GSIZE_FORMAT " bytes too many after the last slice", (gsize) (cursor->end - cursor->at));
}

static Cursor
frame_cursor(const guint8 *data, gsize size)
{
    static const guint8 none; /* where @data may be NULL */

    return (Cursor) {size ? data : &none, size ? data + size : &none, "frame", NULL};
}

/* @good: the check is right, and this version knows what the fields say. */
static void
fill_header(M2tFrameHeader *header, const Outer *outer, gboolean good)
{
    *header = (M2tFrameHeader) {.inter = (outer->flags & FLAG_TYPE) == FLAG_TYPE_INTER, .has_sequence = good && outer->sequence,
                                .number = (guint8) outer->number, .q = (guint8) outer->q, .lanes = outer->flags >> FLAG_LANES_SHIFT & 3,
                                .exact = (outer->flags & FLAG_EXACT) != 0, .slices = outer->slices};
}

gboolean
m2t_frame_read(const guint8 *data, gsize size, M2tFrameHeader *header, M2tSliceBytes *slice, GError **error)
{
    Cursor cursor = frame_cursor(data, size);
    M2tSliceBytes unused[M2T_SLICES_MAX];
    Outer outer = {0};

    read_outer_header(&cursor, &outer);
    check_outer_values(&cursor, &outer);
    fill_header(header, &outer, cursor.error == NULL);
    read_slices(&cursor, &outer, slice ? slice : unused);
    if (header->has_sequence)
        read_sequence(outer.sequence, outer.sequence_size, header, cursor.error ? NULL : &cursor.error);
    if (cursor.error)
        g_propagate_error(error, cursor.error);
    return cursor.error == NULL;
}

gboolean
m2t_frame_layout_read(const void *data, gsize size, M2tFrameLayout *layout, GError **error)
{
    Cursor cursor = frame_cursor(data, size);
    const guint8 *start = cursor.at;
    Outer outer = {0};

    g_return_val_if_fail((data != NULL || size == 0) && layout != NULL, FALSE);

    read_outer_header(&cursor, &outer);
    check_outer_values(&cursor, &outer);
    if (cursor.error) {
        g_propagate_error(error, cursor.error);
        return FALSE;
    }
    *layout = (M2tFrameLayout) {.key = outer.sequence != NULL, .inter = (outer.flags & FLAG_TYPE) == FLAG_TYPE_INTER,
                                .number = outer.number, .header_size = cursor.at - start, .slices = outer.slices,
                                .size = cursor.at - start};
    for (guint i = 0; i < outer.slices; i++) {
        layout->slice_size[i] = outer.slice_size[i] ? (gsize) outer.slice_size[i] + SLICE_CRC_SIZE : 0;
        layout->size += layout->slice_size[i];
    }
    return TRUE;
}

/* All up to the number of slices stays, the lengths and the check are new. */
void
m2t_frame_assemble(GByteArray *out, const void *header, const M2tFrameLayout *layout, const guint8 *const *slice)
{
    const guint8 *first = header;
    Outer outer = {0};
    Cursor cursor;
    guint start;

    g_return_if_fail(out && header && layout && slice && layout->slices <= M2T_SLICES_MAX);
    cursor = frame_cursor(header, layout->header_size);
    start = out->len;
    read_outer_header(&cursor, &outer);
    g_clear_error(&cursor.error);
    g_return_if_fail(outer.lengths != NULL && outer.slices == layout->slices);

    g_byte_array_append(out, first, outer.lengths - first);
    for (guint i = 0; i < layout->slices; i++)
        m2t_varint_write(out, slice[i] ? outer.slice_size[i] : 0);
    put_check(out, start);
    for (guint i = 0; i < layout->slices; i++)
        if (slice[i])
            g_byte_array_append(out, slice[i], layout->slice_size[i]);
}

gboolean
m2t_frame_info_read(const void *data, gsize size, M2tFrameInfo *info, GError **error)
{
    M2tFrameHeader header;

    g_return_val_if_fail((data != NULL || size == 0) && info != NULL, FALSE);

    if (!m2t_frame_read(data, size, &header, NULL, error))
        return FALSE;
    info->key = info->has_sequence = header.has_sequence;
    info->inter = header.inter;
    info->slices = header.slices;
    info->number = header.number;
    info->quantizer = header.q / 4.0;
    memcpy(info->identity, header.model, sizeof info->identity);
    info->video = header.video;
    return TRUE;
}
