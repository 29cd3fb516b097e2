#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# All tests, on a fresh Debian 12.
#
# Usage: tests/run.sh [--no-install] [--work DIR]
#
#   --no-install   do not install missing Debian packages; what needs them is skipped or fails
#   --work DIR     build and log there (default: build-tests)
#
# Installs what is missing with apt-get (by sudo, unless root; for the ARM build also Debian's arm64 libraries), builds with gcc and with clang,
# all warnings being errors, with the address and undefined-behaviour sanitizers, and for 64-bit ARM, and runs the tests of each
# build, the exactness matrix (tests/exactness.sh), the program against the reference on random models (tests/reference/compare.py),
# valgrind and the pipelines. The last line is the total, "N passed, N failed, N skipped"; the exit status is 0 if nothing failed.
set -u
cd "$(dirname "$0")/.." || exit 1
top=$PWD

install=yes work=$top/build-tests
while [ $# -gt 0 ]; do
    case $1 in
    --no-install) install=no ;;
    --work) work=${2:?--work needs a directory} && shift ;;
    --help | -h) sed -n '3,/^[^#]/s/^# \{0,1\}//p' "$0" && exit ;;
    *) echo "$0: there is no option $1; see --help" >&2 && exit 2 ;;
    esac
    shift
done
mkdir -p "$work/logs" && work=$(cd "$work" && pwd) && logs=$work/logs || exit 1
# shellcheck source=tools/packages.sh
. tools/packages.sh
unset OPENBLAS_CORETYPE OPENBLAS_NUM_THREADS ONEDNN_MAX_CPU_ISA M2T_CPU M2T_MODEL_PATH GST_PLUGIN_PATH
export LC_ALL=C.UTF-8

passed=0 failed=0 skipped=0

# count NAME PASSED FAILED SKIPPED: adds to the total and prints the line of a stage.
count() {
    printf '%-34s %5d passed %4d failed %4d skipped  (%d s)\n' "$1" "$2" "$3" "$4" "$SECONDS"
    passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
}

# count_log NAME STATUS LOG: the tests in a log. Without a failure there, a bad exit status is one, and so is a log without tests.
count_log() {
    local counts
    read -ra counts < <(tests/tally.py "$3" || echo 0 1 0)
    if [ "${counts[*]}" = "0 0 0" ] || { [ "$2" != 0 ] && [ "${counts[1]}" = 0 ]; }; then
        counts[1]=1
    fi
    count "$1" "${counts[@]}"
}

show_failure() { # LOG
    echo "--- the end of $1:"
    tail -40 "$1"
    echo "---"
}

# build NAME MESON-OPTION...: in $work/NAME, counted as one test.
build() {
    local name=$1 log=$logs/build-$1.log again=
    shift
    [ -f "$work/$name/build.ninja" ] && again=--reconfigure
    # shellcheck disable=SC2086
    if meson setup $again "$@" "$work/$name" "$top" >"$log" 2>&1 </dev/null && ninja -C "$work/$name" >>"$log" 2>&1 </dev/null; then
        count "build $name" 1 0 0
    else
        count "build $name" 0 1 0
        show_failure "$log"
        return 1
    fi
}

# meson_tests NAME OPTION...: the tests of a build.
meson_tests() {
    local name=$1 status
    shift
    rm -f "$work/$name/meson-logs/testlog.json"
    meson test -C "$work/$name" --no-rebuild --print-errorlogs "$@" >"$logs/test-$name.log" 2>&1 </dev/null
    status=$?
    count_log "tests $name" $status "$work/$name/meson-logs/testlog.json"
    [ $status = 0 ] || show_failure "$logs/test-$name.log"
}

# script NAME COMMAND...: one that prints TAP.
script() {
    local name=$1 log=$logs/$1.tap status
    shift
    "$@" >"$log" 2>&1 </dev/null
    status=$?
    count_log "$name" $status "$log"
    [ $status = 0 ] || { grep -A 10 '^not ok' "$log" || tail -20 "$log"; }
}

# check NAME COMMAND...: one test, by its exit status.
check() {
    local name=$1 log=$logs/${1// /-}.log
    shift
    if "$@" >"$log" 2>&1 </dev/null; then
        count "$name" 1 0 0
    else
        count "$name" 0 1 0
        show_failure "$log"
    fi
}

if [ $install = yes ]; then
    install_packages "$logs/apt.log" gcc g++ libc6-dev clang meson ninja-build pkg-config \
        libglib2.0-dev libjson-glib-dev libopenblas-dev libdnnl-dev libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev \
        gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly \
        gstreamer1.0-libav gstreamer1.0-x ffmpeg python3 python3-numpy python3-gi gir1.2-gst-plugins-base-1.0 libgstrtspserver-1.0-dev gir1.2-gst-rtsp-server-1.0 \
        libgstreamer-plugins-bad1.0-dev gstreamer1.0-nice iproute2 valgrind libc6-dbg ||
        count "installing packages" 0 1 0
    if { [ "$(dpkg --print-architecture)" = arm64 ] || dpkg --print-foreign-architectures | grep -qx arm64; } ||
        as_root dpkg --add-architecture arm64; then
        install_packages "$logs/apt-arm64.log" gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user \
            libglib2.0-dev:arm64 libjson-glib-dev:arm64 libopenblas-dev:arm64
    fi # without them, the build for ARM is skipped
fi

CC=gcc build gcc -Dwerror=true && meson_tests gcc
CC=clang build clang -Dwerror=true && meson_tests clang --no-suite plugin
CC=gcc build native -Dwerror=true -Dgstreamer=disabled -Dtests=disabled -Dc_args='-O3 -march=native'

# The plugin is left out: GStreamer's own programs, which would load it, have no sanitizer in them.
export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
CC=gcc build sanitizers -Dwerror=true -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Dgstreamer=disabled && meson_tests sanitizers
unset ASAN_OPTIONS UBSAN_OPTIONS

aarch64=-
if command -v aarch64-linux-gnu-gcc >/dev/null && command -v qemu-aarch64 >/dev/null && [ -f /usr/lib/aarch64-linux-gnu/pkgconfig/json-glib-1.0.pc ]; then
    build aarch64 --cross-file tests/aarch64.ini -Dwerror=true -Dgstreamer=disabled -Dtests=disabled &&
        aarch64="qemu-aarch64 ${work@Q}/aarch64/tools/m2t"
else
    echo "64-bit ARM is not tested: its compiler, its emulator or its libraries are not installed"
    count "build aarch64" 0 0 1
fi

script exactness tests/exactness.sh "$work/exactness" "gcc=${work@Q}/gcc/tools/m2t" "clang=${work@Q}/clang/tools/m2t" \
    "native=${work@Q}/native/tools/m2t" "aarch64=$aarch64"

if python3 -c 'import numpy' 2>/dev/null; then
    check "reference on random models" python3 tests/reference/compare.py "$work/gcc/tools/m2t" --rounds 8
else
    count "reference on random models" 0 0 1
fi

if command -v valgrind >/dev/null; then
    for backend in c openblas; do
        check "valgrind $backend" tests/valgrind.sh "$work/gcc/tools/m2t" "$work/exactness/clip-83x51.y4m" "$backend"
    done
else
    count valgrind 0 0 2
fi

script pipelines tests/pipelines.sh "$work/gcc" "$work"

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
