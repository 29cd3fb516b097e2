# SPDX-License-Identifier: LGPL-2.1-or-later
"""The codec as a float network: one module per box, tensors named as in docs/model-format.md.

    patches ── Analysis ── · gain ── round ──┬── + centroid ── · igain ── Synthesis ── patches
                                             └── Prior ── mean and scale of every latent, which choose the centroid

Shapes: patches (B, 96, H/8, W/8) hold sample/255 − 0.5, chroma times CHROMA; latents (B, L, H/16, W/16). `q` (B) is
a position among the anchors, 0 (finest) … anchors − 1 (coarsest). Tables over anchors are natural logarithms.

Two kinds of marks tell quantise.py what the integer codec stores: a `Tap` is an int8 tensor between layers, a
`Linear` or `Depthwise` has int8 weights. Both do nothing until they are given a `fake` function.
"""
import math
import random
from dataclasses import asdict, dataclass, field

import torch
import torch.nn.functional as F
from torch import nn

import tables
from tables import BASE, LEVELS, OCTAVE, QUANTIZERS, REACH, SIGMA_FLOOR, STEP_LEVEL
from trellis import Trellis

CHROMA = math.sqrt(2 / 3)      # brings chroma patches to the weight the metric gives them
STEP = 255 / 14                # latents are in steps of 14 grey levels at gain 1: short-cut weights stay orthonormal
LOG_SCALE_LIMIT = 5.0          # head output, nats
ERROR_WORTH = 8.0              # bits per squared step, see Codec.choose()
CHOICES = 3                    # rounds of Codec.choose()
WINDOW = 8                     # tokens
GROUPS = (1, 3, 5, 7, 9, 11, 13, 15)


@dataclass
class Config:
    """Sizes, as in the `graph` tensor of a model file."""
    latents: int = 320
    width8: int = 128
    width16: int = 256
    blocks8: tuple = (3, 4)          # analysis, synthesis
    blocks16: tuple = (1, 4)
    width: int = 192
    layers: int = 4
    heads: int = 6
    mlp: int = 320
    step: int = 224
    parts: tuple = (16, 48, 256)
    anchors: int = 6
    groups: tuple = field(default=GROUPS)
    order: str = 'qlds'
    masking: str = 'input+attention'       # or 'input': no mask in attention, so every group takes a pass over all cells (MT)

    def as_dict(self):
        return asdict(self)


class Tap(nn.Module):
    """A tensor the integer codec stores: 8 bits, or 16 where it is called `wide` or `stream`."""
    fake = None

    def forward(self, x):
        return x if self.fake is None else self.fake(x)


class Linear(nn.Module):
    """weight (N, K), bias (N), over the last dimension."""
    fake = None

    def __init__(self, inputs, outputs, gain=1.0, bias=True):
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound) * gain)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x):
        weight = self.weight if self.fake is None else self.fake(self.weight)
        return self.apply_weight(x, weight)

    def apply_weight(self, x, weight):
        return F.linear(x, weight, self.bias)


class Pointwise(Linear):
    """The same over the channels of (B, K, H, W)."""

    def apply_weight(self, x, weight):
        return F.conv2d(x, weight[:, :, None, None], self.bias)


class Depthwise(nn.Module):
    """3×3 filter per channel, zeros outside. weight (C, 1, 3, 3)."""
    fake = None

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, 3, 3).uniform_(-1 / 3, 1 / 3))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        weight = self.weight if self.fake is None else self.fake(self.weight)
        return F.conv2d(x, weight, self.bias, padding=1, groups=x.shape[1])


class Block(nn.Module):
    """x + project(u · hardsigmoid(g)), (u, g) = expand(depthwise(x)): 3C² + 9C MAC per position."""

    def __init__(self, channels):
        super().__init__()
        self.narrow, self.hidden, self.u, self.h, self.gate = (Tap() for _ in range(5))
        self.depthwise = Depthwise(channels)
        self.expand = Pointwise(channels, 2 * channels)
        self.project = Pointwise(channels, channels, gain=0.3)

    def forward(self, x):
        u, g = self.expand(self.hidden(self.depthwise(self.narrow(x)))).chunk(2, 1)
        return x + self.project(self.gate(self.u(u) * self.h(F.hardsigmoid(g))))


def interpolate(table, q):
    """table (anchors, C) at q (B): linear between anchors -> (B, C)."""
    i = q.floor().clamp(max=len(table) - 2).long()
    f = (q - i).unsqueeze(1)
    return table[i] * (1 - f) + table[i + 1] * f


class Analysis(nn.Module):
    """patches, q -> latents before gain, in units where 1 is the range of a sample.

        patches ── in ── block8 … ── narrow ── unshuffle ── down ── block16 … ── out ──(+)
           └────────────────── unshuffle ── shortcut (linear, fp32) ────────────────────┘
    """

    def __init__(self, c: Config):
        super().__init__()
        self.add_module('in', Pointwise(96, c.width8))
        self.bias_q = nn.Parameter(torch.zeros(c.anchors, c.width8))
        self.block8 = nn.ModuleList(Block(c.width8) for _ in range(c.blocks8[0]))
        self.narrow = Tap()
        self.down = Pointwise(4 * c.width8, c.width16)
        self.block16 = nn.ModuleList(Block(c.width16) for _ in range(c.blocks16[0]))
        self.wide = Tap()
        self.out = Pointwise(c.width16, c.latents, gain=0.0)
        self.shortcut = Pointwise(384, c.latents, bias=False)

    def forward(self, patches, q):
        x = getattr(self, 'in')(patches) + interpolate(self.bias_q, q)[:, :, None, None]
        for block in self.block8:
            x = block(x)
        x = self.down(F.pixel_unshuffle(self.narrow(x), 2))
        for block in self.block16:
            x = block(x)
        out = self.out(self.wide(x))
        with torch.autocast(patches.device.type, enabled=False):
            return self.shortcut(F.pixel_unshuffle(patches, 2)) + out.float()


class Synthesis(nn.Module):
    """latents after the inverse gain, q -> patches; the mirror of Analysis."""

    def __init__(self, c: Config):
        super().__init__()
        self.add_module('in', Pointwise(c.latents, c.width16))
        self.bias_q = nn.Parameter(torch.zeros(c.anchors, c.width16))
        self.block16 = nn.ModuleList(Block(c.width16) for _ in range(c.blocks16[1]))
        self.narrow = Tap()
        self.up = Pointwise(c.width16, 4 * c.width8)
        self.block8 = nn.ModuleList(Block(c.width8) for _ in range(c.blocks8[1]))
        self.wide = Tap()
        self.out = Pointwise(c.width8, 96, gain=0.0)
        self.shortcut = Pointwise(c.latents, 384)

    def forward(self, d, q):
        x = getattr(self, 'in')(d) + interpolate(self.bias_q, q)[:, :, None, None]
        for block in self.block16:
            x = block(x)
        x = F.pixel_shuffle(self.up(self.narrow(x)), 2)
        for block in self.block8:
            x = block(x)
        out = self.out(self.wide(x))
        with torch.autocast(d.device.type, enabled=False):
            return F.pixel_shuffle(self.shortcut(d.float()), 2) + out.float()


def coding_order(name='qlds'):
    """Order of the 64 cells of a window: `qlds` is the R2 low-discrepancy order frozen in docs/bitstream.md."""
    if name == 'raster':
        return list(range(WINDOW * WINDOW))
    if name == 'random':
        return random.Random(1).sample(range(WINDOW * WINDOW), WINDOW * WINDOW)
    assert name == 'qlds', name
    g = 1.32471795724474602596
    order, k = [], 0
    while len(order) < WINDOW * WINDOW:
        cell = int(((0.5 + k / g) % 1) * WINDOW) * WINDOW + int(((0.5 + k / g / g) % 1) * WINDOW)
        if cell not in order:
            order.append(cell)
        k += 1
    return order


def cell_tables(groups, order):
    """(group of each cell, cell of the group before whose latents enter at each cell or −1)."""
    group, source = [0] * 64, [-1] * 64
    before, start = [], 0
    for g, size in enumerate(groups):
        cells = order[start:start + size]
        free = list(cells)
        for s in before:
            near = min(free, key=lambda c: (c // 8 - s // 8) ** 2 + (c % 8 - s % 8) ** 2)
            free.remove(near)
            source[near] = s
        for cell in cells:
            group[cell] = g
        before, start = cells, start + size
    return torch.tensor(group), torch.tensor(source)


class Norm(nn.Module):
    """Layer norm. The tap sits before the affine part, which the integer codec folds into what follows."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.stream, self.tap = Tap(), Tap()

    def forward(self, x):
        x = self.tap(F.layer_norm(self.stream(x), x.shape[-1:]))
        return x * self.weight + self.bias


class Layer(nn.Module):
    """Pre-norm transformer layer on windows: rows (N, 64, d), mask (1 or N, 1, 64, 64) added to the logits."""

    def __init__(self, width, heads, mlp):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = Norm(width), Norm(width)
        self.qkv = Linear(width, 3 * width)
        self.rel = nn.Parameter(torch.zeros(heads, (2 * WINDOW - 1) ** 2))
        self.out = Linear(width, width, gain=0.3)
        self.fc1, self.fc2 = Linear(width, mlp), Linear(mlp, width, gain=0.3)
        self.query, self.key, self.value, self.context, self.relu = (Tap() for _ in range(5))
        row, column = torch.arange(64) // 8, torch.arange(64) % 8
        index = (row[:, None] - row + 7) * 15 + column[:, None] - column + 7
        self.register_buffer('index', index, persistent=False)

    def forward(self, x, mask):
        n, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).chunk(3, -1)
        split = lambda r: r.view(n, t, self.heads, -1).transpose(1, 2)
        q, k, v = split(self.query(q)), split(self.key(k)), split(self.value(v))
        bias = (self.rel[:, self.index] + mask).to(q.dtype)
        a = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        x = x + self.out(self.context(a.transpose(1, 2).reshape(n, t, d)))
        return x + self.fc2(self.relu(F.relu(self.fc1(self.norm2(x)))))


class Prior(nn.Module):
    """Mean and log-scale of every latent from those of earlier groups: in one pass if attention is masked, too, else in one for each group.

        y/size ── features ── embed ── source cell ── + slot + q ── layers (window, shifted, …) ── norm = H
        part k:  H ── head.k ── mean, scale of part k;  H += step.k(H, features of part k−1)
    """

    def __init__(self, c: Config):
        super().__init__()
        d = c.width
        self.parts, self.groups, self.one_pass = c.parts, len(c.groups), c.masking == 'input+attention'
        self.size = nn.Parameter(torch.zeros(c.anchors, c.latents))        # usual size of each latent, log
        self.embed = Linear(2 * c.latents, d)
        self.mask = nn.Parameter(torch.zeros(d))                           # what enters where source is −1
        self.source_cell = nn.Parameter(torch.randn(64, d) * 0.02)
        self.slot = nn.Parameter(torch.randn(64, d) * 0.02)
        self.q = nn.Parameter(torch.zeros(c.anchors, d))
        self.layer = nn.ModuleList(Layer(d, c.heads, c.mlp) for _ in range(c.layers))
        self.norm = Norm(d)
        self.head = nn.ModuleList(Linear(d, 2 * n, gain=0.1) for n in c.parts)
        self.step = nn.ModuleDict({str(k): nn.ModuleDict(dict(
            fc1=Linear(d + 2 * n, c.step), fc2=Linear(c.step, d, gain=0.1), relu=Tap()))
            for k, n in enumerate(c.parts[:-1], 1)})
        self.group_bias = nn.Parameter(torch.zeros(len(c.groups), 2 * c.latents))
        self.features, self.log_features, self.narrow = Tap(), Tap(), Tap()
        group, source = cell_tables(c.groups, coding_order(c.order))
        source = source if self.one_pass else torch.arange(64)
        self.register_buffer('group', group, persistent=False)
        self.register_buffer('source', source, persistent=False)

    def windows(self, x):
        """(B, H, W, d) -> (B·windows, 64, d)"""
        b, h, w, d = x.shape
        return x.view(b, h // 8, 8, w // 8, 8, d).transpose(2, 3).reshape(-1, 64, d)

    def grid(self, x, b, h, w):
        """the inverse of windows()"""
        return x.view(b, h // 8, w // 8, 8, 8, -1).transpose(2, 3).reshape(b, h, w, -1)

    def masks(self, h, w):
        """Additive masks of the two kinds of layers: earlier and own groups if attention is masked, and for shifted windows the same piece."""
        cells = lambda t: self.windows(t[None, :, :, None]).squeeze(-1)
        group = self.group.view(8, 8).repeat(h // 8, w // 8)
        rows, columns = (torch.arange(h) + 4) // 8, (torch.arange(w) + 4) // 8
        piece = rows[:, None] * (w // 8 + 1) + columns
        shift = lambda t: torch.roll(t, (-4, -4), (0, 1))
        g, p = cells(shift(group)), cells(shift(piece))
        earlier = lambda group: (group[..., None, :] <= group[..., :, None]) | (not self.one_pass)
        additive = lambda seen: torch.where(seen, 0.0, -1e4)
        return additive(earlier(self.group)), additive(earlier(g) & (p[:, None, :] == p[:, :, None]))

    def forward(self, y, q):
        """y (B, L, H, W) integers, H and W multiples of 8 -> mean (in units of y), log of the scale before the floor"""
        if self.one_pass:
            return self.run(y, q)
        group = self.group.view(8, 8).repeat(y.shape[2] // 8, y.shape[3] // 8)
        mean, scale = self.run(y, q, torch.zeros(len(y)))
        for g in range(1, self.groups):
            step = self.run(y, q, torch.full((len(y),), g))
            mean, scale = torch.where(group == g, step[0], mean), torch.where(group == g, step[1], scale)
        return mean, scale

    def run(self, y, q, known=None):
        """One pass; `known` (B), without a mask in attention: how many groups of each picture are."""
        size = interpolate(self.size, q)[:, None, None, :]
        t = self.features(y.permute(0, 2, 3, 1) * (-size).exp())
        log = self.log_features(torch.log1p(t.abs()))
        b, h, w, _ = t.shape

        e = self.embed(self.windows(torch.cat([t, log], -1)))
        enters = self.source >= 0 if known is None else (self.group < known[:, None]).repeat_interleave(h * w // 64, 0)
        e = e + self.source_cell if self.one_pass else e            # else the source is the slot's own cell
        e = torch.where(enters[..., None], e[:, self.source.clamp(min=0)], self.mask) + self.slot
        x = self.grid(e, b, h, w) + interpolate(self.q, q)[:, None, None, :]
        own, shifted = self.masks(h, w)
        for i, layer in enumerate(self.layer):
            if i % 2 == 0:
                x = self.grid(layer(self.windows(x), own), b, h, w)
            else:
                x = torch.roll(x, (-4, -4), (1, 2))
                x = self.grid(layer(self.windows(x), shifted.repeat(b, 1, 1)[:, None]), b, h, w)
                x = torch.roll(x, (4, 4), (1, 2))

        state, shift = self.norm(x) - self.norm.bias, self.norm.bias
        means, scales, at = [], [], 0
        for k, n in enumerate(self.parts):
            if k:
                step, seen = self.step[str(k)], slice(at - self.parts[k - 1], at)
                known = torch.cat([t[..., seen], log[..., seen]], -1).to(state.dtype)
                state = state + step['fc2'](step['relu'](F.relu(step['fc1'](torch.cat([self.narrow(state) + shift, known], -1)))))
            mean, scale = self.head[k](self.narrow(state) + shift).chunk(2, -1)
            means.append(mean)
            scales.append(scale)
            at += n
        bias = self.grid(self.group_bias[self.group].expand(b * (h // 8) * (w // 8), -1, -1), b, h, w)
        mean, scale = (torch.cat(means + scales, -1) + bias).float().chunk(2, -1)
        scale = scale.clamp(-LOG_SCALE_LIMIT, LOG_SCALE_LIMIT) + size
        return (mean * size.exp()).permute(0, 3, 1, 2), scale.permute(0, 3, 1, 2)


class Codec(nn.Module):
    """The whole network. gain and igain (anchors, L) are logarithms. centroid (QUANTIZERS, LEVELS, 16·REACH + 1): where a latent of this quantizer and level
    came to lie so many sixteenths from its mean, the synthesis sees it so much nearer to that."""

    def __init__(self, config: Config = Config()):
        super().__init__()
        self.config = config
        self.centroid = nn.Parameter(torch.zeros(QUANTIZERS, LEVELS, 16 * REACH + 1))
        self.gain = nn.Parameter(torch.zeros(config.anchors, config.latents))
        self.igain = nn.Parameter(torch.zeros(config.anchors, config.latents))
        self.analysis, self.synthesis, self.prior = Analysis(config), Synthesis(config), Prior(config)
        self.filter = None                              # filter.Filter, where training goes through it
        radius, raw, frequency = tables.gaussian()
        self.trellis, self.spread = Trellis(radius, raw, frequency), tables.Spread(radius, raw)

    def encode(self, patches, q):
        """-> latents before rounding"""
        gain = (STEP * interpolate(self.gain, q).exp())[:, :, None, None]
        return (self.analysis(patches, q) * gain).float()

    def decode(self, y, q):
        """y with its centroids"""
        igain = (interpolate(self.igain, q).exp() / STEP)[:, :, None, None]
        x = self.synthesis(y * igain, q)
        return x if self.filter is None else self.filter(x, q)

    @staticmethod
    def integers(mean, log_scale):
        """-> mean in sixteenths, level, as the integer codec has them"""
        level = ((log_scale * (OCTAVE / math.log(2)) - BASE) / STEP_LEVEL).floor().clamp(0, LEVELS - 1).long()
        return (16 * mean).round().long(), level

    def centroids(self, y, quantizer, mean, log_scale):
        """What is added to rounded latents for the synthesis."""
        with torch.no_grad():
            mean, level = self.integers(mean, log_scale)
            distance = (2 * (mean >> 1) - 16 * y).clamp(-16 * REACH, 16 * REACH)
            entry = (quantizer * LEVELS + level) * (16 * REACH + 1) + distance.abs().long()
        return distance.sign() * self.centroid.view(-1)[entry]

    @torch.no_grad()
    def choose(self, y, q, inside):
        """Latents as the encoder chooses them (core/quant/trellis.c): values of two quantizers, of which the values before decide, so that bits + ERROR_WORTH ·
        squared error is least -> values, quantizers, places from the mean (trellis.py). The encoder chooses in coding order; here all latents are chosen at
        once, from what was chosen the time before, and the third time comes close to that."""
        centroid, chosen = self.spread(self.centroid.numpy()), y.round()
        for _ in range(CHOICES):
            rows = [x.permute(0, 2, 3, 1).flatten(1) for x in (y, *self.integers(*self.prior(chosen * inside, q)))]
            of_pictures = [self.trellis.choose(*latents, centroid, ERROR_WORTH) for latents in zip(*rows)]
            restored = (torch.stack(x).view(len(y), *y.shape[2:], -1).permute(0, 3, 1, 2) for x in zip(*of_pictures))
            chosen, quantizer, place = restored
        return chosen, quantizer.long(), place

    def forward(self, patches, q, coded=None):
        """-> reconstruction, bits (B, L, H, W). `coded` (B, 1, H, W): 0 where a cell stands outside the token grid:
        the prior sees zeros there and no bits are spent.

        Everything sees rounded latents, with the gradient passed straight through, and the prior is trained on the
        symbols it will code. Only the rate's gradient to the latents themselves comes from the smooth stand-in,
        uniform noise in place of rounding."""
        y = self.encode(patches, q)
        inside = torch.ones(()) if coded is None else coded
        chosen, quantizer, place = self.choose(y.detach(), q, inside)
        rounded = y + (chosen - y).detach()
        mean, log_scale = self.prior(rounded * inside, q)
        sigma = log_scale.exp() + SIGMA_FLOOR
        rate = bits(rounded.detach(), mean, sigma, *interval(quantizer, place))
        if self.training:
            smooth = bits(y + 2 * torch.rand_like(y) - 1, mean.detach(), sigma.detach(), 1, 1)
            rate = rate + smooth - smooth.detach()
        seen = rounded + inside * self.centroids(rounded.detach(), quantizer, mean.detach(), log_scale.detach())
        return self.decode(seen, q), rate if coded is None else rate * coded


def interval(quantizer, place):
    """How far what a value stands for reaches below and above it: half the way to the next values of its quantizer."""
    near = lambda side: 1 - 0.5 * (quantizer * ((place == 0) | (place == side))).float()
    return near(1), near(-1)


def bits(y, mean, sigma, below, above):
    """−log2 of the probability of y − below … y + above under a Gaussian."""
    side = torch.where(y < mean, -1.0, 1.0)
    tail = lambda x: 0.5 * torch.erfc(x / sigma * math.sqrt(0.5))
    distance = side * (y - mean)
    inner, outer = torch.where(side > 0, below, above), torch.where(side > 0, above, below)
    return -torch.log2((tail(distance - inner) - tail(distance + outer)).clamp_min(1e-9))
