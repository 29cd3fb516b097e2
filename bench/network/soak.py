#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sender and receiver for a long time, with loss and with changes of the bit rate and of the picture size: do they go on, and does their memory grow?

    soak.py [--minutes 10] [--loss 0.02] [--burst 3] [--bitrate-every 10] [--size-every 30] CLIP

A stall is a second or more without a new picture; one in which no frames were lost is the machine's. Memory is the resident set, sampled every second.
"Growth" is the mean of the last quarter of the samples less that of the second quarter; the first is for warming up, and each quarter should see both
sizes several times.
"""
from network import Network, saved, settings_of, stream
from stream import load_clip, mean, parser_of, report, use_build


def changes_of(args, rate, count):
    """By frame: the bit rate alternates between --bitrate and half of it, the size between --size and --other-size."""
    changes = {}
    for key, every, values in (("bitrate", args.bitrate_every, (args.bitrate, args.bitrate // 2)), ("clip", args.size_every, (0, 1))):
        for number, frame in enumerate(range(0, count, round(every * rate))):
            changes.setdefault(str(frame), {})[key] = values[number % 2]
    return changes


def memory_of(end, result):
    kilobytes = [size for _, size in result["memory"]]
    quarter = max(1, len(kilobytes) // 4)
    second, last = mean(kilobytes[quarter:2 * quarter]), mean(kilobytes[-quarter:])
    return {"end": end, "second_quarter_mib": second / 1024, "last_quarter_mib": last / 1024, "max_mib": max(kilobytes) / 1024, "growth_mib": (last - second) / 1024,
            "memory": result["memory"]}


def main():
    parser = parser_of(__doc__, clips=None, bitrate=1000)
    parser.add_argument("--minutes", type=float, default=10, help="(default: %(default)g)")
    parser.add_argument("--bitrate-every", type=float, default=10, help="seconds (default: %(default)g)")
    parser.add_argument("--other-size", default="320x180", help="(default: %(default)s)")
    parser.add_argument("--size-every", type=float, default=30, help="seconds (default: %(default)g)")
    parser.add_argument("--loss", type=float, default=0.02, help="(default: %(default)g)")
    parser.add_argument("--burst", type=float, default=3, help="packets (default: %(default)g)")
    args = parser.parse_args()
    use_build(args.build)
    sizes = [load_clip(args.clips, size, args.rate) for size in (args.size, args.other_size)]
    rate = sizes[0].rate
    count = round(args.minutes * 60 * rate)
    loss = {"rate": args.loss, "burst": args.burst, "seed": 1}
    with Network() as network, saved(sizes) as clips:
        sent, received = stream(network, settings_of(args, network, clips, "m2t", count, loss=loss, changes=changes_of(args, rate, count), keep=0))
    playback = received["playback"]
    rows = [memory_of("sender", sent), memory_of("receiver", received)]
    report(args, f"{sizes[0].name}, {args.size} and {args.other_size}, {rate:g} frames/s, {args.minutes:g} minutes, loss {100 * args.loss:g} % in bursts of "
           f"{args.burst:g}; {network.description}",
           ["process", "memory MiB: second quarter", "last quarter", "growth", "peak"], rows,
           lambda row: [row["end"], *(f"{row[key]:.1f}" for key in ("second_quarter_mib", "last_quarter_mib", "growth_mib", "max_mib"))],
           network=network.description, frames=count, playback=playback)
    stalls = playback["stalls"]
    print(f"{playback['pictures']} pictures of {count} frames, {playback['corrupted']} marked corrupted; longest time without a picture "
          f"{playback['longest_gap']:.2f} s; {len(stalls)} stalls, {sum(lost > 0 for _, lost in stalls)} of them with frames lost")


if __name__ == "__main__":
    main()
