#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Shows a camera in a window as it looks after coding and decoding, with the number of frames per second, until Ctrl-C.
#
# Usage: pipelines/webcam.sh [OPTION...]
#
#   --source SOURCE    a camera (default: /dev/video0), a file, or "test" for a test picture
#   --size WxH         size of the picture (default: 640x360)
#   --framerate N      frames per second at most (default: 30)
#   --bitrate KBIT     constant bit rate in kbit/s (default: 1000)
#   --model MODEL      name or path (default: live)
#   --sink SINK        a GStreamer video sink (default: autovideosink, a window)
set -eu
# shellcheck source=pipelines/common.sh
. "$(dirname "$0")/common.sh"

read_options "$source_options $encoder_options sink" "$@"
[ ${#arguments[@]} = 0 ] || die "there is no argument ${arguments[0]}; see --help"
check_sink
find_plugin
need_elements gstreamer1.0-plugins-bad fpsdisplaysink
live_source
live_encoder
exec gst-launch-1.0 -q "${raw[@]}" ! "${encoder[@]}" ! queue ! m2tdec ! videoconvert ! fpsdisplaysink "video-sink=$sink"
