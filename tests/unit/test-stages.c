/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every stage against the vectors of the Python reference, with each backend, each build of the kernels and one to three threads: patches,
 * latents, the prior in one pass and step by step, samples, whole packets. */
#include "analysis/analysis.h"
#include "bitstream/frame.h"
#include "codec/codec.h"
#include "planes.h"
#include "synthesis/synthesis.h"
#include "vectors.h"

#include <m2t/m2t.h>
#include <string.h>

typedef struct {
    M2tCodec codec;
    M2tAnalysis analysis;
    M2tSynthesis synthesis;
    gint8 *rest;
} Both;

static Vectors vectors;
static M2tModel *model;

static void
layout_both(M2tCodec *codec, gpointer data)
{
    Both *both = data;

    m2t_analysis_layout(&both->analysis, &codec->arena, &codec->context, &codec->geometry);
    m2t_synthesis_layout(&both->synthesis, &codec->arena, &codec->context, &codec->geometry);
    both->rest = m2t_arena_take(&codec->arena, (gsize) m2t_geometry_tokens(&codec->geometry) * codec->model->latents, 1);
}

static void
assert_array(const char *test_case, const char *array, gconstpointer got)
{
    gsize bytes;
    gconstpointer expected = vectors_find(&vectors, test_case, array, &bytes);

    if (!expected)
        return; /* left out of the vectors to keep them small */
    if (memcmp(got, expected, bytes))
        g_error("%s: %s differs", test_case, array);
}

static void
load_picture(const char *test_case, Planes *planes)
{
    static const char *const name[3] = {"picture.y", "picture.u", "picture.v"};

    planes_init(planes, vectors_int(&vectors, test_case, "width"), vectors_int(&vectors, test_case, "height"));
    for (int i = 0; i < 3; i++) {
        gsize bytes;
        gconstpointer data = vectors_find(&vectors, test_case, name[i], &bytes);

        g_assert_nonnull(data);
        memcpy(planes->picture.data[i], data, bytes);
    }
}

static void
check_analysis(const char *test_case, Both *both, const Planes *in)
{
    M2tCodec *codec = &both->codec;

    m2t_analysis_load(&both->analysis, &in->picture);
    m2t_analysis_run(&both->analysis, &codec->quant, codec->latents, both->rest);
    assert_array(test_case, "patches", both->analysis.patches);
    assert_array(test_case, "rounded", codec->latents);
}

/* The latents that the reference codes. */
static void
load_latents(const char *test_case, M2tCodec *codec)
{
    gsize size;
    const gint16 *y = vectors_find(&vectors, test_case, "y", &size);

    g_assert_cmpuint(size, ==, (gsize) m2t_geometry_tokens(&codec->geometry) * codec->model->latents * sizeof *y);
    memcpy(codec->latents, y, size);
}

static void
check_predictions(const char *test_case, const M2tCodec *codec)
{
    gsize latents = codec->model->latents, tokens = (gsize) m2t_geometry_tokens(&codec->geometry);
    g_autofree gint32 *mean = g_new(gint32, tokens * latents);
    g_autofree guint8 *level = g_new(guint8, tokens * latents);
    const M2tPriorWeights *w = &codec->model->prior;

    for (int slot = 0; slot < codec->prior.plan.slots; slot++)
        for (int part = 0; part < w->parts && m2t_codec_position(codec, slot) >= 0; part++) {
            gsize n = w->part_size[part], from = m2t_prior_place(&codec->prior, slot, w->part_start[part], (int) n);
            gsize at = (gsize) m2t_codec_position(codec, slot) + w->part_start[part];

            memcpy(mean + at, codec->prior.mean + from, n * sizeof *mean);
            memcpy(level + at, codec->prior.level + from, n);
        }
    assert_array(test_case, "mean", mean);
    assert_array(test_case, "level", level);
}

static void
know_already(gpointer data, const M2tSpan *span, int part, int begin, int end)
{
}

/* Slice by slice, as a decoder does it, and chain by chain. */
static void
check_prior(const char *test_case, M2tCodec *codec)
{
    gsize count = (gsize) codec->prior.plan.slots * codec->model->latents;

    for (int chains = FALSE; chains <= TRUE; chains++) {
        M2tPriorFollower follower = {.chains = chains, .take = know_already};

        memset(codec->prior.mean, 0x55, count * sizeof *codec->prior.mean);
        memset(codec->prior.level, 0x55, count);
        m2t_prior_predict(&codec->prior, &codec->quant, codec->latents, &follower, NULL);
        check_predictions(test_case, codec);
    }
}

static void
check_synthesis(const char *test_case, Both *both, Planes *out)
{
    g_autofree char *md5 = NULL, *expected = g_key_file_get_string(vectors.index, test_case, "md5", NULL);
    gsize size;

    memcpy(both->codec.centroid, vectors_find(&vectors, test_case, "centroid", &size), (gsize) m2t_geometry_tokens(&both->codec.geometry) * model->latents);
    g_assert_cmpuint(size, ==, (gsize) m2t_geometry_tokens(&both->codec.geometry) * model->latents);
    m2t_codec_dequantise(&both->codec, &both->synthesis);
    m2t_synthesis_run(&both->synthesis, &both->codec.quant, &out->picture);
    md5 = planes_md5(out);
    g_assert_cmpstr(md5, ==, expected);
}

static void
check_case(const char *test_case, const M2tGemm *gemm, int threads)
{
    Both both = {0};
    GError *error = NULL;
    Planes in, out;

    load_picture(test_case, &in);
    planes_init(&out, in.width, in.height);
    m2t_codec_init(&both.codec, model, gemm, threads, in.width, in.height, 1, layout_both, &both, &error);
    g_assert_no_error(error);
    m2t_quant_set(&both.codec.quant, vectors_int(&vectors, test_case, "q4"));
    check_analysis(test_case, &both, &in);
    load_latents(test_case, &both.codec);
    check_prior(test_case, &both.codec);
    check_synthesis(test_case, &both, &out);
    m2t_codec_clear(&both.codec);
    planes_clear(&in);
    planes_clear(&out);
}

/* With all builds of the kernels, backends and threads: the vectors know one answer only. */
static void
test_case(gconstpointer name)
{
    const M2tKernels *const *kernels = m2t_kernels_all();
    const M2tGemm *const *gemm = m2t_gemm_list();

    for (int k = 0; kernels[k]; k++) {
        g_setenv("M2T_CPU", kernels[k]->name, TRUE);
        for (int i = 0; gemm[i]; i++)
            for (int threads = 1; threads <= 3; threads++)
                check_case(name, gemm[i], threads);
    }
    g_unsetenv("M2T_CPU");
}

static void
test_packet(gconstpointer name)
{
    gsize size;
    gconstpointer packet = vectors_find(&vectors, name, "packet", &size);
    GError *error = NULL;
    g_autoptr(M2tDecoder) decoder = m2t_decoder_new(model, NULL, &error);
    g_autofree char *md5 = NULL, *expected = g_key_file_get_string(vectors.index, name, "md5", NULL);
    M2tFrameInfo info;
    Planes out;

    g_assert_no_error(error);
    m2t_decoder_open_frame(decoder, packet, size, &info, &error);
    g_assert_no_error(error);
    g_assert_cmpint(info.number, ==, vectors_int(&vectors, name, "number"));
    planes_init(&out, (int) info.video.width, (int) info.video.height);
    m2t_decoder_decode(decoder, &out.picture, &error);
    g_assert_no_error(error);
    md5 = planes_md5(&out);
    g_assert_cmpstr(md5, ==, expected);
    planes_clear(&out);
}

/* Our packet for the picture of a vector: fewer bytes than the reference's, which takes the nearest value for every latent and knows no
 * exact tokens, for a picture nearly as good; or for a better one. */
static void
test_encode(gconstpointer name)
{
    gsize reference_size;
    gconstpointer reference = vectors_find(&vectors, name, "packet", &reference_size);
    M2tEncoderSettings settings;
    M2tVideoInfo video;
    M2tPacket packet;
    GError *error = NULL;
    g_autoptr(M2tEncoder) encoder = NULL;
    g_autoptr(M2tDecoder) decoder = m2t_decoder_new(model, NULL, NULL);
    Planes in, out, expected;

    load_picture(name, &in);
    planes_init(&out, in.width, in.height);
    planes_init(&expected, in.width, in.height);
    m2t_video_info_init(&video, (guint) in.width, (guint) in.height);
    m2t_encoder_settings_init(&settings);
    settings.quantizer = vectors_int(&vectors, name, "q4") / 4.0;
    encoder = m2t_encoder_new(model, &video, &settings, &error);
    g_assert_no_error(error);
    m2t_encoder_encode(encoder, &in.picture, FALSE, &packet, &error);
    g_assert_no_error(error);
    g_assert_true(m2t_decoder_open_frame(decoder, packet.data, packet.size, NULL, NULL));
    g_assert_true(m2t_decoder_decode(decoder, &out.picture, NULL));
    g_assert_true(m2t_decoder_open_frame(decoder, reference, reference_size, NULL, NULL));
    g_assert_true(m2t_decoder_decode(decoder, &expected.picture, NULL));
    /* lanes may differ */
    g_assert_true(packet.size <= reference_size + 8 || planes_psnr(&in, &out) > planes_psnr(&in, &expected));
    g_assert_cmpfloat(planes_psnr(&in, &out), >, planes_psnr(&in, &expected) - 1.5);
    planes_clear(&in);
    planes_clear(&out);
    planes_clear(&expected);
}

/* What few inputs that are not zero add up to, one by one (@linear->pairs) and in a product. @wide: of the input in scratch->hi and ->lo, else in ->a */
static void
check_sparse(const M2tContext *context, const M2tLinear *linear, gboolean wide)
{
    M2tScratch *scratch = context->scratch;
    M2tLinear dense = *linear;
    int n = linear->weights->n, k = linear->weights->k, m = 5;
    g_autofree gint32 *sparse_out = g_new0(gint32, m * n), *dense_out = g_new0(gint32, m * n);

    g_assert_nonnull(linear->pairs);
    dense.pairs = NULL;
    memset(scratch->a, 0, (gsize) m * k);
    memset(scratch->hi, 0, (gsize) m * k);
    memset(scratch->lo, 0, (gsize) m * k);
    for (int i = 0; i < m * k / 16; i++) {
        scratch->a[g_test_rand_int_range(0, m * k)] = (gint8) g_test_rand_int_range(-127, 128);
        scratch->hi[g_test_rand_int_range(0, m * k)] = (gint8) g_test_rand_int_range(-127, 128);
        scratch->lo[g_test_rand_int_range(0, m * k)] = (gint8) g_test_rand_int_range(-64, 64);
    }
    for (int i = 0; i < 2; i++) {
        const M2tLinear *layer = i ? &dense : linear;
        gint32 *out = i ? dense_out : sparse_out;

        if (wide)
            m2t_linear_run_wide(context, scratch, layer, NULL, m, M2T_STORE_TO32, out);
        else
            m2t_linear_run(context, scratch, layer, NULL, scratch->a, m, M2T_STORE_TO32, out);
    }
    g_assert_cmpmem(sparse_out, (gsize) (m * n) * sizeof *sparse_out, dense_out, (gsize) (m * n) * sizeof *dense_out);
}

static void
test_sparse(void)
{
    for (const M2tGemm *const *gemm = m2t_gemm_list(); *gemm; gemm++) {
        M2tNet *net = m2t_net_acquire(model, *gemm);
        M2tContext context;

        m2t_context_init(&context, net, 1, 16);
        for (const M2tKernels *const *kernels = m2t_kernels_all(); *kernels; kernels++) {
            context.kernels = *kernels;
            check_sparse(&context, &net->synthesis.in, TRUE);
            check_sparse(&context, &net->synthesis.shortcut, TRUE);
            check_sparse(&context, &net->embed, FALSE);
        }
        m2t_context_clear(&context);
        m2t_net_release(net);
    }
}

static void
add_test(const char *kind, const char *name, GTestDataFunc test)
{
    g_autofree char *path = g_strdup_printf("/stages/%s/%s", kind, name);

    g_test_add_data_func(path, name, test);
}

int
main(int argc, char **argv)
{
    g_autofree char *path = NULL;
    g_auto(GStrv) groups = NULL;
    GError *error = NULL;
    int result;

    g_test_init(&argc, &argv, NULL);
    path = vectors_path("tiny.m2tw");
    model = m2t_model_open(path, &error);
    g_assert_no_error(error);
    vectors = vectors_open("stages");
    groups = g_key_file_get_groups(vectors.index, NULL);
    for (int i = 0; groups[i]; i++)
        if (!strchr(groups[i], '/')) {
            add_test("vectors", groups[i], test_case);
            add_test("packet", groups[i], test_packet);
            add_test("encode", groups[i], test_encode);
        }
    g_test_add_func("/stages/sparse", test_sparse);
    result = g_test_run();
    m2t_model_unref(model);
    vectors_close(&vectors);
    return result;
}
