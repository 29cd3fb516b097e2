# SPDX-License-Identifier: LGPL-2.1-or-later
"""The integer codec of docs/bitstream.md, whole pictures at once, to measure a model file without the C program.

Not an implementation of the stream: bits are −log2 of the table entries. Floats carry integers or single operations,
so results are the exact ones. q4 is the quantizer in quarters: 0 (finest) … 252.
"""
import json

import numpy as np
import torch
import torch.nn.functional as F

import data
from model import CHOICES, ERROR_WORTH
from trellis import Trellis

PAIRS = (0, 1), (0, 2), (1, -1), (1, 0), (1, 1), (2, 0)         # of the filter: (row, column) of one place, its partner is opposite
LIMITS = 192, 768, 3072                                         # in 1/64 sample
ACTIVITY = 512, 1024, 2304, 5120
CLASSES, WEIGHTS = 120, len(PAIRS) * len(LIMITS)
HEADERS = 40            # bytes of a picture beside its symbols, about: sequence header, frame header, the ends of the coder's lanes


def rnd(x):
    return x.clamp(-2.0 ** 21, 2.0 ** 21).round()


def to8(x):
    return rnd(x).clamp(-127, 127)


def to16(x):
    return rnd(x).clamp(-32768, 32767)


def windows(x):
    """(H, W, C) -> (windows, 64, C)"""
    h, w, c = x.shape
    return x.reshape(h // 8, 8, w // 8, 8, c).transpose(1, 2).reshape(-1, 64, c)


def grid(x, h, w):
    """the inverse of windows()"""
    return x.reshape(h // 8, w // 8, 8, 8, -1).transpose(1, 2).reshape(h, w, -1)


def displaced(x):
    """(H, W, C) -> the windows displaced by (4, 4), zero where there is no cell"""
    return windows(F.pad(x, (0, 0, 4, 4, 4, 4)))


def replaced(x, h, w):
    """the inverse of displaced()"""
    return grid(x, h + 8, w + 8)[4:-4, 4:-4]


# section 6.4
def pair(v, row, column):
    """v (H, W) -> its values at that place from each, and at the opposite place; beyond the edges the nearest inside stands in"""
    rows, columns = (torch.arange(n) for n in v.shape)
    at = lambda r, c: v[(rows + r).clamp(0, len(rows) - 1)][:, (columns + c).clamp(0, len(columns) - 1)]
    return at(row, column), at(-row, -column)


def classes(luma):
    """luma (H, W), int32, in 1/64 sample -> class 0…119 of each block of 4×4: (H/4, W/4), int64"""
    rough = []
    for place in (1, 0), (0, 1), (1, 1), (1, -1):
        a, b = pair(luma, *place)
        rough.append(((2 * luma - a - b).abs() >> 4).unflatten(0, (-1, 4)).unflatten(2, (-1, 4)).sum((1, 3)))
    rough = torch.stack(rough)
    i = torch.where(rough == rough.amin(0), torch.arange(4)[:, None, None], 4).amin(0)
    least, across = (rough.gather(0, at[None])[0] for at in (i, i ^ 1))
    side = torch.where(i < 2, rough[3] < rough[2], rough[1] < rough[0]).long()
    strength = (across > 2 * least).long() + (across > 4 * least)
    return ((2 * i + side) * 3 + strength) * 5 + torch.bucketize(rough[0] + rough[1], torch.tensor(ACTIVITY), right=True)


def features(v):
    """v (H, W), int32, in 1/64 sample: the f of each pair and limit in turn, (H, W), int32"""
    for place in PAIRS:
        a, b = pair(v, *place)
        for limit in LIMITS:
            yield (a - v).clamp(-limit, limit) + (b - v).clamp(-limit, limit)


class IntegerCodec:
    """Tensors are (positions…, channels), float32 holding integers, or float64 where sums pass 2^24."""

    def __init__(self, tensors):
        self.graph = json.loads(bytes(tensors['graph']))
        kind = lambda v: np.float32 if v.dtype == np.float32 else np.int64
        self.t = {name: torch.from_numpy(v.astype(kind(v))) for name, v in tensors.items()}
        self.w = {name: v.float() for name, v in self.t.items() if 'weight' in name}
        e, self.radius, self.raw = self.graph['entropy'], self.t['entropy.radius'], self.t['entropy.raw']
        self.levels, self.base, self.step, self.skip = e['levels'], e['base'], e['step'], e['skip']
        self.trellis = Trellis(self.radius, self.raw, tensors['entropy.frequency'])
        self.first, self.cost = torch.from_numpy(self.trellis.first).view(-1, self.levels), torch.from_numpy(self.trellis.cost).double()

    # section 5
    def interpolate(self, name, q4):
        """The table (anchors, C) between its anchors -> (C), integers"""
        table = self.t[name]
        position = (len(table) - 1) * q4
        i = min(position // 252, len(table) - 2)
        f = position - 252 * i
        return (table[i] * (252 - f) + table[i + 1] * f + 126) // 252

    def exp2(self, v):
        """v, of any shape: integers, in 1/1024 octave -> 2^(v/1024), float32"""
        return (self.t['exp2'][v & 1023].double() * torch.exp2((v >> 10).double() - 23)).float()

    # section 6
    def sums(self, name, x, bias=None, wide=False):
        """Exact sums of the linear layer `name`, rounded to float32: x (…, K), integers -> (…, N). x has 8 bits; with `wide`, 15. `bias` (…, N)
        in place of the layer's own."""
        weight, low = self.w[name + '.weight'], self.w.get(name + '.weight_low')
        bias = self.t.get(name + '.bias') if bias is None else bias
        if wide:
            x = x.clamp(-16319, 16319)
            high = torch.floor((x + 64) / 128)
            acc = 128 * F.linear(high, weight).double() + F.linear(x - 128 * high, weight).double()
            if low is not None:
                acc += F.linear(high, low).double()
        elif low is not None:
            acc = 128 * F.linear(x, weight).double() + F.linear(x, low).double()
        else:
            acc = F.linear(x, weight)
        return (acc if bias is None else acc + bias).float()

    def scaled(self, name, x, **how):
        """The sums in units of the layer's output: (…, N), not rounded yet"""
        return self.sums(name, x, **how) * self.t[name + '.scale']

    def relu8(self, name, x):
        """Linear layer and ReLU -> 0…254, stored 127 below: −127…127"""
        return (rnd(self.scaled(name, x)) - 127).clamp(-127, 127)

    def narrow(self, x, name):
        """x, 16 bits -> 8 bits: x / 2^shift, rounded; `name` is the tensor of the shift"""
        return torch.floor((x + 2 ** int(self.t[name]) // 2) / 2 ** int(self.t[name])).clamp(-127, 127)

    def block(self, name, x):
        """x (rows, columns, C)"""
        a = self.narrow(x, name + '.shift').permute(2, 0, 1)[None]
        weight = self.w[name + '.depthwise.weight'].T.reshape(-1, 1, 3, 3)
        acc = F.conv2d(a, weight, self.t[name + '.depthwise.bias'].float(), padding=1, groups=len(weight))
        hidden = to8(acc[0].permute(1, 2, 0) * self.t[name + '.depthwise.scale'])
        u, g = to8(self.scaled(name + '.expand', hidden)).chunk(2, -1)
        v = torch.floor((u * (g + 127) + 64) / 128).clamp(-127, 127)
        return (x + to16(self.scaled(name + '.project', v))).clamp(-32768, 32767)

    @staticmethod
    def unshuffle(x):
        return F.pixel_unshuffle(x.permute(2, 0, 1)[None], 2)[0].permute(1, 2, 0)

    @staticmethod
    def shuffle(x):
        return F.pixel_shuffle(x.permute(2, 0, 1)[None], 2)[0].permute(1, 2, 0)

    def encode(self, planes, q4):
        """planes of sizes that are multiples of 16 -> latents before rounding (TH, TW, L)"""
        real = data.patches(*(torch.from_numpy(np.array(c, np.float32))[None] for c in planes))[0].permute(1, 2, 0)
        p = (real - 128).clamp_min(-127)
        x = to16(self.scaled('analysis.in', p, bias=self.interpolate('analysis.in.bias', q4)))
        for i in range(self.graph['analysis']['blocks8']):
            x = self.block(f'analysis.block8.{i}', x)
        x = to16(self.scaled('analysis.down', self.unshuffle(self.narrow(x, 'analysis.down.shift'))))
        for i in range(self.graph['analysis']['blocks16']):
            x = self.block(f'analysis.block16.{i}', x)
        t = rnd(self.scaled('analysis.out', x, wide=True))
        s = rnd(self.scaled('analysis.shortcut', self.unshuffle(p)))
        return ((s + t) * self.exp2(self.interpolate('gain', q4))).clamp(-16383, 16383)

    def choose(self, real, q4):
        """Values as the encoder chooses them, nearly (see Codec.choose): real (TH, TW, L) -> y, and the quantizer of each, int64. All are one chain,
        in raster order. The prior predicts once more from y, and entries() goes by that, as a decoder does."""
        y, centroid = rnd(real), self.t['entropy.centroid'].numpy() / 128
        for _ in range(CHOICES):
            y, quantizer, _ = self.trellis.choose(real, *self.prior(y, q4), centroid, ERROR_WORTH)
        return y, quantizer.long()

    def decode(self, y, centroid, q4):
        """-> planes"""
        return self.samples(self.values(y, centroid, q4), q4)

    def values(self, y, centroid, q4):
        """-> planes of samples in 1/64 before the filter, int32"""
        d = rnd((128 * y + centroid) * (self.exp2(self.interpolate('igain', q4)) / 128)).clamp(-16319, 16319)
        x = to16(self.scaled('synthesis.in', d, bias=self.interpolate('synthesis.in.bias', q4), wide=True))
        for i in range(self.graph['synthesis']['blocks16']):
            x = self.block(f'synthesis.block16.{i}', x)
        x = self.shuffle(to16(self.scaled('synthesis.up', self.narrow(x, 'synthesis.up.shift'))))
        for i in range(self.graph['synthesis']['blocks8']):
            x = self.block(f'synthesis.block8.{i}', x)
        t = rnd(self.scaled('synthesis.out', x, wide=True))
        s = self.shuffle(rnd(self.scaled('synthesis.shortcut', d, wide=True)))
        out = (s + t + 128 * 64).clamp(0, 255 * 64).permute(2, 0, 1)[None]
        join = lambda c, n: F.pixel_shuffle(c, n)[0, 0].int()
        return join(out[:, :64], 8), join(out[:, 64:80], 4), join(out[:, 80:], 4)

    def samples(self, values, q4):
        """Planes of values() -> planes, filtered if the model has the filter"""
        if 'filter' in self.graph:
            block, filtered = classes(values[0]), []
            for name, v, n in zip(('luma', 'u', 'v'), values, (4, 2, 2)):
                weights = self.interpolate('filter.' + name, q4).int().view(WEIGHTS, CLASSES)
                at = block.repeat_interleave(n, 0).repeat_interleave(n, 1)
                filtered.append(v + sum((f * w[at] + 16384) >> 15 for f, w in zip(features(v), weights)))
            values = filtered
        return tuple(((v + 32) >> 6).clamp(0, 255).numpy().astype(np.uint8) for v in values)

    # section 6.3
    def norm(self, name, x):
        """Layer norm over the last dimension: x (…, d), 16 bits -> the normal form times the tensor `name`, rounded"""
        d = x.shape[-1]
        r = x.long()
        s1, s2 = r.sum(-1, keepdim=True), (r * r).sum(-1, keepdim=True)
        v = (d * s2 - s1 * s1).float()
        root = torch.from_numpy(np.sqrt(v.numpy()))                 # torch's is off by one bit at times
        t = torch.where(v > 0, 1.0 / root, torch.zeros(()))
        return rnd((d * r - s1).float() * t * self.t[name])

    def attention(self, name, x, seen, rel):
        """x (windows, 64, d), seen (windows or 1, 64, 64): the key may be read"""
        heads = self.graph['prior']['heads']
        qkv = to8(self.scaled(name + '.qkv', self.norm(name + '.norm1', x).clamp(-127, 127)))
        q, k, v = (r.reshape(len(x), 64, heads, -1).transpose(1, 2) for r in qkv.chunk(3, -1))
        l = rnd(q @ k.transpose(-1, -2) * self.t[name + '.logit'][:, None, None]) + self.t[name + '.rel'][:, rel]
        l = l.masked_fill(~seen[:, None], -1e9)
        e = F.pad(self.t['prior.exp'].float(), (0, 1))[(l.amax(-1, keepdim=True) - l).clamp(max=256).long()]
        a = (e @ v) * (1.0 / e.sum(-1, keepdim=True))
        return to8(a.transpose(1, 2).reshape(x.shape) * self.t[name + '.context'])

    def prior(self, y, q4):
        """y (TH, TW, L) -> mean (1/16), level, both like y"""
        if self.graph['prior'].get('masking') != 'input':
            return self.prior_pass(y, q4)
        h, w, _ = y.shape
        group = self.group().view(8, 8).repeat(-(-h // 8), -(-w // 8))[:h, :w, None]
        mean, level = self.prior_pass(y, q4, 0)
        for known in range(1, len(self.graph['prior']['groups'])):
            pass_mean, pass_level = self.prior_pass(y, q4, known)
            mean, level = torch.where(group == known, pass_mean, mean), torch.where(group == known, pass_level, level)
        return mean, level

    def group(self):
        """of each cell: (64)"""
        sizes, group = self.graph['prior']['groups'], torch.empty(64, dtype=torch.long)
        group[self.t['prior.order']] = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
        return group

    def prior_pass(self, y, q4, known=None):
        """`known`, if attention is not masked: so many groups are."""
        p, (h, w, n) = self.graph['prior'], y.shape
        gh, gw = -(-h // 8) * 8, -(-w // 8) * 8
        y = F.pad(y, (0, 0, 0, gw - w, 0, gh - h))
        lsize = self.interpolate('prior.size', q4)
        size = self.exp2(lsize)
        t = to8(y * self.exp2(4096 - lsize))
        log = self.t['prior.log'][t.abs().long()].float()
        source, group = self.t['prior.source'], self.group()
        enters = source >= 0 if known is None else group < known

        e = to16(F.linear(windows(torch.cat([t, log], -1)), self.w['prior.embed.weight']) * self.t['prior.embed.scale'])
        e = torch.where(enters[:, None], e[:, source.clamp(min=0)], self.t.get('prior.mask', torch.zeros(())).float())
        x = (e + self.t['prior.slot'].float() + self.interpolate('prior.q', q4).float()).clamp(-32768, 32767)

        row, column = torch.arange(64) // 8, torch.arange(64) % 8
        rel = (row[:, None] - row + 7) * 15 + column[:, None] - column + 7
        own = ((group[None, :] <= group[:, None]) | (known is not None))[None]
        there = displaced(torch.ones(gh, gw, 1))[..., 0] > 0
        groups = displaced(group.view(8, 8, 1).repeat(gh // 8, gw // 8, 1))[..., 0]
        shifted = ((groups[:, None, :] <= groups[:, :, None]) | (known is not None)) & there[:, None, :] | ~there[:, :, None]
        for i, kind in enumerate(p['layers']):
            name = f'prior.layer.{i}'
            if kind == 'window':
                o = self.attention(name, x, own, rel)
            else:
                o = windows(replaced(self.attention(name, displaced(grid(x, gh, gw)), shifted, rel), gh, gw))
            x = (x + to16(self.scaled(name + '.out', o))).clamp(-32768, 32767)
            hidden = self.relu8(name + '.fc1', self.norm(name + '.norm2', x).clamp(-127, 127))
            x = (x + to16(self.scaled(name + '.fc2', hidden))).clamp(-32768, 32767)

        state, at, means, levels = self.norm('prior.norm', x).clamp(-32768, 32767), 0, [], []
        for k, n in enumerate(p['parts']):
            if k:
                name, seen = f'prior.step.{k}', slice(at - p['parts'][k - 1], at)
                known = windows(torch.cat([t[..., seen], log[..., seen]], -1))
                hidden = self.relu8(name + '.fc1', torch.cat([self.narrow(state, 'prior.shift'), known], -1))
                state = (state + to16(self.scaled(name + '.fc2', hidden))).clamp(-32768, 32767)
            name = f'prior.head.{k}'
            acc = self.sums(name, self.narrow(state, 'prior.shift'), bias=self.t[name + '.bias'][group])
            scale = self.t[name + '.scale']
            means.append(rnd(acc[..., :n] * (scale[:n] * size[at:at + n])).clamp(-262128, 262128))
            v = rnd(acc[..., n:] * scale[n:]).clamp(-p['limit'], p['limit']).long() + lsize[at:at + n]
            levels.append(((v - self.base) // self.step).clamp(0, self.levels - 1))
            at += n
        crop = lambda x: grid(torch.cat(x, -1), gh, gw)[:h, :w].long()
        return crop(means), crop(levels)

    # section 7
    def entries(self, y, quantizer, mean, level):
        """-> of every latent: the number of its entry among those of all tables, and by how much an escape leaves the table, else 0. Means that moved
        since choose() may have left an even y of quantizer 1 that is not the one nearest to them any more: the place next to it, towards them,
        stands in."""
        half, k, r = mean >> 1, self.raw[level], self.radius[level]
        centre = (half + 8) >> 4
        distance = y.long() - 2 * centre
        i = centre + (distance + quantizer * distance.sign()).div(2, rounding_mode='trunc')
        p = (half + 8) >> k
        v = (i >> k) - (p >> 4)
        beyond = (v.abs() - r).clamp(min=0)
        table = self.first[quantizer, level] + (p & 15) * (2 * r + 2)
        return table + torch.where(beyond > 0, 2 * r + 1, v + r), beyond

    def centroids(self, y, quantizer, mean, level):
        """In 1/128, what is added to every latent for the synthesis."""
        entry, _ = self.entries(y, quantizer, mean, level)
        return torch.where(level < self.skip, 0.0, self.t['entropy.centroid'][entry].float())

    def price(self, y, quantizer, mean, level):
        """Bits of every latent."""
        entry, beyond = self.entries(y, quantizer, mean, level)
        escape = torch.where(beyond > 0, 6 + beyond.clamp(min=1).double().log2().floor(), 0.0)
        return torch.where(level < self.skip, (y != 0) * 26.0, self.cost[entry] + self.raw[level] + escape)

    def picture_bits(self, y, quantizer, mean, level):
        """All (TH, TW, L) -> bits of a picture, headers included"""
        return self.price(y, quantizer, mean, level).sum().item() + 8 * HEADERS
