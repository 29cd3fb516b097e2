#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Latency of a live stream, from the time when the camera delivers a frame to its arrival at the sink, by stage. Writes a Markdown table.

    latency.py [--bitrate 1000] [--seconds 10] CLIP

Sender and receiver are processes of one machine and share its clock, and its cores. A frame is delivered at its own time; if the encoder is still busy then,
waiting is part of the latency, and if both together take nearly all of the CPU time that there is, frames queue up in the receiver. The sink's own waiting
is not part of it: the sink shows a picture when it comes, or when --latency (of the jitter buffer) is over, whichever is later.
"""
import os
import statistics
import sys

from network import Network, saved, settings_of, stream
from stream import load_clip, parser_of, report, use_build


def stages_of(sent, received, rate):
    """By stage, milliseconds of each frame. The first second, with the opening of the model, is left out."""
    coded = {frame["frame"]: frame["at"] for frame in sent["frames"]}
    stages = {"encoder": [], "payloader, network, depayloader": [], "decoder": [], "all": []}
    for picture in received["shown"]:
        number = picture["frame"]
        if number < rate or number not in coded or not picture["received_at"]:
            continue
        times = (sent["origin"] + number * 1e9 / rate, coded[number], picture["received_at"], picture["at"])
        for name, begin, end in zip(stages, times, times[1:]):
            stages[name].append((end - begin) / 1e6)
        stages["all"].append((times[-1] - times[0]) / 1e6)
    return stages


def main():
    parser = parser_of(__doc__, clips=None, seconds=10, bitrate=1000)
    parser.add_argument("--latency", type=int, default=20, help="of the jitter buffer in ms (default: %(default)s)")
    args = parser.parse_args()
    use_build(args.build)
    clip = load_clip(args.clips, args.size, args.rate)
    with Network() as network, saved([clip]) as clips:
        sent, received = stream(network, settings_of(args, network, clips, "m2t", round(args.seconds * clip.rate), latency=args.latency))
    stages = stages_of(sent, received, clip.rate)
    if len(stages["all"]) < 2:
        sys.exit(f"{len(stages['all'])} pictures after the first second, which does not count; at least 2 are needed: give more --seconds")
    interval, count = 1000 / clip.rate, len(sent["frames"])
    cpu = [1000 * end["cpu"] / (count - 1) for end in (sent, received)]
    rows = [{"stage": stage, "median_ms": statistics.median(times), "p95_ms": statistics.quantiles(times, n=20, method="inclusive")[-1], "max_ms": max(times),
             "intervals": statistics.median(times) / interval} for stage, times in stages.items()]
    report(args, f"{clip.name}, {args.size}, {clip.rate:g} frames/s, model {args.model}, {args.bitrate} kbit/s, {len(received['shown'])} pictures; "
           f"CPU time {cpu[0]:.0f} + {cpu[1]:.0f} ms a frame of {interval * os.cpu_count():.0f}; {network.description}",
           ["stage", "ms: median", "95 %", "largest", "median in frame intervals"], rows,
           lambda row: [row["stage"], *(f"{row[key]:.1f}" for key in ("median_ms", "p95_ms", "max_ms")), f"{row['intervals']:.2f}"],
           network=network.description, cpu_ms=cpu)


if __name__ == "__main__":
    main()
