/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The outer layer of a model file: a table of named tensors (docs/model-format.md). What they mean is not known here. */
#ifndef M2T_MODEL_SAFETENSORS_H
#define M2T_MODEL_SAFETENSORS_H

#include <m2t/m2t-error.h>

#define M2T_FILE_MAX (64 << 20)     /* bytes */
#define M2T_TENSOR_DIMENSIONS 4     /* at most */
#define M2T_HASH_SIZE 32

typedef enum { M2T_I8, M2T_U8, M2T_I16, M2T_U16, M2T_I32, M2T_F32 } M2tType;

typedef struct {
    char *name;
    M2tType type;
    int dimensions;
    guint32 dimension[M2T_TENSOR_DIMENSIONS];
    gsize begin, size;      /* in the data section */
    const void *data;       /* aligned to 64 bytes, in the byte order of this machine */
    gboolean used;          /* for the reader's own account */
} M2tTensor;

typedef struct {
    M2tTensor *tensor;      /* [count], by name */
    guint count;
    guint8 claimed[M2T_HASH_SIZE]; /* the identity in the metadata */
    const guint8 *section;  /* the data section, the caller's memory */
    GBytes *memory;         /* holds the data of all tensors, NULL until they are loaded */
} M2tTensors;

/* "I8" and so on. */
const char *m2t_type_name(M2tType type);

/* Reads and checks header and layout. @data must stay as it is until m2t_tensors_load(). NULL: M2T_ERROR_MODEL. */
M2tTensors *m2t_tensors_read(const guint8 *data, gsize size, GError **error);

/* The identity as the data have it, M2T_HASH_SIZE bytes. */
void m2t_tensors_hash(const M2tTensors *tensors, guint8 *hash);

/* Checks the identity and copies the data to aligned memory. */
gboolean m2t_tensors_load(M2tTensors *tensors, GError **error);

/* NULL if there is none of this name. */
M2tTensor *m2t_tensors_find(const M2tTensors *tensors, const char *name);

void m2t_tensors_free(M2tTensors *tensors); /* NULL is allowed */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(M2tTensors, m2t_tensors_free)

#endif
