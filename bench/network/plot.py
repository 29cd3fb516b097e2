#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Draws what cbr.py and loss.py wrote with --out.

    plot.py OUT.png CBR.json|LOSS.json

cbr.py: sizes of the frames of each clip while the bit rate changes. loss.py: which share
of the frame times shows a picture of at least so many dB, by codec and loss.
"""
import argparse
import json

import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np


def draw_change(axis, row, settings):
    kilobits = np.array(row["changing_bits"]) / 1000
    third = len(kilobits) // 3
    rate = len(kilobits) / settings["seconds"]
    wanted = np.repeat([settings["high"], settings["low"], settings["high"]], third) / rate
    axis.plot(kilobits, ".", markersize=3, label="frame")
    axis.plot(wanted, color="black", linewidth=1, label="bit rate")
    axis.set_ylim(0, 3 * settings["high"] / rate)
    axis.set_title(row["clip"], fontsize=10)
    axis.set_xlabel("frame")
    axis.set_ylabel("kbit")
    axis.legend(fontsize=8)


def draw_loss(axis, rows, loss):
    for row in rows:
        share = 100 * np.arange(1, row["frames"] + 1) / row["frames"]
        axis.plot(share, sorted(row["frame_psnr"], reverse=True), label=f"{row['codec']}, mean {row['psnr']:.1f} dB")
    kind = "without loss" if not loss else f"{100 * loss['rate']:g} % lost" + (f", in bursts of {loss['burst']:g}" if loss["burst"] > 1 else "")
    axis.set_title(kind, fontsize=10)
    axis.set_xlabel("% of the frame times")
    axis.set_ylabel("PSNR of what is shown, dB")
    axis.legend(fontsize=8)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", help="picture to write, of any kind that Matplotlib writes")
    parser.add_argument("results", help="JSON file that cbr.py or loss.py wrote")
    args = parser.parse_args()
    with open(args.results) as file:
        results = json.load(file)
    rows, title = results["rows"], results["title"]
    if "changing_bits" in rows[0]:
        was = results["arguments"]
        panels = [(draw_change, row, was) for row in rows]
        title = f"m2tenc rate-control=cbr, model {was['model']}, {was['size']}, {was['high']}, {was['low']} and {was['high']} kbit/s, VBV {was['vbv']} ms"
    else:
        kinds = [row["loss"] for row in rows if row["codec"] == rows[0]["codec"]]
        panels = [(draw_loss, [row for row in rows if row["loss"] == kind], kind) for kind in kinds]
    columns = 3
    lines = -(-len(panels) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(13, 3.2 * lines), squeeze=False)
    for axis in axes.flat[len(panels):]:
        axis.axis("off")
    for axis, (draw, *what) in zip(axes.flat, panels):
        draw(axis, *what)
    figure.suptitle(f"{title}; {results['cpu']}", fontsize=9)
    figure.tight_layout()
    figure.savefig(args.out, dpi=90)


if __name__ == "__main__":
    main()
