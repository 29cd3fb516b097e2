/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rate control against sources whose frames have known sizes: no pictures, only exp(complexity - slope · q) with a slope and a noise that the model
 * does not know. */
#include "rate/rate.h"

#include <math.h>

#define UNITS 920 /* 640x360 */

typedef struct {
    double complexity, slope, noise;
    int cut;          /* frames from one change of the scene to the next, 0: none */
    double cut_size;  /* of the logarithm */
} Source;

typedef struct {
    double seconds, bits, fullest; /* of the buffer, as a share */
    int attempts, frames, largest_step;
} Outcome;

static double
frame_bits(const Source *source, GRand *random, int frame, int q)
{
    double scene = source->cut && frame / source->cut % 2 ? source->cut_size : 0;

    return UNITS * exp(source->complexity + scene + source->noise * (g_rand_double(random) - 0.5) - source->slope * q);
}

/* Codes @frames frames as the encoder does. @level: of a buffer that is empty at first, which nobody but the test knows. */
static Outcome
run(M2tRate *rate, const Source *source, const M2tRateLimits *limits, double duration, int frames)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(5);
    Outcome outcome = {0};
    double level = 0;
    int last = -1;

    for (int i = 0; i < frames; i++) {
        int q = m2t_rate_begin(rate, duration, UNITS);
        guint32 seed = g_rand_int(random);
        double bits;

        for (;;) {
            g_autoptr(GRand) same = g_rand_new_with_seed(seed); /* the same frame, whatever the quantizer */

            bits = frame_bits(source, same, i, q);
            outcome.attempts++;
            if (!m2t_rate_again(rate, bits, &q))
                break;
        }
        g_assert_true(m2t_rate_fits(rate, bits));
        m2t_rate_learn(rate, bits, q);
        m2t_rate_send(rate, bits, q);
        level = MAX(level + bits - limits->peak * duration, 0);
        outcome.fullest = MAX(outcome.fullest, level / limits->capacity);
        outcome.bits += bits;
        outcome.seconds += duration;
        if (last >= 0 && !(source->cut && i % source->cut == 0))
            outcome.largest_step = MAX(outcome.largest_step, ABS(q - last));
        last = q;
    }
    outcome.frames = frames;
    return outcome;
}

static M2tRateLimits
cbr(double bitrate)
{
    return (M2tRateLimits) {M2T_RATE_CONTROL_CBR, bitrate, bitrate, bitrate * 0.5};
}

static const Source sources[] = {
    {.complexity = 6.4, .slope = 0.0155},
    {.complexity = 5.0, .slope = 0.0155, .noise = 0.3},
    {.complexity = 6.2, .slope = 0.012, .noise = 0.3},
    {.complexity = 6.0, .slope = 0.02, .noise = 0.5},
    {.complexity = 5.5, .slope = 0.0155, .noise = 0.2, .cut = 40, .cut_size = 0.9},
};

static void
test_constant_bitrate(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(sources); i++) {
        M2tRateLimits limits = cbr(1e6);
        Outcome outcome;
        M2tRate rate;

        m2t_rate_init(&rate, &limits);
        outcome = run(&rate, &sources[i], &limits, 0.04, 250);
        g_test_message("source %u: %.0f bit/s, buffer %.2f, %d attempts, step %d", i, outcome.bits / outcome.seconds, outcome.fullest, outcome.attempts,
                       outcome.largest_step);
        g_assert_cmpfloat_with_epsilon(outcome.bits / outcome.seconds, 1e6, 2e4);
        g_assert_cmpfloat(outcome.fullest, <=, 1);
        g_assert_cmpint(outcome.attempts, <=, outcome.frames + outcome.frames / 10);
        g_assert_cmpint(outcome.largest_step, <=, 8);
    }
}

/* Three frames after the bitrate has changed, frames have their new size, but for what brings the buffer back to its middle: three eighths
 * of half a second within four, where the larger one begins as full as the smaller one was. */
static void
test_change(void)
{
    const double bitrates[] = {2e6, 0.5e6, 2e6};
    M2tRateLimits limits = cbr(bitrates[0]);
    M2tRate rate;

    m2t_rate_init(&rate, &limits);
    for (guint i = 0; i < G_N_ELEMENTS(bitrates); i++) {
        Outcome outcome;

        limits = cbr(bitrates[i]);
        m2t_rate_set(&rate, &limits);
        run(&rate, &sources[1], &limits, 0.04, 3);
        outcome = run(&rate, &sources[1], &limits, 0.04, 100);
        g_assert_cmpfloat_with_epsilon(outcome.bits / outcome.seconds, bitrates[i], 0.05 * bitrates[i]);
        outcome = run(&rate, &sources[1], &limits, 0.04, 3);
        g_assert_cmpfloat_with_epsilon(outcome.bits / outcome.seconds, bitrates[i], 0.3 * bitrates[i]);
    }
}

/* Another bitrate while nothing moves: no frame that could show which quantizer suits it, but it follows as far as the bitrate went. */
static void
test_change_over_still_picture(void)
{
    const double bitrates[] = {0.75e6, 1.5e6, 1e6};

    for (guint i = 0; i < G_N_ELEMENTS(bitrates); i++) {
        M2tRateLimits limits = cbr(1e6);
        M2tRate rate;
        int before, q, expected;

        m2t_rate_init(&rate, &limits);
        run(&rate, &sources[0], &limits, 0.04, 100);
        before = rate.q;
        expected = before + (int) (log(1e6 / bitrates[i]) / sources[0].slope);
        limits = cbr(bitrates[i]);
        limits.capacity += 1; /* a change in any case */
        m2t_rate_set(&rate, &limits);
        q = m2t_rate_begin(&rate, 0.04, 0);
        g_test_message("%.2g bit/s: from %d to %d, expected %d", bitrates[i], before, q, expected);
        g_assert_cmpint(ABS(q - expected), <=, 8);
        g_assert_false(m2t_rate_again(&rate, 250, &q));
    }
}

/* The mean over a long time is the bitrate, the buffer keeps to the peak. */
static void
test_variable_bitrate(void)
{
    M2tRateLimits limits = {M2T_RATE_CONTROL_VBR, 1e6, 2e6, 1e6};
    Outcome outcome;
    M2tRate rate;

    m2t_rate_init(&rate, &limits);
    outcome = run(&rate, &sources[4], &limits, 0.04, 1500);
    g_assert_cmpfloat_with_epsilon(outcome.bits / outcome.seconds, 1e6, 5e4);
    g_assert_cmpfloat(outcome.fullest, <=, 1);
}

/* Frames that last as long as they like. */
static void
test_uneven_frames(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(9);
    M2tRateLimits limits = cbr(1e6);
    double seconds = 0, bits = 0;
    M2tRate rate;

    m2t_rate_init(&rate, &limits);
    for (int i = 0; i < 2000; i++) {
        double duration = g_rand_double_range(random, 0.002, 0.1);
        Outcome outcome = run(&rate, &sources[0], &limits, duration, 1);

        seconds += duration;
        bits += outcome.bits;
    }
    g_assert_cmpfloat_with_epsilon(bits / seconds, 1e6, 3e4);
}

/* Nothing is forced where nothing helps: the finest and the coarsest quantizer are the end. */
static void
test_ends_of_the_range(void)
{
    const Source tiny = {.complexity = -3, .slope = 0.0155};
    M2tRateLimits limits = cbr(1e6);
    M2tRate rate;
    int q;

    m2t_rate_init(&rate, &limits);
    run(&rate, &tiny, &limits, 0.04, 300);
    g_assert_cmpint(rate.q, ==, 0);

    m2t_rate_init(&rate, &limits);
    q = m2t_rate_begin(&rate, 0.04, UNITS);
    for (int attempts = 0; m2t_rate_again(&rate, 1e9, &q); attempts++)
        g_assert_cmpint(attempts, <, 3);
    g_assert_cmpint(q, ==, M2T_RATE_COARSEST);
    g_assert_false(m2t_rate_fits(&rate, 1e9));
}

/* What is sent in place of a frame that fits no buffer says nothing about the scene. */
static void
test_dropped_frames(void)
{
    M2tRateLimits limits = cbr(1e6);
    Outcome outcome;
    M2tRate rate;
    double slope;

    m2t_rate_init(&rate, &limits);
    run(&rate, &sources[4], &limits, 0.04, 100);
    slope = rate.slope;
    for (int i = 0; i < 3; i++) {
        int q = m2t_rate_begin(&rate, 0.04, UNITS);

        while (m2t_rate_again(&rate, 1.2 * limits.capacity * exp(slope * (M2T_RATE_COARSEST - q)), &q))
            ;
        g_assert_cmpint(q, ==, M2T_RATE_COARSEST);
        m2t_rate_send(&rate, 100, q);
        g_assert_cmpfloat(rate.slope, ==, slope);
    }
    g_assert_cmpfloat(rate.level, <, limits.capacity / 2);
    outcome = run(&rate, &sources[4], &limits, 0.04, 60);
    g_assert_cmpfloat(outcome.fullest, <, 0.6);
    outcome = run(&rate, &sources[4], &limits, 0.04, 160);
    g_assert_cmpfloat(outcome.fullest, <, 0.6);
    g_assert_cmpfloat_with_epsilon(outcome.bits / outcome.seconds, 1e6, 5e4);
}

/* Without functions of the C library. */
static double
exact_bits(int size, int q)
{
    return 8e6 * size / ((50 + q) * (50.0 + q));
}

/* The quantizers of a thousand frames, whatever machine and C library: a change of rate control changes them, nothing else may. */
static void
test_same_everywhere(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(6);
    M2tRateLimits limits = cbr(1e6);
    guint32 hash = 0;
    M2tRate rate;

    m2t_rate_init(&rate, &limits);
    for (int i = 0; i < 1000; i++) {
        int size = g_rand_int_range(random, 500, 900) << (i / 100 % 3), q = m2t_rate_begin(&rate, 0.04, UNITS);

        while (m2t_rate_again(&rate, exact_bits(size, q), &q))
            continue;
        m2t_rate_learn(&rate, exact_bits(size, q), q);
        m2t_rate_send(&rate, exact_bits(size, q), q);
        hash = hash * 16777619 ^ (guint32) q;
    }
    g_assert_cmphex(hash, ==, 0x3ac07bba);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rate/constant-bitrate", test_constant_bitrate);
    g_test_add_func("/rate/change", test_change);
    g_test_add_func("/rate/change-over-still-picture", test_change_over_still_picture);
    g_test_add_func("/rate/variable-bitrate", test_variable_bitrate);
    g_test_add_func("/rate/uneven-frames", test_uneven_frames);
    g_test_add_func("/rate/ends-of-the-range", test_ends_of_the_range);
    g_test_add_func("/rate/dropped-frames", test_dropped_frames);
    g_test_add_func("/rate/same-everywhere", test_same_everywhere);
    return g_test_run();
}
