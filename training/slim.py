# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checkpoint -> a file of a few MB to keep: averaged weights in fp16, scales, frequencies, filter, step and a line that says how good it is.

    python3 slim.py CHECKPOINT weights/standard.pt --note 'line of the log or of evaluate.py'
"""
import argparse

import torch


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkpoint')
    parser.add_argument('out')
    parser.add_argument('--note', default='')
    args = parser.parse_args()
    checkpoint = torch.load(args.checkpoint, map_location='cpu', weights_only=False)
    torch.save(dict(ema={name: value.half() for name, value in checkpoint['ema'].items()}, scales=checkpoint['scales'],
                    frequency=checkpoint.get('frequency'), filter=checkpoint.get('filter'), config=checkpoint['config'],
                    step=checkpoint['step'], note=args.note), args.out)


if __name__ == '__main__':
    main()
