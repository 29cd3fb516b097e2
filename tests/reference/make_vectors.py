#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes the golden vectors of tests/vectors (its README describes the layout): what each stage must return.

    make_vectors.py [DIRECTORY]
"""
import dataclasses
import pathlib
import sys

import numpy as np

import m2t_reference as ref
import pictures

CASES = [  # width, height, q in quarter steps, lanes
    (16, 16, 0, 1), (16, 16, 252, 4), (17, 17, 72, 4), (17, 17, 251, 16), (35, 19, 1, 16), (35, 19, 133, 4), (35, 19, 252, 1),
    (64, 48, 0, 4), (64, 48, 84, 16), (64, 48, 200, 4), (64, 48, 252, 16), (160, 144, 168, 4), (160, 144, 250, 16),
]
# Of what the reference can trace, what the C code still has when a stage is done: the stream behind the last block of each, and so on.
TRACED = ("analysis.block8.1", "analysis.block16.0", "prior.state.1", "synthesis.dequantized", "synthesis.block16.1", "synthesis.block8.0",
          "synthesis.v")
DTYPES = {"patches": "I8", "level": "U8", "centroid": "I8", "mean": "I32"}     # of what is not stored with 16 bits


class VectorFile:
    """NAME.ini (for GKeyFile) and NAME.bin: arrays by name, and cases with a few numbers and words."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.lines, self.blob = [], bytearray()

    def case(self, name, **values):
        self.lines += [f"[{name}]"] + [f"{key}={value}" for key, value in values.items()] + [""]

    def array(self, name, dtype, values):
        stored = np.ascontiguousarray(np.asarray(values).astype(ref.DTYPES[dtype]))
        assert np.array_equal(stored.astype(np.float64), np.asarray(values, np.float64)), name
        self.blob += bytes(-len(self.blob) % 8)
        shape = "".join(f"{n};" for n in stored.shape)
        self.lines += [f"[{name}]", f"dtype={dtype}", f"shape={shape}", f"offset={len(self.blob)}", f"bytes={stored.nbytes}", ""]
        self.blob += stored.tobytes()

    def data(self, name, content):
        self.array(name, "U8", np.frombuffer(bytes(content), np.uint8))

    def write(self):
        self.path.with_suffix(".ini").write_text("\n".join(self.lines))
        self.path.with_suffix(".bin").write_bytes(self.blob)
        print(f"{self.path}: {len(self.blob)} bytes")


def stage_vectors(model, out):
    """The way of a picture, case by case."""
    for width, height, q4, lanes in CASES:
        name = f"{width}x{height}-q{q4}"
        planes = pictures.drawn(width, height, seed=q4 + width)
        if width == 160:                                  # a photograph that is a little too narrow for this one
            photo = pictures.photograph("photo-176x144")
            planes = [photo[0][:144, :160], photo[1][:72, :80], photo[2][:72, :80]]
        quantizer = ref.Quantizer(model, q4)

        def trace(stage, array):
            if stage in TRACED:
                out.array(f"{name}/{stage}", DTYPES.get(stage, "I16"), array)

        patches = ref.planes_to_patches(planes)
        rounded = ref.analysis(model, quantizer, patches, trace)
        y, centroid = ref.choose_latents(model, quantizer, rounded)
        mean, level = ref.predict_at_once(model, quantizer, y, trace)
        samples = ref.synthesis(model, quantizer, y, centroid, trace)
        decoded = ref.patches_to_planes(samples, width, height)
        sequence = ref.Sequence(model.identity[:16], width, height)
        packet = ref.encode_picture(model, planes, sequence, q4 & 255, q4, lanes)
        assert ref.md5_of_pictures([ref.Decoder(model).decode(packet)]) == ref.md5_of_pictures([decoded])

        out.case(name, width=width, height=height, q4=q4, lanes=lanes, number=q4 & 255, md5=ref.md5_of_pictures([decoded]))
        for plane, content in zip("yuv", planes):
            out.array(f"{name}/picture.{plane}", "U8", content)
        for stage, array in (("patches", patches), ("rounded", rounded), ("y", y), ("mean", mean), ("level", level), ("centroid", centroid)):
            out.array(f"{name}/{stage}", DTYPES.get(stage, "I16"), array)
        out.data(f"{name}/packet", packet)


def mt_vectors(model, out):
    """The prior that masks the input only."""
    for width, height, q4, lanes in ((16, 16, 100, 1), (35, 19, 133, 4), (150, 140, 200, 16)):
        name, planes = f"{width}x{height}-q{q4}", pictures.drawn(width, height, seed=q4)
        quantizer = ref.Quantizer(model, q4)
        y, _ = ref.choose_latents(model, quantizer, ref.analysis(model, quantizer, ref.planes_to_patches(planes)))
        mean, level = ref.predict_at_once(model, quantizer, y)
        packet = ref.encode_picture(model, planes, ref.Sequence(model.identity[:16], width, height), 0, q4, lanes)
        out.case(name, width=width, height=height, q4=q4, md5=ref.md5_of_pictures([ref.Decoder(model).decode(packet)]))
        for stage, array in (("y", y), ("mean", mean), ("level", level)):
            out.array(f"{name}/{stage}", DTYPES.get(stage, "I16"), array)
        for plane, content in zip("yuv", planes):
            out.array(f"{name}/picture.{plane}", "U8", content)
        out.data(f"{name}/packet", packet)


def quantizer_vectors(model, out):
    for q4 in (0, 1, 83, 84, 85, 167, 168, 251, 252):
        quantizer = ref.Quantizer(model, q4)
        out.case(f"quantizer-q{q4}", q4=q4)
        for field in ("gain", "igain", "size", "feature"):
            out.array(f"quantizer-q{q4}/{field}", "F32", getattr(quantizer, field))
        out.array(f"quantizer-q{q4}/lsize", "I32", quantizer.lsize)


def layer_vectors(out, random):
    """Single operations of sections 0 and 6 with the limits of their types."""
    floats = np.array([0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49999997, 2097151.5, 2097152, 2097153, -2097152, -3e9, 3e30, 126.5, -127.5],
                      np.float32)
    out.array("rnd/in", "F32", floats)
    out.array("rnd/out", "I32", ref.rnd(floats))
    acc = np.concatenate([[0, 1, -1, 16777215, 16777217, 16777219, -16777217, 2147483583, 2147483647, -2147483647],
                          random.randint(-(1 << 31), 1 << 31, 100), random.randint(-(1 << 17), 1 << 17, 402)])
    scale = np.exp2(random.uniform(-24, 1, len(acc))).astype(np.float32)
    result = ref.rnd(ref.fl(acc) * scale)
    stream = random.randint(-32768, 32768, len(acc))
    out.array("requantise/acc", "I32", acc)
    out.array("requantise/scale", "F32", scale)
    out.array("requantise/to8", "I8", ref.clamp8(result))
    out.array("requantise/relu8", "I8", ref.clamp8(result - 127))
    out.array("requantise/to16", "I16", ref.sat16(result))
    out.array("requantise/to32", "I32", result)
    out.array("requantise/stream", "I16", stream)
    out.array("requantise/add16", "I16", ref.sat16(stream + ref.sat16(result)))
    edges = np.concatenate([[-32768, -16384, -16320, -16319, -16256, -128, -65, -64, -1, 0, 63, 64, 127, 16255, 16319, 16320, 32767], stream[:239]])
    out.array("narrow/in", "I16", edges)
    out.array("narrow/out", "I8", [ref.narrow(edges, [s]) for s in range(9)])
    hi, lo = ref.split_wide(edges)
    out.array("wide/in", "I16", edges)
    out.array("wide/hi", "I8", hi)
    out.array("wide/lo", "I8", lo)
    u, g = np.mgrid[-127:128, -127:128]
    out.array("gate/out", "I8", ref.clamp8((u * (g + 127) + 64) >> 7))
    for d in (8, 16, 192, 512):
        rows = np.rint(random.normal(0, 1, (24, d)) * np.exp2(random.uniform(-1, 15, (24, 1))) + random.normal(0, 3000, (24, 1)))
        rows[0], rows[1], rows[2], rows[3] = 0, -32768, 32767, 0
        rows[2, 0], rows[3, 1] = -32768, 1
        rows[4] = np.where(np.arange(d) & 1, 32767, -32768)
        rows = ref.sat16(rows.astype(np.int64))
        weight = np.exp2(random.uniform(0, 12, d)).astype(np.float32)
        out.array(f"norm-{d}/in", "I16", rows)
        out.array(f"norm-{d}/weight", "F32", weight)
        out.array(f"norm-{d}/norm8", "I8", ref.norm8(rows, weight))
        out.array(f"norm-{d}/norm16", "I16", ref.norm16(rows, weight))


def random_symbols(model, random, count):
    """Levels, means and what latents should be, with all that can happen: escapes short and long, raw bits, the limits of both."""
    level = random.randint(0, len(model.entropy.raw), count)
    mean = np.rint(random.normal(0, 1, count) * np.exp2(random.uniform(0, 17, count))).astype(np.int64)
    mean[::50], mean[1::50] = 262128, -262128
    mean = np.clip(mean, -262128, 262128)
    spread = np.exp2(random.uniform(-3, 1, count)) * 2 * model.entropy.radius[level] * (1 << model.entropy.raw[level])
    wanted = np.clip(np.rint(mean / 16 + random.normal(0, 1, count) * spread), -16383, 16382).astype(np.int64)
    wanted[5::97], wanted[6::97] = -16383, 16382
    return level, mean, wanted


def coder_vectors(model, out, random):
    for lanes in ref.LANES:
        for count in (0, 1, 3, 17, 3000):
            name = f"rans-{lanes}-{count}"
            level, mean, wanted = random_symbols(model, random, count)
            encoder = ref.RansEncoder(model)
            value, centroid = ref.code_chain(encoder, wanted, mean, level)
            data = encoder.finish(lanes)
            out.case(name, lanes=lanes, symbols=count)
            out.array(f"{name}/level", "U8", level)
            out.array(f"{name}/mean", "I32", mean)
            out.array(f"{name}/value", "I16", value)
            out.array(f"{name}/centroid", "I8", centroid)
            out.data(f"{name}/data", data)
    for i, content in enumerate([[0], [0, 5], [3, 0, 0, -1, 16383, -16383, 0, 1], random.randint(-2, 3, 4000) * (random.rand(4000) < 0.1)]):
        out.array(f"exceptions-{i}/values", "I16", content)
        out.data(f"exceptions-{i}/data", ref.write_exceptions(np.array(content, np.int64)))


def sequences(identity):
    plain = ref.Sequence(identity, 16, 16)
    full = ref.Sequence(identity, 8192, 8191, rate=(30000, 1001), aspect=(64, 45), colour=(2, 9, 16, 9), site=5,
                        mastering=(35400, 14600, 8500, 39850, 6550, 2300, 15635, 16450, 10000000, 50), light=(1000, 400))
    return {"plain": plain, "full": full, "rate": ref.Sequence(identity, 768, 512, rate=(0, 1)),
            "large": ref.Sequence(identity, 127, 128, rate=(0x7FFFFFFF, 0x7FFFFFFF), aspect=(1, 0x7FFFFFFF)),
            "colour": ref.Sequence(identity, 1920, 1080, colour=(1, 1, 200, 255)), "site": ref.Sequence(identity, 1921, 1081, site=8),
            "light": ref.Sequence(identity, 640, 480, light=(65535, 0))}


def header_vectors(out, random):
    identity = bytes(range(0xA0, 0xB0))
    for name, s in sequences(identity).items():
        fields = {"width": s.width, "height": s.height}
        for field in ("rate", "aspect", "colour", "mastering", "light"):
            value = getattr(s, field)
            if value is not None:
                fields[field] = "".join(f"{n};" for n in value)
        if s.site is not None:
            fields["site"] = s.site
        assert ref.read_sequence(ref.write_sequence(s)) == s
        out.case(f"sequence-{name}", **fields)
        out.data(f"sequence-{name}/model", identity)
        out.data(f"sequence-{name}/data", ref.write_sequence(s))
    for name, number, q4, lanes, sequence, size in (("small", 0, 0, 1, None, 5), ("key", 255, 252, 4, "plain", 300), ("full", 7, 128, 16, "full", 20000)):
        frame_vector(out, name, number, q4, lanes, sequence, [random.bytes(size)])
    for i, content in enumerate([b"", b"123456789", bytes(32), bytes([255] * 32), bytes(range(32)), random.bytes(4099)]):
        out.case(f"crc-{i}", crc=ref.crc32c(content))
        out.data(f"crc-{i}/data", content)
    for value in (0, 1, 127, 128, 16383, 16384, 2097152, 0x7FFFFFFF, 0xFFFFFFFF):
        out.case(f"varint-{value}", value=value)
        out.data(f"varint-{value}/data", ref.write_varint(value))


def frame_vector(out, name, number, q4, lanes, sequence, slices, inter=False, exact=False):
    header = ref.write_sequence(sequences(bytes(range(0xA0, 0xB0)))[sequence]) if sequence else None
    frame = ref.Frame(number, q4, lanes, header, slices, inter, exact)
    data = ref.write_frame(frame)
    assert ref.read_frame(data) == frame
    out.case(f"frame-{name}", number=number, q4=q4, lanes=lanes, sequence=sequence or "none", inter=int(inter),
             exact=int(exact), sizes="".join(f"{len(content or b'')};" for content in slices))
    out.data(f"frame-{name}/slice", b"".join(content or b"" for content in slices))
    out.data(f"frame-{name}/data", data)


def slice_vectors(out, random):
    """Frames of several slices, some of them missing, and the heads of slices in inter frames."""
    frame_vector(out, "slices", 9, 100, 16, "full", [random.bytes(n) for n in (1, 127, 128, 20000, 3)])
    frame_vector(out, "inter", 10, 101, 4, None, [random.bytes(n) for n in (40, 1, 400)], inter=True)
    frame_vector(out, "missing", 11, 102, 1, "rate", [None, random.bytes(300), None, random.bytes(2)], inter=True)
    frame_vector(out, "most", 12, 103, 4, None, [None if i % 7 == 3 else random.bytes(i % 5 + 1) for i in range(ref.SLICES_MAX)])
    maps = [[0], [1], [0, 1], [1, 0], 7 * [1], 300 * [0], 300 * [1], 200 * [1] + 100 * [0], 129 * [0] + 300 * [1],
            random.rand(500) < 0.5, random.rand(500) < 0.02, random.rand(500) < 0.98]
    for i, kept in enumerate(maps):
        kept = np.array(kept, bool)
        head = ref.write_head(kept, 0xABCD1234 + i)
        back, reference = ref.read_head(ref.Reader(head, "head"), len(kept))
        assert np.array_equal(back, kept) and reference == (0x1234 + i if kept.any() else None)
        out.case(f"head-{i}", reference=0x1234 + i)
        out.array(f"head-{i}/kept", "U8", kept)
        out.data(f"head-{i}/data", head)
    frame_vector(out, "exact", 13, 104, 4, "plain", [bytes(range(40)), b"x"], exact=True)
    frame_vector(out, "exact-inter", 14, 105, 16, None, [None, bytes(range(9))], inter=True, exact=True)


def stream_vectors(out, random):
    """Escapes, whole units, and byte streams with rubbish between the units."""
    plain = [b"\0", b"\0\0", b"\0\0\0", b"\0\0\0\0", bytes(17), b"\0\0\3", b"\0\0\3\3", b"\0\0\1\0\0\2\0\0\4", b"\0\0\2M", b"\0\0\0\2M",
             b"M\0\0", b"\0\0\2", bytes(200), bytes(random.choice([0, 0, 0, 1, 2, 3, 4, 77, 255], 3000).tolist())]
    for i, content in enumerate(plain):
        assert ref.unescape(ref.escape(content)) == content
        out.data(f"escape-{i}/plain", content)
        out.data(f"escape-{i}/unit", ref.write_unit(content))
    units = [ref.write_unit(content) for content in plain]
    streams = {
        "file": (ref.FILE_MAGIC + b"".join(units), range(len(plain))),
        "joined-late": (units[13][100:] + b"".join(units[:3]), range(3)),
        "rubbish": (b"\0\0\2" + units[8] + b"rubbish\0\0\0" + units[9] + b"\0\0" + units[13] + b"\0\0\2", (8, 9, 13)),
        "cut-short": (ref.FILE_MAGIC + units[0] + units[13][:-1] + units[4] + units[12][:-4], (0, 4)),
        "bad-length": (ref.FILE_MAGIC + units[2] + ref.SYNC + b"\x80\x80\x01\x80abc" + units[5], (2, 5)),
    }
    for name, (data, found) in streams.items():
        assert list(ref.read_units(data)) == [plain[i] for i in found], name
        out.case(f"stream-{name}", units="".join(f"{i};" for i in found))
        out.data(f"stream-{name}/data", data)


def refused_frames(model):
    """Frames that a decoder must refuse: name -> bytes. Checksums agree unless the name says otherwise."""
    sequence = ref.Sequence(model.identity[:16], 40, 24)
    planes = pictures.drawn(40, 24, 5)
    good = ref.read_frame(ref.encode_picture(model, planes, sequence, 3, 236, 4))
    whole = ref.write_frame(good)
    slice_data = good.slices[0]
    reader = ref.Reader(slice_data, "slice")
    exceptions = ref.read_exceptions(reader, 3 * 2 * 24)
    coder = slice_data[reader.at:]
    header = good.sequence
    assert np.count_nonzero(exceptions) > 0

    def changed(data, at, value):
        return data[:at] + bytes([value]) + data[at + 1:]

    def frame(flags=None, q4=None, slices=None, extension=b"", count=None, sequence=header):
        """The frame again, with other values and right checksums."""
        body = slice_data if slices is None else slices
        head = bytes([0x14 if flags is None else flags, 3, 236 if q4 is None else q4])
        head += ref.write_varint(len(sequence)) + sequence + extension
        head += ref.write_varint(1 if count is None else count) + ref.write_varint(len(body))
        head += (ref.crc32c(head) & 0xFFFF).to_bytes(2, "little")
        return head + ref.crc32c(body).to_bytes(4, "little") + body

    assert frame() == whole
    zero = ref.write_varint(0)
    cases = {f"reserved-type-{i}": frame(flags=0x14 | i) for i in (2, 3)}
    cases.update({f"reserved-flag-{i}": frame(flags=0x14 | 1 << i) for i in (7,)})
    cases.update({
        "empty": b"", "one-byte": whole[:1], "header-only": whole[:30], "last-byte-missing": whole[:-1], "byte-too-many": whole + b"\0",
        "reserved-lanes": frame(flags=0x34), "q-253": frame(q4=253),
        "extension": frame(flags=0x1C, extension=b"\1x"), "two-slices": frame(count=2), "no-slices": frame(count=0),
        "header-checksum": changed(whole, 2, 235), "slice-checksum": changed(whole, len(whole) - 1, whole[-1] ^ 1),
        "no-sequence-header": ref.write_frame(ref.Frame(3, 236, 4, None, [slice_data])),
        "sequence-version-2": frame(sequence=changed(header, 0, 2)),
        "other-model": frame(sequence=changed(header, 1, header[1] ^ 1)),
        "width-15": frame(sequence=changed(header, 17, 15)),
        "width-8193": frame(sequence=header[:17] + ref.write_varint(8193) + header[18:]),
        "width-long-varint": frame(sequence=header[:17] + b"\xA8\x00" + header[18:]),
        "width-six-bytes": frame(sequence=header[:17] + b"\xA8\x80\x80\x80\x80\x01" + header[18:]),
        "format-1": frame(sequence=changed(header, 19, 1)),
        "sequence-left-over": frame(sequence=header + b"\0"), "sequence-short": frame(sequence=header[:-1]),
        "rate-denominator-0": frame(sequence=changed(header, 19, 4) + b"\x19\x00"),
        "aspect-0": frame(sequence=changed(header, 19, 8) + b"\x00\x01"),
        "rate-too-large": frame(sequence=changed(header, 19, 4) + ref.write_varint(1 << 31) + b"\x01"),
        "aspect-too-large": frame(sequence=changed(header, 19, 8) + b"\x01" + ref.write_varint(1 << 31)),
        "exceptions-too-many": frame(slices=ref.write_varint(1000) + slice_data[1:]),
        "exception-outside": frame(slices=ref.write_varint(1) + ref.write_varint(144) + b"\2" + coder),
        "exception-far-outside": frame(slices=b"\2\0\2" + ref.write_varint(0xFFFFFFFF) + b"\2" + coder),
        "exception-zero": frame(slices=ref.write_varint(1) + b"\0\0" + coder),
        "exception-huge": frame(slices=ref.write_varint(1) + b"\0" + ref.write_varint(2 * 16384) + coder),
        "coder-empty": frame(slices=zero), "coder-states-cut": frame(slices=zero + coder[:15]),
        "coder-state-small": frame(slices=zero + coder[:2] + b"\0\0" + coder[4:]),
        "coder-word-missing": frame(slices=slice_data[:-2]), "coder-word-too-many": frame(slices=slice_data + b"\1\2"),
        "coder-odd-byte": frame(slices=slice_data + b"\0"),
        "coder-word-changed": frame(slices=changed(slice_data, len(slice_data) - 3, slice_data[-3] ^ 0x40)),
        "exceptions-dropped": frame(slices=zero + coder),
        "slice-missing": ref.without_slices(whole, (0,)),
        "three-slices": ref.write_frame(dataclasses.replace(good, slices=3 * [slice_data])),
        "slices-65": ref.write_frame(dataclasses.replace(good, slices=65 * [b"x"])),
    })
    cases.update(refused_heads(model, lambda data: frame(flags=0x15, slices=data)))
    cases.update(refused_exact(model, frame))
    return whole, cases


def refused_heads(model, frame):
    """Inter frames of 3 x 2 tokens, made by `frame` from the bytes of a slice."""
    kept = np.array([0, 1, 0, 0, 0, 0], bool)
    quantizer = ref.Quantizer(model, 236)
    y = ref.analysis(model, quantizer, ref.planes_to_patches(pictures.drawn(40, 24, 5)))
    content = ref.encode_slice(model, quantizer, y, 4, kept)
    reader = ref.Reader(content, "slice")
    exceptions = ref.read_exceptions(reader, y.size)
    exceptions[y.shape[2] + 1] = 1                      # of the token that is kept
    return {
        "head-empty": frame(b"\x80"), "head-cut": frame(b"\1\x34"), "head-without-run": frame(b"\3\x34\x12\0"), "head-only": frame(b"\0"),
        "head-run-empty": frame(b"\5\x34\x12\0\1\0\1" + content), "head-run-empty-kept": frame(b"\4\x34\x12\0\1\0" + content),
        "head-run-too-long": frame(b"\3\x34\x12\0\7" + content), "head-nothing-left": frame(b"\3\x34\x12\0\6" + content),
        "head-huge-run": frame(b"\2\x34\x12" + ref.write_varint(0xFFFFFFFF) + content),
        "head-huge-count": frame(ref.write_varint(0xFFFFFFFF) + b"\x34\x12" + 6 * b"\1" + content),
        "head-too-many-runs": frame(b"\10\x34\x12\0" + 6 * b"\1" + content),
        "kept-and-a-byte": frame(b"\1\x34\x12\0"), "kept-coded": frame(b"\0" + content),
        "kept-exception": frame(ref.write_head(kept, 0x1234) + ref.write_exceptions(exceptions) + content[reader.at:]),
    }


def refused_exact(model, frame):
    """Frames of 3 x 2 tokens, made by `frame` from flags and the bytes of a slice, some of whose tokens are exact."""
    planes, quantizer = pictures.drawn(40, 24, 5), ref.Quantizer(model, 236)
    y, samples = ref.analysis(model, quantizer, ref.planes_to_patches(planes)), ref.planes_to_samples(planes)
    none = np.zeros((2, 3), bool)
    some, second = none.copy(), none.copy()
    some[0, :2], second[0, 1] = True, True
    section, whole = ref.write_exact(some, none, samples), ref.write_exact(~none, none, samples)
    content = ref.encode_slice(model, quantizer, y, 4, some.ravel())
    coded = ref.encode_slice(model, quantizer, y, 4)
    coder = ref.Reader(content, "slice")
    exceptions = ref.read_exceptions(coder, y.size)
    exceptions[y.shape[2] + 1] = 1                      # of a token that is exact
    reader = ref.Reader(section[2:], "section")         # behind "two runs, two tokens in the first"
    data = reader.take(reader.varint("size"), "samples")
    kept = ref.write_head(second.ravel(), 0x1234)
    size = ref.write_varint

    def intra(*parts):
        return frame(flags=0x54, slices=b"".join(parts))

    def inter(*parts):
        return frame(flags=0x55, slices=b"".join(parts))

    for good in (intra(section, content), intra(whole), intra(b"\0", coded)):
        ref.Decoder(model).decode(good)
    return {
        "exact-flag-alone": intra(coded), "exact-without-flag": frame(slices=section + content), "exact-empty": intra(b"\x80"),
        "exact-runs-cut": intra(b"\2"), "exact-run-empty": intra(b"\5\0\1\0\1", section[2:], content),
        "exact-run-too-long": intra(b"\3\0\7", section[2:], content), "exact-nothing-left": intra(b"\3\0\6", section[2:], content),
        "exact-huge-run": intra(b"\2", size(0xFFFFFFFF), section[2:], content),
        "exact-huge-count": intra(size(0xFFFFFFFF), 6 * b"\1", section[2:], content),
        "exact-run-over-kept": inter(kept, b"\2\5", section[2:], content),
        "exact-size-missing": intra(section[:2]), "exact-size-0": intra(section[:2], b"\0", content),
        "exact-size-too-large": intra(section[:2], size(len(data) + 1), data),
        "exact-huge-size": intra(section[:2], size(0xFFFFFFFF), data, content),
        "exact-cut": intra(section[:-1]), "exact-bytes-missing": intra(section[:2], size(len(data) - 3), data[:-3], content),
        "exact-byte-too-many": intra(section[:2], size(len(data) + 1), data, b"\0", content),
        "exact-nothing-coded": intra(section), "exact-and-a-byte": intra(whole, b"\0"), "exact-coded": intra(section, coded),
        "exact-exception": intra(section, ref.write_exceptions(exceptions), content[coder.at:]),
        "kept-and-exact": inter(b"\1\x34\x12", b"\0"),
    }


def refused_vectors(model, out):
    whole, cases = refused_frames(model)
    out.case("accepted", md5=ref.md5_of_pictures([ref.Decoder(model).decode(whole)]))
    out.data("accepted/packet", whole)
    for name, packet in cases.items():
        try:
            ref.Decoder(model).decode(packet)
        except ref.M2tError as error:
            out.case(f"refused-{name}", reason=str(error))
            out.data(f"refused-{name}/packet", packet)
        else:
            raise AssertionError(f"{name} was decoded")


def main():
    directory = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pictures.VECTORS
    model = ref.read_model(pictures.VECTORS / "tiny.m2tw")
    random = np.random.RandomState(11)
    files = {name: VectorFile(directory / name) for name in ("stages", "mt", "layers", "coder", "headers", "refused")}
    stage_vectors(model, files["stages"])
    mt_vectors(ref.read_model(pictures.VECTORS / "mt.m2tw"), files["mt"])
    quantizer_vectors(model, files["layers"])
    layer_vectors(files["layers"], random)
    coder_vectors(model, files["coder"], random)
    header_vectors(files["headers"], random)
    stream_vectors(files["headers"], random)
    slice_vectors(files["headers"], random)
    refused_vectors(model, files["refused"])
    for file in files.values():
        file.write()


if __name__ == "__main__":
    main()
