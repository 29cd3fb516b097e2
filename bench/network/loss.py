#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lost packets: what a viewer sees of m2tenc, and of x264enc with the same RTP settings and bit rate. Writes a Markdown table.

    loss.py [--bitrate 1000] [--loss 0.01,0.05,0.10] [--burst 5] [--retransmission] CLIP

Clips are repeated for --seconds and sent in real time, with both codecs and each loss, single and in bursts of --burst packets on average. At each frame
time the newest picture that has come is shown; PSNR is that of the shown picture against the frame of that time, so a frozen picture counts. A frame is
damaged if its PSNR is more than 1 dB below that of the same frame without loss. "Longest freeze" is the longest row of frame times without a new picture.
"""
import sys

from network import Network, saved, settings_of, stream
from stream import CODECS, load_clip, mean, parser_of, report, use_build


def freeze(shown, count):
    """Frame times from one picture to the next, less the one that is no freeze."""
    numbers = sorted({picture["frame"] for picture in shown}) + [count]
    return max(b - a for a, b in zip(numbers, numbers[1:])) - 1


def measure(network, settings, whole):
    """@whole: PSNR by frame without loss, from the end backwards; None in the run without."""
    sent, received = stream(network, settings)
    if not received["shown"]:
        sys.exit(f"{settings['codec']}, loss {settings['loss'] or 'none'}: no picture was shown")
    quality = received["psnr"][::-1]
    seconds = settings["count"] / settings["clips"][0]["rate"]
    result = {"codec": settings["codec"], "loss": settings["loss"], "kbit_s": sum(frame["bits"] for frame in sent["frames"]) / seconds / 1000,
              "key_frames": sum(frame["key"] for frame in sent["frames"]), "packets": sent.get("packets"), "packets_lost": sent.get("packets_lost"),
              "shown": len(received["shown"]), "flagged": sum(picture["corrupted"] for picture in received["shown"]),
              "freeze": freeze(received["shown"], settings["count"]), "psnr": mean(quality), "psnr_whole": mean(whole or quality),
              "damaged": sum(a > b + 1 for a, b in zip(whole or quality, quality)), "frames": len(quality), "frame_psnr": quality[::-1]}
    return result, quality


def row_of(row):
    loss = row["loss"]
    kind = "none" if not loss else f"{100 * loss['rate']:g} %" + (f", bursts of {loss['burst']:g}" if loss["burst"] > 1 else ", single")
    lost = "" if row["packets"] is None else f"{row['packets_lost']} / {row['packets']}"
    return [row["codec"], kind, lost, f"{row['kbit_s']:.0f}", str(row["key_frames"]), f"{row['shown']} / {row['frames']}", str(row["flagged"]),
            f"{row['damaged']} ({100 * row['damaged'] / row['frames']:.0f} %)", str(row["freeze"]), f"{row['psnr']:.2f}", f"{row['psnr'] - row['psnr_whole']:+.2f}"]


def main():
    parser = parser_of(__doc__, clips=None, seconds=10, bitrate=1000)
    parser.add_argument("--loss", default="0.01,0.05,0.10", help="(default: %(default)s)")
    parser.add_argument("--burst", type=float, default=5, help="packets (default: %(default)g)")
    parser.add_argument("--codecs", default=",".join(CODECS), help="(default: %(default)s)")
    parser.add_argument("--retransmission", action="store_true", help="the receiver asks for lost packets again")
    parser.add_argument("--latency", type=int, default=100, help="of the jitter buffer in ms (default: %(default)s)")
    parser.add_argument("--encoder", default="", help="more settings of m2tenc, as in gst-launch-1.0")
    parser.add_argument("--seed", type=int, default=7, help="of the loss, without netem; with the default, short runs lose about as much as they should")
    args = parser.parse_args()
    use_build(args.build)
    clip = load_clip(args.clips, args.size, args.rate)
    count = round(args.seconds * clip.rate)
    losses = [None] + [{"rate": float(rate), "burst": burst, "seed": args.seed} for burst in (1, args.burst) for rate in args.loss.split(",")]
    rows = []
    with Network() as network, saved([clip]) as clips:
        for codec in args.codecs.split(","):
            whole = None
            for loss in losses:
                result, quality = measure(network, settings_of(args, network, clips, codec, count, loss=loss, quality=True, latency=args.latency,
                                                               retransmission=args.retransmission, encoder=args.encoder if codec == "m2t" else ""), whole)
                whole = whole or quality
                rows.append(result)
    retransmission = "with" if args.retransmission else "without"
    report(args, f"{clip.name}, {args.size}, {clip.rate:g} frames/s, {args.bitrate} kbit/s, {retransmission} retransmission, jitter buffer of {args.latency} ms; "
           f"{network.description}",
           ["codec", "loss", "packets lost", "kbit/s", "key frames", "pictures / frame times", "marked corrupted", "damaged", "longest freeze", "PSNR dB",
            "against no loss"], rows, row_of, network=network.description)


if __name__ == "__main__":
    main()
