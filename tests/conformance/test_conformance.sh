#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_conformance.sh BUILD_DIR - REST, the command line and gRPC give the same answers; and the program that
# says so fails when an answer lacks one field.
# shellcheck source=tests/support/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/stack.sh"
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
stack_start "$1" TASK_MAX_WORKERS=4 TASK_HIGH_PRIORITY_WORKERS=1
mkdir -p "$STACK_TMP/data/in/below"
cp "$DATA/text.pdf" "$DATA/utf8.txt" "$DATA/truncated.pdf" "$STACK_TMP/data/in"
cp "$DATA/latin1.txt" "$STACK_TMP/data/in/below"

# conformance [NAME=VALUE]... - runs the program with a new folder for its stubs.
conformance() {
    rm -rf "$STACK_TMP/work"
    mkdir -p "$STACK_TMP/work"
    env "$@" HTTP="127.0.0.1:$PORT" GRPC="127.0.0.1:$GRPC_PORT" DATA="$DATA" WORK="$STACK_TMP/work" \
        DIRECTORY="$STACK_TMP/data/in" PYTHONDONTWRITEBYTECODE=1 \
        /usr/bin/python3 "$HERE/conformance.py" "$STACK_BIN/localrag"
}

status=0
OUT=$(conformance CONFORMANCE_DROP= 2>&1) || status=$?
echo "$OUT"
[ "$status" -ne 77 ] || exit 77
check "all answers are the same" same 0 "$status"

for drop in rest:retry_count cli:chunk_index; do
    status=0
    OUT=$(conformance CONFORMANCE_DROP=$drop 2>&1) || status=$?
    check "without $drop it fails" same 1 "$status"
    check "and names the field" has "$OUT" "${drop#*:}: only one has it"
done
stack_done
