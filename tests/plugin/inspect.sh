#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What gst-inspect-1.0 shows of the plugin, against inspect.txt; and that it loads in every way there is.
#
# Usage: inspect.sh DIRECTORY-OF-THE-PLUGIN INSPECT.TXT [--update]
set -u
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"
plugin=$1 golden=$2 update=${3:-}
work=$(mktemp -d) logs=$work || exit 1
trap 'rm -rf "$work"' EXIT
export LC_ALL=C GST_REGISTRY=$work/registry GST_PLUGIN_PATH_1_0=$plugin GST_PLUGIN_SYSTEM_PATH_1_0=
export GST_PRESET_PATH=${0%/*}/../../plugin/presets
unset GST_PLUGIN_PATH GST_PLUGIN_SYSTEM_PATH GST_REGISTRY_1_0

# Without what depends on the machine and the version.
inspect() {
    {
        gst-inspect-1.0 m2t
        for element in m2tenc m2tdec m2tparse rtpm2tpay rtpm2tdepay; do
            gst-inspect-1.0 $element
        done
    } | grep -v -e '^  Filename ' -e '^  Version ' -e '^ *$'
}

exists() { gst-inspect-1.0 --atleast-version=0.1.0 --exists "$1"; }
none_blacklisted() { gst-inspect-1.0 -b | grep -q '^Total count: 0 blacklisted'; }
text_is_golden() { diff -u "$golden" "$work/text"; } # the base classes' properties are those of GStreamer 1.22
silent() { test ! -s "$work/stderr"; }
without_fork() { GST_REGISTRY=$work/another gst-inspect-1.0 --gst-disable-registry-fork --atleast-version=0.1.0 --exists m2tenc; }
without_models() { M2T_MODEL_PATH=/nowhere GST_REGISTRY=$work/third gst-inspect-1.0 --atleast-version=0.1.0 --exists m2tdec; }
only_two_symbols() {
    nm -D --defined-only "$plugin/libgstm2t.so" | tee "$work/symbols"
    [ "$(wc -l <"$work/symbols")" = 2 ] && grep -q ' T gst_plugin_m2t_get_desc$' "$work/symbols" && grep -q ' T gst_plugin_m2t_register$' "$work/symbols"
}
other_name_is_refused() {
    mkdir "$work/wrong" && cp "$plugin/libgstm2t.so" "$work/wrong/libgstother.so" &&
        ! GST_PLUGIN_PATH_1_0=$work/wrong GST_REGISTRY=$work/fourth gst-inspect-1.0 --atleast-version=0.1.0 --exists m2tenc
}

inspect >"$work/text" 2>"$work/stderr"
if [ "$update" = --update ]; then
    cp "$work/text" "$golden"
    exit
fi
if gst-inspect-1.0 --version | grep -q 'version 1\.22'; then
    try "L8 the text of gst-inspect-1.0" text_is_golden
else
    skip "L8 the text of gst-inspect-1.0" "other base classes"
fi
try "L11 nothing on stderr" silent
for element in m2tenc m2tdec m2tparse rtpm2tpay rtpm2tdepay; do
    try "L8 $element exists" exists $element
done
try "L8 nothing is blacklisted" none_blacklisted
try "L8 loads without the registry fork" without_fork
try "L8 loads without models" without_models
try "L9 exports its two entry points and nothing else" only_two_symbols
try "L9 another file name is refused" other_name_is_refused
done_testing
