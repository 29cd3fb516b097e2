#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Late joiners: how many frames pass from the first packet that arrives to the first complete picture. Writes a Markdown table.

    join.py [--bitrate 1000] [--joins 5] CLIP

A sender runs all the time; receivers come one after the other. With feedback, the receiver asks for a key frame (RTCP PLI) if it needs one; without, as in
multicast, it waits for what comes by itself. 1 is the best: the frame of which the first packet is a part. Complete is what m2tdec does not mark as corrupted.
"""
import random
import statistics
import time

from network import Network, finish, saved, settings_of, stop
from stream import load_clip, parser_of, report, use_build


def join(network, settings, seconds):
    """Frames until the first complete picture, or None if none came within @seconds."""
    receiver = network.start("receiver", "receive", settings)
    time.sleep(seconds)
    result = stop(receiver)
    first = next((picture["frame"] for picture in result["shown"] if not picture["corrupted"]), None)
    return None if first is None else first - result["first_packet"] + 1


def measure(network, settings, args):
    chance = random.Random(1)
    sender = network.start("sender", "send", settings)
    time.sleep(2)
    waits = []
    for _ in range(args.joins):
        waits.append(join(network, settings, args.wait))
        time.sleep(chance.random())
    sender.terminate()
    finish(sender)
    return waits


def main():
    parser = parser_of(__doc__, clips=None, bitrate=1000)
    parser.add_argument("--joins", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--wait", type=float, default=4, help="seconds that each receiver stays (default: %(default)g)")
    parser.add_argument("--encoders", default=",key-int-max=1,key-int-max=30", help="settings of m2tenc to compare, as in gst-launch-1.0 (default: %(default)s)")
    args = parser.parse_args()
    use_build(args.build)
    clip = load_clip(args.clips, args.size, args.rate)
    rows = []
    with Network() as network, saved([clip]) as clips:
        for encoder in args.encoders.split(","):
            for feedback in (True, False):
                settings = settings_of(args, network, clips, "m2t", 10 ** 9, encoder=encoder, feedback=feedback)
                rows.append({"encoder": encoder, "feedback": feedback, "frames": measure(network, settings, args)})
    report(args, f"{clip.name}, {args.size}, {clip.rate:g} frames/s, {args.bitrate} kbit/s; {network.description}",
           ["m2tenc", "feedback", "frames until a complete picture", "median"], rows,
           lambda row: [row["encoder"] or "defaults", "yes" if row["feedback"] else "no", ", ".join(str(n or "never") for n in row["frames"]),
                        f"{statistics.median(n or float('inf') for n in row['frames']):g}"], network=network.description)


if __name__ == "__main__":
    main()
