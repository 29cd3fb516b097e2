/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* m2t info and m2t models: what is in a stream, what is in a model file, and which models there are. */
#include "source.h"

#include <string.h>

/* What the frames of a stream have in common, gathered from their headers. */
typedef struct {
    M2tFrameInfo first; /* with sequence header */
    gboolean has_sequence, changes;
    guint64 frames, keys, inters, bytes;
    double quantizer_min, quantizer_max;
} StreamFacts;

static void
print_model(const M2tModel *model)
{
    printf("%s\n", m2t_model_path(model));
    printf("  name       %s\n", m2t_model_name(model));
    printf("  identity   %s\n", m2t_model_identity_hex(model));
    printf("  bytes      %" G_GSIZE_FORMAT "\n", m2t_model_bytes(model));
    printf("  cost       %.0f multiply-accumulates per luma sample to encode, %.0f to decode\n", m2t_model_encode_cost(model),
           m2t_model_decode_cost(model));
}

static void
print_stream_model(const guint8 *identity)
{
    g_autoptr(M2tModel) model = m2t_model_open_identity(identity, NULL);

    printf("  model      ");
    if (model)
        printf("%s, ", m2t_model_name(model));
    for (guint i = 0; i < M2T_MODEL_IDENTITY_SIZE; i++)
        printf("%02x", identity[i]);
    if (model)
        printf(", %s\n", m2t_model_path(model));
    else
        printf(", not at hand\n");
}

static void
print_video(const M2tVideoInfo *video)
{
    static const char *const ranges[] = {"unknown", "full", "limited"};

    printf("  size       %ux%u", video->width, video->height);
    if (video->has_aspect)
        printf(", pixel aspect %u:%u", video->aspect_n, video->aspect_d);
    putchar('\n');
    if (video->has_rate && video->rate_n == 0)
        printf("  rate       variable\n");
    else if (video->has_rate)
        printf("  rate       %u/%u frames/s\n", video->rate_n, video->rate_d);
    if (video->has_colour)
        printf("  colour     range %s, matrix %u, transfer %u, primaries %u\n", ranges[MIN(video->colour.range, 2)], video->colour.matrix,
               video->colour.transfer, video->colour.primaries);
    if (video->has_chroma_site)
        printf("  chroma    %s%s%s%s\n", video->chroma_site & M2T_CHROMA_SITE_HORIZONTAL ? " cosited horizontally" : "",
               video->chroma_site & M2T_CHROMA_SITE_VERTICAL ? " cosited vertically" : "",
               video->chroma_site & M2T_CHROMA_SITE_ALTERNATE ? " alternating lines" : "",
               video->chroma_site & M2T_CHROMA_SITE_NONE ? " centred" : "");
    if (video->has_mastering)
        printf("  mastering  %.4f to %.1f cd/m2\n", video->mastering.min_luminance / 10000.0, video->mastering.max_luminance / 10000.0);
    if (video->has_content_light)
        printf("  light      at most %u cd/m2, frame average at most %u cd/m2\n", video->content_light.max_content,
               video->content_light.max_average);
}

static void
print_facts(const StreamFacts *facts)
{
    const M2tVideoInfo *video = &facts->first.video;
    double bits = 8.0 * (double) facts->bytes / (double) facts->frames;

    if (facts->has_sequence) {
        print_video(video);
        print_stream_model(facts->first.identity);
    }
    if (facts->changes)
        printf("  changes    a later sequence header differs; this is the first\n");
    printf("  frames     %" G_GUINT64_FORMAT ", key frames %" G_GUINT64_FORMAT, facts->frames, facts->keys);
    if (facts->inters > 0)
        printf(", inter frames %" G_GUINT64_FORMAT, facts->inters);
    putchar('\n');
    if (facts->has_sequence && facts->first.slices > 1)
        printf("  slices     %u\n", facts->first.slices);
    if (facts->quantizer_min < facts->quantizer_max)
        printf("  quantizer  %g to %g\n", facts->quantizer_min, facts->quantizer_max);
    else
        printf("  quantizer  %g\n", facts->quantizer_min);
    printf("  bytes      %" G_GUINT64_FORMAT, facts->bytes);
    if (facts->has_sequence && !facts->changes)
        printf(", %.4f bit/px", bits / ((double) video->width * video->height));
    if (facts->has_sequence && video->has_rate && video->rate_n > 0)
        printf(", %.1f kbit/s", bits * video->rate_n / video->rate_d / 1000);
    putchar('\n');
}

static void
gather(StreamFacts *facts, const M2tFrameInfo *info, gsize bytes)
{
    if (facts->frames == 0)
        facts->quantizer_min = facts->quantizer_max = info->quantizer;
    facts->quantizer_min = MIN(facts->quantizer_min, info->quantizer);
    facts->quantizer_max = MAX(facts->quantizer_max, info->quantizer);
    facts->frames++;
    facts->keys += info->key;
    facts->inters += info->inter;
    facts->bytes += bytes;
    if (info->has_sequence && !facts->has_sequence) {
        facts->has_sequence = TRUE;
        facts->first = *info;
    } else if (info->has_sequence) {
        facts->changes = facts->changes || !m2t_video_info_equal(&info->video, &facts->first.video) ||
                         memcmp(info->identity, facts->first.identity, sizeof info->identity) != 0;
    }
}

static ToolStatus
stream_info(const char *path, gboolean verbose)
{
    StreamFacts facts = {.frames = 0};
    PacketReader reader;
    SourceResult result;
    ToolStatus status;

    if (!packet_reader_open(&reader, path))
        return TOOL_FAILED;
    printf("%s\n", reader.name);
    while ((result = packet_reader_next(&reader)) == SOURCE_NEXT) {
        g_autoptr(GError) error = NULL;
        M2tFrameInfo info;

        if (!m2t_frame_info_read(reader.packet->data, reader.packet->len, &info, &error)) {
            packet_reader_damaged(&reader, reader.number, error->message);
            packet_reader_follow(&reader, NULL);
            continue;
        }
        packet_reader_follow(&reader, &info);
        gather(&facts, &info, reader.packet->len);
        if (verbose)
            printf("  frame %" G_GUINT64_FORMAT ": number %u, quantizer %g, %u bytes%s%s\n", reader.number, info.number, info.quantizer,
                   reader.packet->len, info.key ? ", key" : "", info.inter ? ", inter" : "");
    }
    if (facts.frames > 0)
        print_facts(&facts);
    else if (result == SOURCE_END)
        tool_say("%s: there is no frame in it", reader.name);
    status = result == SOURCE_FAILED || reader.damaged + reader.missing > 0 || facts.frames == 0 ? TOOL_FAILED : TOOL_OK;
    packet_reader_close(&reader);
    return status;
}

static ToolStatus
model_info(const char *path)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(M2tModel) model = m2t_model_open(path, &error);

    if (!model) {
        tool_say("%s", error->message);
        return TOOL_FAILED;
    }
    print_model(model);
    return TOOL_OK;
}

ToolStatus
info_run(int argc, char **argv)
{
    gboolean verbose = FALSE;
    const GOptionEntry entries[] = {
        {"verbose", 'v', 0, G_OPTION_ARG_NONE, &verbose, "One line for each frame", NULL},
        G_OPTION_ENTRY_NULL,
    };

    if (!tool_parse(&argc, &argv, "FILE", "Says what is in a stream (.m2tv, \"-\" for standard input) or a model file (.m2tw).", entries,
                    NULL, 1, 1))
        return TOOL_USAGE;
    return tool_end_of_text(g_str_has_suffix(argv[1], ".m2tw") ? model_info(argv[1]) : stream_info(argv[1], verbose));
}

ToolStatus
models_run(int argc, char **argv)
{
    ToolStatus status = TOOL_OK;
    g_auto(GStrv) paths = NULL;

    if (!tool_parse(&argc, &argv, "",
                    "Lists the model files in the directories of M2T_MODEL_PATH and the installed ones.", NULL, NULL, 0, 0))
        return TOOL_USAGE;
    paths = m2t_model_list();
    if (!paths[0]) {
        tool_say("there is no model file; M2T_MODEL_PATH may name directories to search");
        return TOOL_FAILED;
    }
    for (char **path = paths; *path; path++)
        if (model_info(*path) != TOOL_OK)
            status = TOOL_FAILED;
    return tool_end_of_text(status);
}
