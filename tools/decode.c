/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* m2t decode: byte stream in, Y4M out. Frames that cannot be decoded are left out, those that lack something are not. */
#include "source.h"

#include <string.h>

/* The header before the first picture; afterwards the size must stay, for Y4M has one header. FALSE after a message. */
static gboolean
write_header(Output *out, const PictureReader *reader, Progress *progress)
{
    const M2tVideoInfo *video = &reader->last->info.video;
    g_autofree char *header = NULL;

    if (progress->frames > 0) {
        if (video->width == progress->width && video->height == progress->height)
            return TRUE;
        tool_say("%s: frame %" G_GUINT64_FORMAT ": the size changes from %ux%u to %ux%u, which Y4M cannot express", reader->reader.name,
                 reader->last->number, progress->width, progress->height, video->width, video->height);
        return FALSE;
    }
    progress_video(progress, video);
    header = y4m_header(video);
    return output_write(out, header, strlen(header));
}

static gboolean
write_picture(Output *out, const Frame *frame)
{
    return output_write(out, Y4M_FRAME_LINE, strlen(Y4M_FRAME_LINE)) && output_write(out, frame->data, frame->size);
}

static ToolStatus
decode_pictures(PictureReader *reader, Output *out, const CodecOptions *options)
{
    SourceResult result;
    ToolStatus status;
    Progress progress;

    progress_begin(&progress, options->verbose);
    while ((result = picture_reader_next(reader)) == SOURCE_NEXT) {
        if (!write_header(out, reader, &progress) || !write_picture(out, &reader->last->frame)) {
            result = SOURCE_FAILED;
            break;
        }
        progress_frame(&progress, reader->last->packet->len);
    }
    progress_end(&progress, "decoded");
    if (progress.frames == 0 && result != SOURCE_FAILED)
        tool_say("%s: no frame could be decoded", reader->reader.name);
    status = output_close(out, progress.frames, result != SOURCE_FAILED && progress.frames > 0);
    return reader->reader.damaged + reader->reader.missing + reader->incomplete > 0 ? TOOL_FAILED : status;
}

ToolStatus
decode_run(int argc, char **argv)
{
    g_auto(CodecOptions) options = {.model = NULL};
    ToolStatus status = TOOL_FAILED;
    PictureReader reader;
    Output out;

    if (!tool_parse(&argc, &argv, "IN.m2tv OUT.y4m", "Decodes an M2T stream to a Y4M file. \"-\" is standard input or output.", NULL,
                    &options, 2, 2))
        return TOOL_USAGE;
    if (!picture_reader_open(&reader, argv[1], &options))
        return TOOL_FAILED;
    if (output_open(&out, argv[2], reader.reader.file))
        status = decode_pictures(&reader, &out, &options);
    picture_reader_close(&reader);
    return status;
}
