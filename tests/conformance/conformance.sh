#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Decodes all conformance streams with every backend and with every build of the kernels that run here. Prints TAP.
#
# Usage: tests/conformance/conformance.sh M2T LIST
set -u
m2t=$1 list=$2
count=0 failed=0

verify() { # DESCRIPTION OPTION...
    description=$1
    shift
    results=$("$m2t" verify "$@" "$list")
    status=$?
    while IFS= read -r line; do
        count=$((count + 1))
        case $line in
        *": OK") echo "ok $count - ${line%: OK}, $description" ;;
        *) echo "not ok $count - $line, $description" && failed=$((failed + 1)) ;;
        esac
    done <<EOT
$results
EOT
    if [ $status != 0 ] && [ $failed = 0 ]; then
        count=$((count + 1)) failed=1
        echo "not ok $count - exit status $status, $description"
    fi
}

for backend in $("$m2t" verify --backend '?' - 2>&1 | sed -n 's/.*there are: //p' | tr -d ,); do
    verify "backend $backend" --backend "$backend"
done
for kernels in c avx2; do
    export M2T_CPU=$kernels
    verify "kernels $kernels"
done
echo "1..$count"
[ $failed = 0 ]
