/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What makes the prior decodable: a group never depends on itself or on a later one. Shown on random latents, for every group, and for both kinds of
 * masking. The one that masks the input only is compared with the Python reference here; test-stages.c does that for the other. */
#include "vectors.h"

#include <m2t/m2t.h>
#include <string.h>

static M2tModel *model; /* that of the tests that are on */
static M2tModel *m2t, *mt;
static Vectors vectors;
static const int sizes[][2] = {{16, 16}, {100, 60}, {128, 128}, {300, 200}};

static void
no_layout(M2tCodec *codec, gpointer stage)
{
}

static void
open_codec(M2tCodec *codec, const int *size)
{
    GError *error = NULL;

    m2t_codec_init(codec, model, m2t_gemm_find(NULL), 2, size[0], size[1], 1, no_layout, NULL, &error);
    g_assert_no_error(error);
    m2t_quant_set(&codec->quant, 120);
}

/* Other values for the latents of all slots from @first on, in channels from @channel on. */
static void
randomise(M2tCodec *codec, int first, int channel, guint32 seed)
{
    GRand *rng = g_rand_new_with_seed(seed);

    for (int slot = first; slot < codec->prior.plan.slots; slot++) {
        gint64 at = m2t_codec_position(codec, slot);

        for (int c = channel; at >= 0 && c < codec->model->latents; c++)
            codec->latents[at + c] = (gint16) g_rand_int_range(rng, -40, 41);
    }
    g_rand_free(rng);
}

static void
know_already(gpointer data, const M2tSpan *span, int part, int begin, int end)
{
}

static void
predict(M2tCodec *codec)
{
    static const M2tPriorFollower follower = {.take = know_already};

    m2t_prior_predict(&codec->prior, &codec->quant, codec->latents, &follower, NULL);
}

/* A part of slots @first...@end - 1 has the mean and level that it had before. */
static void
assert_unchanged(const M2tPrior *prior, const gint32 *mean, const guint8 *level, int part, int first, int end)
{
    const M2tPriorWeights *w = &prior->context->net->model->prior;
    gsize at = m2t_prior_place(prior, first, w->part_start[part], w->part_size[part]), count = (gsize) (end - first) * w->part_size[part];

    g_assert_cmpmem(prior->mean + at, count * sizeof *mean, mean + at, count * sizeof *mean);
    g_assert_cmpmem(prior->level + at, count, level + at, count);
}

static void
test_causal(gconstpointer size)
{
    M2tCodec codec = {0};
    const int *start;
    gsize count;
    g_autofree gint32 *mean = NULL;
    g_autofree guint8 *level = NULL;

    open_codec(&codec, size);
    start = codec.prior.plan.group_start;
    count = (gsize) codec.prior.plan.slots * codec.model->latents;
    randomise(&codec, 0, 0, 1);
    predict(&codec);
    mean = g_memdup2(codec.prior.mean, count * sizeof *mean);
    level = g_memdup2(codec.prior.level, count);
    for (int group = codec.model->prior.groups - 1; group >= 0; group--) {
        randomise(&codec, start[group], 0, 100 + group);
        predict(&codec);
        for (int part = 0; part < codec.model->prior.parts; part++) /* of the group itself: the first part, which sees none of it */
            assert_unchanged(&codec.prior, mean, level, part, 0, start[part ? group : group + 1]);
    }
    m2t_codec_clear(&codec);
}

/* The test above would also pass for a prior that looks at nothing: changing an early group must change what comes after. */
static void
test_listens(gconstpointer size)
{
    M2tCodec codec = {0};
    g_autofree gint32 *mean = NULL;
    gsize last, count; /* of the first part of the last group */

    open_codec(&codec, size);
    last = (gsize) codec.prior.plan.group_start[codec.model->prior.groups - 1] * codec.model->prior.part_size[0];
    count = (gsize) codec.prior.plan.slots * codec.model->prior.part_size[0] - last;
    randomise(&codec, 0, 0, 1);
    predict(&codec);
    mean = g_memdup2(codec.prior.mean + last, count * sizeof *mean);
    randomise(&codec, 0, 0, 2);
    predict(&codec);
    g_assert_true(memcmp(mean, codec.prior.mean + last, count * sizeof *mean));
    m2t_codec_clear(&codec);
}

static void
test_causal_mt(gconstpointer size)
{
    model = mt;
    test_causal(size);
    model = m2t;
}

static void
test_listens_mt(gconstpointer size)
{
    model = mt;
    test_listens(size);
    model = m2t;
}

static void
check_vector(const char *name, const M2tGemm *gemm, int threads)
{
    M2tCodec codec = {0};
    GError *error = NULL;

    m2t_codec_init(&codec, mt, gemm, threads, vectors_int(&vectors, name, "width"), vectors_int(&vectors, name, "height"), 1, no_layout, NULL, &error);
    g_assert_no_error(error);
    m2t_quant_set(&codec.quant, vectors_int(&vectors, name, "q4"));
    vectors_load_latents(&vectors, name, &codec);
    predict(&codec);
    vectors_compare_predictions(&vectors, name, &codec);
    m2t_codec_clear(&codec);
}

/* With every backend and build of the kernels. */
static void
test_vector(gconstpointer name)
{
    const M2tKernels *const *kernels = m2t_kernels_all();
    const M2tGemm *const *gemm = m2t_gemm_list();

    for (int k = 0; kernels[k]; k++) {
        g_setenv("M2T_CPU", kernels[k]->name, TRUE);
        for (int i = 0; gemm[i]; i++)
            check_vector(name, gemm[i], 1 + i % 3);
    }
    g_unsetenv("M2T_CPU");
}

static void
decode(const void *packet, gsize size, Planes *out)
{
    GError *error = NULL;
    g_autoptr(M2tDecoder) decoder = m2t_decoder_new(mt, NULL, NULL);

    m2t_decoder_open_frame(decoder, packet, size, NULL, &error);
    g_assert_no_error(error);
    m2t_decoder_decode(decoder, &out->picture, &error);
    g_assert_no_error(error);
}

/* The reference's packet gives the reference's picture; ours for the same picture gives one that is nearly as good. */
static void
test_packet(gconstpointer name)
{
    gsize size;
    const void *reference = vectors_find(&vectors, name, "packet", &size);
    g_autofree char *md5 = NULL, *expected_md5 = g_key_file_get_string(vectors.index, name, "md5", NULL);
    M2tEncoderSettings settings;
    M2tVideoInfo video;
    M2tPacket packet;
    GError *error = NULL;
    g_autoptr(M2tEncoder) encoder = NULL;
    Planes in, out, expected;

    g_assert_nonnull(reference);
    vectors_load_picture(&vectors, name, &in);
    planes_init(&out, in.width, in.height);
    planes_init(&expected, in.width, in.height);
    decode(reference, size, &expected);
    md5 = planes_md5(&expected);
    g_assert_cmpstr(md5, ==, expected_md5);

    m2t_video_info_init(&video, (guint) in.width, (guint) in.height);
    m2t_encoder_settings_init(&settings);
    settings.quantizer = vectors_int(&vectors, name, "q4") / 4.0;
    encoder = m2t_encoder_new(mt, &video, &settings, &error);
    g_assert_no_error(error);
    m2t_encoder_encode(encoder, &in.picture, FALSE, &packet, &error);
    g_assert_no_error(error);
    decode(packet.data, packet.size, &out);
    g_assert_cmpfloat(planes_psnr(&in, &out), >, planes_psnr(&in, &expected) - 1.5);
    planes_clear(&in);
    planes_clear(&out);
    planes_clear(&expected);
}

static M2tModel *
open_model(const char *name)
{
    g_autofree char *path = vectors_path(name);
    GError *error = NULL;
    M2tModel *opened = m2t_model_open(path, &error);

    g_assert_no_error(error);
    return opened;
}

static void
add_test(const char *kind, const char *name, gconstpointer data, GTestDataFunc test)
{
    g_autofree char *path = g_strdup_printf("/prior/%s/%s", kind, name);

    g_test_add_data_func(path, data, test);
}

int
main(int argc, char **argv)
{
    g_auto(GStrv) groups = NULL;
    int result;

    g_test_init(&argc, &argv, NULL);
    model = m2t = open_model("tiny.m2tw");
    mt = open_model("mt.m2tw");
    vectors = vectors_open("mt");
    groups = g_key_file_get_groups(vectors.index, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autofree char *name = g_strdup_printf("%dx%d", sizes[i][0], sizes[i][1]);

        add_test("causal", name, sizes[i], test_causal);
        add_test("causal-mt", name, sizes[i], test_causal_mt);
    }
    g_test_add_data_func("/prior/listens", sizes[3], test_listens);
    g_test_add_data_func("/prior/listens-mt", sizes[3], test_listens_mt);
    for (int i = 0; groups[i]; i++)
        if (!strchr(groups[i], '/')) {
            add_test("vector", groups[i], groups[i], test_vector);
            add_test("packet", groups[i], groups[i], test_packet);
        }
    result = g_test_run();
    m2t_model_unref(m2t);
    m2t_model_unref(mt);
    vectors_close(&vectors);
    return result;
}
