#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes the conformance streams and their list, tests/vectors/conformance/*.m2tv and conformance.md5.

A line of the list: `<MD5 of the planes Y, U, V of all pictures one after the other>  <file>`. The first word of a
file's name is its model: tests/vectors/tiny.m2tw, mt.m2tw beside it, or one of models/. Streams of a model that is not there are
left as they are; --model NAME=PATH takes it from elsewhere, --only PATTERN makes the streams of one model alone, or
those whose names it matches, such as "tiny-inter*".

    make_conformance.py [--only PATTERN] [--model NAME=PATH] [DIRECTORY]
"""
import argparse
import dataclasses
import fnmatch
import pathlib

import numpy as np

import m2t_reference as ref
import pictures

ROOT = pathlib.Path(__file__).parent.parent.parent
MODELS = {**{name: pictures.VECTORS / f"{name}.m2tw" for name in ("tiny", "mt")},
          **{name: ROOT / "models" / f"{name}.m2tw" for name in ("standard", "live")}}
LIST = "conformance.md5"


@dataclasses.dataclass
class Stream:
    """What a stream shows. `source`: a size (drawn pictures) or the name of a photograph; one q4 for each frame.

    `moving`: frames without sequence header are inter frames of one drawn picture in which something moves. `alone`: slices that stand
    alone nonetheless, by frame; `missing`: those that are lost. Frames before `start` are not in the stream.
    `screen`: tokens of few values are exact, and what moves are screens. `scattered`: frames without sequence header keep every third token.
    """
    name: str
    feature: str
    source: tuple | str
    q4: tuple
    lanes: int = 4
    key_interval: int = 1
    fields: dict = dataclasses.field(default_factory=dict)
    slices: int = 1
    moving: bool = False
    alone: dict = dataclasses.field(default_factory=dict)
    missing: dict = dataclasses.field(default_factory=dict)
    start: int = 0
    screen: bool = False
    scattered: bool = False


ALL_FIELDS = {"rate": (30000, 1001), "aspect": (64, 45), "colour": (2, 9, 16, 9), "site": 3, "light": (1000, 400),
              "mastering": (35400, 14600, 8500, 39850, 6550, 2300, 15635, 16450, 10000000, 50)}
STREAMS = [
    Stream("tiny-smallest", "one token, every tenth part of the range of q", (16, 16), tuple(range(0, 253, 28))),
    Stream("tiny-odd", "odd width and height", (35, 19), (0, 100, 252)),
    Stream("tiny-wide", "one row of tokens, several windows", (300, 16), (60, 180), lanes=1),
    Stream("tiny-tall", "one column of tokens, several windows", (17, 270), (120, 250), lanes=16),
    Stream("tiny-windows", "exactly two windows each way, no cell outside", (256, 256), (230,)),
    Stream("tiny-anchors", "q at the anchors of the model and beside them", (48, 48), (0, 83, 84, 85, 167, 168, 169, 251, 252)),
    Stream("tiny-lanes-1", "one lane", "photo-96x80", (40, 252), lanes=1),
    Stream("tiny-lanes-16", "sixteen lanes", "photo-96x80", (40, 252), lanes=16),
    Stream("tiny-exceptions", "many exceptions, few symbols", "photo-176x144", (252,)),
    Stream("tiny-finest", "raw bits, escapes, high levels", "photo-176x144", (0,)),
    Stream("tiny-intervals", "frames without sequence header, q changes", (33, 47), (80, 90, 200, 20, 252, 0, 128), key_interval=3),
    Stream("tiny-fields", "all optional fields of the sequence header", (64, 32), (140, 150), fields=ALL_FIELDS),
    Stream("tiny-slices", "slices of unlike height, shifted windows cut at their borders", (150, 331), (60, 150, 252), slices=4),
    Stream("tiny-slices-most", "one slice for each row of tokens, one lane", (70, 200), (100, 200), lanes=1, slices=13),
    Stream("tiny-slices-64", "as many slices as there can be", (16, 1030), (180,), slices=64),
    Stream("tiny-inter", "a part of the picture changes, so does q; a slice without change", (147, 201), (60, 60, 90, 40, 252), key_interval=5, slices=3, moving=True),
    Stream("tiny-inter-one", "the same with one slice, sixteen lanes; two key frames", (147, 101), (80, 80, 80, 200, 200), lanes=16, key_interval=3, moving=True),
    Stream("tiny-refresh", "slices stand alone in turn, key frames lean on what was before", (147, 201), 7 * (100,), key_interval=3, slices=3, moving=True,
           alone={0: (0, 1, 2), 1: (1,), 2: (2,), 3: (0,), 4: (1,), 5: (2,), 6: (0,)}),
    Stream("tiny-joined", "the same from its second key frame on", (147, 201), 7 * (100,), key_interval=3, slices=3, moving=True,
           alone={0: (0, 1, 2), 1: (1,), 2: (2,), 3: (0,), 4: (1,), 5: (2,), 6: (0,)}, start=3),
    Stream("tiny-missing", "slices are lost: of the key frame, of inter frames, of an intra frame", (147, 201), 8 * (100,), key_interval=4, slices=3, moving=True,
           missing={0: (2,), 2: (1,), 3: (0, 1), 4: (0,), 6: (0, 2)}),
    Stream("tiny-missing-refresh", "a slice is lost, and stands alone two frames later", (147, 201), 6 * (100,), key_interval=6, slices=3, moving=True,
           alone={3: (1,), 5: (0,)}, missing={1: (1,), 4: (2,)}),
    Stream("tiny-exact", "exact tokens, kept ones among them, two slices; q changes", (75, 117), (60, 60, 200, 200), key_interval=4, slices=2, moving=True, screen=True),
    Stream("tiny-exact-missing", "slices with exact tokens are lost: of an inter frame, of an intra frame", (75, 117), 5 * (100,), key_interval=3, slices=2,
           moving=True, screen=True, missing={1: (0,), 3: (1,)}),
    Stream("tiny-chains", "groups of more than 128 tokens", (520, 264), (90, 252)),
    Stream("tiny-chains-exact", "the same with exact tokens among them, then also kept ones", (613, 357), (120, 180), key_interval=2, screen=True,
           scattered=True),
    Stream("mt-odd", "input masked only: odd width and height", (35, 19), (0, 100, 252)),
    Stream("mt-windows", "input masked only: windows both ways, padding", (150, 140), (60, 200), lanes=16),
    Stream("mt-inter", "input masked only: slices, a part of the picture changes", (147, 201), (60, 60, 200), key_interval=3, slices=3, moving=True),
    Stream("standard-crop", "a photograph, low and high rate", "photo-96x80", (80, 180)),
    Stream("standard-photo", "more than one window both ways, padding", "photo-176x144", (128,)),
    Stream("standard-odd", "odd size, drawn, sixteen lanes", (85, 61), (16, 100, 220), lanes=16),
    Stream("live-photo", "more than one window both ways, padding", "photo-176x144", (20, 150)),
    Stream("live-odd", "odd size, drawn", (85, 61), (100, 252)),
    Stream("live-slices", "slices of unlike height", (171, 245), (100,), slices=3),
    Stream("live-inter", "slices, a part of the picture changes", (147, 201), (100, 100, 100, 70, 70), key_interval=5, slices=3, moving=True),
    Stream("live-missing", "the same, a slice is lost", (147, 201), (100, 100, 100, 70, 70), key_interval=5, slices=3, moving=True, missing={2: (1,)}),
]


def clip(stream):
    """The pictures of a stream."""
    if isinstance(stream.source, str):
        return len(stream.q4) * [pictures.photograph(stream.source)]
    if stream.moving:
        return (pictures.moving_screen if stream.screen else pictures.moving)(*stream.source, len(stream.q4))
    return [pictures.drawn(*stream.source, number) for number in range(len(stream.q4))]


def kept_tokens(stream, number, planes, before):
    """The tokens that an inter frame keeps, None for an intra frame."""
    if stream.scattered and number % stream.key_interval:
        height, width = planes[0].shape
        return np.sum(np.indices(ref.token_grid(width, height)), axis=0) % 3 == 0
    if not stream.moving or number == 0 or (number % stream.key_interval == 0 and not stream.alone):
        return None
    kept = ref.same_tokens(planes, before)
    bounds = ref.slice_bounds(len(kept), stream.slices)
    for i in stream.alone.get(number, ()):
        kept[slice(*bounds[i])] = False
    return kept


def make_frames(model, stream):
    """The frames of a stream, before any slices are lost."""
    frame, before = None, None
    for number, (q4, planes) in enumerate(zip(stream.q4, clip(stream))):
        height, width = planes[0].shape
        sequence = ref.Sequence(model.identity[:16], width, height, **stream.fields)
        kept = kept_tokens(stream, number, planes, before)
        frame = ref.encode_picture(model, planes, sequence if number % stream.key_interval == 0 else None, number, q4, stream.lanes, stream.slices,
                                   kept, ref.read_frame(frame) if frame else None, ref.plain_tokens(planes) if stream.screen else None)
        yield frame
        before = planes


def make_stream(model, stream):
    """-> bytes of the file, MD5 of its pictures."""
    decoder, decoded, data = ref.Decoder(model), [], ref.FILE_MAGIC
    for number, frame in list(enumerate(make_frames(model, stream)))[stream.start:]:
        if number in stream.missing:
            frame = ref.without_slices(frame, stream.missing[number])
        decoded.append(decoder.decode(frame))
        data += ref.write_unit(frame)
    return data, ref.md5_of_pictures(decoded)


def read_list(directory):
    """-> file name -> MD5."""
    path = pathlib.Path(directory) / LIST
    lines = path.read_text().splitlines() if path.exists() else []
    return {name: digest for digest, name in (line.split() for line in lines)}


def model_name(name):
    return name.split("-")[0]


def model_path(name):
    return MODELS[model_name(name)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", default="*", metavar="PATTERN")
    parser.add_argument("--model", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("directory", nargs="?", type=pathlib.Path, default=pictures.VECTORS / "conformance")
    args = parser.parse_args()
    paths = {**MODELS, **{name: pathlib.Path(path) for name, path in (given.split("=", 1) for given in args.model)}}
    wanted = [stream for stream in STREAMS if fnmatch.fnmatch(stream.name, args.only) or model_name(stream.name) == args.only]
    models = {name: ref.read_model(path) for name, path in paths.items() if path.exists() and name in {model_name(stream.name) for stream in wanted}}
    digests = read_list(args.directory)
    for stream in wanted:
        file = stream.name + ".m2tv"
        model = models.get(model_name(stream.name))
        if model is None:
            print(f"{file}: left as it is")
            continue
        data, digests[file] = make_stream(model, stream)
        (args.directory / file).write_bytes(data)
        print(f"{file}: {len(data)} bytes, {len(stream.q4) - stream.start} frames; {stream.feature}")
    files = [stream.name + ".m2tv" for stream in STREAMS]
    (args.directory / LIST).write_text("".join(f"{digests[file]}  {file}\n" for file in files if file in digests))


if __name__ == "__main__":
    main()
