/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Model files: the small one opens; taken apart, changed in one place and put together again with a right identity, it is refused for
 * just that; headers of all wrong kinds, damage, and the search for files. */
#include "model/model.h"
#include "model/safetensors.h"
#include "vectors.h"

#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

static GRand *rng;
static char *tiny_path;
static GBytes *tiny;

static M2tModel *
open_bytes(const GByteArray *file, GError **error)
{
    return m2t_model_open_memory(file->data, file->len, "test.m2tw", error);
}

static void
check_message(const GError *error, M2tError code, const char *word)
{
    g_assert_error(error, M2T_ERROR, (int) code);
    if (!strstr(error->message, word))
        g_error("\"%s\" does not say \"%s\"", error->message, word);
}

static void
check_refused(const GByteArray *file, const char *word)
{
    g_autoptr(GError) error = NULL;
    M2tModel *model = open_bytes(file, &error);

    if (model)
        g_error("a model was opened that should be refused: %s", word);
    check_message(error, M2T_ERROR_MODEL, word);
    g_assert_true(g_str_has_prefix(error->message, "test.m2tw: "));
}

/* ---- a file taken apart ---- */

typedef struct {
    char name[100], type[8];
    guint32 dimension[4];
    int dimensions;
    GByteArray *data;
} Part;

static void
part_free(gpointer data)
{
    Part *part = data;

    g_byte_array_unref(part->data);
    g_free(part);
}

static GPtrArray *
take_apart(void)
{
    GPtrArray *parts = g_ptr_array_new_with_free_func(part_free);
    gsize size;
    const guint8 *data = g_bytes_get_data(tiny, &size);
    GError *error = NULL;
    M2tTensors *tensors = m2t_tensors_read(data, size, &error);

    g_assert_no_error(error);
    for (guint i = 0; i < tensors->count; i++) {
        const M2tTensor *tensor = &tensors->tensor[i];
        Part *part = g_new0(Part, 1);

        g_strlcpy(part->name, tensor->name, sizeof part->name);
        g_strlcpy(part->type, m2t_type_name(tensor->type), sizeof part->type);
        memcpy(part->dimension, tensor->dimension, sizeof part->dimension);
        part->dimensions = tensor->dimensions;
        part->data = g_byte_array_append(g_byte_array_new(), tensors->section + tensor->begin, tensor->size);
        g_ptr_array_add(parts, part);
    }
    m2t_tensors_free(tensors);
    return parts;
}

static Part *
find_part(GPtrArray *parts, const char *name)
{
    for (guint i = 0; i < parts->len; i++) {
        Part *part = parts->pdata[i];

        if (strcmp(part->name, name) == 0)
            return part;
    }
    g_error("the test model has no tensor %s", name);
}

static void
append_u32(GByteArray *out, guint32 value)
{
    guint32 bytes = GUINT32_TO_LE(value);

    g_byte_array_append(out, (const guint8 *) &bytes, 4);
}

static int
compare_parts(gconstpointer a, gconstpointer b)
{
    return strcmp((*(Part *const *) a)->name, (*(Part *const *) b)->name);
}

static char *
hash_parts(GPtrArray *parts)
{
    g_autoptr(GByteArray) all = g_byte_array_new();

    g_ptr_array_sort(parts, compare_parts);
    for (guint i = 0; i < parts->len; i++) {
        const Part *part = parts->pdata[i];

        g_byte_array_append(all, (const guint8 *) part->name, strlen(part->name) + 1);
        g_byte_array_append(all, (const guint8 *) part->type, strlen(part->type) + 1);
        append_u32(all, part->dimensions);
        for (int d = 0; d < part->dimensions; d++)
            append_u32(all, part->dimension[d]);
        g_byte_array_append(all, part->data->data, part->data->len);
    }
    return g_compute_checksum_for_data(G_CHECKSUM_SHA256, all->data, all->len);
}

/* A file of this header and these bytes. */
static GByteArray *
make_file(const char *header, gsize header_size, gconstpointer section, gsize section_size)
{
    GByteArray *file = g_byte_array_new();
    guint64 length = GUINT64_TO_LE(header_size);

    g_byte_array_append(file, (const guint8 *) &length, 8);
    g_byte_array_append(file, (const guint8 *) header, header_size);
    g_byte_array_append(file, section, section_size);
    return file;
}

static GByteArray *
put_together(GPtrArray *parts)
{
    g_autofree char *identity = hash_parts(parts);
    g_autoptr(GString) header = g_string_new(NULL);
    g_autoptr(GByteArray) section = g_byte_array_new();

    g_string_append_printf(header, "{\"__metadata__\": {\"format\": \"m2t\", \"identity\": \"%s\"}", identity);
    for (guint i = 0; i < parts->len; i++) {
        const Part *part = parts->pdata[i];

        g_string_append_printf(header, ", \"%s\": {\"dtype\": \"%s\", \"shape\": [", part->name, part->type);
        for (int d = 0; d < part->dimensions; d++)
            g_string_append_printf(header, "%s%u", d ? ", " : "", part->dimension[d]);
        g_string_append_printf(header, "], \"data_offsets\": [%u, %u]}", section->len, section->len + part->data->len);
        g_byte_array_append(section, part->data->data, part->data->len);
    }
    g_string_append_c(header, '}');
    return make_file(header->str, header->len, section->data, section->len);
}

static void
check_parts_refused(GPtrArray *parts, const char *word)
{
    g_autoptr(GByteArray) file = put_together(parts);

    check_refused(file, word);
}

/* ---- opening ---- */

static void
test_opens(void)
{
    GError *error = NULL;
    M2tModel *model = m2t_model_open(tiny_path, &error);
    const guint8 *identity;

    g_assert_no_error(error);
    g_assert_cmpstr(m2t_model_name(model), ==, "tiny");
    g_assert_cmpstr(m2t_model_path(model), ==, tiny_path);
    g_assert_cmpuint(m2t_model_bytes(model), ==, g_bytes_get_size(tiny));
    g_assert_cmpuint(strlen(m2t_model_identity_hex(model)), ==, 32);
    identity = m2t_model_identity(model);
    for (int i = 0; i < M2T_MODEL_IDENTITY_SIZE; i++)
        g_assert_cmpint(g_ascii_xdigit_value(m2t_model_identity_hex(model)[2 * i + 1]), ==, identity[i] & 15);
    g_assert_cmpfloat(m2t_model_encode_cost(model), >, 0);
    g_assert_cmpfloat(m2t_model_decode_cost(model), >, 0);
    g_assert_true(m2t_model_ref(model) == model);
    m2t_model_unref(model);
    m2t_model_unref(model);
    m2t_model_unref(NULL);
}

static void
assert_aligned(gconstpointer data)
{
    g_assert_cmpuint((guintptr) data % 64, ==, 0);
}

/* The graph's sizes, groups by cell, and memory. The order of tensors in the file does not matter, odd offsets neither. */
static void
test_contents(void)
{
    GPtrArray *parts = take_apart();
    g_autoptr(GByteArray) file = put_together(parts);
    GError *error = NULL;
    M2tModel *model = open_bytes(file, &error);
    int cells = 0;

    g_assert_no_error(error);
    for (int i = 0; i < model->prior.groups; i++) {
        g_assert_cmpint(model->prior.group_start[i], ==, cells);
        for (int j = 0; j < model->prior.group_size[i]; j++)
            g_assert_cmpint(model->prior.group[model->prior.order[cells + j]], ==, i);
        cells += model->prior.group_size[i];
    }
    g_assert_cmpint(cells, ==, 64);
    assert_aligned(model->exp2);
    assert_aligned(model->gain);
    assert_aligned(model->analysis.in.weight);
    assert_aligned(model->synthesis.shortcut.weight_low);
    assert_aligned(model->prior.head[0].bias);
    assert_aligned(model->prior.slot);
    assert_aligned(model->entropy.frequency);
    g_assert_cmpint(model->exp2[0], ==, 1 << 23);
    g_assert_cmpint(model->prior.head[0].bias_rows, ==, model->prior.groups);
    g_assert_cmpint(model->synthesis.in.bias_rows, ==, model->anchors);
    g_assert_null(model->prior.embed.bias);
    g_assert_null(model->analysis.out.weight_low);
    m2t_model_unref(model);
    g_ptr_array_unref(parts);
}

/* ---- values ---- */

static void
store(Part *part, gsize index, double value)
{
    gsize size = strchr(part->type, '8') ? 1 : strstr(part->type, "16") ? 2 : 4;
    gint32 number = isfinite(value) && fabs(value) < 3e9 ? (gint32) (gint64) value : 0;
    float single = (float) value;
    union {
        gint8 i8;
        gint16 i16;
        gint32 i32;
        guint8 bytes[4];
    } bytes;

    if (size == 1)
        bytes.i8 = (gint8) number;
    else if (size == 2)
        bytes.i16 = GINT16_TO_LE((gint16) number);
    else if (part->type[0] == 'F')
        memcpy(&bytes.i32, &single, 4);
    else
        bytes.i32 = number;
    if (size == 4)
        bytes.i32 = GINT32_TO_LE(bytes.i32);
    g_assert_cmpuint((index + 1) * size, <=, part->data->len);
    memcpy(part->data->data + index * size, bytes.bytes, size);
}

static void
test_values(void)
{
    static const struct {
        const char *tensor;
        int index;
        double value;
        const char *word;
    } cases[] = {
        {"exp2", 7, 8388608, "exp2: entry 7"},
        {"gain", 3, 30721, "gain: values"},
        {"igain", 0, -30721, "igain: values"},
        {"prior.size", 1, 99999, "prior.size: values"},
        {"prior.q", 1, 32768, "prior.q: values"},
        {"prior.q", 1, -32768, "prior.q: values"},
        {"prior.shift", 0, 9, "prior.shift: values"},
        {"analysis.down.shift", 0, -1, "analysis.down.shift: values"},
        {"analysis.block8.0.shift", 0, 9, "analysis.block8.0.shift: values"},
        {"prior.exp", 0, 0, "prior.exp: the first"},
        {"prior.log", 127, -128, "prior.log: entry 127"},
        {"prior.order", 63, 64, "prior.order: entry 63 is 64"},
        {"prior.order", 5, 255, "prior.order: entry 5"},
        {"prior.source", 9, 64, "prior.source"},
        {"prior.source", 9, -2, "prior.source"},
        {"prior.norm", 2, NAN, "prior.norm: values"},
        {"prior.layer.0.norm1", 0, INFINITY, "prior.layer.0.norm1: values"},
        {"prior.layer.1.norm2", 0, -1, "prior.layer.1.norm2: values"},
        {"prior.layer.0.context", 0, 33554432, "prior.layer.0.context: values"},
        {"prior.layer.0.logit", 1, NAN, "prior.layer.0.logit: values"},
        {"analysis.in.scale", 0, -INFINITY, "analysis.in.scale: values"},
        {"synthesis.block8.0.depthwise.scale", 3, 1e30, "synthesis.block8.0.depthwise.scale: values"},
        {"entropy.radius", 0, 0, "entropy.radius: values"},
        {"entropy.radius", 4, 128, "entropy.radius: values"},
        {"entropy.raw", 2, 9, "entropy.raw: values"},
        {"entropy.raw", 2, -1, "entropy.raw: values"},
        {"entropy.frequency", 0, 0, "entropy.frequency: quantizer 0, level 0, fraction -8"},
        {"entropy.frequency", 1, 32768, "entropy.frequency: quantizer 0, level 0, fraction -8"},
        {"analysis.in.bias", 5, 1 << 24, "analysis.in.weight: the sum"},
        {"analysis.block8.1.expand.bias", 5, -(1 << 24), "analysis.block8.1.expand.weight: the sum"},
        {"analysis.block8.1.depthwise.bias", 5, -(1 << 24), "analysis.block8.1.depthwise.weight: the sum of channel 5"},
        {"analysis.out.bias", 0, 2147483647, "analysis.out.weight: the sum"},
        {"synthesis.shortcut.bias", 0, -2147483648.0, "synthesis.shortcut.weight: the sum"},
        {"prior.head.1.bias", 3, 1 << 24, "prior.head.1.weight: the sum"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        GPtrArray *parts = take_apart();

        store(find_part(parts, cases[i].tensor), cases[i].index, cases[i].value);
        check_parts_refused(parts, cases[i].word);
        g_ptr_array_unref(parts);
    }
}

/* Two cells of one place in the order, and a source that is not in the group before. */
static void
test_order(void)
{
    GPtrArray *parts = take_apart();
    Part *order = find_part(parts, "prior.order"), *source = find_part(parts, "prior.source");
    guint8 first = order->data->data[0], last = order->data->data[63];

    order->data->data[63] = first;
    check_parts_refused(parts, "prior.order: entry 63");
    order->data->data[63] = last;
    source->data->data[last] = last;
    check_parts_refused(parts, "prior.source");
    source->data->data[last] = first;
    check_parts_refused(parts, "prior.source");
    g_ptr_array_unref(parts);
}

/* ---- tensors ---- */

static void
test_tensors(void)
{
    GPtrArray *parts = take_apart();
    Part *embed = find_part(parts, "prior.embed.weight");
    guint32 columns = embed->dimension[1];
    g_autofree char *expected =
        g_strdup_printf("prior.embed.weight: shape [%u], expected [%u, %u]", embed->dimension[0] * columns, embed->dimension[0], columns);

    embed->dimension[0] *= columns;
    embed->dimensions = 1;
    check_parts_refused(parts, expected);
    embed->dimension[0] /= columns;
    embed->dimensions = 2;
    g_strlcpy(embed->type, "U8", sizeof embed->type);
    check_parts_refused(parts, "prior.embed.weight: type U8, expected I8");
    g_strlcpy(embed->type, "I8", sizeof embed->type);
    g_strlcpy(embed->name, "prior.embed.height", sizeof embed->name);
    check_parts_refused(parts, "prior.embed.weight: missing");
    g_strlcpy(embed->name, "prior.embed.weight", sizeof embed->name);
    g_strlcpy(find_part(parts, "graph")->name, "grape", sizeof embed->name);
    check_parts_refused(parts, "graph: missing");
    g_ptr_array_unref(parts);
}

static void
test_unknown_tensor(void)
{
    GPtrArray *parts = take_apart();
    Part *part = g_new0(Part, 1);

    g_strlcpy(part->name, "analysis.extra", sizeof part->name);
    g_strlcpy(part->type, "U8", sizeof part->type);
    part->dimension[0] = part->dimensions = 1;
    part->data = g_byte_array_append(g_byte_array_new(), (const guint8 *) "x", 1);
    g_ptr_array_add(parts, part);
    check_parts_refused(parts, "tensor analysis.extra: the graph does not ask for it");
    g_ptr_array_unref(parts);
}

/* ---- graph ---- */

static void
check_graph_refused(GPtrArray *parts, const char *text, const char *word)
{
    Part *graph = find_part(parts, "graph");

    g_byte_array_set_size(graph->data, 0);
    g_byte_array_append(graph->data, (const guint8 *) text, strlen(text));
    graph->dimension[0] = graph->data->len;
    check_parts_refused(parts, word);
}

static char *
replace(const char *text, const char *what, const char *with)
{
    g_auto(GStrv) pieces = g_strsplit(text, what, 2);

    if (!pieces[1])
        g_error("the graph does not have %s", what);
    return g_strjoinv(with, pieces);
}

static void
test_graph(void)
{
    static const struct {
        const char *what, *with, *word;
    } cases[] = {
        {"{\"format\": 1", "{\"format\": 2", "graph: format is 2"},
        {"{\"format\": 1", "{\"format\": \"1\"", "graph: format"},
        {"{\"format\": 1", "{\"format\": 1, \"more\": 1", "graph: more is not known"},
        {"{\"format\": 1", "{\"format\": 1, \"format\": 1", "graph: a name stands twice"},
        {"\"name\": \"tiny\"", "\"name\": \"\"", "graph: name"},
        {"\"name\": \"tiny\"", "\"name\": \"a\\nb\"", "graph: name"},
        {"\"name\": \"tiny\"", "\"name\": 5", "graph: name"},
        {"\"name\": \"tiny\", ", "", "graph: name is missing"},
        {"\"anchors\": ", "\"anchors\": 10", "graph: anchors is 10"},
        {"\"latents\": ", "\"latents\": 1", "graph: latents is 1"},
        {"\"latents\": ", "\"latents\": 9999999999999999999999", "graph: latents"},
        {"\"latents\": ", "\"latents\": 1.", "graph: latents is not a whole number"},
        {"\"analysis\": {", "\"analysis\": [], \"x\": {", "graph:"},
        {"\"width8\": ", "\"width8\": -", "graph: analysis.width8 is -"},
        {"\"width8\": ", "\"width9\": ", "graph: analysis.width8 is missing"},
        {"\"width8\": ", "\"width9\": 8, \"width8\": ", "graph: analysis.width9 is not known"},
        {"\"blocks8\": ", "\"blocks8\": 1111", "graph: analysis.blocks8"},
        {"\"heads\": ", "\"heads\": 3, \"x\": ", "graph: prior."},
        {"\"heads\": 2", "\"heads\": 3", "graph: prior.heads is 3"},
        {"\"mlp\": ", "\"mlp\": 1", "graph: prior.mlp"},
        {"\"step\": 24", "\"step\": 20", "graph: prior.step"},
        {"\"limit\": ", "\"limit\": 1000000", "graph: prior.limit"},
        {"\"parts\": [", "\"parts\": [8, ", "graph: prior.parts sum"},
        {"\"parts\": [8", "\"parts\": [4", "graph: prior.parts"},
        {"\"parts\": [", "\"parts\": [], \"y\": [", "graph: prior."},
        {"\"groups\": [2, 6", "\"groups\": [6, 2", "graph: prior.groups decrease"},
        {"\"groups\": [2", "\"groups\": [0", "graph: prior.groups"},
        {"\"groups\": [2, 6", "\"groups\": [\"2\", 6", "graph: prior.groups"},
        {"\"groups\": [2, 6", "\"groups\": [2, 7", "graph: prior.groups sum to 65, not 64"},
        {"\"window\"", "\"door\"", "graph: prior.layers"},
        {"\"window\"", "1", "graph: prior.layers"},
        {"\"layers\": [",
         "\"layers\": [\"window\", \"window\", \"window\", \"window\", \"window\", \"window\", \"window\", "
         "\"window\", \"window\", \"window\", \"window\", \"window\", \"window\", \"window\", \"window\", \"window\", ",
         "graph: prior.layers is not a list"},
        {"\"levels\": ", "\"levels\": 1000", "graph: entropy.levels"},
        {"\"base\": -", "\"base\": -99", "graph: entropy.base"},
        {"\"step\": 740", "\"step\": 0", "graph: entropy.step"},
        {"\"skip\": 3", "\"skip\": 21", "graph: entropy.skip is 21"},
        {"[\"window\"", "[[[[\"window\"]]]", "graph: nested too deep"},
    };
    GPtrArray *parts = take_apart();
    Part *graph = find_part(parts, "graph");
    g_autofree char *text = g_strndup((const char *) graph->data->data, graph->data->len);

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *changed = replace(text, cases[i].what, cases[i].with);

        check_graph_refused(parts, changed, cases[i].word);
    }
    check_graph_refused(parts, "[]", "graph: not an object");
    check_graph_refused(parts, "x", "graph: not an object");
    check_graph_refused(parts, "{}", "graph: format is missing");
    g_ptr_array_unref(parts);
}

/* ---- headers ---- */

#define ZEROS16 "0000000000000000"
#define METADATA "\"__metadata__\":{\"format\":\"m2t\",\"identity\":\"" ZEROS16 ZEROS16 ZEROS16 ZEROS16 "\"}"
#define TENSOR(type, shape, offsets) "{" METADATA ",\"a\":{\"dtype\":" type ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

/* Each with a data section of four bytes. */
static void
test_headers(void)
{
    static const struct {
        const char *header, *word;
    } cases[] = {
        {TENSOR("\"U8\"", "[4]", "[0,4]"), "not those that the identity was made of"}, /* all else is right */
        {"", "header: "},
        {"{", "header: it ends"},
        {"{}}", "header: something stands behind"},
        {"[]", "header: not an object"},
        {"{}", "header: no __metadata__"},
        {"{\"a\":1}x", "header: something stands behind"},
        {"{\"a\":1}{}", "header: something stands behind"},
        {"{'a':1}", "header: not JSON"},
        {"{\"a\":1/**/}", "header: not JSON"},
        {"{\"a\":1#\n}", "header: not JSON"},
        {"{\"a\":\"b}", "header: a string"},
        {"{\"a\":\"b\\", "header: a string"},
        {"{\"a\":\"\n\"}", "header: a control character"},
        {"{\"a\":\"\xff\"}", "header: not UTF-8"},
        {"{\"a\":]}", "header: "},
        {"{\"a\":[[[[1]]]]}", "header: nested too deep"},
        {"{\"a\":1,\"a\":1}", "header: a name stands twice"},
        {"{\"a\" 1}", "header: "},
        {"{a:1}", "header: "},
        {"{\"__metadata__\":1}", "no __metadata__"},
        {"{\"__metadata__\":{\"format\":1}}", "strings only"},
        {"{\"__metadata__\":{\"format\":\"x\"}}", "format is not"},
        {"{\"__metadata__\":{\"format\":\"m2t\"}}", "identity is not"},
        {"{\"__metadata__\":{\"format\":\"m2t\",\"identity\":\"00\"}}", "identity is not"},
        {"{\"__metadata__\":{\"format\":\"m2t\",\"identity\":\"" ZEROS16 ZEROS16 ZEROS16 "000000000000000x\"}}", "identity is not"},
        {"{" METADATA "}", "4 bytes too many"},
        {"{" METADATA ",\"a\":1}", "a: not an object"},
        {"{" METADATA ",\"a b\":{}}", "the name of a tensor"},
        {"{" METADATA ",\"\":{}}", "the name of a tensor"},
        {"{" METADATA ",\"a\":{}}", "a: dtype"},
        {TENSOR("\"F16\"", "[2]", "[0,4]"), "a: dtype"},
        {TENSOR("8", "[4]", "[0,4]"), "a: dtype"},
        {TENSOR("\"U8\"", "4", "[0,4]"), "a: shape"},
        {TENSOR("\"U8\"", "[]", "[0,4]"), "a: shape"},
        {TENSOR("\"U8\"", "[1,1,1,1,4]", "[0,4]"), "a: shape"},
        {TENSOR("\"U8\"", "[0]", "[0,0]"), "a: shape"},
        {TENSOR("\"U8\"", "[-4]", "[0,4]"), "a: shape"},
        {TENSOR("\"U8\"", "[4.0]", "[0,4]"), "a: shape"},
        {TENSOR("\"U8\"", "[4294967300]", "[0,4]"), "a: shape"},
        {TENSOR("\"U8\"", "[65536,65536,65536,65536]", "[0,4]"), "a: shape is larger"},
        {TENSOR("\"I32\"", "[67108864]", "[0,4]"), "a: shape is larger"},
        {TENSOR("\"U8\"", "[18446744073709551620]", "[0,4]"), "a: shape"},
        {TENSOR("\"U8\"", "[4]", "[0]"), "a: data_offsets"},
        {TENSOR("\"U8\"", "[4]", "[0,4,4]"), "a: data_offsets"},
        {TENSOR("\"U8\"", "[4]", "[4,0]"), "a: data_offsets"},
        {TENSOR("\"U8\"", "[4]", "[-4,0]"), "a: data_offsets"},
        {TENSOR("\"U8\"", "[4]", "[\"0\",4]"), "a: data_offsets"},
        {TENSOR("\"U8\"", "[4]", "[1,5]"), "a: ends 1 bytes behind"},
        {TENSOR("\"U8\"", "[4]", "[9223372036854775803,9223372036854775807]"), "a: ends"},
        {TENSOR("\"U8\"", "[3]", "[0,4]"), "a: has 4 bytes, its shape asks for 3"},
        {TENSOR("\"U16\"", "[4]", "[0,4]"), "a: has 4 bytes, its shape asks for 8"},
        {TENSOR("\"U8\"", "[3]", "[1,4]"), "behind a gap"},
        {TENSOR("\"U8\"", "[3]", "[0,3]"), "1 bytes too many"},
        {TENSOR("\"U8\",\"x\":1", "[4]", "[0,4]"), "more than dtype"},
        {"{" METADATA
         ",\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}",
         "b: begins at byte 2, inside"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GByteArray) file = make_file(cases[i].header, strlen(cases[i].header), "data", 4);
        g_autofree char *text = g_strescape(cases[i].header, NULL);

        g_test_message("%s", text);
        check_refused(file, cases[i].word);
    }
}

/* A header may nest as deep as its size allows, and be all quotes or brackets. */
static void
test_hostile_headers(void)
{
    static const char *const patterns[] = {"[", "{\"a\":", "\"", "[]", "{}", "]", "\\", "\"\\\"", "[0,"};

    for (guint i = 0; i < G_N_ELEMENTS(patterns); i++) {
        g_autoptr(GString) header = g_string_new("{\"a\":[");
        g_autoptr(GByteArray) file = NULL;

        while (header->len + strlen(patterns[i]) <= 1 << 20)
            g_string_append(header, patterns[i]);
        file = make_file(header->str, header->len, "data", 4);
        check_refused(file, "header: ");
    }
}

static void
test_sizes(void)
{
    g_autoptr(GByteArray) file = make_file("{}", 2, NULL, 0), large = g_byte_array_new();

    file->data[0] = 3;
    check_refused(file, "the file ends inside the header");
    memset(file->data, 0xFF, 8);
    check_refused(file, "this is not a model");
    g_byte_array_set_size(file, 7);
    check_refused(file, "too short");
    g_byte_array_set_size(file, 0);
    check_refused(file, "too short");
    g_byte_array_set_size(large, M2T_FILE_MAX + 1);
    check_refused(large, "larger than 64 MiB");
}

/* ---- damage ---- */

/* What is in the metadata beside the identity has no checksum; everything else must be as it was. */
static void
check_damaged(const guint8 *data, gsize size, gboolean cut)
{
    g_autoptr(GError) error = NULL;
    M2tModel *model = m2t_model_open_memory(data, size, "damaged", &error);

    if (model) {
        g_assert_false(cut);
        g_assert_cmpstr(m2t_model_name(model), ==, "tiny");
    } else {
        g_assert_error(error, M2T_ERROR, M2T_ERROR_MODEL);
    }
    m2t_model_unref(model);
}

static void
test_damage(void)
{
    gsize size, header;
    const guint8 *data = g_bytes_get_data(tiny, &size);

    header = 8 + data[0] + 256 * data[1] + 65536 * data[2];
    for (int turn = 0; turn < 3000; turn++) {
        gsize where = turn % 4 == 0 ? size : header, length = turn % 8 == 1 ? (gsize) g_rand_int_range(rng, 0, size) : size;
        g_autofree guint8 *copy = g_malloc(length + 1);

        memcpy(copy, data, length);
        if (length == size)
            copy[g_rand_int_range(rng, 0, where)] ^= 1 << g_rand_int_range(rng, 0, 8);
        check_damaged(copy, length, length < size);
    }
}

/* With right identities, so that wrong values reach every check; what passes has values that are allowed. */
static void
test_damaged_values(void)
{
    int opened = 0;

    for (int turn = 0; turn < 400; turn++) {
        GPtrArray *parts = take_apart();
        Part *part = parts->pdata[g_rand_int_range(rng, 0, parts->len)];
        g_autoptr(GByteArray) file = NULL;
        M2tModel *model;

        part->data->data[g_rand_int_range(rng, 0, part->data->len)] ^= 1 << g_rand_int_range(rng, 0, 8);
        file = put_together(parts);
        model = open_bytes(file, NULL);
        opened += model != NULL;
        m2t_model_unref(model);
        g_ptr_array_unref(parts);
    }
    g_assert_cmpint(opened, >, 0);
    g_assert_cmpint(opened, <, 400);
}

/* ---- search ---- */

static void
write_file(const char *directory, const char *name, gconstpointer data, gsize size)
{
    g_autofree char *path = g_build_filename(directory, name, NULL);
    GError *error = NULL;

    g_file_set_contents(path, data, size, &error);
    g_assert_no_error(error);
}

static void
check_not_opened(const char *name, M2tError code, const char *word)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(m2t_model_open(name, &error));
    check_message(error, code, word);
}

static void
check_open_by_name(const char *name, const char *directory)
{
    GError *error = NULL;
    M2tModel *model = m2t_model_open(name, &error);
    g_autofree char *file = g_strconcat(name, ".m2tw", NULL), *path = g_build_filename(directory, file, NULL);

    g_assert_no_error(error);
    g_assert_cmpstr(m2t_model_path(model), ==, path);
    m2t_model_unref(model);
}

static void
check_open_by_identity(const char *path)
{
    GError *error = NULL;
    M2tModel *tiny_model = m2t_model_open(tiny_path, &error), *model;
    guint8 identity[M2T_MODEL_IDENTITY_SIZE];

    g_assert_no_error(error);
    memcpy(identity, m2t_model_identity(tiny_model), sizeof identity);
    model = m2t_model_open_identity(identity, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(m2t_model_path(model), ==, path);
    g_assert_cmpmem(m2t_model_identity(model), 16, identity, 16);
    m2t_model_unref(model);
    m2t_model_unref(tiny_model);

    memset(identity, 0xAB, sizeof identity);
    g_assert_null(m2t_model_open_identity(identity, &error));
    check_message(error, M2T_ERROR_WRONG_MODEL, "abababababababababababababababab");
    check_message(error, M2T_ERROR_WRONG_MODEL, path);
    g_clear_error(&error);
}

static void
remove_directory(const char *directory)
{
    GDir *dir = g_dir_open(directory, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(directory, name, NULL);

        g_remove(path);
    }
    g_dir_close(dir);
    g_rmdir(directory);
}

static void
test_search(void)
{
    g_autofree char *first = g_dir_make_tmp("m2t-XXXXXX", NULL), *second = g_dir_make_tmp("m2t-XXXXXX", NULL);
    g_autofree char *path = g_strconcat(first, G_SEARCHPATH_SEPARATOR_S G_SEARCHPATH_SEPARATOR_S, second, NULL);
    g_autofree char *found = g_build_filename(second, "b.m2tw", NULL), *damaged = g_build_filename(first, "b.m2tw", NULL);
    g_autofree char *before = g_strdup(g_getenv("M2T_MODEL_PATH"));
    g_auto(GStrv) list = NULL;
    gsize size;
    const guint8 *data = g_bytes_get_data(tiny, &size);

    g_setenv("M2T_MODEL_PATH", path, TRUE);
    write_file(second, "b.m2tw", data, size);
    write_file(second, "c.m2tw", data, size);
    write_file(second, "c.txt", data, size);
    check_open_by_name("b", second);
    check_open_by_identity(found);
    write_file(first, "b.m2tw", data, size / 2);
    check_not_opened("b", M2T_ERROR_MODEL, damaged);
    check_open_by_identity(found);

    list = m2t_model_list();
    g_assert_cmpuint(g_strv_length(list), >=, 3);
    g_assert_cmpstr(list[0], ==, damaged);
    g_assert_cmpstr(list[1], ==, found);
    g_assert_true(g_str_has_suffix(list[2], "c.m2tw"));
    for (int i = 0; list[i]; i++)
        g_assert_true(g_str_has_suffix(list[i], ".m2tw"));

    check_not_opened("no-such-model", M2T_ERROR_NOT_FOUND, first);
    check_not_opened("no-such-model", M2T_ERROR_NOT_FOUND, second);
    check_not_opened("no-such-model", M2T_ERROR_NOT_FOUND, "M2T_MODEL_PATH");
    check_not_opened("/no/such/model", M2T_ERROR_NOT_FOUND, "/no/such/model: ");
    check_not_opened("nowhere.m2tw", M2T_ERROR_NOT_FOUND, "nowhere.m2tw: ");
    check_not_opened("/no/such/\xff.m2tw", M2T_ERROR_NOT_FOUND, "/no/such/\xef\xbf\xbd.m2tw: "); /* U+FFFD: messages are UTF-8 */
    check_not_opened(first, M2T_ERROR_NOT_FOUND, first); /* a directory */
    check_not_opened("/dev/zero", M2T_ERROR_MODEL, "larger than 64 MiB");
    if (before)
        g_setenv("M2T_MODEL_PATH", before, TRUE);
    else
        g_unsetenv("M2T_MODEL_PATH");
    remove_directory(first);
    remove_directory(second);
}

int
main(int argc, char **argv)
{
    GError *error = NULL;
    GMappedFile *file;
    int status;

    g_test_init(&argc, &argv, NULL);
    rng = g_rand_new_with_seed(4);
    tiny_path = vectors_path("tiny.m2tw");
    file = g_mapped_file_new(tiny_path, FALSE, &error);
    g_assert_no_error(error);
    tiny = g_mapped_file_get_bytes(file);
    g_test_add_func("/model/opens", test_opens);
    g_test_add_func("/model/contents", test_contents);
    g_test_add_func("/model/values", test_values);
    g_test_add_func("/model/order", test_order);
    g_test_add_func("/model/tensors", test_tensors);
    g_test_add_func("/model/unknown-tensor", test_unknown_tensor);
    g_test_add_func("/model/graph", test_graph);
    g_test_add_func("/model/headers", test_headers);
    g_test_add_func("/model/hostile-headers", test_hostile_headers);
    g_test_add_func("/model/sizes", test_sizes);
    g_test_add_func("/model/damage", test_damage);
    g_test_add_func("/model/damaged-values", test_damaged_values);
    g_test_add_func("/model/search", test_search);
    status = g_test_run();
    g_bytes_unref(tiny);
    g_mapped_file_unref(file);
    g_free(tiny_path);
    g_rand_free(rng);
    return status;
}
