/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Matrix products of int8 by int8 with exact integer sums: one interface, a backend per way to compute them. Since sums are exact the
 * choice never shows in the bits. A new backend fills in this structure and joins the list in gemm.c. */
#ifndef M2T_NN_GEMM_H
#define M2T_NN_GEMM_H

#include "kernels/kernels.h"

#define M2T_GEMM_ROWS 16
#define M2T_GEMM_PANEL 32

typedef struct {
    const char *name;
    int sparse; /* of an input that is mostly zero: it is worth a product if more than one in so many is not */

    /* FALSE if it cannot run on this machine. Called once. */
    gboolean (*open)(void);

    /* Around the products of a frame, once each, from any thread: for settings of the process that have to be different meanwhile. NULL: there are none. */
    void (*begin)(void);
    void (*end)(void);

    /* @weight [n][k], which is not kept, in the form that run() likes. k is a multiple of 8, as in all models. */
    gpointer (*pack)(const gint8 *weight, int n, int k);
    /* The same of 128 weight + low, values of 15 bits. NULL: the backend's factors have 8 bits, and two products are added up. */
    gpointer (*pack_wide)(const gint8 *weight, const gint8 *low, int n, int k);
    void (*free)(gpointer packed); /* NULL is allowed */

    /* What run() needs beside its arguments, for products of up to m rows, n and k. Freed before the weights that were used with it. */
    gpointer (*scratch_new)(int m, int n, int k);
    void (*scratch_free)(gpointer scratch);

    /* sum[m][n] = in[m][k] times weight, transposed. @sum has room for m rounded up to a multiple of M2T_GEMM_ROWS, what
     * is written behind row m does not count. Any thread, one scratch each. */
    void (*run)(gconstpointer packed, const gint8 *in, int m, int n, int k, gint32 *sum, gpointer scratch);
    /* The same, and what kernels do with the sums, before they leave the registers: bias and scale of @store ([n]) count, @out is [m][n] of the type that
     * @kind says. n is a multiple of M2T_GEMM_PANEL. NULL: it cannot. */
    void (*run_and_store)(gconstpointer packed, const gint8 *in, int m, int n, int k, const M2tStore *store, M2tStoreKind kind, gpointer out,
                          gpointer scratch);
    /* The same for input of 15 bits, 128 hi + lo, and weights of 15 bits, if @low is not NULL: 128 hi packed + lo packed + hi low. @sum: room as above. */
    void (*run_wide_and_store)(gconstpointer packed, gconstpointer low, const gint8 *hi, const gint8 *lo, int m, int n, int k, const M2tStore *store,
                               M2tStoreKind kind, gint32 *sum, gpointer out, gpointer scratch);
} M2tGemm;

static inline void
m2t_gemm_begin(const M2tGemm *gemm)
{
    if (gemm->begin)
        gemm->begin();
}

static inline void
m2t_gemm_end(const M2tGemm *gemm)
{
    if (gemm->end)
        gemm->end();
}

extern const M2tGemm m2t_gemm_c;
#ifdef M2T_HAVE_ONEDNN
extern const M2tGemm m2t_gemm_onednn;
#endif
#if M2T_ARCH_X86
extern const M2tGemm m2t_gemm_vnni, m2t_gemm_avx2;
#endif
#ifdef M2T_HAVE_DOTPROD
extern const M2tGemm m2t_gemm_dotprod;
#endif
#ifdef M2T_HAVE_OPENBLAS
extern const M2tGemm m2t_gemm_openblas;
#endif

#define M2T_GEMM_MAX 6 /* backends, with the NULL at the end of the list */

/* The backends that work here, fastest first, NULL-terminated. Each has to compute a product of extreme values that is known, when it is
 * asked for first, and is left out if it gets a sum wrong. */
const M2tGemm *const *m2t_gemm_list(void);

/* @name: NULL for the fastest. Returns NULL if there is none of this name. */
const M2tGemm *m2t_gemm_find(const char *name);

#endif
