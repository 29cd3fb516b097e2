# SPDX-License-Identifier: LGPL-2.1-or-later
"""Levels of the prior, and the tables of the entropy coder that belong to them (docs/bitstream.md, section 7.2).

A flat array of all tables holds those of quantizer 0, by level, then by fraction of the mean (−8…7), then by entry, and those of quantizer 1 behind them.
"""
import math

import numpy as np

OCTAVE = 1024                  # levels are cut from logarithms in 1/1024 octave
BASE, STEP_LEVEL, LEVELS = -4096, 192, 64
SIGMA_FLOOR = 0.06             # added to every scale
SKIP = 4                       # levels that are not coded
REACH = 4                      # steps: centroids know distances up to this
QUANTIZERS = 2                 # 0: even values, 1: odd ones and that nearest to the mean


def entries(radius):
    """-> by flat number of an entry: quantizer, level, fraction, place v of the entry (radius + 1 for the escape)"""
    rows = [(quantizer, level, fraction, v) for quantizer in range(QUANTIZERS) for level, r in enumerate(radius) for fraction in range(-8, 8) for v in range(-r, r + 2)]
    return np.array(rows).T


def gauss(x):
    return np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x.ravel()]).reshape(x.shape)


def edges(radius, quantizer):
    """Where the interval of each place of a table ends, in steps of 2: (2·radius + 2)"""
    v = np.arange(-radius, radius + 2) - 0.5
    return v - quantizer * np.select([v < -1, v < 0, v < 1], [-0.5, -0.25, 0.25], 0.5)


def gaussian():
    """-> radius, raw (levels), frequencies of all tables: Gaussians cut into the intervals of the quantizers (of 2^raw values for wide ones)."""
    radius, raw, tables = [], [], []
    for quantizer in range(QUANTIZERS):
        for level in range(LEVELS):
            sigma = (2 ** ((BASE + (level + 0.5) * STEP_LEVEL) / OCTAVE) + SIGMA_FLOOR) / 2
            k = max(0, math.ceil(math.log2(sigma / 8)))
            sigma /= 2 ** k
            r = min(127, max(1, math.ceil(4.5 * sigma + 1)))
            if quantizer == 0:
                radius.append(r)
                raw.append(k)
            ends = edges(r, quantizer if k == 0 else 0)
            for fraction in range(-8, 8):
                cumulative = gauss((ends - fraction / 16) / sigma)
                tables.append(frequencies(np.append(np.diff(cumulative), cumulative[0] + 1 - cumulative[-1])))
    return radius, raw, np.concatenate(tables)


def frequencies(p):
    """Probabilities -> integers of at least 1 that sum to 32768"""
    table = np.maximum(1, np.floor(p * (32768 - len(p)) + 0.5)).astype(np.int64)
    table[np.argmax(table)] += 32768 - table.sum()
    return table


class Spread:
    """From centroids by quantizer, level and distance from the mean to those of all entries; none for escapes, nor where bits are coded raw."""

    def __init__(self, radius, raw):
        quantizer, level, fraction, v = entries(radius)
        distance = 2 * fraction - 32 * v + 16 * quantizer * np.sign(v)       # of the mean from the value, in 1/16
        self.sign = np.sign(distance) * (v <= np.array(radius)[level]) * (np.array(raw)[level] == 0)
        self.place = (quantizer * LEVELS + level) * (16 * REACH + 1) + np.minimum(np.abs(distance), 16 * REACH)

    def __call__(self, centroid):
        """centroid (QUANTIZERS, LEVELS, 16·REACH + 1), in steps -> of all entries, in steps"""
        return self.sign * centroid.ravel()[self.place]
