#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The C program in README.md compiles with the flags of pkg-config and runs. Prints TAP.
#
# Usage: tests/api/readme.sh README.md BUILD VECTORS
set -u
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"
readme=$1 build=$2 vectors=$3
directory=$(mktemp -d) logs=$directory || exit 1
trap 'rm -rf "$directory"' EXIT

# Installed, this is pkg-config m2t-1.0; meson writes one that points into the build directory.
flags() {
    PKG_CONFIG_PATH=$build/meson-uninstalled pkg-config "$@" m2t-1.0
}

# pkg-config writes words for the shell: spaces in paths are escaped.
compile() {
    # shellcheck disable=SC2086 # a command and its arguments
    eval "set -- $(flags --cflags) -o \"\$directory/example\" \"\$directory/example.c\" $(flags --libs)" &&
        ${CC:-cc} -std=c11 -Wall -Wextra -Werror "$@"
}

# shellcheck disable=SC2016 # backquotes of Markdown
sed -n '/^```c$/,/^```$/p' "$readme" | grep -v '^```' >"$directory/example.c"
try "the program is there" [ -s "$directory/example.c" ]
try "it compiles" compile
# The example opens the default model; the small one does, too.
ln -s "$vectors/tiny.m2tw" "$directory/standard.m2tw"
export LD_LIBRARY_PATH="$build/core${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" M2T_MODEL_PATH="$directory"
try "it runs" "$directory/example"
done_testing
