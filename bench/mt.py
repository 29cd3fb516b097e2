#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Measures decoding with the priors of models/family/, each beside the transforms of the standard model, and writes a Markdown table: M2T with more
or fewer groups, and MT, which runs all cells again for each group.

    mt.py [--build build] [--priors m2t-8,mt-8] [--backend openblas] [--threads 1] [--quantizer 32] [--frames 10] [--rounds 5] CLIP...

The first frames of every clip are coded and decoded with every prior, in turn, --rounds times; for each stage the least time counts: other work on the
machine only adds. If the model has more latents than a prior, the last ones are cut off its transforms: pictures then lose some detail, but only times
and bytes count here, and all priors see the same latents.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import speed

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "training"))
from m2tw import read_file, write_file    # noqa: E402

# The tensors of the transforms with an entry for each latent, and in which dimension (docs/model-format.md)
LATENT_DIMENSION = {"gain": 1, "igain": 1, "synthesis.in.weight": 1, "synthesis.shortcut.weight": 1, "synthesis.shortcut.weight_low": 1,
                    **{f"analysis.{layer}.{part}": 0 for layer in ("out", "shortcut") for part in ("weight", "weight_low", "scale", "bias")}}


def cut(tensors, latents):
    """Transforms with the first `latents` latents only."""
    result = dict(tensors)
    for name in LATENT_DIMENSION.keys() & tensors.keys():
        result[name] = tensors[name].take(range(latents), LATENT_DIMENSION[name])
    return result


def with_prior(model, prior, name):
    """The model with another prior -> tensors, and the graph of the prior."""
    graph, other = json.loads(bytes(model["graph"])), json.loads(bytes(prior["graph"]))
    if other["latents"] > graph["latents"]:
        sys.exit(f"{name}: the prior has {other['latents']} latents, the model {graph['latents']}")
    graph["name"], graph["latents"], graph["prior"] = name, other["latents"], other["prior"]
    text = json.dumps(graph).encode()
    transforms = cut({n: t for n, t in model.items() if not n.startswith("prior.")}, graph["latents"])
    return {**transforms, **prior, "graph": np.frombuffer(text, np.uint8)}, graph["prior"]


def cost(prior):
    """Multiply-accumulates for each luma sample, as `m2t models` counts them."""
    d, groups, parts, known, keys = prior["width"], prior["groups"], prior["parts"], 0, 0
    again = prior.get("masking") == "input"
    for size in groups:
        known += size
        keys += size * (64 if again else known) / 64
    trunk = 2 * sum(parts) * d + len(prior["layers"]) * (4 * d * d + 2 * d * prior["mlp"] + 2 * keys * d)
    heads = sum(2 * n * d for n in parts) + sum((d + 2 * n + d) * prior["step"] for n in parts[:-1])
    return (trunk * (len(groups) if again else 1) + heads) / 256


def first_frames(clip, count, folder):
    path = pathlib.Path(folder) / (pathlib.Path(clip).stem + ".y4m")
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", clip, "-frames:v", str(count), "-pix_fmt", "yuv420p", str(path)], check=True)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", help="of any kind that ffmpeg reads")
    parser.add_argument("--build", default=ROOT / "build", help="build directory (default: %(default)s)")
    parser.add_argument("--model", default=ROOT / "models" / "standard.m2tw", help="whose transforms are used (default: %(default)s)")
    parser.add_argument("--priors", default="m2t-4,m2t-6,m2t-8,m2t-12,mt-8", help="(default: %(default)s)")
    parser.add_argument("--anchor", default="m2t-8", help="what times are compared with (default: %(default)s)")
    parser.add_argument("--backend", default="openblas", help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="(default: %(default)s)")
    parser.add_argument("--quantizer", type=float, default=32, help="(default: %(default)s)")
    parser.add_argument("--frames", type=int, default=10, help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    args = parser.parse_args()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OPENBLAS_")}
    program = str(pathlib.Path(args.build) / "bench" / "speed")
    model, names, runs, facts = read_file(args.model), args.priors.split(","), {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            file = ROOT / "models" / "family" / (name + ".prior")
            tensors, prior = with_prior(model, read_file(file), name)
            write_file(f"{folder}/{name}.m2tw", tensors, {})
            facts[name] = (len(prior["groups"]), cost(prior) / 1000, file.stat().st_size)
        clips = [first_frames(clip, args.frames, folder) for clip in args.clips]
        for _ in range(args.rounds):
            for clip in clips:
                for name in names:
                    setting = (pathlib.Path(folder) / (name + ".m2tw"), args.backend, args.threads, 1, "medium", args.quantizer, clip)
                    output = subprocess.run([program, *map(str, setting)], check=True, stdout=subprocess.PIPE, env=environment, text=True).stdout
                    runs.setdefault((clip.stem, name), []).append(json.loads(output))
    least = lambda group, side: {stage: min(run[side][stage] for run in group) for stage in group[0][side]}
    chosen = {key: {**group[0], "encode": least(group, "encode"), "decode": least(group, "decode")} for key, group in runs.items()}
    print(f"{speed.cpu_name()}; {args.backend}, {args.threads} thread{'s' * (args.threads > 1)}; quantizer {args.quantizer:g}; "
          f"least of {args.rounds} runs; ratios to {args.anchor}\n")
    print("| clip | prior | groups | prior kMAC/px | bytes of the prior | bytes a frame | decode: prior ms | range coder ms | both: ratio | frame ms | ratio "
          "| encode: prior ms |")
    print("|---" * 12 + "|")
    for (clip, name), run in chosen.items():
        latent_ms = lambda r: r["decode"]["prior_ms"] + r["decode"]["entropy_ms"]
        groups, kmac, size = facts[name]
        d, anchor = run["decode"], chosen.get((clip, args.anchor), run)
        print(f"| {clip}, {run['width']}×{run['height']} | {name} | {groups} | {kmac:.2f} | {size:,} | {run['bytes'] / run['frames']:.0f} "
              f"| {d['prior_ms']:.2f} | {d['entropy_ms']:.2f} | {latent_ms(run) / latent_ms(anchor):.2f} | {d['frame_ms']:.2f} "
              f"| {d['frame_ms'] / anchor['decode']['frame_ms']:.2f} | {run['encode']['prior_ms']:.2f} |")


if __name__ == "__main__":
    main()
