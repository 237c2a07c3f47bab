#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_guarantees.sh - each promise of docs/guarantees.md has tests, and they exist; and the check fails
# for a page of which that is not true.
set -uo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
PAGE=$(mktemp)
trap 'rm -f "$PAGE"' EXIT
export PYTHONDONTWRITEBYTECODE=1
check() { /usr/bin/python3 "$ROOT/tests/docs/guarantees.py" "$@"; }

check || exit 1
# shellcheck disable=SC2016 # backquotes of Markdown
# A test, a model search, a line of a script and a file that are not there; a promise without any test.
for edit in 's#`the_third_crash#`the_fourth_crash#' 's#`no_fence`#`no_fences`#' 's#`1. zombie finish`#`1. zombie`#' \
    's#`completes after the crash`#`completes twice`#' 's#tests/jobs/test_pools.c#tests/jobs/test_pool.c#' \
    's#^\(| A clean stop.*|\) `.*#\1 |#'; do
    sed "$edit" "$ROOT/docs/guarantees.md" >"$PAGE"
    if said=$(check "$PAGE"); then
        echo "BROKEN: nothing is wrong after $edit: $said"
        exit 1
    fi
done
