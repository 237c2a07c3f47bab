#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_lines.sh BUILD_DIR - every curl and `python cli.py` line of the contract, as printed, against a real
# server; and the things it says about the log and the tables.
# shellcheck source=tests/support/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/stack.sh"
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
stack_start "$1" TASK_MAX_WORKERS=4 TASK_HIGH_PRIORITY_WORKERS=2
server_down
mkdir -p "$STACK_TMP/logs"
server_up LOG_FILE_PATH=logs/localrag.log

# cli.py alone, away from a checkout, finds `localrag` in PATH; Debian has no `python`.
mkdir -p "$STACK_TMP/work/bin" "$STACK_TMP/data/uploads"
cp "$ROOT/cli.py" "$STACK_TMP/work"
ln -s /usr/bin/python3 "$STACK_TMP/work/bin/python"
cp "$DATA/text.pdf" "$STACK_TMP/document.pdf"
cp "$DATA/mixed.pdf" "$DATA/utf8.txt" "$STACK_TMP/data/uploads"

OUT=$(PATH="$STACK_TMP/work/bin:$STACK_BIN:$PATH" HTTP="127.0.0.1:$PORT" DOCUMENT="$STACK_TMP/document.pdf" \
    DIRECTORY="$STACK_TMP/data/uploads" WORK="$STACK_TMP/work" LOCALRAG_SERVER="127.0.0.1:$GRPC_PORT" \
    /usr/bin/python3 "$HERE/lines.py" 2>&1)
status=$?
echo "$OUT"
check "every line of the contract" same 0 "$status"
check "and they were many" [ "$(sed -n 's/^\([0-9]*\) lines, .*/\1/p' <<<"$OUT")" -ge 35 ]

# The contract greps the log and prints two tables.
check "the log is where the contract greps it" grep -qi worker "$STACK_TMP/logs/localrag.log"
columns() {
    awk -v table="CREATE TABLE $1 (" 'index($0, table) == 1 { on = 1; next } on && /^\);/ { on = 0 }
        on && $1 ~ /^[a-z_]+$/ { print $1 }' "$HERE/background-processing.md" | sort
}
for table in processing_jobs job_statistics; do
    wanted=$(columns $table)
    check "the contract has columns of $table" [ "$(wc -l <<<"$wanted")" -ge 6 ]
    check "$table has every column of the contract" same '' "$(psql -qAt "$(stack_database)" -c \
        "SELECT column_name FROM information_schema.columns WHERE table_name = '$table'" | sort |
        comm -23 <(echo "$wanted") -)"
done
check "a query that somebody wrote against them works" same completed "$(psql -qAt "$(stack_database)" -c \
    "SELECT status FROM processing_jobs WHERE task_type = 'single_document' AND progress >= 100.0
     AND error_message IS NULL AND retry_count = 0 AND actual_duration >= 0 AND result->>'chunk_count' > '0'
     AND started_at <= completed_at AND worker_id IS NOT NULL ORDER BY created_at LIMIT 1")"

stack_done
