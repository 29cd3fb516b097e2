/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* m2t encode: Y4M in, byte stream out. */
#include "tool.h"
#include "y4m.h"

typedef struct {
    double quantizer;
    int key_interval;
} EncodeOptions;

static gboolean
parse(int *argc, char ***argv, EncodeOptions *options, CodecOptions *codec)
{
    const GOptionEntry entries[] = {
        {"quantizer", 'q', 0, G_OPTION_ARG_DOUBLE, &options->quantizer, "0 (finest) to 63, rounded to 1/4; default 32", "Q"},
        {"key-interval", 'k', 0, G_OPTION_ARG_INT, &options->key_interval,
         "Frames from one key frame to the next; 0 (default): every frame is one", "N"},
        G_OPTION_ENTRY_NULL,
    };

    if (!tool_parse(argc, argv, "IN.y4m OUT.m2tv", "Codes a Y4M file (8-bit 4:2:0) as an M2T stream. \"-\" is standard input or output.",
                    entries, codec, 2, 2))
        return FALSE;
    if (!(options->quantizer >= 0 && options->quantizer <= M2T_QUANTIZER_MAX)) {
        tool_say("the quantizer is %g, it must be 0 to %g", options->quantizer, M2T_QUANTIZER_MAX);
        return FALSE;
    }
    if (options->key_interval < 0) {
        tool_say("--key-interval is %d, it must not be negative", options->key_interval);
        return FALSE;
    }
    return TRUE;
}

static M2tEncoder *
open_encoder(const EncodeOptions *options, const CodecOptions *codec, const M2tVideoInfo *video)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(M2tModel) model = m2t_model_open(codec->model, &error);
    M2tEncoder *encoder = NULL;
    M2tEncoderSettings settings;

    m2t_encoder_settings_init(&settings);
    settings.key_interval = (guint) options->key_interval;
    settings.threads = (guint) codec->threads;
    settings.backend = codec->backend;
    if (model)
        encoder = m2t_encoder_new(model, video, &settings, &error);
    if (encoder)
        m2t_encoder_set_quantizer(encoder, options->quantizer); /* rounds */
    else
        tool_say("%s", error->message);
    return encoder;
}

/* All frames of @in. */
static ToolStatus
encode_frames(M2tEncoder *encoder, FILE *in, const char *in_name, const M2tVideoInfo *video, Output *out, const CodecOptions *options)
{
    g_autoptr(GByteArray) unit = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    Y4mResult result = Y4M_END;
    Progress progress;
    Frame frame;

    frame_init(&frame, video->width, video->height);
    progress_begin(&progress, options->verbose);
    progress_video(&progress, video);
    g_byte_array_append(unit, m2t_stream_magic(), M2T_STREAM_MAGIC_SIZE);
    while ((options->frames == 0 || progress.frames < (guint64) options->frames) &&
           (result = y4m_read_frame(in, &frame, &error)) == Y4M_FRAME) {
        M2tPacket packet;

        if (!m2t_encoder_encode(encoder, &frame.picture, FALSE, &packet, &error))
            break;
        m2t_stream_append(unit, packet.data, packet.size);
        if (!output_write(out, unit->data, unit->len))
            break;
        progress_frame(&progress, unit->len);
        g_byte_array_set_size(unit, 0);
    }
    progress_end(&progress, "encoded");
    frame_clear(&frame);
    if (error && error->domain == y4m_error_quark())
        tool_say("%s: frame %" G_GUINT64_FORMAT " %s", in_name, progress.frames + 1, error->message);
    else if (error)
        tool_say("%s: frame %" G_GUINT64_FORMAT ": %s", in_name, progress.frames + 1, error->message);
    else if (progress.frames == 0 && !out->failed)
        tool_say("%s: there is no frame in it", in_name);
    return output_close(out, progress.frames, !error && progress.frames > 0);
}

ToolStatus
encode_run(int argc, char **argv)
{
    EncodeOptions options = {.quantizer = 32};
    g_auto(CodecOptions) codec = {.model = NULL};
    ToolStatus status = TOOL_FAILED;
    g_autoptr(M2tEncoder) encoder = NULL;
    g_autoptr(GError) error = NULL;
    M2tVideoInfo video;
    Output out;
    FILE *in;

    if (!parse(&argc, &argv, &options, &codec))
        return TOOL_USAGE;
    in = tool_open_input(argv[1]);
    if (!in)
        return TOOL_FAILED;
    if (!y4m_read_header(in, &video, &error))
        tool_say("%s: %s", tool_input_name(argv[1]), error->message);
    else if ((encoder = open_encoder(&options, &codec, &video)) && output_open(&out, argv[2], in))
        status = encode_frames(encoder, in, tool_input_name(argv[1]), &video, &out, &codec);
    fclose(in);
    return status;
}
