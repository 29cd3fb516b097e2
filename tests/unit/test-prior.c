/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What makes the prior decodable: a group never depends on itself or on a later one. Shown on random latents, for every group. */
#include "codec/codec.h"
#include "vectors.h"

#include <string.h>

static M2tModel *model;
static const int sizes[][2] = {{16, 16}, {100, 60}, {128, 128}, {300, 200}};

static void
no_layout(M2tCodec *codec, gpointer stage)
{
}

static void
open_codec(M2tCodec *codec, const int *size)
{
    GError *error = NULL;

    m2t_codec_init(codec, model, m2t_gemm_find(NULL), 2, size[0], size[1], no_layout, NULL, &error);
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
predict(M2tCodec *codec)
{
    int last = codec->model->prior.groups - 1;

    m2t_prior_run(&codec->prior, &codec->quant, codec->latents, 0, last);
    for (int part = 0; part < codec->model->prior.parts; part++)
        m2t_prior_heads(&codec->prior, &codec->quant, codec->latents, 0, last, part);
}

static void
test_causal(gconstpointer size)
{
    M2tCodec codec = {0};
    gsize latents, count;
    g_autofree gint32 *mean = NULL;
    g_autofree guint8 *level = NULL;

    open_codec(&codec, size);
    latents = codec.model->latents;
    count = codec.prior.plan.slots * latents;
    randomise(&codec, 0, 0, 1);
    predict(&codec);
    mean = g_memdup2(codec.prior.mean, count * sizeof *mean);
    level = g_memdup2(codec.prior.level, count);
    for (int group = codec.model->prior.groups - 1; group >= 0; group--) {
        gsize known = codec.prior.plan.group_start[group] * latents;
        gsize ahead = codec.prior.plan.group_start[group + 1] * latents;

        randomise(&codec, codec.prior.plan.group_start[group], 0, 100 + group);
        predict(&codec);
        g_assert_cmpmem(codec.prior.mean, known * sizeof *mean, mean, known * sizeof *mean);
        g_assert_cmpmem(codec.prior.level, known, level, known);
        for (gsize slot = known; slot < ahead; slot += latents) { /* of the group itself: the first part, which sees none of it */
            gsize first_part = codec.model->prior.part_size[0];

            g_assert_cmpmem(codec.prior.mean + slot, first_part * sizeof *mean, mean + slot, first_part * sizeof *mean);
            g_assert_cmpmem(codec.prior.level + slot, first_part, level + slot, first_part);
        }
    }
    m2t_codec_clear(&codec);
}

/* The test above would also pass for a prior that looks at nothing: changing an early group must change what comes after. */
static void
test_listens(gconstpointer size)
{
    M2tCodec codec = {0};
    gsize latents, last;
    g_autofree gint32 *mean = NULL;

    open_codec(&codec, size);
    latents = codec.model->latents;
    last = codec.prior.plan.group_start[codec.model->prior.groups - 1] * latents;
    randomise(&codec, 0, 0, 1);
    predict(&codec);
    mean = g_memdup2(codec.prior.mean + last, (codec.prior.plan.slots * latents - last) * sizeof *mean);
    randomise(&codec, 0, 0, 2);
    predict(&codec);
    g_assert_true(memcmp(mean, codec.prior.mean + last, (codec.prior.plan.slots * latents - last) * sizeof *mean));
    m2t_codec_clear(&codec);
}

int
main(int argc, char **argv)
{
    g_autofree char *path = NULL;
    GError *error = NULL;
    int result;

    g_test_init(&argc, &argv, NULL);
    path = vectors_path("tiny.m2tw");
    model = m2t_model_open(path, &error);
    g_assert_no_error(error);
    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autofree char *causal = g_strdup_printf("/prior/causal/%dx%d", sizes[i][0], sizes[i][1]);

        g_test_add_data_func(causal, sizes[i], test_causal);
    }
    g_test_add_data_func("/prior/listens", sizes[3], test_listens);
    result = g_test_run();
    m2t_model_unref(model);
    return result;
}
