/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A model: the trained weights and tables of one codec, read from a file (docs/model-format.md), checked and never
 * changed afterwards. Reference counted; may be shared by encoders and decoders in any threads. */
#ifndef M2T_MODEL_H
#define M2T_MODEL_H

#include <m2t/m2t-error.h>

G_BEGIN_DECLS

#define M2T_MODEL_IDENTITY_SIZE 16
#define M2T_MODEL_DEFAULT "standard"

typedef struct _M2tModel M2tModel;

/* Opens a model. @name: a path (anything with a '/' or ending in ".m2tw"), or the name of an installed model such as
 * "standard" (NULL: M2T_MODEL_DEFAULT), looked for as NAME.m2tw in the directories of M2T_MODEL_PATH (colon separated)
 * and in the installed data directory, in this order. The file is read whole and checked whole: sizes,
 * names, types, ranges, hash, bounds of sums.
 * Returns: a new reference, or NULL with M2T_ERROR_NOT_FOUND (naming what was tried) or M2T_ERROR_MODEL (naming the
 * tensor). Any thread. */
M2T_API M2tModel *m2t_model_open(const char *name, GError **error);

/* The same for a model that is in memory; @data is copied, @label stands for the file's name in messages. */
M2T_API M2tModel *m2t_model_open_memory(const void *data, gsize size, const char *label, GError **error);

/* Opens the installed model with this identity (M2T_MODEL_IDENTITY_SIZE bytes), searching the same directories.
 * Returns: a new reference, or NULL with M2T_ERROR_WRONG_MODEL, naming the identity and what was found instead. */
M2T_API M2tModel *m2t_model_open_identity(const guint8 *identity, GError **error);

/* The paths of all model files in the search directories, first found first. Free with g_strfreev(). Any thread. */
M2T_API char **m2t_model_list(void);

M2T_API M2tModel *m2t_model_ref(M2tModel *model);
M2T_API void m2t_model_unref(M2tModel *model); /* NULL is allowed */

/* Facts about a model; strings live as long as it does. Any thread. */
M2T_API const char *m2t_model_name(const M2tModel *model);          /* from the graph, such as "standard" */
M2T_API const char *m2t_model_path(const M2tModel *model);          /* or the label */
M2T_API const guint8 *m2t_model_identity(const M2tModel *model);    /* M2T_MODEL_IDENTITY_SIZE bytes */
M2T_API const char *m2t_model_identity_hex(const M2tModel *model);  /* the same as 32 hexadecimal digits */
M2T_API gsize m2t_model_bytes(const M2tModel *model);               /* size of the file */
M2T_API double m2t_model_decode_cost(const M2tModel *model);        /* multiply-accumulates per luma sample, each weight once, those of an MT prior once for each group: prior, synthesis */
M2T_API double m2t_model_encode_cost(const M2tModel *model);        /* the same: prior, analysis */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(M2tModel, m2t_model_unref)

G_END_DECLS

#endif
