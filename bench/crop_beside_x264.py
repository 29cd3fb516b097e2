#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Draws a detail of a picture beside its decoded versions, libm2t's and x264's (intra, medium, tuned for PSNR) at the same size of the coded file.

    crop_beside_x264.py M2T PICTURE.y4m QUANTIZER LEFT TOP SIZE OUT.png

Needs x264, ffmpeg and Pillow.
"""
import os
import subprocess
import sys
import tempfile

from PIL import Image, ImageDraw

from rd import CODECS, psnr, read_y4m


def shell(command):
    subprocess.run(command, shell=True, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def x264_at(picture, size, folder):
    """The smallest coded file, by rate factors in steps of 0.1, that is not below @size; decoded to y4m. Returns (bytes, path)."""
    encode, decode, _ = CODECS["x264"]
    coded = folder + "/x264"
    low, high, sizes = 10, 510, {}   # tenths
    while high - low > 1:
        q = (low + high) // 2
        shell(encode.format(**{"in": picture, "out": coded, "q": q / 10}))
        sizes[q] = os.path.getsize(coded)
        low, high = (q, high) if sizes[q] > size else (low, q)
    best = max(q for q in sizes if sizes[q] >= size)
    shell(encode.format(**{"in": picture, "out": coded, "q": best / 10}))
    shell(decode.format(**{"in": coded, "out": coded + ".y4m"}))
    return os.path.getsize(coded), coded + ".y4m"


def detail(path, left, top, size, folder):
    png = folder + "/" + os.path.basename(path) + ".png"
    shell(f"ffmpeg -nostdin -v error -y -i {path} -frames:v 1 {png}")
    return Image.open(png).convert("RGB").crop((left, top, left + size, top + size)).resize((384, 384), Image.LANCZOS)


def main():
    m2t, picture, q, left, top, size, out = sys.argv[1:]
    left, top, size = int(left), int(top), int(size)
    width, height, (original, *_) = read_y4m(picture)
    with tempfile.TemporaryDirectory() as folder:
        ours = folder + "/m2t"
        shell(f"{m2t} encode {picture} {ours} -q {q} && {m2t} decode {ours} {ours}.y4m")
        our_bytes = os.path.getsize(ours)
        x264_bytes, x264_path = x264_at(picture, our_bytes, folder)
        sheet = Image.new("RGB", (3 * 384 + 16, 384 + 24), "white")
        columns = [("original", picture)]
        for name, path, size_bytes in (("libm2t", ours + ".y4m", our_bytes), ("x264 intra", x264_path, x264_bytes)):
            db = psnr(original[0], read_y4m(path)[2][0][0])
            columns.append((f"{name}: {size_bytes} bytes, {size_bytes * 8 / width / height:.3f} bit/px, Y {db:.2f} dB", path))
        for i, (label, path) in enumerate(columns):
            sheet.paste(detail(path, left, top, size, folder), (i * 392, 24))
            ImageDraw.Draw(sheet).text((i * 392 + 4, 6), label, fill="black")
        sheet.save(out)
        print(*[label for label, _ in columns], sep="\n")


if __name__ == "__main__":
    main()
