#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Codes the video of any file that GStreamer decodes as an M2T stream.
#
# Usage: pipelines/transcode.sh IN OUT [QUANTIZER]
#
#   OUT         a name that ends in .m2tv (byte stream), .mp4 or .mov
#   QUANTIZER   0 (finest) to 63, default 32
set -eu
# shellcheck source=pipelines/common.sh
. "$(dirname "$0")/common.sh"

case ${1:-} in
--help | -h) print_help && exit ;;
esac
case $# in 2 | 3) ;; *) die "usage: $0 IN OUT [QUANTIZER]" ;; esac
case $2 in
*.m2tv) set -- "$1" "$2" "${3:-32}" ;;
*.mp4) set -- "$1" "$2" "${3:-32}" mp4mux ! ;;
*.mov) set -- "$1" "$2" "${3:-32}" qtmux ! ;;
*) die "$2: the name must end in .m2tv, .mp4 or .mov" ;;
esac
find_plugin
in=$1 out=$2 quantizer=$3
shift 3
exec gst-launch-1.0 -q filesrc "location=$in" ! decodebin ! videoconvert ! m2tenc "quantizer=$quantizer" ! "$@" filesink "location=$out"
