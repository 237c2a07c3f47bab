#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_events.sh BUILD_DIR - Server-Sent Events: all jobs, one job, and what a client that comes back
# gets; after a restart of the server too.
# shellcheck source=tests/support/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/stack.sh"
stack_start "$1"

READERS=()
# read_events FILE PATH [CURL ARGUMENT]... - a reader in the background; waits until it is connected.
read_events() {
    curl -sSN --max-time 120 "${@:3}" "http://127.0.0.1:$PORT$2" >"$1" 2>&1 &
    READERS+=("$!")
    wait_until 10 grep -q '^: connected' "$1" || echo "not connected: $(head -c 300 "$1")"
}
# event FILE STATUS JOB - whether the file has a state event of that job with that status.
event() { grep -A2 '^event: state' "$1" | grep "\"job_id\":\"$3\"" | grep -q "\"status\":\"$2\""; }
# A job that starts at once may be told first as processing: states faster than a row read are told as
# the newest one.
begun() { event "$1" pending "$2" || event "$1" processing "$2"; }
last_id() { sed -n 's/^id: //p' "$1" | tail -n 1; }
count() { grep -c "$1" "$2"; }

upload "$DATA/utf8.txt"
old=$JOB
job_wait "$old"

all=$STACK_TMP/all done=$STACK_TMP/done one=$STACK_TMP/one
read_events "$all" /api/v1/jobs/events
read_events "$done" "/api/v1/jobs/events?status=completed&status=failed&task_type=single_document"
check "a stream says how fast to come back" has "$(cat "$all")" "retry: 2000"

upload "$DATA/mixed.pdf"
job=$JOB
read_events "$one" "/api/v1/jobs/$job/events"
check "the beginning is told" wait_until 30 begun "$all" "$job"
check "the end is told" wait_until 60 event "$all" completed "$job"
check "the filtered stream has it too" wait_until 10 event "$done" completed "$job"
check "and nothing else of it" same 1 "$(count '^event:' "$done")"
check "jobs of before are not told" same 0 "$(count "$old" "$all")"
check "the stream of one job ends with the job" wait_until 10 gone "${READERS[2]}"
check "its end is told" event "$one" completed "$job"
ids() { sed -n 's/^id: //p' "$1"; }
check "ids only grow" same "$(ids "$one" | LC_ALL=C sort -u)" "$(ids "$one")"
id=$(last_id "$one")
check "both streams call the same change the same" grep -q "^id: $id" "$all"

rest -H "Last-Event-ID: $id" "/api/v1/jobs/$job/events"
check "who has the last event is told to stop asking" same 204 "$REST_STATUS"
rest "/api/v1/jobs/$job/events?last_event_id=$id"
check "also by parameter" same 204 "$REST_STATUS"
rest -H "Last-Event-ID: 0000000000-1-0000000000000000" "/api/v1/jobs/$job/events"
check "who has less gets the state" has "$REST_BODY" "id: $id"
rest -H "Last-Event-ID: of somebody else" "/api/v1/jobs/$job/events"
check "an id of somebody else is none" has "$REST_BODY" "id: $id"

# ---- steps that only say something else have ids of their own
mkdir -p "$STACK_TMP/data/many"
for i in $(seq 1200); do echo "File $i." >"$STACK_TMP/data/many/$i.txt"; done
rest -X POST /api/v1/workers/stop
rest -H 'Content-Type: application/json' -d "{\"directory_path\": \"$STACK_TMP/data/many\"}" \
    /api/v1/documents/ingest-directory
JOB=$(field job_id)
many=$STACK_TMP/many
read_events "$many" "/api/v1/jobs/$JOB/events"
check "the batch waits" wait_until 10 event "$many" pending "$JOB"
rest -X POST /api/v1/workers/start
listed() { grep -q '"progress_message":"Processed file' "$many"; }
check "and is listed" wait_until 60 listed
rest -X POST "/api/v1/jobs/$JOB/cancel"
check "its stream ends" wait_until 30 gone "${READERS[3]}"
check "what was found was told" grep -q '"progress_message":"Listing files, [0-9]* found"' "$many"
check "no two events have the same id" same "$(ids "$many" | LC_ALL=C sort -u)" "$(ids "$many")"
rest -H "Last-Event-ID: $(ids "$many" | head -n 3 | tail -n 1)" "/api/v1/jobs/$JOB/events"
check "who has an early one gets what came after" has "$REST_BODY" '"status":"cancelled"'

server_down
check "the stop ends the streams" wait_until 10 gone "${READERS[0]}"
server_up TASK_MAX_WORKERS=0
rest -H "Last-Event-ID: $id" "/api/v1/jobs/$job/events"
check "another server knows the id" same 204 "$REST_STATUS"

upload "$DATA/text.pdf"
job=$JOB
read_events "$one" "/api/v1/jobs/$job/events"
check "a waiting job is told at once" wait_until 10 event "$one" pending "$job"
id=$(last_id "$one")
kill "${READERS[-1]}"
read_events "$one" "/api/v1/jobs/$job/events" -H "Last-Event-ID: $id"
rest -X POST "/api/v1/jobs/$job/cancel"
check "the next change comes" wait_until 10 event "$one" cancelled "$job"
check "and the known one did not" same 1 "$(count '^event:' "$one")"

rest "/api/v1/jobs/events?status=done"
check "a bad filter is refused" same 400 "$REST_STATUS"
check "and named" has "$REST_BODY" '"field":"status"'
rest -H "Accept: application/json" /api/v1/jobs/events
check "a stream is not JSON" same 406 "$REST_STATUS"

rest /openapi.json
check "the document is there" same 200 "$REST_STATUS"
check "and knows the streams" has "$REST_BODY" '"/api/v1/jobs/events"'
etag=$(curl -sSI "http://127.0.0.1:$PORT/openapi.json" | sed -n 's/^ETag: \(.*\)\r$/\1/p')
rest -H "If-None-Match: $etag" /openapi.json
check "it is not sent twice" same 304 "$REST_STATUS"
rest -X POST /openapi.json
check "and not written" same 405 "$REST_STATUS"

stack_done
