/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A model from the bytes of its file to the struct that the stages read: table of tensors, identity, graph, weights, each checked
 * before the next. Nothing changes a model afterwards, so that any number of encoders and decoders share one. */
#include "model/model.h"
#include "model/bind.h"
#include "model/load.h"

#include <string.h>

#define PATCH_SAMPLES 64 /* luma samples of a patch and of a token */
#define TOKEN_SAMPLES 256

static void
set_identity(M2tModel *model, const guint8 *hash)
{
    g_autofree char *hex = m2t_identity_hex(hash);

    memcpy(model->identity, hash, sizeof model->identity);
    g_strlcpy(model->identity_hex, hex, sizeof model->identity_hex);
}

static gboolean
fill_model(M2tModel *model, M2tTensors *tensors, GError **error)
{
    if (!m2t_tensors_load(tensors, error) || !m2t_model_bind(model, tensors, error))
        return FALSE;
    set_identity(model, tensors->claimed);
    model->tensors = g_bytes_ref(tensors->memory);
    return TRUE;
}

static gboolean
is_wanted(const M2tTensors *tensors, const guint8 *identity, GError **error)
{
    g_autofree char *hex = NULL;

    if (!identity || memcmp(tensors->claimed, identity, M2T_MODEL_IDENTITY_SIZE) == 0)
        return TRUE;
    hex = m2t_identity_hex(tensors->claimed);
    g_set_error(error, M2T_ERROR, M2T_ERROR_WRONG_MODEL, "is %s", hex);
    return FALSE;
}

M2tModel *
m2t_model_load(const guint8 *data, gsize size, const char *label, const guint8 *identity, GError **error)
{
    g_autoptr(M2tTensors) tensors = m2t_tensors_read(data, size, error);
    g_autoptr(M2tModel) model = g_new0(M2tModel, 1);

    g_atomic_ref_count_init(&model->refs);
    model->path = g_strdup(label);
    model->file_size = size;
    if (!tensors || !is_wanted(tensors, identity, error) || !fill_model(model, tensors, error)) {
        g_prefix_error(error, "%s: ", label);
        return NULL;
    }
    return g_steal_pointer(&model);
}

M2tModel *
m2t_model_open_memory(const void *data, gsize size, const char *label, GError **error)
{
    g_return_val_if_fail((data != NULL || size == 0) && label != NULL, NULL);

    return m2t_model_load(data, size, label, NULL, error);
}

M2tModel *
m2t_model_ref(M2tModel *model)
{
    g_return_val_if_fail(model != NULL, NULL);

    g_atomic_ref_count_inc(&model->refs);
    return model;
}

void
m2t_model_unref(M2tModel *model)
{
    if (!model || !g_atomic_ref_count_dec(&model->refs))
        return;
    g_clear_pointer(&model->tensors, g_bytes_unref);
    g_free(model->path);
    g_free(model->name);
    g_free(model);
}

char *
m2t_identity_hex(const guint8 *identity)
{
    GString *hex = g_string_new(NULL);

    for (int i = 0; i < M2T_MODEL_IDENTITY_SIZE; i++)
        g_string_append_printf(hex, "%02x", identity[i]);
    return g_string_free(hex, FALSE);
}

const char *
m2t_model_name(const M2tModel *model)
{
    return model->name;
}

const char *
m2t_model_path(const M2tModel *model)
{
    return model->path;
}

const guint8 *
m2t_model_identity(const M2tModel *model)
{
    return model->identity;
}

const char *
m2t_model_identity_hex(const M2tModel *model)
{
    return model->identity_hex;
}

gsize
m2t_model_bytes(const M2tModel *model)
{
    return model->file_size;
}

/* ---- costs: multiply-accumulates for each luma sample ---- */

/* Each weight once, however many int8 products a layer with 15-bit parts is put together from. */
static double
linear_cost(const M2tLinearWeights *linear)
{
    return (double) linear->n * linear->k;
}

static double
blocks_cost(const M2tBlockWeights *blocks, int count, int channels)
{
    double cost = 0;

    for (int i = 0; i < count; i++)
        cost += 9 * channels + linear_cost(&blocks[i].expand) + linear_cost(&blocks[i].project);
    return cost;
}

static double
transform_blocks_cost(const M2tTransformWeights *transform)
{
    return blocks_cost(transform->block8, transform->blocks8, transform->width8) / PATCH_SAMPLES +
           (blocks_cost(transform->block16, transform->blocks16, transform->width16) + linear_cost(&transform->between)) / TOKEN_SAMPLES;
}

static double
analysis_cost(const M2tTransformWeights *analysis)
{
    return transform_blocks_cost(analysis) + linear_cost(&analysis->in) / PATCH_SAMPLES +
           (linear_cost(&analysis->out) + linear_cost(&analysis->shortcut)) / TOKEN_SAMPLES;
}

static double
synthesis_cost(const M2tTransformWeights *synthesis)
{
    return transform_blocks_cost(synthesis) + linear_cost(&synthesis->out) / PATCH_SAMPLES +
           (linear_cost(&synthesis->in) + linear_cost(&synthesis->shortcut)) / TOKEN_SAMPLES;
}

/* How many keys a query sees on average, in windows that are whole: those of its own group and of the groups before, or all. */
static double
average_keys(const M2tPriorWeights *prior)
{
    double keys = 0;

    if (prior->masking == M2T_MASKING_INPUT)
        return M2T_CELLS;
    for (int i = 0; i < prior->groups; i++)
        keys += prior->group_size[i] * (prior->group_start[i] + prior->group_size[i]);
    return keys / M2T_CELLS;
}

static double
prior_cost(const M2tPriorWeights *prior)
{
    double cost = linear_cost(&prior->embed);

    for (int i = 0; i < prior->layers; i++) {
        const M2tLayerWeights *layer = &prior->layer[i];

        cost += linear_cost(&layer->qkv) + linear_cost(&layer->out) + linear_cost(&layer->fc1) + linear_cost(&layer->fc2);
        cost += 2 * average_keys(prior) * prior->width; /* logits and values */
    }
    if (prior->masking == M2T_MASKING_INPUT)
        cost *= prior->groups;
    for (int k = 0; k < prior->parts; k++)
        cost += linear_cost(&prior->head[k]) + linear_cost(&prior->step_fc1[k]) + linear_cost(&prior->step_fc2[k]);
    return cost / TOKEN_SAMPLES;
}

double
m2t_model_decode_cost(const M2tModel *model)
{
    return prior_cost(&model->prior) + synthesis_cost(&model->synthesis);
}

double
m2t_model_encode_cost(const M2tModel *model)
{
    return prior_cost(&model->prior) + analysis_cost(&model->analysis);
}
