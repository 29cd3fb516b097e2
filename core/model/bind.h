/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the table of tensors and the model: every weight found, checked and pointed to. */
#ifndef M2T_MODEL_BIND_H
#define M2T_MODEL_BIND_H

#include "model/model.h"
#include "model/safetensors.h"

/* Reads the graph from the loaded @tensors and fills in all of @model that they hold. FALSE: M2T_ERROR_MODEL, naming the tensor. */
gboolean m2t_model_bind(M2tModel *model, M2tTensors *tensors, GError **error);

#endif
