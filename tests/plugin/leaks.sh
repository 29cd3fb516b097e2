#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs a test program under GStreamer's leak tracer: nothing of GStreamer's may be alive at the end.
#
# Usage: leaks.sh PROGRAM [ARGUMENT...]
set -u
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
GST_TRACERS=leaks GST_DEBUG=GST_TRACER:7 GST_DEBUG_NO_COLOR=1 GST_DEBUG_FILE=$log "$@" || exit 1
if grep 'object-alive, type-name=(string)[A-Z]' "$log"; then
    exit 1
fi
grep -q 'TRACE\|GST_TRACER' "$log" || { echo "the tracer said nothing" && exit 1; }
