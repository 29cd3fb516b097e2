#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Encodes and decodes one frame under valgrind: no invalid access, no use of undefined values, no leak.
#
# Usage: tests/valgrind.sh M2T CLIP.y4m BACKEND
set -eu
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
export M2T_MODEL_PATH="${M2T_MODEL_PATH:-$(dirname "$0")/../models}"

watch() {
    valgrind --quiet --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite "$@"
}
watch "$1" encode --backend "$3" --threads 2 --frames 1 "$2" "$directory/out.m2tv"
watch "$1" decode --backend "$3" --threads 2 "$directory/out.m2tv" "$directory/out.y4m"
