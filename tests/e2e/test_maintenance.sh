#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_maintenance.sh BUILD_DIR - what is done from time to time, seen from outside: jobs that can be listed
# and cancelled, files that go when nobody needs them, and a single worker that is not held up.
# shellcheck source=tests/support/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/stack.sh"
stack_start "$1" TASK_MAX_WORKERS=1 TASK_HIGH_PRIORITY_WORKERS=0 TASK_MAX_RETRIES=0
UPLOADS=$STACK_TMP/data/uploads

sql() { psql -qAt "$(stack_database)" -c "$1"; }
# maintain KIND - as if its time had come; waits for its end. Sets CHORE.
maintain() {
    sql "UPDATE maintenance SET submitted_at = '-infinity', job_id = NULL WHERE kind = '$1'"
    submitted() {
        CHORE=$(sql "SELECT job_id FROM maintenance WHERE kind = '$1' AND job_id IS NOT NULL")
        [ -n "$CHORE" ]
    }
    wait_until 20 submitted "$1" || { echo "no $1 was submitted"; return 1; }
    job_wait "$CHORE"
}
stored() { [ -n "$(find "$UPLOADS/$1" -type f 2>/dev/null)" ]; }
not_stored() { [ ! -e "$UPLOADS/$1" ]; }
age_files() { find "$UPLOADS" -mindepth 1 -maxdepth 1 -type d -exec touch -d '2 hours ago' {} +; }

# ---- an upload of each fate
upload "$DATA/text.pdf"; document_job=$JOB
job_wait "$document_job"
upload "$DATA/text.pdf"; duplicate=$JOB
job_wait "$duplicate"
upload "$DATA/random.pdf"; failed=$JOB
job_wait "$failed"
check "a broken file fails" same failed "$(field status)"
upload "$DATA/utf8.txt"; deleted=$JOB
job_wait "$deleted"
rest "/api/v1/jobs/$deleted"
rest -X DELETE "/api/v1/documents/$(field document_id)"
check "the original of a deleted document goes at once" not_stored "$deleted"
rest -X POST /api/v1/workers/stop
upload "$DATA/latin1.txt"; waiting=$JOB
upload "$DATA/mixed.pdf"; cancelled=$JOB
rest -X POST "/api/v1/jobs/$cancelled/cancel"

# ---- while no worker runs, maintenance waits and figures are right
sql "UPDATE maintenance SET submitted_at = '-infinity'"
three() { rest "/api/v1/jobs?task_type=maintenance&status=pending" && [ "$(field total)" = 2 ]; }
check "what is due waits, one of each kind" wait_until 20 three # nothing is past its retention
rest /api/v1/jobs/statistics
check "statistics have what was not rolled up yet" has "$REST_BODY" '"total_jobs":5'
check "in the table there is nothing yet" same 0 "$(sql "SELECT count(*) FROM job_statistics")"
rest -X POST /api/v1/workers/start
job_wait "$waiting"
job_wait "$(sql "SELECT job_id FROM maintenance WHERE kind = 'statistics'")"
check "then it is done" same completed "$(field status)"
check "as maintenance" same maintenance "$(field task_type)"
check "of low priority" same low "$(field priority)"
check "that says what it did" has "$REST_BODY" '"progress_message":"Counted '
chore=$(field job_id)
rest "/api/v1/jobs/$chore/result"
check "its result has numbers" [ "$(field counted_jobs)" -ge 5 ]
check "the table is filled" [ "$(sql "SELECT sum(total_jobs) FROM job_statistics")" -ge 5 ]

# ---- not where people look for their documents
rest /api/v1/jobs
check "lists leave maintenance out" same 6 "$(field total)"
rest /api/v1/jobs/statistics
check "statistics too" same 6 "$(field total_24h)"
processed() { rest /api/v1/workers && [ "$(field processed_count)" = 4 ]; }
check "and what a worker did" wait_until 10 processed
out=$(localrag jobs list --type maintenance)
check "but can be asked for" has "$out" "Count finished jobs"
check "and shown" has "$(localrag jobs status "$chore")" "Counted"

# ---- orphans
maintain orphans
check "young files are left alone" stored "$duplicate"
age_files
mkdir -p "$UPLOADS/00000000-0000-4000-8000-00000000000a" "$UPLOADS/mine"
echo x >"$UPLOADS/00000000-0000-4000-8000-00000000000a/lost.pdf"
echo x >"$UPLOADS/mine/notes.txt"
touch -d '2 hours ago' "$UPLOADS/00000000-0000-4000-8000-00000000000a" "$UPLOADS/mine"
maintain orphans
check "a file that nobody knows goes" not_stored 00000000-0000-4000-8000-00000000000a
check "that of a duplicate too" not_stored "$duplicate"
check "its document's stays" stored "$document_job"
check "what may be tried again stays" stored "$failed"
check "cancelled as well" stored "$cancelled"
check "and what the store did not write" [ -f "$UPLOADS/mine/notes.txt" ]
rest "/api/v1/jobs/$CHORE/result"
check "the result says so" same 2 "$(field removed_files)"
rest -X POST "/api/v1/jobs/$cancelled/retry"
job_wait "$cancelled"
check "a cancelled job can be tried again" same completed "$(field status)"

# ---- a server that is killed in an upload
{ echo %PDF-1.4; head -c 1500000 /dev/zero; } >"$STACK_TMP/large.pdf"
curl -sS --limit-rate 20k -F "file=@$STACK_TMP/large.pdf" \
    "http://127.0.0.1:$PORT/api/v1/documents/upload" >/dev/null 2>&1 &
client=$!
disown "$client"
arriving() { [ -n "$(find "$UPLOADS/.incoming" -type f 2>/dev/null)" ]; }
left_behind() { ! arriving; }
check "an upload is on its way" wait_until 20 arriving
maintain orphans
check "its temp file is left alone" arriving
kill -KILL "$STACK_PID"
wait "$STACK_PID" 2>/dev/null
kill -KILL "$client" 2>/dev/null
server_up
check "the file is there" arriving
maintain orphans
check "and removed" wait_until 10 left_behind

# ---- clean up by hand takes the originals along
age_files
rest -X DELETE "/api/v1/jobs/cleanup?days_old=0"
check "finished jobs are removed" same 6 "$(field deleted)"
check "the file of a failed one is gone" not_stored "$failed"
check "the document's is there" stored "$document_job"
maintain orphans
check "and stays" stored "$document_job"
check "those of documents and no others" same 3 "$(find "$UPLOADS" -mindepth 2 -name '*.*' -type f ! -path '*/mine/*' | wc -l)"

# ---- the only worker is not held up by a large removal, on a database that needs 0.1 s for a slice
psql -q "$(stack_database)" <<'SQL'
CREATE FUNCTION take_long() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.1); RETURN NULL; END $$;
CREATE TRIGGER take_long BEFORE DELETE ON processing_jobs EXECUTE FUNCTION take_long();
SQL
sql "INSERT INTO processing_jobs (job_id, task_type, priority, payload, max_retries, status, started_at, completed_at)
     SELECT gen_random_uuid(), 'single_document', 'low', '{}', 3, 'completed', now(), now() - interval '9 days'
     FROM generate_series(1, 15000)"
sql "UPDATE maintenance SET submitted_at = '-infinity' WHERE kind = 'retention'"
CHORE=
removing() {
    CHORE=$(sql "SELECT job_id FROM processing_jobs WHERE task_type = 'maintenance' AND status = 'processing'
        AND payload->>'kind' = 'retention'")
    [ -n "$CHORE" ]
}
check "retention runs" wait_until 20 removing
upload "$DATA/text.pdf"
job_wait "$JOB"
job_wait "$CHORE"
check "the upload was done before it" same t "$(sql "SELECT u.completed_at < r.completed_at
    FROM processing_jobs AS u, processing_jobs AS r WHERE u.job_id = '$JOB' AND r.job_id = '$CHORE'")"
rest "/api/v1/jobs/$CHORE/result"
check "all were removed" same 15000 "$(field removed_jobs)"

stack_done
