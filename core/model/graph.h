/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The graph of a model: the sizes of everything, read from JSON into the model. */
#ifndef M2T_MODEL_GRAPH_H
#define M2T_MODEL_GRAPH_H

#include "model/model.h"

/* Fills in every size of @model, and its name. FALSE: M2T_ERROR_MODEL, naming the member. */
gboolean m2t_graph_read(M2tModel *model, const char *text, gsize size, GError **error);

#endif
