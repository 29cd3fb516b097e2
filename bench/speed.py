#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Measures encoding and decoding speed and writes Markdown tables: one row for each clip, model, preset, backend, number of threads
and number of frames in flight.

    speed.py --build build [--models standard] [--presets medium] [--backends vnni,onednn,avx2,openblas] [--threads 1,2] [--frames 1] [--rounds 3]
        [--out speed.json] CLIP...

Clips may be of any kind that ffmpeg reads; CLIP@1920x1080 is the clip scaled to that size, CLIP*3 a mosaic of three by three of it, a larger picture
with as much in every part. At most 60 frames are taken, fewer of large pictures, so that all sizes take about as long. Every setting runs in a process of
its own, --rounds times in turn with the others. A figure is the median over the rounds, and each round's is the median over its frames, except the largest
latency, which is the largest of all, and the time of a frame while several are in flight, which is the mean. More frames in flight than threads are left out.

--coretype Haswell,SkylakeX makes a row for each of these kinds of OpenBLAS kernels (otherwise the one that it finds best); those that this CPU cannot run
and backends that do not work here are left out, with a line on standard error. --out is for speed_plot.py.

"Products" are the matrix products of a frame alone, on the same backend and with as many threads, run in the same process, after every frame if one goes
at a time: what a frame would take if everything else were free.
"""
import argparse
import fractions
import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
STAGES = ["analysis", "prior", "choice", "entropy", "synthesis"]
FRAMES_MIN, FRAMES_MAX, SAMPLES = 4, 60, 6e6   # luma samples of a clip
FLIGHT_MIN = 24                                # frames of it if several are in flight: where they begin and end, there are fewer
ABSENT = 77


def cpu_name():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    flags = next((line for line in lines if line.startswith("flags")), "")
    isa = [name for name in ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8") if f" {name} " in flags + " "]
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown CPU")
    return f"{model} ({', '.join(isa)}), {os.cpu_count()} cores"


def rate_of(clip):
    """Frames a second, a Fraction"""
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=r_frame_rate", "-of", "csv=p=0", clip]
    return fractions.Fraction(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip().strip(","))


def parser_of(doc):
    """The options that speed.py, latency.py and compare.py share."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build", help="build directory (default: %(default)s)")
    parser.add_argument("--models", default="standard", help="names or paths, separated by commas (default: %(default)s)")
    parser.add_argument("--out", help="write the results to this JSON file, too")
    return parser


def model_name(model):
    """Models are given by name or path."""
    return pathlib.Path(model).stem


def use_models():
    """What is measured finds the models of this source tree by name."""
    os.environ["M2T_MODEL_PATH"] = ":".join(filter(None, [os.environ.get("M2T_MODEL_PATH"), str(ROOT / "models")]))


def size_of(clip):
    entries = ["-show_entries", "stream=width,height", "-of", "csv=p=0"]
    out = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v:0", *entries, clip], check=True, stdout=subprocess.PIPE, text=True).stdout
    return tuple(map(int, out.strip().strip(",").split(",")))


def in_memory():
    """A temporary folder, in memory if there is a place for that."""
    return tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)


def mosaic(times):
    """A filter of ffmpeg: the picture @times beside and below itself."""
    pads = lambda kind: "".join(f"[{kind}{i}]" for i in range(times))
    side = lambda kind: f"split={times}{pads(kind)};{pads(kind)}{kind}stack={times}"
    return f"{side('h')},{side('v')}"


def to_y4m(argument, folder, least=FRAMES_MIN):
    """The clip as a Y4M file of at least @least frames in @folder. Argument: a file, file@WIDTHxHEIGHT or file*TIMES."""
    clip, kind, change = re.fullmatch(r"(.*?)(?:(@(?=\d+x)|\*(?=[2-9]$))(.*))?", argument).groups()
    width, height = map(int, change.split("x")) if kind == "@" else size_of(clip)
    times = int(change) if kind == "*" else 1
    frames = int(min(FRAMES_MAX, max(least, SAMPLES / (width * height * times ** 2))))
    path = pathlib.Path(folder) / (pathlib.Path(clip).stem + (kind + change if kind else "") + ".y4m")
    picture = {"@": ["-vf", f"scale={width}:{height}:flags=bicubic"], "*": ["-vf", mosaic(times)], None: []}[kind]
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", clip, "-frames:v", str(frames), *picture, "-pix_fmt", "yuv420p", str(path)], check=True)
    return path


def kernel_types(backend, coretype):
    """Values of OPENBLAS_CORETYPE to measure a backend with; None leaves the choice to OpenBLAS."""
    return coretype.split(",") if coretype and backend == "openblas" else [None]


def measure(program, setting, coretype):
    """One run, or None if this machine lacks the backend or the kernels."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OPENBLAS_")}
    if coretype:
        environment["OPENBLAS_CORETYPE"] = coretype
    process = subprocess.run([program, *map(str, setting)], stdout=subprocess.PIPE, env=environment, text=True)
    if process.returncode in (ABSENT, -signal.SIGILL):
        return None
    process.check_returncode()
    run = json.loads(process.stdout)
    return run if not coretype or run["kernels"].lower() == coretype.lower() else None   # OpenBLAS falls back to what there is


def measure_all(program, clips, args):
    """{(clip, model, preset, backend, coretype, threads, frames in flight): runs}"""
    settings = [(clip, model, preset, backend, coretype, threads, frames) for clip in clips for model in args.models.split(",")
                for preset in args.presets.split(",") for backend in args.backends.split(",") for coretype in kernel_types(backend, args.coretype)
                for threads in map(int, args.threads.split(",")) for frames in map(int, args.frames.split(",")) if frames <= threads]
    results, absent = {}, set()
    for _ in range(args.rounds):
        for clip, model, preset, backend, coretype, threads, frames in settings:
            if (backend, coretype) in absent:
                continue
            run = measure(program, (model, backend, threads, frames, preset, args.quantizer, clip), coretype)
            if run:
                results.setdefault((clip.stem, model, preset, backend, coretype, threads, frames), []).append(run)
            else:
                absent.add((backend, coretype))
                print(f"speed.py: left out, not on this machine: {backend} {coretype or ''}", file=sys.stderr)
    return results


def middle(runs, side):
    """Medians of all that was measured of one side, and what follows from them."""
    result = {key: statistics.median(run[side][key] for run in runs) for key in runs[0][side]}
    result["latest_ms"] = max(run[side]["latest_ms"] for run in runs)
    result["ns_per_pixel"] = result["frame_ms"] * 1e6 / (runs[0]["width"] * runs[0]["height"])
    result["cpu_ns_per_pixel"] = result["cpu_ms"] * 1e6 / (runs[0]["width"] * runs[0]["height"])
    result["frames_s"] = 1e3 / result["frame_ms"]
    result["cpu_of_products"] = statistics.median(run[side]["cpu_ms"] / run[side]["products_cpu_ms"] for run in runs)
    result["gmac_s"] = result["products_gmac"] / result["products_ms"] * 1e3
    result["entropy_percent"] = statistics.median(100 * run[side]["entropy_ms"] / sum(run[side][f"{s}_ms"] for s in STAGES) for run in runs)
    return result


def rows_of(results):
    for (clip, model, preset, backend, _, threads, frames), runs in results.items():
        first = runs[0]
        yield {"clip": clip, "width": first["width"], "height": first["height"], "frames": first["frames"], "bytes": first["bytes"],
               "model": model_name(model), "preset": preset, "backend": backend, "kernels": first["kernels"] if backend == "openblas" else "",
               "threads": threads, "in_flight": frames, "peak_mib": statistics.median(run["peak_kib"] for run in runs) / 1024,
               "encode": middle(runs, "encode"), "decode": middle(runs, "decode")}


def print_table(columns, rows):
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def name_of(row, size=False):
    backend = row["backend"] + (f", {row['kernels']} kernels" if row["kernels"] else "")
    size = [f"{row['width']}×{row['height']}"] if size else []
    return [row["clip"], *size, row["model"], row["preset"], backend, str(row["threads"]), str(row["in_flight"])]


NAME = ["clip", "model", "preset", "backend", "threads", "frames in flight"]


def print_speed(rows):
    columns = ["clip", "size", *NAME[1:], "encode frames/s", "decode frames/s", "latency ms, encode: median / largest", "decode",
               "start to first frame ms, encode / decode", "CPU ms a frame, encode / decode", "peak MiB", "encode ns a pixel", "decode"]
    print_table(columns, ([
        *name_of(row, size=True), f"{e['frames_s']:.1f}", f"{d['frames_s']:.1f}", f"{e['latency_ms']:.1f} / {e['latest_ms']:.1f}",
        f"{d['latency_ms']:.1f} / {d['latest_ms']:.1f}", f"{e['first_ms']:.0f} / {d['first_ms']:.0f}", f"{e['cpu_ms']:.1f} / {d['cpu_ms']:.1f}",
        f"{row['peak_mib']:.0f}", f"{e['ns_per_pixel']:.0f}", f"{d['ns_per_pixel']:.0f}"] for row in rows for e, d in [(row["encode"], row["decode"])]))


def print_products(rows):
    print("Beside the matrix products alone:\n")
    columns = [*NAME, "decode: products ms", "GMAC/s", "decode / products", "by CPU time", "entropy %", "encode: products ms", "GMAC/s",
               "encode / products", "by CPU time"]
    side = lambda s: [f"{s['products_ms']:.1f}", f"{s['gmac_s']:.1f}", f"{s['of_products']:.2f}", f"{s['cpu_of_products']:.2f}"]
    print_table(columns, ([*name_of(row), *side(row["decode"]), f"{row['decode']['entropy_percent']:.1f}", *side(row["encode"])] for row in rows))


def print_stages(rows):
    print("Milliseconds a frame by stage (wall clock, mean over the frames; with `medium`, the choices are part of \"prior\"):\n")
    columns = [*NAME, *(f"encode: {s}" for s in STAGES[:4]), "decode: prior", "entropy", "synthesis"]
    print_table(columns, ([*name_of(row), *(f"{row['encode'][f'{s}_ms']:.1f}" for s in STAGES[:4]),
                           *(f"{row['decode'][f'{s}_ms']:.1f}" for s in ("prior", "entropy", "synthesis"))] for row in rows))


def print_spread(rows):
    """How far the time of a pixel depends on the size of the picture."""
    groups = {}
    for row in rows:
        groups.setdefault(tuple(name_of(row)[1:]), []).append(row)
    if all(len(group) < 2 for group in groups.values()):
        return
    print("Time of a pixel over the clips, the longest against the shortest:\n")
    sides = [(side, key) for side in ("encode", "decode") for key in ("ns_per_pixel", "cpu_ns_per_pixel")]
    spread = lambda times: f"{100 * (max(times) / min(times) - 1):+.0f} %"
    print_table([*NAME[1:], "encode", "CPU time", "decode", "CPU time"],
                ([*name, *(spread([row[side][key] for row in group]) for side, key in sides)] for name, group in groups.items()))


def main():
    parser = parser_of(__doc__)
    parser.add_argument("clips", nargs="+", metavar="CLIP[@WIDTHxHEIGHT|*TIMES]",
                        help="of any kind that ffmpeg reads; scaled to a size, or that many times beside and below itself")
    parser.add_argument("--presets", default="medium", help="speed presets of the encoder (default: %(default)s)")
    parser.add_argument("--backends", default="vnni,onednn,avx2,openblas", help="(default: %(default)s)")
    parser.add_argument("--threads", default="1,2", help="(default: %(default)s)")
    parser.add_argument("--frames", default="1", help="frames in flight (default: %(default)s)")
    parser.add_argument("--quantizer", type=float, default=32, help="(default: %(default)g)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each setting (default: %(default)s)")
    parser.add_argument("--coretype", help="kinds of OpenBLAS kernels (default: the one that OpenBLAS finds best)")
    args = parser.parse_args()
    use_models()
    with in_memory() as folder:
        least = FRAMES_MIN if args.frames == "1" else FLIGHT_MIN
        clips = [to_y4m(clip, folder, least) for clip in args.clips]
        results = measure_all(str(pathlib.Path(args.build) / "bench" / "speed"), clips, args)
    rows = list(rows_of(results))
    if args.out:
        pathlib.Path(args.out).write_text(json.dumps({"cpu": cpu_name(), "quantizer": args.quantizer, "rounds": args.rounds, "rows": rows}, indent=1))
    print(f"{cpu_name()}; quantizer {args.quantizer:g}; median of {args.rounds} runs\n")
    print_speed(rows)
    print_products(rows)
    print_stages(rows)
    print_spread(rows)


if __name__ == "__main__":
    main()
