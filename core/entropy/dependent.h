/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Dependent quantisation (docs/bitstream.md, section 7.2). A latent is one of the values of a quantizer, and those before it decide which of the two that is:
 * together they are twice as fine as each of them. What is coded is the place of the value among those of its quantizer, counted from the mean. */
#ifndef M2T_ENTROPY_DEPENDENT_H
#define M2T_ENTROPY_DEPENDENT_H

#include <glib.h>

#define M2T_QUANTIZERS 2
#define M2T_STATES 64
#define M2T_CHAIN 128   /* tokens, after which a new chain begins, with state 0 */

static inline int
m2t_dependent_quantizer(int state)
{
    return state / (M2T_STATES / 2);
}

/* A convolutional code with the parity check polynomials 103 and 024 (octal; G. Ungerboeck, Channel coding with multilevel/phase signals, 1982). */
static inline guint8
m2t_dependent_next(int state, int place)
{
    return (guint8) ((2 * state % M2T_STATES) ^ 33 * m2t_dependent_quantizer(state) ^ 20 * (place & 1));
}

/* The mean among the even values, in 1/16. */
static inline int
m2t_dependent_half(int mean)
{
    return mean >> 1;
}

static inline int
m2t_dependent_centre(int half)
{
    return (half + 8) >> 4;
}

static inline int
m2t_dependent_value(int centre, int place, int quantizer)
{
    return 2 * (centre + place) - quantizer * ((place > 0) - (place < 0));
}

/* The place of a value in its quantizer. */
static inline int
m2t_dependent_place(int value, int centre)
{
    int distance = value - 2 * centre;

    return (distance + (distance > 0)) >> 1;
}

#endif
