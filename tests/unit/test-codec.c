/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The public API from outside: pictures of all kinds of sizes through encoder and decoder, settings, errors, damage, and that nothing is allocated per frame. */
#include "planes.h"
#include "vectors.h"

#include <m2t/m2t.h>
#include <string.h>

static M2tModel *model;
static char *model_path;

/* Counts calls in this program and in the libraries below it. Sanitizers bring their own malloc, which must not be replaced. */
static gint allocations;
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define COUNTS_ALLOCATIONS 1
void *__libc_malloc(size_t size);
void *malloc(size_t size);

void *
malloc(size_t size)
{
    g_atomic_int_inc(&allocations);
    return __libc_malloc(size);
}
#else
#define COUNTS_ALLOCATIONS 0
#endif

/* oneDNN allocates on its own; what is counted is ours. */
static const char *backend;

static M2tEncoder *
open_encoder(int width, int height, double q, guint threads)
{
    M2tEncoderSettings settings;
    M2tVideoInfo video;
    GError *error = NULL;
    M2tEncoder *encoder;

    m2t_video_info_init(&video, (guint) width, (guint) height);
    m2t_encoder_settings_init(&settings);
    settings.quantizer = q;
    settings.threads = threads;
    settings.backend = backend;
    encoder = m2t_encoder_new(model, &video, &settings, &error);
    g_assert_no_error(error);
    return encoder;
}

static M2tDecoder *
open_decoder(guint threads)
{
    M2tDecoderSettings settings;
    GError *error = NULL;
    M2tDecoder *decoder;

    m2t_decoder_settings_init(&settings);
    settings.threads = threads;
    settings.backend = backend;
    decoder = m2t_decoder_new(model, &settings, &error);
    g_assert_no_error(error);
    return decoder;
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

/* More quantizer, fewer bits and less quality; and one decoder follows all changes of size. */
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
test_threads_and_strides(void)
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
}

static void
test_limits_of_decoder(void)
{
    g_autoptr(M2tEncoder) encoder = open_encoder(64, 64, 30, 1);
    M2tDecoderSettings settings;
    g_autoptr(M2tDecoder) decoder = NULL;
    g_autoptr(GBytes) packet = NULL;
    GError *error = NULL;
    Planes in;

    planes_init(&in, 64, 64);
    packet = encode(encoder, &in);
    m2t_decoder_settings_init(&settings);
    settings.max_samples = 64 * 63;
    decoder = m2t_decoder_new(model, &settings, NULL);
    g_assert_false(m2t_decoder_open_frame(decoder, g_bytes_get_data(packet, NULL), g_bytes_get_size(packet), NULL, &error));
    g_assert_error(error, M2T_ERROR, M2T_ERROR_UNSUPPORTED);
    g_clear_error(&error);
    g_assert_false(m2t_decoder_decode(decoder, &in.picture, &error));
    g_assert_error(error, M2T_ERROR, M2T_ERROR_STREAM);
    g_clear_error(&error);
    planes_clear(&in);
}

/* The identity in the header changed and the header's check mended: another model is needed. */
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
    planes_init(&in, 176, 144);
    planes_init(&out, 176, 144);
    planes_draw(&in, 4);
    first = encode(encoder, &in);
    decode(decoder, first, &out);
    before = g_atomic_int_get(&allocations);
    for (int i = 0; i < 3; i++) {
        m2t_encoder_encode(encoder, &in.picture, FALSE, &packet, NULL);
        m2t_decoder_open_frame(decoder, packet.data, packet.size, NULL, NULL);
        m2t_decoder_decode(decoder, &out.picture, NULL);
    }
    g_assert_cmpint(g_atomic_int_get(&allocations), ==, before);
    if (!COUNTS_ALLOCATIONS)
        g_test_skip("allocations are the sanitizer's here");
    planes_clear(&in);
    planes_clear(&out);
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
    g_test_add_func("/codec/threads", test_threads_and_strides);
    g_test_add_func("/codec/negative-stride", test_negative_stride);
    g_test_add_func("/codec/key-frames", test_key_frames);
    g_test_add_func("/codec/settings", test_settings);
    g_test_add_func("/codec/decoder-limits", test_limits_of_decoder);
    g_test_add_func("/codec/wrong-model", test_wrong_model);
    g_test_add_func("/codec/damage", test_damage);
    g_test_add_func("/codec/no-allocation", test_no_allocation);
    g_test_add_func("/codec/shared-model", test_shared_model);
    result = g_test_run();
    m2t_model_unref(model);
    g_free(model_path);
    return result;
}
