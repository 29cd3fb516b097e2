#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Codes the video of any file that GStreamer decodes as an M2T stream. Sound is left out.
#
# Usage: pipelines/transcode.sh [OPTION...] IN OUT
#
#   OUT              a name that ends in .m2tv (byte stream), .mp4 or .mov
#   --quantizer N    constant quality, 0 (finest) to 63 (default: 32)
#   --bitrate KBIT   instead of that, kbit/s on average
#   --model MODEL    name or path (default: standard)
set -eu
# shellcheck source=pipelines/common.sh
. "$(dirname "$0")/common.sh"

quantizer=32 bitrate='' model=standard
read_options "quantizer bitrate model" "$@"
[ ${#arguments[@]} = 2 ] || die "IN and OUT are needed; see --help"
[ -r "${arguments[0]}" ] || die "${arguments[0]}: there is no such file"
check_quantizer --quantizer "$quantizer"
rate=("quantizer=$quantizer")
[ -z "$bitrate" ] || { check_bitrate && rate=(rate-control=vbr "bitrate=$bitrate"); }
coded_file "${arguments[1]}"
find_plugin
exec gst-launch-1.0 -q filesrc "location=${arguments[0]}" ! decodebin ! videoconvert ! m2tenc "model-file=$model" "${rate[@]}" ! "${file[@]}"
