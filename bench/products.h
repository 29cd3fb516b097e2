/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The matrix products of a frame and nothing else: what coding would take if everything between them were free. */
#ifndef M2T_BENCH_PRODUCTS_H
#define M2T_BENCH_PRODUCTS_H

#include "nn/gemm.h"

#include <m2t/m2t.h>

typedef struct _Products Products;

/* For frames of this size, encoded with the preset `medium`. Made while an encoder or decoder of the same model and backend is open, it
 * shares the weights with that. */
Products *products_new_encode(M2tModel *model, const M2tGemm *gemm, int threads, const M2tVideoInfo *video);
Products *products_new_decode(M2tModel *model, const M2tGemm *gemm, int threads, const M2tVideoInfo *video);
void products_free(Products *products);

/* All products of one frame, on numbers that mean nothing. Each thread takes its share of the rows of every layer and waits for the others
 * only at the end. */
void products_run(Products *products);

/* Multiply-accumulates of a frame; what takes two or three products counts as often. */
double products_macs(const Products *products);

#endif
