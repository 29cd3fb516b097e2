/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds model files by path, by name and by identity: in the directories of M2T_MODEL_PATH and the installed data directory, in
 * this order, and reads them. Messages name every place that was tried. */
#include "model/load.h"
#include "model/safetensors.h"

#include <glib/gstdio.h>

#include <errno.h>
#include <string.h>

#define SUFFIX ".m2tw"
#define FIRST_READ (1 << 20)
#define HINT "M2T_MODEL_PATH may name more directories"

static GPtrArray *
search_directories(void)
{
    GPtrArray *directories = g_ptr_array_new_with_free_func(g_free);
    const char *variable = g_getenv("M2T_MODEL_PATH");
    g_auto(GStrv) parts = g_strsplit(variable ? variable : "", G_SEARCHPATH_SEPARATOR_S, -1);

    for (int i = 0; parts[i]; i++) {
        if (*parts[i])
            g_ptr_array_add(directories, g_strdup(parts[i]));
    }
    g_ptr_array_add(directories, g_strdup(M2T_MODEL_DIR));
    return directories;
}

static int
compare_paths(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

/* The model files of one directory, by name. Only regular files: a pipe among them would stop a search. */
static GPtrArray *
list_directory(const char *directory)
{
    GPtrArray *paths = g_ptr_array_new();
    GDir *dir = g_dir_open(directory, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        char *path = g_build_filename(directory, name, NULL);

        if (g_str_has_suffix(name, SUFFIX) && g_file_test(path, G_FILE_TEST_IS_REGULAR))
            g_ptr_array_add(paths, path);
        else
            g_free(path);
    }
    if (dir)
        g_dir_close(dir);
    g_ptr_array_sort(paths, compare_paths);
    return paths;
}

char **
m2t_model_list(void)
{
    g_autoptr(GPtrArray) directories = search_directories();
    GPtrArray *list = g_ptr_array_new();

    for (guint i = 0; i < directories->len; i++)
        g_ptr_array_extend_and_steal(list, list_directory(directories->pdata[i]));
    g_ptr_array_add(list, NULL);
    return (char **) g_ptr_array_free(list, FALSE);
}

/* Reads in steps that double, so that the memory follows what really comes, whatever kind of file it is, and stops a byte above what
 * a model may have. */
static gboolean
read_stream(FILE *stream, GByteArray *data)
{
    gsize step = FIRST_READ, count;

    do {
        guint start = data->len;

        g_byte_array_set_size(data, MIN(start + step, M2T_FILE_MAX + 1));
        count = fread(data->data + start, 1, data->len - start, stream);
        g_byte_array_set_size(data, start + count);
        step = data->len;
    } while (count > 0 && data->len <= M2T_FILE_MAX);
    return !ferror(stream);
}

static GByteArray *
read_file(const char *path, GError **error)
{
    g_autoptr(GByteArray) data = g_byte_array_new();
    FILE *stream = g_fopen(path, "rb");
    gboolean complete = stream && read_stream(stream, data);

    if (!complete)
        g_set_error(error, M2T_ERROR, M2T_ERROR_NOT_FOUND, "%s: %s", path, g_strerror(errno));
    if (stream)
        fclose(stream);
    return complete ? g_steal_pointer(&data) : NULL;
}

static M2tModel *
open_path(const char *path, const guint8 *identity, GError **error)
{
    g_autoptr(GByteArray) data = read_file(path, error);

    return data ? m2t_model_load(data->data, data->len, path, identity, error) : NULL;
}

static gboolean
is_path(const char *name)
{
    return strchr(name, '/') || strchr(name, G_DIR_SEPARATOR) || g_str_has_suffix(name, SUFFIX);
}

/* The first file that is there decides: a damaged one is an error, not a reason to take another. */
static M2tModel *
open_installed(const char *name, GError **error)
{
    g_autoptr(GPtrArray) directories = search_directories();
    g_autoptr(GString) tried = g_string_new(NULL);

    for (guint i = 0; i < directories->len; i++) {
        g_autofree char *file = g_strconcat(name, SUFFIX, NULL);
        g_autofree char *path = g_build_filename(directories->pdata[i], file, NULL);

        if (g_file_test(path, G_FILE_TEST_EXISTS))
            return open_path(path, NULL, error);
        g_string_append_printf(tried, "%s%s", i ? ", " : "", path);
    }
    g_set_error(error, M2T_ERROR, M2T_ERROR_NOT_FOUND, "model \"%s\" not found, looked for %s; " HINT, name, tried->str);
    return NULL;
}

/* Names of files are any bytes, messages are text. */
static void
make_readable(GError **error)
{
    char *message;

    if (!error || !*error)
        return;
    message = g_utf8_make_valid((*error)->message, -1);
    g_free((*error)->message);
    (*error)->message = message;
}

M2tModel *
m2t_model_open(const char *name, GError **error)
{
    M2tModel *model;

    if (!name)
        name = M2T_MODEL_DEFAULT;
    model = is_path(name) ? open_path(name, NULL, error) : open_installed(name, error);
    make_readable(error);
    return model;
}

static void
not_installed(const guint8 *identity, const GString *found, GError **error)
{
    g_autofree char *hex = m2t_identity_hex(identity);

    if (found->len > 0) {
        g_set_error(error, M2T_ERROR, M2T_ERROR_WRONG_MODEL, "the stream was made with model %s, which is not installed; found: %s; " HINT,
                    hex, found->str);
    } else {
        g_autoptr(GPtrArray) directories = search_directories();
        g_autofree char *list = NULL;

        g_ptr_array_add(directories, NULL);
        list = g_strjoinv(", ", (char **) directories->pdata);
        g_set_error(error, M2T_ERROR, M2T_ERROR_WRONG_MODEL, "the stream was made with model %s; there is no model in %s; " HINT,
                    hex, list);
    }
}

M2tModel *
m2t_model_open_identity(const guint8 *identity, GError **error)
{
    g_auto(GStrv) paths = m2t_model_list();
    g_autoptr(GString) found = g_string_new(NULL);

    g_return_val_if_fail(identity != NULL, NULL);

    for (int i = 0; paths[i]; i++) {
        g_autoptr(GError) problem = NULL;
        M2tModel *model = open_path(paths[i], identity, &problem);

        if (model)
            return model;
        g_string_append_printf(found, "%s%s", found->len ? ", " : "", problem->message);
    }
    not_installed(identity, found, error);
    make_readable(error);
    return NULL;
}
