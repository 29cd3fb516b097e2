/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The public API from outside: pictures of all kinds of sizes through encoder and decoder, settings, errors, damage, several frames in
 * flight, and that nothing is allocated per frame. */
#include "base/arena.h"
#include "bitstream/frame.h"
#include "planes.h"
#include "vectors.h"

#include <fenv.h>
#include <m2t/m2t.h>
#include <math.h>
#include <string.h>

static M2tModel *model;
static char *model_path;

/* Counts calls in this program and in the libraries below it. Sanitizers bring their own malloc, which must not be replaced. */
static gint allocations;
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define COUNTS_ALLOCATIONS 1
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *memory, size_t size);
void *aligned_alloc(size_t alignment, size_t size);

void *
malloc(size_t size)
{
    g_atomic_int_inc(&allocations);
    return __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
    g_atomic_int_inc(&allocations);
    return __libc_calloc(count, size);
}

void *
realloc(void *memory, size_t size)
{
    g_atomic_int_inc(&allocations);
    return __libc_realloc(memory, size);
}

void *
aligned_alloc(size_t alignment, size_t size)
{
    g_atomic_int_inc(&allocations);
    return __libc_memalign(alignment, size);
}
#else
#define COUNTS_ALLOCATIONS 0
#endif

/* oneDNN allocates on its own; what is counted is ours. */
static const char *backend;

static M2tEncoder *
open_encoder_of(int width, int height, double q, guint threads, guint frames, M2tSpeedPreset preset)
{
    M2tEncoderSettings settings;
    M2tVideoInfo video;
    GError *error = NULL;
    M2tEncoder *encoder;

    m2t_video_info_init(&video, (guint) width, (guint) height);
    m2t_encoder_settings_init(&settings);
    settings.quantizer = q;
    settings.threads = threads;
    settings.frames = frames;
    settings.speed_preset = preset;
    settings.backend = backend;
    encoder = m2t_encoder_new(model, &video, &settings, &error);
    g_assert_no_error(error);
    return encoder;
}

static M2tEncoder *
open_encoder(int width, int height, double q, guint threads)
{
    return open_encoder_of(width, height, q, threads, 1, M2T_SPEED_PRESET_MEDIUM);
}

static M2tDecoder *
open_decoder_of(guint threads, guint frames)
{
    M2tDecoderSettings settings;
    GError *error = NULL;
    M2tDecoder *decoder;

    m2t_decoder_settings_init(&settings);
    settings.threads = threads;
    settings.frames = frames;
    settings.backend = backend;
    decoder = m2t_decoder_new(model, &settings, &error);
    g_assert_no_error(error);
    return decoder;
}

static M2tDecoder *
open_decoder(guint threads)
{
    return open_decoder_of(threads, 1);
}

static GBytes *
encode(M2tEncoder *encoder, const Planes *in)
{
    M2tPacket packet;
    GError *error = NULL;

    m2t_encoder_encode(encoder, &in->picture, FALSE, &packet, &error);
    g_assert_no_error(error);
    return g_bytes_new(packet.data, packet.size);
}

static void
decode(M2tDecoder *decoder, GBytes *packet, Planes *out)
{
    M2tFrameInfo info;
    GError *error = NULL;

    m2t_decoder_open_frame(decoder, g_bytes_get_data(packet, NULL), g_bytes_get_size(packet), &info, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(info.video.width, ==, out->width);
    g_assert_cmpuint(info.video.height, ==, out->height);
    m2t_decoder_decode(decoder, &out->picture, &error);
    g_assert_no_error(error);
}

static void
test_sizes(void)
{
    static const int sizes[][2] = {{16, 16}, {17, 17}, {16, 129}, {129, 16}, {35, 19}, {127, 65}, {200, 100}, {256, 16}, {1, 1}};

    for (int i = 0; sizes[i][0] > 1; i++) {
        g_autoptr(M2tEncoder) encoder = open_encoder(sizes[i][0], sizes[i][1], 4, 2);
        g_autoptr(M2tDecoder) decoder = open_decoder(1);
        g_autoptr(GBytes) packet = NULL;
        Planes in, out;

        planes_init(&in, sizes[i][0], sizes[i][1]);
        planes_init(&out, sizes[i][0], sizes[i][1]);
        planes_draw(&in, 7 + i);
        packet = encode(encoder, &in);
        decode(decoder, packet, &out);
        g_assert_cmpfloat(planes_psnr(&in, &out), >, 20);
        planes_clear(&in);
        planes_clear(&out);
    }
}

/* The coarser the quantizer, the fewer bits. */
static void
test_quantizer(void)
{
    g_autoptr(M2tEncoder) encoder = open_encoder(96, 64, 0, 1);
    g_autoptr(M2tDecoder) decoder = open_decoder(1);
    gsize last_size = G_MAXSIZE;
    Planes in, out;

    planes_init(&in, 96, 64);
    planes_init(&out, 96, 64);
    planes_draw(&in, 3);
    for (double q = 0; q <= 64; q += 16) {
        g_autoptr(GBytes) packet = NULL;

        m2t_encoder_set_quantizer(encoder, q); /* 64 is clamped */
        packet = encode(encoder, &in);
        decode(decoder, packet, &out);
        g_assert_cmpuint(g_bytes_get_size(packet), <, last_size);
        last_size = g_bytes_get_size(packet);
    }
    planes_clear(&in);
    planes_clear(&out);
}

static void
test_threads(void)
{
    g_autofree char *md5 = NULL;
    g_autoptr(GBytes) first = NULL;
    Planes in;

    planes_init(&in, 150, 90);
    planes_draw(&in, 5);
    for (guint threads = 1; threads <= 5; threads++) {
        g_autoptr(M2tEncoder) encoder = open_encoder(150, 90, 20, threads);
        g_autoptr(M2tDecoder) decoder = open_decoder(threads);
        g_autoptr(GBytes) packet = encode(encoder, &in);
        g_autofree char *got = NULL;
        Planes out;

        planes_init(&out, 150, 90);
        g_assert_cmpuint(m2t_encoder_threads(encoder), ==, threads);
        if (!first)
            first = g_bytes_ref(packet);
        g_assert_true(g_bytes_equal(first, packet));
        decode(decoder, packet, &out);
        got = planes_md5(&out);
        if (!md5)
            md5 = g_strdup(got);
        g_assert_cmpstr(md5, ==, got);
        planes_clear(&out);
    }
    planes_clear(&in);
}

/* Chains, slices and the pieces that are predicted at once begin and end in different places; parts of different chains are chosen at the same time. */
static void
test_chains(void)
{
    enum { W = 560, H = 330, PICTURES = 3 };
    M2tEncoderSettings settings;
    M2tVideoInfo video;

    m2t_video_info_init(&video, W, H);
    m2t_encoder_settings_init(&settings);
    settings.quantizer = 8; /* many latents are coded */
    settings.key_interval = 1;
    for (settings.slices = 1; settings.slices <= 7; settings.slices += 3) {
        GBytes *first[PICTURES] = {NULL};

        for (settings.threads = 1; settings.threads <= 4; settings.threads++) {
            g_autoptr(M2tEncoder) encoder = m2t_encoder_new(model, &video, &settings, NULL);
            g_autoptr(M2tDecoder) decoder = open_decoder(settings.threads);

            for (int i = 0; i < PICTURES; i++) {
                g_autoptr(GBytes) packet = NULL;
                Planes in, out;

                planes_init(&in, W, H);
                planes_init(&out, W, H);
                planes_draw(&in, 20 + i);
                packet = encode(encoder, &in);
                if (!first[i])
                    first[i] = g_bytes_ref(packet);
                g_assert_true(g_bytes_equal(first[i], packet));
                decode(decoder, packet, &out);
                planes_clear(&in);
                planes_clear(&out);
            }
        }
        for (int i = 0; i < PICTURES; i++)
            g_bytes_unref(first[i]);
    }
}

/* However the caller's thread rounds, the bits are the same, and it rounds like that afterwards. */
static void
test_rounding(void)
{
    static const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    g_autofree char *md5 = NULL;
    g_autoptr(GBytes) first = NULL;
    Planes in, out;

    planes_init(&in, 150, 90);
    planes_init(&out, 150, 90);
    planes_draw(&in, 5);
    for (guint i = 0; i < 2 * G_N_ELEMENTS(modes); i++) {
        guint threads = 1 + i / G_N_ELEMENTS(modes);
        g_autoptr(M2tEncoder) encoder = NULL;
        g_autoptr(M2tDecoder) decoder = NULL;
        g_autoptr(M2tModel) own = NULL;
        g_autoptr(GBytes) packet = NULL;
        g_autofree char *got = NULL;

        fesetround(modes[i % G_N_ELEMENTS(modes)]);
        own = m2t_model_open(model_path, NULL);
        g_assert_nonnull(own);
        encoder = open_encoder(150, 90, 20, threads);
        decoder = open_decoder(threads);
        packet = encode(encoder, &in);
        decode(decoder, packet, &out);
        g_assert_cmpint(fegetround(), ==, modes[i % G_N_ELEMENTS(modes)]);
        fesetround(FE_TONEAREST);
        got = planes_md5(&out);
        if (!first) {
            first = g_bytes_ref(packet);
            md5 = g_strdup(got);
        }
        g_assert_true(g_bytes_equal(first, packet));
        g_assert_cmpstr(md5, ==, got);
    }
    planes_clear(&in);
    planes_clear(&out);
}

/* Upside down, with gaps between rows that must stay as they are. */
static void
test_negative_stride(void)
{
    enum { W = 50, H = 34, STRIDE = 64 };
    g_autoptr(M2tEncoder) encoder = open_encoder(W, H, 10, 1);
    g_autoptr(M2tDecoder) decoder = open_decoder(1);
    g_autofree guint8 *memory = g_malloc(STRIDE * 2 * H);
    M2tPicture flipped = {{memory + STRIDE * (H - 1), memory + STRIDE * (H + H / 2 - 1), memory + STRIDE * (2 * H - 1)}, {-STRIDE, -STRIDE, -STRIDE}};
    g_autoptr(GBytes) packet = NULL;
    Planes in, out;

    planes_init(&in, W, H);
    planes_init(&out, W, H);
    planes_draw(&in, 11);
    packet = encode(encoder, &in);
    decode(decoder, packet, &out);
    memset(memory, 0xee, STRIDE * 2 * H);
    g_assert_true(m2t_decoder_open_frame(decoder, g_bytes_get_data(packet, NULL), g_bytes_get_size(packet), NULL, NULL));
    g_assert_true(m2t_decoder_decode(decoder, &flipped, NULL));
    for (int y = 0; y < H; y++) {
        g_assert_cmpmem(flipped.data[0] - y * STRIDE, W, out.picture.data[0] + y * W, W);
        for (int x = W; x < STRIDE; x++)
            g_assert_cmpuint((flipped.data[0] - y * STRIDE)[x], ==, 0xee);
    }
    planes_clear(&in);
    planes_clear(&out);
}

static void
test_key_frames(void)
{
    g_autoptr(M2tEncoder) encoder = open_encoder(32, 32, 30, 1);
    static const gboolean key[] = {TRUE, FALSE, FALSE, TRUE, FALSE, TRUE, FALSE, FALSE, TRUE};
    g_autoptr(M2tDecoder) decoder = open_decoder(1);
    GError *error = NULL;
    Planes in;

    planes_init(&in, 32, 32);
    planes_draw(&in, 1);
    m2t_encoder_set_key_interval(encoder, 3);
    for (gsize i = 0; i < G_N_ELEMENTS(key); i++) {
        M2tPacket packet;
        M2tFrameInfo info;

        g_assert_true(m2t_encoder_encode(encoder, &in.picture, i == 5, &packet, NULL)); /* the sixth is forced */
        g_assert_cmpint(packet.key, ==, key[i]);
        g_assert_cmpuint(packet.number, ==, i);
        g_assert_true(m2t_frame_info_read(packet.data, packet.size, &info, NULL));
        g_assert_cmpint(info.key, ==, key[i]);
        if (i == 1) {
            g_assert_false(m2t_decoder_open_frame(decoder, packet.data, packet.size, NULL, &error));
            g_assert_error(error, M2T_ERROR, M2T_ERROR_NO_HEADER);
            g_clear_error(&error);
        } else if (i > 2) {
            g_assert_true(m2t_decoder_open_frame(decoder, packet.data, packet.size, &info, NULL));
            g_assert_true(info.has_sequence);
        }
    }
    m2t_encoder_reset(encoder);
    {
        M2tPacket packet;

        g_assert_true(m2t_encoder_encode(encoder, &in.picture, FALSE, &packet, NULL));
        g_assert_true(packet.key);
    }
    planes_clear(&in);
}

/* A frame rate beyond all measure, where seconds are more frames than can be counted. */
static void
test_high_frame_rate(void)
{
    static const guint32 rates[] = {1u << 30, (1u << 30) + 1, G_MAXINT32};

    for (guint i = 0; i < G_N_ELEMENTS(rates); i++) {
        M2tEncoderSettings settings;
        g_autoptr(M2tEncoder) encoder = NULL;
        M2tVideoInfo video;
        M2tPacket packet;
        Planes in;

        m2t_video_info_init(&video, 32, 32);
        video.has_rate = TRUE;
        video.rate_n = rates[i];
        video.rate_d = 1;
        m2t_encoder_settings_init(&settings);
        settings.threads = 1;
        settings.slices = 2;
        settings.intra_refresh = TRUE;
        encoder = m2t_encoder_new(model, &video, &settings, NULL);
        planes_init(&in, 32, 32);
        for (int frame = 0; frame < 3; frame++) {
            g_assert_true(m2t_encoder_encode(encoder, &in.picture, FALSE, &packet, NULL));
            g_assert_cmpint(packet.key, ==, frame == 0);
        }
        planes_clear(&in);
    }
}

static void
expect_settings_error(const M2tVideoInfo *video, const M2tEncoderSettings *settings, int code, const char *text)
{
    GError *error = NULL;

    g_assert_null(m2t_encoder_new(model, video, settings, &error));
    g_assert_error(error, M2T_ERROR, code);
    if (!strstr(error->message, text))
        g_error("\"%s\" does not say \"%s\"", error->message, text);
    g_clear_error(&error);
}

static void
test_settings(void)
{
    M2tEncoderSettings settings;
    M2tVideoInfo video;

    m2t_encoder_settings_init(&settings);
    m2t_video_info_init(&video, 15, 16);
    expect_settings_error(&video, &settings, M2T_ERROR_SETTINGS, "15x16");
    m2t_video_info_init(&video, 16, 8193);
    expect_settings_error(&video, &settings, M2T_ERROR_SETTINGS, "8193");
    m2t_video_info_init(&video, 16, 16);
    video.has_rate = TRUE;
    video.rate_n = 25;
    expect_settings_error(&video, &settings, M2T_ERROR_SETTINGS, "frame rate");
    m2t_video_info_init(&video, 16, 16);
    settings.backend = "abacus";
    expect_settings_error(&video, &settings, M2T_ERROR_UNSUPPORTED, "abacus");
    settings.backend = NULL;
    settings.threads = 65;
    expect_settings_error(&video, &settings, M2T_ERROR_SETTINGS, "65");
    settings.threads = 1;
    settings.frames = M2T_FRAMES_MAX + 1;
    expect_settings_error(&video, &settings, M2T_ERROR_SETTINGS, "9 frames");
    settings.frames = 1;
    settings.speed_preset = (M2tSpeedPreset) (M2T_SPEED_PRESET_SLOW + 1);
    expect_settings_error(&video, &settings, M2T_ERROR_SETTINGS, "speed preset 3");
    settings.speed_preset = M2T_SPEED_PRESET_FAST;
    settings.rate_control = (M2tRateControl) -1;
    expect_settings_error(&video, &settings, M2T_ERROR_SETTINGS, "rate control");
    settings.rate_control = M2T_RATE_CONTROL_CBR;
    settings.vbv_buf_capacity = 0;
    expect_settings_error(&video, &settings, M2T_ERROR_SETTINGS, "0 ms");
    settings.vbv_buf_capacity = 1;
    settings.quantizer = 63.5;
    expect_settings_error(&video, &settings, M2T_ERROR_SETTINGS, "63.5");
    settings.quantizer = NAN;
    expect_settings_error(&video, &settings, M2T_ERROR_SETTINGS, "quantizer");
}

/* What counts is what the slices are padded to: two of two rows of tokens have 128x128 samples each. */
static void
test_limits_of_decoder(void)
{
    g_autoptr(M2tEncoder) encoder = NULL;
    M2tEncoderSettings encoder_settings;
    M2tDecoderSettings settings;
    g_autoptr(M2tDecoder) decoder = NULL, larger = NULL;
    g_autoptr(GBytes) packet = NULL;
    GError *error = NULL;
    M2tVideoInfo video;
    Planes in;

    planes_init(&in, 64, 64);
    m2t_video_info_init(&video, 64, 64);
    m2t_encoder_settings_init(&encoder_settings);
    encoder_settings.slices = 2;
    encoder = m2t_encoder_new(model, &video, &encoder_settings, NULL);
    packet = encode(encoder, &in);
    m2t_decoder_settings_init(&settings);
    settings.max_samples = 2 * 128 * 128;
    larger = m2t_decoder_new(model, &settings, NULL);
    decode(larger, packet, &in);
    settings.max_samples--;
    decoder = m2t_decoder_new(model, &settings, NULL);
    g_assert_false(m2t_decoder_open_frame(decoder, g_bytes_get_data(packet, NULL), g_bytes_get_size(packet), NULL, &error));
    g_assert_error(error, M2T_ERROR, M2T_ERROR_UNSUPPORTED);
    g_clear_error(&error);
    g_assert_false(m2t_decoder_decode(decoder, &in.picture, &error));
    g_assert_error(error, M2T_ERROR, M2T_ERROR_STREAM);
    g_clear_error(&error);
    planes_clear(&in);
}

/* Sums and products that cannot be addressed are memory that there is not. */
static void
test_arena(void)
{
    static const gsize takes[][2] = {{G_MAXSIZE / 2, 3}, {G_MAXSIZE, 1}, {G_MAXSIZE - 200, 1}};

    for (guint i = 0; i < G_N_ELEMENTS(takes); i++) {
        M2tArena arena = {0};

        m2t_arena_take(&arena, 200, 1);
        m2t_arena_take(&arena, takes[i][0], takes[i][1]);
        m2t_arena_take(&arena, 100, 4);
        g_assert_false(m2t_arena_allocate(&arena));
    }
}

static void
expect_refused(M2tDecoder *decoder, const void *data, gsize size, int code)
{
    GError *error = NULL;

    g_assert_false(m2t_decoder_open_frame(decoder, data, size, NULL, &error));
    g_assert_error(error, M2T_ERROR, code);
    g_clear_error(&error);
}

static M2tEncoder *
open_encoder_of_chain(int size)
{
    M2tEncoder *encoder = open_encoder(size, size, 30, 1);

    m2t_encoder_set_key_interval(encoder, 100);
    return encoder;
}

/* A key frame that is refused takes the sequence before it along: what follows would be decoded as something that it is not. If it is too
 * large, or damaged, or cut short; but not if it is damaged and its header is the one that is known. */
static void
test_refused_key_frame(void)
{
    static const struct {
        gsize damaged, missing; /* bytes at the end */
        int code;
    } refusals[] = {{0, 0, M2T_ERROR_UNSUPPORTED}, {1, 0, M2T_ERROR_STREAM}, {0, 1, M2T_ERROR_STREAM}};
    g_autoptr(M2tEncoder) small_encoder = open_encoder_of_chain(64), large_encoder = open_encoder_of_chain(144);
    g_autoptr(GBytes) small_key = NULL, small = NULL, large_key = NULL, large = NULL;
    Planes in[2], out;

    planes_init(&in[0], 64, 64);
    planes_init(&in[1], 144, 144);
    planes_init(&out, 64, 64);
    small_key = encode(small_encoder, &in[0]);
    small = encode(small_encoder, &in[0]);
    large_key = encode(large_encoder, &in[1]);
    large = encode(large_encoder, &in[1]);
    for (guint i = 0; i < G_N_ELEMENTS(refusals); i++) {
        gsize small_size = g_bytes_get_size(small_key), large_size = g_bytes_get_size(large_key);
        g_autofree guint8 *bad_small = g_memdup2(g_bytes_get_data(small_key, NULL), small_size);
        g_autofree guint8 *bad_large = g_memdup2(g_bytes_get_data(large_key, NULL), large_size);
        M2tDecoderSettings settings;
        g_autoptr(M2tDecoder) decoder = NULL;

        m2t_decoder_settings_init(&settings);
        settings.max_samples = 128 * 128;
        decoder = m2t_decoder_new(model, &settings, NULL);
        decode(decoder, small_key, &out);
        bad_small[small_size - 1] ^= 1;
        expect_refused(decoder, bad_small, small_size, M2T_ERROR_STREAM);
        decode(decoder, small, &out);
        bad_large[large_size - 1] ^= refusals[i].damaged;
        expect_refused(decoder, bad_large, large_size - refusals[i].missing, refusals[i].code);
        expect_refused(decoder, g_bytes_get_data(large, NULL), g_bytes_get_size(large), M2T_ERROR_NO_HEADER);
        decode(decoder, small_key, &out);
    }
    planes_clear(&in[0]);
    planes_clear(&in[1]);
    planes_clear(&out);
}

/* The decoder may use another model only than the one that the stream names. */
static void
test_wrong_model(void)
{
    g_autoptr(M2tModel) other = NULL;
    g_autoptr(M2tEncoder) encoder = open_encoder(32, 32, 30, 1);
    g_autoptr(M2tDecoder) decoder = NULL;
    g_autoptr(GBytes) packet = NULL;
    g_autofree char *standard = g_build_filename(g_getenv("M2T_TEST_MODELS"), "standard.m2tw", NULL);
    GError *error = NULL;
    Planes in;

    other = m2t_model_open(standard, &error);
    g_assert_no_error(error);
    planes_init(&in, 32, 32);
    packet = encode(encoder, &in);
    decoder = m2t_decoder_new(other, NULL, NULL);
    g_assert_false(m2t_decoder_open_frame(decoder, g_bytes_get_data(packet, NULL), g_bytes_get_size(packet), NULL, &error));
    g_assert_error(error, M2T_ERROR, M2T_ERROR_WRONG_MODEL);
    g_assert_nonnull(strstr(error->message, m2t_model_identity_hex(model)));
    g_assert_nonnull(strstr(error->message, m2t_model_identity_hex(other)));
    g_clear_error(&error);
    planes_clear(&in);
}

/* Refused, and what is open stays open. */
static void
test_missing_planes(void)
{
    g_autoptr(M2tEncoder) encoder = open_encoder(32, 32, 30, 1);
    g_autoptr(M2tDecoder) decoder = open_decoder(1);
    g_autoptr(GBytes) packet = NULL;
    Planes in, out;

    planes_init(&in, 32, 32);
    planes_init(&out, 32, 32);
    planes_draw(&in, 1);
    packet = encode(encoder, &in);
    g_assert_true(m2t_decoder_open_frame(decoder, g_bytes_get_data(packet, NULL), g_bytes_get_size(packet), NULL, NULL));
    for (int i = 0; i < 3; i++) {
        g_autoptr(GError) encoding = NULL;
        g_autoptr(GError) decoding = NULL;
        M2tPicture picture = in.picture;

        picture.data[i] = NULL;
        g_assert_false(m2t_encoder_start(encoder, &picture, FALSE, &encoding));
        g_assert_error(encoding, M2T_ERROR, M2T_ERROR_SETTINGS);
        g_assert_false(m2t_decoder_start(decoder, &picture, &decoding));
        g_assert_error(decoding, M2T_ERROR, M2T_ERROR_SETTINGS);
    }
    g_assert_true(m2t_decoder_decode(decoder, &out.picture, NULL));
    g_assert_cmpfloat(planes_psnr(&in, &out), >, 20);
    planes_clear(&in);
    planes_clear(&out);
}

/* Thousands of truncations and flipped bits: reported, never decoded as if nothing had happened, and the decoder goes on. */
static void
test_damage(void)
{
    g_autoptr(M2tEncoder) encoder = open_encoder(48, 48, 12, 1);
    g_autoptr(M2tDecoder) decoder = open_decoder(1);
    g_autoptr(GBytes) packet = NULL;
    GRand *rng = g_rand_new_with_seed(99);
    gsize size;
    g_autofree guint8 *copy = NULL;
    Planes in, out;

    planes_init(&in, 48, 48);
    planes_init(&out, 48, 48);
    planes_draw(&in, 2);
    packet = encode(encoder, &in);
    size = g_bytes_get_size(packet);
    copy = g_malloc(size);
    for (int i = 0; i < 4000; i++) {
        gsize length = i & 1 ? size : (gsize) g_rand_int_range(rng, 0, (gint32) size);
        GError *error = NULL;

        memcpy(copy, g_bytes_get_data(packet, NULL), size);
        if (i & 1)
            copy[g_rand_int_range(rng, 0, (gint32) size)] ^= (guint8) (1 << g_rand_int_range(rng, 0, 8));
        if (m2t_decoder_open_frame(decoder, copy, length, NULL, &error))
            g_assert_false(m2t_decoder_decode(decoder, &out.picture, &error));
        g_assert_nonnull(error);
        g_assert_cmpstr(error->message, !=, "");
        g_clear_error(&error);
    }
    decode(decoder, packet, &out);
    g_assert_cmpfloat(planes_psnr(&in, &out), >, 20);
    g_rand_free(rng);
    planes_clear(&in);
    planes_clear(&out);
}

/* Coding a frame, that is: one that is taken over would show nothing. */
static void
test_no_allocation(void)
{
    g_autoptr(M2tEncoder) encoder = NULL;
    g_autoptr(M2tDecoder) decoder = NULL;
    g_autoptr(GBytes) first = NULL;
    M2tPacket packet;
    gint before;
    Planes in, out;

    backend = "c";
    encoder = open_encoder(176, 144, 16, 2);
    decoder = open_decoder(2);
    backend = NULL;
    m2t_encoder_set_key_interval(encoder, 1);
    planes_init(&in, 176, 144);
    planes_init(&out, 176, 144);
    planes_draw(&in, 4);
    first = encode(encoder, &in);
    decode(decoder, first, &out);
    before = g_atomic_int_get(&allocations);
    for (int i = 0; i < 3; i++) {
        g_assert_true(m2t_encoder_encode(encoder, &in.picture, FALSE, &packet, NULL));
        g_assert_cmpuint(packet.size, ==, g_bytes_get_size(first));
        g_assert_true(m2t_decoder_open_frame(decoder, packet.data, packet.size, NULL, NULL));
        g_assert_true(m2t_decoder_decode(decoder, &out.picture, NULL));
    }
    g_assert_cmpint(g_atomic_int_get(&allocations), ==, before);
    if (!COUNTS_ALLOCATIONS)
        g_test_skip("allocations are the sanitizer's here");
    planes_clear(&in);
    planes_clear(&out);
}

/* --- several frames in flight --- */

enum { CLIP = 9, CLIP_WIDTH = 96, CLIP_HEIGHT = 70 };

static void
draw_clip(Planes *clip)
{
    for (guint i = 0; i < CLIP; i++) {
        planes_init(&clip[i], CLIP_WIDTH, CLIP_HEIGHT);
        planes_draw(&clip[i], 30 + i);
    }
}

static void
clear_clip(Planes *clip)
{
    for (guint i = 0; i < CLIP; i++)
        planes_clear(&clip[i]);
}

static void
finish_frame(M2tEncoder *encoder, GPtrArray *packets)
{
    M2tPacket packet;
    GError *error = NULL;

    m2t_encoder_finish(encoder, &packet, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(packet.number, ==, packets->len);
    g_ptr_array_add(packets, g_bytes_new(packet.data, packet.size));
}

/* As many in flight as can be; key frames every four, the seventh forced; the quantizer changes before the sixth. */
static GPtrArray *
encode_clip(Planes *clip, guint threads, guint frames, M2tSpeedPreset preset)
{
    g_autoptr(M2tEncoder) encoder = open_encoder_of(CLIP_WIDTH, CLIP_HEIGHT, 20, threads, frames, preset);
    GPtrArray *packets = g_ptr_array_new_with_free_func((GDestroyNotify) g_bytes_unref);

    g_assert_cmpuint(m2t_encoder_frames(encoder), ==, frames);
    g_assert_cmpuint(m2t_encoder_threads(encoder), ==, MAX(threads, frames));
    m2t_encoder_set_key_interval(encoder, 4);
    for (guint i = 0; i < CLIP; i++) {
        if (i == 5)
            m2t_encoder_set_quantizer(encoder, 40);
        if (m2t_encoder_pending(encoder) == frames)
            finish_frame(encoder, packets);
        g_assert_true(m2t_encoder_start(encoder, &clip[i].picture, i == 6, NULL));
        g_assert_cmpuint(m2t_encoder_pending(encoder), ==, MIN(i + 1, frames));
    }
    while (m2t_encoder_pending(encoder) > 0)
        finish_frame(encoder, packets);
    g_assert_false(m2t_encoder_ready(encoder));
    return packets;
}

static void
expect_clip(GPtrArray *packets)
{
    for (guint i = 0; i < CLIP; i++) {
        gsize size;
        gconstpointer data = g_bytes_get_data(packets->pdata[i], &size);
        M2tFrameInfo info;

        g_assert_true(m2t_frame_info_read(data, size, &info, NULL));
        g_assert_cmpfloat(info.quantizer, ==, i < 5 ? 20 : 40);
        g_assert_cmpint(info.key, ==, i == 0 || i == 4 || i == 6);
    }
}

static gboolean
same_packets(const GPtrArray *a, const GPtrArray *b)
{
    gboolean same = TRUE;

    for (guint i = 0; i < CLIP; i++)
        same = same && g_bytes_equal(a->pdata[i], b->pdata[i]);
    return same;
}

static void
test_frames_encode(void)
{
    Planes clip[CLIP];
    GPtrArray *all[3];

    draw_clip(clip);
    for (int preset = M2T_SPEED_PRESET_FAST; preset <= M2T_SPEED_PRESET_SLOW; preset++) {
        GPtrArray *expected = all[preset] = encode_clip(clip, 1, 1, (M2tSpeedPreset) preset);

        expect_clip(expected);
        for (guint frames = 1; frames <= 3; frames++)
            for (guint threads = 1; threads <= 3; threads++) {
                g_autoptr(GPtrArray) got = encode_clip(clip, threads, frames, (M2tSpeedPreset) preset);

                g_assert_cmpuint(got->len, ==, CLIP);
                for (guint i = 0; i < CLIP; i++)
                    g_assert_true(g_bytes_equal(got->pdata[i], expected->pdata[i]));
            }
    }
    g_assert_false(same_packets(all[M2T_SPEED_PRESET_FAST], all[M2T_SPEED_PRESET_MEDIUM]));
    g_assert_false(same_packets(all[M2T_SPEED_PRESET_SLOW], all[M2T_SPEED_PRESET_MEDIUM]));
    for (int preset = M2T_SPEED_PRESET_FAST; preset <= M2T_SPEED_PRESET_SLOW; preset++)
        g_ptr_array_unref(all[preset]);
    clear_clip(clip);
}

static void
start_packet(M2tDecoder *decoder, GBytes *packet, Planes *out)
{
    M2tFrameInfo info;
    GError *error = NULL;

    m2t_decoder_open_frame(decoder, g_bytes_get_data(packet, NULL), g_bytes_get_size(packet), &info, &error);
    g_assert_no_error(error);
    m2t_decoder_start(decoder, &out->picture, &error);
    g_assert_no_error(error);
}

static void
expect_planes(const Planes *got, GBytes *packet)
{
    g_autoptr(M2tDecoder) decoder = open_decoder(1);
    Planes expected;

    planes_init(&expected, got->width, got->height);
    decode(decoder, packet, &expected);
    g_assert_cmpmem(got->memory, got->size, expected.memory, expected.size);
    planes_clear(&expected);
}

static void
test_frames_decode(void)
{
    g_autoptr(M2tEncoder) encoder = open_encoder(CLIP_WIDTH, CLIP_HEIGHT, 20, 1);
    g_autoptr(GPtrArray) packets = g_ptr_array_new_with_free_func((GDestroyNotify) g_bytes_unref);
    Planes clip[CLIP];

    draw_clip(clip);
    for (guint i = 0; i < CLIP; i++) {
        m2t_encoder_set_quantizer(encoder, 8 + 4 * i);
        g_ptr_array_add(packets, encode(encoder, &clip[i]));
    }
    for (guint frames = 1; frames <= 3; frames++)
        for (guint threads = 1; threads <= 3; threads++) {
            g_autoptr(M2tDecoder) decoder = open_decoder_of(threads, frames);

            g_assert_cmpuint(m2t_decoder_threads(decoder), ==, MAX(threads, frames)); /* already */
            for (guint i = 0; i < CLIP; i++) {
                if (m2t_decoder_pending(decoder) == frames)
                    g_assert_true(m2t_decoder_finish(decoder, NULL));
                start_packet(decoder, packets->pdata[i], &clip[i]);
            }
            while (m2t_decoder_pending(decoder) > 0)
                g_assert_true(m2t_decoder_finish(decoder, NULL));
            g_assert_cmpuint(m2t_decoder_threads(decoder), ==, MAX(threads, frames));
            for (guint i = 0; i < CLIP; i++) {
                expect_planes(&clip[i], packets->pdata[i]);
                memset(clip[i].memory, 0, clip[i].size);
            }
        }
    clear_clip(clip);
}

/* A packet whose checksums hold although the last of its symbols are missing. */
static GBytes *
damaged_inside(GBytes *packet)
{
    gsize size;
    gconstpointer data = g_bytes_get_data(packet, &size);
    M2tSliceBytes slice[M2T_SLICES_MAX];
    GByteArray *out = g_byte_array_new();
    M2tFrameHeader header;

    g_assert_true(m2t_frame_read(data, size, &header, slice, NULL));
    slice->size -= 2;
    slice->crc = m2t_crc32c(slice->data, slice->size);
    m2t_frame_write(out, &header, slice);
    return g_byte_array_free_to_bytes(out);
}

/* The middle one of three in flight is damaged, and the size changes after them. */
static void
test_frames_damage(void)
{
    g_autoptr(M2tEncoder) encoder = open_encoder(CLIP_WIDTH, CLIP_HEIGHT, 16, 1), large = open_encoder(130, 98, 16, 1);
    g_autoptr(M2tDecoder) decoder = open_decoder_of(3, 4);
    g_autoptr(GBytes) good = NULL, bad = NULL, other = NULL;
    GError *error = NULL;
    Planes in, in_large, out[4];

    planes_init(&in, CLIP_WIDTH, CLIP_HEIGHT);
    planes_init(&in_large, 130, 98);
    planes_draw(&in, 1);
    planes_draw(&in_large, 2);
    good = encode(encoder, &in);
    bad = damaged_inside(good);
    other = encode(large, &in_large);
    for (int i = 0; i < 4; i++)
        planes_init(&out[i], i < 3 ? CLIP_WIDTH : 130, i < 3 ? CLIP_HEIGHT : 98);

    start_packet(decoder, good, &out[0]);
    start_packet(decoder, bad, &out[1]);
    g_assert_false(m2t_decoder_open_frame(decoder, "rubbish", 7, NULL, &error)); /* disturbs nothing */
    g_assert_error(error, M2T_ERROR, M2T_ERROR_STREAM);
    g_clear_error(&error);
    g_assert_false(m2t_decoder_start(decoder, &out[2].picture, &error));
    g_assert_error(error, M2T_ERROR, M2T_ERROR_STREAM);
    g_clear_error(&error);
    start_packet(decoder, good, &out[2]);
    start_packet(decoder, other, &out[3]);

    g_assert_true(m2t_decoder_finish(decoder, NULL));
    g_assert_false(m2t_decoder_finish(decoder, &error));
    g_assert_error(error, M2T_ERROR, M2T_ERROR_STREAM);
    g_clear_error(&error);
    g_assert_true(m2t_decoder_finish(decoder, NULL));
    g_assert_true(m2t_decoder_finish(decoder, NULL));
    expect_planes(&out[0], good);
    expect_planes(&out[2], good);
    expect_planes(&out[3], other);
    for (int i = 0; i < 4; i++)
        planes_clear(&out[i]);
    planes_clear(&in);
    planes_clear(&in_large);
}

/* Reset and free in the middle of the work. */
static void
test_frames_thrown_away(void)
{
    g_autoptr(M2tEncoder) encoder = open_encoder_of(CLIP_WIDTH, CLIP_HEIGHT, 20, 2, 3, M2T_SPEED_PRESET_MEDIUM);
    g_autoptr(M2tDecoder) decoder = open_decoder_of(2, 3);
    g_autoptr(GBytes) packet = NULL;
    M2tPacket got;
    Planes clip[CLIP];

    draw_clip(clip);
    m2t_encoder_set_key_interval(encoder, 100);
    packet = encode(encoder, &clip[0]);
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < 3; i++) {
            g_assert_true(m2t_encoder_start(encoder, &clip[i].picture, FALSE, NULL));
            start_packet(decoder, packet, &clip[4 + i]);
        }
        if (turn)
            break; /* the rest is freed as it is */
        m2t_encoder_reset(encoder);
        m2t_decoder_reset(decoder);
        g_assert_cmpuint(m2t_encoder_pending(encoder), ==, 0);
        g_assert_cmpuint(m2t_decoder_pending(decoder), ==, 0);
        g_assert_true(m2t_encoder_encode(encoder, &clip[0].picture, FALSE, &got, NULL));
        g_assert_true(got.key);
        g_assert_cmpuint(got.number, ==, 4);
    }
    g_clear_pointer(&encoder, m2t_encoder_free);
    g_clear_pointer(&decoder, m2t_decoder_free);
    clear_clip(clip);
}

static void
test_frames_allocate_nothing(void)
{
    g_autoptr(M2tEncoder) encoder = NULL;
    g_autoptr(M2tDecoder) decoder = NULL;
    g_autoptr(GBytes) packet = NULL;
    gint before;
    Planes in, out[2];

    backend = "c";
    encoder = open_encoder_of(CLIP_WIDTH, CLIP_HEIGHT, 16, 2, 2, M2T_SPEED_PRESET_MEDIUM);
    decoder = open_decoder_of(2, 2);
    backend = NULL;
    m2t_encoder_set_key_interval(encoder, 1);
    planes_init(&in, CLIP_WIDTH, CLIP_HEIGHT);
    planes_draw(&in, 4);
    packet = encode(encoder, &in);
    for (int i = 0; i < 2; i++)
        planes_init(&out[i], CLIP_WIDTH, CLIP_HEIGHT);
    for (int turn = 0; turn < 3; turn++) {
        M2tPacket got;

        before = g_atomic_int_get(&allocations);
        for (int i = 0; i < 2; i++) {
            g_assert_true(m2t_encoder_start(encoder, &in.picture, FALSE, NULL));
            start_packet(decoder, packet, &out[i]);
        }
        for (int i = 0; i < 2; i++)
            g_assert_true(m2t_encoder_finish(encoder, &got, NULL) && m2t_decoder_finish(decoder, NULL));
    }
    g_assert_cmpint(g_atomic_int_get(&allocations), ==, before);
    for (int i = 0; i < 2; i++)
        planes_clear(&out[i]);
    planes_clear(&in);
    if (!COUNTS_ALLOCATIONS)
        g_test_skip("allocations are the sanitizer's here");
}

static gpointer
encode_in_thread(gpointer data)
{
    Planes in;
    GBytes *packet;
    M2tEncoder *encoder = open_encoder(80, 60, 20, 2);

    planes_init(&in, 80, 60);
    planes_draw(&in, 21);
    packet = encode(encoder, &in);
    m2t_encoder_free(encoder);
    planes_clear(&in);
    return packet;
}

static void
test_shared_model(void)
{
    GThread *thread[4];
    g_autoptr(GBytes) expected = encode_in_thread(NULL);

    for (int i = 0; i < 4; i++)
        thread[i] = g_thread_new("encode", encode_in_thread, NULL);
    for (int i = 0; i < 4; i++) {
        g_autoptr(GBytes) got = g_thread_join(thread[i]);

        g_assert_true(g_bytes_equal(got, expected));
    }
}

int
main(int argc, char **argv)
{
    GError *error = NULL;
    int result;

    g_test_init(&argc, &argv, NULL);
    model_path = vectors_path("tiny.m2tw");
    model = m2t_model_open(model_path, &error);
    g_assert_no_error(error);
    g_test_add_func("/codec/sizes", test_sizes);
    g_test_add_func("/codec/quantizer", test_quantizer);
    g_test_add_func("/codec/threads", test_threads);
    g_test_add_func("/codec/chains", test_chains);
    g_test_add_func("/codec/rounding", test_rounding);
    g_test_add_func("/codec/negative-stride", test_negative_stride);
    g_test_add_func("/codec/key-frames", test_key_frames);
    g_test_add_func("/codec/high-frame-rate", test_high_frame_rate);
    g_test_add_func("/codec/settings", test_settings);
    g_test_add_func("/codec/decoder-limits", test_limits_of_decoder);
    g_test_add_func("/codec/arena", test_arena);
    g_test_add_func("/codec/refused-key-frame", test_refused_key_frame);
    g_test_add_func("/codec/wrong-model", test_wrong_model);
    g_test_add_func("/codec/missing-planes", test_missing_planes);
    g_test_add_func("/codec/damage", test_damage);
    g_test_add_func("/codec/no-allocation", test_no_allocation);
    g_test_add_func("/codec/shared-model", test_shared_model);
    g_test_add_func("/codec/frames/encode", test_frames_encode);
    g_test_add_func("/codec/frames/decode", test_frames_decode);
    g_test_add_func("/codec/frames/damage", test_frames_damage);
    g_test_add_func("/codec/frames/thrown-away", test_frames_thrown_away);
    g_test_add_func("/codec/frames/no-allocation", test_frames_allocate_nothing);
    result = g_test_run();
    m2t_model_unref(model);
    g_free(model_path);
    return result;
}
