/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the golden vectors of tests/vectors (see the README there). Everything that goes wrong ends the test. */
#ifndef TESTS_VECTORS_H
#define TESTS_VECTORS_H

#include "codec/codec.h"
#include "planes.h"

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

/* The same for one that must be there, with this number of bytes. */
gconstpointer vectors_get(const Vectors *vectors, const char *test_case, const char *array, gsize bytes);

/* @got is what the array CASE/ARRAY says, and as long. */
void vectors_compare(const Vectors *vectors, const char *test_case, const char *array, gconstpointer got, gsize bytes);

int vectors_int(const Vectors *vectors, const char *test_case, const char *key);

/* The case's picture. Free with planes_clear(). */
void vectors_load_picture(const Vectors *vectors, const char *test_case, Planes *planes);

/* The latents that the reference codes. */
void vectors_load_latents(const Vectors *vectors, const char *test_case, M2tCodec *codec);

/* What the prior has now, with all tokens coded, is what the reference has. */
void vectors_compare_predictions(const Vectors *vectors, const char *test_case, const M2tCodec *codec);

#endif
