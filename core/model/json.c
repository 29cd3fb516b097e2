/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guard before json-glib, and typed access after it.
 *
 * The guard is one pass over the raw text: it follows strings and brackets, bounds the nesting and admits only characters of
 * strict JSON, so that json-glib sees strings end where the guard does. It also counts the colons: an object of json-glib that
 * swallowed a repeated name has fewer members than the text had colons. */
#include "model/json.h"

#include <string.h>

typedef struct {
    const char *at, *end;
    guint depth, colons;
} Guard;

/* From behind the opening quote to behind the closing one. */
static const char *
skip_string(Guard *guard)
{
    while (guard->at < guard->end) {
        char c = *guard->at++;

        if (c == '"')
            return NULL;
        if ((guchar) c < 0x20)
            return "a control character in a string";
        if (c == '\\' && guard->at < guard->end)
            guard->at++;
    }
    return "a string does not end";
}

static const char *
guard_character(Guard *guard, char c)
{
    switch (c) {
    case '"':
        return skip_string(guard);
    case '{':
    case '[':
        return ++guard->depth > M2T_JSON_DEPTH_MAX ? "nested too deep" : NULL;
    case '}':
    case ']':
        return guard->depth-- == 0 ? "a bracket too many" : NULL;
    case ':':
        guard->colons++;
        return NULL;
    default:
        return c != '\0' && strchr(" \t\r\n,+-.0123456789Eaeflnrstu", c) ? NULL : "not JSON";
    }
}

static const char *
guard_text(Guard *guard)
{
    const char *problem = g_utf8_validate(guard->at, guard->end - guard->at, NULL) ? NULL : "not UTF-8";
    gboolean opened = FALSE;

    while (!problem && guard->at < guard->end) {
        char c = *guard->at++;

        if (opened && guard->depth == 0 && !g_ascii_isspace(c))
            return "something stands behind the object";
        if (!opened && !g_ascii_isspace(c) && c != '{')
            return "not an object";
        problem = guard_character(guard, c);
        opened = opened || guard->depth > 0;
    }
    if (problem)
        return problem;
    return guard->depth > 0 ? "it ends too early" : NULL;
}

/* Members of all objects; the guard has bounded the recursion. */
static guint
count_members(JsonNode *node)
{
    GList *children = NULL;
    guint count = 0;

    if (JSON_NODE_HOLDS_OBJECT(node)) {
        count = json_object_get_size(json_node_get_object(node));
        children = json_object_get_values(json_node_get_object(node));
    } else if (JSON_NODE_HOLDS_ARRAY(node)) {
        children = json_array_get_elements(json_node_get_array(node));
    }
    for (GList *child = children; child; child = child->next)
        count += count_members(child->data);
    g_list_free(children);
    return count;
}

JsonObject *
m2t_json_parse(const char *text, gsize size, const char *what, GError **error)
{
    Guard guard = {text, text + size, 0, 0};
    const char *problem = guard_text(&guard);
    g_autoptr(JsonParser) parser = NULL;
    g_autoptr(GError) parse_error = NULL;
    JsonNode *root;

    if (problem) {
        g_set_error(error, M2T_ERROR, M2T_ERROR_MODEL, "%s: %s", what, problem);
        return NULL;
    }
    parser = json_parser_new();
    if (!json_parser_load_from_data(parser, text, size, &parse_error)) {
        g_set_error(error, M2T_ERROR, M2T_ERROR_MODEL, "%s: %s", what, parse_error->message);
        return NULL;
    }
    root = json_parser_get_root(parser);
    if (!root || !JSON_NODE_HOLDS_OBJECT(root)) {
        g_set_error(error, M2T_ERROR, M2T_ERROR_MODEL, "%s: not an object", what);
        return NULL;
    }
    if (count_members(root) != guard.colons) {
        g_set_error(error, M2T_ERROR, M2T_ERROR_MODEL, "%s: a name stands twice", what);
        return NULL;
    }
    return json_object_ref(json_node_get_object(root));
}

static gboolean
node_int(JsonNode *node, gint64 *value)
{
    if (!node || !JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_INT64)
        return FALSE;
    *value = json_node_get_int(node);
    return TRUE;
}

static const char *
node_string(JsonNode *node)
{
    if (!node || !JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_STRING)
        return NULL;
    return json_node_get_string(node);
}

gboolean
m2t_json_get_int(JsonObject *object, const char *name, gint64 *value)
{
    return node_int(json_object_get_member(object, name), value);
}

const char *
m2t_json_get_string(JsonObject *object, const char *name)
{
    return node_string(json_object_get_member(object, name));
}

JsonArray *
m2t_json_get_array(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    return node && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
}

JsonObject *
m2t_json_get_object(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

gboolean
m2t_json_element_int(JsonArray *array, guint index, gint64 *value)
{
    return node_int(json_array_get_element(array, index), value);
}

const char *
m2t_json_element_string(JsonArray *array, guint index)
{
    return node_string(json_array_get_element(array, index));
}
