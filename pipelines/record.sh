#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Records a camera to an MP4 file until Ctrl-C, or for a number of frames.
#
# Usage: pipelines/record.sh OUT.mp4 [SOURCE [QUANTIZER [FRAMES]]]
#
#   SOURCE      a Video4Linux device, default /dev/video0, or "test" for a test picture
#   QUANTIZER   0 (finest) to 63, default 32
#   FRAMES      stop after so many, default -1: never
#
# Frames that come while the encoder is busy are dropped, so that the recording keeps up with the camera.
set -eu
# shellcheck source=pipelines/common.sh
. "$(dirname "$0")/common.sh"

case ${1:-} in
--help | -h) print_help && exit ;;
esac
case $# in [1-4]) ;; *) die "usage: $0 OUT.mp4 [SOURCE [QUANTIZER [FRAMES]]]" ;; esac
find_plugin
out=$1 source=${2:-/dev/video0} quantizer=${3:-32} frames=${4:--1}
case $source in
test) set -- videotestsrc is-live=true "num-buffers=$frames" ! video/x-raw,width=320,height=240,framerate=10/1 ;;
*) set -- v4l2src "device=$source" "num-buffers=$frames" ;;
esac
exec gst-launch-1.0 -q -e "$@" ! videoconvert ! queue leaky=downstream max-size-buffers=2 ! m2tenc "quantizer=$quantizer" ! mp4mux ! \
    filesink "location=$out"
