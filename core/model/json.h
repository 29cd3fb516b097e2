/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON of model files, read with json-glib behind a guard: files may come from anywhere, and json-glib recurses as deep
 * as the text nests, takes comments and other dialects, and keeps the last of two members of one name without a word. */
#ifndef M2T_MODEL_JSON_H
#define M2T_MODEL_JSON_H

#include <json-glib/json-glib.h>
#include <m2t/m2t-error.h>

#define M2T_JSON_DEPTH_MAX 4

/* The object that is the whole of @text. Free with json_object_unref(). NULL: M2T_ERROR_MODEL; @what names the text. */
JsonObject *m2t_json_parse(const char *text, gsize size, const char *what, GError **error);

/* FALSE if there is no such member of this type. A string belongs to the object. */
gboolean m2t_json_get_int(JsonObject *object, const char *name, gint64 *value);
const char *m2t_json_get_string(JsonObject *object, const char *name);
JsonArray *m2t_json_get_array(JsonObject *object, const char *name);
JsonObject *m2t_json_get_object(JsonObject *object, const char *name);

/* The same for an element of an array. */
gboolean m2t_json_element_int(JsonArray *array, guint index, gint64 *value);
const char *m2t_json_element_string(JsonArray *array, guint index);

#endif
