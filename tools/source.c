/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packets and pictures of a .m2tv file (source.h). */
#include "source.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define CHUNK 65536

gboolean
packet_reader_open(PacketReader *reader, const char *path)
{
    *reader = (PacketReader) {.file = tool_open_input(path), .name = tool_input_name(path)};
    if (!reader->file)
        return FALSE;
    reader->buffer = g_byte_array_new();
    reader->packet = g_byte_array_new();
    return TRUE;
}

void
packet_reader_close(PacketReader *reader)
{
    if (!reader->file)
        return;
    fclose(reader->file);
    g_byte_array_unref(reader->buffer);
    g_byte_array_unref(reader->packet);
}

void
packet_reader_damaged(PacketReader *reader, const char *why)
{
    reader->damaged++;
    tool_say("%s: frame %" G_GUINT64_FORMAT ": %s", reader->name, reader->number, why);
}

/* Reads until @wanted bytes are there, but gives back what a pipe has rather than wait for a full buffer. FALSE after a message. */
static gboolean
fill(PacketReader *reader, gsize wanted)
{
    GByteArray *buffer = reader->buffer;

    g_byte_array_remove_range(buffer, 0, (guint) reader->used);
    reader->used = 0;
    while (!reader->end && buffer->len < wanted) {
        guint have = buffer->len;
        gssize n;

        g_byte_array_set_size(buffer, have + CHUNK);
        do
            n = read(fileno(reader->file), buffer->data + have, CHUNK);
        while (n < 0 && errno == EINTR);
        g_byte_array_set_size(buffer, have + (guint) MAX(n, 0));
        if (n < 0) {
            tool_say("%s: %s", reader->name, g_strerror(errno));
            return FALSE;
        }
        reader->end = n == 0;
    }
    return TRUE;
}

/* Passes over bytes that belong to no unit, and remembers the first of them. */
static void
skip(PacketReader *reader, gsize n)
{
    for (gsize i = 0; i < n && reader->skipped + i < sizeof reader->first; i++)
        reader->first[reader->skipped + i] = reader->buffer->data[reader->used + i];
    reader->skipped += n;
    reader->used += n;
}

/* Reports what was passed over, unless it was the magic of a file. */
static void
report_skipped(PacketReader *reader)
{
    gboolean magic = reader->skipped == sizeof reader->first && memcmp(reader->first, m2t_stream_magic(), sizeof reader->first) == 0;

    if (reader->skipped > 0 && !magic) {
        reader->damaged++;
        if (reader->number == 0)
            tool_say("%s: %" G_GUINT64_FORMAT " bytes at the beginning belong to no frame", reader->name, reader->skipped);
        else
            tool_say("%s: %" G_GUINT64_FORMAT " bytes after frame %" G_GUINT64_FORMAT " belong to no frame", reader->name, reader->skipped,
                     reader->number);
    }
    reader->skipped = 0;
}

/* Nothing more to read, and what is left is no whole unit. */
static SourceResult
finish(PacketReader *reader)
{
    gsize left = reader->buffer->len - reader->used;

    if (reader->number == 0 && left < M2T_STREAM_UNIT_HEADER_SIZE &&
        (reader->skipped < sizeof reader->first || memcmp(reader->first, m2t_stream_magic(), sizeof reader->first) != 0)) {
        tool_say("%s: this is not an M2T stream", reader->name);
        return SOURCE_FAILED;
    }
    if (left < 4) /* shorter than a sync word */
        skip(reader, left);
    report_skipped(reader);
    if (left >= 4) {
        reader->number++;
        packet_reader_damaged(reader, "truncated");
        reader->used += left;
    }
    return SOURCE_END;
}

SourceResult
packet_reader_next(PacketReader *reader)
{
    for (;;) {
        gsize unit_size, before;
        M2tStreamResult result =
            m2t_stream_find(reader->buffer->data + reader->used, reader->buffer->len - reader->used, &before, &unit_size);

        skip(reader, before);
        if (result == M2T_STREAM_UNIT) {
            report_skipped(reader);
            g_byte_array_set_size(reader->packet, 0);
            m2t_stream_unescape(reader->packet, reader->buffer->data + reader->used, unit_size);
            reader->used += unit_size;
            reader->number++;
            return SOURCE_NEXT;
        }
        if (reader->end)
            return finish(reader);
        if (!fill(reader, unit_size))
            return SOURCE_FAILED;
    }
}

gboolean
picture_reader_open(PictureReader *reader, const char *path, const CodecOptions *options)
{
    M2tDecoderSettings settings;
    g_autoptr(GError) error = NULL;

    *reader = (PictureReader) {.decoder = NULL};
    if (!packet_reader_open(&reader->reader, path))
        return FALSE;
    m2t_decoder_settings_init(&settings);
    settings.threads = (guint) options->threads;
    settings.backend = options->backend;
    if (options->model)
        reader->model = m2t_model_open(options->model, &error);
    if (!error)
        reader->decoder = m2t_decoder_new(reader->model, &settings, &error);
    if (!reader->decoder) {
        tool_say("%s", error->message);
        picture_reader_close(reader);
        return FALSE;
    }
    return TRUE;
}

void
picture_reader_close(PictureReader *reader)
{
    packet_reader_close(&reader->reader);
    m2t_decoder_free(reader->decoder);
    m2t_model_unref(reader->model);
    frame_clear(&reader->frame);
}

/* Decodes the last packet. FALSE with @error. */
static gboolean
decode_packet(PictureReader *reader, GError **error)
{
    const GByteArray *packet = reader->reader.packet;
    guint width = reader->info.video.width, height = reader->info.video.height;
    M2tFrameInfo info;

    if (!m2t_decoder_open_frame(reader->decoder, packet->data, packet->len, &info, error))
        return FALSE;
    if (!reader->frame.data || info.video.width != width || info.video.height != height) {
        frame_clear(&reader->frame);
        frame_init(&reader->frame, info.video.width, info.video.height);
    }
    reader->info = info;
    return m2t_decoder_decode(reader->decoder, &reader->frame.picture, error);
}

SourceResult
picture_reader_next(PictureReader *reader)
{
    for (;;) {
        SourceResult result = packet_reader_next(&reader->reader);
        g_autoptr(GError) error = NULL;
        gboolean lost;

        if (result != SOURCE_NEXT)
            return result;
        if (decode_packet(reader, &error)) {
            reader->pictures++;
            reader->lost = FALSE;
            return SOURCE_NEXT;
        }
        lost = g_error_matches(error, M2T_ERROR, M2T_ERROR_NO_HEADER);
        if (!lost && !g_error_matches(error, M2T_ERROR, M2T_ERROR_STREAM)) {
            packet_reader_damaged(&reader->reader, error->message);
            return SOURCE_FAILED;
        }
        if (!lost || !reader->lost)
            packet_reader_damaged(&reader->reader, error->message);
        reader->lost = lost;
    }
}
