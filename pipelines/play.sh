#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Shows a file with M2T video (.m2tv, .mp4, .mov) in a window.
#
# Usage: pipelines/play.sh [--sink SINK] FILE
#
#   --sink SINK   a GStreamer video sink (default: autovideosink, a window)
set -eu
# shellcheck source=pipelines/common.sh
. "$(dirname "$0")/common.sh"

read_options "sink" "$@"
[ ${#arguments[@]} = 1 ] || die "one FILE is needed; see --help"
check_sink
find_plugin
exec gst-launch-1.0 -q filesrc "location=${arguments[0]}" ! decodebin ! videoconvert ! "$sink"
