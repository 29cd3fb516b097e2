#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each public header compiles alone, twice included, without a warning, as C11 and as C++. Prints TAP.
#
# Usage: tests/api/headers.sh SOURCE-INCLUDE BUILD-INCLUDE
set -u
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
flags="$(pkg-config --cflags glib-2.0) -I$1 -I$2 -Wall -Wextra -Werror -fsyntax-only"
count=0 failed=0

try() { # HEADER LANGUAGE COMMAND...
    description="$1 as $2"
    shift 2
    count=$((count + 1))
    if "$@" 2>"$directory/log"; then
        echo "ok $count - $description"
    else
        echo "not ok $count - $description"
        sed 's/^/# /' "$directory/log"
        failed=$((failed + 1))
    fi
}

for path in "$1"/m2t/*.h "$2"/m2t/*.h; do
    header=m2t/$(basename "$path")
    printf '#include <%s>\n#include <%s>\n' "$header" "$header" >"$directory/test.c"
    cp "$directory/test.c" "$directory/test.cc"
    # shellcheck disable=SC2086 # lists of words
    try "$header" C11 ${CC:-cc} -std=c11 -Wpedantic $flags "$directory/test.c"
    if command -v "${CXX:-c++}" >/dev/null; then
        # shellcheck disable=SC2086
        try "$header" C++ "${CXX:-c++}" -std=c++11 $flags "$directory/test.cc"
    else
        count=$((count + 1))
        echo "ok $count - $header as C++ # SKIP no C++ compiler"
    fi
done
echo "1..$count"
[ $failed = 0 ]
