/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Products of all backends against plain loops, in all the shapes that layers have; and the workers. */
#include "base/threads.h"
#include "nn/gemm.h"

#include <string.h>

static GRand *rng;

static gint8 *
random_matrix(int rows, int columns, int low, int high)
{
    gint8 *values = g_new(gint8, (gsize) rows * columns);
    gboolean extremes = g_rand_int_range(rng, 0, 3) == 0;

    for (int i = 0; i < rows * columns; i++)
        values[i] = (gint8) (extremes ? (g_rand_boolean(rng) ? high : low) : g_rand_int_range(rng, low, high + 1));
    return values;
}

/* Zeros in all rows, here and there and at the end: backends leave them out. */
static void
make_sparse(gint8 *in, int m, int k)
{
    int end = g_rand_int_range(rng, 0, k + 1);

    for (int j = 0; j < k; j += 2)
        if (j >= end || g_rand_boolean(rng))
            for (int i = 0; i < m; i++)
                in[i * k + j] = in[i * k + j + (j + 1 < k)] = 0;
}

/* @wide: weights of 15 bits, for backends that take them whole. */
static void
check_product(const M2tGemm *gemm, int m, int n, int k, gboolean wide)
{
    g_autofree gint8 *in = random_matrix(m, k, -127, 127), *weight = random_matrix(n, k, -127, 127), *low = random_matrix(n, k, -64, 63);
    g_autofree gint32 *sum = g_new(gint32, (gsize) (m + M2T_GEMM_ROWS) * n);
    gpointer packed = wide ? gemm->pack_wide(weight, low, n, k) : gemm->pack(weight, n, k), scratch = gemm->scratch_new(m, n, k);

    if (g_rand_int_range(rng, 0, 3) == 0)
        make_sparse(in, m, k);
    gemm->run(packed, in, m, n, k, sum, scratch);
    for (int i = 0; i < m * n; i++) {
        gint32 expected = 0;

        for (int j = 0; j < k; j++) {
            int at = i % n * k + j;

            expected += in[i / n * k + j] * (wide ? 128 * weight[at] + low[at] : weight[at]);
        }
        g_assert_cmpint(sum[i], ==, expected);
    }
    gemm->scratch_free(scratch);
    gemm->free(packed);
}

static void
test_products(void)
{
    const M2tGemm *const *gemm = m2t_gemm_list();

    g_assert_nonnull(gemm[0]);
    for (int i = 0; gemm[i]; i++)
        for (int turn = 0; turn < 60; turn++)
            check_product(gemm[i], g_rand_int_range(rng, 1, 40), g_rand_int_range(rng, 1, 80), turn ? 8 * g_rand_int_range(rng, 1, 76) : 2048,
                          FALSE);
}

static void
test_wide_products(void)
{
    const M2tGemm *const *gemm = m2t_gemm_list();
    gboolean any = FALSE;

    for (int i = 0; gemm[i]; i++)
        for (int turn = 0; gemm[i]->pack_wide && turn < 60; turn++) {
            check_product(gemm[i], g_rand_int_range(rng, 1, 40), g_rand_int_range(rng, 1, 80), turn ? 8 * g_rand_int_range(rng, 1, 65) : 512, TRUE);
            any = TRUE;
        }
    if (!any)
        g_test_skip("no backend here has factors of 16 bits");
}

#ifdef M2T_HAVE_OPENBLAS
int openblas_get_num_threads(void);
void openblas_set_num_threads(int threads);

/* The application's own setting is another one during a frame, and what it was afterwards. */
static void
test_openblas_threads(void)
{
    const M2tGemm *gemm = m2t_gemm_find("openblas");
    int before;

    if (!gemm) {
        g_test_skip("OpenBLAS does not work here");
        return;
    }
    openblas_set_num_threads(2);
    before = openblas_get_num_threads(); /* one, on a machine with one core */
    m2t_gemm_begin(gemm);
    m2t_gemm_begin(gemm);
    g_assert_cmpint(openblas_get_num_threads(), ==, 1);
    m2t_gemm_end(gemm);
    g_assert_cmpint(openblas_get_num_threads(), ==, 1);
    m2t_gemm_end(gemm);
    g_assert_cmpint(openblas_get_num_threads(), ==, before);
}
#endif

/* What the kernels in C make of sums. */
static void
store_in_c(const M2tStore *store, M2tStoreKind kind, gpointer out)
{
    const M2tKernels *const *kernels = m2t_kernels_all();

    while (kernels[1])
        kernels++;
    m2t_kernels_store(*kernels, store, kind, out);
}

/* @wide: input of 15 bits; weights as well, now and then. */
static void
check_store(const M2tGemm *gemm, int m, int n, int k, M2tStoreKind kind, gboolean wide)
{
    gsize size = (gsize) (m + 1) * n * sizeof(gint32); /* and a row that is not to be touched */
    g_autofree gint8 *in = random_matrix(m, k, -127, 127), *lo = random_matrix(m, k, -64, 63), *weight = random_matrix(n, k, -127, 127),
                     *weight_low = random_matrix(n, k, -64, 63), *out = random_matrix(1, (int) size, -128, 127), *expected = g_memdup2(out, size);
    g_autofree gint32 *bias = g_new(gint32, n), *sum = g_new0(gint32, (gsize) (m + M2T_GEMM_ROWS) * n);
    g_autofree float *scale = g_new(float, n);
    gboolean low = wide && g_rand_boolean(rng);
    gpointer packed = gemm->pack(weight, n, k), packed_low = low ? gemm->pack(weight_low, n, k) : NULL, scratch = gemm->scratch_new(m, n, k);
    M2tStore store = {sum, bias, scale, m, n};

    for (int i = 0; i < n; i++) {
        bias[i] = g_rand_int_range(rng, -100000, 100000);
        scale[i] = (float) g_rand_double_range(rng, 0, g_rand_boolean(rng) ? 0.001 : 10);
    }
    for (int i = 0; i < m * n * k; i++) {
        int row = i / k / n * k + i % k, column = i / k % n * k + i % k;

        sum[i / k] += (wide ? 128 * in[row] + lo[row] : in[row]) * weight[column] + (low ? in[row] * weight_low[column] : 0);
    }
    store_in_c(&store, kind, expected);
    if (wide)
        gemm->run_wide_and_store(packed, packed_low, in, lo, m, n, k, &store, kind, sum, out, scratch);
    else
        gemm->run_and_store(packed, in, m, n, k, &store, kind, out, scratch);
    g_assert_cmpmem(out, size, expected, size);
    gemm->scratch_free(scratch);
    gemm->free(packed);
    gemm->free(packed_low);
}

static void
test_stores(void)
{
    const M2tGemm *const *gemm = m2t_gemm_list();
    gboolean any = FALSE;

    for (int i = 0; gemm[i]; i++)
        for (int turn = 0; gemm[i]->run_and_store && turn < 200; turn++) {
            int m = g_rand_int_range(rng, 1, 40), n = M2T_GEMM_PANEL * g_rand_int_range(rng, 1, 6), k = 8 * g_rand_int_range(rng, 1, 33);

            check_store(gemm[i], m, n, k, turn % (M2T_STORE_TO32 + 1), FALSE);
            if (gemm[i]->run_wide_and_store)
                check_store(gemm[i], m, n, k, turn & 1 ? M2T_STORE_TO16 : M2T_STORE_TO32, TRUE);
            any = TRUE;
        }
    if (!any)
        g_test_skip("no backend here stores by itself");
}

static void
test_names(void)
{
    g_assert_cmpstr(m2t_gemm_find("c")->name, ==, "c");
    g_assert_null(m2t_gemm_find("none"));
    g_assert_true(m2t_gemm_find(NULL) == m2t_gemm_list()[0]);
}

typedef struct {
    gint *hits;
    int workers, grain;
} Count;

static void
count_items(void *data, int begin, int end, int worker)
{
    Count *count = data;

    g_assert_cmpint(worker, >=, 0);
    g_assert_cmpint(worker, <, count->workers);
    g_assert_cmpint(end - begin, <=, count->grain);
    for (int i = begin; i < end; i++)
        g_atomic_int_inc(&count->hits[i]);
}

static void
test_threads(void)
{
    for (int workers = 1; workers <= 6; workers++) {
        M2tThreads *threads = m2t_threads_new(workers);

        for (int turn = 0; turn < 500; turn++) {
            int items = g_rand_int_range(rng, 0, 200), grain = g_rand_int_range(rng, 1, 20);
            g_autofree gint *hits = g_new0(gint, 200);
            Count count = {hits, workers, grain};

            m2t_threads_run(threads, items, grain, count_items, &count);
            for (int i = 0; i < 200; i++)
                g_assert_cmpint(hits[i], ==, i < items);
            if (turn % 100 == 0)
                g_usleep(3000); /* let them fall asleep */
        }
        m2t_threads_free(threads);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    rng = g_rand_new_with_seed(5);
    g_test_add_func("/nn/products", test_products);
    g_test_add_func("/nn/wide-products", test_wide_products);
    g_test_add_func("/nn/stores", test_stores);
    g_test_add_func("/nn/names", test_names);
#ifdef M2T_HAVE_OPENBLAS
    g_test_add_func("/nn/openblas-threads", test_openblas_threads);
#endif
    g_test_add_func("/nn/threads", test_threads);
    return g_test_run();
}
