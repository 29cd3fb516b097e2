#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes what the fuzz targets start from, tests/fuzz/corpus/{decode,model,stream}, out of tests/vectors; the targets say what their bytes mean.

Files named good-* must get to the end of their target (tests/fuzz/driver.c). Those named crash-* were found by a fuzzer and stay as they are,
and so does the corpus of depay, whose packets know neither model nor slices.

    make_corpus.py [DIRECTORY]
"""
import configparser
import json
import pathlib
import struct
import sys

import numpy as np

import bad_models
import m2t_reference as ref
import make_conformance
import make_tiny_model
import pictures

CORPUS = pathlib.Path(__file__).parent.parent / "fuzz" / "corpus"
FRAME, CLIP = b"\0", b"\1"                                # what fuzz-decode.c is given,
MODEL, GRAPH, CHANGES = b"\0", b"\1", b"\2"               # and fuzz-model.c
STEP = b"\x1f"                                            # of fuzz-stream.c
LARGE = 4000                                              # bytes; what is larger slows a fuzzer down
SMALL = 64 * 48                                           # samples of a picture that does not
Stream = make_conformance.Stream
CLIPS = [
    Stream("one", "coded and kept tokens", (40, 24), 3 * (100,), key_interval=3, moving=True),
    Stream("slices", "the same in slices of unlike height, a second key frame", (47, 70), 3 * (160,), key_interval=2, slices=3, moving=True),
    Stream("missing", "slices are lost: of the key frame, of an inter frame", (33, 50), 3 * (200,), lanes=1, key_interval=3, slices=2, moving=True,
           missing={0: (1,), 2: (0,)}),
    Stream("exact", "exact tokens, coded and kept ones among them", (40, 40), 3 * (120,), lanes=16, key_interval=3, slices=2, moving=True, screen=True),
    Stream("exact-missing", "the same, a slice is lost", (40, 40), 3 * (120,), key_interval=3, slices=2, moving=True, screen=True, missing={1: (0,)}),
]


def vector_packets(name, array):
    """-> case -> the bytes of CASE/`array`, and what the case says."""
    index = configparser.ConfigParser()
    index.read(pictures.VECTORS / f"{name}.ini")
    blob = (pictures.VECTORS / f"{name}.bin").read_bytes()
    for case in index.sections():
        place = f"{case}/{array}"
        if place in index:
            begin = index.getint(place, "offset")
            yield case, blob[begin:begin + index.getint(place, "bytes")], index[case]


def clip_frames(model, stream):
    """The frames that arrive, all of which can be decoded."""
    decoder, kept, exact, damaged = ref.Decoder(model), False, False, False
    for number, data in enumerate(make_conformance.make_frames(model, stream)):
        if number in stream.missing:
            data = ref.without_slices(data, stream.missing[number])
        frame = ref.read_frame(data)
        decoder.decode(data)
        kept |= frame.inter and any(content and content[0] for content in frame.slices)
        exact |= frame.exact and decoder.exact.any() and not decoder.exact.all()
        damaged |= decoder.damaged > 0
        yield data
    assert (kept, exact, damaged) == (stream.moving, stream.screen, bool(stream.missing)), stream.name


def clip_bytes(stream, frames):
    """As decode_clip() of fuzz-decode.c wants them."""
    width, height = stream.source
    data = bytes([width - 16, height - 16, stream.q4[0], ref.LANES.index(stream.lanes), stream.slices - 1])
    for frame in map(ref.read_frame, frames):
        data += bytes([frame.inter | (frame.sequence is not None) << 1 | frame.exact << 2])
        for content in frame.slices:
            data += struct.pack("<H", len(content or b"")) + (content or b"")
    return data


def decode_corpus(model):
    for case, packet, about in vector_packets("stages", "packet"):
        if about.getint("width") * about.getint("height") <= SMALL:
            yield f"good-{case}", FRAME + packet
    for case, packet, _ in vector_packets("refused", "packet"):
        if case == "accepted":
            yield "good-accepted", FRAME + packet
        elif case != "refused-other-model":               # fuzz-decode.c puts that right
            yield case, FRAME + packet
    for stream in CLIPS:
        frames = list(clip_frames(model, stream))
        yield f"good-clip-{stream.name}", CLIP + clip_bytes(stream, frames)
        if stream.slices > 1:
            yield f"good-frame-{stream.name}", FRAME + frames[0]


def changed(file, name, change):
    """For read_changed() of fuzz-model.c: the tensor `name` of a model file as `change` makes it."""
    size = struct.unpack_from("<Q", file)[0]
    entry = json.loads(file[8:8 + size])[name]
    begin, end = (8 + size + offset for offset in entry["data_offsets"])
    old = np.frombuffer(file[begin:end], ref.DTYPES[entry["dtype"]]).reshape(entry["shape"])
    new = change(old.copy()).astype(old.dtype).tobytes()
    return CHANGES + b"".join((begin + i).to_bytes(3, "little") + new[i:i + 1] for i in range(end - begin) if new[i] != file[begin + i])


def first_entry(value):
    def change(array):
        array.flat[0] = np.array(value).astype(array.dtype)
        return array
    return change


def file_bytes(data, tensors):
    """A model file of U8 tensors: name -> (dtype, shape, begin and end)."""
    header = {"__metadata__": {"format": "m2t", "identity": "0" * 64}}
    header.update({name: {"dtype": dtype, "shape": shape, "data_offsets": place} for name, (dtype, shape, place) in tensors.items()})
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return MODEL + struct.pack("<Q", len(text)) + text + data


def model_corpus():
    tiny = (pictures.VECTORS / "tiny.m2tw").read_bytes()
    yield "good-unchanged", CHANGES
    for name, value in bad_models.VALUES:
        yield f"change-{name}-{value}", changed(tiny, name, first_entry(value))
    for name in ref.FILTERS:
        yield f"good-{name}-sum", changed(tiny, name, lambda array: bad_models.filter_near_bound(array, 0))
        yield f"change-{name}-sum", changed(tiny, name, lambda array: bad_models.filter_near_bound(array, 1))

    graph = json.dumps(make_tiny_model.GRAPH).encode()
    yield "good-graph", GRAPH + graph
    yield "good-graph-mt", GRAPH + json.dumps(make_tiny_model.MT_GRAPH).encode()
    for path, value in (("filter", "bilateral"), ("prior.masking", ["input"]), ("prior.parts", [24, 0]), ("latents", 520)):
        yield f"graph-{path}", GRAPH + json.dumps(bad_models.changed_graph(path, value)).encode()
    yield "graph-twice", GRAPH + b'{"format": 1, ' + graph[1:]
    yield "graph-nested", GRAPH + b'{"a":' + 200 * b"["

    yield "file-only-graph", file_bytes(graph, {"graph": ("U8", [len(graph)], [0, len(graph)])})
    yield "file-one-tensor", file_bytes(b"{}  ", {"graph": ("U8", [4], [0, 4])})
    yield "file-overlap", file_bytes(b"{}  ", {"a": ("U8", [3], [0, 3]), "b": ("U8", [2], [2, 4])})
    yield "file-huge-shape", file_bytes(b"{}  ", {"a": ("I32", 4 * [1 << 16], [0, 4])})


def stream_corpus(model):
    for case, data, _ in vector_packets("headers", "data"):
        if case.startswith("stream-") and len(data) < LARGE:
            yield case, STEP + data
        elif case.startswith("frame-") and len(data) < LARGE:
            yield f"good-{case}", STEP + ref.write_unit(data)
    for stream in CLIPS:
        if stream.slices > 1:
            yield f"good-clip-{stream.name}", STEP + ref.FILE_MAGIC + b"".join(map(ref.write_unit, clip_frames(model, stream)))


def main():
    directory = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else CORPUS
    model = ref.read_model(pictures.VECTORS / "tiny.m2tw")
    for target, corpus in (("decode", decode_corpus(model)), ("model", model_corpus()), ("stream", stream_corpus(model))):
        files = dict(corpus)
        (directory / target).mkdir(parents=True, exist_ok=True)
        for path in (directory / target).iterdir():
            if not path.name.startswith("crash-"):
                path.unlink()
        for name, content in files.items():
            (directory / target / name).write_bytes(content)
        print(f"{directory / target}: {len(files)} files, {sum(map(len, files.values()))} bytes")


if __name__ == "__main__":
    main()
