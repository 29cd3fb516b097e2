#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Sends a camera over the network by RTP, for receive.sh, until Ctrl-C.
#
# Usage: pipelines/send.sh [OPTION...] [HOST]
#
#   HOST               where to; a multicast group is fine (default: 127.0.0.1)
#   --port PORT        UDP port for RTP; PORT+1 is for RTCP, and at PORT+3 the receiver's RTCP is awaited (default: 5004)
#   --source SOURCE    a camera (default: /dev/video0), a file, or "test" for a test picture
#   --size WxH         size of the picture (default: 640x360)
#   --framerate N      frames per second at most (default: 30)
#   --bitrate KBIT     constant bit rate in kbit/s, without the headers of the packets (default: 1000)
#   --model MODEL      name or path (default: live)
#
# A picture is coded in three slices, so that a lost packet costs a third of it at most. The receiver may ask for a key frame (RTCP PLI),
# which it does when it joins and after loss, and for lost packets (RTCP NACK), which are kept for a second and sent again with payload
# type 97.
set -eu
# shellcheck source=pipelines/common.sh
. "$(dirname "$0")/common.sh"

port=5004
read_options "$source_options $encoder_options port" "$@"
[ ${#arguments[@]} -le 1 ] || die "one HOST is enough; see --help"
host=${arguments[0]:-127.0.0.1}
check_numbers port
at_most port 65532 # and PORT+3 is one, too
find_plugin
live_source
live_encoder
# Without -e: rtpbin 1.22 often never passes on the EOS that this would send.
exec gst-launch-1.0 -q rtpbin name=rtp rtp-profile=avpf \
    "${raw[@]}" ! "${encoder[@]}" slices=3 ! rtpm2tpay pt=96 ! \
    rtprtxsend "payload-type-map=application/x-rtp-pt-map,96=(uint)97" max-size-time=1000 max-size-packets=0 ! rtp.send_rtp_sink_0 \
    rtp.send_rtp_src_0 ! udpsink "host=$host" "port=$port" sync=false async=false \
    rtp.send_rtcp_src_0 ! udpsink "host=$host" "port=$((port + 1))" sync=false async=false \
    udpsrc "port=$((port + 3))" ! rtp.recv_rtcp_sink_0
