/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Products by oneDNN, in int8 all the way. A primitive is made for one number of rows, so there are a few for each weight matrix, and a
 * product is put together from them; they share the packed weights. Each runs on the one thread that calls it. On a CPU without VNNI
 * oneDNN saturates 16-bit sums: the check in gemm.c finds that and leaves this backend out. */
#include "nn/gemm.h"

#ifdef M2T_HAVE_ONEDNN
#include <dnnl.h>
#include <string.h>
#if M2T_ARCH_X86
#include <cpuid.h>
#endif

/* From the OpenMP runtime below oneDNN; not every compiler has its header. */
int omp_get_max_threads(void);
void omp_set_num_threads(int threads);

#define SIZES 4

static const int size_rows[SIZES] = {128, 64, 32, M2T_GEMM_ROWS};
static dnnl_engine_t engine;

typedef struct {
    dnnl_primitive_t primitive;
    dnnl_memory_desc_t in, sum, scratch;
} Product;

typedef struct {
    Product product[SIZES];
    dnnl_memory_t weight;
} Packed;

/* Whether the CPU has VNNI in one of its forms; what is no x86 is left to the check of sums. */
static gboolean
may_be_exact(void)
{
#if M2T_ARCH_X86
    unsigned a, b, c, d;

    return __builtin_cpu_supports("avx512vnni") || (__get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1 << 4)); /* AVX-VNNI */
#else
    return TRUE;
#endif
}

/* Where it would be refused anyway, not asking it saves some 40 milliseconds of the start. */
static gboolean
open_onednn(void)
{
    return may_be_exact() && dnnl_engine_create(&engine, dnnl_cpu, 0) == dnnl_success;
}

static void
expect(dnnl_status_t status)
{
    if (status != dnnl_success)
        g_error("oneDNN: status %d", status); /* it made this primitive for the self-check, so it is out of memory */
}

static dnnl_memory_desc_t
matrix(int rows, int columns, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t desc;

    expect(dnnl_memory_desc_init_by_tag(&desc, 2, (dnnl_dims_t) {rows, columns}, type, tag));
    return desc;
}

/* @weight: its layout, which the first product is free to choose. */
static void
make_product(Product *product, int rows, int n, int k, dnnl_memory_desc_t *weight)
{
    dnnl_primitive_attr_t attr;
    dnnl_matmul_desc_t desc;
    dnnl_primitive_desc_t chosen;

    product->in = matrix(rows, k, dnnl_s8, dnnl_ab);
    product->sum = matrix(rows, n, dnnl_s32, dnnl_ab);
    expect(dnnl_primitive_attr_create(&attr));
    expect(dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user)); /* any thread may run it */
    expect(dnnl_matmul_desc_init(&desc, &product->in, weight, NULL, &product->sum));
    expect(dnnl_primitive_desc_create(&chosen, &desc, attr, engine, NULL));
    *weight = *dnnl_primitive_desc_query_md(chosen, dnnl_query_weights_md, 0);
    product->scratch = *dnnl_primitive_desc_query_md(chosen, dnnl_query_scratchpad_md, 0);
    expect(dnnl_primitive_create(&product->primitive, chosen));
    dnnl_primitive_desc_destroy(chosen);
    dnnl_primitive_attr_destroy(attr);
}

static dnnl_memory_t
view(const dnnl_memory_desc_t *desc, gconstpointer data)
{
    dnnl_memory_t memory;

    expect(dnnl_memory_create(&memory, desc, engine, (void *) data));
    return memory;
}

static dnnl_memory_t
reorder(const gint8 *weight, int n, int k, const dnnl_memory_desc_t *packed)
{
    dnnl_memory_desc_t plain = matrix(k, n, dnnl_s8, dnnl_ba);
    dnnl_memory_t from = view(&plain, weight), to = view(packed, DNNL_MEMORY_ALLOCATE);
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
    dnnl_stream_t stream;

    expect(dnnl_reorder_primitive_desc_create(&desc, &plain, engine, packed, engine, NULL));
    expect(dnnl_primitive_create(&primitive, desc));
    expect(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags));
    expect(dnnl_primitive_execute(primitive, stream, 2, (const dnnl_exec_arg_t[]) {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}}));
    dnnl_stream_destroy(stream);
    dnnl_primitive_destroy(primitive);
    dnnl_primitive_desc_destroy(desc);
    dnnl_memory_destroy(from);
    return to;
}

static gpointer
pack(const gint8 *weight, int n, int k)
{
    Packed *packed = g_new0(Packed, 1);
    dnnl_memory_desc_t layout = matrix(k, n, dnnl_s8, dnnl_format_tag_any);
    int threads = omp_get_max_threads();

    omp_set_num_threads(1); /* what the primitives are made for; the calling thread's setting is put back */
    for (int i = 0; i < SIZES; i++)
        make_product(&packed->product[i], size_rows[i], n, k, &layout);
    packed->weight = reorder(weight, n, k, &layout);
    omp_set_num_threads(threads);
    return packed;
}

static void
free_packed(gpointer data)
{
    Packed *packed = data;

    if (!packed)
        return;
    for (int i = 0; i < SIZES; i++)
        dnnl_primitive_destroy(packed->product[i].primitive);
    dnnl_memory_destroy(packed->weight);
    g_free(packed);
}

/* Wrappers of the memory that a product works on. Making them costs as much as a small product, so each scratch keeps its own and
 * points them where they are needed. */
typedef struct {
    dnnl_memory_t in, sum, space;
} Views;

typedef struct {
    dnnl_stream_t stream;
    GHashTable *views;    /* of Product to Views */
    gint8 *tail;          /* [M2T_GEMM_ROWS][k] */
} Scratch;

static void
free_views(gpointer data)
{
    Views *views = data;

    dnnl_memory_destroy(views->in);
    dnnl_memory_destroy(views->sum);
    dnnl_memory_destroy(views->space);
    g_free(views);
}

static gpointer
scratch_new(int m, int n, int k)
{
    Scratch *scratch = g_new(Scratch, 1);

    expect(dnnl_stream_create(&scratch->stream, engine, dnnl_stream_default_flags));
    scratch->views = g_hash_table_new_full(NULL, NULL, NULL, free_views);
    scratch->tail = g_malloc((gsize) M2T_GEMM_ROWS * k);
    return scratch;
}

static void
scratch_free(gpointer data)
{
    Scratch *scratch = data;

    dnnl_stream_destroy(scratch->stream);
    g_hash_table_unref(scratch->views);
    g_free(scratch->tail);
    g_free(scratch);
}

static const Views *
find_views(Scratch *scratch, const Product *product)
{
    Views *views = g_hash_table_lookup(scratch->views, product);

    if (!views) {
        views = g_new(Views, 1);
        *views = (Views) {view(&product->in, DNNL_MEMORY_NONE), view(&product->sum, DNNL_MEMORY_NONE),
                          view(&product->scratch, DNNL_MEMORY_ALLOCATE)};
        g_hash_table_insert(scratch->views, (gpointer) product, views);
    }
    return views;
}

static void
run_piece(const Packed *packed, const Product *product, const gint8 *in, gint32 *sum, Scratch *scratch)
{
    const Views *views = find_views(scratch, product);
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, views->in},
                                    {DNNL_ARG_WEIGHTS, packed->weight},
                                    {DNNL_ARG_DST, views->sum},
                                    {DNNL_ARG_SCRATCHPAD, views->space}};

    expect(dnnl_memory_set_data_handle(views->in, (void *) in));
    expect(dnnl_memory_set_data_handle(views->sum, sum));
    expect(dnnl_primitive_execute(product->primitive, scratch->stream, G_N_ELEMENTS(args), args));
}

/* Largest pieces first; the last rows are copied, since nobody promises that there is anything to read behind them. */
static void
run(gconstpointer data, const gint8 *in, int m, int n, int k, gint32 *sum, gpointer memory)
{
    const Packed *packed = data;
    Scratch *scratch = memory;

    for (int i = 0; i < SIZES; i++)
        for (int rows = size_rows[i]; m >= rows; m -= rows, in += (gsize) rows * k, sum += (gsize) rows * n)
            run_piece(packed, &packed->product[i], in, sum, scratch);
    if (m > 0) {
        memcpy(scratch->tail, in, (gsize) m * k);
        memset(scratch->tail + (gsize) m * k, 0, (gsize) (M2T_GEMM_ROWS - m) * k);
        run_piece(packed, &packed->product[SIZES - 1], scratch->tail, sum, scratch);
    }
}

const M2tGemm m2t_gemm_onednn = {
    .name = "onednn",
    .sparse = 2,
    .open = open_onednn,
    .pack = pack,
    .free = free_packed,
    .scratch_new = scratch_new,
    .scratch_free = scratch_free,
    .run = run,
};
#endif
