#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counts tests: tally.py FILE... prints "PASSED FAILED SKIPPED".

FILE is a testlog.json that meson wrote, or the TAP output of a script. In a meson log a test that speaks TAP counts as its subtests, any
other one as one. A run that failed without a failing subtest (crash, timeout) adds one failure, and so does one that planned no test and
does not say why.
"""
import json
import re
import sys

LINE = re.compile(r'\s*(not )?ok\b(?:[^#\\]|\\.)*(?:#\s*(skip|todo))?', re.IGNORECASE)
PLAN = re.compile(r'1\.\.(\d+)\s*(?:#\s*(skip))?', re.IGNORECASE)


def count_tap(text):
    """(passed, failed, skipped, planned or None); subtests of subtests are not counted again."""
    passed = failed = skipped = 0
    planned = None
    for line in text.splitlines():
        plan = PLAN.match(line)
        if plan:
            planned = int(plan.group(1))
            if planned == 0 and plan.group(2):
                skipped += 1
            elif planned == 0:
                failed += 1   # asked for a test that it does not have
            continue
        if not line.startswith(('ok', 'not ok')):
            continue
        result = LINE.match(line)
        word = (result.group(2) or '').lower()
        if word == 'skip':
            skipped += 1
        elif result.group(1) and word != 'todo':
            failed += 1
        else:
            passed += 1
    return passed, failed, skipped, planned


def count_meson(text):
    total = [0, 0, 0]
    for line in text.splitlines():
        test = json.loads(line)
        result, output = test['result'], test.get('stdout') or ''
        good = result in ('OK', 'EXPECTEDFAIL')
        passed, failed, skipped, planned = count_tap(output)
        if planned is None and not passed + failed + skipped:
            passed, failed, skipped = good, not good and result != 'SKIP', result == 'SKIP'
        elif not good and result != 'SKIP' and not failed:
            failed = 1
        total = [a + b for a, b in zip(total, (passed, failed, skipped))]
    return total


def main():
    total = [0, 0, 0]
    for path in sys.argv[1:]:
        with open(path, encoding='utf-8', errors='replace') as file:
            text = file.read()
        if path.endswith('.json'):
            found = count_meson(text)
        else:
            *found, planned = count_tap(text)
            if planned is None or (planned and planned != sum(found)):
                found[1] += 1   # the script did not come to its end
        total = [a + b for a, b in zip(total, found)]
    print(*total)


if __name__ == '__main__':
    main()
