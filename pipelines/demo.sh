#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Builds libm2t and shows it at work on a real clip.
#
# Usage: pipelines/demo.sh [--no-install] [--build DIR] [--output DIR] [QUANTIZER [CLIP]]
#
#   --no-install   do not install missing Debian packages
#   --build DIR    build there (default: build)
#   --output DIR   write there (default: demo-output)
#   QUANTIZER      0 (finest) to 63, default 32
#   CLIP           any file that GStreamer decodes, default pipelines/media/signing_webcam.mp4
#
# Installs what is missing with apt-get (by sudo, unless root), builds with meson, encodes the clip and decodes it again by GStreamer
# pipelines, and prints bit rate, PSNR and speed. The output directory receives the stream (demo.m2tv), the original and the decoded video
# (original.y4m, decoded.y4m) and one frame of both side by side (side-by-side.png).
set -eu
# shellcheck source=pipelines/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=tools/packages.sh
. "$top/tools/packages.sh"

install=yes build=$top/build output=$top/demo-output arguments=()
while [ $# -gt 0 ]; do
    case $1 in
    --no-install) install=no ;;
    --build) build=${2:?--build needs a directory} && shift ;;
    --output) output=${2:?--output needs a directory} && shift ;;
    --help | -h) print_help && exit ;;
    -*) die "there is no option $1; see --help" ;;
    *) arguments+=("$1") ;;
    esac
    shift
done
[ ${#arguments[@]} -le 2 ] || die "there are too many arguments; see --help"
quantizer=${arguments[0]:-32} clip=${arguments[1]:-$top/pipelines/media/signing_webcam.mp4}
check_quantizer QUANTIZER "$quantizer"
[ -r "$clip" ] || die "$clip: cannot be read"
mkdir -p "$output"

if [ $install = yes ]; then
    install_packages "$output/apt.log" gcc libc6-dev meson ninja-build pkg-config \
        libglib2.0-dev libjson-glib-dev libopenblas-dev libdnnl-dev libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev \
        gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-libav ffmpeg
fi

echo "Building in $build"
if ! { { [ -f "$build/build.ninja" ] || meson setup "$build" "$top"; } && ninja -C "$build"; } >"$output/build.log" 2>&1; then
    tail -20 "$output/build.log" >&2
    die "the build failed; see $output/build.log"
fi
[ -e "$build/plugin/libgstm2t.so" ] || die "no plugin was built, for meson found no GStreamer to build it with; see $output/build.log"
use_build "$build"

now() {
    date +%s.%N
}

# pipeline NAME ELEMENT...: runs it and leaves the seconds it took in $seconds.
pipeline() {
    name=$1
    shift
    echo "+ gst-launch-1.0 $*"
    begin=$(now)
    gst-launch-1.0 -q "$@" >"$output/$name.log" 2>&1 </dev/null || {
        cat "$output/$name.log" >&2
        die "the pipeline failed"
    }
    seconds=$(echo "$(now) $begin" | awk '{ print $1 - $2 }')
}

pipeline encode filesrc "location=$clip" ! decodebin ! videoconvert ! video/x-raw,format=I420 ! m2tenc "quantizer=$quantizer" ! \
    filesink "location=$output/demo.m2tv"
encode_seconds=$seconds
pipeline decode filesrc "location=$output/demo.m2tv" ! m2tparse ! m2tdec ! y4menc ! filesink "location=$output/decoded.y4m"
decode_seconds=$seconds
# y4menc takes rows to be without padding, which H.264 decoders only deliver if nobody offers them anything else.
pipeline original filesrc "location=$clip" ! decodebin ! videoconvert ! video/x-raw,format=I420 ! identity drop-allocation=true ! y4menc ! \
    filesink "location=$output/original.y4m"

# Both with the same header, so that FFmpeg converts nothing before it compares.
psnr=$(ffmpeg -nostdin -hide_banner -i "$output/decoded.y4m" -i "$output/original.y4m" \
    -lavfi "[0:v]setpts=N[a];[1:v]setpts=N[b];[a][b]psnr" -f null - 2>&1 | sed -n 's/.*PSNR y:\([0-9]*...\)[^ ]* u:\([0-9]*...\)[^ ]* v:\([0-9]*...\)[^ ]* .*/Y \1 dB, U \2 dB, V \3 dB/p')
[ -n "$psnr" ] || die "FFmpeg could not compare original.y4m and decoded.y4m"
ffmpeg -nostdin -v error -y -i "$output/original.y4m" -i "$output/decoded.y4m" -filter_complex "[0:v][1:v]hstack" \
    -frames:v 1 -update 1 "$output/side-by-side.png"

info=$("$build/tools/m2t" info "$output/demo.m2tv")
frames=$(echo "$info" | sed -n 's/^  frames *\([0-9]*\),.*/\1/p')
speed() {
    echo "$frames $1" | awk '{ printf "%.1f frames/s (%d frames in %.1f s, start of the pipeline included)", $1 / $2, $1, $2 }'
}
echo
echo "$info"
echo "  PSNR       $psnr"
echo "  encoding   $(speed "$encode_seconds")"
echo "  decoding   $(speed "$decode_seconds")"
echo "  picture    $output/side-by-side.png (original left, decoded right)"
