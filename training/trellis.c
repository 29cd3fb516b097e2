/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The best way through the states of dependent quantisation (docs/bitstream.md, section 7.2), for trellis.py. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#define STATES 64
#define EXCEPTION 26.0f /* bits */

typedef struct {
    const int64_t *first;   /* [2][levels]: where the tables of a quantizer and level begin */
    const int64_t *radius, *raw; /* [levels] */
    const float *cost;      /* of every entry, in bits */
    const float *centroid;  /* in steps */
    int64_t levels, skip;
} Tables;

/* What a latent may become: a value of one of the two quantizers, k places from the mean, with k even or odd. */
typedef struct {
    float price;            /* bits, and error */
    int32_t k;
} Branch;

static int
next_state(int state, int odd)
{
    return (2 * state % STATES) ^ 33 * (state / (STATES / 2)) ^ 20 * odd;
}

static int
floor_log2(int n)
{
    return 31 - __builtin_clz(n);
}

static int
value(int center, int k, int quantizer)
{
    return 2 * (center + k) - quantizer * ((k > 0) - (k < 0));
}

static float
price(const Tables *t, float y, int mean, int level, int quantizer, int k, float worth)
{
    int half = mean >> 1, center = (half + 8) >> 4, raw = (int) t->raw[level], radius = (int) t->radius[level];
    int p = (half + 8) >> raw, v = ((center + k) >> raw) - (p >> 4), beyond = abs(v) - radius, entry = beyond > 0 ? 2 * radius + 1 : v + radius;
    int64_t at = t->first[quantizer * t->levels + level] + (p & 15) * (2 * radius + 2) + entry;
    float error = y - value(center, k, quantizer) - t->centroid[at];

    return t->cost[at] + raw + (beyond > 0 ? 6 + floor_log2(beyond) : 0) + worth * error * error;
}

/* The better of the nearest one of its kind and the next one towards the mean. */
static Branch
branch(const Tables *t, float y, int mean, int level, int quantizer, int odd, float worth)
{
    int center = ((mean >> 1) + 8) >> 4;
    float distance = y - 2 * center, size = fabsf(distance);
    int k = odd + 2 * (int) fmaxf(0, rintf(((quantizer ? size + 1 : size) / 2 - odd) / 2)), sign = distance < 0 ? -1 : 1;
    Branch best = {price(t, y, mean, level, quantizer, sign * k, worth), sign * k};

    if (k >= 2) {
        float other = price(t, y, mean, level, quantizer, sign * (k - 2), worth);

        if (other < best.price)
            best = (Branch) {other, sign * (k - 2)};
    }
    return best;
}

/* n latents in their order; mean: in 1/16. out: the values; kind: the quantizer of each, k: its place. */
void
trellis_choose(int64_t n, const float *y, const int32_t *mean, const uint8_t *level, const Tables *t, float worth, float *out, uint8_t *quantizers, int32_t *ks)
{
    float best[STATES];
    Branch (*branches)[4] = malloc((size_t) n * sizeof *branches);
    uint8_t (*from)[STATES] = malloc((size_t) n * sizeof *from); /* the state before, and 64 if k is odd */
    int state = 0;

    for (int s = 0; s < STATES; s++)
        best[s] = s ? 1e30f : 0;
    for (int64_t i = 0; i < n; i++) {
        float reached[STATES], least = 1e30f;

        if (level[i] < t->skip)
            continue;
        for (int b = 0; b < 4; b++)
            branches[i][b] = branch(t, y[i], mean[i], level[i], b >> 1, b & 1, worth);
        for (int s = 0; s < STATES; s++)
            reached[s] = 2e30f;
        for (int s = 0; s < STATES; s++)
            for (int odd = 0; odd < 2; odd++) {
                float sum = best[s] + branches[i][2 * (s / (STATES / 2)) + odd].price;
                int to = next_state(s, odd);

                if (sum < reached[to]) {
                    reached[to] = sum;
                    from[i][to] = (uint8_t) (s + STATES * odd);
                }
            }
        for (int s = 0; s < STATES; s++)
            least = fminf(least, reached[s]);
        for (int s = 0; s < STATES; s++)
            best[s] = reached[s] - least;
    }
    for (int s = 1; s < STATES; s++)
        if (best[s] < best[state])
            state = s;
    for (int64_t i = n; i-- > 0;) {
        int before, odd, quantizer;

        quantizers[i] = 0;
        ks[i] = 0;
        out[i] = 0;
        if (level[i] < t->skip) {
            float nearest = rintf(y[i]), gain = y[i] * y[i] - (y[i] - nearest) * (y[i] - nearest);

            if (worth * gain > EXCEPTION)
                out[i] = nearest;
            continue;
        }
        before = from[i][state] % STATES;
        odd = from[i][state] / STATES;
        quantizer = before / (STATES / 2);
        quantizers[i] = (uint8_t) quantizer;
        ks[i] = branches[i][2 * quantizer + odd].k;
        out[i] = value(((mean[i] >> 1) + 8) >> 4, ks[i], quantizer);
        state = before;
    }
    free(branches);
    free(from);
}
