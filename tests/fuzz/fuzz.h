/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a target is: libFuzzer calls it with bytes of its own, driver.c with the files of a corpus. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <glib.h>

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

/* Set by a target: whether the last input got to its end. The driver wants that of files named good-*. */
extern gboolean fuzz_accepted;

/* The model for tests, from the directory M2T_TEST_VECTORS. Static. */
static inline GBytes *
fuzz_tiny_model(void)
{
    static GBytes *bytes;

    if (!bytes) {
        g_autofree char *path = g_build_filename(g_getenv("M2T_TEST_VECTORS"), "tiny.m2tw", NULL);
        GMappedFile *file = g_mapped_file_new(path, FALSE, NULL);

        if (!file)
            g_error("%s is not there", path);
        bytes = g_mapped_file_get_bytes(file);
        g_mapped_file_unref(file);
    }
    return bytes;
}

#endif
