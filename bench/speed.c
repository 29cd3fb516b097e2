/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* speed MODEL BACKEND THREADS FRAMES PRESET QUANTIZER CLIP.y4m: encodes and decodes a clip that is in memory, FRAMES at the same time, and
 * the matrix products of frames alone, and prints one line of JSON. One process measures one setting, so that peak memory is its own;
 * speed.py runs all of them and writes the tables. */
#include "codec/profile.h"
#include "products.h"
#include "y4m.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#ifdef M2T_HAVE_OPENBLAS
#include <cblas.h>
#endif

#define FRAMES_MAX 60
#define EXIT_ABSENT 77 /* the backend does not work on this machine */

typedef struct {
    M2tVideoInfo video;
    Frame frame[FRAMES_MAX], out[M2T_FRAMES_MAX];
    GBytes *packet[FRAMES_MAX];
    int frames;
} Clip;

typedef struct {
    M2tModel *model;
    const char *backend;
    int threads, frames;            /* frames in flight */
    M2tSpeedPreset preset;
    double quantizer;
} Setting;

/* An encoder or a decoder, the other is NULL. */
typedef struct {
    Clip *clip;
    M2tEncoder *encoder;
    M2tDecoder *decoder;
    int frames;                     /* in flight */
    int started, finished;
    Products *products;
} Coder;

/* What was measured of one frame, and of the products alone: right behind it, while the machine is as busy as it was, if one frame goes at a time. */
typedef struct {
    gint64 start;                   /* microseconds, as all but CPU time */
    gint64 frame, latency, products;
    double cpu, products_cpu;       /* milliseconds, all threads */
} Sample;

typedef struct {
    double first;                   /* milliseconds, as all: from opening the model to the end of the first frame; the others leave that one out */
    double frame;                   /* from the end of a frame to the end of the next: the median; the mean if several are in flight */
    double latency, latest;         /* from the samples to the packet or back: the median, the largest */
    double cpu;                     /* of a frame, all threads */
    double products, products_cpu;  /* of the products of a frame */
    double ratio;                   /* frame to products, the median of the frames' ratios */
    double macs;
} Times;

static void
fail(const char *what, const char *why)
{
    g_printerr("speed: %s: %s\n", what, why);
    exit(1);
}

static void
read_clip(Clip *clip, const char *path)
{
    GError *error = NULL;
    FILE *file = fopen(path, "rb");

    if (!file)
        fail(path, g_strerror(errno));
    if (!y4m_read_header(file, &clip->video, &error))
        fail(path, error->message);
    for (; clip->frames < FRAMES_MAX; clip->frames++) {
        Y4mResult result;

        frame_init(&clip->frame[clip->frames], clip->video.width, clip->video.height);
        result = y4m_read_frame(file, &clip->frame[clip->frames], &error);
        if (result == Y4M_FAILED)
            fail(path, error->message);
        if (result == Y4M_END)
            break;
    }
    if (clip->frames < 2)
        fail(path, "fewer than two frames: the first one is left out");
    for (int i = 0; i < M2T_FRAMES_MAX; i++)
        frame_init(&clip->out[i], clip->video.width, clip->video.height);
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
start_frame(Coder *coder)
{
    Clip *clip = coder->clip;
    int i = coder->started++;
    GError *error = NULL;
    gboolean good;

    if (coder->encoder) {
        good = m2t_encoder_start(coder->encoder, &clip->frame[i].picture, FALSE, &error);
    } else {
        good = m2t_decoder_open_frame(coder->decoder, g_bytes_get_data(clip->packet[i], NULL), g_bytes_get_size(clip->packet[i]), NULL, &error) &&
               m2t_decoder_start(coder->decoder, &clip->out[i % coder->frames].picture, &error);
    }
    if (!good)
        fail("start", error->message);
}

static void
finish_frame(Coder *coder)
{
    GError *error = NULL;
    M2tPacket packet;

    if (coder->encoder ? !m2t_encoder_finish(coder->encoder, &packet, &error) : !m2t_decoder_finish(coder->decoder, &error))
        fail("finish", error->message);
    if (coder->encoder)
        coder->clip->packet[coder->finished] = g_bytes_new(packet.data, packet.size);
    coder->finished++;
}

static void
measure_products(Coder *coder, Sample *sample)
{
    sample->products_cpu = cpu_ms();
    sample->products = g_get_monotonic_time();
    products_run(coder->products);
    sample->products = g_get_monotonic_time() - sample->products;
    sample->products_cpu = cpu_ms() - sample->products_cpu;
}

static void
run_one_by_one(Coder *coder, Sample *sample)
{
    for (int i = 1; i < coder->clip->frames; i++) {
        sample[i].cpu = cpu_ms();
        sample[i].start = g_get_monotonic_time();
        start_frame(coder);
        finish_frame(coder);
        sample[i].frame = sample[i].latency = g_get_monotonic_time() - sample[i].start;
        sample[i].cpu = cpu_ms() - sample[i].cpu;
        measure_products(coder, &sample[i]);
    }
}

/* As many as possible are always in flight. Single frames then have no time of their own but a latency; time is taken from when each of the
 * places for frames was used. */
static void
run_in_flight(Coder *coder, Sample *sample)
{
    int frames = coder->clip->frames, first = MIN(1 + coder->frames, frames - 1);
    gint64 begin = 0;
    double cpu = 0;

    while (coder->finished < frames) {
        if (coder->finished == first && !begin) {
            begin = g_get_monotonic_time();
            cpu = cpu_ms();
        }
        if (coder->started < frames && coder->started - coder->finished < coder->frames) {
            sample[coder->started].start = g_get_monotonic_time();
            start_frame(coder);
        } else {
            finish_frame(coder);
            sample[coder->finished - 1].latency = g_get_monotonic_time() - sample[coder->finished - 1].start;
        }
    }
    begin = g_get_monotonic_time() - begin;
    cpu = cpu_ms() - cpu;
    for (int i = 1; i < frames; i++) {
        sample[i].frame = begin / (frames - first);
        sample[i].cpu = cpu / (frames - first);
        measure_products(coder, &sample[i]);
    }
}

static void
finish_times(Times *times, const Sample *sample, int count)
{
    double frame[FRAMES_MAX], latency[FRAMES_MAX], products[FRAMES_MAX], ratio[FRAMES_MAX], cpu[FRAMES_MAX], products_cpu[FRAMES_MAX];

    times->latest = 0;
    for (int i = 0; i < count; i++) {
        frame[i] = (double) sample[i].frame / 1e3;
        latency[i] = (double) sample[i].latency / 1e3;
        products[i] = (double) sample[i].products / 1e3;
        ratio[i] = frame[i] / products[i];
        cpu[i] = sample[i].cpu;
        products_cpu[i] = sample[i].products_cpu;
        times->latest = MAX(times->latest, latency[i]);
    }
    times->frame = median_of(frame, count);
    times->latency = median_of(latency, count);
    times->products = median_of(products, count);
    times->ratio = median_of(ratio, count);
    times->cpu = median_of(cpu, count);
    times->products_cpu = median_of(products_cpu, count);
}

static Products *
make_products(const Coder *coder, const Setting *setting)
{
    const M2tGemm *gemm = m2t_gemm_find(setting->backend);

    if (coder->decoder)
        return products_new_decode(setting->model, gemm, setting->threads, &coder->clip->video);
    return products_new_encode(setting->model, gemm, setting->threads, &coder->clip->video);
}

/* @start: when the side began to open. The products come after the first frame, so that the side packs its weights itself. */
static Times
run_coder(Coder *coder, const Setting *setting, gint64 start)
{
    Sample sample[FRAMES_MAX];
    Times times;

    start_frame(coder);
    finish_frame(coder);
    times.first = (double) (g_get_monotonic_time() - start) / 1e3;
    coder->products = make_products(coder, setting);
    if (coder->frames == 1)
        run_one_by_one(coder, sample);
    else
        run_in_flight(coder, sample);
    finish_times(&times, sample + 1, coder->clip->frames - 1);
    times.macs = products_macs(coder->products);
    products_free(coder->products);
    return times;
}

static Times
encode_clip(Clip *clip, const Setting *setting, gint64 start, M2tProfile *profile)
{
    GError *error = NULL;
    M2tEncoderSettings settings;
    Coder coder = {.clip = clip, .frames = setting->frames};
    Times times;

    m2t_encoder_settings_init(&settings);
    settings.backend = setting->backend;
    settings.threads = (guint) setting->threads;
    settings.frames = (guint) setting->frames;
    settings.speed_preset = setting->preset;
    settings.key_interval = 1; /* every frame is worked at */
    settings.quantizer = setting->quantizer;
    coder.encoder = m2t_encoder_new(setting->model, &clip->video, &settings, &error);
    if (!coder.encoder)
        fail("encoder", error->message);
    times = run_coder(&coder, setting, start);
    *profile = *m2t_encoder_profile(coder.encoder);
    m2t_encoder_free(coder.encoder);
    return times;
}

static Times
decode_clip(Clip *clip, const Setting *setting, gint64 start, M2tProfile *profile)
{
    GError *error = NULL;
    M2tDecoderSettings settings;
    Coder coder = {.clip = clip, .frames = setting->frames};
    Times times;

    m2t_decoder_settings_init(&settings);
    settings.backend = setting->backend;
    settings.threads = (guint) setting->threads;
    settings.frames = (guint) setting->frames;
    coder.decoder = m2t_decoder_new(setting->model, &settings, &error);
    if (!coder.decoder)
        fail("decoder", error->message);
    times = run_coder(&coder, setting, start);
    *profile = *m2t_decoder_profile(coder.decoder);
    m2t_decoder_free(coder.decoder);
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

static M2tSpeedPreset
read_preset(const char *name)
{
    static const char *const names[] = {[M2T_SPEED_PRESET_FAST] = "fast", [M2T_SPEED_PRESET_MEDIUM] = "medium", [M2T_SPEED_PRESET_SLOW] = "slow"};

    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        if (g_str_equal(name, names[i]))
            return (M2tSpeedPreset) i;
    g_printerr("speed: no preset \"%s\"\n", name);
    exit(EXIT_FAILURE);
}

static Setting
read_setting(char **argv)
{
    GError *error = NULL;
    Setting setting = {.backend = argv[2], .threads = MAX(atoi(argv[3]), 1), .frames = CLAMP(atoi(argv[4]), 1, M2T_FRAMES_MAX)};

    setting.preset = read_preset(argv[5]);
    setting.quantizer = atof(argv[6]);
    setting.model = m2t_model_open(argv[1], &error);
    if (!setting.model)
        fail(argv[1], error->message);
    require_backend(setting.backend);
    return setting;
}

int
main(int argc, char **argv)
{
    gint64 start, opening = g_get_monotonic_time();
    M2tProfile encoder_profile, decoder_profile;
    Times encode, decode;
    struct rusage usage;
    Setting setting;
    gsize bytes = 0;
    static Clip clip;

    if (argc != 8) {
        g_printerr("usage: speed MODEL BACKEND THREADS FRAMES PRESET QUANTIZER CLIP.y4m\n");
        return 2;
    }
    setting = read_setting(argv);
    opening = g_get_monotonic_time() - opening; /* of model and backend: part of either side's start, while reading the clip is not */
    read_clip(&clip, argv[7]);
    start = g_get_monotonic_time() - opening;
    encode = encode_clip(&clip, &setting, start, &encoder_profile);
    start = g_get_monotonic_time() - opening;
    decode = decode_clip(&clip, &setting, start, &decoder_profile);
    getrusage(RUSAGE_SELF, &usage);

    for (int i = 0; i < clip.frames; i++)
        bytes += g_bytes_get_size(clip.packet[i]);
    g_print("{\"width\": %u, \"height\": %u, \"frames\": %d, \"bytes\": %" G_GSIZE_FORMAT ", \"peak_kib\": %ld, \"kernels\": \"%s\"",
            clip.video.width, clip.video.height, clip.frames, bytes, usage.ru_maxrss - (glong) (clip.frames * clip.out[0].size / 1024),
            openblas_kernels());
    print_side("encode", &encode, &encoder_profile, clip.frames);
    print_side("decode", &decode, &decoder_profile, clip.frames);
    g_print("}\n");
    m2t_model_unref(setting.model);
    return 0;
}
