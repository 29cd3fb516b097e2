/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An index for GKeyFile and a file of bytes. */
#include "vectors.h"

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
