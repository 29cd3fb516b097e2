#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes the conformance streams and their list, tests/vectors/conformance/*.m2tv and conformance.md5.

A line of the list: `<MD5 of the planes Y, U, V of all pictures one after the other>  <file>`. The first word of a
file's name is its model: tests/vectors/tiny.m2tw, mt.m2tw beside it, or one of models/. Streams of a model that is not there are
left as they are; --model NAME=PATH takes it from elsewhere, --only NAME makes the streams of one model alone.

    make_conformance.py [--only NAME] [--model NAME=PATH] [DIRECTORY]
"""
import argparse
import dataclasses
import pathlib

import m2t_reference as ref
import pictures

ROOT = pathlib.Path(__file__).parent.parent.parent
MODELS = {**{name: pictures.VECTORS / f"{name}.m2tw" for name in ("tiny", "mt")},
          **{name: ROOT / "models" / f"{name}.m2tw" for name in ("standard", "live")}}
LIST = "conformance.md5"


@dataclasses.dataclass
class Stream:
    """What a stream shows. `source`: a size (drawn pictures) or the name of a photograph; one q4 for each frame."""
    name: str
    feature: str
    source: tuple | str
    q4: tuple
    lanes: int = 4
    key_interval: int = 1
    fields: dict = dataclasses.field(default_factory=dict)


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
    Stream("mt-odd", "input masked only: odd width and height", (35, 19), (0, 100, 252)),
    Stream("mt-windows", "input masked only: windows both ways, padding", (150, 140), (60, 200), lanes=16),
    Stream("standard-crop", "a photograph, low and high rate", "photo-96x80", (80, 180)),
    Stream("standard-photo", "more than one window both ways, padding", "photo-176x144", (128,)),
    Stream("standard-odd", "odd size, drawn, sixteen lanes", (85, 61), (16, 100, 220), lanes=16),
    Stream("live-photo", "more than one window both ways, padding, an odd number of layers", "photo-176x144", (20, 150)),
    Stream("live-odd", "odd size, drawn", (85, 61), (100, 252)),
]


def make_stream(model, stream):
    """-> bytes of the file, MD5 of its pictures."""
    planes = pictures.photograph(stream.source) if isinstance(stream.source, str) else None
    width, height = planes[0].shape[::-1] if planes else stream.source
    sequence = ref.Sequence(model.identity[:16], width, height, **stream.fields)
    decoder, decoded, data = ref.Decoder(model), [], ref.FILE_MAGIC
    for number, q4 in enumerate(stream.q4):
        picture = planes if planes else pictures.drawn(width, height, number)
        header = sequence if number % stream.key_interval == 0 else None
        frame = ref.encode_picture(model, picture, header, number, q4, stream.lanes)
        decoded.append(decoder.decode(frame))
        data += ref.write_unit(frame)
    return data, ref.md5_of_pictures(decoded)


def read_list(directory):
    """-> file name -> MD5."""
    path = pathlib.Path(directory) / LIST
    lines = path.read_text().splitlines() if path.exists() else []
    return {name: digest for digest, name in (line.split() for line in lines)}


def model_path(name):
    return MODELS[name.split("-")[0]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", choices=MODELS)
    parser.add_argument("--model", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("directory", nargs="?", type=pathlib.Path, default=pictures.VECTORS / "conformance")
    args = parser.parse_args()
    paths = {**MODELS, **{name: pathlib.Path(path) for name, path in (given.split("=", 1) for given in args.model)}}
    models = {name: ref.read_model(path) for name, path in paths.items() if path.exists() and args.only in (None, name)}
    digests = read_list(args.directory)
    for stream in STREAMS:
        file = stream.name + ".m2tv"
        model = models.get(stream.name.split("-")[0])
        if model is None:
            print(f"{file}: left as it is")
            continue
        data, digests[file] = make_stream(model, stream)
        (args.directory / file).write_bytes(data)
        print(f"{file}: {len(data)} bytes, {len(stream.q4)} frames; {stream.feature}")
    wanted = [stream.name + ".m2tv" for stream in STREAMS]
    (args.directory / LIST).write_text("".join(f"{digests[file]}  {file}\n" for file in wanted if file in digests))


if __name__ == "__main__":
    main()
