/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Walks the graph of a model and packs the weights of every linear layer. Packing and freeing are the same walk. */
#include "nn/net.h"

#include <string.h>

typedef void (*LinearVisit)(M2tNet *net, M2tLinear *linear, const M2tLinearWeights *weights);

static void
pack_linear(M2tNet *net, M2tLinear *linear, const M2tLinearWeights *weights)
{
    linear->weights = weights;
    linear->packed = net->gemm->pack(weights->weight, weights->n, weights->k);
    if (weights->weight_low && net->gemm->pack_wide)
        linear->packed_wide = net->gemm->pack_wide(weights->weight, weights->weight_low, weights->n, weights->k);
    else if (weights->weight_low)
        linear->packed_low = net->gemm->pack(weights->weight_low, weights->n, weights->k);
    net->n_max = MAX(net->n_max, weights->n);
    net->k_max = MAX(net->k_max, weights->k);
}

static void
free_linear(M2tNet *net, M2tLinear *linear, const M2tLinearWeights *weights)
{
    net->gemm->free(linear->packed);
    net->gemm->free(linear->packed_low);
    net->gemm->free(linear->packed_wide);
    g_free(linear->pairs);
}

/* For a wide input: what its high and its low byte are multiplied by. */
static void
pair_wide(M2tLinear *linear)
{
    const M2tLinearWeights *w = linear->weights;

    linear->pairs = g_new(gint16, 2 * (gsize) w->n * w->k);
    for (int i = 0; i < w->n; i++)
        for (int j = 0; j < w->k; j++) {
            gint16 *pair = linear->pairs + 2 * ((gsize) j * w->n + i);
            gsize at = (gsize) i * w->k + j;

            pair[0] = (gint16) (128 * w->weight[at] + (w->weight_low ? w->weight_low[at] : 0));
            pair[1] = w->weight[at];
        }
}

/* For features, of which both of a latent are zero or none: those of all latents, then their logarithms. */
static void
pair_features(M2tLinear *linear)
{
    const M2tLinearWeights *w = linear->weights;
    int latents = w->k / 2;

    linear->pairs = g_new(gint16, (gsize) w->n * w->k);
    for (int i = 0; i < w->n; i++)
        for (int j = 0; j < w->k; j++)
            linear->pairs[2 * ((gsize) (j % latents) * w->n + i) + j / latents] = w->weight[(gsize) i * w->k + j];
}

static void
visit_blocks(M2tNet *net, M2tBlock *block, const M2tBlockWeights *weights, int count, LinearVisit visit)
{
    for (int i = 0; i < count; i++) {
        block[i].weights = &weights[i];
        visit(net, &block[i].expand, &weights[i].expand);
        visit(net, &block[i].project, &weights[i].project);
    }
}

static void
visit_transform(M2tNet *net, M2tTransform *transform, const M2tTransformWeights *weights, LinearVisit visit)
{
    transform->weights = weights;
    visit(net, &transform->in, &weights->in);
    visit_blocks(net, transform->block8, weights->block8, weights->blocks8, visit);
    visit(net, &transform->between, &weights->between);
    visit_blocks(net, transform->block16, weights->block16, weights->blocks16, visit);
    visit(net, &transform->out, &weights->out);
    visit(net, &transform->shortcut, &weights->shortcut);
}

static void
visit_prior(M2tNet *net, const M2tPriorWeights *prior, LinearVisit visit)
{
    visit(net, &net->embed, &prior->embed);
    for (int i = 0; i < prior->layers; i++) {
        visit(net, &net->layer[i].qkv, &prior->layer[i].qkv);
        visit(net, &net->layer[i].out, &prior->layer[i].out);
        visit(net, &net->layer[i].fc1, &prior->layer[i].fc1);
        visit(net, &net->layer[i].fc2, &prior->layer[i].fc2);
    }
    for (int i = 0; i < prior->parts; i++) {
        if (i) {
            visit(net, &net->step_fc1[i], &prior->step_fc1[i]);
            visit(net, &net->step_fc2[i], &prior->step_fc2[i]);
        }
        visit(net, &net->head[i], &prior->head[i]);
    }
}

static void
visit_all(M2tNet *net, LinearVisit visit)
{
    visit_transform(net, &net->analysis, &net->model->analysis, visit);
    visit_transform(net, &net->synthesis, &net->model->synthesis, visit);
    visit_prior(net, &net->model->prior, visit);
}

/* Positions in a window relative to each other, spread out so that a query reads its row of them in order. */
static gint16 *
spread_rel(const M2tPriorWeights *prior, const M2tLayerWeights *layer)
{
    gint16 *rel = g_new(gint16, M2T_CELLS * prior->heads * M2T_CELLS), *out = rel;

    for (int query = 0; query < M2T_CELLS; query++)
        for (int head = 0; head < prior->heads; head++)
            for (int key = 0; key < M2T_CELLS; key++) {
                int q = m2t_window_cell(prior, layer->kind, query), k = m2t_window_cell(prior, layer->kind, key);
                int rows = q / M2T_WINDOW - k / M2T_WINDOW + 7, columns = q % M2T_WINDOW - k % M2T_WINDOW + 7;

                *out++ = layer->rel[head * 225 + 15 * rows + columns];
            }
    return rel;
}

static void
make_attention(M2tNet *net)
{
    const M2tPriorWeights *prior = &net->model->prior;

    memcpy(net->exp, prior->exp, M2T_EXP_SIZE);
    for (int group = 0; group < prior->groups; group++)
        for (int i = 0; i < prior->group_size[group]; i++)
            net->seen[prior->group_start[group] + i] =
                (guint8) (prior->masking == M2T_MASKING_INPUT ? M2T_CELLS : prior->group_start[group] + prior->group_size[group]);
    for (int i = 0; i < prior->layers; i++) {
        const M2tLayerWeights *w = &prior->layer[i];

        net->layer[i].rel = spread_rel(prior, w);
        net->layer[i].attention = (M2tAttention) {prior->heads, prior->width, w->logit, w->context, net->layer[i].rel, net->exp, net->seen};
    }
}

static M2tNet *
make_net(M2tModel *model, const M2tGemm *gemm)
{
    M2tNet *net = g_new0(M2tNet, 1);

    net->model = m2t_model_ref(model);
    net->gemm = gemm;
    visit_all(net, pack_linear);
    pair_wide(&net->synthesis.in);
    pair_wide(&net->synthesis.shortcut);
    pair_features(&net->embed);
    make_attention(net);
    net->tables = m2t_entropy_tables_new(&model->entropy);
    return net;
}

static void
free_net(M2tNet *net)
{
    visit_all(net, free_linear);
    for (int i = 0; i < net->model->prior.layers; i++)
        g_free(net->layer[i].rel);
    m2t_entropy_tables_free(net->tables);
    m2t_model_unref(net->model);
    g_free(net);
}

/* All nets of the process: a handful at most. */
static GMutex lock;
static GSList *nets;

/* Two models of one identity are the same, wherever they were read from. */
static M2tNet *
find_net(const M2tModel *model, const M2tGemm *gemm)
{
    for (GSList *item = nets; item; item = item->next) {
        M2tNet *net = item->data;

        if (net->gemm == gemm && !memcmp(net->model->identity, model->identity, sizeof model->identity))
            return net;
    }
    return NULL;
}

M2tNet *
m2t_net_acquire(M2tModel *model, const M2tGemm *gemm)
{
    M2tNet *net;

    g_mutex_lock(&lock);
    net = find_net(model, gemm);
    if (!net) {
        net = make_net(model, gemm);
        nets = g_slist_prepend(nets, net);
    }
    net->users++;
    g_mutex_unlock(&lock);
    return net;
}

void
m2t_net_release(M2tNet *net)
{
    gboolean last;

    g_mutex_lock(&lock);
    last = --net->users == 0;
    if (last)
        nets = g_slist_remove(nets, net);
    g_mutex_unlock(&lock);
    if (last)
        free_net(net);
}
