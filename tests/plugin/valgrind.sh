#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs a test program under valgrind: some test passes, no invalid access, nothing uninitialized, nothing of ours lost. Exit status 77: no
# valgrind.
#
# Usage: valgrind.sh SUPPRESSIONS PROGRAM [ARGUMENT...]
set -u -o pipefail
command -v valgrind >/dev/null || exit 77
suppressions=$1
shift
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
export G_SLICE=always-malloc OPENBLAS_NUM_THREADS=1 CK_DEFAULT_TIMEOUT=300
valgrind --quiet --error-exitcode=1 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
    --suppressions="$suppressions" --num-callers=30 "$@" | tee "$log" || exit 1
# A program that is asked for a test it does not have runs none, and is content.
grep -q '^ok' "$log" || { echo "no test was run" && exit 1; }
