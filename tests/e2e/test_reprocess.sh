#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_reprocess.sh BUILD_DIR - a document is read again with other settings: readers have the old reading
# until the new one replaces it, and nothing of the old one stays.
# shellcheck source=tests/support/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/stack.sh"
stack_start "$1" CHUNK_SIZE=1000 CHUNK_OVERLAP=100

sql() { psql -qAt "$(stack_database)" -c "$1"; }
reprocess() {
    rest -X POST "/api/v1/documents/$1/reprocess"
    JOB=$(field job_id)
}
chunks_of() {
    rest "/api/v1/documents/$1/chunks"
    field total
}

yes "The keeper of the lighthouse writes a line into his book every evening." | head -n 200 >"$STACK_TMP/book.txt"
upload "$STACK_TMP/book.txt" -F 'metadata={"shelf": "B"}'
job_wait "$JOB"
rest "/api/v1/jobs/$JOB/result"
document=$(field document_id)
before=$(chunks_of "$document")
rest "/api/v1/documents/$document"
check "the first revision" same 1 "$(field revision)"

server_down
server_up CHUNK_SIZE=300 CHUNK_OVERLAP=30
rest -H 'Content-Type: application/json' -d '{"now": true}' /api/v1/workers/stop
reprocess "$document"
check "reprocess answers 202" same 202 "$REST_STATUS"
check "queued" same queued "$(field status)"
check "for the document" same "$document" "$(field document_id)"
check "readers still have the old chunks" same "$before" "$(chunks_of "$document")"
rest -X POST /api/v1/workers/start
job_wait "$JOB"
check "it completes" same completed "$(field status)"
check "as a document_reprocess" same document_reprocess "$(field task_type)"
rest "/api/v1/jobs/$JOB/result"
check "with the document" same "$document" "$(field document_id)"
check "no short cut was taken" same null "$(field duplicate_of)"
after=$(chunks_of "$document")
check "there are more, smaller chunks" [ "$after" -gt "$before" ]
rest "/api/v1/documents/$document"
check "the second revision" same 2 "$(field revision)"
check "counts the new chunks" same "$after" "$(field chunk_count)"
check "keeps the metadata" has "$REST_BODY" '"shelf"'
check "nothing of the old revision is left" same "1 1" "$(sql "SELECT
    (SELECT count(DISTINCT revision_id) FROM chunks) || ' ' || (SELECT count(DISTINCT revision_id) FROM document_pages)")"

upload "$STACK_TMP/book.txt"
job_wait "$JOB"
rest "/api/v1/jobs/$JOB/result"
check "the same bytes with today's settings are a duplicate of it" same "$document" "$(field duplicate_of)"

# A reader that reads all the time sees whole revisions only.
(while [ ! -e "$STACK_TMP/stop" ]; do
    curl -fsS "http://127.0.0.1:$PORT/api/v1/documents/$document/chunks?limit=1000" | grep -o '"chunk_index"' | wc -l
done) >"$STACK_TMP/seen" 2>&1 &
reader=$!
for _ in 1 2 3 4; do
    reprocess "$document"
    job_wait "$JOB"
done
touch "$STACK_TMP/stop"
wait $reader
check "a reader saw all chunks every time" same "$after" "$(sort -u "$STACK_TMP/seen" | tr '\n' ' ' | sed 's/ $//')"
rest "/api/v1/documents/$document"
check "six revisions" same 6 "$(field revision)"

rest -H 'Content-Type: application/json' -d '{"now": true}' /api/v1/workers/stop
reprocess "$document"
rest -X DELETE "/api/v1/documents/$document"
rest -X POST /api/v1/workers/start
job_wait "$JOB"
check "the original went with the document" same FILE_MISSING "$(field error_code)"

mkdir "$STACK_TMP/data/in"
cp "$DATA/utf8.txt" "$STACK_TMP/data/in/keep.txt"
rest -H 'Content-Type: application/json' -d '{"directory_path": "in"}' /api/v1/documents/ingest-directory
job_wait "$(field job_id)"
document=$(sql "SELECT document_id FROM documents WHERE file_name = 'keep.txt'")
rest -H 'Content-Type: application/json' -d '{"now": true}' /api/v1/workers/stop
reprocess "$document"
rest -X DELETE "/api/v1/documents/$document"
rest -X POST /api/v1/workers/start
job_wait "$JOB"
check "a document that was deleted meanwhile does not come back" same DOCUMENT_DELETED "$(field error_code)"
check "and nothing else does" same 0 "$(sql "SELECT count(*) FROM documents")"

reprocess 00000000-0000-0000-0000-000000000000
check "an unknown document is 404" same 404 "$REST_STATUS"
reprocess nonsense
check "no id is 400" same 400 "$REST_STATUS"

stack_done
