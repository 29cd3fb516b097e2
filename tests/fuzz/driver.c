/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Replays a corpus through a fuzz target in the ordinary tests: every file of the directories given. */
#include "fuzz.h"

static int
replay_file(const char *path)
{
    g_autofree char *data = NULL;
    gsize size;
    guint8 *copy;

    if (!g_file_get_contents(path, &data, &size, NULL))
        g_error("%s can not be read", path);
    copy = g_memdup2(data, MAX(size, 1)); /* ends where the data do, unlike what GLib reads */
    LLVMFuzzerTestOneInput(copy, size);
    g_free(copy);
    return 1;
}

static int
replay_directory(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;
    int files = 0;

    if (!dir)
        g_error("%s can not be opened", path);
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *file = g_build_filename(path, name, NULL);

        files += replay_file(file);
    }
    return files;
}

int
main(int argc, char **argv)
{
    int files = 0;

    for (int i = 1; i < argc; i++)
        files += replay_directory(argv[i]);
    g_print("%d files\n", files);
    return files > 0 ? 0 : 77;
}
