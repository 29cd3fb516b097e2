#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The C program in README.md compiles with the flags of pkg-config and runs. Prints TAP.
#
# Usage: tests/api/readme.sh README.md BUILD VECTORS
set -u
readme=$1 build=$2 vectors=$3
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
count=0 failed=0

try() { # DESCRIPTION COMMAND...
    description=$1
    shift
    count=$((count + 1))
    if "$@" >"$directory/log" 2>&1; then
        echo "ok $count - $description"
    else
        echo "not ok $count - $description"
        failed=$((failed + 1))
    fi
    sed 's/^/# /' "$directory/log"
}

# Installed, this is pkg-config m2t-1.0; meson writes one that points into the build directory.
flags() {
    PKG_CONFIG_PATH=$build/meson-uninstalled pkg-config "$@" m2t-1.0
}

# shellcheck disable=SC2016 # backquotes of Markdown
sed -n '/^```c$/,/^```$/p' "$readme" | grep -v '^```' >"$directory/example.c"
try "the program is there" [ -s "$directory/example.c" ]
# shellcheck disable=SC2046,SC2086 # lists of words
try "it compiles" ${CC:-cc} -std=c11 -Wall -Wextra -Werror $(flags --cflags) -o "$directory/example" "$directory/example.c" $(flags --libs)
# The example opens the default model; the small one does, too.
ln -s "$vectors/tiny.m2tw" "$directory/standard.m2tw"
export LD_LIBRARY_PATH="$build/core${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" M2T_MODEL_PATH="$directory"
try "it runs" "$directory/example"
echo "1..$count"
[ $failed = 0 ]
