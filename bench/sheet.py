#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Draws a detail of a picture as codecs show it at the same rates: a row for each rate, a column for each codec.

    sheet.py OUT.png PICTURE.y4m LEFT TOP SIZE --rates 0.15,0.3,0.6 --codecs standard,live,x264,x265,aom --m2t build/tools/m2t

x264, x265 and aom are those of rd.py; any other name is a model of libm2t. Each is as close to the rate as it gets without exceeding it. Needs the encoders,
ffmpeg and Pillow.
"""
import argparse
import os
import tempfile

from PIL import Image, ImageDraw

from rd import CODECS, psnr, read_y4m, shell

SIDE, GAP, TEXT = 320, 8, 18
RANGE = {"x264": (1, 51, 10), "x265": (1, 51, 10), "aom": (1, 63, 1)}   # of the quantizer, and steps in 1
M2T_RANGE = (0, 63, 4)


def commands(codec, m2t):
    """-> encode, decode, range of the quantizer"""
    if codec in RANGE:
        return (*CODECS[codec][:2], RANGE[codec])
    return f"{m2t} encode {{in}} {{out}} -q {{q}} -m {codec}", f"{m2t} decode {{in}} {{out}}", M2T_RANGE


def at_rate(codec, picture, bits, folder, m2t):
    """The largest coded file of at most `bits`. -> its bits, path of the decoded picture"""
    encode, decode, (low, high, steps) = commands(codec, m2t)
    coded = f"{folder}/{codec}"

    def size(q):
        shell(encode, picture, coded, q=f"{q / steps:g}")
        return 8 * os.path.getsize(coded)

    low, high = low * steps, high * steps      # the answer is above low
    while high - low > 1:
        q = (low + high) // 2
        low, high = (q, high) if size(q) > bits else (low, q)
    actual = size(high)
    shell(decode, coded, coded + ".y4m")
    return actual, coded + ".y4m"


def detail(path, box, folder):
    png = f"{folder}/picture.png"
    shell("ffmpeg -nostdin -v error -y -i {in} -frames:v 1 {out}", path, png)
    return Image.open(png).convert("RGB").crop(box).resize((SIDE, SIDE), Image.LANCZOS)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("picture")
    parser.add_argument("left", type=int)
    parser.add_argument("top", type=int)
    parser.add_argument("size", type=int)
    parser.add_argument("--rates", default="0.15,0.3,0.6", help="bits per pixel")
    parser.add_argument("--codecs", default="standard,live,x264,x265,aom")
    parser.add_argument("--m2t", default="m2t", help="the program")
    args = parser.parse_args()

    codecs, rates = args.codecs.split(","), [float(rate) for rate in args.rates.split(",")]
    width, height, (original, *_) = read_y4m(args.picture)
    box = (args.left, args.top, args.left + args.size, args.top + args.size)
    sheet = Image.new("RGB", ((SIDE + GAP) * (1 + len(codecs)) - GAP, (SIDE + TEXT) * len(rates)), "white")
    draw = ImageDraw.Draw(sheet)
    with tempfile.TemporaryDirectory() as folder:
        shown = detail(args.picture, box, folder)
        for row, rate in enumerate(rates):
            top = row * (SIDE + TEXT)
            sheet.paste(shown, (0, top + TEXT))
            draw.text((4, top + 4), "original", fill="black")
            for column, codec in enumerate(codecs, 1):
                bits, path = at_rate(codec, args.picture, rate * width * height, folder, args.m2t)
                db = psnr(original[0], read_y4m(path)[2][0][0])
                name = codec if codec in RANGE else "libm2t " + codec
                draw.text((column * (SIDE + GAP) + 4, top + 4), f"{name}: {bits / width / height:.3f} bit/px, Y {db:.2f} dB", fill="black")
                sheet.paste(detail(path, box, folder), (column * (SIDE + GAP), top + TEXT))
    sheet.save(args.out)


if __name__ == "__main__":
    main()
