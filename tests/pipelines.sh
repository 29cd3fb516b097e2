#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The scripts in pipelines/, run as a user would, and short runs of those in bench/network/. Prints TAP.
#
# Usage: tests/pipelines.sh BUILD WORK
#
# What the scripts write is in WORK/pipelines, which is removed first.
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/tap.sh
. "$top/tests/tap.sh"
build=$(cd "$1" && pwd) || exit 1
rm -rf "${2:?}/pipelines"
mkdir -p "$2/pipelines"
output=$(cd "$2/pipelines" && pwd) || exit 1
logs=$output
export M2T_BUILD=$build GST_REGISTRY=$output/registry.bin
unset DISPLAY WAYLAND_DISPLAY

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

# start SCRIPT...: in the background; $! is for stop.
start() {
    timeout --foreground --preserve-status -k 20 -s INT 100 "$top/pipelines/$1" "${@:2}" &
}

# stop PROCESS: Ctrl-C; returns the exit status.
stop() {
    kill -INT "$1"
    wait "$1"
}

# soon COMMAND...: it succeeds within half a minute.
soon() {
    local i
    for ((i = 0; i < 100; i++)); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.3
    done
    echo "not within 30 seconds: $*"
    return 1
}

listens() { # PORT, of TCP or UDP
    ss -Hlntu "sport = :$1" | grep -q .
}

# At least ten. Of an MP4 file that is being written only the size is known: here, 64 KB are some 20 frames.
has_some_frames() { # FILE
    case $1 in
    *.m2tv) [ "$("$build/tools/m2t" info "$1" | sed -n 's/^  frames *\([0-9]*\),.*/\1/p')" -ge 10 ] ;;
    *) [ "$(stat -c %s "$1")" -ge 60000 ] ;;
    esac
}

plays() { # FILE
    run pipelines/play.sh --sink fakesink "$1"
}

# together FILE PORT FIRST... -- SECOND...: two scripts, the second when the first listens, until FILE has frames; both must succeed.
together() {
    local file=$1 port=$2 first=() status=0 one other
    shift 2
    while [ "$1" != -- ]; do
        first+=("$1")
        shift
    done
    shift
    start "${first[@]}"
    one=$!
    soon listens "$port" || status=1
    start "$@"
    other=$!
    soon has_some_frames "$file" || status=1
    # Now and then rtspsrc (GStreamer 1.22) finds the connection closed when it wants to end it, and says so; the file is complete then.
    stop $other || { [[ $* = *rtsp://* ]] && plays "$file"; } || status=1
    stop $one || status=1
    return $status
}

# shows DIRECTORY SCRIPT...: one that shows frames delivers ten.
shows() {
    local script status=0
    mkdir "$1"
    cd "$1" || return 1
    start "${@:2}" --sink multifilesink # a file for each frame: 00000, 00001, ...
    script=$!
    cd "$top" || return 1
    soon [ -e "$1/00009" ] || status=1
    stop $script || status=1
    return $status
}

says() { # TEXT SCRIPT...: which fails
    ! "$top/pipelines/$2" "${@:3}" >"$output/says.log" 2>&1 </dev/null && grep -qF -- "$1" "$output/says.log"
}

# The byte stream, cut as the transport likes: over PORT SENDER-ELEMENT RECEIVER-ELEMENT FILE.m2tv
over() {
    local sender receiver status
    export GST_PLUGIN_PATH=$build/plugin M2T_MODEL_PATH=$top/models
    # shellcheck disable=SC2086 # elements with properties
    {
        timeout 100 gst-launch-1.0 -q videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=180,framerate=10/1 ! \
            m2tenc model-file=live tune=zerolatency key-int-max=10 ! video/x-m2t,stream-format=byte-stream ! $2 &
        sender=$!
        soon listens "$1"
        timeout -k 20 60 gst-launch-1.0 -q $3 ! m2tparse ! filesink "location=$4" buffer-mode=unbuffered &
        receiver=$!
    }
    soon has_some_frames "$4"
    status=$?
    kill $receiver $sender
    wait $receiver $sender
    return $status
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
    try "webcam.sh shows frames" shows "$output/webcam" webcam.sh $camera
    try "send.sh to receive.sh, into a file" together "$output/received.m2tv" 5007 send.sh $camera -- \
        receive.sh --output "$output/received.m2tv"
    try "play.sh plays what was received" plays "$output/received.m2tv"
    try "send.sh of a file to receive.sh with retransmission" together "$output/again.m2tv" 5014 \
        receive.sh --retransmission --latency 200 --output "$output/again.m2tv" --port 5014 -- send.sh --source "$clip" $small --port 5014
    try "rtsp-server.sh to receive.sh" together "$output/rtsp.mp4" 8554 rtsp-server.sh $camera -- \
        receive.sh --output "$output/rtsp.mp4" rtsp://127.0.0.1:8554/live
    try "receive.sh: frames by RTSP" plays "$output/rtsp.mp4"
    try "compare.sh into a file" run pipelines/compare.sh --source "$clip" $small --bitrate 300 --output "$output/compare.mp4"
    try "compare.sh: video" plays "$output/compare.mp4"
    try "compare.sh with key frames only shows frames" shows "$output/compare" compare.sh $camera --intra
}
try "over SRT" over 7001 "srtsink uri=srt://127.0.0.1:7001?mode=listener latency=60" "srtsrc uri=srt://127.0.0.1:7001 latency=60" "$output/srt.m2tv"
try "over TCP, to one who comes late" over 7002 "tcpserversink host=0.0.0.0 port=7002 sync-method=latest-keyframe" "tcpclientsrc host=127.0.0.1 port=7002" "$output/tcp.m2tv"
try "transcode.sh refuses an unknown container" says "must end in .m2tv, .mp4 or .mov" transcode.sh "$output/clip.m2tv" "$output/clip.avi"
try "send.sh names a camera that is missing" says "/dev/none: there is no such camera" send.sh --source /dev/none
try "send.sh names a file that is missing" says "none.mp4: there is no such file" send.sh --source none.mp4
try "send.sh refuses a size" says '--size: "small" is not WIDTHxHEIGHT' send.sh --source test --size small
try "send.sh refuses a bit rate" says '--bitrate: "1M" is not a number above 0' send.sh --source test --bitrate 1M
try "send.sh refuses too high a bit rate" says '--bitrate: "3000000" is more than 2000000' send.sh --source test --bitrate 3000000
try "transcode.sh refuses a quantizer" says '--quantizer: "99" is not a whole number from 0 to 63' transcode.sh --quantizer 99 "$output/clip.m2tv" "$output/q.mp4"
try "send.sh refuses a port above all others" says '--port: "65533" is more than 65532' send.sh --source test --port 65533
try "receive.sh refuses a latency" says '--latency: "-1" is not a whole number' receive.sh --sink fakesink --latency -1
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
done_testing
