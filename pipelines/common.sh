# SPDX-License-Identifier: LGPL-2.1-or-later
# Sourced by the scripts here: finds the plugin, reads options, and has the parts of pipelines that several of them use.
# shellcheck shell=bash
# shellcheck disable=SC2034 # the scripts read what is set here

top=$(cd "$(dirname "$0")/.." && pwd)

# The comment at the head of the script, without the licence line.
print_help() {
    sed -n '3,/^[^#]/s/^# \{0,1\}//p' "$0"
}

die() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

# read_options "NAME... FLAG!..." ARGUMENT...: --NAME VALUE sets $NAME, --FLAG sets $FLAG to "yes"; the rest goes to $arguments.
read_options() {
    local known=" $1 " name
    shift
    arguments=()
    while [ $# -gt 0 ]; do
        name=${1#--}
        case $1 in
        --help | -h) print_help && exit ;;
        --*)
            if [[ $known == *" $name "* ]]; then
                [ $# -gt 1 ] || die "$1 needs a value; see --help"
                printf -v "$name" %s "$2"
                shift
            elif [[ $known == *" $name! "* ]]; then
                printf -v "$name" yes
            else
                die "there is no option $1; see --help"
            fi
            ;;
        *) arguments+=("$1") ;;
        esac
        shift
    done
}

# check_numbers NAME...: each of these options is a whole number above 0.
check_numbers() {
    local name
    for name in "$@"; do
        [[ ${!name} =~ ^[1-9][0-9]*$ ]] || die "--$name: \"${!name}\" is not a number above 0"
    done
}

# at_most NAME HIGHEST: for an option that is a number.
at_most() {
    local value=${!1}
    [ ${#value} -gt ${#2} ] || [ "$value" -gt "$2" ] || return 0
    die "--$1: \"$value\" is more than $2"
}

# What m2tenc takes; of anything else GStreamer would only warn, and go on with the default.
check_bitrate() {
    check_numbers bitrate
    at_most bitrate 2000000
}

check_quantizer() { # NAME VALUE
    [[ $2 =~ ^([0-9]|[1-5][0-9]|6[0-3])$ ]] || die "$1: \"$2\" is not a whole number from 0 to 63"
}

# use_build DIRECTORY: GStreamer takes the plugin from there, in addition to what is installed.
use_build() {
    GST_PLUGIN_PATH=$1/plugin${GST_PLUGIN_PATH:+:$GST_PLUGIN_PATH}
    M2T_MODEL_PATH=${M2T_MODEL_PATH:+$M2T_MODEL_PATH:}$top/models
    export GST_PLUGIN_PATH M2T_MODEL_PATH
}

# The plugin of M2T_BUILD (default: build/ of the source tree) if it is there, else the installed one.
find_plugin() {
    local build=${M2T_BUILD:-$top/build}
    if [ -e "$build/plugin/libgstm2t.so" ]; then
        use_build "$build"
    elif ! gst-inspect-1.0 --exists m2tenc; then
        die "there is no plugin in $build and none is installed; run pipelines/demo.sh first"
    fi
}

# need_elements PACKAGE ELEMENT...: what a Debian package has beyond what every pipeline here uses.
need_elements() {
    local package=$1 element
    shift
    for element in "$@"; do
        gst-inspect-1.0 --exists "$element" || die "GStreamer has no element $element; install the package $package"
    done
}

# The options that video_source() reads.
source_options="source size framerate"
source=/dev/video0 size=640x360 framerate=30

# Puts into $raw the elements that deliver the frames of $source: a camera, a file, or "test".
video_source() {
    [[ $size =~ ^([1-9][0-9]*)x([1-9][0-9]*)$ ]] || die "--size: \"$size\" is not WIDTHxHEIGHT"
    local caps="width=${BASH_REMATCH[1]},height=${BASH_REMATCH[2]}"
    check_numbers framerate
    case $source in
    test) raw=(videotestsrc is-live=true pattern=smpte ! "video/x-raw,$caps,framerate=$framerate/1") ;;
    /dev/*)
        [ -r "$source" ] || die "$source: there is no such camera; --source takes another one, a file, or \"test\""
        need_elements gstreamer1.0-plugins-good v4l2src
        caps+=",framerate=(fraction)[1/1,$framerate/1]"
        raw=(v4l2src "device=$source" ! "video/x-raw,$caps;image/jpeg,$caps" ! decodebin ! videoconvert)
        ;;
    *)
        [ -r "$source" ] || die "$source: there is no such file"
        raw=(filesrc "location=$source" ! decodebin ! videoconvert ! videoscale ! videorate ! "video/x-raw,$caps,framerate=$framerate/1")
        ;;
    esac
}

# The same in real time, files included. A frame that comes while the encoder is busy takes the place of the one that waits, so that
# nothing falls behind on a slow machine.
live_source() {
    video_source
    [ ! -f "$source" ] || raw+=(! clocksync)
    raw+=(! queue leaky=downstream max-size-buffers=1 max-size-bytes=0 max-size-time=0 ! videoconvert)
}

# The options that live_encoder() reads.
encoder_options="bitrate model"
bitrate=1000 model=live

# Puts into $encoder the settings for calls and live streams: no frame is held back, and no frame takes much longer than another one to send.
live_encoder() {
    check_bitrate
    encoder=(m2tenc "model-file=$model" tune=zerolatency rate-control=cbr "bitrate=$bitrate")
}

# coded_file FILE: puts into $file the elements that write the coded video to FILE.
coded_file() {
    case $1 in
    *.m2tv) file=() ;;
    *.mp4) file=(mp4mux !) ;;
    *.mov) file=(qtmux !) ;;
    *) die "$1: the name must end in .m2tv, .mp4 or .mov" ;;
    esac
    file+=(filesink "location=$1")
}

# Where raw video goes.
sink=autovideosink

# Without a display, autovideosink only says that it crashed.
check_sink() {
    [ "$sink" != autovideosink ] || [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] ||
        die "there is no display for a window; --sink takes another GStreamer sink"
}
