/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* speed MODEL BACKEND THREADS QUANTIZER CLIP.y4m: encodes and decodes a clip that is in memory, after each frame its matrix products alone, and prints
 * one line of JSON. One process measures one setting, so that peak memory is its own; speed.py runs all of them and writes the tables. */
#include "codec/profile.h"
#include "products.h"
#include "y4m.h"

#include <stdlib.h>
#include <sys/resource.h>
#ifdef M2T_HAVE_OPENBLAS
#include <cblas.h>
#endif

#define FRAMES_MAX 60
#define EXIT_ABSENT 77 /* the backend does not work on this machine */

typedef struct {
    M2tVideoInfo video;
    Frame frame[FRAMES_MAX], out;
    GBytes *packet[FRAMES_MAX];
    int frames;
} Clip;

/* What was measured of one frame, and of the products alone right behind it, while the machine is as busy as it was. */
typedef struct {
    gint64 frame, products;         /* microseconds */
    double cpu, products_cpu;       /* milliseconds, all threads */
} Sample;

typedef struct {
    double first;                   /* milliseconds, as all: from opening the model to the end of the first frame; the others leave that one out */
    double frame;                   /* from the end of a frame to the end of the next, the median */
    double latency, latest;         /* from the samples to the packet or back: the median, the largest */
    double cpu;                     /* of a frame, all threads */
    double products, products_cpu;  /* of the products of a frame */
    double ratio;                   /* frame to products, the median of the frames' ratios */
    double macs;
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
    if (clip->frames < 2)
        fail(path, NULL);
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
compare_numbers(gconstpointer a, gconstpointer b)
{
    double x = *(const double *) a, y = *(const double *) b;

    return (x > y) - (x < y);
}

/* Sorts. */
static double
median_of(double *number, int count)
{
    qsort(number, count, sizeof *number, compare_numbers);
    return (number[(count - 1) / 2] + number[count / 2]) / 2;
}

static void
start_sample(Sample *sample)
{
    sample->cpu = cpu_ms();
    sample->frame = g_get_monotonic_time();
}

/* The frame is done: closes its sample and measures the products. */
static void
finish_sample(Sample *sample, Products *products)
{
    sample->frame = g_get_monotonic_time() - sample->frame;
    sample->cpu = cpu_ms() - sample->cpu;
    sample->products_cpu = cpu_ms();
    sample->products = g_get_monotonic_time();
    products_run(products);
    sample->products = g_get_monotonic_time() - sample->products;
    sample->products_cpu = cpu_ms() - sample->products_cpu;
}

/* A call takes one frame and returns when that is done, so the time of a frame is its latency. */
static void
finish_times(Times *times, const Sample *sample, int count)
{
    double frame[FRAMES_MAX], products[FRAMES_MAX], ratio[FRAMES_MAX], cpu[FRAMES_MAX], products_cpu[FRAMES_MAX];

    times->latest = 0;
    for (int i = 0; i < count; i++) {
        frame[i] = (double) sample[i].frame / 1e3;
        products[i] = (double) sample[i].products / 1e3;
        ratio[i] = frame[i] / products[i];
        cpu[i] = sample[i].cpu;
        products_cpu[i] = sample[i].products_cpu;
        times->latest = MAX(times->latest, frame[i]);
    }
    times->frame = times->latency = median_of(frame, count);
    times->products = median_of(products, count);
    times->ratio = median_of(ratio, count);
    times->cpu = median_of(cpu, count);
    times->products_cpu = median_of(products_cpu, count);
}

static void
encode_frame(Clip *clip, int i, M2tEncoder *encoder)
{
    GError *error = NULL;
    M2tPacket packet;

    if (!m2t_encoder_encode(encoder, &clip->frame[i].picture, FALSE, &packet, &error))
        fail("encode", error);
    clip->packet[i] = g_bytes_new(packet.data, packet.size);
}

static void
decode_frame(Clip *clip, int i, M2tDecoder *decoder)
{
    GError *error = NULL;

    if (!m2t_decoder_open_frame(decoder, g_bytes_get_data(clip->packet[i], NULL), g_bytes_get_size(clip->packet[i]), NULL, &error) ||
        !m2t_decoder_decode(decoder, &clip->out.picture, &error))
        fail("decode", error);
}

/* @start: when the side began to open. */
static Times
encode_clip(Clip *clip, M2tModel *model, const M2tEncoderSettings *settings, gint64 start, M2tProfile *profile)
{
    GError *error = NULL;
    M2tEncoder *encoder = m2t_encoder_new(model, &clip->video, settings, &error);
    Sample sample[FRAMES_MAX];
    Products *products;
    Times times;

    if (!encoder)
        fail("encoder", error);
    encode_frame(clip, 0, encoder);
    times.first = (double) (g_get_monotonic_time() - start) / 1e3;
    products = products_new_encode(model, m2t_gemm_find(settings->backend), (int) settings->threads, &clip->video);
    for (int i = 1; i < clip->frames; i++) {
        start_sample(&sample[i]);
        encode_frame(clip, i, encoder);
        finish_sample(&sample[i], products);
    }
    finish_times(&times, sample + 1, clip->frames - 1);
    times.macs = products_macs(products);
    *profile = *m2t_encoder_profile(encoder);
    products_free(products);
    m2t_encoder_free(encoder);
    return times;
}

static Times
decode_clip(Clip *clip, M2tModel *model, const M2tDecoderSettings *settings, gint64 start, M2tProfile *profile)
{
    GError *error = NULL;
    M2tDecoder *decoder = m2t_decoder_new(model, settings, &error);
    Sample sample[FRAMES_MAX];
    Products *products;
    Times times;

    if (!decoder)
        fail("decoder", error);
    decode_frame(clip, 0, decoder);
    times.first = (double) (g_get_monotonic_time() - start) / 1e3;
    products = products_new_decode(model, m2t_gemm_find(settings->backend), (int) settings->threads, &clip->video);
    for (int i = 1; i < clip->frames; i++) {
        start_sample(&sample[i]);
        decode_frame(clip, i, decoder);
        finish_sample(&sample[i], products);
    }
    finish_times(&times, sample + 1, clip->frames - 1);
    times.macs = products_macs(products);
    *profile = *m2t_decoder_profile(decoder);
    products_free(products);
    m2t_decoder_free(decoder);
    return times;
}

static void
print_side(const char *name, const Times *times, const M2tProfile *profile, int frames)
{
    static const char *const stage[M2T_STAGES] = {"analysis", "prior", "choice", "entropy", "synthesis"};

    g_print(", \"%s\": {\"first_ms\": %.2f, \"frame_ms\": %.3f, \"latency_ms\": %.3f, \"latest_ms\": %.3f, \"cpu_ms\": %.3f", name, times->first,
            times->frame, times->latency, times->latest, times->cpu);
    g_print(", \"products_ms\": %.3f, \"products_cpu_ms\": %.3f, \"products_gmac\": %.4f, \"of_products\": %.3f", times->products,
            times->products_cpu, times->macs / 1e9, times->ratio);
    for (int i = 0; i < M2T_STAGES; i++)
        g_print(", \"%s_ms\": %.3f", stage[i], (double) profile->time[i] / 1e3 / frames);
    g_print("}");
}

static const char *
openblas_kernels(void)
{
#ifdef M2T_HAVE_OPENBLAS
    return openblas_get_corename();
#else
    return "";
#endif
}

static void
require_backend(const char *name)
{
    if (m2t_gemm_find(name))
        return;
    g_printerr("speed: no backend \"%s\" here\n", name);
    exit(EXIT_ABSENT);
}

int
main(int argc, char **argv)
{
    gint64 start, opening = g_get_monotonic_time();
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
    require_backend(argv[2]);
    opening = g_get_monotonic_time() - opening; /* of model and backend: part of either side's start, while reading the clip is not */
    m2t_encoder_settings_init(&encoder_settings);
    m2t_decoder_settings_init(&decoder_settings);
    encoder_settings.backend = decoder_settings.backend = argv[2];
    encoder_settings.threads = decoder_settings.threads = (guint) MAX(atoi(argv[3]), 1);
    encoder_settings.quantizer = atof(argv[4]);
    read_clip(&clip, argv[5]);
    start = g_get_monotonic_time() - opening;
    encode = encode_clip(&clip, model, &encoder_settings, start, &encoder_profile);
    start = g_get_monotonic_time() - opening;
    decode = decode_clip(&clip, model, &decoder_settings, start, &decoder_profile);
    getrusage(RUSAGE_SELF, &usage);

    for (int i = 0; i < clip.frames; i++)
        bytes += g_bytes_get_size(clip.packet[i]);
    g_print("{\"width\": %u, \"height\": %u, \"frames\": %d, \"bytes\": %" G_GSIZE_FORMAT ", \"peak_kib\": %ld, \"kernels\": \"%s\"",
            clip.video.width, clip.video.height, clip.frames, bytes, usage.ru_maxrss - (glong) (clip.frames * clip.out.size / 1024),
            openblas_kernels());
    print_side("encode", &encode, &encoder_profile, clip.frames);
    print_side("decode", &decode, &decoder_profile, clip.frames);
    g_print("}\n");
    m2t_model_unref(model);
    return 0;
}
