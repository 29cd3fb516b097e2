/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Products by sgemm on integers held in floats. Exact while every partial sum stays below 2^24, in whatever order a kernel adds them: so sums longer than
 * 2^24 / 127^2 = 1040 terms are cut in pieces. */
#include "nn/gemm.h"

#ifdef M2T_HAVE_OPENBLAS
#include <cblas.h>
#include <string.h>

#define TERMS_MAX 1040

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

static gpointer
pack(const gint8 *weight, int n, int k)
{
    gsize count = (gsize) n * k;
    float *packed = g_new(float, count);

    for (gsize i = 0; i < count; i++)
        packed[i] = weight[i];
    return packed;
}

static gpointer
scratch_new(int m, int n, int k)
{
    return g_new(float, (gsize) m * k + (gsize) m * n);
}

static void
run(gconstpointer packed, const gint8 *in, int m, int n, int k, gint32 *sum, gpointer scratch)
{
    const float *weight = packed;
    float *floats = scratch, *product = floats + (gsize) m * k;

    for (gsize i = 0; i < (gsize) m * k; i++)
        floats[i] = in[i];
    for (int begin = 0; begin < k; begin += TERMS_MAX) {
        int terms = MIN(k - begin, TERMS_MAX);

        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, terms, 1.0f, floats + begin, k, weight + begin, k, 0.0f, product, n);
        for (gsize i = 0; i < (gsize) m * n; i++)
            sum[i] = (begin ? sum[i] : 0) + (gint32) product[i];
    }
}

const M2tGemm m2t_gemm_openblas = {"openblas", open_openblas, begin, end, pack, NULL, g_free, scratch_new, g_free, run};
#endif
