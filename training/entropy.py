# SPDX-License-Identifier: LGPL-2.1-or-later
"""The entropy coder's tables from what is really coded: counts on training pictures in place of Gaussians.

    python3 entropy.py CHECKPOINT --train FOLDER [--structured FOLDER]

Errors of the prediction have longer tails than a Gaussian, and the encoder's choices (IntegerCodec.choose) make small errors more frequent. The
frequencies are put into the checkpoint, which has to have scales, and export.py writes them to the model file. Choices depend on what symbols
cost, so the counting is done twice, the second time with the tables of the first.
"""
import argparse
import itertools

import numpy as np
import torch

import data
import export
import integer
import tables

CROP = 512
GAUSSIAN_COUNT = 256       # so many symbols of a Gaussian are added to the counts of every table


@torch.no_grad()
def count(codec, crops, q4s):
    """How often every entry is coded, in the order of tables.py."""
    counts = np.zeros(len(codec.cost), np.int64)
    for planes, q4 in zip(crops, q4s):
        y, quantizer = codec.choose(codec.encode(planes, q4), q4)
        mean, level = codec.prior(y, q4)
        entry = codec.entries(y, quantizer, mean, level)[0][level >= codec.skip]
        counts += torch.bincount(entry, minlength=len(counts)).numpy()
    return counts


def mirrored(table, quantizer):
    """An error of v − fraction/16 is as likely as its negative: (16, 2R + 2) -> the same with the opposite sign"""
    mirror = np.empty_like(table)
    mirror[1:, :-1], mirror[1:, -1] = table[:0:-1, -2::-1], table[:0:-1, -1]             # −v at −fraction
    if quantizer == 0:                                                                   # −8 has no opposite: −v − 1 there
        mirror[0, :-2], mirror[0, -2], mirror[0, -1] = table[0, -3::-1], 0, table[0, -2:].sum()
    else:                                       # nor that here: of two even values that are as near to the mean, quantizer 1 has one
        mirror[0] = table[0]
    return mirror


def fit(counts, gaussian, first):
    """Counts and Gaussian frequencies of all entries, first (quantizers, levels): where tables begin -> frequencies"""
    split = lambda flat: [part.reshape(16, -1) for part in np.split(flat, first.ravel()[1:])]
    found = []
    for i, (table, expected) in enumerate(zip(split(counts), split(gaussian / 32768))):
        for row, p in zip(table + mirrored(table, i // first.shape[1]), expected):
            found.append(tables.frequencies((row + GAUSSIAN_COUNT * p) / (row.sum() + GAUSSIAN_COUNT)))
    return np.concatenate(found)


def cost(counts, frequency):
    """Bits of the counted entries."""
    return (counts * (15 - np.log2(frequency))).sum()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkpoint')
    data.add_options(parser, share=0.25)
    parser.add_argument('--crops', type=int, default=80, help='that are counted on (default: %(default)s)')
    args = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(1)
    crops = list(itertools.islice(data.endless_crops(args.train, args.structured, args.share, CROP, rng), args.crops))
    q4s = rng.integers(0, 253, args.crops).tolist()
    net, scales, *_ = export.load(args.checkpoint)
    frequency = gaussian = tables.gaussian()[2]
    for _ in range(2):
        codec = integer.IntegerCodec(export.tensors_of(net, scales, frequency=frequency))
        counts = count(codec, crops, q4s)
        frequency = fit(counts, gaussian, codec.first.numpy())
        print(f'{(cost(counts, frequency) / cost(counts, gaussian) - 1) * 100:+.2f} % bits against Gaussians', flush=True)
    export.amend(args.checkpoint, frequency=frequency.astype(np.uint16))


if __name__ == '__main__':
    main()
