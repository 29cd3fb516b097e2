/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the safetensors layout of a model file: the header's JSON becomes a table of tensors by name. Everything the header claims
 * is checked against the size of the file before it is used, and no memory is taken that the size does not justify.
 *
 * The data are hashed as they are in the file, then copied tensor by tensor: each starts at a multiple of 64 bytes
 * wherever it lay, and numbers get the byte order of the machine. */
#include "model/safetensors.h"
#include "model/json.h"

#include <stdlib.h>
#include <string.h>

#define HEADER_MAX (1 << 20)
#define ALIGNMENT 64

static const struct {
    const char *name;
    int size;
} types[] = {
    [M2T_I8] = {"I8", 1},   [M2T_U8] = {"U8", 1},   [M2T_I16] = {"I16", 2},
    [M2T_U16] = {"U16", 2}, [M2T_I32] = {"I32", 4}, [M2T_F32] = {"F32", 4},
};

G_GNUC_PRINTF(2, 3) static gboolean
fail(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_propagate_error(error, g_error_new_valist(M2T_ERROR, M2T_ERROR_MODEL, format, args));
    va_end(args);
    return FALSE;
}

const char *
m2t_type_name(M2tType type)
{
    return types[type].name;
}

/* Names appear in messages, so that only plain ones are read. */
static gboolean
plain_name(const char *name)
{
    gsize length = strlen(name);

    return length > 0 && length < 100 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == length;
}

static gboolean
read_type(M2tTensor *tensor, JsonObject *entry, GError **error)
{
    const char *name = m2t_json_get_string(entry, "dtype");

    for (gsize i = 0; name && i < G_N_ELEMENTS(types); i++) {
        if (strcmp(name, types[i].name) == 0) {
            tensor->type = i;
            return TRUE;
        }
    }
    return fail(error, "tensor %s: dtype is not one of I8 U8 I16 U16 I32 F32", tensor->name);
}

/* With the size that the shape asks for; no product can overflow, since none passes the size of a file. */
static gboolean
read_shape(M2tTensor *tensor, JsonObject *entry, GError **error)
{
    JsonArray *shape = m2t_json_get_array(entry, "shape");
    guint dimensions = shape ? json_array_get_length(shape) : 0;

    if (dimensions < 1 || dimensions > M2T_TENSOR_DIMENSIONS)
        return fail(error, "tensor %s: shape is not a list of 1...%d numbers", tensor->name, M2T_TENSOR_DIMENSIONS);
    tensor->dimensions = dimensions;
    tensor->size = types[tensor->type].size;
    for (guint i = 0; i < dimensions; i++) {
        gint64 n;

        if (!m2t_json_element_int(shape, i, &n) || n < 1 || n > M2T_FILE_MAX)
            return fail(error, "tensor %s: shape is not made of numbers from 1 on", tensor->name);
        if ((guint64) n > M2T_FILE_MAX / tensor->size)
            return fail(error, "tensor %s: shape is larger than a file can be", tensor->name);
        tensor->dimension[i] = n;
        tensor->size *= n;
    }
    return TRUE;
}

static gboolean
read_offsets(M2tTensor *tensor, JsonObject *entry, gsize section, GError **error)
{
    JsonArray *offsets = m2t_json_get_array(entry, "data_offsets");
    gint64 begin, end;

    if (!offsets || json_array_get_length(offsets) != 2 || !m2t_json_element_int(offsets, 0, &begin) ||
        !m2t_json_element_int(offsets, 1, &end) || begin < 0 || end < begin)
        return fail(error, "tensor %s: data_offsets are not begin and end", tensor->name);
    if ((guint64) end > section)
        return fail(error, "tensor %s: ends %" G_GINT64_FORMAT " bytes behind the file", tensor->name, end - (gint64) section);
    if ((guint64) (end - begin) != tensor->size)
        return fail(error, "tensor %s: has %" G_GINT64_FORMAT " bytes, its shape asks for %" G_GSIZE_FORMAT, tensor->name,
                    end - begin, tensor->size);
    tensor->begin = begin;
    return TRUE;
}

static gboolean
read_tensor(M2tTensor *tensor, const char *name, JsonNode *node, gsize section, GError **error)
{
    JsonObject *entry;

    if (!plain_name(name))
        return fail(error, "header: the name of a tensor is not made of 1...99 letters, digits, '.', '_' and '-'");
    tensor->name = g_strdup(name);
    if (!JSON_NODE_HOLDS_OBJECT(node))
        return fail(error, "tensor %s: not an object", name);
    entry = json_node_get_object(node);
    if (!read_type(tensor, entry, error) || !read_shape(tensor, entry, error) ||
        !read_offsets(tensor, entry, section, error))
        return FALSE;
    if (json_object_get_size(entry) != 3)
        return fail(error, "tensor %s: has more than dtype, shape and data_offsets", name);
    return TRUE;
}

static gboolean
read_identity(M2tTensors *tensors, const char *hex, GError **error)
{
    if (!hex || strlen(hex) != 2 * M2T_HASH_SIZE)
        return fail(error, "metadata: identity is not %d hexadecimal digits", 2 * M2T_HASH_SIZE);
    for (int i = 0; i < M2T_HASH_SIZE; i++) {
        int high = g_ascii_xdigit_value(hex[2 * i]), low = g_ascii_xdigit_value(hex[2 * i + 1]);

        if (high < 0 || low < 0)
            return fail(error, "metadata: identity is not %d hexadecimal digits", 2 * M2T_HASH_SIZE);
        tensors->claimed[i] = high << 4 | low;
    }
    return TRUE;
}

static gboolean
read_metadata(M2tTensors *tensors, JsonObject *header, GError **error)
{
    JsonObject *metadata = m2t_json_get_object(header, "__metadata__");
    g_autoptr(GList) names = NULL;

    if (!metadata)
        return fail(error, "header: no __metadata__, this is not a model of this codec");
    names = json_object_get_members(metadata);
    for (GList *name = names; name; name = name->next) {
        if (!m2t_json_get_string(metadata, name->data))
            return fail(error, "metadata: not made of strings only");
    }
    if (g_strcmp0(m2t_json_get_string(metadata, "format"), "m2t") != 0)
        return fail(error, "metadata: format is not \"m2t\", this is not a model of this codec");
    return read_identity(tensors, m2t_json_get_string(metadata, "identity"), error);
}

static gboolean
read_entries(M2tTensors *tensors, JsonObject *header, gsize section, GError **error)
{
    g_autoptr(GList) names = json_object_get_members(header);

    tensors->tensor = g_new0(M2tTensor, json_object_get_size(header));
    for (GList *name = names; name; name = name->next) {
        if (strcmp(name->data, "__metadata__") == 0)
            continue;
        if (!read_tensor(&tensors->tensor[tensors->count++], name->data, json_object_get_member(header, name->data),
                         section, error))
            return FALSE;
    }
    return TRUE;
}

static int
compare_begin(const void *a, const void *b)
{
    gsize x = ((const M2tTensor *) a)->begin, y = ((const M2tTensor *) b)->begin;

    return x < y ? -1 : x > y;
}

static int
compare_name(const void *a, const void *b)
{
    return strcmp(((const M2tTensor *) a)->name, ((const M2tTensor *) b)->name);
}

/* The tensors must follow each other from the first byte of the section to the last. */
static gboolean
check_layout(M2tTensors *tensors, gsize section, GError **error)
{
    gsize at = 0;

    qsort(tensors->tensor, tensors->count, sizeof *tensors->tensor, compare_begin);
    for (guint i = 0; i < tensors->count; i++) {
        const M2tTensor *tensor = &tensors->tensor[i];

        if (tensor->begin != at)
            return fail(error, "tensor %s: begins at byte %" G_GSIZE_FORMAT ", %s", tensor->name, tensor->begin,
                        tensor->begin < at ? "inside the one before" : "behind a gap");
        at += tensor->size;
    }
    if (at != section)
        return fail(error, "%" G_GSIZE_FORMAT " bytes too many behind the last tensor", section - at);
    qsort(tensors->tensor, tensors->count, sizeof *tensors->tensor, compare_name);
    return TRUE;
}

static gboolean
header_size(const guint8 *data, gsize size, guint64 *header, GError **error)
{
    if (size > M2T_FILE_MAX)
        return fail(error, "larger than %d MiB", M2T_FILE_MAX >> 20);
    if (size < 8)
        return fail(error, "too short for a model");
    memcpy(header, data, 8);
    *header = GUINT64_FROM_LE(*header);
    if (*header > HEADER_MAX)
        return fail(error, "the header is said to have %" G_GUINT64_FORMAT " bytes, this is not a model", *header);
    if (*header > size - 8)
        return fail(error, "the file ends inside the header");
    return TRUE;
}

M2tTensors *
m2t_tensors_read(const guint8 *data, gsize size, GError **error)
{
    g_autoptr(M2tTensors) tensors = g_new0(M2tTensors, 1);
    g_autoptr(JsonObject) header = NULL;
    guint64 header_bytes = 0;
    gsize section;

    if (!header_size(data, size, &header_bytes, error))
        return NULL;
    tensors->section = data + 8 + header_bytes;
    section = size - 8 - header_bytes;
    header = m2t_json_parse((const char *) data + 8, header_bytes, "header", error);
    if (!header || !read_metadata(tensors, header, error) || !read_entries(tensors, header, section, error) ||
        !check_layout(tensors, section, error))
        return NULL;
    return g_steal_pointer(&tensors);
}

static void
hash_u32(GChecksum *checksum, guint32 value)
{
    guint32 bytes = GUINT32_TO_LE(value);

    g_checksum_update(checksum, (const guchar *) &bytes, 4);
}

void
m2t_tensors_hash(const M2tTensors *tensors, guint8 *hash)
{
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    gsize length = M2T_HASH_SIZE;

    for (guint i = 0; i < tensors->count; i++) {
        const M2tTensor *tensor = &tensors->tensor[i];
        const char *type = types[tensor->type].name;

        g_checksum_update(checksum, (const guchar *) tensor->name, strlen(tensor->name) + 1);
        g_checksum_update(checksum, (const guchar *) type, strlen(type) + 1);
        hash_u32(checksum, tensor->dimensions);
        for (int d = 0; d < tensor->dimensions; d++)
            hash_u32(checksum, tensor->dimension[d]);
        g_checksum_update(checksum, tensors->section + tensor->begin, tensor->size);
    }
    g_checksum_get_digest(checksum, hash, &length);
}

static void
copy_numbers(void *to, const guint8 *from, gsize size, int bytes)
{
    memcpy(to, from, size);
    if (G_BYTE_ORDER == G_LITTLE_ENDIAN || bytes == 1)
        return;
    for (gsize i = 0; i < size / bytes; i++) {
        if (bytes == 2)
            ((guint16 *) to)[i] = GUINT16_FROM_LE(((guint16 *) to)[i]);
        else
            ((guint32 *) to)[i] = GUINT32_FROM_LE(((guint32 *) to)[i]);
    }
}

static gsize
aligned(gsize size)
{
    return (size + ALIGNMENT - 1) & ~(gsize) (ALIGNMENT - 1);
}

gboolean
m2t_tensors_load(M2tTensors *tensors, GError **error)
{
    guint8 hash[M2T_HASH_SIZE], *block, *at;
    gsize size = 0;

    m2t_tensors_hash(tensors, hash);
    if (memcmp(hash, tensors->claimed, sizeof hash) != 0)
        return fail(error, "the tensors are not those that the identity was made of, the file is damaged");
    for (guint i = 0; i < tensors->count; i++)
        size += aligned(tensors->tensor[i].size);
    block = g_malloc(size + ALIGNMENT);
    at = block + (ALIGNMENT - (guintptr) block % ALIGNMENT);
    tensors->memory = g_bytes_new_with_free_func(at, size, g_free, block);
    for (guint i = 0; i < tensors->count; i++) {
        M2tTensor *tensor = &tensors->tensor[i];

        copy_numbers(at, tensors->section + tensor->begin, tensor->size, types[tensor->type].size);
        tensor->data = at;
        at += aligned(tensor->size);
    }
    return TRUE;
}

M2tTensor *
m2t_tensors_find(const M2tTensors *tensors, const char *name)
{
    M2tTensor key = {.name = (char *) name};

    return bsearch(&key, tensors->tensor, tensors->count, sizeof key, compare_name);
}

void
m2t_tensors_free(M2tTensors *tensors)
{
    if (!tensors)
        return;
    for (guint i = 0; i < tensors->count; i++)
        g_free(tensors->tensor[i].name);
    g_free(tensors->tensor);
    g_clear_pointer(&tensors->memory, g_bytes_unref);
    g_free(tensors);
}
