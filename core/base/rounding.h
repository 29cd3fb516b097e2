/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bits are those of rounding to nearest; the thread that calls the library may round in another way. */
#ifndef M2T_BASE_ROUNDING_H
#define M2T_BASE_ROUNDING_H

#include <fenv.h>

/* Returns: how the thread rounded before, for m2t_rounding_end(). */
static inline int
m2t_rounding_begin(void)
{
    int before = fegetround();

    fesetround(FE_TONEAREST);
    return before;
}

static inline void
m2t_rounding_end(int before)
{
    fesetround(before);
}

#endif
