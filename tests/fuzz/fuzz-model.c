/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Model files. The first byte chooses: a whole file; the text of a graph; or changes to the small model, three bytes of place and
 * one of value each. A hash would stop all but the right file, so it is made to agree. Accepted: the model could be used, the graph is one. */
#include "fuzz.h"

#include "model/bind.h"
#include "model/graph.h"

#include <string.h>

gboolean fuzz_accepted;

static M2tModel *
empty_model(void)
{
    M2tModel *model = g_new0(M2tModel, 1);

    g_atomic_ref_count_init(&model->refs);
    return model;
}

static void
read_file(const guint8 *data, gsize size)
{
    g_autoptr(M2tTensors) tensors = m2t_tensors_read(data, size, NULL);
    M2tModel *model;

    if (!tensors)
        return;
    m2t_tensors_hash(tensors, tensors->claimed);
    m2t_tensors_load(tensors, NULL);
    model = empty_model();
    fuzz_accepted = m2t_model_bind(model, tensors, NULL);
    m2t_model_unref(model);
}

static void
read_graph(const guint8 *data, gsize size)
{
    M2tModel *model = empty_model();

    fuzz_accepted = m2t_graph_read(model, (const char *) data, size, NULL);
    m2t_model_unref(model);
}

static void
read_changed(const guint8 *data, gsize size)
{
    gsize file_size;
    gconstpointer file = g_bytes_get_data(fuzz_tiny_model(), &file_size);
    g_autofree guint8 *copy = g_memdup2(file, file_size);

    for (; size >= 4; size -= 4, data += 4)
        copy[(data[0] | data[1] << 8 | data[2] << 16) % file_size] = data[3];
    read_file(copy, file_size);
}

int
LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    fuzz_accepted = FALSE;
    if (size < 1)
        return 0;
    if (data[0] % 3 == 0)
        read_file(data + 1, size - 1);
    else if (data[0] % 3 == 1)
        read_graph(data + 1, size - 1);
    else
        read_changed(data + 1, size - 1);
    return 0;
}
