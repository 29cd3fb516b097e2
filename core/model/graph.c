/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the graph (docs/model-format.md): JSON text becomes sizes in the model, each within its limits, so that whoever
 * binds tensors to them afterwards can multiply without fear. The member sets are exact: a model of a later
 * version does not pass for one of this version.
 *
 * The reader fails once, remembers how, and hands out harmless numbers from then on. */
#include "model/graph.h"
#include "model/json.h"

#include <string.h>

#define GRAPH_FORMAT 1
#define MLP_MAX 1024
#define LIMIT_MAX 16384
#define LEVEL_MAX 65536     /* of base and step, in 1/1024 octave */

typedef struct {
    GError *error;
} Graph;

G_GNUC_PRINTF(2, 3) static void
fail(Graph *graph, const char *format, ...)
{
    va_list args;

    if (graph->error)
        return;
    va_start(args, format);
    graph->error = g_error_new_valist(M2T_ERROR, M2T_ERROR_MODEL, format, args);
    va_end(args);
    g_prefix_error(&graph->error, "graph: ");
}

static int
check_int(Graph *graph, const char *part, const char *name, gboolean there, gint64 value, int low, int high, int multiple)
{
    if (there && value >= low && value <= high && value % multiple == 0)
        return (int) value;
    if (!there)
        fail(graph, "%s%s is not a whole number", part, name);
    else if (multiple > 1)
        fail(graph, "%s%s is %" G_GINT64_FORMAT ", not a multiple of %d from %d to %d", part, name, value, multiple, low, high);
    else
        fail(graph, "%s%s is %" G_GINT64_FORMAT ", not %d...%d", part, name, value, low, high);
    return low;
}

static int
get_int(Graph *graph, JsonObject *object, const char *part, const char *name, int low, int high, int multiple)
{
    gint64 value = 0;
    gboolean there = object && m2t_json_get_int(object, name, &value);

    return check_int(graph, part, name, there, value, low, high, multiple);
}

/* @names end with NULL. Called before members are read, so that what is missing is named once. */
static void
check_members(Graph *graph, JsonObject *object, const char *part, const char *const *names)
{
    g_autoptr(GList) members = json_object_get_members(object);

    for (int i = 0; names[i]; i++) {
        if (!json_object_has_member(object, names[i]))
            fail(graph, "%s%s is missing", part, names[i]);
    }
    for (GList *member = members; member; member = member->next) {
        g_autofree char *escaped = g_strescape(member->data, NULL);

        if (!g_strv_contains(names, member->data))
            fail(graph, "%s%.40s is not known to this version", part, escaped);
    }
}

/* NULL if it failed. */
static JsonObject *
get_object(Graph *graph, JsonObject *parent, const char *name, const char *part, const char *const *names)
{
    JsonObject *object = m2t_json_get_object(parent, name);

    if (object)
        check_members(graph, object, part, names);
    else
        fail(graph, "%s is not an object", name);
    return graph->error ? NULL : object;
}

/* A list of @min...@max elements, or NULL if it failed. */
static JsonArray *
get_array(Graph *graph, JsonObject *object, const char *name, guint max)
{
    JsonArray *array = object ? m2t_json_get_array(object, name) : NULL;

    if (!array || json_array_get_length(array) < 1 || json_array_get_length(array) > max) {
        fail(graph, "prior.%s is not a list of 1...%u elements", name, max);
        return NULL;
    }
    return array;
}

/* A list of sizes that sum to @total: sizes, where each starts, and how many there are. */
static int
read_sizes(Graph *graph, JsonObject *object, const char *name, int max, int multiple, int total, int *size, int *start)
{
    JsonArray *array = get_array(graph, object, name, max);
    int count = array ? json_array_get_length(array) : 0, sum = 0;

    for (int i = 0; i < count; i++) {
        gint64 value = 0;
        gboolean there = m2t_json_element_int(array, i, &value);

        size[i] = check_int(graph, "prior.", name, there, value, multiple, total, multiple);
        start[i] = sum;
        sum += size[i];
    }
    if (sum != total)
        fail(graph, "prior.%s sum to %d, not %d", name, sum, total);
    return count;
}

static void
read_groups(Graph *graph, JsonObject *object, M2tPriorWeights *prior)
{
    prior->groups = read_sizes(graph, object, "groups", M2T_GROUPS_MAX, 1, M2T_CELLS, prior->group_size, prior->group_start);
    for (int i = 1; i < prior->groups; i++) {
        if (prior->group_size[i] < prior->group_size[i - 1])
            fail(graph, "prior.groups decrease");
    }
}

static void
read_layers(Graph *graph, JsonObject *object, M2tPriorWeights *prior)
{
    JsonArray *array = get_array(graph, object, "layers", M2T_LAYERS_MAX);

    prior->layers = array ? json_array_get_length(array) : 0;
    for (int i = 0; i < prior->layers; i++) {
        const char *kind = m2t_json_element_string(array, i);

        if (g_strcmp0(kind, "window") == 0)
            prior->layer[i].kind = M2T_LAYER_WINDOW;
        else if (g_strcmp0(kind, "shifted") == 0)
            prior->layer[i].kind = M2T_LAYER_SHIFTED;
        else
            fail(graph, "prior.layers: neither \"window\" nor \"shifted\"");
    }
}

static void
read_masking(Graph *graph, JsonObject *object, M2tPriorWeights *prior)
{
    const char *masking = m2t_json_get_string(object, "masking");

    if (g_strcmp0(masking, "input") == 0)
        prior->masking = M2T_MASKING_INPUT;
    else if (g_strcmp0(masking, "input+attention") == 0)
        prior->masking = M2T_MASKING_INPUT_AND_ATTENTION;
    else
        fail(graph, "prior.masking is neither \"input+attention\" nor \"input\"");
}

static void
read_prior(Graph *graph, JsonObject *root, int latents, M2tPriorWeights *prior)
{
    static const char *const names[] = {"masking", "width", "heads", "mlp", "step", "parts", "groups", "layers", "limit", NULL};
    static const char part[] = "prior.";
    JsonObject *object = m2t_json_get_object(root, "prior");
    gboolean says_masking = object && json_object_has_member(object, "masking"); /* else it is of both, as in all models before there was a choice */

    object = get_object(graph, root, "prior", part, says_masking ? names : names + 1);
    if (object && says_masking)
        read_masking(graph, object, prior);
    prior->width = get_int(graph, object, part, "width", 8, M2T_CHANNELS_MAX, 8);
    prior->heads = get_int(graph, object, part, "heads", 1, prior->width, 1);
    if (prior->width % (8 * prior->heads) != 0)
        fail(graph, "prior.heads is %d, which does not divide prior.width, %d, into multiples of 8", prior->heads, prior->width);
    prior->mlp = get_int(graph, object, part, "mlp", 8, MLP_MAX, 8);
    prior->step = get_int(graph, object, part, "step", 8, MLP_MAX, 8);
    prior->limit = get_int(graph, object, part, "limit", 0, LIMIT_MAX, 1);
    prior->parts = read_sizes(graph, object, "parts", M2T_PARTS_MAX, 8, latents, prior->part_size, prior->part_start);
    read_groups(graph, object, prior);
    read_layers(graph, object, prior);
}

static void
read_transform(Graph *graph, JsonObject *root, const char *name, const char *part, M2tTransformWeights *transform)
{
    static const char *const names[] = {"width8", "width16", "blocks8", "blocks16", NULL};
    JsonObject *object = get_object(graph, root, name, part, names);

    transform->width8 = get_int(graph, object, part, "width8", 8, M2T_CHANNELS_MAX, 8);
    transform->width16 = get_int(graph, object, part, "width16", 8, M2T_CHANNELS_MAX, 8);
    transform->blocks8 = get_int(graph, object, part, "blocks8", 0, M2T_BLOCKS_MAX, 1);
    transform->blocks16 = get_int(graph, object, part, "blocks16", 0, M2T_BLOCKS_MAX, 1);
}

static void
read_entropy(Graph *graph, JsonObject *root, M2tEntropyWeights *entropy)
{
    static const char *const names[] = {"levels", "base", "step", "skip", NULL};
    static const char part[] = "entropy.";
    JsonObject *object = get_object(graph, root, "entropy", part, names);

    entropy->levels = get_int(graph, object, part, "levels", 1, M2T_LEVELS_MAX, 1);
    entropy->base = get_int(graph, object, part, "base", -LEVEL_MAX, LEVEL_MAX, 1);
    entropy->step = get_int(graph, object, part, "step", 1, LEVEL_MAX, 1);
    entropy->skip = get_int(graph, object, part, "skip", 0, entropy->levels, 1);
}

/* Part of paths and messages: plain characters only. */
static char *
read_name(Graph *graph, JsonObject *root)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const char *name = m2t_json_get_string(root, "name");
    gsize length = name ? strlen(name) : 0;

    if (length < 1 || length > 64 || strspn(name, plain) != length) {
        fail(graph, "name is not made of 1...64 letters, digits, '.', '_' and '-'");
        return NULL;
    }
    return g_strdup(name);
}

/* First of all: a later format may have any members. */
static void
check_format(Graph *graph, JsonObject *root)
{
    gint64 format;

    if (!m2t_json_get_int(root, "format", &format))
        fail(graph, "format is missing");
    else if (format != GRAPH_FORMAT)
        fail(graph, "format is %" G_GINT64_FORMAT ", this library reads format %d", format, GRAPH_FORMAT);
}

static void
read_filter(Graph *graph, JsonObject *root, M2tFilterWeights *filter)
{
    if (g_strcmp0(m2t_json_get_string(root, "filter"), "directional") == 0)
        filter->used = TRUE;
    else
        fail(graph, "filter is not \"directional\"");
}

static void
read_root(Graph *graph, JsonObject *root, M2tModel *model)
{
    static const char *const names[] = {"filter", "format", "name", "anchors", "latents", "analysis", "synthesis", "prior", "entropy", NULL};
    gboolean has_filter = json_object_has_member(root, "filter");

    check_format(graph, root);
    check_members(graph, root, "", has_filter ? names : names + 1);
    model->name = read_name(graph, root);
    model->anchors = get_int(graph, root, "", "anchors", 2, 16, 1);
    model->latents = get_int(graph, root, "", "latents", 8, M2T_LATENTS_MAX, 8);
    read_transform(graph, root, "analysis", "analysis.", &model->analysis);
    read_transform(graph, root, "synthesis", "synthesis.", &model->synthesis);
    read_prior(graph, root, model->latents, &model->prior);
    read_entropy(graph, root, &model->entropy);
    if (has_filter)
        read_filter(graph, root, &model->filter);
}

gboolean
m2t_graph_read(M2tModel *model, const char *text, gsize size, GError **error)
{
    g_autoptr(JsonObject) root = m2t_json_parse(text, size, "graph", error);
    Graph graph = {NULL};

    if (!root)
        return FALSE;
    read_root(&graph, root, model);
    if (graph.error)
        g_propagate_error(error, graph.error);
    return graph.error == NULL;
}
