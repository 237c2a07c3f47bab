#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_backlog.sh BUILD_DIR - QUEUE_MAX_BACKLOG: of more submissions than it allows the first are accepted
# and kept, the others refused with 503 or UNAVAILABLE and leave nothing; a large body is refused before it
# is read; when jobs end there is room again.
# shellcheck source=tests/support/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/stack.sh"
LIMIT=20 CALLERS=60
stack_start "$1" TASK_MAX_WORKERS=0 QUEUE_MAX_BACKLOG=$LIMIT

sql() { psql -qAt "$(stack_database)" -c "$1"; }
files() { find "$STACK_TMP/data/uploads" -type f | wc -l; }

for ((i = 0; i < CALLERS; i++)); do
    curl -sS --max-time 60 -o "$STACK_TMP/answer$i" -w '%{http_code}\n' -F "file=@$DATA/utf8.txt" \
        "http://127.0.0.1:$PORT/api/v1/documents/upload" >"$STACK_TMP/status$i" &
    callers[i]=$!
done
wait "${callers[@]}"
statuses=$(cat "$STACK_TMP"/status*)
check "as many are accepted as may wait" same $LIMIT "$(grep -c 202 <<<"$statuses")"
check "all others are told to come back" same $((CALLERS - LIMIT)) "$(grep -c 503 <<<"$statuses")"
check "every accepted one has its row" same $LIMIT "$(sql 'SELECT count(*) FROM processing_jobs')"
check "and its file; the others left none" same $LIMIT "$(files)"

# ---- every kind of submission, by every door ----

rest -D "$STACK_TMP/head" -F "file=@$DATA/utf8.txt" /api/v1/documents/upload
check "an upload" same 503 "$REST_STATUS"
check "its code" same UNAVAILABLE "$(field code)"
check "its reason" has "$REST_BODY" QUEUE_MAX_BACKLOG
check "when to come back" grep -qi '^retry-after: [1-9]' "$STACK_TMP/head"

{ echo %PDF-1.4; head -c 50000000 /dev/zero; } >"$STACK_TMP/large.pdf"
sent=$(curl -sS --max-time 60 -o "$STACK_TMP/answer" -w '%{http_code} %{size_upload}' \
    -F "file=@$STACK_TMP/large.pdf" "http://127.0.0.1:$PORT/api/v1/documents/upload")
check "a large upload" same 503 "${sent% *}"
check "is refused before its body is sent" [ "${sent#* }" -lt 1000000 ]

mkdir -p "$STACK_TMP/data/many"
cp "$DATA/utf8.txt" "$STACK_TMP/data/many/a.txt"
rest -H 'Content-Type: application/json' -d "{\"directory_path\": \"$STACK_TMP/data/many\"}" \
    /api/v1/documents/ingest-directory
check "a directory" same "503 UNAVAILABLE" "$REST_STATUS $(field code)"

status=0
said=$(localrag upload --no-wait "$DATA/utf8.txt" 2>&1) || status=$?
check "gRPC and the command line: exit status" same 8 "$status"
check "and the reason" has "$said" QUEUE_MAX_BACKLOG
check "reading goes on" [ "$(curl -sS -o /dev/null -w '%{http_code}' "http://127.0.0.1:$PORT/api/v1/jobs")" = 200 ]
check "nothing was left by any of them" same "$LIMIT $LIMIT" \
    "$(sql 'SELECT count(*) FROM processing_jobs') $(files)"

# ---- room again ----

JOB=$(sql 'SELECT min(job_id::text) FROM processing_jobs')
rest -X POST "/api/v1/jobs/$JOB/cancel"
check "one is cancelled" same 200 "$REST_STATUS"
accepted() {
    upload "$DATA/utf8.txt"
    [ "$REST_STATUS" = 202 ]
}
check "another takes its place" wait_until 20 accepted
upload "$DATA/utf8.txt"
check "and no more than that" same 503 "$REST_STATUS"
stack_done
