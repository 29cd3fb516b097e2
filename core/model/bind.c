/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Gives every tensor its place in the model (docs/model-format.md, "Tensors"). The graph has said which there must be; each is taken
 * by name with its type and shape, and its values are checked on the way, so that no stage has to fear an index, a shift or a sum.
 * What nobody took is refused.
 *
 * The binder fails once and remembers how; what it hands out from then on is NULL, and is neither checked nor used. */
#include "model/bind.h"
#include "entropy/dependent.h"
#include "model/graph.h"

#include <math.h>
#include <string.h>

#define NAME_MAX_BYTES 64
#define SHIFT_MAX 8
#define OCTAVES_MAX 30720           /* of gains, in 1/1024 */
#define FLOAT_MAX 16777216.0f
#define SUM_LIMIT (1 << 24)
#define WIDE_SUM_LIMIT (G_GINT64_CONSTANT(1) << 31)
#define RADIUS_MAX 127
#define RAW_MAX 8
#define PROBABILITY_SUM 32768
#define FILTER_SUM_LIMIT (1 << 29)

typedef struct {
    M2tTensors *tensors;
    GError *error;
} Binder;

/* Which sides of a linear layer have 15 bits. */
typedef enum { WIDE_NONE = 0, WIDE_INPUT = 1, WIDE_WEIGHTS = 2 } Wide;

enum { NO_BIAS = 0, PLAIN_BIAS = -1 }; /* or the number of rows of a bias of two dimensions */

G_GNUC_PRINTF(4, 5) static void
fail(Binder *binder, const char *prefix, const char *suffix, const char *format, ...)
{
    va_list args;

    if (binder->error)
        return;
    va_start(args, format);
    binder->error = g_error_new_valist(M2T_ERROR, M2T_ERROR_MODEL, format, args);
    va_end(args);
    g_prefix_error(&binder->error, "tensor %s%s: ", prefix, suffix);
}

/* ---- names, types, shapes ---- */

static char *
shape_text(const guint32 *dimension, int dimensions)
{
    GString *text = g_string_new("[");

    for (int i = 0; i < dimensions; i++)
        g_string_append_printf(text, "%s%u", i ? ", " : "", dimension[i]);
    g_string_append_c(text, ']');
    return g_string_free(text, FALSE);
}

static gboolean
check_tensor(Binder *binder, const char *name, const M2tTensor *tensor, M2tType type, const guint32 *dimension, int dimensions)
{
    if (!tensor) {
        fail(binder, name, "", "missing");
        return FALSE;
    }
    if (tensor->type != type) {
        fail(binder, name, "", "type %s, expected %s", m2t_type_name(tensor->type), m2t_type_name(type));
        return FALSE;
    }
    if (tensor->dimensions != dimensions || memcmp(tensor->dimension, dimension, dimensions * sizeof *dimension) != 0) {
        g_autofree char *shape = shape_text(tensor->dimension, tensor->dimensions);
        g_autofree char *expected = shape_text(dimension, dimensions);

        fail(binder, name, "", "shape %s, expected %s", shape, expected);
        return FALSE;
    }
    return TRUE;
}

/* Tensor @prefix@suffix, [rows][columns], or [columns] if rows is 0. */
static const void *
take(Binder *binder, const char *prefix, const char *suffix, M2tType type, int rows, int columns)
{
    guint32 dimension[2] = {rows > 0 ? rows : columns, columns};
    char name[2 * NAME_MAX_BYTES];
    M2tTensor *tensor;

    if (binder->error)
        return NULL;
    g_snprintf(name, sizeof name, "%s%s", prefix, suffix);
    tensor = m2t_tensors_find(binder->tensors, name);
    if (!check_tensor(binder, name, tensor, type, dimension, rows > 0 ? 2 : 1))
        return NULL;
    tensor->used = TRUE;
    return tensor->data;
}

/* ---- values ---- */

/* Floats of a model are scales: finite, not negative, not huge. The comparison is false for what is no number. */
static const float *
take_floats(Binder *binder, const char *prefix, const char *suffix, int n)
{
    const float *values = take(binder, prefix, suffix, M2T_F32, 0, n);
    int bad = 0;

    for (int i = 0; values && i < n; i++)
        bad += !(values[i] >= 0.0f && values[i] <= FLOAT_MAX);
    if (bad)
        fail(binder, prefix, suffix, "values that are not from 0 to 2^24");
    return values;
}

static const gint32 *
take_ints(Binder *binder, const char *prefix, const char *suffix, int rows, int columns, int low, int high)
{
    const gint32 *values = take(binder, prefix, suffix, M2T_I32, rows, columns);
    int count = MAX(rows, 1) * columns, bad = 0;

    for (int i = 0; values && i < count; i++)
        bad += values[i] < low || values[i] > high;
    if (bad)
        fail(binder, prefix, suffix, "values that are not %d...%d", low, high);
    return values;
}

static int
take_shift(Binder *binder, const char *prefix)
{
    const gint32 *shift = take_ints(binder, prefix, ".shift", 0, 1, 0, SHIFT_MAX);

    return shift ? *shift : 0;
}

/* Σ|w| of one output. */
static gint64
magnitude(const gint8 *weight, int n)
{
    gint32 sum = 0;

    for (int i = 0; i < n; i++)
        sum += ABS((gint32) weight[i]);
    return sum;
}

static gint64
largest_bias(const M2tLinearWeights *linear, int output)
{
    gint64 largest = 0;

    for (int row = 0; row < linear->bias_rows; row++)
        largest = MAX(largest, ABS((gint64) linear->bias[row * linear->n + output]));
    return largest;
}

/* Whatever comes in, no sum of a layer can leave its range. A wide input splits into 127 times 128, and 64; the product of two low
 * parts is left out. */
static void
check_sums(Binder *binder, const char *prefix, const M2tLinearWeights *linear, Wide wide)
{
    gint64 factor = wide == WIDE_NONE ? 127 : 128 * 127 + (wide & WIDE_INPUT ? 64 : 0);
    gint64 limit = wide == WIDE_NONE ? SUM_LIMIT : WIDE_SUM_LIMIT;

    for (int i = 0; i < linear->n; i++) {
        gint64 sum = factor * magnitude(linear->weight + (gsize) i * linear->k, linear->k) + largest_bias(linear, i);

        if (wide & WIDE_WEIGHTS)
            sum += 127 * magnitude(linear->weight_low + (gsize) i * linear->k, linear->k);
        if (sum >= limit) {
            fail(binder, prefix, ".weight", "the sum of output %d may reach %" G_GINT64_FORMAT ", the limit is %" G_GINT64_FORMAT, i,
                 sum, limit);
            return;
        }
    }
}

static M2tLinearWeights
take_linear(Binder *binder, const char *prefix, int n, int k, int bias, Wide wide)
{
    M2tLinearWeights linear = {.n = n, .k = k, .bias_rows = bias == PLAIN_BIAS ? 1 : bias};

    linear.weight = take(binder, prefix, ".weight", M2T_I8, n, k);
    if (wide & WIDE_WEIGHTS)
        linear.weight_low = take(binder, prefix, ".weight_low", M2T_I8, n, k);
    linear.scale = take_floats(binder, prefix, ".scale", n);
    if (bias != NO_BIAS)
        linear.bias = take(binder, prefix, ".bias", M2T_I32, bias == PLAIN_BIAS ? 0 : bias, n);
    if (!binder->error)
        check_sums(binder, prefix, &linear, wide);
    return linear;
}

/* ---- the networks ---- */

static void
check_depthwise_sums(Binder *binder, const char *prefix, const M2tBlockWeights *block, int channels)
{
    for (int c = 0; c < channels; c++) {
        gint64 sum = ABS((gint64) block->depthwise_bias[c]);

        for (int tap = 0; tap < 9; tap++)
            sum += 127 * ABS(block->depthwise_weight[tap * channels + c]);
        if (sum >= SUM_LIMIT)
            fail(binder, prefix, ".depthwise.weight", "the sum of channel %d may reach %" G_GINT64_FORMAT ", the limit is %d", c,
                 sum, SUM_LIMIT);
    }
}

static void
bind_block(Binder *binder, M2tBlockWeights *block, const char *prefix, int channels)
{
    char name[NAME_MAX_BYTES];

    block->shift = take_shift(binder, prefix);
    block->depthwise_weight = take(binder, prefix, ".depthwise.weight", M2T_I8, 9, channels);
    block->depthwise_scale = take_floats(binder, prefix, ".depthwise.scale", channels);
    block->depthwise_bias = take(binder, prefix, ".depthwise.bias", M2T_I32, 0, channels);
    if (!binder->error)
        check_depthwise_sums(binder, prefix, block, channels);
    g_snprintf(name, sizeof name, "%s.expand", prefix);
    block->expand = take_linear(binder, name, 2 * channels, channels, PLAIN_BIAS, WIDE_NONE);
    g_snprintf(name, sizeof name, "%s.project", prefix);
    block->project = take_linear(binder, name, channels, channels, PLAIN_BIAS, WIDE_NONE);
}

static void
bind_blocks(Binder *binder, M2tBlockWeights *blocks, const char *prefix, int count, int channels)
{
    for (int i = 0; i < count; i++) {
        char name[NAME_MAX_BYTES];

        g_snprintf(name, sizeof name, "%s.%d", prefix, i);
        bind_block(binder, &blocks[i], name, channels);
    }
}

static void
bind_analysis(Binder *binder, M2tTransformWeights *analysis, int anchors, int latents)
{
    int c8 = analysis->width8, c16 = analysis->width16;

    analysis->in = take_linear(binder, "analysis.in", c8, M2T_PATCH_CHANNELS, anchors, WIDE_NONE);
    bind_blocks(binder, analysis->block8, "analysis.block8", analysis->blocks8, c8);
    analysis->between_shift = take_shift(binder, "analysis.down");
    analysis->between = take_linear(binder, "analysis.down", c16, 4 * c8, PLAIN_BIAS, WIDE_NONE);
    bind_blocks(binder, analysis->block16, "analysis.block16", analysis->blocks16, c16);
    analysis->out = take_linear(binder, "analysis.out", latents, c16, PLAIN_BIAS, WIDE_INPUT);
    analysis->shortcut = take_linear(binder, "analysis.shortcut", latents, M2T_TOKEN_CHANNELS, PLAIN_BIAS, WIDE_WEIGHTS);
}

static void
bind_synthesis(Binder *binder, M2tTransformWeights *synthesis, int anchors, int latents)
{
    int c8 = synthesis->width8, c16 = synthesis->width16;

    synthesis->in = take_linear(binder, "synthesis.in", c16, latents, anchors, WIDE_INPUT);
    bind_blocks(binder, synthesis->block16, "synthesis.block16", synthesis->blocks16, c16);
    synthesis->between_shift = take_shift(binder, "synthesis.up");
    synthesis->between = take_linear(binder, "synthesis.up", 4 * c8, c16, PLAIN_BIAS, WIDE_NONE);
    bind_blocks(binder, synthesis->block8, "synthesis.block8", synthesis->blocks8, c8);
    synthesis->out = take_linear(binder, "synthesis.out", M2T_PATCH_CHANNELS, c8, PLAIN_BIAS, WIDE_INPUT);
    synthesis->shortcut = take_linear(binder, "synthesis.shortcut", M2T_TOKEN_CHANNELS, latents, PLAIN_BIAS, WIDE_INPUT | WIDE_WEIGHTS);
}

static void
bind_layer(Binder *binder, const M2tPriorWeights *prior, M2tLayerWeights *layer, const char *prefix)
{
    char name[NAME_MAX_BYTES];
    int d = prior->width;

    layer->norm1 = take_floats(binder, prefix, ".norm1", d);
    layer->norm2 = take_floats(binder, prefix, ".norm2", d);
    layer->context = take_floats(binder, prefix, ".context", d);
    layer->logit = take_floats(binder, prefix, ".logit", prior->heads);
    layer->rel = take(binder, prefix, ".rel", M2T_I16, prior->heads, 225);
    g_snprintf(name, sizeof name, "%s.qkv", prefix);
    layer->qkv = take_linear(binder, name, 3 * d, d, PLAIN_BIAS, WIDE_NONE);
    g_snprintf(name, sizeof name, "%s.out", prefix);
    layer->out = take_linear(binder, name, d, d, PLAIN_BIAS, WIDE_NONE);
    g_snprintf(name, sizeof name, "%s.fc1", prefix);
    layer->fc1 = take_linear(binder, name, prior->mlp, d, PLAIN_BIAS, WIDE_NONE);
    g_snprintf(name, sizeof name, "%s.fc2", prefix);
    layer->fc2 = take_linear(binder, name, d, prior->mlp, PLAIN_BIAS, WIDE_NONE);
}

/* The coding order must name every cell once; then each cell's group is known. */
static void
bind_order(Binder *binder, M2tPriorWeights *prior)
{
    gboolean seen[M2T_CELLS] = {FALSE};
    int group = 0;

    prior->order = take(binder, "prior.order", "", M2T_U8, 0, M2T_CELLS);
    for (int i = 0; prior->order && i < M2T_CELLS; i++) {
        int cell = prior->order[i];

        if (cell >= M2T_CELLS || seen[cell]) {
            fail(binder, "prior.order", "", "entry %d is %d, which is no cell or stood there before", i, cell);
            return;
        }
        seen[cell] = TRUE;
        if (i == prior->group_start[group] + prior->group_size[group])
            group++;
        prior->group[cell] = group;
    }
}

static void
bind_source(Binder *binder, M2tPriorWeights *prior)
{
    prior->source = take(binder, "prior.source", "", M2T_I8, 0, M2T_CELLS);
    for (int cell = 0; prior->source && cell < M2T_CELLS; cell++) {
        int source = prior->source[cell];

        if (prior->masking == M2T_MASKING_INPUT) {
            if (source != cell)
                fail(binder, "prior.source", "", "that of cell %d is %d, not the cell itself", cell, source);
            continue;
        }
        if (source == -1)
            continue;
        if (source < 0 || source >= M2T_CELLS || prior->group[source] + 1 != prior->group[cell])
            fail(binder, "prior.source", "", "that of cell %d is %d, not -1 or a cell of the group before", cell, source);
    }
}

/* Features of latents are weights' input, of -127 and up. */
static void
bind_feature_tables(Binder *binder, M2tPriorWeights *prior)
{
    prior->log = take(binder, "prior.log", "", M2T_I8, 0, 128);
    for (int i = 0; prior->log && i < 128; i++) {
        if (prior->log[i] < -127)
            fail(binder, "prior.log", "", "entry %d is -128", i);
    }
    prior->exp = take(binder, "prior.exp", "", M2T_U8, 0, 256);
    if (prior->exp && prior->exp[0] < 1)
        fail(binder, "prior.exp", "", "the first entry is 0");
}

static void
bind_heads(Binder *binder, M2tPriorWeights *prior)
{
    int d = prior->width;

    prior->norm = take_floats(binder, "prior.norm", "", d);
    prior->shift = take_shift(binder, "prior");
    for (int k = 0; k < prior->parts; k++) {
        char name[NAME_MAX_BYTES];

        g_snprintf(name, sizeof name, "prior.head.%d", k);
        prior->head[k] = take_linear(binder, name, 2 * prior->part_size[k], d, prior->groups, WIDE_NONE);
        if (k == 0)
            continue;
        g_snprintf(name, sizeof name, "prior.step.%d.fc1", k);
        prior->step_fc1[k] = take_linear(binder, name, prior->step, d + 2 * prior->part_size[k - 1], PLAIN_BIAS, WIDE_NONE);
        g_snprintf(name, sizeof name, "prior.step.%d.fc2", k);
        prior->step_fc2[k] = take_linear(binder, name, d, prior->step, PLAIN_BIAS, WIDE_NONE);
    }
}

static void
bind_prior(Binder *binder, M2tPriorWeights *prior, int anchors, int latents)
{
    int d = prior->width;

    bind_order(binder, prior);
    bind_source(binder, prior);
    bind_feature_tables(binder, prior);
    prior->size = take_ints(binder, "prior.size", "", anchors, latents, -OCTAVES_MAX, OCTAVES_MAX);
    prior->embed = take_linear(binder, "prior.embed", d, 2 * latents, NO_BIAS, WIDE_NONE);
    if (prior->masking == M2T_MASKING_INPUT)
        prior->mask = take(binder, "prior.mask", "", M2T_I16, 0, d);
    prior->slot = take(binder, "prior.slot", "", M2T_I16, M2T_CELLS, d);
    prior->q = take_ints(binder, "prior.q", "", anchors, d, -G_MAXINT16, G_MAXINT16);
    for (int i = 0; i < prior->layers; i++) {
        char name[NAME_MAX_BYTES];

        g_snprintf(name, sizeof name, "prior.layer.%d", i);
        bind_layer(binder, prior, &prior->layer[i], name);
    }
    bind_heads(binder, prior);
}

/* ---- tables ---- */

static void
check_frequencies(Binder *binder, const M2tEntropyWeights *entropy)
{
    const guint16 *frequency = entropy->frequency;

    for (int table = 0; table < M2T_QUANTIZERS * entropy->levels * M2T_FRACTIONS; table++) {
        int fraction = table % M2T_FRACTIONS, level = table / M2T_FRACTIONS % entropy->levels, quantizer = table / M2T_FRACTIONS / entropy->levels;
        int entries = 2 * entropy->radius[level] + 2, sum = 0, zeros = 0;

        for (int i = 0; i < entries; i++) {
            sum += frequency[i];
            zeros += frequency[i] == 0;
        }
        if (sum != PROBABILITY_SUM || zeros > 0) {
            fail(binder, "entropy.frequency", "", "quantizer %d, level %d, fraction %d: %d zeros, sum %d instead of %d", quantizer, level,
                 fraction - M2T_FRACTIONS / 2, zeros, sum, PROBABILITY_SUM);
            return;
        }
        frequency += entries;
    }
}

static void
bind_entropy(Binder *binder, M2tEntropyWeights *entropy)
{
    int entries = 0;

    entropy->radius = take_ints(binder, "entropy.radius", "", 0, entropy->levels, 1, RADIUS_MAX);
    entropy->raw = take_ints(binder, "entropy.raw", "", 0, entropy->levels, 0, RAW_MAX);
    if (binder->error)
        return;
    for (int level = 0; level < entropy->levels; level++)
        entries += M2T_QUANTIZERS * M2T_FRACTIONS * (2 * entropy->radius[level] + 2);
    entropy->frequency = take(binder, "entropy.frequency", "", M2T_U16, 0, entries);
    entropy->centroid = take(binder, "entropy.centroid", "", M2T_I8, 0, entries);
    if (entropy->frequency)
        check_frequencies(binder, entropy);
}

/* No value can leave 16 bits on its way through the filter. */
static void
check_filter_sums(Binder *binder, const char *name, const gint16 *weight, int anchors)
{
    static const int limits[M2T_FILTER_LIMITS] = M2T_FILTER_LIMIT_VALUES;

    for (int row = 0; row < anchors * M2T_FILTER_CLASSES; row++) {
        const gint16 *first = weight + row / M2T_FILTER_CLASSES * M2T_FILTER_TAPS * M2T_FILTER_CLASSES + row % M2T_FILTER_CLASSES;
        gint32 sum = 0;

        for (int tap = 0; tap < M2T_FILTER_TAPS; tap++)
            sum += 2 * limits[tap % M2T_FILTER_LIMITS] * ABS((gint32) first[tap * M2T_FILTER_CLASSES]);
        if (sum >= FILTER_SUM_LIMIT) {
            fail(binder, name, "", "the sum of class %d at anchor %d may reach %d, the limit is %d", row % M2T_FILTER_CLASSES,
                 row / M2T_FILTER_CLASSES, sum, FILTER_SUM_LIMIT);
            return;
        }
    }
}

static void
bind_filter(Binder *binder, M2tFilterWeights *filter, int anchors)
{
    static const char *const names[3] = {"filter.luma", "filter.u", "filter.v"};

    for (int plane = 0; plane < 3; plane++) {
        filter->weight[plane] = take(binder, names[plane], "", M2T_I16, anchors, M2T_FILTER_TAPS * M2T_FILTER_CLASSES);
        if (filter->weight[plane])
            check_filter_sums(binder, names[plane], filter->weight[plane], anchors);
    }
}

/* It is in the file so that no decoder has to compute it; it has one right content. */
static const gint32 *
bind_exp2(Binder *binder)
{
    const gint32 *table = take(binder, "exp2", "", M2T_I32, 0, 1024);

    for (int i = 0; table && i < 1024; i++) {
        if (table[i] != (gint32) floor(exp2(23 + i / 1024.0) + 0.5))
            fail(binder, "exp2", "", "entry %d is not 2^(23 + %d/1024)", i, i);
    }
    return table;
}

static void
bind_graph(Binder *binder, M2tModel *model)
{
    M2tTensor *graph = m2t_tensors_find(binder->tensors, "graph");

    if (!graph || graph->type != M2T_U8 || graph->dimensions != 1) {
        fail(binder, "graph", "", "missing, or not U8 of one dimension");
        return;
    }
    graph->used = TRUE;
    m2t_graph_read(model, graph->data, graph->size, &binder->error);
}

static void
check_all_used(Binder *binder)
{
    for (guint i = 0; i < binder->tensors->count; i++) {
        if (!binder->tensors->tensor[i].used)
            fail(binder, binder->tensors->tensor[i].name, "", "the graph does not ask for it");
    }
}

/* The graph comes first: it bounds all sizes that the rest multiplies. */
gboolean
m2t_model_bind(M2tModel *model, M2tTensors *tensors, GError **error)
{
    Binder binder = {tensors, NULL};

    bind_graph(&binder, model);
    if (!binder.error) {
        model->exp2 = bind_exp2(&binder);
        model->gain = take_ints(&binder, "gain", "", model->anchors, model->latents, -OCTAVES_MAX, OCTAVES_MAX);
        model->igain = take_ints(&binder, "igain", "", model->anchors, model->latents, -OCTAVES_MAX, OCTAVES_MAX);
        bind_analysis(&binder, &model->analysis, model->anchors, model->latents);
        bind_synthesis(&binder, &model->synthesis, model->anchors, model->latents);
        bind_prior(&binder, &model->prior, model->anchors, model->latents);
        bind_entropy(&binder, &model->entropy);
        if (model->filter.used)
            bind_filter(&binder, &model->filter, model->anchors);
        check_all_used(&binder);
    }
    if (binder.error)
        g_propagate_error(error, binder.error);
    return binder.error == NULL;
}
