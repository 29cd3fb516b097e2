/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Products by sgemm on integers held in floats. Exact, since no partial sum reaches 2^24, in whatever order a kernel adds them: whoever
 * loads a model checks that the magnitudes of all terms together do not. */
#include "nn/gemm.h"

#ifdef M2T_HAVE_OPENBLAS
#include <cblas.h>

static GMutex lock;
static int users, host_threads;

static gboolean
open_openblas(void)
{
    return TRUE;
}

/* Our threads call sgemm, each for its own rows; a second layer of threads below them only costs. OpenBLAS has this setting once per process,
 * so it is put back for the application when the last frame is done. */
static void
begin(void)
{
    g_mutex_lock(&lock);
    if (users++ == 0) {
        host_threads = openblas_get_num_threads();
        openblas_set_num_threads(1);
    }
    g_mutex_unlock(&lock);
}

static void
end(void)
{
    g_mutex_lock(&lock);
    if (--users == 0)
        openblas_set_num_threads(host_threads);
    g_mutex_unlock(&lock);
}

/* [k][n]: sgemm copies both factors into an order of its own at each call; for weights that lie this way round that takes two thirds of the time. */
static gpointer
pack(const gint8 *weight, int n, int k)
{
    float *packed = g_new(float, (gsize) n * k);

    for (int i = 0; i < n; i++)
        for (int j = 0; j < k; j++)
            packed[(gsize) j * n + i] = weight[(gsize) i * k + j];
    return packed;
}

typedef struct {
    const M2tKernels *kernels;
    float *in, *product;
} Scratch;

static gpointer
scratch_new(int m, int n, int k)
{
    Scratch *scratch = g_new(Scratch, 1);

    scratch->kernels = m2t_kernels_get();
    scratch->in = g_new(float, (gsize) m * k);
    scratch->product = g_new(float, (gsize) m * n);
    return scratch;
}

static void
scratch_free(gpointer data)
{
    Scratch *scratch = data;

    g_free(scratch->in);
    g_free(scratch->product);
    g_free(scratch);
}

static void
run(gconstpointer packed, const gint8 *in, int m, int n, int k, gint32 *sum, gpointer memory)
{
    const Scratch *scratch = memory;

    scratch->kernels->to_float(in, scratch->in, (gsize) m * k);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1.0f, scratch->in, k, packed, n, 0.0f, scratch->product, n);
    scratch->kernels->from_float(scratch->product, sum, (gsize) m * n);
}

const M2tGemm m2t_gemm_openblas = {
    .name = "openblas",
    .sparse = 1,
    .open = open_openblas,
    .begin = begin,
    .end = end,
    .pack = pack,
    .free = g_free,
    .scratch_new = scratch_new,
    .scratch_free = scratch_free,
    .run = run,
};
#endif
