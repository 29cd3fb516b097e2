#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Draws rate-distortion curves of files made by rd.py, the mean over their pictures, and prints a table of BD-rates.

    rd_plot.py OUT.png OURS.json OTHER.json...
"""
import argparse

import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from rd import bd_rates, load


def mean_curve(pictures, key):
    """-> (2, qualities): bit/px and dB, both averaged over the pictures"""
    rows = list(zip(*pictures.values()))
    return np.array([(np.mean([p["bpp"] for p in row]), np.mean([p[key] for p in row])) for row in rows]).T


def draw(axis, files, key, label):
    for index, data in enumerate(files):
        bpp, value = mean_curve(data["pictures"], key)
        inside = bpp < 1.7
        axis.plot(bpp[inside], value[inside], marker="o", markersize=3, linewidth=2 if index == 0 else 1, label=data["name"])
    axis.set_xlabel("bit per luma sample")
    axis.set_ylabel(label)
    axis.grid(alpha=0.3)
    axis.legend()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", help="picture to write, of any kind that Matplotlib writes")
    parser.add_argument("files", nargs="+", help="made by rd.py; BD-rates are those of the first against each of the others")
    args = parser.parse_args()
    files = [load(path) for path in args.files]
    figure, axes = plt.subplots(1, 2, figsize=(13, 5.5))
    draw(axes[0], files, "yuv", "PSNR (6 Y + U + V) / 8, dB")
    draw(axes[1], files, "y", "PSNR of Y, dB")
    figure.tight_layout()
    figure.savefig(args.out, dpi=90)
    print("| against | BD-rate | worst picture | best picture |\n|---|---|---|---|")
    for other in files[1:]:
        rates = {p: rate for p, rate in bd_rates(other["pictures"], files[0]["pictures"]).items() if not np.isnan(rate)}
        if not rates:
            print(f"| {other['name']} | – | – | – |")
            continue
        worst, best = max(rates, key=rates.get), min(rates, key=rates.get)
        print(f"| {other['name']} | {np.mean(list(rates.values())):+.1f} % | {worst} {rates[worst]:+.1f} % | {best} {rates[best]:+.1f} % |")


if __name__ == "__main__":
    main()
