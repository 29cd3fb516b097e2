# SPDX-License-Identifier: LGPL-2.1-or-later
"""From the float network to eight bits: scales measured on training pictures, and the network that computes with them.

`calibrate` runs crops through the network, looks at every `Tap` and returns `scales`, a dictionary: the tap's name ->
real value of one integer step, per channel; 'x.shift' -> int. `attach` makes the network round like the integer
codec, for quantisation-aware training, which learns the steps of the transforms with the weights; export.py writes the
scales to a model file.
"""
import functools

import numpy as np
import torch
from torch import nn

import data
from model import CHROMA, Block, Layer, Tap

FEATURE = 1 / 16          # step of y/size, fixed by the bitstream
LOG_FEATURE = 1 / 57      # step of log(1 + |y/size|): 127 stands for y/size = 8.3
GATE = 254 / 128          # gate integer = u integer · h · GATE, fixed by the bitstream
WIDE = 16319              # largest integer of a wide input
SHIFT = 6                 # usual shift of narrow(): streams are kept 64 times finer than what layers read
MARGIN = 1.03             # over the largest value seen
BATCHES, BATCH = 12, 6    # crops that scales are measured on,
SHARE = 0.25              # those of drawn pictures among them,
ROWS = 1536               # and positions of each batch that are looked at


class Recorder:
    """Keeps random positions of a tap's tensor: rows (N, C)."""

    def __init__(self, channel_last, keep):
        self.channel_last, self.keep, self.rows = channel_last, keep, []

    def __call__(self, x):
        rows = x.detach().float()
        rows = (rows if self.channel_last else rows.permute(0, 2, 3, 1)).flatten(0, -2)
        self.rows.append(rows[torch.arange(self.keep) * 7919 % len(rows)])
        return x

    def values(self):
        return torch.cat(self.rows)


def taps(net):
    return {name: module for name, module in net.named_modules() if isinstance(module, Tap)}


def channel_last(name):
    """The prior works on rows (…, C), the transforms on pictures (B, C, H, W)."""
    return name.startswith('prior.')


@torch.no_grad()
def record(net, pictures, structured):
    """Rows of every tap over all q -> {name: (BATCHES · ROWS, C)}. Few rows would not do: how far the largest values reach shows in many only."""
    rng = np.random.default_rng(5)
    recorders = {name: Recorder(channel_last(name), ROWS) for name in taps(net)}
    detach(net)
    for name, tap in taps(net).items():
        tap.fake = recorders[name]
    for i in range(BATCHES):
        q = torch.linspace(0, net.config.anchors - 1, BATCH)
        net(data.crops(pictures, BATCH, 256, rng, structured, SHARE if structured else 0), q)
    detach(net)
    return {name: r.values() for name, r in recorders.items()}


def rounding_error(rows, step, levels=127, unsigned=False):
    """Mean squared error per channel: (C)."""
    return ((rows / step).round().clamp(0 if unsigned else -levels, levels) * step - rows).square().mean(0)


def least(candidates, error):
    """Per channel the candidate (C) of the least error."""
    errors = torch.stack([error(step) for step in candidates])
    return torch.stack(candidates).gather(0, errors.argmin(0, keepdim=True))[0]


def step_of(rows, levels=127, unsigned=False):
    """Per channel the step that gives the least squared error among clippings of the largest value: (C)."""
    top = rows.abs().amax(0).clamp_min(1e-6) * MARGIN / levels
    return least([top * part for part in (1, 0.85, 0.7, 0.55, 0.45)], lambda step: rounding_error(rows, step, levels, unsigned))


def gate_step(u, h):
    """The step of u that gives the least error of the gated product, whose step follows from it: (C)."""
    top = torch.maximum(u.abs().amax(0) / 127, (u * h).abs().amax(0) * GATE / 127).clamp_min(1e-6) * MARGIN

    def error(step):
        product = (u / step).round().clamp(-127, 127) * (h * 254).round() / 128
        return (product.round().clamp(-127, 127) * step / GATE - u * h).square().mean(0)

    return least([top * part for part in (1, 0.85, 0.7, 0.55, 0.45, 0.35)], error)


def stage(scales, rows, prefix, narrowed, wide=None):
    """One scale per channel for the streams of a stage: the best for all that narrow() reads, `wide` within 14 bits.
    Each narrow() then takes the shift that serves it best."""
    scale = step_of(torch.cat([rows[name] for name in narrowed])) / 2 ** SHIFT
    if wide:
        scale = torch.maximum(scale, rows[wide].abs().amax(0) * 1.2 / WIDE)
        scales[wide] = scale
    scales[prefix] = scale
    for name in narrowed:
        error = lambda shift: rounding_error(rows[name], scale * 2 ** shift).sum()
        shift = min(range(SHIFT - 3, SHIFT + 2), key=error)
        scales[name + '.shift'] = shift
        scales[name] = scale * 2 ** shift


@torch.no_grad()
def calibrate(net, pictures, structured=()):
    """Lists of pictures (data.load_pictures) -> scales"""
    rows, scales = record(net, pictures, structured), {}
    c = net.config
    for name, ends in (('analysis', ('block8', 'block16')), ('synthesis', ('block16', 'block8'))):
        first = [f'{name}.{ends[0]}.{i}.narrow' for i in range(len(getattr(getattr(net, name), ends[0])))]
        second = [f'{name}.{ends[1]}.{i}.narrow' for i in range(len(getattr(getattr(net, name), ends[1])))]
        stage(scales, rows, f'{name}.stream.{ends[0]}', first + [f'{name}.narrow'])
        stage(scales, rows, f'{name}.stream.{ends[1]}', second, f'{name}.wide')
    for name, module in net.named_modules():
        if isinstance(module, Block):
            scales[f'{name}.hidden'] = step_of(rows[f'{name}.hidden'])
            scales[f'{name}.u'] = gate_step(rows[f'{name}.u'], rows[f'{name}.h'])
            scales[f'{name}.gate'] = scales[f'{name}.u'] / GATE
        elif isinstance(module, Layer):
            q, k = (step_of(rows[f'{name}.{x}']) * 127 for x in ('query', 'key'))
            t = ((q * k).sqrt().view(module.heads, -1).amax(1) / 127).repeat_interleave(c.width // module.heads)
            scales[f'{name}.query'], scales[f'{name}.key'] = (q / k).sqrt() * t, (k / q).sqrt() * t
            for x in ('value', 'context', 'norm1.tap', 'norm2.tap'):
                scales[f'{name}.{x}'] = step_of(rows[f'{name}.{x}'])
            scales[f'{name}.relu'] = step_of(rows[f'{name}.relu'], 254, unsigned=True)
    for k in net.prior.step:
        scales[f'prior.step.{k}.relu'] = step_of(rows[f'prior.step.{k}.relu'], 254, unsigned=True)
    scales['prior.narrow'] = step_of(rows['prior.narrow'])
    streams = [rows[name].abs().amax() for name in rows if name.startswith('prior.') and name.endswith('.stream')]
    scales['prior.stream'] = max(streams) * 1.2 / 32000
    return scales


@torch.compile(dynamic=True)            # one pass over memory where eager code takes eight: a step of training takes a third less time
def round_rows(x, step, limit, least):
    return ((x * (1 / step)).round().clamp(least, limit) * step).to(x.dtype)


@torch.compile(dynamic=True)
def round_rows_backward(gradient, x, step, limit, least):
    steps = x * (1 / step)
    integer = steps.round().clamp(least, limit)
    inside = (steps >= least - 0.5) & (steps <= limit + 0.5)
    return gradient * inside, (gradient * torch.where(inside, integer - steps, integer)).sum(0)


class Round(torch.autograd.Function):
    """rows x (N, C) -> x rounded to integers least…limit times step (C). As in LSQ (arXiv 1902.08153) the gradient reaches x where it was not
    clipped, as if nothing had happened, and the step as if the choice of the integer were fixed: by the error of rounding, and by the
    limit where it was clipped."""

    @staticmethod
    def forward(ctx, x, step, limit, least):
        ctx.save_for_backward(x, step)
        ctx.limits = limit, least
        return round_rows(x.data, step.data, limit, least)

    @staticmethod
    def backward(ctx, gradient):
        x, step = ctx.saved_tensors
        return *round_rows_backward(gradient.data, x.data, step.data, *ctx.limits), None, None


def fake_tensor(step, channels_last, limit=127, unsigned=False):
    """step: function that returns the real value of one integer, (C) or a number, as it is now. channels_last: the last dimension is that of
    channels, not the second."""
    current = lambda: torch.as_tensor(step(), dtype=torch.float32)

    def fake(x):
        x = x if channels_last else x.permute(0, 2, 3, 1)
        y = Round.apply(x.flatten(0, -2), current().expand(x.shape[-1]).contiguous(), limit, 0 if unsigned else -limit).view(x.shape)
        return y if channels_last else y.permute(0, 3, 1, 2)
    return fake


def fake_weight(columns):
    """Symmetric 8-bit weights, one step per output, of weights times the step of each input. columns: function that returns these steps (K), or (1),
    as they are now. Nothing is clipped."""
    def fake(weight):
        flat, inputs = weight.detach().flatten(1), columns().detach()
        step = (flat * inputs).abs().amax(1, keepdim=True).clamp_min(1e-9) / 127 / inputs
        return weight + ((flat / step).round() * step - flat).view_as(weight)
    return fake


def present_columns(net, scale):
    """Real value of one integer of each input of every 8-bit linear layer, as it is now: {layer: function that returns it (K)}. scale: function from
    the name of a tap to its scale (C). Scales and the weights of norms move in training."""
    c, found = net.config, {}
    of_tap = lambda name: lambda: scale(name)
    behind_norm = lambda name, norm: lambda: scale(f'{name}.tap') * norm.weight.detach()
    chroma = torch.ones(96)
    chroma[64:] = CHROMA
    found['analysis.in'] = lambda: chroma / 255
    found['analysis.down'] = lambda: scale('analysis.narrow').repeat_interleave(4)
    found['analysis.out'] = of_tap('analysis.wide')
    found['synthesis.in'] = lambda: torch.full((c.latents,), 1 / (8 * 255))
    found['synthesis.up'] = of_tap('synthesis.narrow')
    found['synthesis.out'] = of_tap('synthesis.wide')
    for name, module in net.named_modules():
        if isinstance(module, Block):
            found[f'{name}.expand'], found[f'{name}.project'] = of_tap(f'{name}.hidden'), of_tap(f'{name}.gate')
        elif isinstance(module, Layer):
            found[f'{name}.qkv'] = behind_norm(f'{name}.norm1', module.norm1)
            found[f'{name}.fc1'] = behind_norm(f'{name}.norm2', module.norm2)
            found[f'{name}.out'], found[f'{name}.fc2'] = of_tap(f'{name}.context'), of_tap(f'{name}.relu')
    features = lambda n: [torch.full((n,), FEATURE), torch.full((n,), LOG_FEATURE)]
    found['prior.embed'] = lambda: torch.cat(features(c.latents))
    for k in range(len(c.parts)):
        found[f'prior.head.{k}'] = of_tap('prior.narrow')
        if k:
            found[f'prior.step.{k}.fc1'] = lambda before=c.parts[k - 1]: torch.cat([scale('prior.narrow'), *features(before)])
            found[f'prior.step.{k}.fc2'] = of_tap(f'prior.step.{k}.relu')
    return found


def columns(net, scales):
    """The same, with scales that stay: {layer: (K)}."""
    return {name: current() for name, current in present_columns(net, scales.__getitem__).items()}


def learned_step(name, scales):
    """Of a tap of the transforms whose step is learned -> name of the scale that it follows, and how many times that it is; (None, None) else."""
    owner, last = name.rsplit('.', 1)
    if last in ('hidden', 'u', 'gate'):
        return (f'{owner}.u', 1 / GATE) if last == 'gate' else (name, 1)
    if last not in ('narrow', 'wide') or name == 'prior.narrow':
        return None, None
    transform = owner.split('.')[0]
    stages = ('block8', 'block16') if transform == 'analysis' else ('block16', 'block8')
    stage = owner.split('.')[1] if '.' in owner else stages[last == 'wide']
    return f'{transform}.stream.{stage}', 1 if last == 'wide' else 2 ** scales[name + '.shift']


def learnable_steps(net, scales):
    """-> the logarithms of the steps that are learned, to be given to attach(): {name: parameter (C)}"""
    names = {learned_step(name, scales)[0] for name in taps(net)} - {None}
    return {name: nn.Parameter(scales[name].log()) for name in sorted(names)}


@torch.no_grad()
def learned_scales(net, scales, steps):
    """-> scales with the learned steps, and what follows from them, in place of the measured ones"""
    scales = {**scales, **{name: step.exp() for name, step in steps.items()}}
    for name in taps(net):
        source, factor = learned_step(name, scales)
        if source:
            scales[name] = scales[source] * factor
    return scales


def attach(net, scales, steps=None):
    """Make the network round like the integer codec, with `steps` (learnable_steps()) in place of the scales that they are learned for."""
    followed = {name: learned_step(name, scales) if steps else (None, None) for name in taps(net)}

    def scale(name):
        source, factor = followed[name]
        return steps[source].exp() * factor if source else scales[name]

    for name, tap in taps(net).items():
        last, step = name.rsplit('.', 1)[1], functools.partial(scale, name)
        if last == 'stream' or name == 'prior.norm.tap':
            continue
        if last == 'h':
            tap.fake = fake_tensor(lambda: 1 / 254, False, 254, unsigned=True)
        elif name == 'prior.features':
            tap.fake = fake_tensor(lambda: FEATURE, True)
        elif name == 'prior.log_features':
            tap.fake = fake_tensor(lambda: LOG_FEATURE, True, unsigned=True)
        elif last == 'relu':
            tap.fake = fake_tensor(step, True, 254, unsigned=True)
        else:
            tap.fake = fake_tensor(step, channel_last(name), WIDE if last == 'wide' else 127)
    modules = dict(net.named_modules())
    for name, current in present_columns(net, scale).items():
        modules[name].fake = fake_weight(current)
    for name, module in modules.items():
        if isinstance(module, Block):
            module.depthwise.fake = fake_weight(lambda: torch.ones(1))


def detach(net):
    """Back to the float network."""
    for module in net.modules():
        if hasattr(module, 'fake'):
            module.fake = None
