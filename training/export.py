# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checkpoint -> model file (docs/model-format.md). This file alone knows both sides.

    python3 export.py CHECKPOINT MODEL.m2tw [--train FOLDER [--structured FOLDER]]

Every linear layer y = W x + b becomes integers: with `columns` the real value of one step of each input and `out`
that of each output, W·columns is rounded to 8 bits with one step per row, the bias is rounded in the unit of the sum,
and scale = step / out. Scales come from the checkpoint (quantisation-aware training) or are measured on the training
pictures. Frequencies of the entropy coder come from the checkpoint, too (entropy.py), or are those of Gaussians; so does
the filter (filter.py), or there is none. Centroids are among the weights.
"""
import argparse
import json
import math
import os

import numpy as np
import torch

import data
import m2tw
import quantise
import tables
from model import CHROMA, STEP, Block, Codec, Config, coding_order
from tables import BASE, LEVELS, OCTAVE, SKIP, STEP_LEVEL

PIXEL = 1 / (255 * 64)               # outputs of both transforms are in 1/64 grey level
LATENT = 1 / (255 * 8)               # synthesis reads 1/8 grey level
NAT = 32                             # logits are in 1/32 nat


def numpy64(x):
    return x.detach().double().numpy() if torch.is_tensor(x) else np.asarray(x, np.float64)


def octaves(nats):
    return np.rint(numpy64(nats) * (OCTAVE / math.log(2))).astype(np.int32)


class Writer:
    """Collects the tensors of a model file."""

    def __init__(self):
        self.tensors = {}

    def put(self, name, value, dtype):
        """value of any shape, real or integer -> a tensor of the NumPy type `dtype`: integers rounded, and no value out of their range; floats 0…2^24."""
        limits = np.iinfo(dtype) if dtype != 'float32' else None
        value = np.asarray(value)
        if limits is not None:
            value = np.rint(value)
            assert value.min() >= limits.min and value.max() <= limits.max, name
        else:
            assert np.isfinite(value).all() and value.min() >= 0 and value.max() <= 2 ** 24, name
        self.tensors[name] = np.ascontiguousarray(value.astype(dtype))

    def linear(self, name, weight, columns, out, bias=None, wide_input=False, low=False):
        """weight (N, K) real; columns (K) and out (N): real value of one integer; bias (…, N) real or None."""
        real = numpy64(weight) * numpy64(columns)
        out = np.broadcast_to(numpy64(out), len(real))
        step = np.maximum(np.abs(real).max(1), 1e-12) / (127 * 128 + 63 if low else 127)
        integer = np.rint(real / step[:, None])
        total = np.abs(integer).sum(1) * (16384 if wide_input else 127)
        if low:
            high = np.floor((integer + 64) / 128)
            self.put(name + '.weight', high, 'int8')
            self.put(name + '.weight_low', integer - 128 * high, 'int8')
            if wide_input:                                      # the sum leaves out the product of the low parts
                step, total = step * 128, total / 128
        else:
            self.put(name + '.weight', integer, 'int8')
        self.put(name + '.scale', step / out, 'float32')
        if bias is not None:
            bias = np.rint(numpy64(bias) / step)
            self.put(name + '.bias', bias, 'int32')
            total = total + np.abs(bias).reshape(-1, len(real)).max(0)
        assert total.max() < (2 ** 31 if wide_input or low else 2 ** 24), f'{name}: the sum may overflow'
        return integer, step

    def relu_linear(self, name, layer, columns, out):
        """A linear layer behind relu8, whose stored value is 127 below the true one."""
        integer, step = self.linear(name, layer.weight, columns, out, layer.bias)
        self.tensors[name + '.bias'] += (127 * integer.sum(1)).astype(np.int32)
        assert (np.abs(integer).sum(1) * 127 + np.abs(self.tensors[name + '.bias'])).max() < 2 ** 24, name

    def block(self, name, block: Block, scales, stream):
        """All tensors of a block of C channels. stream (C): real value of one integer of what goes in and what comes out."""
        hidden, gate = scales[f'{name}.hidden'], scales[f'{name}.gate']
        self.put(f'{name}.shift', [scales[f'{name}.narrow.shift']], 'int32')
        real = numpy64(block.depthwise.weight).reshape(-1, 9) * numpy64(scales[f'{name}.narrow'])[:, None]
        step = np.maximum(np.abs(real).max(1), 1e-12) / 127
        self.put(f'{name}.depthwise.weight', (real / step[:, None]).T, 'int8')
        self.put(f'{name}.depthwise.scale', step / numpy64(hidden), 'float32')
        self.put(f'{name}.depthwise.bias', numpy64(block.depthwise.bias) / step, 'int32')
        g = np.full(len(hidden), 6 / 254)                       # g + 127 = 254·hardsigmoid
        out = np.concatenate([numpy64(scales[f'{name}.u']), g])
        self.linear(f'{name}.expand', block.expand.weight, hidden, out, block.expand.bias)
        self.linear(f'{name}.project', block.project.weight, gate, stream, block.project.bias)


def write_transforms(w: Writer, net: Codec, scales):
    """Analysis and synthesis. Integer patches are sample − 128: real = (integer + 0.5) / 255 · chroma."""
    a, s, columns = net.analysis, net.synthesis, quantise.columns(net, scales)
    r8, r16 = scales['analysis.stream.block8'], scales['analysis.stream.block16']
    patch = columns['analysis.in']
    entry = getattr(a, 'in')
    w.linear('analysis.in', entry.weight, patch, r8, entry.bias + a.bias_q + 0.5 * entry.weight @ patch)
    for i, block in enumerate(a.block8):
        w.block(f'analysis.block8.{i}', block, scales, r8)
    w.put('analysis.down.shift', [scales['analysis.narrow.shift']], 'int32')
    w.linear('analysis.down', a.down.weight, columns['analysis.down'], r16, a.down.bias)
    for i, block in enumerate(a.block16):
        w.block(f'analysis.block16.{i}', block, scales, r16)
    w.linear('analysis.out', a.out.weight, columns['analysis.out'], PIXEL, a.out.bias, wide_input=True)
    token = patch.repeat_interleave(4)
    w.linear('analysis.shortcut', a.shortcut.weight, token, PIXEL, 0.5 * a.shortcut.weight @ token, low=True)

    r16, r8 = scales['synthesis.stream.block16'], scales['synthesis.stream.block8']
    entry = getattr(s, 'in')
    w.linear('synthesis.in', entry.weight, columns['synthesis.in'], r16, entry.bias + s.bias_q, wide_input=True)
    for i, block in enumerate(s.block16):
        w.block(f'synthesis.block16.{i}', block, scales, r16)
    w.put('synthesis.up.shift', [scales['synthesis.narrow.shift']], 'int32')
    w.linear('synthesis.up', s.up.weight, columns['synthesis.up'], r8.repeat_interleave(4), s.up.bias)
    for i, block in enumerate(s.block8):
        w.block(f'synthesis.block8.{i}', block, scales, r8)
    grey = torch.full((96,), PIXEL)
    grey[64:] *= CHROMA
    w.linear('synthesis.out', s.out.weight, columns['synthesis.out'], grey, s.out.bias, wide_input=True)
    grey = grey.repeat_interleave(4)                            # sample − 128 = 255·real − 0.5: 32 of 64ths
    w.linear('synthesis.shortcut', s.shortcut.weight, columns['synthesis.in'], grey, s.shortcut.bias - 32 * grey,
             wide_input=True, low=True)


def write_prior(w: Writer, net: Codec, scales):
    """The prior. One scale for its stream, because norms sum over channels."""
    p, columns, stream = net.prior, quantise.columns(net, scales), float(scales['prior.stream'])
    w.put('prior.order', coding_order(net.config.order), 'uint8')
    w.put('prior.source', p.source.numpy(), 'int8')
    w.put('prior.exp', 255 * np.exp(-np.arange(256) / NAT), 'uint8')
    w.put('prior.log', np.log1p(np.arange(128) * quantise.FEATURE) / quantise.LOG_FEATURE, 'int8')
    w.put('prior.size', octaves(p.size), 'int32')
    w.linear('prior.embed', p.embed.weight, columns['prior.embed'], stream)
    if p.one_pass:
        entering = torch.where((p.source >= 0)[:, None], p.embed.bias + p.source_cell[p.source.clamp(min=0)], p.mask)
    else:
        entering = p.embed.bias
        w.put('prior.mask', numpy64(p.mask - p.embed.bias) / stream, 'int16')
    w.put('prior.slot', numpy64(entering + p.slot) / stream, 'int16')
    w.put('prior.q', numpy64(p.q) / stream, 'int32')
    for i, layer in enumerate(p.layer):
        name = f'prior.layer.{i}'
        for x, norm, linear in (('norm1', layer.norm1, 'qkv'), ('norm2', layer.norm2, 'fc1')):
            w.put(f'{name}.{x}', 1 / numpy64(scales[f'{name}.{x}.tap']), 'float32')
            following = getattr(layer, linear)
            bias = following.bias + following.weight @ norm.bias
            outs = [scales[f'{name}.{t}'] for t in (('query', 'key', 'value') if linear == 'qkv' else ('relu',))]
            w.linear(f'{name}.{linear}', following.weight, columns[f'{name}.{linear}'], torch.cat(outs), bias)
        product = numpy64(scales[f'{name}.query'] * scales[f'{name}.key']).reshape(layer.heads, -1)[:, 0]
        w.put(f'{name}.logit', product * NAT / math.sqrt(net.config.width // layer.heads), 'float32')
        w.put(f'{name}.rel', numpy64(layer.rel) * NAT, 'int16')
        w.put(f'{name}.context', numpy64(scales[f'{name}.value'] / scales[f'{name}.context']), 'float32')
        w.linear(f'{name}.out', layer.out.weight, columns[f'{name}.out'], stream, layer.out.bias)
        w.relu_linear(f'{name}.fc2', layer.fc2, columns[f'{name}.fc2'], stream)

    # H is stored without the norm's bias: real H = step · integer + beta
    narrow = scales['prior.narrow']
    step = narrow / 2 ** quantise.SHIFT
    gamma, beta = p.norm.weight, p.norm.bias
    assert (gamma > 0.05).all()
    w.put('prior.norm', numpy64(gamma / step), 'float32')
    w.put('prior.shift', [quantise.SHIFT], 'int32')
    for k, n in enumerate(p.parts):
        if k:
            fc1, fc2, name = p.step[str(k)]['fc1'], p.step[str(k)]['fc2'], f'prior.step.{k}'
            bias = fc1.bias + fc1.weight[:, :len(beta)] @ beta
            w.linear(f'{name}.fc1', fc1.weight, columns[f'{name}.fc1'], scales[f'{name}.relu'], bias)
            w.relu_linear(f'{name}.fc2', fc2, columns[f'{name}.fc2'], step)
        head, at = p.head[k], sum(p.parts[:k])
        both = lambda t: torch.cat([t[:, at:at + n], t[:, net.config.latents + at:][:, :n]], 1)
        out = np.concatenate([np.full(n, 1 / 16), np.full(n, math.log(2) / OCTAVE)])
        bias = head.bias + head.weight @ beta + both(p.group_bias)
        w.linear(f'prior.head.{k}', head.weight, columns[f'prior.head.{k}'], out, bias)


def graph(config: Config, name, filtered=False):
    """-> the tensor `graph` as a dictionary."""
    analysis, synthesis = (dict(width8=config.width8, width16=config.width16, blocks8=config.blocks8[side], blocks16=config.blocks16[side])
                           for side in range(2))
    return {'format': 1, 'name': name, 'anchors': config.anchors, 'latents': config.latents,
            'analysis': analysis, 'synthesis': synthesis,
            'prior': {'width': config.width, 'heads': config.heads, 'mlp': config.mlp, 'step': config.step,
                      'parts': list(config.parts), 'groups': list(config.groups),
                      'layers': [('window', 'shifted')[i % 2] for i in range(config.layers)], 'limit': 7386,
                      **({'masking': config.masking} if config.masking != 'input+attention' else {})},
            'entropy': {'levels': LEVELS, 'base': BASE, 'step': STEP_LEVEL, 'skip': SKIP},
            **({'filter': 'directional'} if filtered else {})}


@torch.no_grad()
def tensors_of(net: Codec, scales, name='standard', frequency=None, weights=None):
    """All tensors of the model file. `frequency`: what entropy.py counted, instead of Gaussians. `weights`: of filter.py, (3, A, 2160)."""
    w = Writer()
    text = json.dumps(graph(net.config, name, weights is not None), separators=(',', ':')).encode()
    w.put('graph', np.frombuffer(text, np.uint8), 'uint8')
    w.put('exp2', np.exp2(23 + np.arange(1024) / 1024), 'int32')
    w.put('gain', octaves(net.gain + math.log(STEP * PIXEL)), 'int32')
    w.put('igain', octaves(net.igain - math.log(STEP * LATENT)), 'int32')
    write_transforms(w, net, scales)
    write_prior(w, net, scales)
    radius, raw, gaussian = tables.gaussian()
    w.put('entropy.radius', radius, 'int32')
    w.put('entropy.raw', raw, 'int32')
    w.put('entropy.frequency', gaussian if frequency is None else frequency, 'uint16')
    w.put('entropy.centroid', np.clip(128 * tables.Spread(radius, raw)(net.centroid.numpy()), -127, 127), 'int8')
    for plane, table in zip(('luma', 'u', 'v'), weights if weights is not None else ()):
        w.put('filter.' + plane, table, 'int16')
    return w.tensors


def load(path):
    """-> network with the averaged weights of a checkpoint, its scales, its frequencies, the weights of its filter, or None"""
    checkpoint = torch.load(path, map_location='cpu', weights_only=False)
    net = Codec(Config(**checkpoint['config']))
    net.load_state_dict({k: v.float() for k, v in checkpoint['ema'].items()})
    return net.eval(), checkpoint.get('scales'), checkpoint.get('frequency'), checkpoint.get('filter')


def write_checkpoint(path, **items):
    """Appears under its name complete or not at all."""
    torch.save(items, path + '.part')
    os.replace(path + '.part', path)


def amend(path, **items):
    """Puts items into a checkpoint."""
    write_checkpoint(path, **{**torch.load(path, map_location='cpu', weights_only=False), **items})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkpoint')
    parser.add_argument('model')
    parser.add_argument('--train', help='folder of training pictures, to measure the scales on if the checkpoint has none')
    parser.add_argument('--structured', help='folder of pictures drawn by structured.py, for a quarter of what is measured')
    parser.add_argument('--name', default='standard', help='of the model (default: %(default)s)')
    parser.add_argument('--note', action='append', default=[], metavar='KEY=TEXT', help='metadata of the file')
    args = parser.parse_args()
    torch.set_num_threads(1)
    net, scales, frequency, weights = load(args.checkpoint)
    if scales is None:
        if not args.train:
            parser.error(f'{args.checkpoint} has no scales: give --train, to measure them')
        scales = quantise.calibrate(net, data.load_pictures(args.train), data.load_pictures(args.structured) if args.structured else [])
    tensors = tensors_of(net, scales, args.name, frequency, weights)
    print('identity', m2tw.write_file(args.model, tensors, dict(note.split('=', 1) for note in args.note)))


if __name__ == '__main__':
    main()
