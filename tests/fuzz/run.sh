#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Builds the fuzz targets with clang, libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer, and runs each for some time.
#
# Usage: tests/fuzz/run.sh SECONDS [TARGET...]
#
#   TARGET   model, stream, decode, depay (default: all)
#
# Works in build-fuzz (or $FUZZ_BUILD): found inputs go to corpus-TARGET there, what broke a target to crash-TARGET-*. An input
# that broke one belongs into tests/fuzz/corpus/TARGET, once it is fixed, as crash-WHAT; all else there, but for depay, is written by
# tests/reference/make_corpus.py. The exit status is 0 if nothing broke.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:?how many seconds for each target}
shift
[ $# -gt 0 ] || set -- model stream decode depay
build=${FUZZ_BUILD:-build-fuzz}

[ -f "$build/build.ninja" ] || CC=clang meson setup "$build" --buildtype=debugoptimized -Dfuzz=true \
    -Db_sanitize=address,undefined -Db_lundef=false -Dc_args=-fsanitize=fuzzer-no-link
targets=()
for target in "$@"; do targets+=("tests/fuzz/fuzz-$target"); done
ninja -C "$build" "${targets[@]}"

export M2T_TEST_VECTORS=$PWD/tests/vectors UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
status=0
for target in "$@"; do
    mkdir -p "$build/corpus-$target"
    "$build/tests/fuzz/fuzz-$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$build/crash-$target-" "$build/corpus-$target" "tests/fuzz/corpus/$target" || status=1
done
exit $status
