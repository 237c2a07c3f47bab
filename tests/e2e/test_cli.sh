#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_cli.sh BUILD_DIR - the command line against a real server: what it prints and its exit status.
# shellcheck source=tests/support/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/stack.sh"
stack_start "$1"

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
run 0 completion bash
OUT=$("$STACK_BIN/localrag" --server "127.0.0.1:$(free_port)" --timeout 5 jobs list 2>&1)
check "nobody there: exit 5" same 5 $?

stack_done
