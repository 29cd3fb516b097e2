/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A model made ready for a backend: the same graph with packed weights, and the tables of the entropy coder. Made once per model and
 * backend, and shared by all codecs of the process that use them. */
#ifndef M2T_NN_NET_H
#define M2T_NN_NET_H

#include "model/model.h"
#include "entropy/slice.h"
#include "kernels/kernels.h"
#include "nn/gemm.h"

typedef struct {
    const M2tLinearWeights *weights;
    gpointer packed;
    gpointer packed_low, packed_wide; /* of weights of 15 bits, one of them: the low parts, or whole if the backend can */
    gint16 *pairs; /* where most of the input is zero: the weights of two bytes of it at a time, [pairs][n][2]; else NULL */
} M2tLinear;

typedef struct {
    const M2tBlockWeights *weights;
    M2tLinear expand, project;
} M2tBlock;

typedef struct {
    const M2tTransformWeights *weights;
    M2tLinear in, between, out, shortcut;
    M2tBlock block8[M2T_BLOCKS_MAX], block16[M2T_BLOCKS_MAX];
} M2tTransform;

typedef struct {
    M2tLinear qkv, out, fc1, fc2;
    M2tAttention attention;
    gint16 *rel;                   /* what attention.rel points to */
} M2tLayer;

typedef struct _M2tNet {
    int users;
    M2tModel *model;
    const M2tGemm *gemm;
    M2tTransform analysis, synthesis;
    M2tLinear embed, step_fc1[M2T_PARTS_MAX], step_fc2[M2T_PARTS_MAX], head[M2T_PARTS_MAX];
    M2tLayer layer[M2T_LAYERS_MAX];
    guint8 exp[M2T_EXP_SIZE + 1];  /* the model's, and a zero */
    guint8 seen[M2T_CELLS];        /* by coding order: cells up to the end of the own group */
    int n_max, k_max;              /* over all linear layers */
    M2tEntropyTables *tables;
} M2tNet;

/* The net for a model with this identity, made at the first call. Give it back with m2t_net_release(). Any thread. */
M2tNet *m2t_net_acquire(M2tModel *model, const M2tGemm *gemm);
void m2t_net_release(M2tNet *net);

#endif
