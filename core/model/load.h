/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening a model from memory, for those who found it. */
#ifndef M2T_MODEL_LOAD_H
#define M2T_MODEL_LOAD_H

#include <m2t/m2t-model.h>

/* @label: where @data come from, for messages. @identity: of the model wanted, or NULL for any; another one is refused
 * with M2T_ERROR_WRONG_MODEL by its header alone, before the long checks. */
M2tModel *m2t_model_load(const guint8 *data, gsize size, const char *label, const guint8 *identity, GError **error);

/* @identity as text; free with g_free(). */
char *m2t_identity_hex(const guint8 *identity);

#endif
