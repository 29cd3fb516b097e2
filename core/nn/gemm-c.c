/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The definition of a product, in plain C: what every other backend is held to, and what runs where there is none. */
#include "nn/gemm.h"

static gboolean
open_c(void)
{
    return TRUE;
}

static gpointer
pack(const gint8 *weight, int n, int k)
{
    return g_memdup2(weight, (gsize) n * k);
}

static gpointer
scratch_new(int m, int n, int k)
{
    return NULL;
}

static void
run(gconstpointer packed, const gint8 *in, int m, int n, int k, gint32 *sum, gpointer scratch)
{
    const gint8 *weight = packed;

    for (int r = 0; r < m; r++, in += k)
        for (int i = 0; i < n; i++) {
            const gint8 *w = weight + (gsize) i * k;
            gint32 total = 0;

            for (int j = 0; j < k; j++)
                total += in[j] * w[j];
            sum[(gsize) r * n + i] = total;
        }
}

const M2tGemm m2t_gemm_c = {
    .name = "c",
    .sparse = 4,
    .open = open_c,
    .pack = pack,
    .free = g_free,
    .scratch_new = scratch_new,
    .scratch_free = g_free,
    .run = run,
};
