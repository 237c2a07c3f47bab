#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_gone.sh BUILD_DIR - clients that go away: in the middle of an upload nothing is left of it, and
# who only stops watching leaves his job alone. And two who send the same file at the same moment.
# shellcheck source=tests/support/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/stack.sh"
stack_start "$1" TASK_MAX_WORKERS=0 # jobs wait for as long as it takes

incoming() { find "$STACK_TMP/data/uploads" -path '*/.incoming/*' -type f "$@" 2>/dev/null; }
arriving() { [ -n "$(incoming -size +0)" ]; }
nothing_left() { [ -z "$(incoming)" ]; }
sql() { psql -qAt "$(stack_database)" -c "$1"; }
nothing_happened() {
    check "$1: the temp file is gone" wait_until 20 nothing_left
    check "$1: there is no job" same 0 "$(sql 'SELECT count(*) FROM processing_jobs')"
    check "$1: there is no file" same 0 "$(find "$STACK_TMP/data/uploads" -type f | wc -l)"
}

{ echo %PDF-1.4; head -c 3000000 /dev/zero; } >"$STACK_TMP/large.pdf"

curl -sS --limit-rate 200k -F "file=@$STACK_TMP/large.pdf" \
    "http://127.0.0.1:$PORT/api/v1/documents/upload" >/dev/null 2>&1 &
client=$!
disown "$client" # the shell shall not say that it was killed
check "REST: the upload arrives" wait_until 20 arriving
kill -KILL "$client"
nothing_happened "REST, client killed"

# Half a body, then an orderly goodbye; once with a length, once in chunks.
part=$'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n%PDF-1.4 '
for framing in "Content-Length: 1000000" "Transfer-Encoding: chunked"; do
    exec 5<>"/dev/tcp/127.0.0.1/$PORT"
    {
        printf 'POST /api/v1/documents/upload HTTP/1.1\r\nHost: localhost\r\n%s\r\n' "$framing"
        printf 'Content-Type: multipart/form-data; boundary=edge\r\n\r\n'
        [[ $framing != *chunked ]] || printf '%x\r\n' 100000
        printf '%s%070000d' "$part" 0 # what is smaller than 64 KiB is no file yet
    } >&5
    check "REST, $framing: half a file arrives" wait_until 20 arriving
    exec 5>&- 5<&-
    nothing_happened "REST, $framing cut off"
done

# The client itself in the background, no shell around it; scripts start such jobs deaf to SIGINT.
interruptible() { exec env --default-signal=INT "$STACK_BIN/localrag" --server "127.0.0.1:$GRPC_PORT" "$@"; }

# A file with more bytes than can have arrived when the client is killed.
echo %PDF-1.4 >"$STACK_TMP/sparse.pdf"
truncate -s 900M "$STACK_TMP/sparse.pdf"
interruptible upload --no-wait "$STACK_TMP/sparse.pdf" >/dev/null 2>&1 &
client=$!
disown "$client"
check "gRPC: the upload arrives" wait_until 20 arriving
kill -KILL "$client"
nothing_happened "gRPC, client killed"

interrupt() {
    local status=0
    kill -INT "$client" 2>/dev/null
    wait_until 20 gone "$client" || kill -KILL "$client"
    wait "$client" || status=$?
    check "$1: exit status 130" same 130 "$status"
}
interruptible upload --no-wait "$STACK_TMP/sparse.pdf" >"$STACK_TMP/out" 2>&1 &
client=$!
check "gRPC: it arrives again" wait_until 20 arriving
interrupt "Ctrl-C while uploading"
nothing_happened "gRPC, Ctrl-C"
rm "$STACK_TMP/sparse.pdf"

upload "$DATA/scan.pdf"
watched=$JOB
interruptible jobs watch "$watched" >"$STACK_TMP/out" 2>&1 &
client=$!
check "the watcher sees the job" wait_until 20 grep -qi wait "$STACK_TMP/out"
interrupt "Ctrl-C while watching"
check "and says how to go on" has "$(cat "$STACK_TMP/out")" "jobs watch $watched"
interruptible upload "$DATA/mixed.pdf" >"$STACK_TMP/out" 2>&1 &
client=$!
two_jobs() { [ "$(sql 'SELECT count(*) FROM processing_jobs')" = 2 ]; }
check "the CLI's upload became a job" wait_until 20 two_jobs
check "the CLI watches it" wait_until 20 grep -qi wait "$STACK_TMP/out"
interrupt "Ctrl-C while waiting for an upload"
uploaded=$(sql "SELECT job_id FROM processing_jobs WHERE job_id <> '$watched'")
[ -n "$uploaded" ] || exit 1
rest "/api/v1/jobs/$uploaded"
check "its job waits on" same pending "$(field status)"

# The same bytes twice at once; then workers, so that the jobs start at once, too.
for i in 1 2; do
    curl -sS --max-time 60 -F "file=@$DATA/text.pdf" "http://127.0.0.1:$PORT/api/v1/documents/upload" \
        >"$STACK_TMP/twin$i" 2>&1 &
    twins[i]=$!
done
wait "${twins[@]}"
server_down
server_up TASK_MAX_WORKERS=4
duplicates=''
for i in 1 2; do
    REST_BODY=$(cat "$STACK_TMP/twin$i")
    JOB=$(field job_id)
    check "twin $i has a job of its own" [ "$JOB" != "${other-}" ]
    other=$JOB
    job_wait "$JOB"
    check "twin $i completes" same completed "$(field status)"
    rest "/api/v1/jobs/$JOB/result"
    document=$(field document_id)
    duplicates+=" $(field duplicate_of)"
done
check "they are one document" same 1 "$(sql "SELECT count(*) FROM documents WHERE file_name = 'text.pdf'")"
check "and one of them says so" has "$duplicates" "$document"
check "but not both" has "$duplicates" null

for job in "$watched" "$uploaded"; do
    job_wait "$job"
    check "a job nobody watches completes" same completed "$(field status)"
done
stack_done
