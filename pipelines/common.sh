# SPDX-License-Identifier: LGPL-2.1-or-later
# Sourced by the scripts here: finds the plugin, prints help.
# shellcheck shell=sh

top=$(cd "$(dirname "$0")/.." && pwd)

# The comment at the head of the script, without the licence line.
print_help() {
    sed -n '3,/^[^#]/s/^# \{0,1\}//p' "$0"
}

die() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

# use_build DIRECTORY: GStreamer takes the plugin from there, in addition to what is installed.
use_build() {
    GST_PLUGIN_PATH=$1/plugin${GST_PLUGIN_PATH:+:$GST_PLUGIN_PATH}
    M2T_MODEL_PATH=${M2T_MODEL_PATH:+$M2T_MODEL_PATH:}$top/models
    export GST_PLUGIN_PATH M2T_MODEL_PATH
}

# The plugin of M2T_BUILD (default: build/ of the source tree) if it is there, else the installed one.
find_plugin() {
    build=${M2T_BUILD:-$top/build}
    if [ -d "$build/plugin" ]; then
        use_build "$build"
    elif ! gst-inspect-1.0 --exists m2tenc; then
        die "there is no plugin in $build and none is installed; run pipelines/demo.sh first"
    fi
}
