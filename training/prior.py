# SPDX-License-Identifier: LGPL-2.1-or-later
"""Trains a prior alone, on latents that a trained analysis made once: minutes instead of hours, to compare priors with each other.

    python3 prior.py latents --codec weights/standard.pt --train FOLDER --out latents.pt
    python3 prior.py train --codec weights/standard.pt --latents latents.pt --out RUN --steps 900 --config '{"masking": "input"}'
    python3 prior.py measure --codec weights/standard.pt --latents latents.pt --out RUN KODAK/*.y4m
    python3 prior.py export --train FOLDER --out RUN --name mt-8

Batches depend on seed and step only, so that all configurations see the same ones. The same command again goes on with an interrupted run. The
checkpoint is one of the whole codec, for export.py, with the transforms of --codec; `export` writes the integer prior alone, as bench/mt.py reads it: the
tensors `graph` and `prior.*` of the model file.
"""
import argparse
import json
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

import data
import export
import m2tw
import quantise
from model import SIGMA_FLOOR, Codec, Config, bits
from train import EMA, follow, optimiser, set_learning_rate

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../bench'))
from rd import read_y4m  # noqa: E402

TOKENS, BATCH = 16, 8          # crops of 16 × 16 tokens
QUALITIES = (14, 32, 50)       # where bits are measured
CALIBRATION_EVERY = 12         # pictures


def s_groups(steps):
    """Sizes of `steps` groups: 64·(i/steps)² cells are known after i of them."""
    known = [max(i, round(64 * (i / steps) ** 2)) for i in range(steps + 1)]
    return tuple(b - a for a, b in zip(known, known[1:]))


@torch.no_grad()
def latents_of(net, planes, position):
    """planes (y, u, v) uint8, position: q among the anchors -> nearest integers (L, ⌈H/16⌉, ⌈W/16⌉)"""
    return net.encode(data.to_real([c[None] for c in data.pad(planes)]), torch.tensor([position])).round()[0]


def cache(net, args):
    """Each training picture at `--each` random positions of q, the pictures held out at QUALITIES."""
    pictures, rng, top = data.load_pictures(args.train), np.random.default_rng(1), net.config.anchors - 1
    train, held_out = [], []
    for i, planes in enumerate(pictures):
        kept_out = i % args.held_out == 0
        for q in [q / 63 * top for q in QUALITIES] if kept_out else rng.random(args.each) * top:
            (held_out if kept_out else train).append((float(q), latents_of(net, planes, float(q)).to(torch.int16)))
        if i % 50 == 0:
            print(f'{i} of {len(pictures)} pictures', flush=True)
    torch.save(dict(train=train, held_out=held_out), args.out)


def batch(pictures, seed, step):
    """-> latents (B, L, 16, 16), q (B), and a number in 0…1 for each picture"""
    rng, crops, q = np.random.default_rng([seed, step]), [], []
    while len(crops) < BATCH:
        position, y = pictures[rng.integers(len(pictures))]
        top, left = (int(rng.integers(side - TOKENS + 1)) for side in y.shape[1:])
        crops.append(y[:, top:top + TOKENS, left:left + TOKENS])
        q.append(position)
    return torch.stack(crops).float(), torch.tensor(q), torch.tensor(rng.random(BATCH))


def bits_of(y, mean, log_scale):
    """Bits of every latent. y are the nearest integers, of which a quantizer has one in two: each counts as what stands for a range of 2."""
    return bits(y, mean, log_scale.exp() + SIGMA_FLOOR, 1, 1)


def loss_of(prior, y, q, draw):
    """Bits per pixel. Without a mask in attention a pass teaches one moment of each picture only: the next group is drawn, by the number of its
    cells, and all that is not known counts."""
    if prior.one_pass:
        return bits_of(y, *prior(y, q)).sum(1).mean() / 256
    known = prior.group.sort().values[(draw * 64).long()]
    unknown = prior.group.view(8, 8).repeat(TOKENS // 8, TOKENS // 8) >= known[:, None, None]
    rate = bits_of(y, *prior.run(y, q, known)).sum(1)
    return ((rate * unknown).sum((1, 2)) / unknown.sum((1, 2))).mean() / 256


@torch.no_grad()
def rate_of(prior, y, position):
    """Bits of the latents (L, H, W) of a picture."""
    h, w = y.shape[1:]
    grid = F.pad(y.float()[None], (0, -w % 8, 0, -h % 8))
    return bits_of(grid, *prior(grid, torch.tensor([position])))[:, :, :h, :w].sum().item()


def save(path, net, ema, opt, step):
    state = {name: opt.state[p] for name, p in net.prior.named_parameters() if p in opt.state}
    export.write_checkpoint(path, ema={**net.state_dict(), **{f'prior.{n}': v for n, v in ema.items()}}, weights=net.state_dict(), optimiser=state,
                            scales=None, config=net.config.as_dict(), step=step)


def train(net, args):
    """Constant learning rate, half a cosine over the second half."""
    path = os.path.join(args.out, 'checkpoint.pt')
    log = open(os.path.join(args.out, 'log.txt'), 'a')
    opt = optimiser(net.prior, args.lr)
    ema, first = {n: v.clone() for n, v in net.prior.state_dict().items()}, 0
    if os.path.exists(path):
        checkpoint = torch.load(path, weights_only=False)
        net.load_state_dict(checkpoint['weights'])
        ema = {n: checkpoint['ema'][f'prior.{n}'] for n in ema}
        opt.state.update({p: checkpoint['optimiser'][n] for n, p in net.prior.named_parameters() if n in checkpoint['optimiser']})
        first = checkpoint['step']
    pictures = torch.load(args.latents)['train']
    recent, start = [], time.time()
    for step in range(first, args.steps):
        lr = set_learning_rate(opt, args.lr, step, 2 * (1 - step / args.steps), warm_up=100)
        loss = loss_of(net.prior, *batch(pictures, args.seed, step))
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.prior.parameters(), 1.0)
        opt.step()
        follow(ema, net.prior.state_dict(), min(EMA, step / (step + 50)))
        recent.append(loss.item())
        if (step + 1) % 100 == 0:
            text = f'step {step + 1}  {(time.time() - start) / 60:.1f} min  bpp {np.mean(recent):.4f}  lr {lr:.1e}'
            print(text, flush=True)
            print(text, file=log, flush=True)
            recent = []
            save(path, net, ema, opt, step + 1)
    save(path, net, ema, opt, max(first, args.steps))


def measure(net, args):
    """Estimated bits per pixel on pictures held out and on those named -> RUN/bits.json"""
    prior = export.load(os.path.join(args.out, 'checkpoint.pt'))[0].prior
    positions = [q / 63 * (net.config.anchors - 1) for q in QUALITIES]
    sets = {'held out': torch.load(args.latents)['held_out']}
    sets['named'] = [(position, latents_of(net, read_y4m(path)[2][0], position)) for path in args.pictures for position in positions]
    result = {}
    for name, pictures in sets.items():
        rates = [(q, rate_of(prior, y, q) / (256 * y[0].numel())) for q, y in pictures]
        result[name] = {str(q): float(np.mean([r for p, r in rates if abs(p - position) < 1e-6])) for q, position in zip(QUALITIES, positions)
                        if pictures}
        print(name, ' '.join(f'q {q}: {rate:.4f} bit/px' for q, rate in result[name].items()), flush=True)
    json.dump(result, open(os.path.join(args.out, 'bits.json'), 'w'))


@torch.no_grad()
def export_prior(args):
    """The averaged weights of RUN/checkpoint.pt in integers -> RUN/NAME.prior: the tensors `graph` and `prior.*`. Scales are measured with the transforms
    of the checkpoint, on every twelfth picture of --train."""
    net = export.load(os.path.join(args.out, 'checkpoint.pt'))[0]
    tensors = export.tensors_of(net, quantise.calibrate(net, data.load_pictures(args.train)[::CALIBRATION_EVERY]), args.name)
    chosen = {name: t for name, t in tensors.items() if name == 'graph' or name.startswith('prior.')}
    m2tw.write_file(os.path.join(args.out, args.name + '.prior'), chosen, {'content': 'prior only'})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('what', choices=('latents', 'train', 'measure', 'export'))
    parser.add_argument('pictures', nargs='*', help='.y4m files to measure on')
    parser.add_argument('--codec', help='checkpoint of which the transforms are taken; all but `export`')
    parser.add_argument('--out', required=True, help='folder of the run; `latents`: the file')
    parser.add_argument('--train', help='folder of training pictures (.jpg, .png); `latents`, `export`')
    parser.add_argument('--latents', help='file that was made by `latents`; `train`, `measure`')
    parser.add_argument('--config', default='{}', help='of the prior, as JSON: what differs from the codec (model.Config); groups may be their number')
    parser.add_argument('--name', help='of the exported prior')
    parser.add_argument('--steps', type=int, default=900, help='of training (default: %(default)s)')
    parser.add_argument('--lr', type=float, default=2e-3, help='learning rate (default: %(default)g)')
    parser.add_argument('--seed', type=int, default=1, help='of weights and batches (default: %(default)s)')
    parser.add_argument('--each', type=int, default=2, help='so many times each training picture is coded, at random q (default: %(default)s)')
    parser.add_argument('--held-out', type=int, default=25, help='one of so many pictures is kept out of training (default: %(default)s)')
    args = parser.parse_intermixed_args()
    needed = {'latents': ('codec', 'train'), 'train': ('codec', 'latents'), 'measure': ('codec', 'latents'), 'export': ('train', 'name')}
    if missing := [f'--{option}' for option in needed[args.what] if not getattr(args, option)]:
        parser.error(f'{args.what} needs {" and ".join(missing)}')
    torch.set_num_threads(1)
    if args.what == 'export':
        return export_prior(args)
    codec = export.load(args.codec)[0]
    if args.what == 'latents':
        return cache(codec, args)
    os.makedirs(args.out, exist_ok=True)
    if args.what == 'measure':
        return measure(codec, args)
    changes = json.loads(args.config)
    if isinstance(changes.get('groups'), int):
        changes['groups'] = s_groups(changes['groups'])
    torch.manual_seed(args.seed)
    net = Codec(Config(**{**codec.config.as_dict(), **changes}))
    net.load_state_dict({n: v for n, v in codec.state_dict().items() if not n.startswith('prior.')}, strict=False)
    net.prior.size.data = codec.prior.size.data.clone()
    train(net, args)


if __name__ == '__main__':
    main()
