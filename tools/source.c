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
packet_reader_damaged(PacketReader *reader, guint64 number, const char *why)
{
    reader->damaged++;
    tool_say("%s: frame %" G_GUINT64_FORMAT ": %s", reader->name, number, why);
}

void
packet_reader_follow(PacketReader *reader, const M2tFrameInfo *info)
{
    guint8 gap = info ? info->number - reader->last - 1 : 0;

    if (reader->follows && info && (info->inter || !info->key) && gap > 0) {
        reader->missing += gap;
        tool_say("%s: %u %s missing before frame %" G_GUINT64_FORMAT, reader->name, gap, gap > 1 ? "frames are" : "frame is", reader->number);
    }
    reader->follows = info != NULL;
    if (info)
        reader->last = info->number;
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
        packet_reader_damaged(reader, reader->number, "truncated");
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
packet_reader_ready(const PacketReader *reader)
{
    gsize before, unit_size;

    return m2t_stream_find(reader->buffer->data + reader->used, reader->buffer->len - reader->used, &before, &unit_size) == M2T_STREAM_UNIT ||
        reader->end || tool_input_ready(reader->file);
}

gboolean
picture_reader_open(PictureReader *reader, const char *path, const CodecOptions *options)
{
    M2tDecoderSettings settings;
    g_autoptr(GError) error = NULL;

    *reader = (PictureReader) {.limit = (guint64) options->frames, .end = SOURCE_NEXT};
    if (!packet_reader_open(&reader->reader, path))
        return FALSE;
    m2t_decoder_settings_init(&settings);
    settings.threads = (guint) options->threads;
    settings.frames = 0;
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
    m2t_decoder_free(reader->decoder); /* waits for what is in flight */
    for (gsize i = 0; i < G_N_ELEMENTS(reader->picture); i++) {
        frame_clear(&reader->picture[i].frame);
        g_clear_pointer(&reader->picture[i].packet, g_byte_array_unref);
    }
    packet_reader_close(&reader->reader);
    m2t_model_unref(reader->model);
}

/* Begins to decode the last packet. FALSE with @error. */
static gboolean
start_packet(PictureReader *reader, GError **error)
{
    Picture *picture = &reader->picture[reader->started % m2t_decoder_frames(reader->decoder)];
    guint width = picture->info.video.width, height = picture->info.video.height;
    GByteArray *packet = reader->reader.packet;

    if (!m2t_decoder_open_frame(reader->decoder, packet->data, packet->len, &picture->info, error))
        return FALSE;
    packet_reader_follow(&reader->reader, &picture->info);
    if (!picture->frame.data || picture->info.video.width != width || picture->info.video.height != height) {
        frame_clear(&picture->frame);
        frame_init(&picture->frame, picture->info.video.width, picture->info.video.height);
    }
    reader->reader.packet = picture->packet ? picture->packet : g_byte_array_new();
    picture->packet = packet;
    picture->number = reader->reader.number;
    if (!m2t_decoder_start(reader->decoder, &picture->frame.picture, error))
        return FALSE;
    reader->started++; /* the ring moves on together with that of the decoder */
    return TRUE;
}

/* Reads a packet and begins to decode it. */
static SourceResult
start_next(PictureReader *reader)
{
    g_autoptr(GError) error = NULL;
    SourceResult result;
    gboolean lost;

    result = packet_reader_next(&reader->reader);
    if (result != SOURCE_NEXT)
        return result;
    if (start_packet(reader, &error)) {
        reader->lost = FALSE;
        return SOURCE_NEXT;
    }
    packet_reader_follow(&reader->reader, NULL);
    lost = g_error_matches(error, M2T_ERROR, M2T_ERROR_NO_HEADER);
    if (!lost || !reader->lost)
        packet_reader_damaged(&reader->reader, reader->reader.number, error->message);
    reader->lost = lost;
    return lost || g_error_matches(error, M2T_ERROR, M2T_ERROR_STREAM) ? SOURCE_NEXT : SOURCE_FAILED;
}

/* Whether another packet is wanted now. Of those in flight each may turn out to be broken; then one more is read in its place. */
static gboolean
wants_more(const PictureReader *reader)
{
    guint pending = m2t_decoder_pending(reader->decoder);

    if (reader->end != SOURCE_NEXT || (reader->limit > 0 && reader->pictures + pending >= reader->limit))
        return FALSE;
    return pending == 0 || (pending < m2t_decoder_frames(reader->decoder) && packet_reader_ready(&reader->reader));
}

/* Of pictures one after the other that are not what was coded, the first. */
static void
report_incomplete(PictureReader *reader)
{
    guint damaged = m2t_decoder_damaged(reader->decoder);

    if (damaged > 0 && !reader->told)
        tool_say("%s: frame %" G_GUINT64_FORMAT ": %u of %u slices are missing or lean on what is missing", reader->reader.name, reader->last->number,
                 damaged, reader->last->info.slices);
    reader->told = damaged > 0;
    reader->incomplete += damaged > 0;
}

SourceResult
picture_reader_next(PictureReader *reader)
{
    for (;;) {
        guint pending = m2t_decoder_pending(reader->decoder);
        g_autoptr(GError) error = NULL;

        if (wants_more(reader)) {
            reader->end = start_next(reader);
        } else if (pending == 0) {
            return reader->end == SOURCE_NEXT ? SOURCE_END : reader->end;
        } else {
            reader->last = &reader->picture[(reader->started - pending) % m2t_decoder_frames(reader->decoder)];
            if (m2t_decoder_finish(reader->decoder, &error)) {
                reader->pictures++;
                report_incomplete(reader);
                return SOURCE_NEXT;
            }
            packet_reader_damaged(&reader->reader, reader->last->number, error->message);
        }
    }
}
