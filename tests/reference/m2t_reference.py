#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The M2T codec as an executable specification, written from docs/bitstream.md and docs/model-format.md.

Functions stand in the order of the documents and bear the names of their sections; numbers in banners are
those of bitstream.md. Nothing here is tuned: an exact result that is easy to read comes first.

    m2t_reference.py decode MODEL IN.m2tv OUT.y4m
    m2t_reference.py encode MODEL IN.y4m OUT.m2tv -q Q [--frames N] [--lanes 1|4|16] [--slices N] [--key-interval N] [--inter] [--exact]
    m2t_reference.py info IN.m2tv

Integers are int64 arrays whatever their nominal size; every float is np.float32, one IEEE operation a time.
Exact sums of products go through BLAS in double precision: all partial sums are below 2^53, so that the
order of addition does not matter.
"""
import argparse
import bisect
import dataclasses
import hashlib
import json
import re
import struct
import sys

import numpy as np

VERSION = 1
FILE_MAGIC = bytes([0x4D, 0x32, 0x54, 0x56, 0x01, 0x0D, 0x0A, 0x1A])
SYNC = bytes([0x00, 0x00, 0x02, 0x4D])
UNIT_MAX = 1 << 26
LANES = (1, 4, 16)
SLICES_MAX = 64
PATCH = 96                     # channels of a patch: 64 luma, 16 U, 16 V
TOKEN = 4 * PATCH
WIDE = 16319                   # limit of a value of 15 bits, 127 * 128 + 63
QUANTIZERS = 2                 # of dependent quantisation
CHAIN = 128                    # tokens whose latents follow each other with a state
STATES = 64
MASKINGS = ("input+attention", "input")    # the first one where a graph does not say
FILTERS = ("filter.luma", "filter.u", "filter.v")    # tensors of the filter, plane by plane
CLASSES = 120                  # of blocks, for the filter
PAIRS = ((0, 1), (0, 2), (1, -1), (1, 0), (1, 1), (2, 0))    # its places: rows and columns from a value, and as far the other way
LIMITS = (192, 768, 3072)      # of what a pair's values differ by


class M2tError(Exception):
    """A stream or a model is not what the documents describe; the message says what and where."""


def require(condition, message):
    if not condition:
        raise M2tError(message)


# ---------------------------------------------------------------- model file (docs/model-format.md)

DTYPES = {"I8": "i1", "U8": "u1", "I16": "<i2", "U16": "<u2", "I32": "<i4", "F32": "<f4"}
FILE_LIMIT = 64 << 20
HEADER_LIMIT = 1 << 20


def json_object(text, what, depth_limit):
    """Parses JSON text that must be an object without repeated names and at most `depth_limit` levels deep."""
    def unique(pairs):
        names = [name for name, _ in pairs]
        require(len(set(names)) == len(names), f"{what}: a name stands twice")
        return dict(pairs)

    def no_constant(text):
        raise M2tError(f"{what}: {text} is not JSON")

    def depth(value):
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return 0 if inner is None else 1 + max((depth(v) for v in inner), default=0)

    try:
        value = json.loads(text.decode("utf-8"), object_pairs_hook=unique, parse_constant=no_constant)
    except (ValueError, RecursionError) as error:
        raise M2tError(f"{what}: {error}") from None
    require(isinstance(value, dict), f"{what}: not an object")
    require(depth(value) <= depth_limit, f"{what}: deeper than {depth_limit} levels")
    return value


def is_count(value, low, high):
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def check_graph(graph):
    """Members, types and limits of the graph."""
    def members(value, names, what, optional=()):
        require(isinstance(value, dict), f"{what}: not an object")
        for name in names:
            require(name in value, f"{what}: {name} is missing")
        for name in value:
            require(name in names or name in optional, f"{what}: unknown member {name}")

    def count(value, what, low, high, multiple=1):
        require(is_count(value, low, high) and value % multiple == 0, f"graph: {what} is {value!r}")

    members(graph, ("format", "name", "anchors", "latents", "analysis", "synthesis", "prior", "entropy"), "graph", ("filter",))
    require(graph["format"] == 1, f"graph: format {graph['format']!r}")
    require(isinstance(graph["name"], str) and re.fullmatch("[A-Za-z0-9._-]{1,64}", graph["name"]), "graph: name")
    count(graph["anchors"], "anchors", 2, 16)
    count(graph["latents"], "latents", 8, 512, 8)
    for side in ("analysis", "synthesis"):
        transform = graph[side]
        members(transform, ("width8", "width16", "blocks8", "blocks16"), f"graph.{side}")
        for at in ("8", "16"):
            count(transform["width" + at], f"{side}.width{at}", 8, 512, 8)
            count(transform["blocks" + at], f"{side}.blocks{at}", 0, 16)
    prior = graph["prior"]
    members(prior, ("width", "heads", "mlp", "step", "parts", "groups", "layers", "limit"), "graph.prior", ("masking",))
    require(masking(graph) in MASKINGS, f"graph: prior.masking is {masking(graph)!r}")
    count(prior["width"], "prior.width", 8, 512, 8)
    count(prior["heads"], "prior.heads", 1, prior["width"])
    require(prior["width"] % (8 * prior["heads"]) == 0, "graph: prior.heads does not divide prior.width into multiples of 8")
    count(prior["mlp"], "prior.mlp", 8, 1024, 8)
    count(prior["step"], "prior.step", 8, 1024, 8)
    count(prior["limit"], "prior.limit", 0, 16384)
    for name, low, high in (("parts", 1, 4), ("groups", 1, 16), ("layers", 1, 16)):
        require(isinstance(prior[name], list) and low <= len(prior[name]) <= high, f"graph: prior.{name}")
    for part in prior["parts"]:
        count(part, "a part", 8, 512, 8)
    require(sum(prior["parts"]) == graph["latents"], "graph: prior.parts do not sum to latents")
    for group in prior["groups"]:
        count(group, "a group", 1, 64)
    require(sum(prior["groups"]) == 64 and prior["groups"] == sorted(prior["groups"]), "graph: prior.groups")
    for layer in prior["layers"]:
        require(layer in ("window", "shifted"), f"graph: a layer of kind {layer!r}")
    entropy = graph["entropy"]
    members(entropy, ("levels", "base", "step", "skip"), "graph.entropy")
    count(entropy["levels"], "entropy.levels", 1, 64)
    count(entropy["base"], "entropy.base", -65536, 65536)
    count(entropy["step"], "entropy.step", 1, 65536)
    count(entropy["skip"], "entropy.skip", 0, entropy["levels"])
    require(not has_filter(graph) or graph["filter"] == "directional", f"graph: filter is {graph.get('filter')!r}")


def masking(graph):
    return graph["prior"].get("masking", MASKINGS[0])


def has_filter(graph):
    return "filter" in graph


def linear_layers(graph):
    """All linear layers: name -> (N, K, rows of bias or None, which sides have 15 bits: "", "in", "weight" or both)."""
    L, anchors, prior = graph["latents"], graph["anchors"], graph["prior"]
    d, groups = prior["width"], len(prior["groups"])
    layers = {}

    def transform(side):
        sizes = graph[side]
        for at in ("8", "16"):
            width = sizes["width" + at]
            for i in range(sizes["blocks" + at]):
                layers[f"{side}.block{at}.{i}.expand"] = (2 * width, width, 1, "")
                layers[f"{side}.block{at}.{i}.project"] = (width, width, 1, "")
        return sizes["width8"], sizes["width16"]

    c8, c16 = transform("analysis")
    layers["analysis.in"] = (c8, PATCH, anchors, "")
    layers["analysis.down"] = (c16, 4 * c8, 1, "")
    layers["analysis.out"] = (L, c16, 1, "in")
    layers["analysis.shortcut"] = (L, TOKEN, 1, "weight")
    c8, c16 = transform("synthesis")
    layers["synthesis.in"] = (c16, L, anchors, "in")
    layers["synthesis.up"] = (4 * c8, c16, 1, "")
    layers["synthesis.out"] = (PATCH, c8, 1, "in")
    layers["synthesis.shortcut"] = (TOKEN, L, 1, "in weight")
    layers["prior.embed"] = (d, 2 * L, None, "")
    for i in range(len(prior["layers"])):
        layers[f"prior.layer.{i}.qkv"] = (3 * d, d, 1, "")
        layers[f"prior.layer.{i}.out"] = (d, d, 1, "")
        layers[f"prior.layer.{i}.fc1"] = (prior["mlp"], d, 1, "")
        layers[f"prior.layer.{i}.fc2"] = (d, prior["mlp"], 1, "")
    for k, part in enumerate(prior["parts"]):
        layers[f"prior.head.{k}"] = (2 * part, d, -groups, "")
        if k > 0:
            layers[f"prior.step.{k}.fc1"] = (prior["step"], d + 2 * prior["parts"][k - 1], 1, "")
            layers[f"prior.step.{k}.fc2"] = (d, prior["step"], 1, "")
    return layers


def expected_tensors(graph):
    """All tensors but `graph`: name -> (dtype, shape). The length of the entropy coder's tables is known later: None."""
    L, anchors, prior, levels = graph["latents"], graph["anchors"], graph["prior"], graph["entropy"]["levels"]
    d, heads = prior["width"], prior["heads"]
    tensors = {"exp2": ("I32", [1024]), "gain": ("I32", [anchors, L]), "igain": ("I32", [anchors, L]),
               "analysis.down.shift": ("I32", [1]), "synthesis.up.shift": ("I32", [1]),
               "prior.order": ("U8", [64]), "prior.source": ("I8", [64]), "prior.exp": ("U8", [256]),
               "prior.log": ("I8", [128]), "prior.size": ("I32", [anchors, L]), "prior.slot": ("I16", [64, d]),
               "prior.q": ("I32", [anchors, d]), "prior.norm": ("F32", [d]), "prior.shift": ("I32", [1]),
               "entropy.radius": ("I32", [levels]), "entropy.raw": ("I32", [levels]), "entropy.frequency": ("U16", None), "entropy.centroid": ("I8", None)}
    if masking(graph) == "input":
        tensors["prior.mask"] = ("I16", [d])
    if has_filter(graph):
        tensors.update({name: ("I16", [anchors, CLASSES * len(PAIRS) * len(LIMITS)]) for name in FILTERS})
    for name, (n, k, bias_rows, wide) in linear_layers(graph).items():
        tensors[name + ".weight"] = ("I8", [n, k])
        tensors[name + ".scale"] = ("F32", [n])
        if "weight" in wide:
            tensors[name + ".weight_low"] = ("I8", [n, k])
        if bias_rows == 1:
            tensors[name + ".bias"] = ("I32", [n])
        elif bias_rows is not None:
            tensors[name + ".bias"] = ("I32", [abs(bias_rows), n])
    for side in ("analysis", "synthesis"):
        for at in ("8", "16"):
            width = graph[side]["width" + at]
            for i in range(graph[side]["blocks" + at]):
                block = f"{side}.block{at}.{i}"
                tensors[block + ".shift"] = ("I32", [1])
                tensors[block + ".depthwise.weight"] = ("I8", [9, width])
                tensors[block + ".depthwise.scale"] = ("F32", [width])
                tensors[block + ".depthwise.bias"] = ("I32", [width])
    for i in range(len(prior["layers"])):
        for name in ("norm1", "norm2", "context"):
            tensors[f"prior.layer.{i}.{name}"] = ("F32", [d])
        tensors[f"prior.layer.{i}.logit"] = ("F32", [heads])
        tensors[f"prior.layer.{i}.rel"] = ("I16", [heads, 225])
    return tensors


def model_identity(tensors):
    """SHA-256 over all tensors, name -> (dtype, shape, bytes), in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(tensors, key=lambda n: n.encode()):
        dtype, shape, data = tensors[name]
        digest.update(name.encode() + b"\0" + dtype.encode() + b"\0")
        digest.update(struct.pack("<I", len(shape)) + b"".join(struct.pack("<I", n) for n in shape))
        digest.update(data)
    return digest.digest()


def group_of_cell(order, groups):
    """Group number of each of the 64 cells of a window."""
    group = np.empty(64, np.int64)
    group[order] = np.repeat(np.arange(len(groups)), groups)
    return group


class Model:
    """A checked model: `graph` (dict), `identity` (32 bytes) and tensors by name as int64 or float32 arrays."""

    def __init__(self, data):
        raw = self.read_tensors(data)
        self.identity = model_identity(raw)
        require(self.metadata.get("format") == "m2t", "model: the metadata's format is not m2t")
        require(self.metadata.get("identity") == self.identity.hex(), "model: the metadata's identity does not agree")
        require("graph" in raw and raw["graph"][0] == "U8" and len(raw["graph"][1]) == 1, "model: no tensor graph")
        self.graph = json_object(raw.pop("graph")[2], "graph", 4)
        check_graph(self.graph)
        self.check_shapes(raw)
        self.tensors = {}
        for name, (dtype, shape, content) in raw.items():
            array = np.frombuffer(content, DTYPES[dtype]).reshape(shape)
            self.tensors[name] = array.astype(np.float32 if dtype == "F32" else np.int64)
        self.check_values()
        self.check_sums()
        self.doubles = {}
        self.entropy = EntropyTables(self)

    def read_tensors(self, data):
        """The file's layout: name -> (dtype, shape, bytes); sets `metadata`."""
        require(8 <= len(data) <= FILE_LIMIT, "model: size of the file")
        size = struct.unpack_from("<Q", data)[0]
        require(2 <= size <= HEADER_LIMIT and 8 + size <= len(data), "model: size of the header")
        header = json_object(data[8:8 + size], "model header", 4)
        section = data[8 + size:]
        self.metadata = header.pop("__metadata__", {})
        require(isinstance(self.metadata, dict) and all(isinstance(v, str) for v in self.metadata.values()), "model: metadata")
        raw, ranges = {}, []
        for name, entry in header.items():
            require(isinstance(entry, dict) and set(entry) == {"dtype", "shape", "data_offsets"}, f"model: entry {name}")
            dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
            require(isinstance(dtype, str) and dtype in DTYPES, f"model: dtype of {name}")
            require(isinstance(shape, list) and all(is_count(n, 1, FILE_LIMIT) for n in shape), f"model: shape of {name}")
            require(isinstance(offsets, list) and len(offsets) == 2 and all(is_count(n, 0, len(section)) for n in offsets),
                    f"model: offsets of {name}")
            begin, end = offsets
            count = 1
            for n in shape:
                count *= n
            require(end - begin == count * np.dtype(DTYPES[dtype]).itemsize, f"model: shape and offsets of {name} differ")
            ranges.append((begin, end))
            raw[name] = (dtype, shape, bytes(section[begin:end]))
        at = 0
        for begin, end in sorted(ranges):
            require(begin == at, "model: a gap or an overlap between tensors")
            at = end
        require(at == len(section), "model: bytes left over")
        return raw

    def check_shapes(self, raw):
        expected = expected_tensors(self.graph)
        for name in raw:
            require(name in expected, f"model: the graph does not ask for {name}")
        for name, (dtype, shape) in expected.items():
            require(name in raw, f"model: {name} is missing")
            if shape is None:
                radius = np.frombuffer(raw["entropy.radius"][2], "<i4").astype(np.int64)
                shape = [QUANTIZERS * int(np.sum(16 * (2 * radius + 2)))]
            require(raw[name][:2] == (dtype, shape), f"model: {name} is {raw[name][:2]}, not {(dtype, shape)}")

    def check_values(self):
        def within(name, low, high):
            array = self[name]
            require(array.min() >= low and array.max() <= high, f"model: {name} out of {low}...{high}")

        for name, array in self.tensors.items():
            if array.dtype == np.float32:
                require(bool(np.all(np.isfinite(array))), f"model: {name} is not finite")
                within(name, 0, 1 << 24)
            if name.endswith(".shift"):
                within(name, 0, 8)
        exact = np.rint(np.exp2(23 + np.arange(1024) / 1024)).astype(np.int64)
        require(np.array_equal(self["exp2"], exact), "model: exp2 is not the table of powers")
        for name in ("gain", "igain", "prior.size"):
            within(name, -30720, 30720)
        within("prior.q", -32767, 32767)
        within("prior.log", -127, 127)
        require(self["prior.exp"][0] >= 1, "model: prior.exp starts with zero")
        require(np.array_equal(np.sort(self["prior.order"]), np.arange(64)), "model: prior.order is not a permutation")
        within("prior.source", -1, 63)
        group = group_of_cell(self["prior.order"], self.graph["prior"]["groups"])
        for cell, source in enumerate(self["prior.source"]):
            if masking(self.graph) == "input":
                require(source == cell, "model: prior.source is not the cell itself")
            else:
                require(source < 0 or group[source] == group[cell] - 1, "model: prior.source is not in the group before")
        within("entropy.radius", 1, 127)
        within("entropy.raw", 0, 8)
        within("entropy.frequency", 1, 32767)

    def check_sums(self):
        """No sum of a linear layer, or of the filter, can leave its range, whatever the input."""
        for name, (_, _, _, wide) in linear_layers(self.graph).items():
            weight = np.abs(self[name + ".weight"]).sum(axis=1)
            bias = np.abs(self.tensors.get(name + ".bias", np.zeros(1, np.int64)))
            bias = bias.reshape(-1, bias.shape[-1]).max(axis=0)
            low = np.abs(self[name + ".weight_low"]).sum(axis=1) if "weight" in wide else 0
            if not wide:
                bound, limit = 127 * weight + bias, 1 << 24
            elif wide == "in":
                bound, limit = (128 * 127 + 64) * weight + bias, 1 << 31
            elif wide == "weight":
                bound, limit = 128 * 127 * weight + 127 * low + bias, 1 << 31
            else:
                bound, limit = (128 * 127 + 64) * weight + 127 * low + bias, 1 << 31
            require(bool(np.all(bound < limit)), f"model: a sum of {name} may overflow")
        for name in self.tensors:
            if name.endswith(".depthwise.weight"):
                bound = 127 * np.abs(self[name]).sum(axis=0) + np.abs(self[name[:-len("weight")] + "bias"])
                require(bool(np.all(bound < 1 << 24)), f"model: a sum of {name} may overflow")
        for name in FILTERS if has_filter(self.graph) else ():
            weight = np.abs(self[name]).reshape(-1, len(PAIRS), len(LIMITS), CLASSES).sum(axis=1)
            require(bool(np.all(2 * np.array(LIMITS) @ weight < 1 << 29)), f"model: a sum of {name} may overflow")

    def __getitem__(self, name):
        return self.tensors[name]

    def matrix(self, name):
        """A weight matrix as doubles, kept for the next call."""
        if name not in self.doubles:
            self.doubles[name] = self[name].astype(np.float64)
        return self.doubles[name]


@dataclasses.dataclass
class Table:
    """One table of section 7.2. `starts` lists 2R + 3 numbers from 0 to 32768, `centroids` 2R + 2, one for each entry."""
    radius: int
    raw: int
    starts: list
    centroids: list


class EntropyTables:
    """All tables: `tables[quantizer][level][fraction + 8]`. Raw bits and radius by level, `raw` and `radius`, are those of both quantizers."""

    def __init__(self, model):
        self.radius, self.raw = model["entropy.radius"], model["entropy.raw"]
        self.tables, at = [], 0
        for quantizer in range(QUANTIZERS):
            self.tables.append([])
            for level, (radius, raw) in enumerate(zip(self.radius.tolist(), self.raw.tolist())):
                size = 2 * radius + 2
                rows, centroids = (model[f"entropy.{name}"][at:at + 16 * size].reshape(16, size) for name in ("frequency", "centroid"))
                at += 16 * size
                require(bool(np.all(rows.sum(axis=1) == 32768)), f"model: a table of quantizer {quantizer}, level {level} does not sum to 32768")
                self.tables[-1].append([Table(radius, raw, [0] + np.cumsum(row).tolist(), c.tolist()) for row, c in zip(rows, centroids)])


def read_model(path):
    with open(path, "rb") as file:
        return Model(file.read())


# ---------------------------------------------------------------- 0. conventions

def sat16(x):
    return np.clip(x, -32768, 32767)


def clamp8(x):
    return np.clip(x, -127, 127)


def fl(x):
    """Integers to single, round to nearest even (one conversion, not through double)."""
    return np.asarray(x, np.int64).astype(np.float32)


def rnd(x):
    """Singles to integers: clamp to 2^21, ties to even."""
    assert x.dtype == np.float32
    return np.rint(np.clip(x, np.float32(-2097152.0), np.float32(2097152.0))).astype(np.int64)


def make_crc32c_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


CRC32C_TABLE = make_crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC32C_TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def zigzag(value):
    return 2 * value if value >= 0 else -2 * value - 1


def unzigzag(code):
    return code >> 1 if code & 1 == 0 else -(code + 1 >> 1)


def write_varint(value):
    assert 0 <= value < 1 << 32
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


class Reader:
    """Reads fields one after the other; `what` names the structure in errors."""

    def __init__(self, data, what):
        self.data, self.what, self.at = bytes(data), what, 0

    def left(self):
        return len(self.data) - self.at

    def take(self, count, field):
        require(count <= self.left(), f"{self.what}: ends inside {field}")
        self.at += count
        return self.data[self.at - count:self.at]

    def u8(self, field):
        return self.take(1, field)[0]

    def u16(self, field):
        return int.from_bytes(self.take(2, field), "little")

    def u32(self, field):
        return int.from_bytes(self.take(4, field), "little")

    def varint(self, field):
        value = 0
        for i in range(5):
            byte = self.u8(field)
            value |= (byte & 127) << 7 * i
            if byte < 128:
                require(byte or i == 0, f"{self.what}: {field} has a superfluous zero byte")
                require(value < 1 << 32, f"{self.what}: {field} is too large")
                return value
        raise M2tError(f"{self.what}: {field} has more than five bytes")


# ---------------------------------------------------------------- 1. byte stream

def escape(frame):
    out = bytearray()
    zeros = 0
    for byte in frame:
        if zeros == 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


def unescape(body):
    out = bytearray()
    zeros = 0
    for byte in body:
        if zeros >= 2 and byte == 3:
            zeros = 0
            continue
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


def write_unit(frame):
    body = escape(frame)
    assert len(body) <= UNIT_MAX
    return SYNC + bytes(128 | len(body) >> shift & 127 for shift in (21, 14, 7, 0)) + body


def read_units(data):
    """Yields the framed frame of every whole unit; what is no unit is passed over."""
    at = data.find(SYNC)
    while at >= 0:
        length, begin = data[at + 4:at + 8], at + 8
        following = data.find(SYNC, at + 4)
        if len(length) == 4 and min(length) >= 128:
            size = sum((byte & 127) << shift for byte, shift in zip(length, (21, 14, 7, 0)))
            limit = len(data) if following < 0 else following
            if size <= UNIT_MAX and begin + size <= limit:
                yield unescape(data[begin:begin + size])
                following = data.find(SYNC, begin + size)
        at = following


# ---------------------------------------------------------------- 2. frame

@dataclasses.dataclass
class Frame:
    """The fields of a frame; q4 is q in quarter steps, `sequence` the bytes of a sequence header or None; a slice that is None is missing."""
    number: int
    q4: int
    lanes: int
    sequence: bytes | None
    slices: list
    inter: bool = False
    exact: bool = False          # slices say which of their tokens are


def write_frame(frame):
    flags = frame.exact << 6 | LANES.index(frame.lanes) << 4 | (4 if frame.sequence is not None else 0) | frame.inter
    out = bytearray([flags, frame.number & 255, frame.q4])
    if frame.sequence is not None:
        out += write_varint(len(frame.sequence)) + frame.sequence
    out += write_varint(len(frame.slices))
    for data in frame.slices:
        out += write_varint(0 if data is None else len(data))
    out += struct.pack("<H", crc32c(out) & 0xFFFF)
    for data in frame.slices:
        if data is not None:
            assert data
            out += struct.pack("<I", crc32c(data)) + data
    return bytes(out)


def read_frame(data):
    reader = Reader(data, "frame")
    flags = reader.u8("flags")
    number, q4 = reader.u8("number"), reader.u8("q")
    require(flags & 3 <= 1, f"frame: reserved type {flags & 3}")
    require(flags >> 7 == 0, "frame: reserved flags are set")
    require(flags >> 4 & 3 < 3, "frame: reserved number of lanes")
    require(q4 <= 252, f"frame: q of {q4} quarter steps")
    sequence = None
    if flags & 4:
        sequence = reader.take(reader.varint("sequence length"), "sequence")
    require(not flags & 8, "frame: has an extension, made by a later version")
    count = reader.varint("slices")
    require(1 <= count <= SLICES_MAX, f"frame: {count} slices")
    lengths = [reader.varint("length") for _ in range(count)]
    computed = crc32c(reader.data[:reader.at]) & 0xFFFF
    require(reader.u16("check") == computed, "frame: the checksum of the header does not agree")
    slices = []
    for length in lengths:
        check = reader.u32("slice checksum") if length else 0
        content = reader.take(length, "slice")
        slices.append(content if length and crc32c(content) == check else None)
    require(reader.left() == 0, f"frame: {reader.left()} bytes too many")
    require(any(content is not None for content in slices), "frame: all slices are missing, or their checksums do not agree")
    return Frame(number, q4, LANES[flags >> 4 & 3], sequence, slices, flags & 3 == 1, flags >> 6 & 1 == 1)


# ---------------------------------------------------------------- 3. sequence header

@dataclasses.dataclass
class Sequence:
    """A sequence header; optional fields are None when absent."""
    model: bytes                 # first 16 bytes of the model's identity
    width: int                   # luma samples
    height: int
    rate: tuple | None = None    # frames per second: numerator, denominator
    aspect: tuple | None = None  # of a pixel: numerator, denominator
    colour: tuple | None = None  # range, matrix, transfer, primaries
    site: int | None = None      # of chroma, a set of bits
    mastering: tuple | None = None  # eight chromaticities in 1/50000, then maximum and minimum in 1/10000 cd/m2
    light: tuple | None = None      # maximum content light level, maximum frame average, cd/m2


def write_sequence(s):
    optional = (s.rate, s.aspect, s.colour, s.site, s.mastering, s.light)
    out = bytearray([VERSION]) + s.model + write_varint(s.width) + write_varint(s.height)
    out.append(sum(4 << i for i, field in enumerate(optional) if field is not None))
    for pair in (s.rate, s.aspect):
        if pair is not None:
            out += write_varint(pair[0]) + write_varint(pair[1])
    if s.colour is not None:
        out += bytes(s.colour)
    if s.site is not None:
        out.append(s.site)
    if s.mastering is not None:
        out += struct.pack("<8H2I", *s.mastering)
    if s.light is not None:
        out += struct.pack("<2H", *s.light)
    return bytes(out)


def read_sequence(data):
    reader = Reader(data, "sequence header")
    version = reader.u8("version")
    require(version == VERSION, f"sequence header: version {version}")
    s = Sequence(reader.take(16, "model"), reader.varint("width"), reader.varint("height"))
    require(16 <= s.width <= 8192 and 16 <= s.height <= 8192, f"sequence header: size {s.width}x{s.height}")
    fields = reader.u8("format")
    require(fields & 3 == 0, f"sequence header: reserved format {fields & 3}")
    if fields & 4:
        s.rate = (reader.varint("frame rate"), reader.varint("frame rate"))
        require(s.rate[1] >= 1 and max(s.rate) < 1 << 31, "sequence header: frame rate")
    if fields & 8:
        s.aspect = (reader.varint("pixel aspect"), reader.varint("pixel aspect"))
        require(min(s.aspect) >= 1 and max(s.aspect) < 1 << 31, "sequence header: pixel aspect")
    if fields & 16:
        s.colour = tuple(reader.take(4, "colour"))
        require(s.colour[0] <= 2, f"sequence header: reserved range {s.colour[0]}")
    if fields & 32:
        s.site = reader.u8("chroma site")
        require(s.site < 16, "sequence header: reserved chroma site")
    if fields & 64:
        s.mastering = struct.unpack("<8H2I", reader.take(24, "mastering display"))
    if fields & 128:
        s.light = struct.unpack("<2H", reader.take(4, "content light"))
    require(reader.left() == 0, f"sequence header: {reader.left()} bytes left over")
    return s


# ---------------------------------------------------------------- 4. geometry

def token_grid(width, height):
    """Size in samples -> rows and columns of tokens."""
    return (height + 15) // 16, (width + 15) // 16


def slice_bounds(rows, slices):
    """Rows of tokens and number of slices -> first row and the one after the last of each."""
    require(slices <= rows, f"frame: {slices} slices, but {rows} rows of tokens")
    starts = [s * rows // slices for s in range(slices + 1)]
    return list(zip(starts, starts[1:]))


def planes_to_samples(planes):
    """Planes Y [H][W], U and V [(H+1)/2][(W+1)/2] -> samples 0...255 of the padded picture in the order of patches [PH/8][PW/8][96]."""
    height, width = planes[0].shape
    rows, cols = token_grid(width, height)
    channels = []
    for plane, size in zip(planes, (8, 4, 4)):
        h, w = 2 * rows * size, 2 * cols * size
        padded = np.pad(plane, ((0, h - plane.shape[0]), (0, w - plane.shape[1])), mode="edge").astype(np.int64)
        blocks = padded.reshape(2 * rows, size, 2 * cols, size).transpose(0, 2, 1, 3)
        channels.append(blocks.reshape(2 * rows, 2 * cols, size * size))
    return np.concatenate(channels, axis=2)


def samples_to_patches(samples):
    return np.maximum(samples - 128, -127)


def planes_to_patches(planes):
    return samples_to_patches(planes_to_samples(planes))


def padded_planes(patches):
    """Values [PH/8][PW/8][96] -> planes [PH][PW] and twice [PH/2][PW/2], with what lies outside the picture."""
    rows, cols, _ = patches.shape
    planes = []
    for begin, size in ((0, 8), (64, 4), (80, 4)):
        blocks = patches[:, :, begin:begin + size * size].reshape(rows, cols, size, size)
        planes.append(blocks.transpose(0, 2, 1, 3).reshape(rows * size, cols * size))
    return planes


def patches_to_planes(samples, width, height):
    """Samples 0...255 [PH/8][PW/8][96] -> planes as uint8; what lies outside the picture is dropped."""
    half = (width + 1) // 2, (height + 1) // 2
    return [plane[:h, :w].astype(np.uint8) for plane, (w, h) in zip(padded_planes(samples), ((width, height), half, half))]


def unshuffle(x):
    """[2r][2c][C] -> [r][c][4C], channel 4c + 2dy + dx."""
    rows, cols, channels = x.shape
    x = x.reshape(rows // 2, 2, cols // 2, 2, channels).transpose(0, 2, 4, 1, 3)
    return x.reshape(rows // 2, cols // 2, 4 * channels)


def shuffle(x):
    """[r][c][4C] -> [2r][2c][C], the inverse of unshuffle."""
    rows, cols, channels = x.shape
    x = x.reshape(rows, cols, channels // 4, 2, 2).transpose(0, 3, 1, 4, 2)
    return x.reshape(2 * rows, 2 * cols, channels // 4)


def to_patches(tokens):
    """What is known of tokens [r][c] -> the same of their patches [2r][2c][1]."""
    return np.repeat(np.repeat(tokens, 2, axis=0), 2, axis=1)[:, :, None]


class PriorGrid:
    """Cells of the prior grid of a slice, numbered in raster order: index = row * GW + column.

    row, col, place, group  [cells]      place: 0...63 in the window
    source                  [cells]      the cell whose latents enter there, or -1
    members[kind]           [cells][64]  the cells of its attention window, -1 where there is none
    groups                  list of [n]  cells of each group, windows in raster order, then coding order
    token                   [cells]      number of the token in raster order over the slice, or -1 outside
    """

    def __init__(self, model, rows, cols):
        order, places = model["prior.order"], model["prior.source"]
        sizes = model.graph["prior"]["groups"]
        height, width = -(-rows // 8) * 8, -(-cols // 8) * 8
        self.cells = height * width
        self.row, self.col = (a.ravel() for a in np.mgrid[0:height, 0:width])
        self.place = self.row % 8 * 8 + self.col % 8
        self.group = group_of_cell(order, sizes)[self.place]
        corner = (self.row - self.row % 8) * width + self.col - self.col % 8
        source = places[self.place]
        self.source = np.where(source < 0, -1, corner + source // 8 * width + source % 8)
        self.token = np.where((self.row < rows) & (self.col < cols), self.row * cols + self.col, -1)
        self.members = {"window": self.attention_window(height, width, 0), "shifted": self.attention_window(height, width, 4)}
        windows = np.unique(corner)
        in_window = order // 8 * width + order % 8
        ends = np.cumsum(sizes)
        self.groups = [(windows[:, None] + in_window[end - size:end]).ravel() for size, end in zip(sizes, ends)]

    def attention_window(self, height, width, shift):
        inside = np.arange(64)
        rows = ((self.row + shift) // 8 * 8 - shift)[:, None] + inside // 8
        cols = ((self.col + shift) // 8 * 8 - shift)[:, None] + inside % 8
        exists = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
        return np.where(exists, rows * width + cols, -1)


# ---------------------------------------------------------------- 5. quantizer

def interp(table, q4):
    """Rows of a table [anchors][C] (or bias rows) at q4 -> [C]."""
    position = (len(table) - 1) * q4
    i = min(position // 252, len(table) - 2)
    f = position - 252 * i
    return (table[i] * (252 - f) + table[i + 1] * f + 126) // 252


def exp2(model, v):
    """Integers in 1/1024 octave -> singles, exact."""
    return np.ldexp(fl(model["exp2"][v & 1023]), ((v >> 10) - 23).astype(np.int32))


class Quantizer:
    """What a frame's q makes of the tables; all arrays [L]."""

    def __init__(self, model, q4):
        self.q4 = q4
        self.gain = exp2(model, interp(model["gain"], q4))
        self.igain = exp2(model, interp(model["igain"], q4))
        self.lsize = interp(model["prior.size"], q4)
        self.size = exp2(model, self.lsize)
        self.feature = exp2(model, 4 * 1024 - self.lsize)


# ---------------------------------------------------------------- 6. layers

def no_trace(name, array):
    """Where a `trace` argument is not given, intermediate results go nowhere."""


def product(x, matrix):
    """Integers [...][K], matrix [N][K] of doubles -> exact integers [...][N]."""
    return (x.astype(np.float64) @ matrix.T).astype(np.int64)


def bias_of(model, name):
    return model.tensors.get(name + ".bias", np.int64(0))


def linear(model, name, x, bias=None):
    """Sums [...][N] of a layer whose input and weights have 8 bits."""
    return product(x, model.matrix(name + ".weight")) + (bias_of(model, name) if bias is None else bias)


def split_wide(x):
    """Clamps to 15 bits and cuts in two: x = 128 * hi + lo."""
    v = np.clip(x, -WIDE, WIDE)
    hi = (v + 64) >> 7
    return hi, v - 128 * hi


def linear_wide_input(model, name, x, bias=None):
    hi, lo = split_wide(x)
    weight = model.matrix(name + ".weight")
    return 128 * product(hi, weight) + product(lo, weight) + (bias_of(model, name) if bias is None else bias)


def linear_wide_weights(model, name, x):
    high, low = model.matrix(name + ".weight"), model.matrix(name + ".weight_low")
    return 128 * product(x, high) + product(x, low) + bias_of(model, name)


def linear_wide_both(model, name, x):
    hi, lo = split_wide(x)
    high, low = model.matrix(name + ".weight"), model.matrix(name + ".weight_low")
    return 128 * product(hi, high) + product(lo, high) + product(hi, low) + bias_of(model, name)


def to32(model, name, acc):
    return rnd(fl(acc) * model[name + ".scale"])


def to16(model, name, acc):
    return sat16(to32(model, name, acc))


def to8(model, name, acc):
    return clamp8(to32(model, name, acc))


def relu8(model, name, acc):
    return clamp8(to32(model, name, acc) - 127)


def add16(model, name, stream, acc):
    return sat16(stream + to16(model, name, acc))


def narrow(stream, shift):
    s = int(shift[0])
    return clamp8((stream + (1 << s >> 1)) >> s)


def depthwise(model, name, x):
    """3x3 per channel on [rows][cols][C], zero outside: output (r, c) takes input (r+i-1, c+j-1) times weight[3i+j]."""
    rows, cols, _ = x.shape
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    acc = np.broadcast_to(model[name + ".bias"], x.shape).copy()
    for tap, weight in enumerate(model[name + ".weight"]):
        i, j = divmod(tap, 3)
        acc += weight * padded[i:i + rows, j:j + cols]
    return acc


def run_block(model, name, stream):
    """One block of a transform on a residual stream [rows][cols][C]."""
    channels = stream.shape[2]
    a = narrow(stream, model[name + ".shift"])
    a = to8(model, name + ".depthwise", depthwise(model, name + ".depthwise", a))
    a = to8(model, name + ".expand", linear(model, name + ".expand", a))
    u, g = a[:, :, :channels], a[:, :, channels:]
    a = clamp8((u * (g + 127) + 64) >> 7)
    return add16(model, name + ".project", stream, linear(model, name + ".project", a))


def run_blocks(model, side, at, stream, trace):
    for i in range(model.graph[side]["blocks" + at]):
        stream = run_block(model, f"{side}.block{at}.{i}", stream)
        trace(f"{side}.block{at}.{i}", stream)
    return stream


def norm(stream, weight):
    """Rows [...][d] of integers -> rnd(...) before the clamp of norm8 or norm16."""
    d = stream.shape[-1]
    s1 = stream.sum(axis=-1, keepdims=True)
    s2 = (stream * stream).sum(axis=-1, keepdims=True)
    v = d * s2 - s1 * s1
    t = np.where(v == 0, np.float32(0), np.float32(1) / np.sqrt(fl(np.maximum(v, 1))))
    return rnd((fl(d * stream - s1) * t) * weight)


def norm8(stream, weight):
    return clamp8(norm(stream, weight))


def norm16(stream, weight):
    return sat16(norm(stream, weight))


# ---------------------------------------------------------------- 6.1 analysis

def analysis_shortcut(model, patches):
    return to32(model, "analysis.shortcut", linear_wide_weights(model, "analysis.shortcut", unshuffle(patches)))


def quantize(quantizer, x):
    return np.clip(rnd(fl(x) * quantizer.gain), -16383, 16383)


def analysis(model, quantizer, patches, trace=no_trace):
    """Patches [PH/8][PW/8][96] -> latents y [TH][TW][L]."""
    bias = interp(model["analysis.in.bias"], quantizer.q4)
    stream = to16(model, "analysis.in", linear(model, "analysis.in", patches, bias))
    trace("analysis.in", stream)
    stream = run_blocks(model, "analysis", "8", stream, trace)
    x = unshuffle(narrow(stream, model["analysis.down.shift"]))
    stream = to16(model, "analysis.down", linear(model, "analysis.down", x))
    trace("analysis.down", stream)
    stream = run_blocks(model, "analysis", "16", stream, trace)
    t = to32(model, "analysis.out", linear_wide_input(model, "analysis.out", stream))
    s = analysis_shortcut(model, patches)
    trace("analysis.out", t)
    trace("analysis.shortcut", s)
    return quantize(quantizer, s + t)


# ---------------------------------------------------------------- 6.2 synthesis

def dequantize(quantizer, y, centroid):
    return np.clip(rnd(fl(128 * y + centroid) * (quantizer.igain / np.float32(128))), -WIDE, WIDE)


def dequantize_exact(model, quantizer, samples):
    """Samples 0...255 [2r][2c][96] -> what the d of these tokens [r][c][L] are where they are exact."""
    return dequantize(quantizer, quantize(quantizer, analysis_shortcut(model, samples_to_patches(samples))), 0)


def synthesis(model, quantizer, y, centroid, trace=no_trace):
    """Latents and their centroids [TH][TW][L], no token exact -> samples 0...255 [PH/8][PW/8][96]."""
    return show(model, quantizer, dequantize(quantizer, y, centroid), trace=trace)


def show(model, quantizer, d, exact=None, samples=None, trace=no_trace):
    """The same from dequantized values d, some of which may be those of another frame.

    `exact` [TH][TW] says which tokens are exact; `samples` [PH/8][PW/8][96] are those of these tokens.
    """
    v = synthesize(model, quantizer, d, trace)
    if exact is None:
        return filter_picture(model, quantizer, v, trace)
    filtered = filter_picture(model, quantizer, np.where(to_patches(exact), 64 * samples, v), trace)
    return np.where(to_patches(exact), samples, filtered)


def synthesize(model, quantizer, d, trace=no_trace):
    """d [TH][TW][L] -> the values v [PH/8][PW/8][96], samples in 1/64 before the filter."""
    trace("synthesis.dequantized", d)
    bias = interp(model["synthesis.in.bias"], quantizer.q4)
    stream = to16(model, "synthesis.in", linear_wide_input(model, "synthesis.in", d, bias))
    trace("synthesis.in", stream)
    stream = run_blocks(model, "synthesis", "16", stream, trace)
    x = narrow(stream, model["synthesis.up.shift"])
    stream = shuffle(to16(model, "synthesis.up", linear(model, "synthesis.up", x)))
    trace("synthesis.up", stream)
    stream = run_blocks(model, "synthesis", "8", stream, trace)
    t = to32(model, "synthesis.out", linear_wide_input(model, "synthesis.out", stream))
    s = shuffle(to32(model, "synthesis.shortcut", linear_wide_both(model, "synthesis.shortcut", d)))
    trace("synthesis.out", t)
    trace("synthesis.shortcut", s)
    v = np.clip(s + t + 128 * 64, 0, 255 * 64)
    trace("synthesis.v", v)
    return v


# ---------------------------------------------------------------- 6.3 prior

class Prior:
    """The prior of one slice: its latents so far, and the keys and values of all cells that ran.

    `latents` [cells][L] on the prior grid; whoever uses the prior fills it in. If attention is masked, `trunk` runs any
    set of cells: all at once when all latents are known, or group after group; the results are the
    same. If only the input is masked, it runs all cells again for each group.
    """

    def __init__(self, model, quantizer, rows, cols, trace=no_trace):
        self.model, self.quantizer, self.trace = model, quantizer, trace
        self.graph = model.graph["prior"]
        self.one_pass = masking(model.graph) != "input"
        self.known = 0                              # groups whose latents may enter, if only the input is masked
        self.grid = PriorGrid(model, rows, cols)
        self.latents = np.zeros((self.grid.cells, model.graph["latents"]), np.int64)
        layers, heads, width = len(self.graph["layers"]), self.graph["heads"], self.graph["width"]
        self.keys = np.zeros((layers, self.grid.cells, heads, width // heads), np.int64)
        self.values = np.zeros_like(self.keys)
        ends = np.cumsum(self.graph["parts"])
        self.parts = [np.arange(end - size, end) for size, end in zip(self.graph["parts"], ends)]

    def features(self, cells, channels):
        """The t of e(y), then the log: [n][2 * channels]."""
        t = clamp8(rnd(fl(self.latents[cells][:, channels]) * self.quantizer.feature[channels]))
        return np.concatenate([t, self.model["prior.log"][np.abs(t)]], axis=1)

    def embed(self, cells):
        """Slots: what their streams start with, [n][d]."""
        model = self.model
        source = self.grid.source[cells]
        every = np.arange(self.latents.shape[1])
        acc = linear(model, "prior.embed", self.features(np.maximum(source, 0), every))
        entered = to16(model, "prior.embed", acc)
        if self.one_pass:
            entered = np.where(source[:, None] < 0, 0, entered)
        else:
            entered = np.where(self.grid.group[cells][:, None] < self.known, entered, model["prior.mask"])
        return sat16(entered + model["prior.slot"][self.grid.place[cells]] + interp(model["prior.q"], self.quantizer.q4))

    def attend(self, layer, cells, query):
        """Step 2 of a layer: query [n][heads][e] -> o [n][d]."""
        model, grid, name = self.model, self.grid, f"prior.layer.{layer}"
        members = grid.members[self.graph["layers"][layer]][cells]                       # [n][64]
        visible = (members >= 0) & ((grid.group[members] <= grid.group[cells][:, None]) | (not self.one_pass))
        dy = grid.row[cells][:, None] - grid.row[members]
        dx = grid.col[cells][:, None] - grid.col[members]
        offset = np.where(visible, 15 * (dy + 7) + dx + 7, 0)
        keys, values = self.keys[layer][members], self.values[layer][members]            # [n][64][heads][e]
        sums = np.einsum("nhe,nmhe->nhm", query, keys)
        logits = rnd(fl(sums) * model[name + ".logit"][:, None]) + model[name + ".rel"][:, offset].transpose(1, 0, 2)
        logits = np.where(visible[:, None], logits, -(1 << 30))
        distance = logits.max(axis=2, keepdims=True) - logits
        e = np.where(distance < 256, model["prior.exp"][np.minimum(distance, 255)], 0)   # [n][heads][64]
        total = e.sum(axis=2)[:, :, None]
        a = np.einsum("nhm,nmhe->nhe", e, values)
        mixed = fl(a) * (np.float32(1) / fl(total))
        return clamp8(rnd(mixed.reshape(len(cells), -1) * model[name + ".context"]))

    def run_layer(self, layer, cells, stream):
        """Steps 1 to 4 on the streams [n][d] of these cells; keeps their keys and values."""
        model, name = self.model, f"prior.layer.{layer}"
        x = norm8(stream, model[name + ".norm1"])
        qkv = to8(model, name + ".qkv", linear(model, name + ".qkv", x))
        query, key, value = qkv.reshape(len(cells), 3, self.graph["heads"], -1).transpose(1, 0, 2, 3)
        self.keys[layer, cells], self.values[layer, cells] = key, value
        o = np.concatenate([self.attend(layer, cells[i:i + 512], query[i:i + 512]) for i in range(0, len(cells), 512)])
        stream = add16(model, name + ".out", stream, linear(model, name + ".out", o))
        x = norm8(stream, model[name + ".norm2"])
        x = relu8(model, name + ".fc1", linear(model, name + ".fc1", x))
        return add16(model, name + ".fc2", stream, linear(model, name + ".fc2", x))

    def trunk(self, cells):
        """Embedding and all layers for these cells -> H [n][d]. Their sources and earlier groups must be there."""
        stream = self.embed(cells)
        self.trace("prior.embed", stream)
        for layer in range(len(self.graph["layers"])):
            stream = self.run_layer(layer, cells, stream)
            self.trace(f"prior.layer.{layer}", stream)
        return norm16(stream, self.model["prior.norm"])

    def run_group(self, group):
        """-> cells of the group inside the token grid, H [n][d]. The latents of earlier groups must be there."""
        cells = self.grid.groups[group]
        if self.one_pass:
            state = self.trunk(cells)
        else:
            self.known = group
            state = self.trunk(np.arange(self.grid.cells))[cells]
        here = self.grid.token[cells] >= 0
        return cells[here], state[here]

    def predict(self, k, cells, state):
        """Part k of the channels of these cells -> the new H [n][d], mean and level [n][channels of the part].

        Parts go in order; the latents of the part before must be there.
        """
        model, entropy = self.model, self.model.graph["entropy"]
        shift = model["prior.shift"]
        if k > 0:
            name = f"prior.step.{k}"
            x = np.concatenate([narrow(state, shift), self.features(cells, self.parts[k - 1])], axis=1)
            x = relu8(model, name + ".fc1", linear(model, name + ".fc1", x))
            state = add16(model, name + ".fc2", state, linear(model, name + ".fc2", x))
        name, channels, n = f"prior.head.{k}", self.parts[k], len(self.parts[k])
        acc = linear(model, name, narrow(state, shift), model[name + ".bias"][self.grid.group[cells]])
        scale = model[name + ".scale"]
        mean = np.clip(rnd(fl(acc[:, :n]) * (scale[:n] * self.quantizer.size[channels])), -262128, 262128)
        v = np.clip(rnd(fl(acc[:, n:]) * scale[n:]), -self.graph["limit"], self.graph["limit"])
        v = v + self.quantizer.lsize[channels]
        level = np.clip((v - entropy["base"]) // entropy["step"], 0, entropy["levels"] - 1)
        return state, mean, level


def predict_at_once(model, quantizer, y, trace=no_trace):
    """All groups, in one pass if attention is masked: latents of a slice [rows][TW][L] -> mean, level [rows * TW][L]."""
    rows, cols, latents = y.shape
    prior = Prior(model, quantizer, rows, cols, trace)
    grid = prior.grid
    inside = np.flatnonzero(grid.token >= 0)
    prior.latents[inside] = y.reshape(-1, latents)
    mean = np.empty((rows * cols, latents), np.int64)
    level = np.empty_like(mean)
    if prior.one_pass:
        runs = [(inside, prior.trunk(np.arange(grid.cells))[inside])]
    else:
        runs = map(prior.run_group, range(len(grid.groups)))
    for cells, state in runs:
        for k, channels in enumerate(prior.parts):
            at = np.ix_(grid.token[cells], channels)
            state, mean[at], level[at] = prior.predict(k, cells, state)
            trace(f"prior.state.{k}", state)
    return mean, level


# ---------------------------------------------------------------- 6.4 filter

DIRECTIONS = ((-1, 0), (0, -1), (-1, -1), (-1, 1))    # where a lies; b is as far the other way
ACTIVITIES = (512, 1024, 2304, 5120)


def opposite(plane, row, col):
    """a and b for every v of a plane: a is `row` and `col` away, b as far the other way; beyond the edges, the nearest inside."""
    height, width = plane.shape
    around = np.pad(plane, 2, mode="edge")
    return [around[2 + r:2 + r + height, 2 + c:2 + c + width] for r, c in ((row, col), (-row, -col))]


def block_classes(luma):
    """v of luma [PH][PW] -> the class of each block [PH/4][PW/4]."""
    height, width = luma.shape
    rough = []
    for row, col in DIRECTIONS:
        a, b = opposite(luma, row, col)
        bend = np.abs(2 * luma - a - b) >> 4
        rough.append(bend.reshape(height // 4, 4, width // 4, 4).sum(axis=(1, 3)))
    rough = np.array(rough)
    smoothest = np.argmin(rough, axis=0)               # the first among equals
    least = np.take_along_axis(rough, smoothest[None], axis=0)[0]
    across = np.take_along_axis(rough, smoothest[None] ^ 1, axis=0)[0]
    side = np.where(smoothest < 2, rough[3] < rough[2], rough[1] < rough[0])
    strength = (across > 2 * least).astype(np.int64) + (across > 4 * least)
    activity = np.searchsorted(ACTIVITIES, rough[0] + rough[1], side="right")
    return ((2 * smoothest + side) * 3 + strength) * 5 + activity


def filter_plane(v, blocks, weight):
    """v of a plane, the class of each block, weights [pair][limit][class] -> samples 0...255."""
    size = len(v) // len(blocks)
    place = np.repeat(np.repeat(blocks, size, axis=0), size, axis=1)
    r = np.zeros_like(v)
    for pair, (row, col) in enumerate(PAIRS):
        a, b = opposite(v, row, col)
        for k, limit in enumerate(LIMITS):
            f = np.clip(a - v, -limit, limit) + np.clip(b - v, -limit, limit)
            r += (f * weight[pair, k][place] + 16384) >> 15
    return np.clip((v + r + 32) >> 6, 0, 255)


def filter_picture(model, quantizer, v, trace=no_trace):
    """v -> samples 0...255, both [PH/8][PW/8][96]."""
    if not has_filter(model.graph):
        return np.clip((v + 32) >> 6, 0, 255)
    planes = padded_planes(v)
    blocks = block_classes(planes[0])
    trace("filter.class", blocks)
    weights = [interp(model[name], quantizer.q4).reshape(len(PAIRS), len(LIMITS), CLASSES) for name in FILTERS]
    return planes_to_samples([filter_plane(plane, blocks, weight) for plane, weight in zip(planes, weights)])


# ---------------------------------------------------------------- 7. slice

def write_exceptions(values):
    """Values [TH * TW * L], zero where there is no exception."""
    positions = np.flatnonzero(values)
    out = write_varint(len(positions))
    previous = -1
    for position in positions.tolist():
        out += write_varint(position - previous - 1) + write_varint(zigzag(int(values[position])))
        previous = position
    return out


def read_exceptions(reader, count):
    """-> values [count], zero where there is no exception."""
    values = np.zeros(count, np.int64)
    position = -1
    for _ in range(reader.varint("number of exceptions")):
        position += reader.varint("position of an exception") + 1
        require(position < count, "slice: an exception lies outside the picture")
        value = unzigzag(reader.varint("value of an exception"))
        require(value != 0, "slice: an exception is zero")
        require(-16384 <= value <= 16383, "slice: an exception is out of range")
        values[position] = value
    return values


def code_latents(model, quantizer, latents, left_out, coder):
    """Latents of a slice [rows][TW][L] -> what they are, their centroids, and which are coded. `left_out` [rows * TW]: tokens that are kept or exact.

    Both directions take the same steps. Latents that are not coded stay as they are given, which in a decoder are the exceptions. Of those
    that are, only an encoder heeds what is given: it codes what is nearest.
    """
    rows, cols, channels = latents.shape
    prior = Prior(model, quantizer, rows, cols)
    grid, skip = prior.grid, model.graph["entropy"]["skip"]
    inside = np.flatnonzero(grid.token >= 0)
    prior.latents[inside] = latents.reshape(-1, channels)
    centroid, coded = np.zeros_like(prior.latents), np.zeros(prior.latents.shape, bool)
    for group in range(len(grid.groups)):
        cells, state = prior.run_group(group)
        here = ~left_out[grid.token[cells]]
        for k, part in enumerate(prior.parts):
            state, mean, level = prior.predict(k, cells, state)
            at = np.ix_(cells[here], part)
            coded[at] = level[here] >= skip
            prior.latents[at], centroid[at] = code_part(coder, prior.latents[at], coded[at], mean[here], level[here])
    return tuple(x[inside].reshape(latents.shape) for x in (prior.latents, centroid, coded))


def encode_slice(model, quantizer, y, lanes, left_out=None):
    """Latents of a slice [rows][TW][L] -> its exceptions and words; `left_out` [rows * TW] says which tokens are kept or exact."""
    rows, cols, _ = y.shape
    left_out = np.zeros(rows * cols, bool) if left_out is None else left_out
    coder = RansEncoder(model)
    y, _, coded = code_latents(model, quantizer, np.where(left_out.reshape(rows, cols, 1), 0, y), left_out, coder)
    return write_exceptions(np.where(coded, 0, y).ravel()) + coder.finish(lanes)


def decode_slice(model, quantizer, data, rows, cols, lanes, left_out=None):
    """Exceptions and words of a slice -> its latents and their centroids [rows][TW][L]; those of tokens that are kept or exact are zero."""
    left_out = np.zeros(rows * cols, bool) if left_out is None else left_out
    reader, latents = Reader(data, "slice"), model.graph["latents"]
    exceptions = read_exceptions(reader, rows * cols * latents).reshape(rows, cols, latents)
    require(not exceptions[left_out.reshape(rows, cols)].any(), "slice: an exception lies in a token that is kept or exact")
    coder = RansDecoder(model, data[reader.at:], lanes)
    y, centroid, _ = code_latents(model, quantizer, exceptions, left_out, coder)
    coder.finish()
    return y, centroid


def choose_latents(model, quantizer, y, slices=1, left_out=None):
    """Latents of a picture [TH][TW][L] -> those that an encoder codes for them, and their centroids; `left_out` [TH][TW]: tokens kept or exact."""
    left_out = np.zeros(y.shape[:2], bool) if left_out is None else left_out
    y = np.where(left_out[:, :, None], 0, y)
    parts = [code_latents(model, quantizer, y[begin:end], left_out[begin:end].ravel(), RansEncoder(model))[:2]
             for begin, end in slice_bounds(len(y), slices)]
    return tuple(map(np.concatenate, zip(*parts)))


# ---------------------------------------------------------------- 7.1 head

def run_lengths(chosen):
    """Flags [n], not all of them False -> the length of each run, the first is one of True."""
    turns = np.flatnonzero(np.diff(np.concatenate([[True], chosen])))         # where a run begins that is not the first
    return np.diff(np.concatenate([[0], turns, [len(chosen)]])).tolist()


def read_runs(reader, runs, tokens):
    """-> flags [tokens] of that many runs, at least one."""
    chosen, begin = np.zeros(tokens, bool), 0
    for i in range(runs - 1):
        length = reader.varint("length of a run")
        require(length > 0 or i == 0, "slice: an empty run")
        require(begin + length < tokens, "slice: runs of more tokens than there are")
        chosen[begin:begin + length] = i % 2 == 0
        begin += length
    chosen[begin:] = runs % 2 == 1
    return chosen


def write_head(kept, reference):
    """Which tokens are kept [n], and the CRC-32C that the slice had in the frame before."""
    if not kept.any():
        return write_varint(0)
    lengths = run_lengths(kept)
    return write_varint(len(lengths)) + struct.pack("<H", reference & 0xFFFF) + b"".join(map(write_varint, lengths[:-1]))


def read_head(reader, tokens):
    """-> which tokens are kept [tokens], the reference or None."""
    runs = reader.varint("number of runs")
    if runs == 0:
        return np.zeros(tokens, bool), None
    reference = reader.u16("reference")
    return read_runs(reader, runs, tokens), reference


# ---------------------------------------------------------------- 7.2 symbols

def nearest_place(wanted, centre, quantizer):
    """-> the place of the value of a quantizer that is nearest to what is wanted; of two, that nearer to the centre."""
    distance = wanted - 2 * centre
    return sign(distance) * ((abs(distance) + quantizer) // 2)


def sign(x):
    return (x > 0) - (x < 0)


def place_of_mean(raw_bits, half):
    """The mean among the even values, in 1/16, and raw bits k -> m, fraction (-8...7)."""
    p = (half + 8) >> raw_bits
    return p >> 4, (p & 15) - 8


def code_part(coder, latents, coded, mean, level):
    """One part of those tokens of a group that are neither kept nor exact, [n][channels] each -> latents, centroids."""
    latents, centroid = latents.copy(), np.zeros_like(latents)
    for begin in range(0, len(latents), CHAIN):
        tokens = slice(begin, begin + CHAIN)
        here = coded[tokens]
        latents[tokens][here], centroid[tokens][here] = code_chain(coder, *(x[tokens][here] for x in (latents, mean, level)))
    return latents, centroid


def code_chain(coder, wanted, mean, level):
    """The coded latents of a chain, [n] each -> latents, centroids."""
    half = mean >> 1
    centre = (half + 8) >> 4
    m, fraction = place_of_mean(coder.entropy.raw[level], half)
    state, values, centroids = 0, [], []
    for w, c, lv, fr, near in zip(*(x.tolist() for x in (wanted, centre, level, fraction, m))):
        quantizer = state >> 5
        i, centroid = coder.code(coder.entropy.tables[quantizer][lv][fr + 8], near, c + nearest_place(w, c, quantizer))
        place = i - c
        values.append(2 * i - quantizer * sign(place))
        centroids.append(centroid)
        state = (2 * state % STATES) ^ 33 * quantizer ^ 20 * (place & 1)
    return np.clip(np.array(values, np.int64), -16384, 16383), np.array(centroids, np.int64)


# ---------------------------------------------------------------- 7.3 rANS

class RansEncoder:
    """`symbols`: (start, frequency, [(value, bits) raw, in the order of decoding]) for each."""

    def __init__(self, model):
        self.entropy, self.symbols = model.entropy, []

    def code(self, table, m, i):
        """-> the integer and its centroid."""
        v = (i >> table.raw) - m
        entry, raws = v + table.radius, []
        if abs(v) > table.radius:
            entry = 2 * table.radius + 1
            n = abs(v) - table.radius
            b = n.bit_length() - 1
            raws = [(2 * b + (v < 0), 6), (n - (1 << b), b)]
        raws.append((i & ((1 << table.raw) - 1), table.raw))
        self.symbols.append((table.starts[entry], table.starts[entry + 1] - table.starts[entry], raws))
        return i, table.centroids[entry]

    def finish(self, lanes):
        """-> all words."""
        states, words = [65536] * lanes, []
        for number in range(len(self.symbols) - 1, -1, -1):
            start, frequency, raws = self.symbols[number]
            x = states[number % lanes]
            for value, bits in reversed(raws):
                if x >= 1 << 32 - bits:
                    words.append(x & 65535)
                    x >>= 16
                x = x << bits | value
            if x >= frequency << 17:
                words.append(x & 65535)
                x >>= 16
            states[number % lanes] = (x // frequency << 15) + x % frequency + start
        return struct.pack(f"<{lanes}I", *states) + struct.pack(f"<{len(words)}H", *reversed(words))


class RansDecoder:
    def __init__(self, model, data, lanes):
        require(len(data) >= 4 * lanes and len(data) % 2 == 0, "slice: odd or too short for the coder's states")
        self.entropy = model.entropy
        self.lanes, self.count, self.at = lanes, 0, 0
        self.states = list(struct.unpack_from(f"<{lanes}I", data))
        self.words = struct.unpack_from(f"<{(len(data) - 4 * lanes) // 2}H", data, 4 * lanes)
        require(min(self.states) >= 65536, "slice: a state of the coder is too small")

    def refill(self, x):
        if x >= 65536:
            return x
        require(self.at < len(self.words), "slice: ends inside the symbols")
        self.at += 1
        return x << 16 | self.words[self.at - 1]

    def code(self, table, m, _):
        """-> the next integer and its centroid."""
        lane = self.count % self.lanes
        x = self.states[lane]
        slot = x & 32767
        entry = bisect.bisect_right(table.starts, slot) - 1
        x = self.refill((table.starts[entry + 1] - table.starts[entry]) * (x >> 15) + slot - table.starts[entry])
        v = entry - table.radius
        if entry == 2 * table.radius + 1:
            code = x & 63
            x = self.refill(x >> 6)
            b = code >> 1
            require(b <= 15, "slice: an escape is too long")
            n = 1 << b | x & ((1 << b) - 1)
            x = self.refill(x >> b)
            v = -(table.radius + n) if code & 1 else table.radius + n
        tail = x & ((1 << table.raw) - 1)
        self.states[lane] = self.refill(x >> table.raw)
        self.count += 1
        return (v + m << table.raw) + tail, table.centroids[entry]

    def finish(self):
        require(all(x == 65536 for x in self.states), "slice: the coder's states do not end where they must")
        require(self.at == len(self.words), f"slice: {len(self.words) - self.at} words left over")


# ---------------------------------------------------------------- 7.4 exact tokens

class BinaryCoder:
    """What both directions of the arithmetic coder do: bounds, and what each context learned, context -> (p, n)."""

    def __init__(self):
        self.low, self.high, self.contexts = 0, 0xFFFFFFFF, {}

    def code(self, context, decision):
        """-> the decision, which is the one that is given in an encoder, and the one that is read in a decoder."""
        p, n = self.contexts.get(context, (2048, 0))
        middle = self.low + (self.high - self.low >> 12) * p
        decision = self.choose(middle, decision)
        if decision:
            self.high = middle
        else:
            self.low = middle + 1
        s = min(n + 1, 5)
        self.contexts[context] = (p + (4096 - p >> s) if decision else p - (p >> s)), s
        while self.low >> 24 == self.high >> 24:
            self.shift()
            self.low = self.low << 8 & 0xFFFFFFFF
            self.high = self.high << 8 & 0xFFFFFFFF | 255
        return decision


class BinaryEncoder(BinaryCoder):
    def __init__(self):
        super().__init__()
        self.data = bytearray()

    def choose(self, middle, decision):
        return bool(decision)

    def shift(self):
        self.data.append(self.high >> 24)

    def finish(self):
        """-> all bytes."""
        return bytes(self.data) + bytes([(self.low >> 24) + 1])


class BinaryDecoder(BinaryCoder):
    def __init__(self, data):
        super().__init__()
        self.data, self.shifts = data, 0
        self.value = int.from_bytes(data[:4].ljust(4, b"\0"), "big")

    def choose(self, middle, decision):
        return self.value <= middle

    def shift(self):
        at = 4 + self.shifts
        self.value = self.value << 8 & 0xFFFFFFFF | (self.data[at] if at < len(self.data) else 0)
        self.shifts += 1

    def finish(self):
        require(len(self.data) == self.shifts + 1, f"slice: {len(self.data)} bytes of exact tokens, {self.shifts + 1} are used")


class ExactSamples:
    """The samples of the exact tokens of a slice as they become known, coded one after the other.

    Both directions take the same steps. Where samples are given, only an encoder heeds them.
    """

    def __init__(self, coder, rows, cols):
        self.coder = coder
        self.planes = [[[128] * (size * cols + 4) for _ in range(size * rows + 2)] for size in (16, 8, 8)]

    def known(self, plane, x, y):
        """The sample, or 128 where it is not known. Around the slice there is a border of three samples left, two above, one right."""
        return self.planes[plane][y + 2][x + 3]

    def put(self, plane, x, y, sample):
        self.planes[plane][y + 2][x + 3] = sample

    def plane(self, plane):
        return np.array(self.planes[plane], np.int64)[2:, 3:-1]

    def decide(self, plane, x, y, sample):
        """-> one sample by binary decisions."""
        around = ((-1, 0), (0, -1), (-1, -1), (1, -1), (-2, 0), (0, -2), (-3, 0))
        w, n, a, b, c, d, e = (self.known(plane, x + dx, y + dy) for dx, dy in around)
        bits = [w == n, w == a, n == a, n == b, c == w, d == n, e == w]
        if plane > 0:
            unit = 2 if plane == 1 else 1
            other, left, above = (self.known(plane - 1, unit * (x - dx), unit * (y - dy)) for dx, dy in ((0, 0), (1, 0), (0, 1)))
            bits += [other == left, other == above]
        context = sum(bit << i for i, bit in enumerate(bits))
        tried = []
        for number, guess in enumerate((w, n, b, a)):
            if guess not in tried:
                if self.coder.code((plane, number, context), sample == guess):
                    return guess
                tried.append(guess)
        node = 1
        for shift in range(7, -1, -1):
            node = 2 * node + self.coder.code((plane, "bits", (w >> 5) * 8 + (n >> 5), node), sample >> shift & 1)
        return node - 256

    def square(self, plane, left, top, size, samples):
        """One token's square [size][size] of a plane."""
        first = self.decide(plane, left, top, samples[0][0])
        sides = (first == self.known(plane, left - 1, top)) + 2 * (first == self.known(plane, left, top - 1))
        flat = self.coder.code((plane, "flat", sides), all(sample == first for row in samples for sample in row))
        for y in range(size):
            for x in range(size):
                coded = not flat and (x, y) != (0, 0)
                self.put(plane, left + x, top + y, self.decide(plane, left + x, top + y, samples[y][x]) if coded else first)

    def token(self, row, col, planes):
        for plane, size in enumerate((16, 8, 8)):
            left, top = size * col, size * row
            self.square(plane, left, top, size, planes[plane][top:top + size, left:left + size].tolist())


def code_exact(coder, exact, samples):
    """Which tokens of a slice are exact [rows][TW], samples [2 * rows][2 * TW][96] -> the samples of these tokens, 128 elsewhere."""
    rows, cols = exact.shape
    planes, state = patches_to_planes(samples, 16 * cols, 16 * rows), ExactSamples(coder, rows, cols)
    for row, col in np.argwhere(exact).tolist():
        state.token(row, col, planes)
    return planes_to_samples([state.plane(i) for i in range(3)])


def write_exact(exact, kept, samples):
    """Which tokens of a slice are exact, which are kept [rows][TW], samples [2 * rows][2 * TW][96]; some token is not kept."""
    if not exact.any():
        return write_varint(0)
    lengths, coder = run_lengths(exact[~kept]), BinaryEncoder()
    code_exact(coder, exact, samples)
    data = coder.finish()
    return b"".join(map(write_varint, [len(lengths)] + lengths[:-1] + [len(data)])) + data


def read_exact(reader, kept):
    """Which tokens are kept [rows][TW] -> which are exact [rows][TW], samples [2 * rows][2 * TW][96] of these, 128 elsewhere."""
    exact = np.zeros(kept.shape, bool)
    none = np.full((2 * kept.shape[0], 2 * kept.shape[1], PATCH), 128, np.int64)
    runs = reader.varint("number of runs of exact tokens")
    if runs == 0:
        return exact, none
    exact[~kept] = read_runs(reader, runs, np.count_nonzero(~kept))
    coder = BinaryDecoder(reader.take(reader.varint("size of the exact tokens"), "exact tokens"))
    samples = code_exact(coder, exact, none)
    coder.finish()
    return exact, samples


# ---------------------------------------------------------------- a picture's way

def encode_latents(model, quantizer, y, number, sequence=None, lanes=4, slices=1, kept=None, before=None, exact=None, planes=None):
    """Latents of a picture -> a framed frame; an inter frame if `kept` [TH][TW] says which tokens are, leaning on the frame `before`.

    `exact` [TH][TW] says which tokens are exact, unless they are kept; their samples are those of `planes`.
    """
    none = np.zeros(y.shape[:2], bool)
    inter, kept = kept is not None, none if kept is None else kept
    exact = none if exact is None else exact & ~kept
    samples = planes_to_samples(planes) if exact.any() else None
    contents = []
    for i, (begin, end) in enumerate(slice_bounds(len(y), slices)):
        own, left_out = kept[begin:end], (kept | exact)[begin:end].ravel()
        reference = before.slices[i] if before else b""
        content = write_head(own.ravel(), crc32c(reference)) if inter else b""
        if exact.any() and not own.all():
            content += write_exact(exact[begin:end], own, samples[2 * begin:2 * end])
        if not left_out.all():
            content += encode_slice(model, quantizer, y[begin:end], lanes, left_out)
        contents.append(content)
    header = write_sequence(sequence) if sequence else None
    return write_frame(Frame(number, quantizer.q4, lanes, header, contents, inter, bool(exact.any())))


def encode_picture(model, planes, sequence, number, q4, lanes=4, slices=1, kept=None, before=None, exact=None):
    """Planes -> a framed frame; `sequence` is written into it (a key frame) unless None."""
    quantizer = Quantizer(model, q4)
    y = analysis(model, quantizer, planes_to_patches(planes))
    return encode_latents(model, quantizer, y, number, sequence, lanes, slices, kept, before, exact, planes)


def same_tokens(planes, others):
    """Tokens [TH][TW] in which two pictures are the same."""
    same = np.all(planes_to_patches(planes) == planes_to_patches(others), axis=2)
    return np.all(unshuffle(same[:, :, None]), axis=2)


def plain_tokens(planes, values=4):
    """Tokens [TH][TW] whose luma has at most that many different values."""
    luma = np.sort(unshuffle(planes_to_samples(planes)[:, :, :64]), axis=2)
    return np.count_nonzero(np.diff(luma, axis=2), axis=2) < values


def without_slices(data, missing):
    """What a transport makes of a framed frame that lost the slices of these numbers."""
    frame = read_frame(data)
    slices = [None if i in missing else content for i, content in enumerate(frame.slices)]
    return write_frame(dataclasses.replace(frame, slices=slices))


# ---------------------------------------------------------------- 8. missing slices

@dataclasses.dataclass
class SliceState:
    """What a decoder remembers of a slice of the last frame."""
    crc: int | None = None       # None: it was missing
    damaged: bool = False

    def follow(self, content, reference):
        """-> the state after a frame in which it has this content, and this reference if it keeps tokens."""
        if content is None:
            return SliceState(damaged=True)
        same = self.crc is not None and self.crc & 0xFFFF == reference
        return SliceState(crc32c(content), reference is not None and (self.damaged or not same))


class Decoder:
    """Framed frames in, planes out; remembers the last sequence header, the d of all tokens, which are exact, with their samples,
    and how its slices are.

    `damaged` counts the slices of the last frame that are not what the encoder meant.
    """

    def __init__(self, model):
        self.model, self.sequence, self.damaged = model, None, 0
        self.shape, self.values, self.exact, self.samples, self.states = None, None, None, None, None

    def open(self, frame):
        """A sequence header, or the one that the frame belongs to; forgets everything if the picture is of another kind."""
        if frame.sequence is not None:
            sequence = read_sequence(frame.sequence)
            require(sequence.model == self.model.identity[:16], "frame: made with another model")
            rows, cols = token_grid(sequence.width, sequence.height)
            slice_bounds(rows, len(frame.slices))
            shape = sequence.width, sequence.height, len(frame.slices)
            if shape != self.shape:
                self.shape, self.values = shape, np.zeros((rows, cols, self.model.graph["latents"]), np.int64)
                self.exact, self.samples = np.zeros((rows, cols), bool), np.zeros((2 * rows, 2 * cols, PATCH), np.int64)
                self.states = [SliceState() for _ in frame.slices]
            self.sequence = sequence
        require(self.sequence is not None, "frame: no sequence header came before")
        require(len(frame.slices) == self.shape[2], f"frame: {len(frame.slices)} slices in a sequence of {self.shape[2]}")

    def decode_slice(self, frame, quantizer, content, values, exact, samples):
        """Fills in what one slice says of tokens that it does not keep. -> the reference, None if it stands alone.

        values [rows][TW][L] are its d, exact [rows][TW] says which tokens are, samples [2 * rows][2 * TW][96] are those of exact tokens.
        """
        if content is None:
            return None
        rows, cols, _ = values.shape
        kept, fresh, reference, reader = np.zeros((rows, cols), bool), np.zeros((rows, cols), bool), None, Reader(content, "slice")
        if frame.inter:
            own, reference = read_head(reader, rows * cols)
            kept = own.reshape(rows, cols)
        if frame.exact and not kept.all():
            fresh, new = read_exact(reader, kept)
            samples[:] = np.where(to_patches(fresh), new, samples)
            values[:] = np.where(fresh[:, :, None], dequantize_exact(self.model, quantizer, new), values)
        exact[:] = np.where(kept, exact, fresh)
        left_out = kept | fresh
        if left_out.all():
            require(reader.left() == 0, f"slice: {reader.left()} bytes too many")
            return reference
        latents = decode_slice(self.model, quantizer, content[reader.at:], rows, cols, frame.lanes, left_out.ravel())
        values[:] = np.where(left_out[:, :, None], values, dequantize(quantizer, *latents))
        return reference

    def decode(self, data):
        frame = read_frame(data)
        self.open(frame)
        quantizer, states = Quantizer(self.model, frame.q4), self.states
        values, exact, samples = self.values.copy(), self.exact.copy(), self.samples.copy()
        self.states = [SliceState() for _ in frame.slices]        # should the payload be in error
        references = []
        for content, (begin, end) in zip(frame.slices, slice_bounds(len(values), len(frame.slices))):
            fields = values[begin:end], exact[begin:end], samples[2 * begin:2 * end]
            references.append(self.decode_slice(frame, quantizer, content, *fields))
        self.states = [state.follow(*fields) for state, *fields in zip(states, frame.slices, references)]
        self.damaged = sum(state.damaged for state in self.states)
        self.values, self.exact, self.samples = values, exact, samples
        shown = show(self.model, quantizer, values, exact, samples)
        return patches_to_planes(shown, self.sequence.width, self.sequence.height)


# ---------------------------------------------------------------- Y4M and the command line

Y4M_SITES = {"420jpeg": 8, "420mpeg2": 1, "420paldv": 7, "420": None}


def read_y4m(path):
    """-> width, height, frame rate, pixel aspect (or None), chroma site (or None), list of frames (three planes each)."""
    with open(path, "rb") as file:
        header = file.readline().decode("ascii").split()
        require(header[:1] == ["YUV4MPEG2"], f"{path}: not Y4M")
        tags = {tag[0]: tag[1:] for tag in reversed(header[1:])}
        width, height = int(tags["W"]), int(tags["H"])
        require(tags.get("C", "420") in Y4M_SITES, f"{path}: not 4:2:0 with 8 bits")
        rate = tuple(int(n) for n in tags.get("F", "25:1").split(":"))
        aspect = tuple(int(n) for n in tags.get("A", "0:0").split(":"))
        sizes = [(height, width)] + 2 * [((height + 1) // 2, (width + 1) // 2)]
        frames = []
        while file.readline().startswith(b"FRAME"):
            frames.append([np.frombuffer(file.read(h * w), np.uint8).reshape(h, w) for h, w in sizes])
    return width, height, rate, aspect if min(aspect) >= 1 else None, Y4M_SITES[tags.get("C", "420")], frames


def write_y4m(path, sequence, pictures):
    site = {value: name for name, value in Y4M_SITES.items()}.get(sequence.site, "420jpeg")
    rate, aspect = sequence.rate or (25, 1), sequence.aspect or (0, 0)
    with open(path, "wb") as file:
        file.write(f"YUV4MPEG2 W{sequence.width} H{sequence.height} F{rate[0]}:{rate[1]} Ip "
                   f"A{aspect[0]}:{aspect[1]} C{site}\n".encode())
        for planes in pictures:
            file.write(b"FRAME\n" + b"".join(plane.tobytes() for plane in planes))


def md5_of_pictures(pictures):
    """MD5 of the planes Y, U, V of all pictures one after the other, without padding."""
    digest = hashlib.md5()
    for planes in pictures:
        for plane in planes:
            digest.update(np.ascontiguousarray(plane).tobytes())
    return digest.hexdigest()


def command_encode(args):
    model = read_model(args.model)
    width, height, rate, aspect, site, frames = read_y4m(args.input)
    sequence = Sequence(model.identity[:16], width, height, rate=rate, aspect=aspect, site=site)
    q4 = round(4 * args.q)
    require(0 <= q4 <= 252, "q is 0 to 63")
    size, before, frame = 0, None, None
    with open(args.output, "wb") as file:
        file.write(FILE_MAGIC)
        for number, planes in enumerate(frames[:args.frames]):
            key = number % args.key_interval == 0
            kept = same_tokens(planes, before) if args.inter and not key else None
            last = read_frame(frame) if frame else None
            exact = plain_tokens(planes) if args.exact else None
            frame = encode_picture(model, planes, sequence if key else None, number, q4, args.lanes, args.slices, kept, last, exact)
            file.write(write_unit(frame))
            size += len(frame)
            before = planes
    count = len(frames[:args.frames])
    print(f"{count} frames, {size} bytes, {8 * size / (count * width * height):.4f} bit/px")


def command_decode(args):
    model = read_model(args.model)
    with open(args.input, "rb") as file:
        data = file.read()
    decoder = Decoder(model)
    pictures = [decoder.decode(frame) for frame in read_units(data)]
    require(pictures, f"{args.input}: no frame")
    write_y4m(args.output, decoder.sequence, pictures)
    print(f"{len(pictures)} frames, MD5 {md5_of_pictures(pictures)}")


def command_info(args):
    with open(args.input, "rb") as file:
        data = file.read()
    print("magic:", "yes" if data.startswith(FILE_MAGIC) else "no")
    for data in read_units(data):
        frame = read_frame(data)
        if frame.sequence is not None:
            fields = dataclasses.asdict(read_sequence(frame.sequence))
            fields["model"] = fields["model"].hex()
            print("sequence:", ", ".join(f"{name} {value}" for name, value in fields.items() if value is not None))
        missing = [i for i, content in enumerate(frame.slices) if content is None]
        print(f"frame {frame.number}: {'inter' if frame.inter else 'intra'}, q {frame.q4 / 4:g}, {frame.lanes} lanes, {len(frame.slices)} slices, "
              f"{len(data)} bytes{', exact tokens' if frame.exact else ''}{f', missing: {missing}' if missing else ''}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(required=True)
    encode = commands.add_parser("encode")
    encode.add_argument("model")
    encode.add_argument("input")
    encode.add_argument("output")
    encode.add_argument("-q", type=float, default=32, help="0 (finest) to 63, in quarter steps")
    encode.add_argument("--frames", type=int)
    encode.add_argument("--lanes", type=int, choices=LANES, default=4)
    encode.add_argument("--slices", type=int, default=1)
    encode.add_argument("--key-interval", type=int, default=1)
    encode.add_argument("--inter", action="store_true", help="between key frames, keep the tokens in which nothing changes")
    encode.add_argument("--exact", action="store_true", help="code tokens of few luma values exactly")
    encode.set_defaults(run=command_encode)
    decode = commands.add_parser("decode")
    decode.add_argument("model")
    decode.add_argument("input")
    decode.add_argument("output")
    decode.set_defaults(run=command_decode)
    info = commands.add_parser("info")
    info.add_argument("input")
    info.set_defaults(run=command_info)
    args = parser.parse_args()
    try:
        args.run(args)
    except (M2tError, OSError) as error:
        sys.exit(f"m2t_reference: {error}")


if __name__ == "__main__":
    main()
