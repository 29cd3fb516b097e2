/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The model: a token takes exp(complexity - slope · q) bits. Complexity follows the frames; the slope follows frames that were coded
 * twice.
 *
 * The buffer is the sender's: frames fill it, the network drains it. Constant bitrate means half a buffer, so that there is room for a
 * scene cut and something to send after one; variable bitrate means no debt over some seconds, and a buffer that drains at the peak rate.
 * Either is approached over a while (REACTION, MEMORY), and the quantizer moves a step at a time, so that neighbouring frames look alike;
 * a frame that is far too large is coded again at once. */
#include "rate/rate.h"

#include <math.h>

#define SLOPE (0.062 / 4)       /* Kodak, standard model */
#define COMPLEXITY 6.4          /* bits of a token at q = 0: 600 or so */
#define REACTION 0.6            /* of the buffer's time */
#define MEMORY 5.0              /* seconds over which variable bitrate is a mean */
#define STEP_COARSER 8          /* quarter steps from one frame to the next */
#define STEP_FINER 4
#define PACING 0.1              /* share of a new frame in the mean duration: an uneven beat is no reason for uneven pictures */
#define LEARNING 0.5            /* share of a new frame in the complexity */
#define SMALL_SHARE 0.05        /* frames of less than this share of the mean teach nothing about the others */
#define SURPRISE 1.6            /* a frame so much larger than expected shows another scene */
#define GUESS 1.3               /* by which the first frame may miss */
#define FULL_AT_MOST 0.75       /* a buffer that has become smaller: otherwise nothing would fit for a while */
#define SAFETY 0.8              /* of the room that a second attempt aims at */

/* Natural logarithm and exponential of IEEE operations alone: those of the C library differ in the last bit from CPU to CPU, and so could a quantizer. */

/* Through (m − c) / (m + c), c the square root of 1/2, of m = x / 2^exponent from 1/2 to 1; to nine digits. */
static double
logarithm(double x)
{
    int exponent;
    double m = frexp(x, &exponent), t = (m - G_SQRT2 / 2) / (m + G_SQRT2 / 2), t2 = t * t;

    return (exponent - 0.5) * G_LN2 + 2 * t * (1 + t2 * (1 / 3.0 + t2 * (1 / 5.0 + t2 * (1 / 7.0 + t2 / 9))));
}

static double
exponential(double x)
{
    double power = floor(x / G_LN2 + 0.5), r = x - power * G_LN2, sum = 1;

    for (int i = 9; i > 0; i--)
        sum = 1 + sum * r / i;
    return ldexp(sum, (int) power);
}

static double
middle(const M2tRate *rate)
{
    return rate->limits.mode == M2T_RATE_CONTROL_CBR ? rate->limits.capacity / 2 : 0;
}

void
m2t_rate_init(M2tRate *rate, const M2tRateLimits *limits)
{
    *rate = (M2tRate) {.limits = *limits, .complexity = COMPLEXITY, .slope = SLOPE, .free = TRUE};
    rate->level = middle(rate);
}

static int
clamp_q(double q)
{
    return (int) CLAMP(q + 0.5, 0, M2T_RATE_COARSEST);
}

void
m2t_rate_set(M2tRate *rate, const M2tRateLimits *limits)
{
    const M2tRateLimits *old = &rate->limits;

    if (limits->mode == old->mode && limits->bitrate == old->bitrate && limits->peak == old->peak && limits->capacity == old->capacity)
        return;
    rate->level = MIN(rate->level, MAX(rate->level / old->capacity, FULL_AT_MOST) * limits->capacity);
    rate->debt = 0;
    if (!rate->free) /* the picture that was is still there: at the new bitrate it would have this quantizer */
        rate->q = clamp_q(rate->q + logarithm(old->bitrate / limits->bitrate) / rate->slope);
    rate->limits = *limits;
}

static double
room(const M2tRate *rate)
{
    return rate->limits.capacity - rate->level;
}

int
m2t_rate_begin(M2tRate *rate, double duration, int units)
{
    double share, excess, time, expected;
    int q;

    rate->duration = duration;
    rate->pace = rate->pace > 0 ? rate->pace + PACING * (duration - rate->pace) : duration;
    share = rate->limits.bitrate * rate->pace;
    if (rate->limits.mode == M2T_RATE_CONTROL_CBR) {
        excess = rate->level - middle(rate);
        time = REACTION * rate->limits.capacity / rate->limits.bitrate;
    } else {
        excess = rate->debt;
        time = MEMORY;
    }
    rate->units = MAX(units, 1);
    rate->retried = 0;
    rate->target = CLAMP(share - excess * MIN(rate->pace / time, 1), 0.3 * share, 2 * share);
    rate->target = MIN(rate->target, SAFETY * room(rate));
    q = clamp_q((rate->complexity - logarithm(MAX(rate->target, 1) / rate->units)) / rate->slope);
    if (!rate->free)
        q = CLAMP(q, rate->q - STEP_FINER, rate->q + STEP_COARSER);
    q = CLAMP(q, 0, M2T_RATE_COARSEST);
    expected = rate->units * exponential(rate->complexity - rate->slope * q);
    rate->most = MIN(room(rate), SURPRISE * MAX(expected, rate->target));
    return q;
}

gboolean
m2t_rate_fits(const M2tRate *rate, double bits)
{
    return bits <= room(rate);
}

gboolean
m2t_rate_fits_later(const M2tRate *rate, double bits)
{
    return bits <= rate->limits.capacity;
}

gboolean
m2t_rate_again(M2tRate *rate, double bits, int *q)
{
    gboolean guessed = rate->free && (bits > rate->target * GUESS || bits < rate->target / GUESS);
    gboolean far = rate->retried == 0 && (bits > rate->most || guessed);
    double aim = rate->free ? rate->target : MIN(rate->target * 1.25, SAFETY * room(rate));
    int next;

    if (!far && m2t_rate_fits(rate, bits))
        return FALSE;
    next = clamp_q(*q + logarithm(bits / MAX(aim, 1)) / rate->slope);
    if (next == *q || (rate->retried > 0 && *q == M2T_RATE_COARSEST))
        return FALSE;
    rate->complexity = logarithm(MAX(bits, 1) / rate->units) + rate->slope * *q;
    rate->retried = bits;
    rate->q = *q;
    *q = next;
    return TRUE;
}

/* Two attempts at the same frame show the slope. */
static void
learn_slope(M2tRate *rate, double bits, int q)
{
    double slope = logarithm(rate->retried / MAX(bits, 1)) / (q - rate->q);

    if (ABS(q - rate->q) >= 8)
        rate->slope = CLAMP(slope, SLOPE / 2, SLOPE * 2);
}

static double
share_of(const M2tRate *rate)
{
    return rate->limits.bitrate * rate->duration;
}

void
m2t_rate_learn(M2tRate *rate, double bits, int q)
{
    double seen;

    if (rate->retried > 0 && q != rate->q)
        learn_slope(rate, bits, q);
    seen = logarithm(MAX(bits, 1) / rate->units) + rate->slope * q;
    if (rate->free || rate->retried > 0)
        rate->complexity = seen;
    else if (bits > SMALL_SHARE * share_of(rate))
        rate->complexity += LEARNING * (seen - rate->complexity);
}

void
m2t_rate_send(M2tRate *rate, double bits, int q)
{
    rate->free = FALSE;
    rate->q = q;
    rate->level = MAX(rate->level + bits - rate->limits.peak * rate->duration, 0);
    rate->debt = CLAMP(rate->debt + bits - share_of(rate), -MEMORY * rate->limits.bitrate, MEMORY * rate->limits.bitrate);
}
