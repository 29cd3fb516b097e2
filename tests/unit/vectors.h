/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the golden vectors of tests/vectors (see the README there). Everything that goes wrong ends the test. */
#ifndef TESTS_VECTORS_H
#define TESTS_VECTORS_H

#include <glib.h>

typedef struct {
    GKeyFile *index;
    GMappedFile *data;
} Vectors;

/* @name: "stages" for stages.ini and stages.bin, in the directory M2T_TEST_VECTORS. */
Vectors vectors_open(const char *name);
void vectors_close(Vectors *vectors);

/* Path of a file there. Free with g_free(). */
char *vectors_path(const char *file);

/* The array CASE/ARRAY, or NULL if the case has none of this name. @bytes may be NULL. */
gconstpointer vectors_find(const Vectors *vectors, const char *test_case, const char *array, gsize *bytes);

int vectors_int(const Vectors *vectors, const char *test_case, const char *key);

#endif
