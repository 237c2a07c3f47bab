#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_directory.sh BUILD_DIR - a directory becomes one job whose files run by themselves: what is listed and
# what is refused, the counts at the end, cancelling and trying again, a worker that is killed in the middle.
# shellcheck source=tests/support/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/stack.sh"
stack_start "$1" TASK_BATCH_SIZE=3 TASK_MAX_WORKERS=3 TASK_HIGH_PRIORITY_WORKERS=1

IN=$STACK_TMP/data/in
sql() { psql -qAt "$(stack_database)" -c "$1"; }
# ingest DIRECTORY [MORE JSON] - sets JOB.
ingest() {
    rest -H 'Content-Type: application/json' -d "{\"directory_path\": \"$1\"${2:+, $2}}" \
        /api/v1/documents/ingest-directory
    JOB=$(field job_id)
}
# texts DIRECTORY FIRST LAST - small files of their own bytes.
texts() {
    local i
    mkdir -p "$1"
    for i in $(seq "$2" "$3"); do
        printf 'File %s of %s tells about lighthouse number %s.\n' "$i" "$1" "$i" >"$1/$(printf '%05d' "$i").txt"
    done
}
children() { sql "SELECT count(*) FROM processing_jobs WHERE parent_job_id = '$JOB' AND ${1:-true}"; }

# ---- twelve files, two of them broken, one twice
texts "$IN/a" 1 6
cp "$DATA/text.pdf" "$IN/a/07 a name with spaces.PDF"
cp "$DATA/mixed.pdf" "$IN/a/08.pdf"
mkdir "$IN/a/deeper"
printf 'A Latin-1 name.\n' >"$IN/a/deeper/$(printf '09-\351.txt')"
cp "$IN/a/00001.txt" "$IN/a/deeper/10.txt"
cp "$DATA/random.pdf" "$IN/a/11.pdf"
head -c 20000 /bin/true >"$IN/a/12.txt"
touch "$IN/a/ignored.exe" "$IN/a/.hidden.txt"
ln -s /etc "$IN/a/etc"
ln -s /etc/hostname "$IN/a/hostname.txt"
ln -s "$IN/a" "$IN/a/deeper/cycle"
ln -s "$IN/a/00001.txt" "$IN/a/deeper/link.txt"
ingest "$IN/a" '"metadata": {"shelf": "A"}'
check "ingest answers 202" same 202 "$REST_STATUS"
check "queued" same queued "$(field status)"
check "with all files that can be read, each once" same 12 "$(field total_files_found)"
check "and the path as it was asked" same "$IN/a" "$(field directory_path)"
job_wait "$JOB"
check "the batch completes" same completed "$(field status)"
check "as a directory_batch" same directory_batch "$(field task_type)"
check "of medium priority" same medium "$(field priority)"
check "all files are counted" same 12 "$(field pages_done)"
rest "/api/v1/jobs/$JOB/result"
for want in total_files=12 successful=9 failed=2 skipped=1 cancelled=0; do
    check "${want%=*}" same "${want#*=}" "$(field "${want%=*}")"
done
check "the summary says it" has "$REST_BODY" "Processed 12 files: 9 successful, 1 skipped as duplicates, 2 failed."
check "failed files are named" has "$REST_BODY" "$IN/a/11.pdf"
check "with their codes" has "$REST_BODY" UNSUPPORTED
check "and the other one" has "$REST_BODY" UNREADABLE
check "files were begun in the order of their names" same "" "$(sql "
    SELECT parent_path FROM (SELECT parent_path, started_at, max(started_at) OVER (ORDER BY id ROWS
        BETWEEN UNBOUNDED PRECEDING AND 6 PRECEDING) AS before FROM processing_jobs
        WHERE parent_job_id = '$JOB') AS s WHERE started_at < before")"
rest "/api/v1/jobs"
check "files are not in the list" same 1 "$(field total)"
rest "/api/v1/jobs?parent_job_id=$JOB"
check "unless asked for" same 12 "$(field total)"
rest /api/v1/documents
check "nine documents" same 9 "$(field total)"
check "with the metadata" has "$REST_BODY" '"shelf"'
check "originals stay where they were" [ -f "$IN/a/08.pdf" ]
document=$(sql "SELECT document_id FROM documents WHERE file_path LIKE 'file://%'")
check "a name that is no UTF-8 was read" [ -n "$document" ]
rest -X DELETE "/api/v1/documents/$(sql "SELECT document_id FROM documents WHERE file_name = '08.pdf'")"
check "deleting a document leaves the owner's file" [ -f "$IN/a/08.pdf" ]
rest -X POST "/api/v1/jobs/$JOB/retry"
check "a completed batch cannot be tried again" same 409 "$REST_STATUS"

# ---- one file of a finished batch, tried again by hand
broken=$(sql "SELECT job_id FROM processing_jobs WHERE parent_job_id = '$JOB' AND parent_path = '12.txt'")
printf 'Now it is a text.\n' >"$IN/a/12.txt"
rest -X POST "/api/v1/jobs/$broken/retry"
check "a file is tried again alone" same 200 "$REST_STATUS"
job_wait "$broken"
check "and completes" same completed "$(field status)"
rest "/api/v1/jobs/$JOB/result"
check "its batch stays as it was" same 2 "$(field failed)"

# ---- patterns, no match, refusals
ingest "$IN/a" '"file_patterns": ["*.pdf", "**/1?.txt"], "recursive": false'
check "patterns, without folders" same 4 "$(field total_files_found)"
job_wait "$JOB"
ingest "$IN/a" '"file_patterns": ["*.docx"]'
check "no match is 202" same 202 "$REST_STATUS"
check "with no files" same 0 "$(field total_files_found)"
rest "/api/v1/jobs/$JOB/result"
check "and a result at once" same 200 "$REST_STATUS"
check "of no files" same 0 "$(field total_files)"
ingest in/a '"file_patterns": ["00001.txt"]'
check "a relative path begins at the first root" same 1 "$(field total_files_found)"
job_wait "$JOB"
refused() { # WANT_STATUS WANT_CODE PATH [MORE JSON]
    ingest "$3" "${4-}"
    check "$3 ${4-} is refused with $1" same "$1 $2" "$REST_STATUS $(field code)"
}
ln -s /etc "$STACK_TMP/data/out"
refused 403 PERMISSION_DENIED /etc
refused 403 PERMISSION_DENIED /no/such/place
refused 403 PERMISSION_DENIED "$STACK_TMP/data/out"
refused 403 PERMISSION_DENIED "${STACK_TMP}/data-other"
refused 400 INVALID_ARGUMENT "$IN/../in/a"
refused 400 INVALID_ARGUMENT ../../etc
refused 400 INVALID_ARGUMENT "$IN/missing"
refused 400 INVALID_ARGUMENT "$IN/a/08.pdf"
refused 400 INVALID_ARGUMENT ""
refused 400 INVALID_ARGUMENT "$IN/a" '"file_patterns": [""]'
refused 400 INVALID_ARGUMENT "$IN/a" '"file_patterns": ["sub/*.pdf"]'
refused 400 INVALID_ARGUMENT "$IN/a" "\"file_patterns\": [$(printf '"*.x",%.0s' $(seq 100)) \"*.y\"]"
upload "$DATA/utf8.txt"
job_wait "$JOB"
ingest "$STACK_TMP/data/uploads"
check "what the store wrote is not read again" same 0 "$(field total_files_found)"
cp "$DATA/latin1.txt" "$STACK_TMP/data/uploads/mine.txt"
ingest "$STACK_TMP/data/uploads"
check "what somebody put beside it is" same 1 "$(field total_files_found)"
job_wait "$JOB"

# ---- cancel in the middle, then try again
mkdir "$IN/b"
for i in $(seq 10 21); do (cat "$DATA/scan.pdf"; echo "% $i") >"$IN/b/$i.pdf"; done
ingest "$IN/b"
localrag jobs watch "$JOB" >"$STACK_TMP/watched" 2>&1 &
watcher=$!
started() { [ "$(children "status = 'completed'")" -ge 1 ]; }
check "files complete one by one" wait_until 60 started
check "no more than TASK_BATCH_SIZE may run" [ "$(children "status IN ('pending', 'processing', 'retrying')
    AND ready_at < 'infinity'")" -le 3 ]
rest "/api/v1/jobs/$JOB"
check "the batch is processing" same processing "$(field status)"
check "and tells how far it is" has "$(field progress_message)" "of 12"
one=$(sql "SELECT job_id FROM processing_jobs WHERE parent_job_id = '$JOB' AND parent_path = '21.pdf'")
rest -X POST "/api/v1/jobs/$one/cancel"
check "one file can be cancelled" same 200 "$REST_STATUS"
rest -X POST "/api/v1/jobs/$JOB/cancel"
check "the batch can be cancelled" same 200 "$REST_STATUS"
rest -X POST "/api/v1/jobs/$JOB/cancel"
check "twice" same 200 "$REST_STATUS"
check "who watched it is told" wait_until 10 gone $watcher
check "of files" has "$(cat "$STACK_TMP/watched")" "Processed file"
check "and of the end" has "$(cat "$STACK_TMP/watched")" ancelled
check "no file is left unfinished" same 0 "$(children "status IN ('pending', 'processing', 'retrying')")"
kept=$(children "status = 'completed'")
check "some were cancelled" [ "$(children "status = 'cancelled'")" -eq $((12 - kept)) ]
idle() { [ "$(sql "SELECT count(*) FROM workers WHERE current_job IS NOT NULL")" = 0 ]; }
check "the workers let go" wait_until 20 idle
rest "/api/v1/jobs/$JOB/result"
check "a cancelled batch has no result" same 409 "$REST_STATUS"
rest -X POST "/api/v1/jobs/$JOB/retry"
check "it can be tried again" same 200 "$REST_STATUS"

# ---- and kill the workers in the middle of that
more() { [ "$(children "status = 'completed'")" -gt "$kept" ]; }
check "it goes on" wait_until 60 more
worker=$(child_of "$STACK_PID" localrag-worker)
kill -KILL "$worker"
job_wait "$JOB" 200
check "the batch completes all the same" same completed "$(field status)"
rest "/api/v1/jobs/$JOB/result"
check "no file is lost" same 12 "$(field total_files)"
check "all successful" same 12 "$(field successful)"
check "none is doubled" same 12 "$(sql "SELECT count(*) FROM documents WHERE file_path LIKE '$IN/b/%'")"
check "pages and chunks of each once" same "12 12" "$(sql "
    SELECT count(DISTINCT p.revision_id) || ' ' || count(DISTINCT c.revision_id) FROM documents AS d
    JOIN document_pages AS p USING (revision_id) JOIN chunks AS c USING (revision_id)
    WHERE d.file_path LIKE '$IN/b/%'")"

# ---- a directory that is gone when a worker gets to it
rest -H 'Content-Type: application/json' -d '{"now": true}' /api/v1/workers/stop
texts "$IN/c" 1 3
ingest "$IN/c"
mv "$IN/c" "$IN/c.away"
rest -X POST /api/v1/workers/start
job_wait "$JOB"
check "the batch fails" same failed "$(field status)"
check "because it is gone" same FILE_MISSING "$(field error_code)"
mv "$IN/c.away" "$IN/c"
rest -X POST "/api/v1/jobs/$JOB/retry"
job_wait "$JOB"
check "tried again it completes" same completed "$(field status)"
rest "/api/v1/jobs/$JOB/result"
check "with its files" same 3 "$(field successful)"
check "no batch was left behind on the way" same 0 "$(grep -c 'left behind' "$STACK_TMP/log")"

stack_done
