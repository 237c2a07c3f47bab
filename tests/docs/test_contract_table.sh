#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_contract_table.sh - docs/contract.md is complete; and the check fails for a table that is not.
set -uo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
TABLE=$(mktemp)
trap 'rm -f "$TABLE"' EXIT
export PYTHONDONTWRITEBYTECODE=1
check() { /usr/bin/python3 "$ROOT/tests/docs/contract_table.py" "$@"; }

check || exit 1
# One row less of each kind, a test that is not there, a row for nothing.
# shellcheck disable=SC2016 # backquotes of Markdown
for edit in '/`JobService.WatchJobs`/d' '/`TASK_BATCH_SIZE`/d' '/`processing_jobs.payload`/d' '/`localrag ingest`/d' \
    's#`tests/e2e/test_directory.sh`#`tests/e2e/test_nothing.sh`#' 's#`state failed`#`state lost`#'; do
    sed "$edit" "$ROOT/docs/contract.md" >"$TABLE"
    if said=$(check "$TABLE"); then
        echo "BROKEN: nothing is wrong after $edit: $said"
        exit 1
    fi
done
