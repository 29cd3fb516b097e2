/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An index for GKeyFile and a file of bytes. */
#include "vectors.h"

#include <string.h>

char *
vectors_path(const char *file)
{
    return g_build_filename(g_getenv("M2T_TEST_VECTORS"), file, NULL);
}

Vectors
vectors_open(const char *name)
{
    Vectors v = {g_key_file_new(), NULL};
    g_autofree char *path = vectors_path(name), *index = g_strconcat(path, ".ini", NULL), *data = g_strconcat(path, ".bin", NULL);
    GError *error = NULL;

    g_key_file_load_from_file(v.index, index, G_KEY_FILE_NONE, &error);
    g_assert_no_error(error);
    v.data = g_mapped_file_new(data, FALSE, &error);
    g_assert_no_error(error);
    return v;
}

void
vectors_close(Vectors *v)
{
    g_key_file_unref(v->index);
    g_mapped_file_unref(v->data);
}

int
vectors_int(const Vectors *v, const char *test_case, const char *key)
{
    GError *error = NULL;
    int value = g_key_file_get_integer(v->index, test_case, key, &error);

    g_assert_no_error(error);
    return value;
}

gconstpointer
vectors_find(const Vectors *v, const char *test_case, const char *array, gsize *bytes)
{
    g_autofree char *group = g_strconcat(test_case, "/", array, NULL);
    gsize offset, size;

    if (!g_key_file_has_group(v->index, group))
        return NULL;
    offset = (gsize) vectors_int(v, group, "offset");
    size = (gsize) vectors_int(v, group, "bytes");
    g_assert_cmpuint(offset + size, <=, g_mapped_file_get_length(v->data));
    if (bytes)
        *bytes = size;
    return g_mapped_file_get_contents(v->data) + offset;
}

gconstpointer
vectors_get(const Vectors *v, const char *test_case, const char *array, gsize bytes)
{
    gsize size;
    gconstpointer data = vectors_find(v, test_case, array, &size);

    if (!data)
        g_error("%s: there is no %s", test_case, array);
    if (size != bytes)
        g_error("%s: %s has %" G_GSIZE_FORMAT " bytes, not %" G_GSIZE_FORMAT, test_case, array, size, bytes);
    return data;
}

void
vectors_compare(const Vectors *v, const char *test_case, const char *array, gconstpointer got, gsize bytes)
{
    if (memcmp(got, vectors_get(v, test_case, array, bytes), bytes))
        g_error("%s: %s differs", test_case, array);
}

void
vectors_load_picture(const Vectors *v, const char *test_case, Planes *planes)
{
    static const char *const name[3] = {"picture.y", "picture.u", "picture.v"};

    planes_init(planes, vectors_int(v, test_case, "width"), vectors_int(v, test_case, "height"));
    for (int i = 0; i < 3; i++) {
        gsize rows = (gsize) (i ? (planes->height + 1) / 2 : planes->height), bytes = rows * (gsize) planes->picture.stride[i];

        memcpy(planes->picture.data[i], vectors_get(v, test_case, name[i], bytes), bytes);
    }
}

void
vectors_load_latents(const Vectors *v, const char *test_case, M2tCodec *codec)
{
    gsize bytes = (gsize) m2t_geometry_tokens(&codec->geometry) * codec->model->latents * sizeof *codec->latents;

    memcpy(codec->latents, vectors_get(v, test_case, "y", bytes), bytes);
}

void
vectors_compare_predictions(const Vectors *v, const char *test_case, const M2tCodec *codec)
{
    const M2tPrior *prior = &codec->prior;
    const M2tPriorWeights *w = &codec->model->prior;
    gsize count = (gsize) m2t_geometry_tokens(&codec->geometry) * codec->model->latents;
    g_autofree gint32 *mean = g_new(gint32, count);
    g_autofree guint8 *level = g_new(guint8, count);

    for (int i = 0; i < prior->plan.coded_start[w->groups]; i++)
        for (int part = 0; part < w->parts; part++) {
            int slot = prior->plan.coded[i];
            gsize n = w->part_size[part], from = m2t_prior_place(prior, slot, w->part_start[part], (int) n);
            gsize at = (gsize) m2t_codec_position(codec, slot) + w->part_start[part];

            memcpy(mean + at, prior->mean + from, n * sizeof *mean);
            memcpy(level + at, prior->level + from, n);
        }
    vectors_compare(v, test_case, "mean", mean, count * sizeof *mean);
    vectors_compare(v, test_case, "level", level, count);
}
