#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The scripts in pipelines/, run as a user would. Prints TAP.
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

try "demo.sh runs" run pipelines/demo.sh --no-install --build "$build" --output "$output/demo"
try "demo.sh: 80 frames, a picture, a PSNR" demo_is_complete
try "transcode.sh to .m2tv" run pipelines/transcode.sh "$top/pipelines/media/signing_webcam.mp4" "$output/clip.m2tv" 40
try "transcode.sh: 80 frames" has_frames "$output/clip.m2tv" 80
try "play.sh finds its way through a .m2tv file" run pipelines/play.sh "$output/clip.m2tv" fakesink
try "record.sh from the test source" timeout 60 "$top/pipelines/record.sh" "$output/record.mp4" test 32 10
try "play.sh plays the recording" run pipelines/play.sh "$output/record.mp4" fakesink
try "transcode.sh refuses an unknown container" bash -c "! '$top/pipelines/transcode.sh' '$output/clip.m2tv' '$output/clip.avi'"
for script in "$top"/pipelines/*.sh; do
    [ -x "$script" ] && try "$(basename "$script") --help" "$script" --help
done
echo "1..$count"
[ $failed = 0 ]
