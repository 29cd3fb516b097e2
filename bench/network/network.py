# SPDX-License-Identifier: LGPL-2.1-or-later
"""A sender and a receiver with a network between them.

With the rights for it (root), each is in a network namespace of its own, joined by a veth pair; otherwise both use the loopback device. Packets from sender
to receiver are lost by tc netem where the kernel has it, otherwise by the sender itself, just before the socket. Either way each packet is lost with the
same probability, or in bursts of a given mean length (Gilbert model). What the receiver sends back is not lost.
"""
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ADDRESS = {"sender": "10.77.0.1", "receiver": "10.77.0.2"}


def ip(*arguments):
    return subprocess.run(["ip", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


class Network:
    """Use as a context. @description says what it is made of."""

    def __enter__(self):
        self.processes = []
        self.names = {end: f"m2t-{end}-{os.getpid()}" for end in ADDRESS}
        self.namespaces = os.access("/run", os.W_OK) and self.add_namespaces()
        self.netem = self.namespaces and self.set_netem("loss", "random", "0%")
        self.description = ("two network namespaces" if self.namespaces else "loopback") + ", loss by " + ("tc netem" if self.netem else "the sender itself")
        return self

    def __exit__(self, *_):
        for process in self.processes:
            if process.poll() is None:      # the other end failed
                process.kill()              # and not terminate(): it would write a result that nobody reads
                process.wait()
        for name in self.names.values():
            ip("netns", "delete", name)     # and the veth pair with it

    def add_namespaces(self):
        sender, receiver = self.names.values()
        made = ip("netns", "add", sender) and ip("netns", "add", receiver) and \
            ip("-n", sender, "link", "add", "m2t0", "type", "veth", "peer", "name", "m2t0", "netns", receiver)
        return made and all(ip("-n", self.names[end], "address", "add", f"{address}/24", "dev", "m2t0") and
                            ip("-n", self.names[end], "link", "set", "m2t0", "up") for end, address in ADDRESS.items())

    def set_netem(self, *arguments):
        return ip("netns", "exec", self.names["sender"], "tc", "qdisc", "replace", "dev", "m2t0", "root", "netem", *arguments)

    def address(self, end):
        return ADDRESS[end] if self.namespaces else "127.0.0.1"

    def set_loss(self, loss):
        """@loss: {"rate", "burst", "seed"} or None. What the sender has to lose itself."""
        if not self.netem:
            return loss
        rate, burst = (loss["rate"], loss["burst"]) if loss else (0, 1)
        if burst > 1:
            self.set_netem("loss", "gemodel", f"{100 * rate / burst / (1 - rate):.4f}%", f"{100 / burst:.4f}%", "100%", "0%")
        else:
            self.set_netem("loss", "random", f"{100 * rate:.4f}%")
        return None

    def start(self, end, role, settings):
        """An endpoint as a process. The standard output is its result."""
        prefix = ["ip", "netns", "exec", self.names[end]] if self.namespaces else []
        process = subprocess.Popen([*prefix, sys.executable, str(HERE / "endpoint.py"), role], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        process.stdin.write(json.dumps(settings))
        process.stdin.close()
        return process


def finish(process):
    result = process.stdout.read()
    if process.wait():
        sys.exit(f"the endpoint ended with status {process.returncode}")
    return json.loads(result)


def stop(process):
    process.terminate()
    return finish(process)


@contextlib.contextmanager
def saved(clips):
    """Where both ends find the frames: settings for them, valid within the context."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        settings = []
        for index, clip in enumerate(clips):
            clip.frames.tofile(file := f"{folder}/{index}.i420")
            settings.append({"file": file, "name": clip.name, "width": clip.width, "height": clip.height, "rate": clip.rate})
        yield settings


def settings_of(args, network, clips, codec, count, **more):
    """The settings of both ends, with what most measurements want as defaults."""
    settings = {"build": args.build, "model": args.model, "clips": clips, "codec": codec, "count": count, "bitrate": args.bitrate, "encoder": "",
                "port": 5104, "host": network.address("receiver"), "sender": network.address("sender"), "loss": None, "changes": {},
                "latency": 100, "retransmission": False, "feedback": True, "quality": False,
                "keep": None}     # how many of the last frames to report on; None: all
    return settings | more


def stream(network, settings):
    """Runs both ends until all is sent. Returns (what the sender saw, what the receiver saw)."""
    settings = settings | {"loss": network.set_loss(settings["loss"])}
    receiver = network.start("receiver", "receive", settings)
    time.sleep(1.5)     # until it listens
    sent = finish(network.start("sender", "send", settings))
    time.sleep(2)       # until the last frames are shown
    received = stop(receiver)
    for end, result in (("sender", sent), ("receiver", received)):
        if result["error"]:
            sys.exit(f"the {end} stopped: {result['error']}")
    return sent, received
