#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes tests/vectors/tiny.m2tw: a small model for tests that works roughly, and differs from the standard graph. And mt.m2tw, its like
with a prior that masks the input only, and without a filter.

The shortcuts are a DCT (24 low frequencies of 16x16 luma and 8x8 chroma), so that decoded pictures resemble the
input; everything else is seeded noise, scaled so that 8-bit values fill their range and no stream degenerates.
The prior knows nothing but the usual size of each coefficient, which makes bad rates and good tests: escapes,
raw bits, exceptions and every level occur. The filter makes pictures a little worse, differently in each class.

    make_tiny_model.py [DIRECTORY]
"""
import json
import pathlib
import struct
import sys

import numpy as np

import m2t_reference as ref

GRAPH = {
    "format": 1, "name": "tiny", "anchors": 4, "latents": 24,
    "analysis": {"width8": 16, "width16": 24, "blocks8": 2, "blocks16": 1},
    "synthesis": {"width8": 24, "width16": 16, "blocks8": 1, "blocks16": 2},
    "prior": {"width": 16, "heads": 2, "mlp": 32, "step": 24, "parts": [8, 16], "groups": [2, 6, 8, 12, 16, 20],
              "layers": ["window", "shifted", "window"], "limit": 3000},
    "entropy": {"levels": 20, "base": -3584, "step": 740, "skip": 3},
    "filter": "directional",
}
MT_GRAPH = {**GRAPH, "name": "mt", "prior": {**GRAPH["prior"], "masking": "input"}}
del MT_GRAPH["filter"]
# The order of the usual model, from section 4 of docs/bitstream.md; here rows and columns are swapped.
USUAL_ORDER = [int(cell) for cell in """
36 16 5 49 38 18 7 51 32 21 1 54 34 23 3 48 17 6 50 39 19 0 52 33 10 63 43 24 12 57 45 26
14 59 40 28 9 61 42 30 11 56 44 25 13 58 46 27 15 60 37 20 53 22 55 31 47 8 41 2 35 4 29 62""".split()]
USUAL_GROUPS = [1, 3, 5, 7, 9, 11, 13, 15]
LOG2_STEP = (-2.5, 0.5, 3.0, 6.1)    # step of a DCT coefficient (orthonormal, in sample units), from q 0 to 63
UNIT = 8                             # dequantized values: 1/8 of a sample unit
FILTER_WEIGHTS = (9000, 9000, 2000)  # at most that, one for each limit, of either sign
OUTPUTS = {"to8": 48, "stream": 900, "residual": 450}    # what a layer's results shall deviate by


def source_table(order, groups):
    """prior.source as section 4 builds it."""
    source = [-1] * 64
    begin = 0
    for size, following in zip(groups, groups[1:]):
        middle = begin + size
        free = list(order[middle:middle + following])
        for cell in order[begin:middle]:
            nearest = min(free, key=lambda c: (c // 8 - cell // 8) ** 2 + (c % 8 - cell % 8) ** 2)
            source[nearest] = int(cell)
            free.remove(nearest)
        begin = middle
    return source


def dct(n):
    """Orthonormal DCT [frequency][sample]."""
    k, x = np.mgrid[0:n, 0:n]
    basis = np.cos(np.pi * k * (2 * x + 1) / (2 * n)) * np.sqrt(2 / n)
    basis[0] /= np.sqrt(2)
    return basis


def frequencies(count):
    """The chosen coefficients (plane, i, j): 24 by hand, the rest by frequency."""
    chosen = [("Y", 0, 0), ("Y", 0, 1), ("Y", 1, 0), ("U", 0, 0), ("V", 0, 0), ("Y", 1, 1), ("Y", 0, 2), ("Y", 2, 0)]
    chosen += [("Y", i, j) for i, j in ((1, 2), (2, 1), (0, 3), (3, 0), (2, 2), (1, 3), (3, 1), (0, 4), (4, 0), (2, 3))]
    chosen += [("U", 0, 1), ("U", 1, 0), ("V", 0, 1), ("V", 1, 0), ("Y", 3, 2), ("Y", 3, 3)]
    every = [("Y", i, j) for i in range(16) for j in range(16)] + [(p, i, j) for p in "UV" for i in range(8) for j in range(8)]
    rest = sorted((f for f in every if f not in chosen), key=lambda f: f[1] ** 2 + f[2] ** 2)
    return (chosen + rest + rest)[:count]


def shortcut_basis(count):
    """-> orthonormal rows [count][384] in the order of an unshuffled token, and the usual size of each coefficient."""
    rows, sizes = [], []
    for plane, i, j in frequencies(count):
        planes = [np.zeros((16, 16)), np.zeros((8, 8)), np.zeros((8, 8))]
        which = "YUV".index(plane)
        n = len(planes[which])
        planes[which] = np.outer(dct(n)[i], dct(n)[j])
        blocks = []
        for values, size in zip(planes, (8, 4, 4)):
            blocks.append(values.reshape(2, size, 2, size).transpose(0, 2, 1, 3).reshape(2, 2, size * size))
        rows.append(ref.unshuffle(np.concatenate(blocks, axis=2)).ravel())
        sizes.append((500 if plane == "Y" else 80) / (1 + 1.5 * (i * i + j * j)))
    return np.array(rows), np.array(sizes)


class Builder:
    """Collects tensors; random layers are scaled by the deviation of their input and of their result."""

    def __init__(self, graph, seed):
        self.graph, self.random = graph, np.random.RandomState(seed)
        self.tensors = {}

    def put(self, name, dtype, values):
        self.tensors[name] = (dtype, np.ascontiguousarray(np.asarray(values).astype(ref.DTYPES[dtype])))

    def about(self, value, size):
        """Singles [size] about a value."""
        return value * self.random.uniform(0.7, 1.3, size)

    def weights(self, n, k):
        return np.clip(np.rint(self.random.normal(0, 40, (n, k))), -127, 127).astype(np.int64)

    def linear(self, name, n, k, source, result, bias_rows=None, after_relu=False):
        """`source`: deviation of the inputs; `result`: of the outputs, a number or [n]; bias_rows: None for a bias of [n]."""
        weight = self.weights(n, k)
        spread = 40 * np.sqrt(k) * source
        bias = np.rint(self.random.normal(0, 0.3 * spread, (bias_rows or 1, n)))
        if after_relu:                                   # its inputs stand 127 too low
            bias += 127 * weight.sum(axis=1)
        self.put(name + ".weight", "I8", weight)
        self.put(name + ".scale", "F32", self.about(result / spread, n))
        self.put(name + ".bias", "I32", bias if bias_rows else bias[0])

    def wide(self, name, matrix, unit, both=False):
        """Weights of 15 bits: results are matrix @ input * unit. With wide input too, sums are in units of 128."""
        scale = np.abs(matrix).max(axis=1) / 16256
        fine = np.rint(matrix / scale[:, None]).astype(np.int64)
        scale = scale * 128 if both else scale
        self.put(name + ".weight", "I8", (fine + 64) >> 7)
        self.put(name + ".weight_low", "I8", fine - 128 * ((fine + 64) >> 7))
        self.put(name + ".scale", "F32", scale * unit)
        self.put(name + ".bias", "I32", np.rint(self.random.normal(0, 2, len(matrix)) / (scale * unit)))

    def block(self, name, width, shift):
        self.put(name + ".shift", "I32", [shift])
        self.put(name + ".depthwise.weight", "I8", self.weights(9, width))
        self.put(name + ".depthwise.scale", "F32", self.about(OUTPUTS["to8"] / (40 * 3 * 50), width))
        self.put(name + ".depthwise.bias", "I32", self.random.normal(0, 1000, width))
        self.linear(name + ".expand", 2 * width, width, 45, OUTPUTS["to8"])
        self.linear(name + ".project", width, width, 25, OUTPUTS["residual"])

    def prior_layer(self, name, d, heads, mlp):
        for norm in ("norm1", "norm2"):
            self.put(f"{name}.{norm}", "F32", self.about(45, d))
        self.linear(name + ".qkv", 3 * d, d, 45, 50)
        self.put(name + ".logit", "F32", self.about(20 / (np.sqrt(d / heads) * 50 * 50), heads))
        self.put(name + ".rel", "I16", self.random.normal(0, 12, (heads, 225)))
        self.put(name + ".context", "F32", self.about(2.5, d))
        self.linear(name + ".out", d, d, 45, OUTPUTS["residual"])
        self.linear(name + ".fc1", mlp, d, 45, 60)
        self.linear(name + ".fc2", d, mlp, 50, OUTPUTS["residual"], after_relu=True)


def edges(radius, quantizer):
    """Where the interval of each place of a table ends, in steps of 2; quantizer 1 has all values but the middle one half a step nearer to that."""
    ends = np.arange(-radius, radius + 2) - 0.5
    return ends - quantizer * np.sign(ends) * np.where(np.abs(ends) < 1, 0.25, 0.5)


def frequency_table(sigma, fraction, ends):
    """A Laplacian about fraction / 16, cut into intervals, with the escape behind them."""
    def below(x):
        x = (x - fraction / 16) * np.sqrt(2) / sigma
        return np.where(x < 0, np.exp(np.minimum(x, 0)) / 2, 1 - np.exp(-np.maximum(x, 0)) / 2)

    cumulative = below(ends)
    p = np.append(np.diff(cumulative), cumulative[0] + 1 - cumulative[-1])
    counts = 1 + np.floor(p * (32768 - len(p))).astype(np.int64)
    counts[np.argmax(counts)] += 32768 - counts.sum()
    return counts


def put_entropy(builder):
    """Quantizer 1 has wider tables everywhere, so that no two tables of a level are alike."""
    entropy = builder.graph["entropy"]
    sigmas = 2 ** ((entropy["base"] + entropy["step"] * (np.arange(entropy["levels"]) + 0.5)) / 1024) / 2
    raw = np.clip(np.ceil(np.log2(sigmas / 6)), 0, 8).astype(np.int64)
    sigmas /= 2.0 ** raw
    radius = np.minimum(np.ceil(2.5 * sigmas), 127).astype(np.int64)
    tables = [frequency_table(max(sigma, 0.12) * (1 + 0.2 * quantizer), fraction, edges(r, quantizer))
              for quantizer in range(ref.QUANTIZERS) for sigma, r in zip(sigmas, radius) for fraction in range(-8, 8)]
    builder.put("entropy.radius", "I32", radius)
    builder.put("entropy.raw", "I32", raw)
    builder.put("entropy.frequency", "U16", np.concatenate(tables))
    builder.put("entropy.centroid", "I8", builder.random.randint(-128, 128, sum(map(len, tables))) // 8)


def put_transforms(builder, basis):
    graph = builder.graph
    latents, anchors = graph["latents"], graph["anchors"]
    c8, c16 = graph["analysis"]["width8"], graph["analysis"]["width16"]
    builder.linear("analysis.in", c8, ref.PATCH, 50, OUTPUTS["stream"], anchors)
    for i in range(graph["analysis"]["blocks8"]):
        builder.block(f"analysis.block8.{i}", c8, 4)
    builder.put("analysis.down.shift", "I32", [4])
    builder.linear("analysis.down", c16, 4 * c8, 50, OUTPUTS["stream"])
    for i in range(graph["analysis"]["blocks16"]):
        builder.block(f"analysis.block16.{i}", c16, 5)
    builder.linear("analysis.out", latents, c16, 1000, 2 * UNIT)
    builder.wide("analysis.shortcut", basis, UNIT)

    c8, c16 = graph["synthesis"]["width8"], graph["synthesis"]["width16"]
    builder.linear("synthesis.in", c16, latents, 1500, OUTPUTS["stream"], anchors)
    for i in range(graph["synthesis"]["blocks16"]):
        builder.block(f"synthesis.block16.{i}", c16, 5)
    builder.put("synthesis.up.shift", "I32", [4])
    builder.linear("synthesis.up", 4 * c8, c16, 50, OUTPUTS["stream"])
    for i in range(graph["synthesis"]["blocks8"]):
        builder.block(f"synthesis.block8.{i}", c8, 4)
    builder.linear("synthesis.out", ref.PATCH, c8, 1500, 1.2 * 64)
    builder.wide("synthesis.shortcut", basis.T, 64 / UNIT, both=True)


def put_prior(builder, order, source):
    graph = builder.graph
    prior, anchors, latents = graph["prior"], graph["anchors"], graph["latents"]
    d, parts, groups = prior["width"], prior["parts"], len(prior["groups"])
    builder.put("prior.order", "U8", order)
    builder.put("prior.source", "I8", source)
    builder.put("prior.exp", "U8", np.rint(255 * np.exp(-np.arange(256) / 16)))
    builder.put("prior.log", "I8", np.rint(120 * np.log2(1 + np.arange(128) / 8) / np.log2(17)) - 50)
    embed = builder.weights(d, 2 * latents)
    builder.put("prior.embed.weight", "I8", embed)
    builder.put("prior.embed.scale", "F32", builder.about(OUTPUTS["stream"] / (40 * np.sqrt(2 * latents) * 40), d))
    slot = builder.random.normal(0, 700, (64, d))
    slot[13] *= 40                                       # one place where the stream saturates
    builder.put("prior.slot", "I16", np.clip(slot, -32768, 32767))
    if prior.get("masking") == "input":
        builder.put("prior.mask", "I16", builder.random.normal(0, OUTPUTS["stream"], d))
    builder.put("prior.q", "I32", builder.random.normal(0, 300, (anchors, d)))
    for i in range(len(prior["layers"])):
        builder.prior_layer(f"prior.layer.{i}", d, prior["heads"], prior["mlp"])
    builder.put("prior.norm", "F32", builder.about(1500, d))
    builder.put("prior.shift", "I32", [5])
    for k, n in enumerate(parts):
        if k > 0:
            builder.linear(f"prior.step.{k}.fc1", prior["step"], d + 2 * parts[k - 1], 45, 60)
            builder.linear(f"prior.step.{k}.fc2", d, prior["step"], 50, 600, after_relu=True)
        result = np.concatenate([np.full(n, 0.4 * 16), np.full(n, 900.0)])
        builder.linear(f"prior.head.{k}", 2 * n, d, 45, result, groups)


def put_filter(builder):
    """Weights of a third of the largest at least, so that each of them shows."""
    shape = builder.graph["anchors"], len(ref.PAIRS), len(ref.LIMITS), ref.CLASSES
    for name in ref.FILTERS:
        weights = builder.random.choice([-1, 1], shape) * builder.random.uniform(1 / 3, 1, shape) * np.array(FILTER_WEIGHTS)[:, None]
        builder.put(name, "I16", np.rint(weights).reshape(shape[0], -1))


def write_model(path, graph, tensors, metadata):
    """tensors: name -> (dtype, array). Writes the layout of docs/model-format.md with the graph and the identity."""
    tensors = dict(tensors)
    tensors["graph"] = ("U8", np.frombuffer(json.dumps(graph).encode(), np.uint8))
    identity = ref.model_identity({name: (dtype, list(a.shape), a.tobytes()) for name, (dtype, a) in tensors.items()})
    header = {"__metadata__": {"format": "m2t", "identity": identity.hex(), **metadata}}
    at, blob = 0, b""
    for name in sorted(tensors, key=lambda n: (-tensors[n][1].itemsize, n)):    # wide types first keeps all aligned
        dtype, array = tensors[name]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
        blob += array.tobytes()
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + blob)


def make_tensors(graph, seed, order, source):
    """Tensors of a model that suits tests, for any graph: name -> (dtype, array)."""
    builder = Builder(graph, seed)
    basis, sizes = shortcut_basis(graph["latents"])
    builder.put("exp2", "I32", np.rint(np.exp2(23 + np.arange(1024) / 1024)))
    taste = builder.random.normal(0, 0.15, (graph["anchors"], graph["latents"]))
    log2_step = np.interp(np.linspace(0, 3, graph["anchors"]), range(4), LOG2_STEP)[:, None] + taste
    builder.put("gain", "I32", np.rint(-1024 * (np.log2(UNIT) + log2_step)))
    builder.put("igain", "I32", np.rint(1024 * (np.log2(UNIT) + log2_step)))
    builder.put("prior.size", "I32", np.rint(1024 * (np.log2(sizes) - log2_step)))
    put_transforms(builder, basis)
    put_prior(builder, order, source)
    put_entropy(builder)
    if ref.has_filter(graph):
        put_filter(builder)
    return builder.tensors


TINY_ORDER = [cell % 8 * 8 + cell // 8 for cell in USUAL_ORDER]


def tiny_tensors():
    assert source_table(USUAL_ORDER, USUAL_GROUPS)[:8] == [1, 32, 25, -1, 13, -1, -1, 5]
    return make_tensors(GRAPH, 20, TINY_ORDER, source_table(TINY_ORDER, GRAPH["prior"]["groups"]))


def mt_tensors():
    return make_tensors(MT_GRAPH, 21, TINY_ORDER, range(64))


def main():
    default = pathlib.Path(__file__).parent.parent / "vectors"
    directory = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    for graph, tensors in ((GRAPH, tiny_tensors()), (MT_GRAPH, mt_tensors())):
        path = directory / (graph["name"] + ".m2tw")
        write_model(path, graph, tensors, {"name": graph["name"], "purpose": "tests", "licence": "LGPL-2.1-or-later"})
        model = ref.read_model(path)
        print(f"{path}: {path.stat().st_size} bytes, identity {model.identity.hex()}")


if __name__ == "__main__":
    main()
