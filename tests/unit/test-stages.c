/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The stages against the vectors of the Python reference, with each backend, each build of the kernels and one to three threads: what a stage
 * hands on, and what it has in memory when it is done; then whole packets. */
#include "analysis/analysis.h"
#include "bitstream/frame.h"
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

static gsize
latents_count(const M2tCodec *codec)
{
    return (gsize) m2t_geometry_tokens(&codec->geometry) * codec->model->latents;
}

/* The residual stream behind the last block. */
static void
compare_stream(const char *test_case, const char *array, const M2tStage *stage)
{
    vectors_compare(&vectors, test_case, array, stage->stream, (gsize) stage->rows * stage->columns * stage->channels * sizeof *stage->stream);
}

static void
check_analysis(const char *test_case, Both *both, const Planes *in)
{
    M2tCodec *codec = &both->codec;

    m2t_analysis_load(&both->analysis, &in->picture);
    m2t_analysis_run(&both->analysis, &codec->quant, codec->latents, both->rest);
    vectors_compare(&vectors, test_case, "patches", both->analysis.patches, (gsize) m2t_geometry_tokens(&codec->geometry) * M2T_TOKEN_CHANNELS);
    compare_stream(test_case, "analysis.block8.1", &both->analysis.stage8);
    compare_stream(test_case, "analysis.block16.0", &both->analysis.stage16);
    vectors_compare(&vectors, test_case, "rounded", codec->latents, latents_count(codec) * sizeof *codec->latents);
}

/* What the last head has read. */
static void
check_state(const char *test_case, const M2tCodec *codec)
{
    const M2tPlan *plan = &codec->prior.plan;
    gsize width = codec->model->prior.width, count = (gsize) m2t_geometry_tokens(&codec->geometry) * width;
    g_autofree gint16 *state = g_new(gint16, count);

    for (int i = 0; i < plan->coded_start[plan->groups]; i++)
        memcpy(state + (gsize) plan->slot[plan->coded[i]].token * width, codec->prior.state + (gsize) i * width, width * sizeof *state);
    vectors_compare(&vectors, test_case, "prior.state.1", state, count * sizeof *state);
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
        check_state(test_case, codec);
        vectors_compare_predictions(&vectors, test_case, codec);
    }
}

/* What the filter starts from, in the order of patches. */
static void
check_values(const char *test_case, const M2tFilter *filter)
{
    int columns = filter->geometry.patch_columns, patches = filter->geometry.patch_rows * columns;
    g_autofree gint16 *values = g_new(gint16, (gsize) patches * M2T_PATCH_CHANNELS);
    gint16 *to = values;

    for (int patch = 0; patch < patches; patch++)
        for (int plane = 0; plane < 3; plane++) {
            int side = plane ? 4 : 8;
            const gint16 *line = filter->plane[plane] + patch / columns * side * filter->stride[plane] + patch % columns * side;

            for (int y = 0; y < side; y++, line += filter->stride[plane], to += side)
                memcpy(to, line, (gsize) side * sizeof *to);
        }
    vectors_compare(&vectors, test_case, "synthesis.v", values, (gsize) patches * M2T_PATCH_CHANNELS * sizeof *values);
}

static void
check_synthesis(const char *test_case, Both *both, Planes *out)
{
    g_autofree char *md5 = NULL, *expected = g_key_file_get_string(vectors.index, test_case, "md5", NULL);
    M2tCodec *codec = &both->codec;
    M2tSynthesis *synthesis = &both->synthesis;
    gsize count = latents_count(codec);

    memcpy(codec->centroid, vectors_get(&vectors, test_case, "centroid", count), count);
    m2t_codec_dequantise(codec, synthesis);
    vectors_compare(&vectors, test_case, "synthesis.dequantized", synthesis->values, count * sizeof *synthesis->values);
    m2t_synthesis_run(synthesis, &codec->quant, &out->picture);
    compare_stream(test_case, "synthesis.block16.1", &synthesis->stage16);
    compare_stream(test_case, "synthesis.block8.0", &synthesis->stage8);
    check_values(test_case, &synthesis->filter);
    md5 = planes_md5(out);
    g_assert_cmpstr(md5, ==, expected);
}

static void
check_case(const char *test_case, const M2tGemm *gemm, int threads)
{
    Both both = {0};
    GError *error = NULL;
    Planes in, out;

    vectors_load_picture(&vectors, test_case, &in);
    planes_init(&out, in.width, in.height);
    m2t_codec_init(&both.codec, model, gemm, threads, in.width, in.height, 1, layout_both, &both, &error);
    g_assert_no_error(error);
    m2t_quant_set(&both.codec.quant, vectors_int(&vectors, test_case, "q4"));
    check_analysis(test_case, &both, &in);
    vectors_load_latents(&vectors, test_case, &both.codec);
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

    g_assert_nonnull(packet);
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

    g_assert_nonnull(reference);
    vectors_load_picture(&vectors, name, &in);
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
