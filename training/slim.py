# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checkpoint -> a file of a few MB to keep: averaged weights in fp16, scales, frequencies, filter, step and a line that says how good it is.

    python3 slim.py CHECKPOINT weights/standard.pt [--mean] --note 'line of the log or of evaluate.py'

Scales follow the averaged weights. Where the last weights are as good, which a decay to zero often makes them, the mean of both can be better than either.
"""
import argparse

import torch


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkpoint')
    parser.add_argument('out')
    parser.add_argument('--mean', action='store_true', help='keep the mean of the averaged weights and the last ones')
    parser.add_argument('--note', default='')
    args = parser.parse_args()
    checkpoint = torch.load(args.checkpoint, map_location='cpu', weights_only=False)
    weights = checkpoint['ema']
    if args.mean:
        weights = {name: (value + checkpoint['weights'][name]) / 2 for name, value in weights.items()}
    torch.save(dict(ema={name: value.half() for name, value in weights.items()}, scales=checkpoint['scales'],
                    frequency=checkpoint.get('frequency'), filter=checkpoint.get('filter'), config=checkpoint['config'],
                    step=checkpoint['step'], note=args.note), args.out)


if __name__ == '__main__':
    main()
