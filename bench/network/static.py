#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What stands still: bits of a frame against those of a key frame, at a fixed quantizer. Writes a Markdown table with a row for each clip.

    static.py [--quantizer 32] [--seconds 4] CLIP...

"Still" is the first frame of the clip over and over again. "As filmed" is the clip itself, once with key-int-max=0, where frames take over what stands
still in them, and once with key-int-max=1, where every frame codes everything.
"""
from stream import clips_of, code, load_clip, mean, parser_of, report, use_build


def measure(clip, count, encoder):
    still = type(clip)(clip.name, clip.width, clip.height, clip.rate, clip.frames[:1])
    first, *rest = code(still, count, f"{encoder} key-int-max=0")
    filmed = list(code(clip, min(count, len(clip.frames)), f"{encoder} key-int-max=0"))
    intra = list(code(clip, len(filmed), f"{encoder} key-int-max=1"))
    return {"clip": clip.name, "intra_bits": first.bits, "still_bits": mean([frame.bits for frame in rest]),
            "still_psnr_change": rest[-1].psnr - first.psnr, "filmed_bits": mean([frame.bits for frame in filmed]),
            "filmed_intra_bits": mean([frame.bits for frame in intra]), "filmed_psnr": mean([frame.psnr for frame in filmed]),
            "filmed_intra_psnr": mean([frame.psnr for frame in intra])}


def main():
    parser = parser_of(__doc__, seconds=4)
    parser.add_argument("--quantizer", type=int, default=32, help="(default: %(default)s)")
    args = parser.parse_args()
    use_build(args.build)
    encoder = f"m2tenc model-file={args.model} tune=zerolatency quantizer={args.quantizer}"
    rows = []
    for path in clips_of(args.clips):
        clip = load_clip(path, args.size, args.rate)
        rows.append(measure(clip, round(args.seconds * clip.rate), encoder))
    report(args, f"m2tenc, model {args.model}, {args.size}, quantizer {args.quantizer}",
           ["clip", "still: first frame, bits", "a later one", "of the first", "PSNR, last − first dB", "as filmed: bits a frame", "every frame whole", "ratio",
            "PSNR dB", "every frame whole"], rows,
           lambda row: [row["clip"], f"{row['intra_bits']}", f"{row['still_bits']:.0f}", f"{100 * row['still_bits'] / row['intra_bits']:.1f} %",
                        f"{row['still_psnr_change']:+.2f}", f"{row['filmed_bits']:.0f}", f"{row['filmed_intra_bits']:.0f}",
                        f"{100 * row['filmed_bits'] / row['filmed_intra_bits']:.0f} %", f"{row['filmed_psnr']:.2f}", f"{row['filmed_intra_psnr']:.2f}"])


if __name__ == "__main__":
    main()
