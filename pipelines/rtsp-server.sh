#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Serves a camera by RTSP, for receive.sh or any player with the plugin, until Ctrl-C.
#
# Usage: pipelines/rtsp-server.sh [OPTION...]
#
#   --port PORT        TCP port of the server; the URL is rtsp://HOST:PORT/live (default: 8554)
#   --source SOURCE    a camera (default: /dev/video0), a file, or "test" for a test picture
#   --size WxH         size of the picture (default: 640x360)
#   --framerate N      frames per second at most (default: 30)
#   --bitrate KBIT     constant bit rate in kbit/s (default: 1000)
#   --model MODEL      name or path (default: live)
#
# The camera runs while somebody watches, and is coded once for all who do.
set -eu
# shellcheck source=pipelines/common.sh
. "$(dirname "$0")/common.sh"

port=8554
read_options "$source_options $encoder_options port" "$@"
[ ${#arguments[@]} = 0 ] || die "there is no argument ${arguments[0]}; see --help"
check_numbers port
at_most port 65535
find_plugin
live_source
live_encoder
PATH=/usr/bin:$PATH # Debian's python3: another one would not find Debian's modules
exec "$top/pipelines/rtsp-server.py" "$port" /live "${raw[@]}" ! "${encoder[@]}" slices=3 ! rtpm2tpay name=pay0 pt=96
