#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Decodes all conformance streams with every backend and with every build of the kernels that run here. Prints TAP.
#
# Usage: tests/conformance/conformance.sh M2T LIST
set -u
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"
m2t=$1 list=$2
directory=$(mktemp -d) || exit 1
trap 'rm -rf "$directory"' EXIT

verify() { # DESCRIPTION OPTION...
    description=$1 failed_before=$failed
    shift
    "$m2t" verify "$@" "$list" >"$directory/results" 2>"$directory/log"
    status=$?
    if grep -q 'no such kernels here' "$directory/log"; then
        skip "$description" 'this CPU lacks them'
        return
    fi
    while IFS= read -r line; do
        case $line in
        *": OK") ok "${line%: OK}, $description" ;;
        *) not_ok "$line, $description" ;;
        esac
    done <"$directory/results"
    [ -s "$directory/results" ] || not_ok "no results, $description"
    [ $status = 0 ] || [ "$failed" != "$failed_before" ] || not_ok "exit status $status, $description"
    show "$directory/log"
}

backends=$("$m2t" verify --backend '?' - 2>&1 | sed -n 's/.*there are: //p' | tr -d ,)
[ -n "$backends" ] || not_ok "$m2t does not say which backends there are"
for backend in $backends; do
    verify "backend $backend" --backend "$backend"
done
for kernels in c avx2 avx512 avx512icl; do
    export M2T_CPU=$kernels
    verify "kernels $kernels"
done
done_testing
