# SPDX-License-Identifier: LGPL-2.1-or-later
"""The recipe.

    python3 train.py --train FOLDER --out RUN --minutes 600 --decay 90
    python3 train.py --train FOLDER --out RUN2 --resume RUN/checkpoint.pt --average --minutes 30 --qat
    torchrun --nproc-per-node 2 train.py …

A run lasts `--minutes` of its own clock, which stands while the process is stopped and goes on where a resumed run ended when --out is the same folder. The
learning rate warms up, stays, and falls to zero as a half cosine over the last `--decay` minutes.

Under torchrun every process takes `--batch` crops of each step and the gradients are averaged: N processes are one
process with N times the batch. The first one keeps the clock, writes the log and the checkpoints.
"""
import argparse
import json
import math
import os
import time

import numpy as np
import torch
import torch.distributed as distributed
import torch.nn.functional as F
from torch.nn.parallel import DistributedDataParallel

import data
import export
import quantise
from filter import Filter
from model import Codec, Config
from soap import SOAP

LAMBDA_FINE, LAMBDA_COARSE = 0.25, 0.0012        # loss = bits per pixel + lambda · squared error
CHROMA_WEIGHT = 4.5                              # the metric averages dB, not squared errors: see docs/training.md
EMA = 0.999
LONGEST_STEP = 60                                # seconds; what lasts longer was a pause


def distortion(a, b):
    """Weighted squared error per sample on the 8-bit scale; a, b (B, 96, …) -> (B)"""
    weight = torch.cat([torch.full((64,), 6 / 8 / 64), torch.full((32,), CHROMA_WEIGHT / 8 / 16 * 1.5)])
    return ((a - b).square().mean((2, 3)) * weight).sum(1) * 255 ** 2


def klt_start(net, pictures, crop, rng):
    """The short-cuts become the 16×16 KLT of the training set, the gains a ladder, the sizes those measured."""
    tokens = lambda n: F.pixel_unshuffle(data.crops(pictures, n, crop, rng), 2).permute(0, 2, 3, 1).reshape(-1, 384)
    x = torch.cat([tokens(16) for _ in range(24)]).double()
    x = x - x.mean(0)
    basis = torch.linalg.eigh(x.T @ x)[1].flip(1)[:, :net.config.latents].float()
    net.analysis.shortcut.weight.data = basis.T.contiguous()
    net.synthesis.shortcut.weight.data = basis.contiguous()
    anchors = net.config.anchors
    ladder = math.log(2) * 0.75 * (anchors / 2 - torch.arange(anchors))
    net.gain.data[:] = ladder[:, None]
    net.igain.data[:] = -ladder[:, None]
    batch = data.crops(pictures, 24, crop, rng)
    with torch.no_grad():
        for i in range(anchors):
            net.prior.size.data[i] = net.encode(batch, torch.full((24,), float(i))).std((0, 2, 3)).clamp_min(0.4).log()


def kept_cells(side, rng):
    """(side, side): 1 where a token is coded, 0 where an inter frame keeps it; scattered ones, or patches of up to eight cells."""
    size = 2 ** int(rng.integers(0, 4))
    small = torch.tensor(rng.random((1, 1, side // size + 2, side // size + 2), np.float32))
    field = F.interpolate(small, scale_factor=size, mode='bilinear' if size > 1 else 'nearest')[0, 0, :side, :side]
    return (field > field.quantile(float(rng.uniform(0.1, 0.9)))).float()


def coded_cells(count, side, rng, kept):
    """-> (count, 1, side, side). Now and then the token grid ends inside the crop, as it does at the right and bottom of most pictures; in a share `kept` of
    the crops tokens are kept, as they are in inter frames."""
    cells = torch.ones(count, 1, side, side)
    for c in cells:
        if rng.random() < 0.15:
            h, w = rng.integers(side // 2, side + 1, 2)
            c[:, h:] = 0
            c[:, :, w:] = 0
        if rng.random() < kept:
            c[0] *= kept_cells(side, rng)
    return cells


def loss_of(net, batch, q, cells, anchors):
    """-> loss (each q weighs alike), bits per pixel, squared error"""
    reconstruction, bits = net(batch, q, cells)
    rate = bits.sum((1, 2, 3)) / (256 * cells.sum((1, 2, 3)).clamp_min(1))
    error = distortion(batch, reconstruction.float())
    weight = LAMBDA_FINE * (LAMBDA_COARSE / LAMBDA_FINE) ** (q / (anchors - 1))
    return ((rate + weight * error) / weight.sqrt()).mean() * 0.05, rate.mean().item(), error.mean().item()


def join_others():
    """-> place of this process among those that torchrun started, and their number"""
    world = int(os.environ.get('WORLD_SIZE', 1))
    if world > 1:
        distributed.init_process_group('gloo')
    return (distributed.get_rank(), world) if world > 1 else (0, 1)


def clock(minutes, began, world):
    """`minutes` and the step that began at `began`, the same in all processes; a stopped process (SIGSTOP) keeps its place in the schedule."""
    minutes = torch.tensor(minutes + min(time.time() - began, LONGEST_STEP) / 60, dtype=torch.float64)
    if world > 1:
        distributed.broadcast(minutes, 0)
    return minutes.item()


def share_of(batch, rank, world):
    """All processes draw the same crops, and each takes its own."""
    return batch[rank * len(batch) // world:(rank + 1) * len(batch) // world]


def mean_of_all(values, world):
    """Mean over the processes."""
    values = torch.tensor(values)
    if world > 1:
        distributed.all_reduce(values)
    return (values / world).tolist()


def mean_gradients(parameters, world):
    """Over the processes; DistributedDataParallel does it for those of the network."""
    for p in parameters if world > 1 else ():
        distributed.all_reduce(p.grad)
        p.grad /= world


def set_learning_rate(opt, most, step, left, warm_up=200):
    """Rises to `most` over the first `warm_up` steps, stays, and falls to zero as half a cosine while `left` goes from 1 to 0. -> the rate"""
    lr = most * min(1, (step + 1) / warm_up) * 0.5 * (1 - math.cos(math.pi * max(0, min(1, left))))
    for group in opt.param_groups:
        group['lr'] = lr * group['speed']
    return lr


def optimiser(net, lr, learned={}):
    """The short-cuts and sizes move ten times slower. `learned`: of quantise.learnable_steps()."""
    slow = lambda name: '.shortcut.' in name or name == 'prior.size'
    named = [*net.named_parameters(), *learned.items()]
    return SOAP([dict(params=[p for n, p in named if not slow(n)], speed=1.0),
                 dict(params=[p for n, p in named if slow(n)], speed=0.1)], lr=lr)


def averages(net, learned):
    """What is averaged: the weights, and the steps of rounding that are learned."""
    return {**net.state_dict(), **learned}


@torch.no_grad()
def follow(ema, values, keep):
    """ema = keep · ema + (1 − keep) · values, of dictionaries in the same order"""
    torch._foreach_lerp_(list(ema.values()), list(values.values()), 1 - keep)


def save(path, net, learned, ema, opt, scales, **progress):
    """`ema` (averages()) goes to the averaged weights and to the scales."""
    state = {n: opt.state[p] for n, p in [*net.named_parameters(), *learned.items()] if p in opt.state}
    scales = quantise.learned_scales(net, scales, {n: ema[n] for n in learned}) if learned else scales
    export.write_checkpoint(path, ema={n: ema[n] for n in net.state_dict()}, weights=net.state_dict(), optimiser=state, scales=scales,
                            config=net.config.as_dict(), **progress)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data.add_options(parser, share=0.2)
    parser.add_argument('--kept', type=float, default=0, help='share of the crops with tokens that an inter frame keeps')
    parser.add_argument('--out', required=True)
    parser.add_argument('--resume', help='checkpoint to start from; that of --out goes first')
    parser.add_argument('--config', default='{}', help='sizes that differ from the standard model, as JSON (model.Config)')
    parser.add_argument('--average', action='store_true', help='resume from the averaged weights')
    parser.add_argument('--minutes', type=float, required=True)
    parser.add_argument('--steps', type=int, default=10 ** 9, help='end after so many as well')
    parser.add_argument('--decay', type=float, default=0, help='minutes of falling learning rate at the end')
    parser.add_argument('--lr', type=float, default=1.2e-3)
    parser.add_argument('--qat', action='store_true', help='round like the integer codec')
    parser.add_argument('--filter', metavar='CHECKPOINT', help='train through the filter of this one (filter.py)')
    parser.add_argument('--every', type=float, default=5, help='minutes between checkpoints')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--batch', type=int, default=8, help='crops of a step, for each process')
    parser.add_argument('--crop', type=int, default=256, help='their sides in samples, a multiple of 128')
    args = parser.parse_args()
    if args.crop <= 0 or args.crop % 128:
        parser.error(f'--crop {args.crop}: crops are whole windows of the prior, of 128 samples')
    return args


def starting_point(args, path):
    """-> the checkpoint to go on from, {} if there is none, and whether it is one of this very run, at `path`."""
    resume = path if os.path.exists(path) else args.resume
    return torch.load(resume, weights_only=False, map_location='cpu') if resume else {}, resume == path


def network(args, checkpoint, continued, pictures, structured, rng):
    """-> the net, on its way from the checkpoint or new, the scales of its rounding, None without --qat, and the steps among them that are learned."""
    net = Codec(Config(**checkpoint['config'] if checkpoint else json.loads(args.config)))
    if checkpoint:
        weights = 'weights' if 'weights' in checkpoint and (continued or not args.average) else 'ema'
        net.load_state_dict(checkpoint[weights])
    else:
        klt_start(net, pictures, args.crop, rng)
    scales, learned = None, {}
    if args.qat:
        scales = checkpoint.get('scales') or quantise.calibrate(net, pictures, structured)
        learned = quantise.learnable_steps(net, scales)
        quantise.attach(net, scales, learned)
    if args.filter:
        table = torch.load(args.filter, weights_only=False, map_location='cpu').get('filter')
        if table is None:
            raise SystemExit(f'{args.filter} has no filter: filter.py makes one')
        net.filter = Filter(table)
    return net.to(memory_format=torch.channels_last), scales, learned


def restored_optimiser(args, checkpoint, net, learned):
    opt = optimiser(net, args.lr, learned)
    for name, p in [*net.named_parameters(), *learned.items()]:
        if name in checkpoint.get('optimiser', {}):
            opt.state[p] = checkpoint['optimiser'][name]
    return opt


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    rank, world = join_others()
    fast_bfloat16 = torch.cpu._is_avx512_bf16_supported()    # elsewhere it is emulated, ten times slower than float
    torch.set_float32_matmul_precision('medium')             # the optimiser's products in bfloat16: 7 % faster steps
    os.makedirs(args.out, exist_ok=True)
    path = os.path.join(args.out, 'checkpoint.pt')
    log = open(os.path.join(args.out, 'log.txt'), 'a')

    def say(text):
        if rank > 0:
            return
        print(text, flush=True)
        print(text, file=log, flush=True)

    say(json.dumps(vars(args)))
    checkpoint, continued = starting_point(args, path)
    if checkpoint and json.dumps({**checkpoint['config'], **json.loads(args.config)}) != json.dumps(checkpoint['config']):
        say('--config does not count here: the sizes are those of the checkpoint')
    steps, before = checkpoint.get('step', 0), checkpoint['minutes'] if continued else 0.0
    torch.manual_seed(args.seed + steps)
    rng = np.random.default_rng(args.seed + steps)
    pictures = data.load_pictures(args.train, args.crop)
    structured = data.load_pictures(args.structured, args.crop) if args.structured else []

    net, scales, learned = network(args, checkpoint, continued, pictures, structured, rng)
    opt = restored_optimiser(args, checkpoint, net, learned)
    ema = {n: v.detach().clone() for n, v in {**averages(net, learned), **(checkpoint['ema'] if continued else {})}.items()}
    say(f'{sum(p.numel() for p in net.parameters()) / 1e6:.2f} M parameters, {len(pictures)} pictures, from step {steps}')

    model = DistributedDataParallel(net) if world > 1 else net
    minutes, saved, count, recent = before, time.time(), 0, []
    while minutes < args.minutes and count < args.steps:
        began = time.time()
        lr = set_learning_rate(opt, args.lr, count, (args.minutes - minutes) / args.decay if args.decay else 1)
        crops = args.batch * world
        batch = data.crops(pictures, crops, args.crop, rng, structured, args.share if structured else 0)
        batch = batch.contiguous(memory_format=torch.channels_last)
        q = torch.tensor(rng.random(crops, np.float32)) * (net.config.anchors - 1)
        mine = [share_of(x, rank, world) for x in (batch, q, coded_cells(crops, args.crop // 16, rng, args.kept))]
        with torch.autocast('cpu', torch.bfloat16, enabled=fast_bfloat16):
            loss, rate, error = loss_of(model, *mine, net.config.anchors)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        mean_gradients(learned.values(), world)
        norm = torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        count, steps, minutes = count + 1, steps + 1, clock(minutes, began, world)
        follow(ema, averages(net, learned), EMA if continued else min(EMA, count / (count + 50)))
        recent.append((loss.item(), rate, error, norm.item()))
        if steps % 100 == 0:
            means = mean_of_all(np.mean(recent, 0), world)
            say('step %d  %.1f min  loss %.4f  bpp %.3f  error %.2f  gradient %.2f  lr %.1e' % (steps, minutes, *means, lr))
            recent = []
        if rank == 0 and time.time() - saved > args.every * 60:
            saved = time.time()
            save(path, net, learned, ema, opt, scales, step=steps, minutes=minutes, seed=args.seed, arguments=vars(args))
    if rank == 0:
        save(path, net, learned, ema, opt, scales, step=steps, minutes=minutes, seed=args.seed, arguments=vars(args))
    say(f'done: step {steps}')
    if world > 1:
        distributed.destroy_process_group()


if __name__ == '__main__':
    main()
