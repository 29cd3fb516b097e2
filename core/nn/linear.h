/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Linear layers on a chunk of rows, and what a worker needs to run them. Everything a stage does to its rows happens chunk by chunk in one
 * worker's scratch memory, so that sums are stored while they are in the cache. */
#ifndef M2T_NN_LINEAR_H
#define M2T_NN_LINEAR_H

#include "base/threads.h"
#include "kernels/kernels.h"
#include "nn/net.h"

#define M2T_CHUNK 128 /* rows at most */

/* One worker's scratch memory. */
typedef struct {
    gint32 *sum, *low;      /* [M2T_CHUNK][n_max] */
    gint32 *value;          /* [M2T_CHUNK][n_max]: results kept while the next sums are made */
    gint8 *a, *b;           /* [M2T_CHUNK][the longer of n_max and k_max] */
    gint8 *hi, *lo;         /* [M2T_CHUNK][k_max] */
    gint8 *conv;            /* the convolution of a few grid rows */
    gpointer gemm;          /* the backend's */
} M2tScratch;

/* What all stages of one encoder or decoder share. */
typedef struct {
    const M2tNet *net;
    const M2tKernels *kernels;
    M2tThreads *threads;
    M2tScratch *scratch;    /* one per worker */
} M2tContext;

/* @columns: the longest row of a grid, of the widest stage. */
void m2t_context_init(M2tContext *context, const M2tNet *net, int threads, int columns);
void m2t_context_clear(M2tContext *context);

/* out = in ([m][k]) times the weights, m <= M2T_CHUNK. @bias: the layer's own (NULL: none), or the row that counts now. @out: [m][n], of
 * the type that @kind says; not the memory of @in. Where most of the input is zero (M2tLinear.pairs), only what is not may be multiplied; the sums are the
 * same. */
void m2t_linear_run(const M2tContext *context, M2tScratch *scratch, const M2tLinear *linear, const gint32 *bias, const gint8 *in, int m,
                    M2tStoreKind kind, gpointer out);

/* The same for input of 15 bits, split into scratch->hi and ->lo, [m][k], and for weights of 15 bits where the layer has them. */
void m2t_linear_run_wide(const M2tContext *context, M2tScratch *scratch, const M2tLinear *linear, const gint32 *bias, int m, M2tStoreKind kind,
                         gpointer out);

/* Sums of m <= M2T_CHUNK rows into scratch->sum; in: [m][k]. Without bias. */
void m2t_linear_sums(const M2tContext *context, M2tScratch *scratch, const M2tLinear *linear, const gint8 *in, int m);

/* The same for 8-bit input and 15-bit weights. */
void m2t_linear_sums_wide_weights(const M2tContext *context, M2tScratch *scratch, const M2tLinear *linear, const gint8 *in, int m);

/* How to store scratch->sum; @bias as above. */
M2tStore m2t_linear_store(const M2tScratch *scratch, const M2tLinear *linear, const gint32 *bias, int m);

#endif
