#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each public header compiles alone, twice included, without a warning, as C11 and as C++. Prints TAP.
#
# Usage: tests/api/headers.sh SOURCE-INCLUDE BUILD-INCLUDE
set -u
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"
source=$1 build=$2
logs=$(mktemp -d) || exit 1
trap 'rm -rf "$logs"' EXIT

compile() { # COMPILER... FILE
    # shellcheck disable=SC2046 # a list of words
    "$@" -I"$source" -I"$build" -Wall -Wextra -Werror -fsyntax-only $(pkg-config --cflags glib-2.0)
}

for path in "$source"/m2t/*.h "$build"/m2t/*.h; do
    header=m2t/$(basename "$path")
    printf '#include <%s>\n#include <%s>\n' "$header" "$header" >"$logs/test.c"
    cp "$logs/test.c" "$logs/test.cc"
    # shellcheck disable=SC2086 # a command and its arguments
    try "$header as C11" compile ${CC:-cc} -std=c11 -Wpedantic "$logs/test.c"
    if command -v "${CXX:-c++}" >/dev/null; then
        try "$header as C++" compile "${CXX:-c++}" -std=c++11 "$logs/test.cc"
    else
        skip "$header as C++" "no C++ compiler"
    fi
done
done_testing
