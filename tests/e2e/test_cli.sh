#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_cli.sh BUILD_DIR - the command line against a real server: what it prints and its exit status.
# shellcheck source=tests/support/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/stack.sh"
stack_start "$1" TASK_MAX_RETRIES=0 TASK_MAX_WORKERS=3 TASK_HIGH_PRIORITY_WORKERS=1

# run WANT ARGUMENT... - runs the CLI, checks its exit status, keeps what it said in OUT.
run() {
    local want=$1 status=0
    shift
    OUT=$(localrag "$@" 2>&1 </dev/null) || status=$?
    check "localrag $* exits $want: $OUT" same "$want" "$status"
}
job_of() { sed -n 's/.*"job_id": *"\([^"]*\)".*/\1/p' <<<"$OUT" | head -n 1; }

run 0 --version
run 0 --help
run 0 help jobs retry
check "help of one command" has "$OUT" --failed
run 0 help --man
run 2 help frobnicate
run 2 frobnicate
run 2 jobs status
run 0 health
run 0 upload "$DATA/text.pdf" "$DATA/mixed.pdf"
check "upload tells pages and engines" has "$OUT" "3 (2 text, 1 ocr)"
run 1 upload "$DATA/encrypted.pdf"
check "a failed upload tells why" has "$OUT" "password"
printf 'marmalade\n' >"$STACK_TMP/password"
run 0 upload --password-file "$STACK_TMP/password" "$DATA/encrypted.pdf"
run 7 upload "$DATA/fake.pdf"
run 7 upload "$STACK_TMP/does-not-exist.pdf"
run 0 --json upload --no-wait "$DATA/utf8.txt"
job=$(job_of)
check "--json names the job" [ -n "$job" ]
run 0 upload --no-wait "$DATA/utf8.txt"
check "a job that is only queued is not said to be at 100 %" same "" "$(grep "100.0 %" <<<"$OUT")"
run 0 jobs watch "$job"
run 0 jobs status "$job"
check "status says completed" has "$OUT" completed
run 0 jobs result "$job"
run 0 --json jobs result "$job"
document=$(sed -n 's/.*"document_id": *"\([^"]*\)".*/\1/p' <<<"$OUT" | head -n 1)
run 0 documents show "$document"
run 0 documents pages "$document"
run 0 documents chunks "$document"
run 0 documents text "$document"
check "the text of a document is its text" has "$OUT" "Маяк виден издалека"
run 4 jobs cancel "$job"
run 3 jobs status 00000000-0000-0000-0000-000000000000
run 0 jobs list --status failed
check "the failed job is listed" has "$OUT" encrypted
run 0 workers status
check "workers as the contract prints them" has "$OUT" "high-priority-1 (high)"

# A directory of the server: two that can be read, one that cannot, one more below.
mkdir -p "$STACK_TMP/data/in/below"
cp "$DATA/text.pdf" "$DATA/page.png" "$STACK_TMP/data/in"
cp "$DATA/random.pdf" "$STACK_TMP/data/in/below"
run 1 ingest "$STACK_TMP/data/in"
check "a batch counts its files" has "$OUT" "3 ("
check "and names the one that failed with its reason" has "$OUT" "failed      $STACK_TMP/data/in/below/random.pdf: "
run 0 ingest "$STACK_TMP/data/in" --no-recursive --pattern '*.png' --pattern '*.pdf'
check "--no-recursive leaves out what is below" has "$OUT" "2 ("
run 0 --json ingest "$STACK_TMP/data/in" --pattern '*.nothing'
check "a batch without files completes" has "$OUT" '"total_files":0'
run 0 ingest "$STACK_TMP/data/in" --no-wait
check "--no-wait says how to follow" has "$OUT" "jobs watch"
check "with the program as it was called" has "$OUT" "  $STACK_BIN/localrag --server 127.0.0.1:$GRPC_PORT jobs watch"
run 6 ingest /etc
check "and says which directories may be read" has "$OUT" "$STACK_TMP/data"
run 7 ingest "$STACK_TMP/data/nothing"
run 0 --json jobs list --type directory_batch
batch=$(sed -n '$s/^{"job_id": *"\([^"]*\)".*/\1/p' <<<"$OUT")
run 0 jobs list --batch "$batch"
check "the files of a batch can be listed" has "$OUT" random.pdf

run 0 documents list
check "documents are listed" has "$OUT" mixed.pdf
run 0 --json documents list --limit 1
check "as many as asked for" same 1 "$(wc -l <<<"$OUT")"
run 0 documents reprocess "$document"
check "a document is read again" has "$OUT" "document    $document"
run 0 documents show "$document"
check "which counts" has "$OUT" "revision    2"
run 0 documents reprocess "$document" --no-wait
run 0 jobs watch "$(sed -n 's/^  job  *//p' <<<"$OUT")"
run 3 documents reprocess 00000000-0000-0000-0000-000000000000
run 3 documents delete "$document" 00000000-0000-0000-0000-000000000000
check "one that is unknown does not keep the other" has "$OUT" "$document deleted"
run 3 documents show "$document"

run 4 jobs retry "$job"
run 2 jobs retry
run 2 jobs retry --failed "$job"
run 0 jobs retry --failed
check "all failed jobs are retried" has "$OUT" "failed job"
check "each with its message" has "$OUT" "queued for retry"
run 0 jobs stats
check "statistics" has "$OUT" "in the last 24 hours"
run 0 workers stop --now
check "stop says so" has "$OUT" stopped
run 0 workers status
check "status too" has "$OUT" "stopped by request"
run 0 jobs retry --failed
run 0 workers start --max 2 --high 1
check "start says so" has "$OUT" running
run 7 jobs cleanup --days 4000
run 0 jobs cleanup
check "nothing is that old" has "$OUT" "Cleaned up 0 jobs"
run 0 jobs cleanup --days 0
run 3 jobs status "$job"

run 0 completion bash
OUT=$("$STACK_BIN/localrag" --server "127.0.0.1:$(free_port)" --timeout 5 jobs list 2>&1)
check "nobody there: exit 5" same 5 $?

stack_done
