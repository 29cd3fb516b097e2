#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The scripts in pipelines/, run as a user would, and short runs of those in bench/network/. Prints TAP.
#
# Usage: tests/pipelines.sh BUILD OUTPUT
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$2"
build=$(cd "$1" && pwd) output=$(cd "$2" && pwd)
export M2T_BUILD=$build GST_REGISTRY=$output/registry.bin
unset DISPLAY WAYLAND_DISPLAY
count=0 failed=0

try() { # DESCRIPTION COMMAND...
    local description=$1
    shift
    count=$((count + 1))
    if "$@" >"$output/$count.log" 2>&1 </dev/null; then
        echo "ok $count - $description"
    else
        echo "not ok $count - $description"
        sed 's/^/# /' "$output/$count.log"
        failed=$((failed + 1))
    fi
}

has_frames() { # FILE.m2tv NUMBER
    "$build/tools/m2t" info "$1" | grep -q "^  frames  *$2,"
}

demo_is_complete() {
    has_frames "$output/demo/demo.m2tv" 80 && [ -s "$output/demo/side-by-side.png" ] && grep -q '^  PSNR  *Y [3-5][0-9]\.[0-9][0-9] dB, U [3-5]' "$output/1.log"
}

run() {
    (cd "$top" && "$@")
}

# for_seconds SECONDS SCRIPT...: as a user would who then presses Ctrl-C.
for_seconds() {
    timeout --foreground --preserve-status -k 20 -s INT "$1" "$top/pipelines/$2" "${@:3}"
}

# while_runs "SCRIPT..." COMMAND...: the first goes on until the second ends; both must succeed.
while_runs() {
    local status=0 other words
    read -ra words <<<"$1"
    timeout --foreground --preserve-status -k 20 -s INT 60 "$top/pipelines/${words[0]}" "${words[@]:1}" &
    other=$!
    sleep 2
    "${@:2}" || status=1
    kill -INT $other
    wait $other && return $status
}

# Now and then rtspsrc (GStreamer 1.22) finds the connection closed when it wants to end it, and says so; the file is complete then.
receives_by_rtsp() { # FILE.mp4
    for_seconds 6 receive.sh --output "$1" rtsp://127.0.0.1:8554/live || plays "$1"
}

has_some_frames() { # FILE.m2tv
    [ "$("$build/tools/m2t" info "$1" | sed -n 's/^  frames *\([0-9]*\),.*/\1/p')" -ge 10 ]
}

plays() { # FILE
    run pipelines/play.sh --sink fakesink "$1"
}

says() { # TEXT SCRIPT...: which fails
    ! "$top/pipelines/$2" "${@:3}" >"$output/says.log" 2>&1 </dev/null && grep -qF -- "$1" "$output/says.log"
}

# The byte stream, cut as the transport likes: over SENDER-ELEMENT RECEIVER-ELEMENT FILE.m2tv
over() {
    local sender
    export GST_PLUGIN_PATH=$build/plugin M2T_MODEL_PATH=$top/models
    # shellcheck disable=SC2086 # elements with properties
    {
        timeout 30 gst-launch-1.0 -q videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=180,framerate=10/1 ! \
            m2tenc model-file=live tune=zerolatency key-int-max=10 ! video/x-m2t,stream-format=byte-stream ! $1 &
        sender=$!
        sleep 2
        timeout -s INT -k 20 6 gst-launch-1.0 -q -e $2 ! m2tparse ! filesink "location=$3" buffer-mode=unbuffered # srtsrc may end without EOS
    }
    kill $sender
    wait $sender
    has_some_frames "$3"
}

clip=$top/pipelines/media/signing_webcam.mp4
small="--size 320x180 --framerate 10"
camera="--source test $small"

try "demo.sh runs" run pipelines/demo.sh --no-install --build "$build" --output "$output/demo"
try "demo.sh: 80 frames, a picture, a PSNR" demo_is_complete
try "transcode.sh to .m2tv" run pipelines/transcode.sh --quantizer 40 "$clip" "$output/clip.m2tv"
try "transcode.sh: 80 frames" has_frames "$output/clip.m2tv" 80
try "transcode.sh to a bit rate" run pipelines/transcode.sh --model live --bitrate 1500 "$clip" "$output/rate.mov"
try "play.sh finds its way through a .m2tv file" plays "$output/clip.m2tv"
# shellcheck disable=SC2086 # lists of words
{
    try "record-mp4.sh, ten frames" timeout 60 "$top/pipelines/record-mp4.sh" $camera --frames 10 "$output/record.mp4"
    try "play.sh plays the recording" plays "$output/record.mp4"
    try "record-mp4.sh until Ctrl-C" for_seconds 4 record-mp4.sh $camera --model live --bitrate 500 "$output/record-2.mp4"
    try "play.sh plays that, too" plays "$output/record-2.mp4"
    try "webcam.sh" for_seconds 5 webcam.sh $camera --sink fakesink
    try "send.sh to receive.sh, into a file" while_runs "send.sh $camera" for_seconds 5 receive.sh --output "$output/received.m2tv"
    try "receive.sh: frames" has_some_frames "$output/received.m2tv"
    try "send.sh of a file to receive.sh with retransmission" while_runs "receive.sh --retransmission --sink fakesink --port 5014" \
        for_seconds 10 send.sh --source "$clip" $small --port 5014
    try "rtsp-server.sh to receive.sh" while_runs "rtsp-server.sh $camera" receives_by_rtsp "$output/rtsp.mp4"
    try "receive.sh: frames by RTSP" plays "$output/rtsp.mp4"
    try "compare.sh into a file" run pipelines/compare.sh --source "$clip" $small --bitrate 300 --output "$output/compare.mp4"
    try "compare.sh: video" [ -s "$output/compare.mp4" ]
    try "compare.sh with key frames only, to a sink" for_seconds 5 compare.sh $camera --intra --sink fakesink
}
try "over SRT" over "srtsink uri=srt://127.0.0.1:7001?mode=listener latency=60" "srtsrc uri=srt://127.0.0.1:7001 latency=60" "$output/srt.m2tv"
try "over TCP, to one who comes late" over "tcpserversink host=0.0.0.0 port=7002 sync-method=latest-keyframe" "tcpclientsrc host=127.0.0.1 port=7002" "$output/tcp.m2tv"
try "transcode.sh refuses an unknown container" says "must end in .m2tv, .mp4 or .mov" transcode.sh "$output/clip.m2tv" "$output/clip.avi"
try "send.sh names a camera that is missing" says "/dev/none: there is no such camera" send.sh --source /dev/none
try "send.sh names a file that is missing" says "none.mp4: there is no such file" send.sh --source none.mp4
try "send.sh refuses a size" says '--size: "small" is not WIDTHxHEIGHT' send.sh --source test --size small
try "send.sh refuses a bit rate" says '--bitrate: "1M" is not a number above 0' send.sh --source test --bitrate 1M
try "send.sh refuses too high a bit rate" says '--bitrate: "3000000" is more than 2000000' send.sh --source test --bitrate 3000000
try "transcode.sh refuses a quantizer" says '--quantizer: "99" is not a whole number from 0 to 63' transcode.sh --quantizer 99 "$output/clip.m2tv" "$output/q.mp4"
try "demo.sh refuses a quantizer" says 'QUANTIZER: "64" is not a whole number from 0 to 63' demo.sh 64 --no-install
try "send.sh refuses an unknown option" says "there is no option --colour" send.sh --colour green
try "receive.sh says that there is no display" says "there is no display" receive.sh
try "receive.sh refuses other protocols" says "is not rtsp://" receive.sh --sink fakesink http://127.0.0.1/
try "bench/network/cbr.py" run bench/network/cbr.py --build "$build" --size 160x96 --seconds 1 --bitrate 200 --out "$output/cbr.json" "$clip"
try "bench/network/loss.py" run bench/network/loss.py --build "$build" --size 160x96 --rate 5 --seconds 2 --bitrate 100 --loss 0.05 \
    --out "$output/loss.json" "$clip"
for script in "$top"/pipelines/*.sh; do
    [ -x "$script" ] && try "$(basename "$script") --help" "$script" --help
done
echo "1..$count"
[ $failed = 0 ]
