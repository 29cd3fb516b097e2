/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* speed MODEL BACKEND THREADS QUANTIZER CLIP.y4m: encodes and decodes a clip that is in memory and prints one line of JSON. One process measures one
 * setting, so that peak memory is its own; speed.py runs all of them and writes the tables. */
#include "codec/profile.h"
#include "y4m.h"

#include <m2t/m2t.h>
#include <stdlib.h>
#include <sys/resource.h>

#define FRAMES_MAX 60

typedef struct {
    M2tVideoInfo video;
    Frame frame[FRAMES_MAX], out;
    GBytes *packet[FRAMES_MAX];
    int frames;
} Clip;

typedef struct {
    double first, median, cpu; /* milliseconds: the first frame with opening; of a frame; of a frame, all threads */
} Times;

static void
fail(const char *what, GError *error)
{
    g_printerr("speed: %s: %s\n", what, error ? error->message : "failed");
    exit(1);
}

static void
read_clip(Clip *clip, const char *path)
{
    GError *error = NULL;
    FILE *file = fopen(path, "rb");

    if (!file || !y4m_read_header(file, &clip->video, &error))
        fail(path, error);
    for (; clip->frames < FRAMES_MAX; clip->frames++) {
        Y4mResult result;

        frame_init(&clip->frame[clip->frames], clip->video.width, clip->video.height);
        result = y4m_read_frame(file, &clip->frame[clip->frames], &error);
        if (result == Y4M_FAILED)
            fail(path, error);
        if (result == Y4M_END)
            break;
    }
    frame_init(&clip->out, clip->video.width, clip->video.height);
    fclose(file);
}

static double
cpu_ms(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 + (double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

static int
compare_times(gconstpointer a, gconstpointer b)
{
    gint64 x = *(const gint64 *) a, y = *(const gint64 *) b;

    return (x > y) - (x < y);
}

static void
finish_times(Times *times, gint64 *each, int frames, double cpu)
{
    times->cpu = (cpu_ms() - cpu) / MAX(frames - 1, 1);
    qsort(each, frames, sizeof *each, compare_times);
    times->median = (double) each[frames / 2] / 1e3;
}

static Times
encode_clip(Clip *clip, M2tModel *model, const M2tEncoderSettings *settings, gint64 start, M2tProfile *profile)
{
    GError *error = NULL;
    M2tEncoder *encoder = m2t_encoder_new(model, &clip->video, settings, &error);
    gint64 each[FRAMES_MAX];
    double cpu = 0;
    Times times;

    if (!encoder)
        fail("encoder", error);
    for (int i = 0; i < clip->frames; i++) {
        gint64 begin = i ? g_get_monotonic_time() : start;
        M2tPacket packet;

        if (!m2t_encoder_encode(encoder, &clip->frame[i].picture, FALSE, &packet, &error))
            fail("encode", error);
        each[i] = g_get_monotonic_time() - begin;
        clip->packet[i] = g_bytes_new(packet.data, packet.size);
        if (!i) {
            times.first = (double) each[0] / 1e3;
            cpu = cpu_ms();
        }
    }
    finish_times(&times, each, clip->frames, cpu);
    *profile = *m2t_encoder_profile(encoder);
    m2t_encoder_free(encoder);
    return times;
}

static Times
decode_clip(Clip *clip, M2tModel *model, const M2tDecoderSettings *settings, M2tProfile *profile)
{
    GError *error = NULL;
    gint64 start = g_get_monotonic_time(), each[FRAMES_MAX];
    M2tDecoder *decoder = m2t_decoder_new(model, settings, &error);
    double cpu = 0;
    Times times;

    if (!decoder)
        fail("decoder", error);
    for (int i = 0; i < clip->frames; i++) {
        gint64 begin = i ? g_get_monotonic_time() : start;

        if (!m2t_decoder_open_frame(decoder, g_bytes_get_data(clip->packet[i], NULL), g_bytes_get_size(clip->packet[i]), NULL, &error) ||
            !m2t_decoder_decode(decoder, &clip->out.picture, &error))
            fail("decode", error);
        each[i] = g_get_monotonic_time() - begin;
        if (!i) {
            times.first = (double) each[0] / 1e3;
            cpu = cpu_ms();
        }
    }
    finish_times(&times, each, clip->frames, cpu);
    *profile = *m2t_decoder_profile(decoder);
    m2t_decoder_free(decoder);
    return times;
}

static void
print_side(const char *name, const Times *times, const M2tProfile *profile, int frames)
{
    static const char *const stage[M2T_STAGES] = {"analysis", "prior", "choice", "entropy", "synthesis"};

    g_print(", \"%s\": {\"first_ms\": %.2f, \"frame_ms\": %.3f, \"cpu_ms\": %.3f", name, times->first, times->median, times->cpu);
    for (int i = 0; i < M2T_STAGES; i++)
        g_print(", \"%s_ms\": %.3f", stage[i], (double) profile->time[i] / 1e3 / frames);
    g_print("}");
}

int
main(int argc, char **argv)
{
    gint64 start = g_get_monotonic_time();
    M2tEncoderSettings encoder_settings;
    M2tDecoderSettings decoder_settings;
    M2tProfile encoder_profile, decoder_profile;
    Times encode, decode;
    GError *error = NULL;
    M2tModel *model;
    struct rusage usage;
    gsize bytes = 0;
    static Clip clip;

    if (argc != 6) {
        g_printerr("usage: speed MODEL BACKEND THREADS QUANTIZER CLIP.y4m\n");
        return 2;
    }
    model = m2t_model_open(argv[1], &error);
    if (!model)
        fail(argv[1], error);
    m2t_encoder_settings_init(&encoder_settings);
    m2t_decoder_settings_init(&decoder_settings);
    encoder_settings.backend = decoder_settings.backend = argv[2];
    encoder_settings.threads = decoder_settings.threads = (guint) atoi(argv[3]);
    encoder_settings.quantizer = atof(argv[4]);
    start -= g_get_monotonic_time(); /* the model's part of the start; the clip's reading does not count */
    read_clip(&clip, argv[5]);
    start += g_get_monotonic_time();
    encode = encode_clip(&clip, model, &encoder_settings, start, &encoder_profile);
    decode = decode_clip(&clip, model, &decoder_settings, &decoder_profile);

    for (int i = 0; i < clip.frames; i++)
        bytes += g_bytes_get_size(clip.packet[i]);
    getrusage(RUSAGE_SELF, &usage);
    g_print("{\"width\": %u, \"height\": %u, \"frames\": %d, \"bytes\": %" G_GSIZE_FORMAT ", \"peak_kib\": %ld", clip.video.width,
            clip.video.height, clip.frames, bytes, usage.ru_maxrss - (glong) (clip.frames * clip.out.size / 1024));
    print_side("encode", &encode, &encoder_profile, clip.frames);
    print_side("decode", &decode, &decoder_profile, clip.frames);
    g_print("}\n");
    m2t_model_unref(model);
    return 0;
}
