#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rate-distortion comparison on real files: one protocol for every codec.

    rd.py run OUT.json --codec x264|x265|aom|webp|jpeg|jpegenc PICTURE.y4m...
    rd.py run OUT.json --enc 'm2t encode {in} {out} -q {q}' --dec 'm2t decode {in} {out}' --q 8,16,24,... PICTURE.y4m...
    rd.py bd ANCHOR.json TEST.json...     BD-rate of each TEST against ANCHOR
    rd.py table FILE.json...              mean bit/px and PSNR per quality

Protocol. Input is I420, 8 bit, one or more frames, as .y4m. Rate: size of the coded file in bit per luma sample. Distortion: per frame PSNR of Y, U, V
from the 8-bit decoded planes; "yuv" is (6 Y + U + V) / 8 in dB, frames averaged in dB. A curve per picture; BD-rate per picture (piecewise cubic
interpolation of log rate over dB, on the common range below 1.6 bit/px), then the mean over pictures. MS-SSIM is of Y. Decoding is done by the codec's own
decoder from the file alone.

Files: {"name", "pictures": {picture: [{"q", "bpp", "y", "u", "v", "yuv"}]}}, with "msssim" after --msssim.
"""
import argparse
import json
import math
import os
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np

BPP_MAX = 1.6           # of the points that BD-rates are made from
DB_MIN = 0.5            # a smaller common range gives no BD-rate

FFMPEG = "ffmpeg -nostdin -v error -y "
GST = "gst-launch-1.0 -q "
TO_Y4M = "-f yuv4mpegpipe -strict -1 {out}"
TO_YUV = FFMPEG + "-i {in} -f rawvideo {out}.yuv && "                                                           # of the source
FROM_YUV = FFMPEG + "-f rawvideo -pix_fmt yuv420p -s {w}x{h} -i {out}.yuv " + TO_Y4M + " && rm {out}.yuv"       # of the decoded planes

CODECS = {  # encode, decode, qualities
    # its text SEI is cut, so that only picture data counts
    "x264": ("x264 --preset medium --tune psnr --threads 1 -I 1 --crf {q} -o {out}.264 {in} && "
             + FFMPEG + "-f h264 -i {out}.264 -c copy -bsf:v filter_units=remove_types=6 -f h264 {out} && rm {out}.264",
             FFMPEG + "-f h264 -i {in} " + TO_Y4M,
             [16, 19, 22, 25, 28, 31, 34, 37, 40, 43]),
    "x265": ("x265 --preset medium --tune psnr --pools 1 --frame-threads 1 -I 1 --no-info --crf {q} -o {out}.265 {in} && mv {out}.265 {out}",
             FFMPEG + "-f hevc -i {in} " + TO_Y4M,
             [15, 18, 21, 24, 27, 30, 33, 36, 39, 42]),
    "aom": ("aomenc --obu --cpu-used=4 --kf-max-dist=0 --lag-in-frames=0 --passes=1 --end-usage=q --cq-level={q} --threads=1 --tune=psnr "
            "-o {out}.obu {in} && mv {out}.obu {out}",
            FFMPEG + "-f obu -i {in} " + TO_Y4M,
            [8, 14, 20, 26, 32, 38, 44, 50, 56, 61]),
    "webp": (TO_YUV + "cwebp -quiet -m 6 -s {w} {h} -q {q} {out}.yuv -o {out} && rm {out}.yuv",
             "dwebp -quiet -yuv {in} -o {out}.yuv && " + FROM_YUV,
             [5, 15, 30, 45, 60, 72, 82, 89, 94, 97]),
    "jpeg": (FFMPEG + "-i {in} -pix_fmt yuvj420p -strict -1 -c:v mjpeg -huffman optimal -qscale:v {q} -f mjpeg {out}",
             FFMPEG + "-f mjpeg -i {in} -pix_fmt yuv420p " + TO_Y4M,
             [1, 2, 3, 4, 6, 8, 12, 18, 26]),
    # libjpeg with the default Huffman tables, the samples as they are
    "jpegenc": (TO_YUV + GST + "filesrc location={out}.yuv ! rawvideoparse width={w} height={h} format=i420 ! jpegenc quality={q} ! "
                "filesink location={out} && rm {out}.yuv",
                GST + "filesrc location={in} ! jpegparse ! jpegdec ! filesink location={out}.yuv && " + FROM_YUV,
                [10, 25, 40, 55, 70, 80, 88, 93, 97]),
}


def read_y4m(path):
    """-> width, height, frames, each as planes (Y, U, V): (H, W) and twice (⌈H/2⌉, ⌈W/2⌉) uint8"""
    with open(path, "rb") as file:
        data = file.read()
    end = data.index(b"\n")
    fields = {field[0]: field[1:] for field in reversed(data[:end].decode().split()[1:])}
    w, h, chroma = int(fields["W"]), int(fields["H"]), fields.get("C", "420")
    if not chroma.startswith("420") or "p1" in chroma:
        sys.exit(f"{path}: not 8-bit 4:2:0 ({chroma})")
    cw, ch = (w + 1) // 2, (h + 1) // 2
    size, frames, at = w * h + 2 * cw * ch, [], end + 1
    while at < len(data):
        at = data.index(b"\n", at) + 1      # behind FRAME
        y, u, v = np.split(np.frombuffer(data, np.uint8, size, at), [w * h, w * h + cw * ch])
        frames.append((y.reshape(h, w), u.reshape(ch, cw), v.reshape(ch, cw)))
        at += size
    return w, h, frames


def psnr(a, b):
    """Planes (H, W) uint8 -> dB, 99 at most"""
    error = np.mean((a.astype(np.float64) - b) ** 2)
    return min(99.0, 10 * math.log10(255 ** 2 / error)) if error > 0 else 99.0


def picture_psnr(a, b):
    """Planes (Y, U, V) of two pictures, of any shape, uint8 -> dB of Y, U and V, and (6 Y + U + V) / 8"""
    y, u, v = (psnr(plane, other) for plane, other in zip(a, b))
    return y, u, v, (6 * y + u + v) / 8


def ms_ssim(a, b):
    """Planes (H, W) uint8 -> 0…1. Five scales, Gaussian windows of deviation 1.5 and 11 × 11 samples; small planes have fewer scales."""
    from scipy.ndimage import gaussian_filter
    inner = lambda x: gaussian_filter(x, 1.5, truncate=3.5)[5:-5, 5:-5]
    a, b, product = a.astype(np.float64), b.astype(np.float64), 1.0
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        if min(a.shape) < 11:
            break
        mean_a, mean_b = inner(a), inner(b)
        variance_a, variance_b, covariance = inner(a * a) - mean_a * mean_a, inner(b * b) - mean_b * mean_b, inner(a * b) - mean_a * mean_b
        structure = (2 * covariance + 58.5225) / (variance_a + variance_b + 58.5225)
        luminance = (2 * mean_a * mean_b + 6.5025) / (mean_a * mean_a + mean_b * mean_b + 6.5025)
        product *= max(1e-6, np.mean(structure * luminance if scale == 4 else structure)) ** weight
        h, w = a.shape[0] & ~1, a.shape[1] & ~1
        halved = lambda x: (x[0:h:2, 0:w:2] + x[1:h:2, 0:w:2] + x[0:h:2, 1:w:2] + x[1:h:2, 1:w:2]) / 4
        a, b = halved(a), halved(b)
    return float(product)


def shell(template, source, target, **fields):
    """Runs a shell command with the paths {in} and {out}, and other fields."""
    command = template.format(**{"in": shlex.quote(source), "out": shlex.quote(target)}, **fields)
    try:
        subprocess.run(command, shell=True, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    except subprocess.CalledProcessError as error:
        sys.exit(f"{command}\n{error.stderr.decode()[-800:]}")


def measure(job):
    """(encode, decode, quality, path of the picture, with MS-SSIM) -> its row: bit/px, dB"""
    encode, decode, q, source, with_ssim = job
    w, h, original = read_y4m(source)
    with tempfile.TemporaryDirectory() as folder:
        coded, decoded = folder + "/bs", folder + "/rec.y4m"
        shell(encode, source, coded, w=w, h=h, q=q)
        shell(decode, coded, decoded, w=w, h=h, q=q)
        got_w, got_h, frames = read_y4m(decoded)
        bits = 8 * os.path.getsize(coded)
    if (w, h, len(original)) != (got_w, got_h, len(frames)):
        sys.exit(f"{source}: got {got_w}x{got_h}, {len(frames)} frames")
    y, u, v, yuv = np.mean([picture_psnr(frame, other) for frame, other in zip(original, frames)], 0)
    row = {"q": q, "bpp": bits / (w * h * len(original)), "y": y, "u": u, "v": v, "yuv": yuv}
    if with_ssim:
        row["msssim"] = float(np.mean([ms_ssim(frame[0], other[0]) for frame, other in zip(original, frames)]))
    return row


def bd_rate(anchor, test, key="yuv"):
    """Rows of one picture each -> percent more bits that `test` needs than `anchor` at equal dB; NaN where the curves hardly overlap"""
    from scipy.interpolate import PchipInterpolator
    points = lambda rows: sorted({round(row[key], 6): math.log(row["bpp"]) for row in rows if row["bpp"] <= BPP_MAX}.items())
    anchor, test = points(anchor), points(test)
    low, high = max(anchor[0][0], test[0][0]), min(anchor[-1][0], test[-1][0])
    if high - low < DB_MIN:
        return float("nan")
    x = np.linspace(low, high, 200)
    log_rate = lambda curve: PchipInterpolator(*zip(*curve))(x)
    return (math.exp(np.mean(log_rate(test) - log_rate(anchor))) - 1) * 100


def bd_rates(anchor, test, key="yuv"):
    """{picture: rows} of two curves -> {picture: BD-rate}, of those that both have"""
    common = sorted(set(anchor) & set(test))
    if not common:
        sys.exit(f"the curves have no picture in common; the first of each are {', '.join(sorted(anchor)[:1] + sorted(test)[:1])}")
    return {picture: bd_rate(anchor[picture], test[picture], key) for picture in common}


def names_of(paths):
    """-> the name by which each picture is known"""
    names = [os.path.basename(path) for path in paths]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        sys.exit(f"pictures are known by the names of their files, and more than one is called {', '.join(twice)}")
    return names


def load(path):
    with open(path) as file:
        return json.load(file)


def run(args):
    encode, decode, qualities = CODECS[args.codec] if args.codec else (args.enc, args.dec, [])
    if args.q:
        qualities = [float(q) if "." in q else int(q) for q in args.q.split(",")]
    pictures = {name: [] for name in names_of(args.pictures)}
    jobs = [(encode, decode, q, picture, args.msssim) for picture in args.pictures for q in qualities]
    with ThreadPoolExecutor(args.jobs) as executor:
        for job, row in zip(jobs, executor.map(measure, jobs)):
            pictures[os.path.basename(job[3])].append(row)
    with open(args.out, "w") as file:
        json.dump({"name": args.name or args.codec or "test", "pictures": pictures}, file)


def print_bd(args):
    anchor = load(args.anchor)
    for path in args.tests:
        test = load(path)
        rates = bd_rates(anchor["pictures"], test["pictures"], args.key)
        values = list(rates.values())
        print(f"{test['name']} against {anchor['name']}: {np.nanmean(values):+.2f} % bits over {len(values)} pictures ({args.key}), "
              f"worst {np.nanmax(values):+.1f}, best {np.nanmin(values):+.1f}")
        if args.each:
            for picture, rate in rates.items():
                print(f"  {picture:20s} {rate:+.1f}")


def print_table(args):
    for path in args.files:
        test = load(path)
        print(test["name"])
        for rows in zip(*test["pictures"].values()):
            mean = lambda key: np.mean([row[key] for row in rows])
            ssim = f"  msssim {mean('msssim'):.4f}" if "msssim" in rows[0] else ""
            print(f"  q {rows[0]['q']!s:>5}  {mean('bpp'):.4f} bit/px  yuv {mean('yuv'):.2f}  y {mean('y'):.2f}  u {mean('u'):.2f}  v {mean('v'):.2f}{ssim}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    sub = commands.add_parser("run", help="code pictures at several qualities and measure them")
    sub.add_argument("out", help="JSON file to write")
    sub.add_argument("pictures", nargs="+", help=".y4m files, 8 bit, 4:2:0")
    sub.add_argument("--codec", choices=CODECS, help="one of those known here, in place of --enc, --dec and --q")
    sub.add_argument("--enc", help="shell command that codes {in} to {out} at quality {q}; {w} and {h} are the size of the picture")
    sub.add_argument("--dec", help="shell command that decodes {in} to {out}, a .y4m file")
    sub.add_argument("--q", help="qualities, separated by commas (default: those of the codec)")
    sub.add_argument("--name", help="of the curve (default: the codec)")
    sub.add_argument("--jobs", type=int, default=2, help="pictures at the same time (default: %(default)s)")
    sub.add_argument("--msssim", action="store_true", help="measure MS-SSIM, too")
    sub.set_defaults(function=run)
    sub = commands.add_parser("bd", help="BD-rate of curves against another one")
    sub.add_argument("anchor", help="JSON file of `run`")
    sub.add_argument("tests", nargs="+", help="the same")
    sub.add_argument("--key", default="yuv", help="yuv, y, u or v (default: %(default)s)")
    sub.add_argument("--each", action="store_true", help="print every picture")
    sub.set_defaults(function=print_bd)
    sub = commands.add_parser("table", help="means over the pictures, by quality")
    sub.add_argument("files", nargs="+", help="JSON files of `run`")
    sub.set_defaults(function=print_table)
    args = parser.parse_args()
    if args.command == "run" and not args.codec and not (args.enc and args.dec and args.q):
        parser.error("run: give --codec, or --enc, --dec and --q")
    args.function(args)


if __name__ == "__main__":
    main()
