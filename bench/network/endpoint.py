#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""One end of a live stream, as a process of its own: endpoint.py send|receive, with its settings as JSON on standard input. Started by network.py.

The pipelines are those of pipelines/send.sh and receive.sh. A frame is known by its number on both ends: the sender's RTP timestamps start at 0, and the
times are those of the system's monotonic clock. Ends at SIGTERM, or when the sender has sent all frames; then writes what it saw to standard output as JSON.
"""
import bisect
import json
import random
import signal
import sys
import threading
import time
from collections import deque

import numpy as np

from stream import CODECS, Clip, Gst, error_of, pixels, psnr, raw_buffer, use_build

CLOCK_RATE = 90000
STALL = 1       # seconds without a new picture


# --- both ends ---

class Endpoint:
    """A pipeline, run until stop() or an error, and the memory and the CPU time that the process takes meanwhile."""

    def __init__(self, line):
        self.pipeline = Gst.parse_launch(line)
        self.stopped = threading.Event()
        self.memory = []        # [seconds since the start, KiB]
        self.cpu = []           # seconds at the first and at the last frame
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stopped.set())

    def probe(self, element, pad, function):
        def called(_pad, info):
            result = function(info.get_buffer())
            return Gst.PadProbeReturn.OK if result is None else result      # DROP is 0
        self.pipeline.get_by_name(element).get_static_pad(pad).add_probe(Gst.PadProbeType.BUFFER, called)

    def on_frame(self):
        self.cpu[1:] = [time.process_time()]

    def run(self):
        begin = time.monotonic()
        self.pipeline.set_state(Gst.State.PLAYING)
        error = None
        while not self.stopped.wait(1) and not error:
            error = error_of(self.pipeline.get_bus())
            self.memory.append([round(time.monotonic() - begin, 1), resident()])
        self.pipeline.set_state(Gst.State.NULL)
        return {"memory": self.memory, "cpu": self.cpu[-1] - self.cpu[0] if self.cpu else 0, "error": error}


def resident():
    """VmRSS in KiB."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def open_clip(settings):
    """What saved() in network.py left."""
    frames = np.memmap(settings["file"], np.uint8, "r").reshape(-1, settings["width"] * settings["height"] * 3 // 2)
    return Clip(settings["name"], settings["width"], settings["height"], settings["rate"], frames)


# --- sender ---

class Loss:
    """Which packets are lost: each with the same probability, or by a Gilbert model whose bad state loses all, for @burst packets on average."""

    def __init__(self, rate, burst, seed):
        self.random = random.Random(seed)
        self.recover = 1 / burst if burst > 1 else 1 - rate     # from the bad state to the good one
        self.fail = rate * self.recover / (1 - rate)
        self.bad = False
        self.passed = self.lost = 0

    def __call__(self, _buffer):
        self.bad = self.random.random() >= self.recover if self.bad else self.random.random() < self.fail
        if self.bad:
            self.lost += 1
            return Gst.PadProbeReturn.DROP
        self.passed += 1
        return Gst.PadProbeReturn.OK


def sender_line(settings):
    codec = CODECS[settings["codec"]]
    host, port = settings["host"], settings["port"]
    encoder = codec.encoder.format(model=settings["model"]) + f" bitrate={settings['bitrate']} {settings['encoder']}"
    return f"""rtpbin name=rtp rtp-profile=avpf
        appsrc name=source format=time block=true max-buffers=2 ! clocksync ! queue ! {encoder} name=encoder ! identity name=coded !
        {codec.payloader} pt=96 timestamp-offset=0 !
        rtprtxsend payload-type-map=application/x-rtp-pt-map,96=(uint)97 max-size-time=1000 max-size-packets=0 ! rtp.send_rtp_sink_0
        rtp.send_rtp_src_0 ! identity name=network ! udpsink host={host} port={port} sync=false async=false
        rtp.send_rtcp_src_0 ! udpsink host={host} port={port + 1} sync=false async=false
        udpsrc port={port + 3} ! rtp.recv_rtcp_sink_0"""


def feed(endpoint, clips, count, changes, coded):
    """Pushes @count frames; appsrc and clocksync make that last as long as they do. @changes: {frame: {"bitrate": ..., "clip": ...}}. Ends the endpoint
    when all have been @coded, however slow the machine is."""
    source, encoder = map(endpoint.pipeline.get_by_name, ("source", "encoder"))
    clip = clips[0]
    source.set_property("caps", Gst.Caps.from_string(clip.caps))
    for index in range(count):
        change = changes.get(str(index), {})
        if "bitrate" in change:
            encoder.set_property("bitrate", change["bitrate"])
        if "clip" in change:
            clip = clips[change["clip"]]
            source.set_property("caps", Gst.Caps.from_string(clip.caps))
        if endpoint.stopped.is_set() or source.emit("push-buffer", raw_buffer(clip, index)) != Gst.FlowReturn.OK:
            break
    while coded() < count and not endpoint.stopped.wait(0.1):
        pass
    time.sleep(0.5)     # until the last packets are on their way
    endpoint.stopped.set()


def send(settings):
    endpoint = Endpoint(sender_line(settings))
    clips = [open_clip(clip) for clip in settings["clips"]]
    count, coded, loss = 0, deque(maxlen=settings["keep"]), Loss(**settings["loss"]) if settings["loss"] else lambda _: None

    def on_coded(buffer):
        nonlocal count
        count += 1
        endpoint.on_frame()
        coded.append({"frame": round(buffer.pts * clips[0].rate / Gst.SECOND), "bits": buffer.get_size() * 8,
                      "key": not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT), "at": time.monotonic_ns()})

    endpoint.probe("coded", "src", on_coded)
    endpoint.probe("network", "src", loss)
    threading.Thread(target=feed, args=(endpoint, clips, settings["count"], settings["changes"], lambda: count), daemon=True).start()
    result = endpoint.run()
    if settings["loss"]:
        result |= {"packets": loss.passed + loss.lost, "packets_lost": loss.lost}
    # The clock of the pipeline is the monotonic one, so that is when the camera would have delivered frame 0.
    return result | {"frames": list(coded), "origin": endpoint.pipeline.get_base_time()}


# --- receiver ---

def receiver_line(settings):
    codec = CODECS[settings["codec"]]
    port, feedback = settings["port"], settings["port"] + 3 if settings["feedback"] else 9      # 9: the port that discards
    caps = f"application/x-rtp,media=video,clock-rate={CLOCK_RATE},encoding-name={codec.encoding_name},payload=96,rtcp-fb-nack-pli=true"
    return f"""rtpsession name=rtp rtp-profile=avpf
        udpsrc port={port} buffer-size=1000000 caps="{caps}" ! rtp.recv_rtp_sink
        rtp.recv_rtp_src ! rtprtxreceive payload-type-map=application/x-rtp-pt-map,96=(uint)97 ! rtpssrcdemux !
        rtpjitterbuffer do-lost=true latency={settings['latency']} do-retransmission={settings['retransmission']} ! rtpptdemux !
        identity name=packets ! {codec.depayloader} ! identity name=received ! {codec.decoder} !
        videoconvert ! video/x-raw,format=I420 ! fakesink name=sink sync=true
        udpsrc port={port + 1} ! rtp.recv_rtcp_sink
        rtp.send_rtcp_src ! udpsink host={settings['sender']} port={feedback} sync=false async=false"""


class Numbers:
    """The number of a frame by its time: that of the packets which the jitter buffer gave the same or nearly the same one."""

    def __init__(self, rate):
        self.rate, self.first, self.times, self.numbers = rate, None, [], []

    def add(self, packet):
        number = round(int.from_bytes(packet.extract_dup(4, 4), "big") * self.rate / CLOCK_RATE)
        if self.numbers and number == self.numbers[-1]:
            return
        self.times.append(packet.pts)
        self.numbers.append(number)
        if self.first is None:
            self.first = number
        if len(self.times) > 1000:
            del self.times[:500], self.numbers[:500]

    def __call__(self, pts):
        after = bisect.bisect(self.times, pts)
        near = [index for index in (after - 1, after) if 0 <= index < len(self.times)]
        return self.numbers[min(near, key=lambda index: abs(self.times[index] - pts))]


def shown_quality(shown, clip, count):
    """PSNR against frame n of the newest picture that is not newer than n, for every n from the first picture on."""
    result, next_one, current = [], 0, None
    for number in range(shown[0]["frame"] if shown else count, count):
        while next_one < len(shown) and shown[next_one]["frame"] <= number:
            current, next_one = shown[next_one]["pixels"], next_one + 1
        result.append(psnr(current, clip.frame(number), clip))
    return result


class Playback:
    """Whether pictures keep coming: what is kept however long that goes on."""

    def __init__(self):
        self.last = None
        self.summary = {"pictures": 0, "corrupted": 0, "longest_gap": 0, "stalls": []}    # stalls: [seconds, frames that never came]

    def add(self, number, at, corrupted):
        self.summary["pictures"] += 1
        self.summary["corrupted"] += corrupted
        if self.last:
            gap = (at - self.last[1]) / 1e9
            self.summary["longest_gap"] = max(self.summary["longest_gap"], gap)
            if gap >= STALL:
                self.summary["stalls"].append([gap, number - self.last[0] - 1])
        self.last = number, at


def receive(settings):
    endpoint = Endpoint(receiver_line(settings))
    clip = open_clip(settings["clips"][0])
    numbers, shown, received, playback = Numbers(clip.rate), deque(maxlen=settings["keep"]), {}, Playback()

    def on_shown(buffer):
        number = numbers(buffer.pts)
        endpoint.on_frame()
        playback.add(number, time.monotonic_ns(), buffer.has_flags(Gst.BufferFlags.CORRUPTED))
        shown.append({"frame": number, "at": time.monotonic_ns(), "received_at": received.pop(buffer.pts, None),
                      "corrupted": buffer.has_flags(Gst.BufferFlags.CORRUPTED), "pixels": pixels(buffer) if settings["quality"] else None})
        if len(received) > 100:
            received.clear()        # of frames that never came out

    endpoint.probe("packets", "src", numbers.add)
    endpoint.probe("received", "src", lambda buffer: received.update({buffer.pts: time.monotonic_ns()}))
    endpoint.probe("sink", "sink", on_shown)
    result = endpoint.run() | {"first_packet": numbers.first, "playback": playback.summary}
    if settings["quality"]:
        result["psnr"] = shown_quality(list(shown), clip, settings["count"])
    for picture in shown:
        del picture["pixels"]
    return result | {"shown": list(shown)}


def main():
    settings = json.load(sys.stdin)
    use_build(settings["build"])
    json.dump({"send": send, "receive": receive}[sys.argv[1]](settings), sys.stdout)


if __name__ == "__main__":
    main()
