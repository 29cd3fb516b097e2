/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which quantizer a frame gets, so that a stream keeps to a bitrate. Knows sizes and times only, nothing of pictures. */
#ifndef M2T_RATE_H
#define M2T_RATE_H

#include "base/limits.h"
#include "quant/trellis.h"

#include <m2t/m2t-encoder.h>

/* In quarter steps: the coarsest quantizer, and after it the steps of M2T_SCANTY_MAX. */
#define M2T_RATE_COARSEST (M2T_Q_MAX + M2T_SCANTY_MAX)

typedef struct {
    M2tRateControl mode;
    double bitrate, peak;   /* bit/s: mean, and what the buffer drains at */
    double capacity;        /* bits of the buffer (VBV) */
} M2tRateLimits;

typedef struct {
    M2tRateLimits limits;
    double level;           /* bits in the buffer: coded and not yet sent */
    double debt;            /* bits sent beyond the mean rate */
    double complexity;      /* log of the bits that a unit would take at q = 0 */
    double slope;           /* by which that falls with each quarter step */
    int q;                  /* of the frame before, 0 … M2T_RATE_COARSEST */
    gboolean free;          /* there is no last quantizer: the next may be any */

    double duration;        /* of the frame at hand, seconds */
    double pace;            /* mean of the durations */
    double target;          /* bits it should have */
    double most;            /* bits up to which it is not coded again */
    double units;           /* tokens to be coded */
    double retried;         /* bits of the attempt before, 0: there was none */
} M2tRate;

void m2t_rate_init(M2tRate *rate, const M2tRateLimits *limits);

/* From the next frame on. What is in the buffer stays there; a smaller one that would be too full is taken to be three quarters full at
 * most, or as full as the larger one was. The quantizer that the next one is near to moves as far as the bitrate does. */
void m2t_rate_set(M2tRate *rate, const M2tRateLimits *limits);

/* The quantizer, 0 … M2T_RATE_COARSEST, for a frame of @duration seconds of which @units tokens are coded. */
int m2t_rate_begin(M2tRate *rate, double duration, int units);

/* Whether a frame that came out at @bits with quantizer *@q is to be coded again, with the new *@q. Once, as a rule; again only if it does
 * not fit into the buffer. */
gboolean m2t_rate_again(M2tRate *rate, double bits, int *q);

/* TRUE if a frame of @bits fits into the buffer: now, or when it is empty. */
gboolean m2t_rate_fits(const M2tRate *rate, double bits);
gboolean m2t_rate_fits_later(const M2tRate *rate, double bits);

/* What the frame says of those to come, if it is what is sent. */
void m2t_rate_learn(M2tRate *rate, double bits, int q);

/* The frame is sent, or, in its place, @bits that say nothing. */
void m2t_rate_send(M2tRate *rate, double bits, int q);

#endif
