#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Serves a pipeline by RTSP: rtsp-server.py PORT PATH ELEMENT...

The elements are written as for gst-launch-1.0, and a payloader among them is named pay0. Needs Debian's packages python3-gi and
gir1.2-gst-rtsp-server-1.0.
"""
import signal
import sys

try:
    import gi
    for module in ("Gst", "GstRtsp", "GstRtspServer"):
        gi.require_version(module, "1.0")
    from gi.repository import GLib, Gst, GstRtsp, GstRtspServer
except (ImportError, ValueError) as error:
    sys.exit(f"rtsp-server.py: {error}; install the packages python3-gi and gir1.2-gst-rtsp-server-1.0")


def main():
    port, path, *elements = sys.argv[1:]
    Gst.init(None)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch("( " + " ".join(element.replace(" ", "\\ ") for element in elements) + " )")
    factory.set_shared(True)
    factory.set_profiles(GstRtsp.RTSPProfile.AVP | GstRtsp.RTSPProfile.AVPF)   # AVPF: receivers may ask for key frames and for lost packets
    factory.set_retransmission_time(Gst.SECOND)
    server = GstRtspServer.RTSPServer()
    server.set_service(port)
    server.get_mount_points().add_factory(path, factory)
    loop = GLib.MainLoop()
    if not server.attach(None):
        sys.exit(f"rtsp-server.py: port {port} is not free")
    for number in (signal.SIGINT, signal.SIGTERM):
        GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, number, loop.quit)
    print(f"rtsp://127.0.0.1:{port}{path}", flush=True)
    loop.run()


if __name__ == "__main__":
    main()
