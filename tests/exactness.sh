#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The same bits everywhere: encodes and decodes a few frames with every build, backend, instruction set (that of the kernels, of oneDNN,
# the CPU type of OpenBLAS) and number of threads, and compares the stream and the MD5 of the decoded planes with those of the first
# build's plain C with one thread. Prints TAP.
#
# Usage: tests/exactness.sh WORK NAME=COMMAND...
#
#   WORK           directory for temporary files
#   NAME=COMMAND   a build's m2t, such as gcc=build/tools/m2t or "aarch64=qemu-aarch64 build-aarch64/tools/m2t", quoted as for the shell. A
#                  NAME that starts with "aarch64" tries OpenBLAS's ARM types, any other the x86 types. COMMAND "-" counts as skipped.
#
# What this CPU lacks is skipped: instruction sets of the kernels, types that OpenBLAS does not take (it says so, or dies of an illegal
# instruction), those with which oneDNN fails the library's check of backends.
# The first build goes through all of it, the others through a part. EXACTNESS_MODEL is the model file (default: models/standard.m2tw).
set -u

case ${1:-} in
--help | -h | '')
    sed -n '3,/^[^#]/s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
esac
top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/tap.sh
. "$top/tests/tap.sh"
mkdir -p "$1"
work=$(cd "$1" && pwd)
shift
model=$work/model.m2tw
cp "${EXACTNESS_MODEL:-$top/models/standard.m2tw}" "$model" || exit 1
export M2T_MODEL_PATH=$work OPENBLAS_VERBOSE=2
unset OPENBLAS_CORETYPE OPENBLAS_NUM_THREADS ONEDNN_MAX_CPU_ISA M2T_CPU

# Two small clips from the middle of the real one: a whole number of tokens, and odd in both directions.
for crop in 176:144 83:51; do
    ffmpeg -nostdin -v error -y -i "$top/pipelines/media/signing_webcam.mp4" -vf "crop=$crop" -frames:v 2 -pix_fmt yuv420p \
        "$work/clip-${crop/:/x}.y4m" || exit 1
done

# run PREFIX BACKEND THREADS: $command leaves PREFIX-SIZE.m2tv and PREFIX-SIZE.md5; returns its status.
run() {
    local prefix=$1 backend=$2 threads=$3 clip size status

    for clip in "$work"/clip-*.y4m; do
        size=${clip##*clip-} size=${size%.y4m}
        "${command[@]}" encode -q 20.25 --model "$model" --backend "$backend" --threads "$threads" "$clip" "$prefix-$size.m2tv" \
            2>>"$prefix.log" </dev/null
        status=$?
        [ $status = 0 ] || return $status
        "${command[@]}" md5 --backend "$backend" --threads "$threads" "${reference:-$prefix}-$size.m2tv" 2>>"$prefix.log" </dev/null |
            cut -c 1-32 >"$prefix-$size.md5"
        status=${PIPESTATUS[0]}
        [ "$status" = 0 ] || return "$status"
    done
}

same_as_reference() { # PREFIX
    local size
    for size in 176x144 83x51; do
        cmp -s "$work/reference-$size.m2tv" "$1-$size.m2tv" && cmp -s "$work/reference-$size.md5" "$1-$size.md5" || return 1
    done
}

# compare NAME BACKEND THREADS TYPE: TYPE is an instruction set of the kernels, a CPU type of OpenBLAS or a limit of oneDNN.
compare() {
    local name=$1 backend=$2 threads=$3 type=$4 prefix=$work/$1-$2-$4-$3 status used
    local description="$name, backend $backend, type $type, threads $threads"

    rm -f "$prefix"*
    case $backend in
    openblas) OPENBLAS_CORETYPE=$type OPENBLAS_NUM_THREADS=$threads run "$prefix" "$backend" "$threads" 2>/dev/null ;;
    onednn) ONEDNN_MAX_CPU_ISA=$type run "$prefix" "$backend" "$threads" ;;
    *) M2T_CPU=$type run "$prefix" "$backend" "$threads" ;;
    esac
    status=$?
    used=$(sed -n 's/^Core: *//p' "$prefix.log" | head -1)
    if grep -q "no such kernels here" "$prefix.log"; then
        skip "$description" "this CPU lacks it"
    elif [ "$backend" = openblas ] && { [ $status = 132 ] || grep -q "Core not found" "$prefix.log"; }; then
        skip "$description" "this CPU or this OpenBLAS lacks it"
    elif [ "$backend" = openblas ] && [ -n "$used" ] && [ "${used,,}" != "${type,,}" ]; then
        skip "$description" "OpenBLAS uses $used instead"
    elif [ "$backend" = onednn ] && grep -q "no backend 'onednn'" "$prefix.log"; then
        skip "$description" "its sums are not exact, so the library leaves it out"
    elif [ $status != 0 ]; then
        not_ok "$description: exit status $status"
        show "$prefix.log"
    elif same_as_reference "$prefix"; then
        ok "$description"
    else
        not_ok "$description: differs"
    fi
}

backends() { # the ones that $command offers
    "${command[@]}" md5 --backend '?' - 2>&1 </dev/null | sed -n 's/.*there are: //p' | tr -d ','
}

reference='' command=()
for build in "$@"; do
    name=${build%%=*}
    eval "command=(${build#*=})"
    if [ "${command[*]}" = - ]; then
        skip "$name" "not built"
        continue
    fi
    if [ -z "$reference" ]; then
        if ! M2T_CPU=c run "$work/reference" c 1; then
            not_ok "$name: the reference cannot be made"
            show "$work/reference.log"
            break
        fi
        reference=$work/reference
    fi
    case $name in
    aarch64*) kernel_types=c blas_types="ARMV8 NEOVERSEN1" thread_counts=2 ;; # an emulator is slow
    "${1%%=*}") kernel_types="c avx2 avx512 avx512icl" blas_types="Prescott Nehalem Sandybridge Haswell Zen SkylakeX Cooperlake" thread_counts="1 2 4" ;;
    *) kernel_types="c avx2 avx512 avx512icl" blas_types="Prescott Haswell SkylakeX" thread_counts="1 3" ;;
    esac
    found=$(backends)
    [ -n "$found" ] || not_ok "$name: does not run, or does not say which backends there are"
    for backend in $found; do
        case $backend in
        openblas) types=$blas_types ;;
        onednn) types="AVX2 AVX2_VNNI AVX512_CORE AVX512_CORE_VNNI ALL" ;;
        *) types=$kernel_types ;;
        esac
        for type in $types; do
            for threads in $thread_counts; do
                compare "$name" "$backend" "$threads" "$type"
            done
        done
    done
done
done_testing
