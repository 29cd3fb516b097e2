/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every build of every kernel against the C build, bit for bit: random values, the extremes of the types, small and large shapes, guard bytes behind
 * every output. With "-m perf" the same program prints nanoseconds per call. */
#include "kernels/kernels.h"

#include <string.h>

#define ROWS 9
#define CHANNELS 264
#define GUARD 64

static GRand *rng;

/* Random bytes, and here and there runs of one extreme. */
static void
fill(gpointer memory, gsize size)
{
    guint8 *bytes = memory;

    for (gsize i = 0; i < size; i++)
        bytes[i] = (guint8) g_rand_int_range(rng, 0, 256);
    for (int run = 0; run < 4 && size > 32; run++) {
        static const guint8 extreme[] = {0x00, 0x7f, 0x80, 0xff};

        memset(bytes + g_rand_int_range(rng, 0, (gint32) size - 16), extreme[g_rand_int_range(rng, 0, 4)], 16);
    }
}

static gint8
inside8(gint8 x)
{
    return MAX(x, -127);
}

static void
fill8(gint8 *out, gsize count)
{
    fill(out, count);
    for (gsize i = 0; i < count; i++)
        out[i] = inside8(out[i]);
}

static void
fill_sums(gint32 *out, gsize count, int bits)
{
    fill(out, count * sizeof *out);
    for (gsize i = 0; i < count; i++)
        out[i] >>= 31 - bits;
}

/* Scales from far too small to far too large, and exact halves, which show the direction of rounding. */
static void
fill_scales(float *out, gsize count)
{
    for (gsize i = 0; i < count; i++)
        switch (g_rand_int_range(rng, 0, 4)) {
        case 0: out[i] = 0.5f; break;
        case 1: out[i] = (float) g_rand_double_range(rng, 0, 1e-4); break;
        case 2: out[i] = (float) g_rand_double_range(rng, 0, 1); break;
        default: out[i] = (float) g_rand_double_range(rng, 0, 16777216); break;
        }
}

typedef struct {
    gint32 sum[ROWS * 2 * CHANNELS], bias[2 * CHANNELS], size[CHANNELS];
    float scale[2 * CHANNELS], other_scale[2 * CHANNELS];
    gint16 stream[ROWS * CHANNELS];
    gint8 narrow[ROWS * 3 * CHANNELS], weight[9 * CHANNELS], log[128], qkv[M2T_CELLS * 3 * 128];
    gint16 rel[M2T_CELLS * 2 * M2T_CELLS];
    guint8 exp[M2T_EXP_SIZE + 1];
} Input;

typedef struct {
    guint8 bytes[ROWS * 2 * CHANNELS * 4 + GUARD];
} Output;

/* One call of one kernel. Widths come from the case, so that odd tails of vectors are met. */
typedef void (*Call)(const M2tKernels *k, const Input *in, int width, Output *out);

static M2tStore
store_of(const Input *in, int width)
{
    return (M2tStore) {in->sum, in->bias, in->scale, ROWS, width};
}

#define STORE_CALL(name, type)                                                                                         \
    static void call_##name(const M2tKernels *k, const Input *in, int width, Output *out)                             \
    {                                                                                                                  \
        M2tStore s = store_of(in, width);                                                                              \
        k->name(&s, (type *) out->bytes);                                                                              \
    }
STORE_CALL(to8, gint8)
STORE_CALL(relu8, gint8)
STORE_CALL(to16, gint16)
STORE_CALL(to32, gint32)

static void
call_add16(const M2tKernels *k, const Input *in, int width, Output *out)
{
    M2tStore s = store_of(in, width);

    memcpy(out->bytes, in->stream, (gsize) ROWS * width * 2);
    k->add16(&s, (gint16 *) out->bytes);
}

static void
call_to_float(const M2tKernels *k, const Input *in, int width, Output *out)
{
    k->to_float(in->narrow, (float *) out->bytes, (gsize) ROWS * width);
}

/* Sums of a product, which stay below 2^24. */
static void
call_floats(const M2tKernels *k, const Input *in, int width, Output *out)
{
    gsize count = (gsize) ROWS * width;
    g_autofree float *sums = g_new(float, count);

    for (gsize i = 0; i < count; i++)
        sums[i] = (float) (in->sum[i] % (1 << 24));
    k->from_float(sums, (gint32 *) out->bytes, count);
}

static void
call_combine(const M2tKernels *k, const Input *in, int width, Output *out)
{
    gint32 *sum = (gint32 *) out->bytes;

    for (int i = 0; i < width; i++)
        sum[i] = in->sum[i] >> 8;
    k->combine(sum, in->bias, width);
}

static void
call_narrow(const M2tKernels *k, const Input *in, int width, Output *out)
{
    for (int shift = 0; shift <= 8; shift++)
        k->narrow(in->stream, shift, (gint8 *) out->bytes + shift * width, width);
}

static void
call_split(const M2tKernels *k, const Input *in, int width, Output *out)
{
    k->split(in->stream, (gint8 *) out->bytes, (gint8 *) out->bytes + width, width);
}

static void
call_depthwise(const M2tKernels *k, const Input *in, int width, Output *out)
{
    const gint8 *row = in->narrow;
    int columns = 3;

    k->depthwise(NULL, row, row + columns * width, columns, width, in->weight, in->bias, in->scale, (gint8 *) out->bytes);
    k->depthwise(row, row + columns * width, row + 2 * columns * width, columns, width, in->weight, in->bias, in->scale,
                 (gint8 *) out->bytes + columns * width);
    k->depthwise(row, row + width, NULL, 1, width, in->weight, in->bias, in->scale, (gint8 *) out->bytes + 2 * columns * width);
    k->depthwise(row, row + 4 * width, row + 8 * width, 4, width, in->weight, in->bias, in->scale, (gint8 *) out->bytes + 7 * width);
}

static void
call_gate(const M2tKernels *k, const Input *in, int width, Output *out)
{
    k->gate(in->narrow, (gint8 *) out->bytes, 3, width);
}

static void
call_norm8(const M2tKernels *k, const Input *in, int width, Output *out)
{
    k->norm8(in->stream, in->scale, (gint8 *) out->bytes, ROWS, width);
}

static void
call_norm16(const M2tKernels *k, const Input *in, int width, Output *out)
{
    k->norm16(in->stream, in->scale, (gint16 *) out->bytes, ROWS, width);
}

static void
call_quantise(const M2tKernels *k, const Input *in, int width, Output *out)
{
    int n = MIN(width, CHANNELS);

    k->quantise(in->bias, in->size, in->scale, (gint16 *) out->bytes, (gint8 *) out->bytes + 2 * n, n);
}

static void
call_dequantise(const M2tKernels *k, const Input *in, int width, Output *out)
{
    k->dequantise(in->stream, in->narrow, in->scale, (gint16 *) out->bytes, width);
}

static void
call_features(const M2tKernels *k, const Input *in, int width, Output *out)
{
    k->features(in->stream, in->scale, in->log, (gint8 *) out->bytes, (gint8 *) out->bytes + width, width);
}

static void
call_add_rows(const M2tKernels *k, const Input *in, int width, Output *out)
{
    memcpy(out->bytes, in->stream + CHANNELS, width * 2);
    k->add_rows(in->stream, in->size, (gint16 *) out->bytes, width);
}

static void
call_unshuffle(const M2tKernels *k, const Input *in, int width, Output *out)
{
    k->unshuffle(in->narrow, in->narrow + 3 * width, (gint8 *) out->bytes, width);
}

static void
call_shuffle(const M2tKernels *k, const Input *in, int width, Output *out)
{
    gint16 *above = (gint16 *) out->bytes;

    k->shuffle(in->stream, above, above + 3 * width, width);
}

static void
call_values(const M2tKernels *k, const Input *in, int width, Output *out)
{
    gint32 a[4 * CHANNELS], b[CHANNELS];

    for (int i = 0; i < 4 * width; i++)
        a[i] = in->sum[i] >> 9;
    for (int i = 0; i < width; i++)
        b[i] = in->bias[i];
    for (int place = 0; place < 4; place++)
        k->values(a + place, b, (gint16 *) out->bytes + place * width, width);
}

#define FILTER_STRIDE 80
#define FILTER_REACH (2 * FILTER_STRIDE + 2)

/* Blocks with all they reach for: from nearly flat, where the smallest differences decide, to as rough as can be. */
static void
filter_input(const Input *in, int width, gint16 *values)
{
    for (int i = 0; i < 8 * FILTER_STRIDE; i++) {
        int roughness = width / 8 % 9;
        int base = width % 16 ? 8000 : (i % FILTER_STRIDE * (width % 7) + i / FILTER_STRIDE * (width % 5)) * 90;

        values[i] = (gint16) CLAMP(base + in->stream[i] / (1 << (10 - roughness)), 0, M2T_VALUE_MAX);
    }
}

static void
call_classify(const M2tKernels *k, const Input *in, int width, Output *out)
{
    gint16 values[8 * FILTER_STRIDE];

    filter_input(in, width, values);
    k->classify(values + FILTER_REACH, FILTER_STRIDE, out->bytes);
}

static void
call_filter(const M2tKernels *k, const Input *in, int width, Output *out)
{
    gint16 values[8 * FILTER_STRIDE], weight[M2T_FILTER_TAPS * M2T_FILTER_ROW];
    guint8 class[M2T_FILTER_BLOCKS];

    filter_input(in, width, values);
    for (gsize i = 0; i < G_N_ELEMENTS(weight); i++)
        weight[i] = (gint16) CLAMP(in->rel[i], -11096, 11096); /* the most that a loader lets pass for all taps of a class */
    for (int block = 0; block < M2T_FILTER_BLOCKS; block++)
        class[block] = in->exp[block] % M2T_FILTER_CLASSES;
    k->filter(values + FILTER_REACH, FILTER_STRIDE, weight, class, 4, out->bytes);
    k->filter(values + FILTER_REACH, FILTER_STRIDE, weight, class, 2, out->bytes + 4 * 4 * M2T_FILTER_BLOCKS);
}

static void
call_attention(const M2tKernels *k, const Input *in, int width, Output *out)
{
    static const guint8 seen[M2T_CELLS] = {
        1, 4, 4, 4, 9, 9, 9, 9, 9, 16, 16, 16, 16, 16, 16, 16, 25, 25, 25, 25, 25, 25, 25, 25, 25, 36, 36, 36, 36, 36, 36, 36, 36, 36, 36, 36, 49,
        49, 49, 49, 49, 49, 49, 49, 49, 49, 49, 49, 49, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64};
    static const int size[] = {8, 16, 32, 64};
    M2tAttention a = {2, 2 * size[width / 8 % 4], in->other_scale, in->scale, in->rel, in->exp, seen};
    gint32 slot[M2T_CELLS];
    gint16 cache[M2T_CACHE(128)];

    for (int j = 0; j < M2T_CELLS; j++)
        slot[j] = width % 64 && j % 5 == 3 ? -1 : 64 - j - 1;
    slot[0] = 63;
    k->attention(&a, in->qkv, slot, cache, 0, M2T_CELLS, (gint8 *) out->bytes);
    for (int group = 16; group < 64; group += 9)
        k->attention(&a, in->qkv, slot, cache, group, MIN(group + 9, 64), (gint8 *) out->bytes);
}

static void
call_branches(const M2tKernels *k, const Input *in, int width, Output *out)
{
    gint32 *price = (gint32 *) out->bytes, distance[CHANNELS];
    guint32 at[CHANNELS];

    for (int i = 0; i < width; i++) {
        distance[i] = in->stream[i] / 16;   /* up to eight values on either side */
        at[i] = 40 + (guint32) (in->stream[i] & 255);
    }
    k->branches((const guint32 *) in->sum, 1 + (in->stream[0] & 1023), in->stream[1] & 1, distance, at, width, price, price + 4 * width);
}

static void
call_states(const M2tKernels *k, const Input *in, int width, Output *out)
{
    gint32 price[4 * CHANNELS], *sum = (gint32 *) out->bytes;

    for (int i = 0; i < 4 * width; i++)
        price[i] = in->stream[i] & 1023;
    for (int i = 0; i < 64; i++)
        sum[i] = in->stream[0] & 1 ? (i ? 1 << 29 : 0) : in->stream[1 + i] & 255;
    k->states(price, width, sum, (guint8 (*)[8]) (sum + 64));
}

static void
call_sparse(const M2tKernels *k, const Input *in, int width, Output *out)
{
    int rows = (int) G_N_ELEMENTS(in->rel) / (2 * width), count = MIN(rows, in->stream[0] & 15);
    guint16 place[15];
    gint16 pair[2 * 15];

    for (int i = 0; i < count; i++) {
        place[i] = (guint16) ((in->stream[1 + i] & 0x7fff) % rows);
        pair[2 * i] = in->narrow[2 * i];
        pair[2 * i + 1] = in->narrow[2 * i + 1];
    }
    k->sparse(pair, place, count, in->rel, (gint32 *) out->bytes, width);
}

static void
call_levels(const M2tKernels *k, const Input *in, int width, Output *out)
{
    M2tLevels l = {7386, -4608, 192, 64};
    int n = MIN(width, CHANNELS);

    k->levels(&l, in->sum, in->bias, in->scale, in->other_scale, in->size, (gint32 *) out->bytes, out->bytes + n * 4, n);
}

static const struct {
    const char *name;
    Call call;
} cases[] = {
    {"to8", call_to8}, {"relu8", call_relu8}, {"to16", call_to16}, {"to32", call_to32}, {"add16", call_add16}, {"to_float", call_to_float}, {"floats", call_floats}, {"combine", call_combine},
    {"narrow", call_narrow}, {"split", call_split}, {"depthwise", call_depthwise}, {"gate", call_gate}, {"norm8", call_norm8},
    {"norm16", call_norm16}, {"quantise", call_quantise}, {"dequantise", call_dequantise}, {"features", call_features},
    {"add_rows", call_add_rows}, {"unshuffle", call_unshuffle}, {"shuffle", call_shuffle}, {"values", call_values},
    {"classify", call_classify}, {"filter", call_filter}, {"attention", call_attention}, {"levels", call_levels}, {"branches", call_branches}, {"states", call_states},
    {"sparse", call_sparse},
};

static void
fill_input(Input *in)
{
    fill_sums(in->sum, G_N_ELEMENTS(in->sum), g_rand_int_range(rng, 8, 31));
    fill_sums(in->bias, G_N_ELEMENTS(in->bias), 22);
    for (gsize i = 0; i < G_N_ELEMENTS(in->sum); i++)
        in->sum[i] = CLAMP(in->sum[i], -2140000000, 2140000000); /* a valid model keeps the sum with its bias in range */
    fill_sums(in->size, G_N_ELEMENTS(in->size), 14);
    fill_scales(in->scale, G_N_ELEMENTS(in->scale));
    fill_scales(in->other_scale, G_N_ELEMENTS(in->other_scale));
    fill(in->stream, sizeof in->stream);
    fill8(in->narrow, sizeof in->narrow);
    fill8(in->weight, sizeof in->weight);
    fill8(in->log, sizeof in->log);
    if (g_rand_int_range(rng, 0, 8) == 0) { /* sums as large as they get */
        memset(in->narrow, g_rand_boolean(rng) ? 127 : -127, sizeof in->narrow);
        memset(in->weight, g_rand_boolean(rng) ? 127 : -127, sizeof in->weight);
        memset(in->stream, g_rand_boolean(rng) ? 127 : 128, sizeof in->stream);
    }
    fill(in->rel, sizeof in->rel);
    fill(in->exp, sizeof in->exp);
    in->exp[0] = 255;
    in->exp[M2T_EXP_SIZE] = 0;
    fill8(in->qkv, sizeof in->qkv);
}

static void
test_kernel(gconstpointer data)
{
    gsize index = GPOINTER_TO_SIZE(data);
    const M2tKernels *const *all = m2t_kernels_all();
    const M2tKernels *definition = all[0];
    g_autofree Input *in = g_new0(Input, 1);
    g_autofree Output *expected = g_new(Output, 1), *got = g_new(Output, 1);

    while (all[1] && strcmp(definition->name, "c"))
        definition = *++all;
    for (int turn = 0; turn < 200; turn++) {
        int width = turn < 33 ? 8 * (turn + 1) : 8 * g_rand_int_range(rng, 1, CHANNELS / 8 + 1);

        fill_input(in);
        memset(expected, 0xa5, sizeof *expected);
        cases[index].call(definition, in, width, expected);
        for (const M2tKernels *const *k = m2t_kernels_all(); *k; k++) {
            memset(got, 0xa5, sizeof *got);
            cases[index].call(*k, in, width, got);
            g_assert_cmpmem(got, sizeof *got, expected, sizeof *expected);
        }
    }
    if (g_test_perf())
        for (const M2tKernels *const *k = m2t_kernels_all(); *k; k++) {
            g_test_timer_start();
            for (int i = 0; i < 2000; i++)
                cases[index].call(*k, in, 256, got);
            g_test_minimized_result(g_test_timer_elapsed() / 2000 * 1e9, "%s %s: %.0f ns", cases[index].name, (*k)->name,
                                    g_test_timer_elapsed() / 2000 * 1e9);
        }
}

/* What the document says about rounding and clamping, by hand. */
static void
test_definitions(void)
{
    gint32 sum[8] = {5, 7, -5, -7, 1000, -1000, 1, 0}, bias[8] = {0};
    float scale[8] = {0.5f, 0.5f, 0.5f, 0.5f, 1, 1, 126.5f, 1};
    M2tStore s = {sum, bias, scale, 1, 8};
    gint8 out[8], relu[8];
    static const gint8 expected[8] = {2, 4, -2, -4, 127, -127, 126, 0}, expected_relu[8] = {-125, -123, -127, -127, 127, -127, -1, -127};

    for (const M2tKernels *const *k = m2t_kernels_all(); *k; k++) {
        (*k)->to8(&s, out);
        g_assert_cmpmem(out, 8, expected, 8);
        (*k)->relu8(&s, relu);
        g_assert_cmpmem(relu, 8, expected_relu, 8);
    }
}

/* The level is a quotient rounded down: at its multiples and just below, up to the largest numerators a model can ask for. */
static void
test_level_steps(void)
{
    static const gint32 step[] = {1, 3, 7, 192, 199, 1023, 1024, 4097, 30011, 65535, 65536};
    gint32 sum[16] = {0}, bias[16] = {0}, size[8], mean[8];
    float scale[8] = {0};
    guint8 level[8];

    for (const M2tKernels *const *k = m2t_kernels_all(); *k; k++)
        for (gsize s = 0; s < G_N_ELEMENTS(step); s++)
            for (gint32 v = 0; v < 1 << 17; v += MAX(step[s], 509) / step[s] * step[s]) {
                M2tLevels l = {0, -30000, step[s], 255};

                for (int i = 0; i < 8; i++)
                    size[i] = v + i - 6 - 30000;
                (*k)->levels(&l, sum, bias, scale, scale, size, mean, level, 8);
                for (int i = 0; i < 8; i++)
                    g_assert_cmpint(level[i], ==, MIN(MAX(v + i - 6, 0) / step[s], 254));
            }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    rng = g_rand_new_with_seed(20231);
    g_test_add_func("/kernels/definitions", test_definitions);
    g_test_add_func("/kernels/level-steps", test_level_steps);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf("/kernels/%s", cases[i].name);

        g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_kernel);
    }
    return g_test_run();
}
