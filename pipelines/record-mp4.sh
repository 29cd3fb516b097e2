#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Records a camera to an MP4 file until Ctrl-C, or for a number of frames.
#
# Usage: pipelines/record-mp4.sh [OPTION...] OUT.mp4
#
#   --source SOURCE      a camera (default: /dev/video0), a file, or "test" for a test picture
#   --size WxH           size of the picture (default: 640x360)
#   --framerate N        frames per second at most (default: 30)
#   --bitrate KBIT       kbit/s on average; not given: constant quality
#   --quantizer N        the quality without --bitrate, 0 (finest) to 63 (default: 32)
#   --model MODEL        name or path (default: standard)
#   --frames N           stop after so many
#
# Frames that come while the encoder is busy are dropped, so that the recording keeps up with the camera. OUT may also end in .mov or .m2tv.
set -eu
# shellcheck source=pipelines/common.sh
. "$(dirname "$0")/common.sh"

quantizer=32 frames=-1 bitrate='' model=standard
read_options "$source_options bitrate quantizer model frames" "$@"
[ ${#arguments[@]} = 1 ] || die "one OUT.mp4 is needed; see --help"
check_quantizer --quantizer "$quantizer"
rate=("quantizer=$quantizer")
[ -z "$bitrate" ] || { check_bitrate && rate=(rate-control=vbr "bitrate=$bitrate"); }
[ "$frames" = -1 ] || check_numbers frames
find_plugin
live_source
coded_file "${arguments[0]}"
exec gst-launch-1.0 -q -e "${raw[@]}" ! identity "eos-after=$frames" ! m2tenc "model-file=$model" "${rate[@]}" ! "${file[@]}"
