#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Constant bit rate: how well m2tenc keeps to it, and how fast it follows a change. Writes a Markdown table with a row for each clip.

    cbr.py [--bitrate 1000] [--vbv 500] CLIP...

Every clip, repeated, is coded for --seconds of its own time (however long that takes) with rate-control=cbr. VBV: a buffer that each frame enters at once
and that drains at the bit rate; "fullest" is its peak in milliseconds, "overflows" are the frames that exceed the capacity. Quality steps are changes
from one frame to the next within the clip: PSNR of the decoded frame, and the quantizer.

Then the bit rate goes from --high to --low and back, a third of the time each. A change has taken effect with the first frame that is at most 25 % larger
(on the way down) or at least 75 % as large (up) as its share of the new rate.
"""
import sys

from stream import CODECS, clips_of, code, load_clip, mean, parser_of, report, use_build


def vbv(bits, drain, capacity):
    """The peak of a leaky bucket in bits, and the number of frames that find too little room."""
    level = peak = overflows = 0
    for size in bits:
        level += size
        peak, overflows = max(peak, level), overflows + (level > capacity)
        level = max(0, level - drain)
    return peak, overflows


def largest_step(values, period):
    """From one frame to the next; where the clip starts again is a cut."""
    return max(abs(b - a) for index, (a, b) in enumerate(zip(values, values[1:]), 1) if index % period)


def steady(clip, encoder, args):
    frames = list(code(clip, round(args.seconds * clip.rate), f"{encoder} bitrate={args.bitrate}"))
    bits, second = [frame.bits for frame in frames], round(clip.rate)
    peak, overflows = vbv(bits, args.bitrate * 1000 / clip.rate, args.bitrate * args.vbv)
    period = len(clip.frames)
    return {"clip": clip.name, "frames": len(frames), "kbit_s": mean(bits) * clip.rate / 1000,
            "worst_second_kbit_s": max(sum(bits[i:i + second]) for i in range(len(bits) - second + 1)) * clip.rate / second / 1000,
            "vbv_peak_ms": peak / args.bitrate, "vbv_overflows": overflows,
            "psnr": mean([frame.psnr for frame in frames]), "psnr_step": largest_step([frame.psnr for frame in frames], period),
            "quantizer_step": largest_step([frame.quantizer for frame in frames], period), "bits": bits,
            "frame_psnr": [frame.psnr for frame in frames], "quantizer": [frame.quantizer for frame in frames]}


def until_effect(bits, share, down):
    """Frames from the change on, the first that fits included; None: no frame did."""
    return next((count for count, size in enumerate(bits, 1) if (size <= 1.25 * share if down else size >= 0.75 * share)), None)


def changing(clip, encoder, args):
    third = round(args.seconds * clip.rate / 3)
    rates = {0: args.high, third: args.low, 2 * third: args.high}

    def before(index, element):
        if index in rates:
            element.set_property("bitrate", rates[index])

    bits = [frame.bits for frame in code(clip, 3 * third, f"{encoder} bitrate={args.high}", before)]
    share = lambda rate: rate * 1000 / clip.rate
    kbit_s = lambda part: mean(part) * clip.rate / 1000
    return {"frames_down": until_effect(bits[third:2 * third], share(args.low), True),
            "frames_up": until_effect(bits[2 * third:], share(args.high), False),
            "low_kbit_s": kbit_s(bits[third:2 * third]), "high_kbit_s": kbit_s(bits[2 * third:]), "changing_bits": bits}


def main():
    parser = parser_of(__doc__, seconds=10, bitrate=1000)
    parser.add_argument("--vbv", type=int, default=500, help="capacity in ms (default: %(default)s)")
    parser.add_argument("--high", type=int, default=2000, help="kbit/s (default: %(default)s)")
    parser.add_argument("--low", type=int, default=500, help="kbit/s (default: %(default)s)")
    args = parser.parse_args()
    if args.seconds < 1:
        parser.error("--seconds: at least 1, for the largest second")
    use_build(args.build)
    encoder = CODECS["m2t"].encoder.format(model=args.model) + f" vbv-buf-capacity={args.vbv} slices=1"    # the last one counts
    rows = []
    for path in clips_of(args.clips):
        clip = load_clip(path, args.size, args.rate)
        if len(clip.frames) < 2:
            print(f"cbr.py: {path} has one frame, from which there is no step to another: left out", file=sys.stderr)
            continue
        rows.append(steady(clip, encoder, args) | changing(clip, encoder, args))
    report(args, f"m2tenc rate-control=cbr, model {args.model}, {args.size}, {args.bitrate} kbit/s, VBV {args.vbv} ms",
           ["clip", "frames", "kbit/s", "off by", "largest second", "VBV ms: fullest", "overflows", "PSNR dB", "largest step: dB", "quantizer",
            f"frames until effect: {args.high} → {args.low}", f"{args.low} → {args.high}", "kbit/s then"], rows,
           lambda row: [row["clip"], str(row["frames"]), f"{row['kbit_s']:.0f}", f"{100 * row['kbit_s'] / args.bitrate - 100:+.1f} %",
                        f"{row['worst_second_kbit_s']:.0f}", f"{row['vbv_peak_ms']:.0f}", str(row["vbv_overflows"]), f"{row['psnr']:.2f}",
                        f"{row['psnr_step']:.2f}", f"{row['quantizer_step']:g}", str(row["frames_down"] or "never"), str(row["frames_up"] or "never"),
                        f"{row['low_kbit_s']:.0f}, {row['high_kbit_s']:.0f}"])


if __name__ == "__main__":
    main()
