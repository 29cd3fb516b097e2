#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Draws frames a second by size of the picture, a line for each model, preset, backend, number of threads and of frames in flight, from
files that speed.py --out made.

    speed_plot.py OUT.png SPEED.json [...]
"""
import argparse
import json
import pathlib

import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt


def lines_of(paths):
    """{name of the setting: rows, the smallest pictures first}; the CPU is part of the name if there are several."""
    files = [json.loads(pathlib.Path(path).read_text()) for path in paths]
    several, lines = len({data["cpu"] for data in files}) > 1, {}
    for data in files:
        for row in data["rows"]:
            backend = row["backend"] + (f" ({row['kernels']})" if row["kernels"] else "")
            name = f"{row['model']} {row['preset']}, {backend}, {row['threads']} thread" + "s" * (row["threads"] > 1)
            name += f", {row['in_flight']} frames" * (row["in_flight"] > 1) + f", {data['cpu']}" * several
            lines.setdefault(name, []).append(row)
    return {name: sorted(rows, key=lambda row: row["width"] * row["height"]) for name, rows in lines.items()}


def style_of(row, colours):
    """A colour for each backend, dashes for the second model, a stronger line for more threads."""
    backend, model = row["backend"] + row["kernels"], row["model"]
    return {"color": f"C{colours.setdefault(backend, len(colours))}", "linestyle": "-" if model == "live" else "--",
            "linewidth": 0.8 + 0.7 * (row["threads"] > 1), "marker": "o" if row["threads"] > 1 else ".", "markersize": 4}


def draw(axis, lines, side):
    colours = {}
    for name, rows in lines.items():
        axis.plot([row["width"] * row["height"] / 1e6 for row in rows], [row[side]["frames_s"] for row in rows], label=name, **style_of(rows[0], colours))
    sizes = sorted({(row["width"] * row["height"] / 1e6, f"{row['width']}×{row['height']}") for rows in lines.values() for row in rows})
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xticks([x for x, _ in sizes], [label for _, label in sizes], rotation=20)
    axis.minorticks_off()
    ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 240) if axis.get_ylim()[0] <= t <= axis.get_ylim()[1]]
    axis.set_yticks(ticks, [f"{t:g}" for t in ticks])
    axis.set_ylabel(f"{side}, frames/s")
    axis.grid(alpha=0.3)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", help="picture to write, of any kind that Matplotlib writes")
    parser.add_argument("files", nargs="+", help="made by speed.py --out")
    args = parser.parse_args()
    lines = lines_of(args.files)
    figure, axes = plt.subplots(1, 2, figsize=(13, 7))
    draw(axes[0], lines, "encode")
    draw(axes[1], lines, "decode")
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=8, loc="lower center", ncols=4)
    figure.tight_layout(rect=(0, 0.02 + 0.025 * ((len(lines) + 3) // 4), 1, 1))
    figure.savefig(args.out, dpi=90)


if __name__ == "__main__":
    main()
