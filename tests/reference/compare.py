#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares the C program with the reference, on models and pictures drawn at random.

Each round makes a model with a random graph (all kinds of widths, parts, groups, layers, levels; some with values that
drive every stage into saturation), codes a small clip, a scene or a screen, part of which stands still, with `m2t encode` in some number of slices, and demands that
its latents, coded by the reference, give the same slices, and that both decode both streams to the same planes, with slices lost as well. How far
the latents of the first frame are from those of the analysis is printed: an encoder chooses. First of all, both must refuse the same models and
frames.

    compare.py M2T [--rounds N] [--seed S] [--backend NAME]
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import bad_models
import m2t_reference as ref
import make_tiny_model
import make_vectors
import pictures


def composition(random, total, unit, parts):
    """A list of `parts` multiples of `unit` that sum to total."""
    cuts = np.sort(random.choice(np.arange(1, total // unit), parts - 1, replace=False)) if parts > 1 else []
    return [int(n) * unit for n in np.diff(np.concatenate([[0], cuts, [total // unit]]))]


def random_graph(random):
    def width(*choices):
        return int(random.choice(choices))

    def transform():
        return {"width8": width(8, 16, 24, 40, 72), "width16": width(8, 24, 56, 96),
                "blocks8": width(0, 1, 2), "blocks16": width(0, 1, 3)}

    latents, d = width(8, 16, 40, 64, 136, 256, 512), width(8, 16, 24, 40, 96)
    parts = min(width(1, 2, 3, 4), latents // 8)
    levels = width(1, 2, 7, 20, 33, 64)
    return {
        "format": 1, "name": "random", "anchors": width(2, 3, 6, 16), "latents": latents,
        "analysis": transform(), "synthesis": transform(),
        "prior": {"width": d, "heads": int(random.choice([h for h in range(1, d + 1) if d % (8 * h) == 0])), "mlp": width(8, 24, 200),
                  "step": width(8, 40, 136), "parts": composition(random, latents, 8, parts),
                  "groups": sorted(composition(random, 64, 1, width(1, 2, 4, 8, 16))),
                  "layers": [str(random.choice(["window", "shifted"])) for _ in range(width(1, 2, 3, 5))],
                  "limit": width(0, 500, 3000, 16384), **({"masking": "input"} if random.rand() < 0.25 else {})},
        "entropy": {"levels": levels, "base": -4096, "step": max(1, 15000 // levels), "skip": int(random.randint(0, levels // 3 + 1))},
        **({"filter": "directional"} if random.rand() < 0.6 else {}),
    }


def random_source(random, order, prior):
    """As the document builds it, with some cells bare, and some fed from a cell that others also take."""
    groups = prior["groups"]
    if prior.get("masking") == "input":
        return range(64)
    source = make_tiny_model.source_table(order, groups)
    group = ref.group_of_cell(np.array(order), groups)
    for cell in range(64):
        before = np.flatnonzero(group == group[cell] - 1)
        if random.rand() < 0.1:
            source[cell] = int(random.choice(before)) if len(before) and random.rand() < 0.5 else -1
    return source


def make_wild(random, tensors):
    """Scales, shifts and weights at random, so that every clamp is met."""
    for name, (dtype, array) in tensors.items():
        if name.endswith(".shift"):
            array[:] = random.randint(0, 9)
        elif name in ref.FILTERS and random.rand() < 0.7:          # 11096: the sum of such weights is just below its bound
            array[:] = random.choice([-11096, 11096], array.shape) if random.rand() < 0.5 else random.randint(-11096, 11097, array.shape)
        elif dtype == "F32" and random.rand() < 0.3:
            array *= np.float32(2.0 ** random.randint(-5, 6))
        elif name.endswith(".weight") and random.rand() < 0.1 and array.shape[-1] < 500:
            array[:] = random.choice([-128, -127, 127], array.shape)
        elif name in ("gain", "igain", "prior.size") and random.rand() < 0.3:
            array[:] = random.randint(-9000, 9000, array.shape)


def is_refused(m2t, path):
    return subprocess.run([m2t, "info", path], capture_output=True).returncode != 0


def run(m2t, *arguments):
    done = subprocess.run([m2t, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{done.args}: {done.stderr}")
    return done.stdout


def latents_of(model, quantizer, frame, width, height):
    """-> the latents of a frame [TH][TW][L], which tokens are kept [TH][TW] or None, which are exact [TH][TW], planes with their samples."""
    rows, cols = ref.token_grid(width, height)
    exact, samples = np.zeros((rows, cols), bool), np.zeros((2 * rows, 2 * cols, ref.PATCH), np.int64)
    y, kept = np.zeros((rows, cols, model.graph["latents"]), np.int64), np.zeros((rows, cols), bool)
    for content, (begin, end) in zip(frame.slices, ref.slice_bounds(rows, len(frame.slices))):
        reader, own = ref.Reader(content, "slice"), np.zeros((end - begin) * cols, bool)
        if frame.inter:
            own, _ = ref.read_head(reader, len(own))
        kept[begin:end] = own.reshape(-1, cols)
        if frame.exact and not own.all():
            exact[begin:end], samples[2 * begin:2 * end] = ref.read_exact(reader, kept[begin:end])
        left_out = own | exact[begin:end].ravel()
        if not left_out.all():
            y[begin:end] = ref.decode_slice(model, quantizer, content[reader.at:], end - begin, cols, frame.lanes, left_out)[0]
    return y, kept if frame.inter else None, exact, ref.patches_to_planes(samples, width, height)


def reference_frames(model, random, clip, q4, slices):
    """The clip as the reference codes it: a key frame, then inter frames that keep tokens at random; of others some are exact."""
    height, width = clip[0][0].shape
    sequence, before = ref.Sequence(model.identity[:16], width, height), None
    for i, planes in enumerate(clip):
        kept = random.rand(*ref.token_grid(width, height)) < random.choice([0.1, 0.5, 0.95])
        kept[:random.randint(len(kept) + 1)] = random.rand() < 0.5
        exact = (random.rand(*kept.shape) < random.choice([0, 0.2, 0.8, 1])) | ref.plain_tokens(planes)
        data = ref.encode_picture(model, planes, None if i else sequence, i, q4, ref.LANES[random.randint(3)], slices, kept if i else None, before, exact)
        yield data
        before = ref.read_frame(data)


def lose_slices(random, data):
    """The frame without some of its slices; one at least stays."""
    count = len(ref.read_frame(data).slices)
    return ref.without_slices(data, random.permutation(count)[:random.randint(count)].tolist())


def compare_decoders(m2t, model, options, path, frames, what):
    path.write_bytes(ref.FILE_MAGIC + b"".join(map(ref.write_unit, frames)))
    decoder = ref.Decoder(model)
    digest = ref.md5_of_pictures([decoder.decode(data) for data in frames])
    assert run(m2t, "md5", *options, path).split()[0] == digest, f"decoded planes {what} differ"


def compare_round(m2t, random, backend, directory):
    graph = random_graph(random)
    order = random.permutation(64).tolist()
    tensors = make_tiny_model.make_tensors(graph, random.randint(1 << 30), order, random_source(random, order, graph["prior"]))
    wild = random.rand() < 0.5
    if wild:
        make_wild(random, tensors)
    paths = {name: directory / name for name in ("random.m2tw", "in.y4m", "c.m2tv", "reference.m2tv")}
    make_tiny_model.write_model(paths["random.m2tw"], graph, tensors, {})
    try:
        model = ref.read_model(paths["random.m2tw"])
    except ref.M2tError as error:
        assert wild and is_refused(m2t, paths["random.m2tw"]), f"refused by the reference alone: {error}"
        return f"refused, {error}"            # a sum that may overflow
    largest = 200 if random.rand() < 0.8 else 450          # there, many groups have more than one chain
    width, height, q4 = random.randint(16, largest), random.randint(16, largest), random.randint(0, 253)
    clip = (pictures.moving if random.rand() < 0.5 else pictures.moving_screen)(width, height, 4, random.randint(1000))
    slices = random.randint(1, min(ref.token_grid(width, height)[0], 5) + 1)
    ref.write_y4m(paths["in.y4m"], ref.Sequence(b"", width, height, site=8), clip)

    options = ["-m", paths["random.m2tw"], "-t", random.randint(1, 4)] + (["--backend", backend] if backend else [])
    refresh = ["-r"] if random.rand() < 0.3 else []
    run(m2t, "encode", *options, *refresh, "-q", q4 / 4, "-k", 3, "-s", slices, paths["in.y4m"], paths["c.m2tv"])
    frames = list(ref.read_units(paths["c.m2tv"].read_bytes()))
    assert len(frames) == len(clip)
    quantizer, before, distance, share = ref.Quantizer(model, q4), None, 0, []
    for data in frames:
        frame = ref.read_frame(data)
        assert frame.q4 == q4 and len(frame.slices) == slices, "header differs"
        chosen, kept, exact, samples = latents_of(model, quantizer, frame, width, height)
        again = ref.read_frame(ref.encode_latents(model, quantizer, chosen, 0, None, frame.lanes, slices, kept, before, exact, samples))
        assert frame.slices == again.slices and frame.exact == again.exact, "slices differ"
        share.append(np.mean(exact))
        if before is None and not exact.all():
            distance = np.mean(np.abs(ref.analysis(model, quantizer, ref.planes_to_patches(clip[0])) - chosen)[~exact])
        before = frame
    compare_decoders(m2t, model, options, paths["c.m2tv"], frames, "of the program's stream")
    inter = sum(ref.read_frame(data).inter for data in frames)
    other = list(reference_frames(model, random, clip, q4, slices))
    compare_decoders(m2t, model, options, paths["reference.m2tv"], other, "of the reference's stream")
    lossy = [lose_slices(random, data) for data in frames + other]
    compare_decoders(m2t, model, options, paths["reference.m2tv"], lossy, "where slices are lost")
    return (f"{'wild, ' if wild else ''}{'filter, ' if ref.has_filter(graph) else ''}{width}x{height}, q4 {q4}, {slices} slices, {inter} inter frames, {len(frames[0])} bytes, "
            f"{100 * np.mean(share):.0f} % of the tokens exact, "
            f"latents {distance:.2f} steps from what analysis says")


def compare_refusals(m2t, directory):
    """The faults of bad_models.py, and the frames that `refused` lists."""
    path = directory / "bad.m2tw"
    for count, (name, good) in enumerate(bad_models.bad_models(path)):
        assert is_refused(m2t, path) != good, f"model: {name}"
    whole, frames = make_vectors.refused_frames(ref.read_model(pictures.VECTORS / "tiny.m2tw"))
    stream = directory / "bad.m2tv"
    for name, frame in [("good", whole), *frames.items()]:
        stream.write_bytes(ref.FILE_MAGIC + ref.write_unit(frame))
        done = subprocess.run([m2t, "md5", "-m", pictures.VECTORS / "tiny.m2tw", stream], capture_output=True)
        assert (done.returncode != 0) != (name == "good"), f"frame: {name}"
    return f"{count} models and {len(frames)} frames"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("m2t", help="the program")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--backend")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        try:
            print("refused by both:", compare_refusals(args.m2t, pathlib.Path(directory)))
        except AssertionError as error:
            sys.exit(f"taken, or refused, by the program alone: {error}")
        for seed in range(args.seed, args.seed + args.rounds):
            try:
                print(f"seed {seed}: same; " + compare_round(args.m2t, np.random.RandomState(seed), args.backend, pathlib.Path(directory)), flush=True)
            except (AssertionError, ref.M2tError) as error:
                sys.exit(f"seed {seed}: {error or 'differs'}")


if __name__ == "__main__":
    main()
