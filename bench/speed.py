#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Measures encoding and decoding speed and writes Markdown tables: one row for each clip, model, backend and number of threads.

    speed.py --build build [--models standard] [--backends onednn,openblas] [--threads 1,2] [--rounds 3] CLIP...

Clips may be of any kind that ffmpeg reads; up to 60 frames are taken. Every setting runs in a process of its own, --rounds times in
turn with the others; the run with the median decoding time counts. OPENBLAS_CORETYPE is what OpenBLAS finds best unless --coretype says otherwise.
"""
import argparse
import json
import os
import pathlib
import subprocess
import tempfile

STAGES = ["analysis", "prior", "choice", "entropy", "synthesis"]


def cpu_name():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    flags = next((line for line in lines if line.startswith("flags")), "")
    isa = [name for name in ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8") if f" {name} " in flags + " "]
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown CPU")
    return f"{model} ({', '.join(isa)}), {os.cpu_count()} cores"


def to_y4m(clip, folder):
    path = pathlib.Path(folder) / (pathlib.Path(clip).stem + ".y4m")
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", clip, "-frames:v", "60", "-pix_fmt", "yuv420p", str(path)], check=True)
    return path


def measure(program, setting, environment):
    output = subprocess.run([program, *map(str, setting)], check=True, stdout=subprocess.PIPE, env=environment, text=True).stdout
    return json.loads(output)


def rows_of(results):
    for (clip, model, backend, threads), runs in results.items():
        yield clip, model, backend, threads, sorted(runs, key=lambda run: run["decode"]["frame_ms"])[len(runs) // 2]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+")
    parser.add_argument("--build", default="build")
    parser.add_argument("--models", default="standard")
    parser.add_argument("--backends", default="onednn,openblas")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--quantizer", type=float, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--coretype")
    args = parser.parse_args()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OPENBLAS_")}
    if args.coretype:
        environment["OPENBLAS_CORETYPE"] = args.coretype
    program = str(pathlib.Path(args.build) / "bench" / "speed")
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        clips = [to_y4m(clip, folder) for clip in args.clips]
        for _ in range(args.rounds):
            for clip in clips:
                for model in args.models.split(","):
                    for backend in args.backends.split(","):
                        for threads in map(int, args.threads.split(",")):
                            run = measure(program, (model, backend, threads, args.quantizer, clip), environment)
                            results.setdefault((clip.stem, model, backend, threads), []).append(run)
    print(f"{cpu_name()}; quantizer {args.quantizer:g}; median of {args.rounds} runs\n")
    print("| clip | size | model | backend | threads | encode frames/s | decode frames/s | start to first frame ms | CPU ms a frame, encode / decode | peak MiB |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for clip, model, backend, threads, run in rows_of(results):
        e, d = run["encode"], run["decode"]
        print(f"| {clip} | {run['width']}×{run['height']} | {model} | {backend} | {threads} | {1e3 / e['frame_ms']:.1f} | {1e3 / d['frame_ms']:.1f} "
              f"| {e['first_ms']:.0f} | {e['cpu_ms']:.1f} / {d['cpu_ms']:.1f} | {run['peak_kib'] / 1024:.0f} |")
    print("\nMilliseconds a frame by stage (wall clock):\n")
    print("| clip | model | backend | threads | " + " | ".join(f"encode: {s}" for s in STAGES[:4]) + " | decode: prior | entropy | synthesis |")
    print("|---" * 11 + "|")
    for clip, model, backend, threads, run in rows_of(results):
        stages = [run["encode"][f"{s}_ms"] for s in STAGES[:4]] + [run["decode"][f"{s}_ms"] for s in ("prior", "entropy", "synthesis")]
        print(f"| {clip} | {model} | {backend} | {threads} | " + " | ".join(f"{ms:.1f}" for ms in stages) + " |")


if __name__ == "__main__":
    main()
