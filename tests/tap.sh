# SPDX-License-Identifier: LGPL-2.1-or-later
# Sourced by the tests that are shell scripts: prints a TAP line for each test, and their number at the end.
# shellcheck shell=sh

count=0 failed=0

ok() { # DESCRIPTION
    count=$((count + 1))
    echo "ok $count - $1"
}

not_ok() { # DESCRIPTION
    count=$((count + 1)) failed=$((failed + 1))
    echo "not ok $count - $1"
}

skip() { # DESCRIPTION REASON
    ok "$1 # SKIP $2"
}

# Its lines as comments of TAP.
show() { # LOG
    sed 's/^/# /' "$1"
}

# try DESCRIPTION COMMAND...: a test that passes if the command succeeds; what that says is in $logs/NUMBER.log, and shown if it fails.
try() {
    # shellcheck disable=SC2154 # the script says where its logs are
    description=$1 log=$logs/$((count + 1)).log
    shift
    if "$@" >"$log" 2>&1 </dev/null; then
        ok "$description"
    else
        not_ok "$description"
        show "$log"
    fi
}

# The last command of a script: its exit status says whether all passed.
done_testing() {
    echo "1..$count"
    [ "$count" != 0 ] && [ "$failed" = 0 ]
}
