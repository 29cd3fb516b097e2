#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Shows or records what send.sh or rtsp-server.sh sends, until Ctrl-C.
#
# Usage: pipelines/receive.sh [OPTION...] [rtsp://HOST:PORT/PATH]
#
#   --port PORT        UDP port for RTP; PORT+1 is for RTCP (default: 5004)
#   --sender HOST      where the sender is: reports, and requests for key frames and lost packets, go to its port PORT+3
#                      (default: 127.0.0.1)
#   --group ADDRESS    join this multicast group
#   --latency MS       how long to wait for packets that are late or sent again (default: 100)
#   --retransmission   ask for lost packets again; worth it if --latency is more than two round trips
#   --sink SINK        a GStreamer video sink (default: autovideosink, a window)
#   --output FILE      store the stream in FILE (.mp4, .mov or .m2tv) as it comes, instead of showing it
#
# With a URL the server says all the rest: only --latency, --sink and --output have a meaning.
set -eu
# shellcheck source=pipelines/common.sh
. "$(dirname "$0")/common.sh"

port=5004 sender=127.0.0.1 group=0.0.0.0 latency=100 retransmission=no output=''
read_options "port sender group latency retransmission! sink output" "$@"
[ ${#arguments[@]} -le 1 ] || die "one URL is enough; see --help"
check_numbers port
at_most port 65532 # and PORT+3 is one, too
[[ $latency =~ ^(0|[1-9][0-9]*)$ ]] || die "--latency: \"$latency\" is not a whole number"
at_most latency 4294967295
find_plugin
if [ -n "$output" ]; then
    coded_file "$output"
    end=(m2tparse ! "${file[@]}")
    launch=(gst-launch-1.0 -q -e)
else
    check_sink
    end=(m2tdec ! videoconvert ! "$sink")
    launch=(gst-launch-1.0 -q)
fi

url=${arguments[0]:-}
case $url in
'') ;;
rtsp://*) exec "${launch[@]}" rtspsrc "location=$url" "latency=$latency" ! rtpm2tdepay request-keyframe=true ! "${end[@]}" ;;
*) die "$url: is not rtsp://HOST:PORT/PATH" ;;
esac

# The parts of an rtpbin: rtprtxreceive, which puts what is sent again in its place, has to stand between two of them.
exec "${launch[@]}" rtpsession name=rtp rtp-profile=avpf \
    udpsrc "address=$group" "port=$port" buffer-size=1000000 \
    caps="application/x-rtp,media=video,clock-rate=90000,encoding-name=M2T,payload=96,rtcp-fb-nack-pli=true" ! rtp.recv_rtp_sink \
    rtp.recv_rtp_src ! rtprtxreceive "payload-type-map=application/x-rtp-pt-map,96=(uint)97" ! rtpssrcdemux ! \
    rtpjitterbuffer do-lost=true "latency=$latency" "do-retransmission=$retransmission" ! rtpptdemux ! \
    rtpm2tdepay request-keyframe=true ! "${end[@]}" \
    udpsrc "address=$group" "port=$((port + 1))" ! rtp.recv_rtcp_sink \
    rtp.send_rtcp_src ! udpsink "host=$sender" "port=$((port + 3))" sync=false async=false
