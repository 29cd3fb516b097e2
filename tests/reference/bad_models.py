# SPDX-License-Identifier: LGPL-2.1-or-later
"""Model files that a loader must refuse: the tiny model with one fault each, the hash made to agree unless it is the fault."""
import copy
import json
import struct

import numpy as np

import m2t_reference as ref
import make_tiny_model

VALUES = [  # tensor, value of its first entry
    ("analysis.in.bias", 1 << 24), ("analysis.in.bias", -(1 << 31)), ("synthesis.out.bias", 0x7FFFFFFF), ("prior.head.1.bias", 1 << 24),
    ("synthesis.block8.0.depthwise.bias", 1 << 24), ("prior.source", 63), ("prior.source", -2), ("prior.source", 64), ("prior.order", 1),
    ("prior.order", 64), ("prior.log", -128), ("prior.norm", -1.0), ("prior.norm", np.nan), ("prior.layer.0.logit", np.inf),
    ("synthesis.in.scale", 16777218.0), ("entropy.frequency", 0), ("entropy.frequency", 2), ("entropy.radius", 0), ("entropy.radius", 128),
    ("entropy.radius", -1), ("entropy.raw", 9), ("entropy.raw", -1), ("prior.exp", 0), ("exp2", 5), ("gain", 30721), ("igain", -30721),
    ("prior.size", 30721), ("prior.shift", 9), ("analysis.down.shift", -1), ("synthesis.block8.0.shift", 9), ("prior.q", -32768),
]
GRAPH = [  # path, value; None removes
    ("format", 2), ("format", None), ("name", ""), ("name", "a b"), ("name", 5), ("anchors", 1), ("anchors", 17), ("anchors", 4.5),
    ("latents", 20), ("latents", 520), ("extra", 1), ("analysis.width8", 12), ("analysis.blocks8", 17), ("analysis.blocks8", -1),
    ("analysis.extra", 1), ("synthesis", []), ("prior.heads", 3), ("prior.heads", 4), ("prior.heads", 0), ("prior.mlp", 1032),
    ("prior.step", 0), ("prior.parts", [24, 0]), ("prior.parts", [8, 8]), ("prior.parts", []), ("prior.groups", [6, 2, 8, 12, 16, 20]),
    ("prior.groups", [2, 6, 8, 12, 16, 21]), ("prior.groups", [0, 2, 6, 8, 12, 16, 20]), ("prior.layers", []),
    ("prior.layers", ["window", "global", "window"]), ("prior.layers", ["window"] * 17), ("prior.limit", 16385), ("prior.limit", -1),
    ("prior.limit", True), ("entropy.levels", 0), ("entropy.levels", 65), ("entropy.step", 0), ("entropy.skip", 21), ("entropy.skip", -1),
    ("entropy.base", 65537), ("prior.masking", "attention"), ("prior.masking", 1), ("prior.masking", "input"),
    ("filter", "other"), ("filter", ""), ("filter", 1), ("filter", {}), ("filter", None), ("entropy.filter", "directional"),
]


def changed_graph(path, value):
    graph = copy.deepcopy(make_tiny_model.GRAPH)
    *parents, last = path.split(".")
    at = graph
    for name in parents:
        at = at[name]
    at.pop(last, None)
    if value is not None:
        at[last] = value
    return graph


def with_header(data, change):
    """The file again with `change(header)` applied to its JSON; it returns the text to write, or None for the header as it is now."""
    size = struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8:8 + size])
    text = change(header) or json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + size:]


def header_faults(good):
    """Faults of the file's layout: (name, bytes)."""
    size = struct.unpack_from("<Q", good)[0]
    text = good[8:8 + size].rstrip()
    wrong = "0" * 64

    def edit(name, change):
        return f"header {name}", with_header(good, change)

    yield "empty", b""
    yield "short", good[:7]
    yield "cut", good[:-1]
    yield "longer", good + b"\0"
    yield "header size", struct.pack("<Q", 1 << 62) + good[8:]
    yield "header over 1 MiB", struct.pack("<Q", size + (1 << 20)) + good[8:8 + size] + b" " * (1 << 20) + good[8 + size:]
    yield edit("not JSON", lambda h: text[:-1])
    yield edit("an array", lambda h: b"[]")
    yield edit("name twice", lambda h: text[:-1] + b',"gain":' + json.dumps(h["gain"]).encode() + b"}")
    yield edit("five levels", lambda h: h["gain"].update(shape=[[[[4]]]]))
    yield edit("unknown dtype", lambda h: h["gain"].update(dtype="I64"))
    yield edit("other dtype", lambda h: h["gain"].update(dtype="F32"))
    yield edit("other shape", lambda h: h["gain"].update(shape=[24, 4]))
    yield edit("negative shape", lambda h: h["gain"].update(shape=[-4, -24]))
    yield edit("huge shape", lambda h: h["gain"].update(shape=[1 << 32, 1 << 32, 96]))
    yield edit("fraction in shape", lambda h: h["gain"].update(shape=[4.5, 24]))
    yield edit("offsets outside", lambda h: h["gain"].update(data_offsets=[1 << 40, (1 << 40) + 384]))
    yield edit("offsets backwards", lambda h: h["gain"].update(data_offsets=h["gain"]["data_offsets"][::-1]))
    yield edit("overlap", lambda h: h["gain"].update(data_offsets=h["igain"]["data_offsets"]))
    yield edit("member missing", lambda h: h["gain"].pop("shape") and None)
    yield edit("unknown member", lambda h: h["gain"].update(extra="1"))
    yield edit("tensor renamed", lambda h: h.update(gian=h.pop("gain")))
    yield edit("wrong identity", lambda h: h["__metadata__"].update(identity=wrong))
    yield edit("no identity", lambda h: h["__metadata__"].pop("identity") and None)
    yield edit("other format", lambda h: h["__metadata__"].update(format="pt"))
    yield edit("metadata a number", lambda h: h["__metadata__"].update(date=5))


def bad_mt_models(path):
    """The same for the model that masks the input only."""
    tensors = make_tiny_model.mt_tensors()
    source = np.roll(tensors["prior.source"][1], 1)
    unmasked = {n: t for n, t in tensors.items() if n != "prior.mask"}
    mt, m2t = make_tiny_model.MT_GRAPH, make_tiny_model.GRAPH
    for name, graph, changed in (("good mt", mt, tensors), ("mt source", mt, {**tensors, "prior.source": ("I8", source)}),
                                 ("mt without mask", mt, unmasked), ("mt as m2t", m2t, unmasked)):
        make_tiny_model.write_model(path, graph, changed, {})
        yield name, name.startswith("good")


def bad_entropy(path, tensors):
    """The same for the tables of quantizer 1, behind those of quantizer 0."""
    frequency, centroid = (tensors[name][1] for name in ("entropy.frequency", "entropy.centroid"))
    half, sum_changed, with_zero = len(frequency) // 2, frequency.copy(), frequency.copy()
    sum_changed[-1] += 1
    at = half + np.argmin(frequency[half:half + 4])       # within one table, whose radius is 1: the sum stays
    with_zero[half + np.argmax(frequency[half:half + 4])] += with_zero[at]
    with_zero[at] = 0
    for name, changed in (("frequency of one quantizer", {"frequency": frequency[:half]}),
                          ("centroid of one quantizer", {"centroid": centroid[:half]}),
                          ("tables of one quantizer", {"frequency": frequency[:half], "centroid": centroid[:half]}),
                          ("frequency of three quantizers", {"frequency": np.append(frequency, frequency[:half])}),
                          ("sum of quantizer 1", {"frequency": sum_changed}), ("zero of quantizer 1", {"frequency": with_zero})):
        new = {f"entropy.{n}": (tensors[f"entropy.{n}"][0], array) for n, array in changed.items()}
        make_tiny_model.write_model(path, make_tiny_model.GRAPH, {**tensors, **new}, {})
        yield f"entropy: {name}", False


def filter_near_bound(array, excess):
    """Weights whose last class has the largest sum that there is below 2^29, 384 * 1398101, and so many times 384 more."""
    weights = array.copy()
    last = weights.reshape(-1, len(ref.PAIRS), len(ref.LIMITS), ref.CLASSES)[-1, :, :, -1]
    last[:] = 0
    last[:2, 1:] = -32768
    last[0, 0], last[1, 0], last[5, 0] = 32767, 32767, -21847 - excess
    return weights


def bad_filters(path, tensors):
    """The same for the filter of the tiny model."""
    plain = {n: t for n, t in tensors.items() if n not in ref.FILTERS}
    cases = [("without filter.u", {n: t for n, t in tensors.items() if n != "filter.u"}), ("without tensors of the filter", plain)]
    for name in ref.FILTERS:
        array = tensors[name][1]
        for case, dtype, changed in (("of U16", "U16", array.view("<u2")), ("cut", "I16", array[:, :-1]), ("of 3 anchors", "I16", array[:-1]),
                                     ("of 4 dimensions", "I16", array.reshape(-1, len(ref.PAIRS), len(ref.LIMITS), ref.CLASSES)),
                                     ("sum", "I16", filter_near_bound(array, 1))):
            cases.append((f"{name} {case}", {**tensors, name: (dtype, np.ascontiguousarray(changed))}))
        cases.append((f"good {name} sum", {**tensors, name: ("I16", filter_near_bound(array, 0))}))
    for name, changed in cases:
        make_tiny_model.write_model(path, make_tiny_model.GRAPH, changed, {})
        yield name, name.startswith("good")
    make_tiny_model.write_model(path, changed_graph("filter", None), plain, {})
    yield "good without filter", True
    make_tiny_model.write_model(path, changed_graph("filter", None), {**plain, "filter.v": tensors["filter.v"]}, {})
    yield "filter.v alone", False
    make_tiny_model.write_model(path, {**make_tiny_model.GRAPH, "filter": None}, tensors, {})
    yield "filter null", False


def bad_models(path):
    """Writes one after the other to `path`, a good one first, and yields (name, whether it must be accepted)."""
    tensors = make_tiny_model.tiny_tensors()
    make_tiny_model.write_model(path, make_tiny_model.GRAPH, tensors, {})
    good = path.read_bytes()
    yield "good", True
    for name, data in header_faults(good):
        path.write_bytes(data)
        yield name, False
    for name, value in VALUES:
        dtype, array = tensors[name]
        bad = array.copy()
        bad.flat[0] = np.array(value).astype(ref.DTYPES[dtype])
        make_tiny_model.write_model(path, make_tiny_model.GRAPH, {**tensors, name: (dtype, bad)}, {})
        yield f"{name} {value}", False
    for member, value in GRAPH:
        make_tiny_model.write_model(path, changed_graph(member, value), tensors, {})
        yield f"graph {member} {value}", False
    make_tiny_model.write_model(path, make_tiny_model.GRAPH, {**tensors, "extra": ("U8", np.zeros(3, np.uint8))}, {})
    yield "extra tensor", False
    make_tiny_model.write_model(path, make_tiny_model.GRAPH, {n: t for n, t in tensors.items() if n != "prior.norm"}, {})
    yield "missing tensor", False
    yield from bad_entropy(path, tensors)
    yield from bad_filters(path, tensors)
    yield from bad_mt_models(path)
