# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the measurements of live streams share: the encoders and their RTP elements, clips as raw frames, coding frame by frame, and the table at the end.

Needs ffmpeg, numpy and Debian's packages python3-gi and gir1.2-gst-plugins-base-1.0.
"""
import argparse
import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import numpy as np

try:
    import gi
    gi.require_version("Gst", "1.0")
    from gi.repository import Gst
except (ImportError, ValueError) as error:
    sys.exit(f"{error}; install the packages python3-gi and gir1.2-gst-plugins-base-1.0")

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))
from rd import picture_psnr    # noqa: E402  (bench/rd.py)
from speed import cpu_name, print_table, rate_of    # noqa: E402  (bench/speed.py)

TOP = pathlib.Path(__file__).resolve().parents[2]


@dataclasses.dataclass
class Codec:
    """Elements as in pipelines/send.sh and receive.sh; both codecs without delay, at a constant bit rate and with a VBV buffer of half a second."""
    encoder: str
    payloader: str
    depayloader: str
    decoder: str
    encoding_name: str


CODECS = {
    "m2t": Codec("m2tenc model-file={model} tune=zerolatency rate-control=cbr vbv-buf-capacity=500 slices=3",
                 "rtpm2tpay", "rtpm2tdepay request-keyframe=true", "m2tdec", "M2T"),
    "x264": Codec("x264enc speed-preset=medium tune=zerolatency pass=cbr vbv-buf-capacity=500",
                  "rtph264pay config-interval=-1 aggregate-mode=zero-latency",
                  "rtph264depay request-keyframe=true ! video/x-h264,alignment=au", "avdec_h264", "H264"),
}


# --- clips ---

@dataclasses.dataclass
class Clip:
    """Raw I420 frames, which repeat from the last to the first, at @rate frames per second."""
    name: str
    width: int
    height: int
    rate: float
    frames: np.ndarray      # [frames][bytes]

    def frame(self, index):
        return self.frames[index % len(self.frames)]

    @property
    def caps(self):
        return f"video/x-raw,format=I420,width={self.width},height={self.height},framerate={round(self.rate * 1001)}/1001"

    def time(self, index):
        return round(index * Gst.SECOND / self.rate)


def load_clip(path, size="640x360", rate=None):
    """Any file that ffmpeg reads, scaled to @size, at @rate frames per second (None: its own)."""
    width, height = map(int, size.split("x"))
    if width % 8 or height % 4:
        sys.exit(f"--size: {size}: GStreamer's raw planes need a width that 8 divides and a height that 4 divides")
    filters = f"scale={width}:{height}:flags=bicubic" + (f",fps={rate:g}" if rate else "")
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", path, "-vf", filters, "-pix_fmt", "yuv420p", "-f", "rawvideo", "-"]
    data = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    frames = np.frombuffer(data, np.uint8).reshape(-1, width * height * 3 // 2)
    return Clip(pathlib.Path(path).stem, width, height, rate or float(rate_of(path)), frames)


def clips_of(paths):
    """The files among @paths and in the folders among them."""
    found = []
    for path in map(pathlib.Path, paths):
        found += sorted(file for file in path.iterdir() if file.suffix in (".mp4", ".mkv", ".webm", ".y4m")) if path.is_dir() else [path]
    return [str(path) for path in found]


def psnr(a, b, clip):
    """Frames, [bytes] -> (6 Y + U + V) / 8 in dB"""
    luma = clip.width * clip.height
    planes = lambda frame: np.split(frame, [luma, luma * 5 // 4])
    return picture_psnr(planes(a), planes(b))[3]


# --- coding in this process, one frame at a time ---

@dataclasses.dataclass
class Coded:
    bits: int
    key: bool
    quantizer: float        # what the frame header says
    psnr: float


def raw_buffer(clip, index):
    buffer = Gst.Buffer.new_wrapped(clip.frame(index).tobytes())
    buffer.pts, buffer.duration = clip.time(index), clip.time(index + 1) - clip.time(index)
    return buffer


def pixels(sample_or_buffer):
    """The bytes of a raw picture; sizes are such that planes have no padding."""
    buffer = sample_or_buffer.get_buffer() if isinstance(sample_or_buffer, Gst.Sample) else sample_or_buffer
    return np.frombuffer(buffer.extract_dup(0, buffer.get_size()), np.uint8)


def error_of(bus):
    message = bus.pop_filtered(Gst.MessageType.ERROR)
    return message and "{0.message} ({1})".format(*message.parse_error())


def code(clip, count, encoder, before=None):
    """Codes and decodes @count frames with m2tenc as described. before(index, element) is called before each one. Yields a Coded for each."""
    pipeline = Gst.parse_launch(f"appsrc name=source format=time caps={clip.caps} ! {encoder} name=encoder ! video/x-m2t,stream-format=framed ! "
                                "identity name=coded ! m2tdec ! appsink name=sink sync=false")
    source, element, sink = map(pipeline.get_by_name, ("source", "encoder", "sink"))
    coded = []

    def on_coded(_pad, info):
        buffer = info.get_buffer()
        coded.append((buffer.get_size() * 8, not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT), buffer.extract_dup(2, 1)[0] / 4))
        return Gst.PadProbeReturn.OK

    pipeline.get_by_name("coded").get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, on_coded)
    pipeline.set_state(Gst.State.PLAYING)
    try:
        for index in range(count):
            if before:
                before(index, element)
            source.emit("push-buffer", raw_buffer(clip, index))
            sample = sink.emit("try-pull-sample", 60 * Gst.SECOND)
            if sample is None:
                raise RuntimeError(error_of(pipeline.get_bus()) or f"frame {index} did not come out")
            yield Coded(*coded[index], psnr(pixels(sample), clip.frame(index), clip))
    finally:
        pipeline.set_state(Gst.State.NULL)


# --- the scripts' frame ---

def mean(values):
    return sum(values) / len(values)


def parser_of(doc, clips="+", seconds=None, bitrate=None):
    """Options that all scripts have. @clips: None for a single one. @seconds, @bitrate: None if there is no such option."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs=clips, metavar="CLIP", help="of any kind that ffmpeg reads, or a folder of them" if clips == "+" else "of any kind that ffmpeg reads")
    parser.add_argument("--build", default=str(TOP / "build"), help="build directory; the plugin is taken from there (default: %(default)s)")
    parser.add_argument("--model", default="live", help="of m2tenc (default: %(default)s)")
    parser.add_argument("--size", default="640x360", help="(default: %(default)s)")
    parser.add_argument("--rate", type=float, help="frames per second (default: the clip's)")
    if seconds:
        parser.add_argument("--seconds", type=float, default=seconds, help="(default: %(default)g)")
    if bitrate:
        parser.add_argument("--bitrate", type=int, default=bitrate, help="kbit/s (default: %(default)s)")
    parser.add_argument("--out", help="write the results to this JSON file, too")
    return parser


def use_build(build):
    build = pathlib.Path(build).resolve()
    os.environ["GST_PLUGIN_PATH"] = ":".join(filter(None, [str(build / "plugin"), os.environ.get("GST_PLUGIN_PATH")]))
    os.environ["M2T_MODEL_PATH"] = ":".join(filter(None, [os.environ.get("M2T_MODEL_PATH"), str(TOP / "models")]))
    Gst.init(None)
    if not Gst.ElementFactory.find("m2tenc"):
        sys.exit(f"{build}: there is no plugin in this build directory; give one with --build")


def report(args, title, header, rows, columns, **facts):
    """The table, and the JSON file if one was asked for: @columns makes a row of cells from a row of results."""
    load = os.getloadavg()[0]
    print(f"{title}; {cpu_name()}, load {load:.1f}\n")
    print_table(header, [columns(row) for row in rows])
    if args.out:
        facts |= {"title": title, "cpu": cpu_name(), "load": load, "arguments": vars(args), "rows": rows}
        pathlib.Path(args.out).write_text(json.dumps(facts, indent=1))
