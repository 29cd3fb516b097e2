# SPDX-License-Identifier: LGPL-2.1-or-later
"""The weights of the filter after the synthesis (docs/bitstream.md, section 6.4), by least squares on training pictures.

    python3 filter.py CHECKPOINT --train FOLDER [--structured FOLDER]

For each anchor of q, crops are coded with the integer codec at the q nearest to it; in every class, the weights are those that bring the
values before the filter nearest to the original. They are put into the checkpoint, which has to have scales, and should have frequencies and
centroids of entropy.py, because on these depends what the encoder chooses. export.py writes them to the model file.
"""
import argparse

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import data
import export
import integer
from integer import CLASSES, LIMITS, PAIRS, WEIGHTS
from model import CHROMA, interpolate

CROP = 512
HELD_OUT = 5               # one crop of so many is not fitted to, but measured
FLOOR = 0.2 * 64 ** 2      # of the squared error per sample, in 1/64: about that of rounding to samples
FALLBACK = 3e-3            # the statistics of all classes count so much in each
ONE = 32768                # a weight of 1
BOUND = 2 ** 29            # Σ 2·limit·|w| of a class stays below


def place(row, column):
    """-> index of the pair that has this place"""
    return PAIRS.index((row, column) if (row, column) in PAIRS else (-row, -column))


TRANSPOSED = [place(c, r) for r, c in PAIRS]
MIRRORED = [place(r, -c) for r, c in PAIRS]
TURNED = [place(c, -r) for r, c in PAIRS]
SAME = list(range(len(PAIRS)))
TURNS = SAME, MIRRORED, TRANSPOSED, TURNED, SAME, TRANSPOSED, MIRRORED, TURNED      # of the eight directions, to the first and to the fifth


@torch.compile(dynamic=True)
def moved(v, weights):
    """v (B, H, W), real, in 1/64, weights (B, WEIGHTS, H, W) -> v after the filter"""
    h, w = v.shape[1:]
    around = F.pad(v[:, None], (2, 2, 2, 2), mode='replicate')[:, 0]
    at = lambda row, column: around[:, 2 + row:2 + row + h, 2 + column:2 + column + w] - v
    out = v
    for i, (row, column) in enumerate(PAIRS):
        a, b = at(row, column), at(-row, -column)
        for j, limit in enumerate(LIMITS):
            out = out + weights[:, i * len(LIMITS) + j] * (a.clamp(-limit, limit) + b.clamp(-limit, limit))
    return out


class Filter(nn.Module):
    """The filter in real numbers, for training through it: patches (B, 96, …) of the network, q -> patches. Its weights stay as they are."""

    def __init__(self, weights):
        """weights (3, A, WEIGHTS·CLASSES), as in a checkpoint"""
        super().__init__()
        self.register_buffer('weights', torch.from_numpy(weights.astype(np.float32)) / ONE, persistent=False)

    def forward(self, x, q):
        scale = lambda c, n, unit: (F.pixel_shuffle(c, n)[:, 0] / unit + 0.5) * (255 * 64)
        planes = [scale(x[:, :64].float(), 8, 1), scale(x[:, 64:80].float(), 4, CHROMA), scale(x[:, 80:].float(), 4, CHROMA)]
        with torch.no_grad():
            luma = planes[0].clamp(0, 255 * 64).round().int()
            block = torch.stack([integer.classes(v) for v in luma])
        out = []
        for v, table, side, n, unit in zip(planes, self.weights, (4, 2, 2), (8, 4, 4), (1, CHROMA, CHROMA)):
            own = interpolate(table, q).view(len(x), WEIGHTS, CLASSES)
            weights = own.gather(2, block.flatten(1)[:, None].expand(-1, WEIGHTS, -1)).unflatten(2, block.shape[1:])
            filtered = moved(v, weights.repeat_interleave(side, 2).repeat_interleave(side, 3))
            out.append(F.pixel_unshuffle((filtered / (255 * 64) - 0.5)[:, None] * unit, n))
        return torch.cat(out, 1)


@torch.no_grad()
def statistics(codec, planes, q4):
    """-> (3, CLASSES, WEIGHTS + 1, WEIGHTS + 1): per plane and class, sums of products of the features and, last, the error. All are in units
    of the plane's whole squared error, so that every picture counts alike, as it does in a mean of dB."""
    y, quantizer = codec.choose(codec.encode(planes, q4), q4)
    values = codec.values(y, codec.centroids(y, quantizer, *codec.prior(y, q4)), q4)
    block = integer.classes(values[0]).flatten()
    sums = torch.zeros(3, CLASSES, WEIGHTS + 1, WEIGHTS + 1, dtype=torch.float64)
    for plane, (v, original, n) in enumerate(zip(values, planes, (4, 2, 2))):
        error = 64 * torch.from_numpy(original.astype(np.int32)) - v
        x = torch.stack([*integer.features(v), error]).float()
        x = x.unflatten(1, (-1, n)).unflatten(3, (-1, n)).permute(1, 3, 0, 2, 4).flatten(3).flatten(0, 1)
        sums[plane].index_add_(0, block, (x @ x.mT).double())
    total = sums[..., -1, -1].sum(1) + FLOOR * torch.tensor([c.size for c in planes])
    return sums / total[:, None, None, None]


def turned(sums, pairs):
    """sums (…, WEIGHTS + 1, WEIGHTS + 1) of a picture -> of the same picture turned so that each pair goes to pairs[pair]"""
    order = [len(LIMITS) * p + limit for p in pairs for limit in range(len(LIMITS))] + [WEIGHTS]
    return sums[..., order, :][..., order]


def tied(sums):
    """(3, CLASSES, …) -> (3, CLASSES / 4, …): eight directions as two, one straight and one slanted"""
    turns = [turned(s, pairs) for s, pairs in zip(sums.unflatten(1, (8, -1)).unbind(1), TURNS)]
    return torch.cat([sum(turns[:4]), sum(turns[4:])], 1)


def untied(weights):
    """weights (3, CLASSES / 4, WEIGHTS) -> (3, CLASSES, WEIGHTS), the inverse of tied(); every turn of pairs is its own inverse"""
    pairs = weights.unflatten(2, (len(PAIRS), len(LIMITS)))
    straight, slanted = pairs.chunk(2, 1)
    return torch.cat([(straight, slanted)[i // 4][:, :, turn] for i, turn in enumerate(TURNS)], 1).flatten(2)


def fit(sums):
    """sums (3, CLASSES, …) -> weights (3, CLASSES / 4, WEIGHTS), in 1/32768, whole numbers"""
    split = lambda s: (s[..., :-1, :-1], s[..., :-1, -1:])
    a, b = split(sums.sum(1, keepdim=True))
    a = a + 1e-6 * a.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None] * torch.eye(WEIGHTS)
    common = torch.linalg.solve(a, b)
    own_a, own_b = split(tied(sums))
    weights = ONE * torch.linalg.solve(own_a + FALLBACK * a, own_b + FALLBACK * a @ common)[..., 0]
    total = (weights.abs() * 2 * torch.tensor(LIMITS).repeat(len(PAIRS))).sum(-1, keepdim=True)
    most = weights.abs().amax(-1, keepdim=True)
    shrink = torch.minimum(0.99 * BOUND / total.clamp(min=1), 32767 / most.clamp(min=1)).clamp(max=1)
    return (weights * shrink).round()


def change(sums, weights):
    """-> by how many % the filter changes the squared error, per plane"""
    s, w = tied(sums), weights[..., None] / ONE
    gain = 2 * w.mT @ s[..., :-1, -1:] - w.mT @ s[..., :-1, :-1] @ w
    return -100 * gain.sum((1, 2, 3)) / s[..., -1, -1].sum(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkpoint')
    data.add_options(parser, share=0.25)
    parser.add_argument('--crops', type=int, default=64, help='for each anchor of q (default: %(default)s)')
    args = parser.parse_args()
    if args.crops < 2:
        parser.error(f'--crops {args.crops}: at least 2, because the first of each {HELD_OUT} is not fitted to')
    torch.set_num_threads(1)
    crops = data.endless_crops(args.train, args.structured, args.share, CROP, np.random.default_rng(1))
    net, scales, frequency, _ = export.load(args.checkpoint)
    codec = integer.IntegerCodec(export.tensors_of(net, scales, frequency=frequency))
    weights = np.empty((3, net.config.anchors, CLASSES * WEIGHTS), np.int16)
    for anchor in range(net.config.anchors):
        q4 = round(252 * anchor / (net.config.anchors - 1))
        fitted = held_out = 0
        for i in range(args.crops):
            sums = statistics(codec, next(crops), q4)
            if i % HELD_OUT:
                fitted = fitted + sums
            else:
                held_out = held_out + sums
        found = fit(fitted)
        weights[:, anchor] = untied(found).mT.flatten(1).numpy()
        print('q %5.2f  squared error y %+.1f u %+.1f v %+.1f %%, of crops held out y %+.1f u %+.1f v %+.1f %%' %
              (q4 / 4, *change(fitted, found), *change(held_out, found)), flush=True)
    export.amend(args.checkpoint, filter=weights)


if __name__ == '__main__':
    main()
