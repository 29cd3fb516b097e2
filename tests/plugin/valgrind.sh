#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs a test program under valgrind: no invalid access, nothing uninitialized, nothing of ours lost. Exit status 77: no valgrind.
#
# Usage: valgrind.sh SUPPRESSIONS PROGRAM [ARGUMENT...]
set -u
command -v valgrind >/dev/null || exit 77
suppressions=$1
shift
export G_SLICE=always-malloc OPENBLAS_NUM_THREADS=1 CK_DEFAULT_TIMEOUT=300
exec valgrind --quiet --error-exitcode=1 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
    --suppressions="$suppressions" --num-callers=30 "$@"
