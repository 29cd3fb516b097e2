/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A model in memory: the graph of the networks and pointers into the file's tensors, all checked
 * (docs/model-format.md). What is here is what the stages read; nothing of it changes after opening. */
#ifndef M2T_MODEL_MODEL_H
#define M2T_MODEL_MODEL_H

#include "base/limits.h"

#include <m2t/m2t-model.h>

#define M2T_BLOCKS_MAX 16
#define M2T_LAYERS_MAX 16
#define M2T_PARTS_MAX 4
#define M2T_GROUPS_MAX 16
#define M2T_LEVELS_MAX 64
#define M2T_FRACTIONS 16                            /* places of a mean between two integers */
#define M2T_PATCH_CHANNELS 96                       /* 8x8 luma and twice 4x4 chroma samples */
#define M2T_TOKEN_CHANNELS (4 * M2T_PATCH_CHANNELS)

/* Linear layer, see "Linear" in docs/bitstream.md. */
typedef struct {
    int n, k;
    const gint8 *weight;       /* [n][k] */
    const gint8 *weight_low;   /* [n][k], NULL unless the weights are wide */
    const float *scale;        /* [n] */
    const gint32 *bias;        /* [bias_rows][n], NULL if none */
    int bias_rows;             /* 1; anchors for layers biased by q; groups for heads */
} M2tLinearWeights;

typedef struct {
    int shift;
    const gint8 *depthwise_weight; /* [9][c] */
    const float *depthwise_scale;  /* [c] */
    const gint32 *depthwise_bias;  /* [c] */
    M2tLinearWeights expand, project;
} M2tBlockWeights;

/* Analysis and synthesis have the same parts in opposite order. */
typedef struct {
    int width8, width16, blocks8, blocks16;
    M2tLinearWeights in;           /* analysis: at 1/8; synthesis: at 1/16 */
    M2tBlockWeights block8[M2T_BLOCKS_MAX];
    int between_shift;
    M2tLinearWeights between;      /* analysis: "down"; synthesis: "up" */
    M2tBlockWeights block16[M2T_BLOCKS_MAX];
    M2tLinearWeights out, shortcut;
} M2tTransformWeights;

typedef enum { M2T_LAYER_WINDOW, M2T_LAYER_SHIFTED } M2tLayerKind;

/* What keeps a group from seeing later ones. M2T masks input and attention, so that every slot runs once; MT masks the input only, so that all
 * slots run again for each group. */
typedef enum { M2T_MASKING_INPUT_AND_ATTENTION, M2T_MASKING_INPUT } M2tMasking;

typedef struct {
    M2tLayerKind kind;
    const float *norm1, *norm2, *context; /* [width] */
    const float *logit;                   /* [heads] */
    const gint16 *rel;                    /* [heads][225] */
    M2tLinearWeights qkv, out, fc1, fc2;
} M2tLayerWeights;

typedef struct {
    M2tMasking masking;
    int width, heads, mlp, step, layers, groups, parts, limit;
    int part_size[M2T_PARTS_MAX], part_start[M2T_PARTS_MAX];
    int group_size[M2T_GROUPS_MAX], group_start[M2T_GROUPS_MAX]; /* in coding order */
    const guint8 *order;     /* [64]: cell of the i-th slot in coding order */
    const gint8 *source;     /* [64]: by cell, or -1 */
    guint8 group[M2T_CELLS]; /* by cell */
    const gint32 *size;      /* [anchors][latents] */
    const gint8 *log;        /* [128] */
    const guint8 *exp;       /* [256] */
    M2tLinearWeights embed;
    const gint16 *mask;      /* [width]: enters where no latents do; NULL if attention is masked: part of slot */
    const gint16 *slot;      /* [64][width] */
    const gint32 *q;         /* [anchors][width] */
    M2tLayerWeights layer[M2T_LAYERS_MAX];
    const float *norm;
    int shift;
    M2tLinearWeights step_fc1[M2T_PARTS_MAX], step_fc2[M2T_PARTS_MAX]; /* index 0 unused */
    M2tLinearWeights head[M2T_PARTS_MAX];
} M2tPriorWeights;

/* How far the windows of a layer are displaced, in cells, both ways. */
static inline int
m2t_window_shift(M2tLayerKind kind)
{
    return kind == M2T_LAYER_SHIFTED ? M2T_WINDOW / 2 : 0;
}

/* The cell of a window that comes i-th in coding order: 8 row + column. A displaced window holds the 64 places of a plain one, turned by
 * the shift. */
static inline int
m2t_window_cell(const M2tPriorWeights *prior, M2tLayerKind kind, int i)
{
    int row = prior->order[i] / M2T_WINDOW + m2t_window_shift(kind), column = prior->order[i] % M2T_WINDOW + m2t_window_shift(kind);

    return row % M2T_WINDOW * M2T_WINDOW + column % M2T_WINDOW;
}

typedef struct {
    int levels, base, step, skip;
    const gint32 *radius, *raw;  /* [levels] */
    const guint16 *frequency;    /* tables one after the other, by quantizer, level and fraction */
    const gint8 *centroid;       /* for each frequency, in 1/128 */
} M2tEntropyWeights;

/* By plane: [anchors][M2T_FILTER_TAPS][M2T_FILTER_CLASSES]; NULL if the model has no filter. */
typedef struct {
    gboolean used;
    const gint16 *weight[3];
} M2tFilterWeights;

struct _M2tModel {
    gatomicrefcount refs;
    char *path, *name;
    guint8 identity[M2T_MODEL_IDENTITY_SIZE];
    char identity_hex[2 * M2T_MODEL_IDENTITY_SIZE + 1];
    gsize file_size;
    GBytes *tensors;             /* their data, each aligned to 64 bytes; everything below points into it */
    int anchors, latents;
    const gint32 *exp2;          /* [1024] */
    const gint32 *gain, *igain;  /* [anchors][latents] */
    M2tTransformWeights analysis, synthesis;
    M2tPriorWeights prior;
    M2tEntropyWeights entropy;
    M2tFilterWeights filter;
};

#endif
