# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rate and distortion of a checkpoint (float) or a model file (integers) on pictures.

    python3 evaluate.py CHECKPOINT|MODEL.m2tw PICTURE.y4m … [--rounded] [--out curve.json] [--against anchor.json …]

Rates are estimates, −log2 of the model's probabilities (of a model file, plus 40 bytes for headers); the C encoder's
files decide. What eight bits cost: a checkpoint with --rounded against the same without. Distortion and BD-rate are those
of bench/rd.py, which also reads the file of --out.
"""
import argparse
import json
import os
import sys

import numpy as np
import torch

import data
import export
import integer
import m2tw
import quantise
from filter import Filter
from model import SIGMA_FLOOR, bits, interval

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../bench'))
from rd import bd_rates, names_of, picture_psnr, read_y4m  # noqa: E402

QUALITIES = (0, 7, 14, 21, 28, 35, 42, 49, 56, 63)


@torch.no_grad()
def float_picture(net, planes, q):
    """planes (y, u, v) uint8, q: quantizer 0…63 -> bits, decoded planes, with the encoder's choices (Codec.choose). Cells outside the token
    grid are zero and not coded."""
    h, w = planes[0].shape
    real = data.to_real([c[None] for c in data.pad(planes)])
    position = torch.tensor([q / 63 * (net.config.anchors - 1)])
    y = net.encode(real, position)
    th, tw = y.shape[2:]
    pad = lambda x: torch.nn.functional.pad(x, (0, -tw % 8, 0, -th % 8))
    inside = pad(torch.ones(1, 1, th, tw))
    chosen, quantizer, place = net.choose(pad(y), position, inside)
    grid = chosen * inside
    mean, log_scale = net.prior(grid, position)
    rate = bits(grid, mean, log_scale.exp() + SIGMA_FLOOR, *interval(quantizer, place))[:, :, :th, :tw].sum().item()
    seen = (grid + net.centroids(grid, quantizer, mean, log_scale))[:, :, :th, :tw]
    return rate, data.from_real(net.decode(seen, position), h, w)


@torch.no_grad()
def integer_picture(codec, planes, q):
    """The same with the integer codec."""
    h, w = planes[0].shape
    q4 = round(4 * q)
    y, quantizer = codec.choose(codec.encode(data.pad(planes), q4), q4)
    coded = y, quantizer, *codec.prior(y, q4)
    rate = codec.picture_bits(*coded)
    y_, u, v = codec.decode(y, codec.centroids(*coded), q4)
    return rate, (y_[:h, :w], u[:(h + 1) // 2, :(w + 1) // 2], v[:(h + 1) // 2, :(w + 1) // 2])


def curves(code, paths, qualities=QUALITIES):
    """code(planes, q) -> bits, planes; qualities: quantizers 0…63. -> {picture: [row per quantizer]}, rows as in bench/rd.py"""
    pictures = {}
    for path, name in zip(paths, names_of(paths)):
        planes = read_y4m(path)[2][0]
        rows = pictures[name] = []
        for q in qualities:
            rate, decoded = code(planes, q)
            y, u, v, yuv = picture_psnr(planes, decoded)
            rows.append(dict(q=q, bpp=rate / planes[0].size, y=y, u=u, v=v, yuv=yuv))
    return pictures


def mean_bd(anchor, test):
    """Mean BD-rate in % over the pictures both have."""
    return float(np.nanmean(list(bd_rates(anchor, test).values())))


def mean_rows(pictures):
    """One row per q, averaged over pictures."""
    keys = ('q', 'bpp', 'yuv', 'y', 'u', 'v')
    return [{k: float(np.mean([r[k] for r in rows])) for k in keys} for rows in zip(*pictures.values())]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model', help='checkpoint, or model file (.m2tw)')
    parser.add_argument('pictures', nargs='+', help='.y4m files; their first frames are measured')
    parser.add_argument('--q', type=lambda s: [float(x) for x in s.split(',')], default=QUALITIES, help='quantizers 0…63, separated by commas')
    parser.add_argument('--rounded', action='store_true', help='a checkpoint with the rounding of the integer codec')
    parser.add_argument('--out', help='write the curve to this JSON file')
    parser.add_argument('--against', nargs='*', default=[], help='such files, to print the BD-rate against them')
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.model.endswith('.m2tw'):
        if args.rounded:
            parser.error('--rounded is for checkpoints: a model file is rounded as it is')
        codec = integer.IntegerCodec(m2tw.read_file(args.model))
        code = lambda planes, q: integer_picture(codec, planes, q)
    else:
        net, scales, _, weights = export.load(args.model)
        if args.rounded and not scales:
            parser.error(f'{args.model}: no scales to round with, it was not fine-tuned with --qat')
        if args.rounded:
            quantise.attach(net, scales)
        net.filter = Filter(weights) if weights is not None else None
        code = lambda planes, q: float_picture(net, planes, q)
    pictures = curves(code, args.pictures, args.q)
    for row in mean_rows(pictures):
        print('q %5.2f  %.4f bit/px  yuv %.2f  y %.2f  u %.2f  v %.2f' % tuple(row.values()))
    if args.out:
        json.dump(dict(name=os.path.basename(args.model), pictures=pictures), open(args.out, 'w'))
    for path in args.against:
        anchor = json.load(open(path))
        print(f'{mean_bd(anchor["pictures"], pictures):+.2f} % bits against {anchor["name"]}')


if __name__ == '__main__':
    main()
