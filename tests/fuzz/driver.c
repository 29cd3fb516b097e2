/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Replays a corpus through a fuzz target in the ordinary tests: every file of the directories given. Of those named good-* there must be some, and
 * the target must accept them: a corpus that is turned away at the door shows nothing of what is behind it. */
#include "fuzz.h"

static int files, good;

static void
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
}

static void
replay_directory(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    if (!dir)
        g_error("%s can not be opened", path);
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *file = g_build_filename(path, name, NULL);

        replay_file(file);
        files++;
        if (!g_str_has_prefix(name, "good-"))
            continue;
        if (!fuzz_accepted)
            g_error("%s was not accepted", file);
        good++;
    }
}

int
main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        replay_directory(argv[i]);
    g_print("%d files, %d of them good\n", files, good);
    return good > 0 ? 0 : 1;
}
