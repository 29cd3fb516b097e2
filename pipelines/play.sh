#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Shows a file with M2T video (.m2tv, .mp4, .mov) in a window.
#
# Usage: pipelines/play.sh FILE [SINK]
#
#   SINK   a GStreamer video sink, default autovideosink
set -eu
# shellcheck source=pipelines/common.sh
. "$(dirname "$0")/common.sh"

case ${1:-} in
--help | -h) print_help && exit ;;
esac
case $# in 1 | 2) ;; *) die "usage: $0 FILE [SINK]" ;; esac
find_plugin
exec gst-launch-1.0 -q filesrc "location=$1" ! decodebin ! videoconvert ! "${2:-autovideosink}"
