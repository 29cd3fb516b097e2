/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* m2t encode: Y4M in, byte stream out. */
#include "tool.h"
#include "y4m.h"

typedef struct {
    double quantizer;
    int key_interval;
    gboolean intra_refresh;
    int slices;
    char *preset; /* owned */
} EncodeOptions;

static const char *const preset_names[] = {[M2T_SPEED_PRESET_FAST] = "fast", [M2T_SPEED_PRESET_MEDIUM] = "medium", [M2T_SPEED_PRESET_SLOW] = "slow"};

static void
encode_options_clear(EncodeOptions *options)
{
    g_free(options->preset);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(EncodeOptions, encode_options_clear)

/* The preset's number, or -1. */
static int
find_preset(const char *name)
{
    for (guint i = 0; i < G_N_ELEMENTS(preset_names); i++)
        if (g_strcmp0(name, preset_names[i]) == 0)
            return (int) i;
    return name ? -1 : M2T_SPEED_PRESET_MEDIUM;
}

static gboolean
parse(int *argc, char ***argv, EncodeOptions *options, CodecOptions *codec)
{
    const GOptionEntry entries[] = {
        {"quantizer", 'q', 0, G_OPTION_ARG_DOUBLE, &options->quantizer, "0 (finest) to 63, rounded to 1/4; default 32", "Q"},
        {"key-interval", 'k', 0, G_OPTION_ARG_INT, &options->key_interval,
         "Frames from one key frame to the next at most; 1: every frame is one; 0 (default): two seconds, and every frame that reuses nothing is one", "N"},
        {"intra-refresh", 'r', 0, G_OPTION_ARG_NONE, &options->intra_refresh,
         "One slice after the other without reference, instead of key frames", NULL},
        {"slices", 's', 0, G_OPTION_ARG_INT, &options->slices, "Bands that can be decoded without the others; 0 (default): automatic", "N"},
        {"preset", 'p', 0, G_OPTION_ARG_STRING, &options->preset, "fast, medium (default) or slow: the more time, the fewer bits", "NAME"},
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
    if (options->slices < 0 || options->slices > M2T_SLICES_MAX) {
        tool_say("--slices is %d, it must be 0 to %d", options->slices, M2T_SLICES_MAX);
        return FALSE;
    }
    if (find_preset(options->preset) < 0) {
        tool_say("there is no preset '%s'; there are: fast, medium, slow", options->preset);
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
    settings.intra_refresh = options->intra_refresh;
    settings.slices = (guint) options->slices;
    settings.threads = (guint) codec->threads;
    settings.frames = options->key_interval == 1 ? 0 : 1; /* others wait for the frame before */
    settings.speed_preset = (M2tSpeedPreset) find_preset(options->preset);
    settings.backend = codec->backend;
    if (model)
        encoder = m2t_encoder_new(model, video, &settings, &error);
    if (encoder)
        m2t_encoder_set_quantizer(encoder, options->quantizer); /* rounds */
    else
        tool_say("%s", error->message);
    return encoder;
}

typedef struct {
    M2tEncoder *encoder;
    FILE *in;
    Output *out;
    Frame frame[M2T_FRAMES_MAX]; /* a ring, those in flight among them */
    guint64 started, limit;      /* frames; limit 0: none */
    gboolean end;                /* nothing more to read */
    GByteArray *unit;
    Progress progress;
} Encoding;

/* Reads the next frame, if there is one, and hands it over. FALSE with @error. */
static gboolean
start_next(Encoding *encoding, GError **error)
{
    Frame *frame = &encoding->frame[encoding->started % m2t_encoder_frames(encoding->encoder)];
    Y4mResult result = Y4M_END;

    if (encoding->limit == 0 || encoding->started < encoding->limit)
        result = y4m_read_frame(encoding->in, frame, error);
    encoding->end = result != Y4M_FRAME;
    if (result != Y4M_FRAME)
        return result == Y4M_END;
    encoding->started++;
    return m2t_encoder_start(encoding->encoder, &frame->picture, FALSE, error);
}

/* Waits for the oldest frame and writes it. FALSE with @error, or with that of the output. */
static gboolean
write_oldest(Encoding *encoding, GError **error)
{
    M2tPacket packet;

    if (!m2t_encoder_finish(encoding->encoder, &packet, error))
        return FALSE;
    m2t_stream_append(encoding->unit, packet.data, packet.size);
    if (!output_write(encoding->out, encoding->unit->data, encoding->unit->len))
        return FALSE;
    progress_frame(&encoding->progress, encoding->unit->len);
    g_byte_array_set_size(encoding->unit, 0);
    return TRUE;
}

/* Whether to read on before the oldest frame is written. */
static gboolean
reads_on(const Encoding *encoding)
{
    guint pending = m2t_encoder_pending(encoding->encoder);

    return pending == 0 || (pending < m2t_encoder_frames(encoding->encoder) && tool_input_ready(encoding->in));
}

/* Whatever was read before an error is still written. */
static void
encode_all(Encoding *encoding, GError **error)
{
    gboolean good = TRUE;

    while (good && !encoding->end)
        good = reads_on(encoding) ? start_next(encoding, error) : write_oldest(encoding, error);
    while (encoding->end && m2t_encoder_pending(encoding->encoder) > 0 && write_oldest(encoding, *error ? NULL : error))
        ;
}

/* All frames of @in. */
static ToolStatus
encode_frames(M2tEncoder *encoder, FILE *in, const char *in_name, const M2tVideoInfo *video, Output *out, const CodecOptions *options)
{
    g_autoptr(GByteArray) unit = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    Encoding encoding = {.encoder = encoder, .in = in, .out = out, .limit = (guint64) options->frames, .unit = unit};
    Progress *progress = &encoding.progress;

    for (guint i = 0; i < m2t_encoder_frames(encoder); i++)
        frame_init(&encoding.frame[i], video->width, video->height);
    progress_begin(progress, options->verbose);
    progress_video(progress, video);
    g_byte_array_append(unit, m2t_stream_magic(), M2T_STREAM_MAGIC_SIZE);
    encode_all(&encoding, &error);
    progress_end(progress, "encoded");
    if (error && error->domain == y4m_error_quark())
        tool_say("%s: frame %" G_GUINT64_FORMAT " %s", in_name, progress->frames + 1, error->message);
    else if (error)
        tool_say("%s: frame %" G_GUINT64_FORMAT ": %s", in_name, progress->frames + 1, error->message);
    else if (progress->frames == 0 && !out->failed)
        tool_say("%s: there is no frame in it", in_name);
    m2t_encoder_reset(encoder); /* nothing reads the frames any more */
    for (guint i = 0; i < m2t_encoder_frames(encoder); i++)
        frame_clear(&encoding.frame[i]);
    return output_close(out, progress->frames, !error && progress->frames > 0);
}

ToolStatus
encode_run(int argc, char **argv)
{
    g_auto(EncodeOptions) options = {.quantizer = M2T_QUANTIZER_DEFAULT};
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
