#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Speed of libm2t and of other codecs at equal quality, on one clip and in one run. Writes a Markdown table.

    compare.py --build build [--models standard] [--presets medium] [--frames 30] [--psnr 38] [--rounds 3] [--out compare.json] [--plot compare.png] CLIP

CLIP may be of any kind that ffmpeg reads. For every codec the coarsest quality setting that reaches --psnr is searched by bisection; PSNR is
(6 Y + U + V) / 8 in dB, mean over the frames, as in rd.py. Bits are those at exactly --psnr, interpolated between that setting and the next coarser one;
speed is that of the setting itself, the median over --rounds, codecs in turn. All codecs may use --threads threads (jpegenc and jpegdec have one).

--settings FILE takes the quality settings from what --out wrote before, and only measures speed; the clip and --frames must be the same.

Everything is in memory. What ffmpeg and GStreamer take to read the raw clip is measured as well and taken off; libm2t's figures are those of
"m2t --verbose", with reading and writing. A codec that is not installed is named below the table. Needs ffmpeg, gst-launch-1.0 and numpy.
"""
import dataclasses
import json
import math
import os
import pathlib
import re
import shlex
import shutil
import statistics
import subprocess
import sys

import numpy as np

from rd import picture_psnr, read_y4m
from speed import cpu_name, in_memory, model_name, parser_of, print_table, use_models

BASE = "jpegenc"   # whose bits are 100 %


@dataclasses.dataclass(eq=False)
class Codec:
    name: str
    pictures: str       # which prediction it may use
    suffix: str
    settings: list      # from coarse to fine
    encode: str         # shell command: {y4m} or {yuv} to {out} at {q}
    decode: str         # {out} to nowhere, for the time
    planes: str         # {out} to {rec}, Y4M or raw planes
    source: str = ""    # what encode does without encoding: its time is taken off


FFMPEG = "ffmpeg -nostdin -hide_banner -nostats -benchmark -y "
FFMPEG_SOURCE = FFMPEG + "-i {y4m} -f null -"
FFMPEG_DECODE = FFMPEG + "-threads {threads} -i {out} -f null -"
FFMPEG_PLANES = FFMPEG + "-i {out} -pix_fmt yuv420p -fps_mode passthrough -f yuv4mpegpipe -strict -1 {rec}"
GST = "gst-launch-1.0 "
GST_SOURCE = GST + "filesrc location={yuv} ! rawvideoparse width={w} height={h} format=i420 framerate=30/1 ! "


def ffmpeg_codec(name, pictures, suffix, settings, options):
    encode = FFMPEG + "-i {y4m} -threads {threads} -c:v " + options + " {out}"
    return Codec(name, pictures, suffix, settings, encode, FFMPEG_DECODE, FFMPEG_PLANES, FFMPEG_SOURCE)


def x264(preset, intra):
    options = f"libx264 -preset {preset} -tune zerolatency -crf {{q}}" + (" -x264-params keyint=1" if intra else "")
    return ffmpeg_codec(f"x264 {preset}, zerolatency", "intra" if intra else "inter, low delay", "264", list(range(51, 0, -1)), options)


def x265(preset, intra):
    options = f"libx265 -preset {preset} -tune zerolatency -crf {{q}} -x265-params pools={{threads}}:frame-threads=1" + (":keyint=1" if intra else "")
    return ffmpeg_codec(f"x265 {preset}, zerolatency", "intra" if intra else "inter, low delay", "265", list(range(51, 0, -1)), options)


def others():
    vp9 = "libvpx-vp9 -deadline realtime -cpu-used 8 -row-mt 1 -tile-columns 1 -lag-in-frames 0 -b:v 0 -crf {q}"
    codecs = [x264(preset, intra) for intra in (True, False) for preset in ("medium", "veryfast")]
    codecs += [x265("medium", True), x265("ultrafast", True), x265("ultrafast", False)]
    codecs += [
        ffmpeg_codec("VP9 (libvpx, realtime, speed 8)", "inter, low delay", "ivf", list(range(63, 0, -1)), vp9),
        ffmpeg_codec("SVT-AV1 preset 10", "inter, with delay", "ivf", list(range(63, 0, -1)),
                     "libsvtav1 -preset 10 -crf {q} -svtav1-params lp={threads}"),
        ffmpeg_codec("MJPEG (ffmpeg)", "intra", "mjpeg", list(range(31, 0, -1)), "mjpeg -huffman default -qmin 1 -q:v {q} -strict -1"),
    ]
    decode = GST + "filesrc location={out} ! jpegparse ! jpegdec ! "
    codecs.append(Codec("jpegenc", "intra", "mjpeg", list(range(1, 101)), GST_SOURCE + "jpegenc quality={q} ! filesink location={out}",
                        decode + "fakesink", decode + "filesink location={rec}", GST_SOURCE + "fakesink"))
    return codecs


def libm2t(build, model, preset):
    m2t = str(pathlib.Path(build) / "tools" / "m2t")
    decode = m2t + f" decode -v -m {model} -t {{threads}} {{out}} {{rec}}"
    return Codec(f"libm2t {model_name(model)}, {preset}", "intra", "m2tv", list(range(63, -1, -1)),
                 m2t + f" encode -v -k 1 -m {model} -p {preset} -t {{threads}} -q {{q}} {{y4m}} {{out}}", decode, decode)


def has_element(name):
    return bool(shutil.which("gst-inspect-1.0")) and not subprocess.run(["gst-inspect-1.0", "--exists", name]).returncode


def is_here(codec, encoders):
    """libm2t is: it was built. The others by the encoder's name in ffmpeg or GStreamer."""
    if codec.encode.startswith(GST):
        return has_element("jpegenc") and has_element("jpegparse")
    match = re.search(r"-c:v (\S+)", codec.encode)
    return not match or f" {match[1]} " in encoders


@dataclasses.dataclass
class Clip:
    width: int
    height: int
    frames: list
    fields: dict        # of the command lines


def load_clip(path, frames, threads, folder):
    y4m, yuv = folder + "/clip.y4m", folder + "/clip.yuv"
    convert = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", path, "-frames:v", str(frames), "-pix_fmt", "yuv420p"]
    subprocess.run(convert + ["-strict", "-1", y4m], check=True)
    subprocess.run(convert + ["-f", "rawvideo", yuv], check=True)
    width, height, planes = read_y4m(y4m)
    if width % 8 or height % 2:
        sys.exit(f"{path}: {width}x{height}; GStreamer's raw planes need a width that 8 divides and an even height")
    fields = {"y4m": y4m, "yuv": yuv, "rec": folder + "/rec", "w": width, "h": height, "threads": threads}
    return Clip(width, height, planes, fields)


def seconds_of(text, frames):
    """What a program said about the time of its work: ffmpeg -benchmark, gst-launch-1.0, m2t --verbose."""
    if match := re.search(r"rtime=([\d.]+)s", text):
        return float(match[1])
    if match := re.search(r"Execution ended after (\d+):(\d+):([\d.]+)", text):
        return (3600 * int(match[1]) + 60 * int(match[2]) + float(match[3])) * frames / (frames - 1)   # the first frame came before its clock ran
    return frames / float(re.search(r"([\d.]+) frames/s", text)[1])


def run(command, clip, **fields):
    """Runs a command line and returns its seconds."""
    arguments = [part.format(**clip.fields, **fields) for part in shlex.split(command)]
    process = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if process.returncode:
        sys.exit(f"{shlex.join(arguments)}\n{process.stdout[-800:]}")
    return seconds_of(process.stdout, len(clip.frames))


def read_planes(path, clip):
    with open(path, "rb") as file:
        if file.read(9) == b"YUV4MPEG2":
            return read_y4m(path)[2]
    w, h, data = clip.width, clip.height, np.fromfile(path, np.uint8).reshape(-1, clip.width * clip.height * 3 // 2)
    return [(f[:w * h].reshape(h, w), f[w * h:w * h * 5 // 4].reshape(h // 2, w // 2), f[w * h * 5 // 4:].reshape(h // 2, w // 2)) for f in data]


def quality(clip):
    """Mean PSNR of what stands in {rec}."""
    frames = read_planes(clip.fields["rec"], clip)
    if len(frames) != len(clip.frames):
        sys.exit(f"{len(frames)} frames came back, {len(clip.frames)} went in")
    return float(np.mean([picture_psnr(a, b)[3] for a, b in zip(clip.frames, frames)]))


def probe(codec, index, clip, out):
    """One point of the curve."""
    run(codec.encode, clip, q=codec.settings[index], out=out)
    run(codec.planes, clip, out=out)
    return {"q": codec.settings[index], "bpp": os.path.getsize(out) * 8 / (clip.width * clip.height * len(clip.frames)), "psnr": quality(clip)}


def search(codec, clip, out, target):
    """The coarsest setting that reaches the target, and the bits at the target itself."""
    low, high, points = -1, len(codec.settings) - 1, {}
    while high - low > 1:
        middle = (low + high) // 2
        points[middle] = probe(codec, middle, clip, out)
        low, high = (low, middle) if points[middle]["psnr"] >= target else (middle, high)
    fine = points.get(high) or probe(codec, high, clip, out)
    coarse = points.get(low)
    if not coarse or fine["psnr"] < target or fine["psnr"] <= coarse["psnr"]:
        return dict(fine, bpp_at_target=None)
    part = (target - coarse["psnr"]) / (fine["psnr"] - coarse["psnr"])
    return dict(fine, bpp_at_target=math.exp((1 - part) * math.log(coarse["bpp"]) + part * math.log(fine["bpp"])))


def time_codec(codec, point, clip, out):
    """Seconds of encoding and of decoding; a very short encode is not shorter than a tenth of its run with the source."""
    whole = run(codec.encode, clip, q=point["q"], out=out)
    source = run(codec.source, clip) if codec.source else 0
    return max(whole - source, whole / 10), run(codec.decode, clip, out=out)


def find_settings(codecs, clip, target, out):
    rows = []
    for codec in codecs:
        rows.append({"name": codec.name, "pictures": codec.pictures, **search(codec, clip, out[codec], target)})
        print(f"compare.py: {codec.name}, {codec.pictures}: q {rows[-1]['q']}", file=sys.stderr)
    return rows


def time_rows(codecs, rows, clip, rounds, out):
    """Adds the frames a second to the rows; codecs in turn."""
    times = {codec: [] for codec in codecs}
    for _ in range(rounds):
        for codec, row in zip(codecs, rows):
            times[codec].append(time_codec(codec, row, clip, out[codec]))
    for codec, row in zip(codecs, rows):
        encode, decode = (statistics.median(seconds) for seconds in zip(*times[codec]))
        row["encode_frames_s"], row["decode_frames_s"] = len(clip.frames) / encode, len(clip.frames) / decode


def measure(codecs, clip, args, folder):
    out = {codec: f"{folder}/{i}.{codec.suffix}" for i, codec in enumerate(codecs)}
    if args.settings:
        known = {(row["name"], row["pictures"]): row for row in json.loads(pathlib.Path(args.settings).read_text())["rows"]}
        codecs = [codec for codec in codecs if (codec.name, codec.pictures) in known]
        rows = [known[codec.name, codec.pictures] for codec in codecs]
    else:
        rows = find_settings(codecs, clip, args.psnr, out)
    time_rows(codecs, rows, clip, args.rounds, out)
    return rows


def print_rows(rows, target):
    base = next((row["bpp_at_target"] for row in rows if row["name"] == BASE), None)
    columns = ["codec", "prediction", "quality setting", "PSNR dB", "bit/px", f"bit/px at {target:g} dB", f"against {BASE}",
               "encode frames/s", "decode frames/s"]
    at = lambda row: f"{row['bpp_at_target']:.3f}" if row["bpp_at_target"] else "–"
    against = lambda row: f"{100 * (row['bpp_at_target'] / base - 1):+.0f} %" if base and row["bpp_at_target"] else "–"
    print_table(columns, ([row["name"], row["pictures"], str(row["q"]), f"{row['psnr']:.2f}", f"{row['bpp']:.3f}", at(row), against(row),
                           f"{row['encode_frames_s']:.1f}", f"{row['decode_frames_s']:.1f}"] for row in rows))


def draw(rows, target, path):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib import ticker
    figure, axis = plt.subplots(figsize=(9, 6))
    shown = sorted((row for row in rows if row["bpp_at_target"]), key=lambda row: row["encode_frames_s"])
    inter = [row for row in shown if row["pictures"] != "intra"]
    ours = [row for row in shown if row["name"].startswith("libm2t")]
    for row in shown:
        point = row["encode_frames_s"], row["bpp_at_target"]
        below = row in ours[::2] + inter[::2]   # so that names stay apart
        axis.scatter(*point, s=60, color="C3" if row in ours else "C7" if row in inter else "C0")
        axis.annotate(row["name"].replace(", zerolatency", "") + (" (inter)" if row in inter else ""), point, xytext=(0, -13 if below else 7),
                      textcoords="offset points", ha="center", fontsize=8)
    axis.set_xscale("log")
    axis.set_xlabel("encoding, frames/s")
    axis.set_ylabel(f"bit per luma sample at {target:g} dB")
    axis.set_yscale("log")
    axis.margins(x=0.12, y=0.12)
    for labels in (axis.xaxis, axis.yaxis):
        labels.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        labels.set_major_formatter(ticker.FormatStrFormatter("%g"))
        labels.set_minor_formatter(ticker.NullFormatter())
    axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=90)


def main():
    parser = parser_of(__doc__)
    parser.add_argument("clip", metavar="CLIP", help="of any kind that ffmpeg reads")
    parser.add_argument("--presets", default="medium", help="speed presets of libm2t's encoder (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=30, help="at least 2 (default: %(default)s)")
    parser.add_argument("--psnr", type=float, default=38, help="dB that all reach (default: %(default)g)")
    parser.add_argument("--threads", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs for the time (default: %(default)s)")
    parser.add_argument("--settings", help="JSON file of an earlier run: only measure speed, with its quality settings")
    parser.add_argument("--plot", help="draw bits against encoding speed into this file")
    args = parser.parse_args()
    use_models()
    encoders = subprocess.run(["ffmpeg", "-hide_banner", "-encoders"], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    codecs = [libm2t(args.build, model, preset) for model in args.models.split(",") for preset in args.presets.split(",")] + others()
    absent = [codec.name for codec in codecs if not is_here(codec, encoders)]
    codecs = [codec for codec in codecs if codec.name not in absent]
    with in_memory() as folder:
        clip = load_clip(args.clip, args.frames, args.threads, folder)
        rows = measure(codecs, clip, args, folder)
    name, frames = pathlib.Path(args.clip).stem, len(clip.frames)
    print(f"{cpu_name()}; {name}, {clip.width}×{clip.height}, {frames} frames; {args.threads} threads; median of {args.rounds} runs\n")
    print_rows(rows, args.psnr)
    if absent:
        print("Not on this machine: " + ", ".join(absent))
    if args.out:
        head = {"cpu": cpu_name(), "clip": name, "width": clip.width, "height": clip.height, "frames": frames, "threads": args.threads, "psnr": args.psnr}
        pathlib.Path(args.out).write_text(json.dumps({**head, "rows": rows}, indent=1))
    if args.plot:
        draw(rows, args.psnr, args.plot)


if __name__ == "__main__":
    main()
