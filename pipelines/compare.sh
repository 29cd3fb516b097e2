#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Shows a video coded by m2tenc (left) and by x264enc (right) at the same constant bit rate.
#
# Usage: pipelines/compare.sh [OPTION...]
#
#   --source SOURCE    a camera (default: /dev/video0), a file, or "test" for a test picture
#   --size WxH         size of either picture (default: 640x360)
#   --framerate N      frames per second (default: 30)
#   --bitrate KBIT     of either encoder, in kbit/s (default: 1000)
#   --model MODEL      name or path (default: live)
#   --intra            x264enc codes key frames only; otherwise it predicts from the frames before, and one in 250 is a key frame
#   --sink SINK        a GStreamer video sink (default: autovideosink, a window)
#   --output FILE      write both pictures to FILE (.y4m, or .mp4 in H.264 of high quality) instead of showing them
#
# Both encoders work without delay (tune=zerolatency) and with a VBV buffer of half a second. A file is coded frame by frame however long that
# takes; from a camera, frames are dropped while an encoder is busy.
set -eu
# shellcheck source=pipelines/common.sh
. "$(dirname "$0")/common.sh"

intra=no output=''
read_options "$source_options $encoder_options intra! sink output" "$@"
[ ${#arguments[@]} = 0 ] || die "there is no argument ${arguments[0]}; see --help"
case $output in
'') end=("$sink") ;;
*.y4m) end=(y4menc ! filesink "location=$output") ;;
*.mp4) end=(x264enc pass=qual quantizer=12 ! mp4mux ! filesink "location=$output") ;;
*) die "$output: the name must end in .y4m or .mp4" ;;
esac
[ -n "$output" ] || check_sink
find_plugin
need_elements gstreamer1.0-plugins-ugly x264enc
need_elements gstreamer1.0-libav avdec_h264
if [ -f "$source" ]; then video_source; else live_source; fi
live_encoder
interval=250 prediction='with prediction from frames before'
[ $intra = no ] || { interval=1 && prediction='key frames only'; }
label() {
    echo "text=$1, $bitrate kbit/s"
}
exec gst-launch-1.0 -q -e \
    compositor name=both background=black sink_1::xpos="${size%x*}" ! videoconvert ! "${end[@]}" \
    "${raw[@]}" ! tee name=source \
    source. ! queue ! "${encoder[@]}" vbv-buf-capacity=500 ! m2tdec ! videoconvert ! \
    textoverlay "$(label "m2tenc $model")" valignment=top ! both.sink_0 \
    source. ! queue ! x264enc tune=zerolatency speed-preset=medium "bitrate=$bitrate" vbv-buf-capacity=500 "key-int-max=$interval" ! \
    avdec_h264 ! videoconvert ! textoverlay "$(label "x264enc, $prediction")" valignment=top ! both.sink_1
