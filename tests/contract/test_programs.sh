#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_programs.sh BUILD_DIR - the two Python programs of the contract, as printed, against a real server.
# They use the real "requests"; without it the test is skipped.
PYTHON=/usr/bin/python3
"$PYTHON" -c 'import requests' 2>/dev/null || { echo "skipped: no python3-requests"; exit 77; }
# shellcheck source=tests/support/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/stack.sh"
stack_start "$1"

mkdir -p "$STACK_TMP/data/uploads"
cp "$DATA/mixed.pdf" "$STACK_TMP/document.pdf"
cp "$DATA/text.pdf" "$DATA/utf8.txt" "$DATA/page.png" "$STACK_TMP/data/uploads"

status=0
OUT=$(timeout 100 "$PYTHON" "$(dirname "${BASH_SOURCE[0]}")/programs.py" "127.0.0.1:$PORT" \
    "$STACK_TMP/document.pdf" "$STACK_TMP/data/uploads" 2>&1) || status=$?
echo "$OUT"
check "both programs end by themselves, with status 0" same 0 "$status"
check "the first shows progress" has "$OUT" "Progress: "
check "up to 100" has "$OUT" "Progress: 100.0% - "
check "and the result" has "$OUT" "Processing complete: {"
check "which completed" has "$OUT" "'status': 'completed'"
check "the second shows the state" has "$OUT" "Status: completed - Progress: 100.0%"
check "and how many files were read" has "$OUT" "Processed 3/3 files"

# What they do with a document that cannot be read: they end as well.
cp "$DATA/random.pdf" "$STACK_TMP/document.pdf"
cp "$DATA/random.pdf" "$STACK_TMP/data/uploads/broken.pdf"
status=0
OUT=$(timeout 100 "$PYTHON" "$(dirname "${BASH_SOURCE[0]}")/programs.py" "127.0.0.1:$PORT" \
    "$STACK_TMP/document.pdf" "$STACK_TMP/data/uploads" 2>&1) || status=$?
echo "$OUT"
check "both end for bad documents too" same 0 "$status"
check "the first says that the job failed" has "$OUT" "'code': 'WRONG_STATE'"
check "the second counts the others" has "$OUT" "/4 files"

stack_done
