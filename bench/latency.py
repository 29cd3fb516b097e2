#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Latency from a raw frame to the decoded frame through GStreamer, as its latency tracer sees it. Writes a Markdown table with a row for each model.

    latency.py --build build [--models standard] [--preset medium] [--size 1280x720] [--frames 60] [--threads 2] [--coretype Haswell] CLIP

The clip (of any kind that ffmpeg reads, scaled to --size) is decoded beforehand to one raw file a frame in memory. The pipeline is

    multifilesrc ! m2tenc tune=zerolatency key-int-max=1 ! m2tdec ! fakesink sync=true

and goes at the clip's rate, since the sink waits for the time of each frame before the next one starts; that wait does not count. Frames that the elements
hold back are those that went in and had not come out when the next one went in. The first frame, with the opening of the model, is given by itself.
"""
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys

from speed import cpu_name, in_memory, model_name, parser_of, print_table, rate_of, use_models


def write_frames(clip, width, height, count, folder):
    """One file for each frame, without a header. Returns their number."""
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", clip, "-frames:v", str(count), "-vf", f"scale={width}:{height}", "-pix_fmt", "yuv420p",
                    "-f", "image2", "-c:v", "rawvideo", f"{folder}/%05d.raw"], check=True)
    return len(list(pathlib.Path(folder).glob("*.raw")))


def environment_of(build, coretype, folder):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OPENBLAS_", "GST_"))}
    environment |= {"GST_PLUGIN_PATH": str(pathlib.Path(build).resolve() / "plugin"), "GST_REGISTRY": folder + "/registry",
                    "GST_TRACERS": "latency(flags=element+pipeline)", "GST_DEBUG": "GST_TRACER:7", "GST_DEBUG_NO_COLOR": "1",
                    "GST_DEBUG_FILE": folder + "/trace"}
    return environment | ({"OPENBLAS_CORETYPE": coretype} if coretype else {})


def run_pipeline(model, frames, rate, args, folder):
    """What gst-launch-1.0 printed and what the tracer wrote."""
    width, height = args.size.split("x")
    caps = f"video/x-raw,format=I420,width={width},height={height},framerate={rate.numerator}/{rate.denominator}"
    source = f"multifilesrc location={folder}/%05d.raw start-index=1 stop-index={frames} caps={caps} ! identity name=before silent=false"
    both = f"model-file={model} threads={args.threads}"
    codec = f"m2tenc tune=zerolatency key-int-max=1 speed-preset={args.preset} quantizer={args.quantizer} {both} ! m2tdec {both}"
    command = ["gst-launch-1.0", "-v", *f"{source} ! {codec} ! identity name=after silent=false ! fakesink sync=true".split()]
    process = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             env=environment_of(args.build, args.coretype, folder))
    if process.returncode:
        sys.exit(process.stdout[-800:])
    return process.stdout, pathlib.Path(folder + "/trace").read_text()


def times_of(trace, pattern):
    return [int(ns) / 1e6 for ns in re.findall(pattern + r".*?time=\(guint64\)(\d+)", trace)]


def held_back(text):
    """The most frames that were inside when another one came, and frames in and out."""
    inside = most = into = out = 0
    for place in re.findall(r"last-message = chain\s+\*+ \((before|after):sink\)", text):
        if place == "before":
            most, inside, into = max(most, inside), inside + 1, into + 1
        else:
            inside, out = inside - 1, out + 1
    return most, into, out


def measure(model, frames, rate, args, folder):
    text, trace = run_pipeline(model, frames, rate, args, folder)
    first, *rest = times_of(trace, r" latency, .*?sink-element=\(string\)fakesink")
    held, into, out = held_back(text)
    middle = lambda element: statistics.median(times_of(trace, rf"element-latency, .*?element=\(string\){element}")[1:])
    return {"model": model_name(model), "first_ms": first, "median_ms": statistics.median(rest),
            "p95_ms": statistics.quantiles(rest, n=20, method="inclusive")[-1], "max_ms": max(rest),
            "encode_ms": middle("m2tenc"), "decode_ms": middle("m2tdec"), "held": held, "in": into, "out": out}


def main():
    parser = parser_of(__doc__)
    parser.add_argument("clip", metavar="CLIP", help="of any kind that ffmpeg reads")
    parser.add_argument("--preset", default="medium", help="speed preset of the encoder (default: %(default)s)")
    parser.add_argument("--size", default="1280x720", help="a width that 8 divides, an even height (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=60, help="at least 3 (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--quantizer", type=int, default=32, help="(default: %(default)s)")
    parser.add_argument("--coretype", help="kind of OpenBLAS kernels (default: the one that OpenBLAS finds best)")
    args = parser.parse_args()
    use_models()
    width, height = map(int, args.size.split("x"))
    if width % 8 or height % 2:
        sys.exit("latency.py: --size: GStreamer's raw planes need a width that 8 divides and an even height")
    with in_memory() as folder:
        frames = write_frames(args.clip, width, height, args.frames, folder)
        rows = [measure(model, frames, rate_of(args.clip), args, folder) for model in args.models.split(",")]
    kernels = f", {args.coretype} kernels of OpenBLAS" if args.coretype else ""
    print(f"{cpu_name()}; {pathlib.Path(args.clip).stem}, {width}×{height}, {frames} frames; preset {args.preset}, "
          f"quantizer {args.quantizer}, {args.threads} threads{kernels}\n")
    print_table(["model", "latency ms: median", "95 %", "largest", "of that m2tenc", "m2tdec", "first frame", "frames in / out", "held back"],
                ([row["model"], *(f"{row[key]:.1f}" for key in ("median_ms", "p95_ms", "max_ms", "encode_ms", "decode_ms", "first_ms")),
                  f"{row['in']} / {row['out']}", str(row["held"])] for row in rows))
    if args.out:
        pathlib.Path(args.out).write_text(json.dumps({"cpu": cpu_name(), "width": width, "height": height, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
