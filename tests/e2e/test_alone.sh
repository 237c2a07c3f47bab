#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_alone.sh BUILD_DIR - a job that was with two workers when they died runs alone, as soon as those that run
# have ended, while others wait; after one such death jobs run side by side. While a long job runs, the pool
# drains for it for ten seconds, then others go on.
# shellcheck source=tests/support/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/stack.sh"
stack_start "$1" TASK_MAX_WORKERS=0 DUPLICATE_DETECTION_ENABLED=false

jobs=()
for _ in 1 2 3 4 5 6 7 8 9 10; do
    upload "$DATA/scan.pdf"
    jobs+=("$JOB")
done
server_down
sql() { psql -qAt "$(stack_database)" -c "$1"; }
sql "UPDATE processing_jobs SET crash_count = CASE job_id WHEN '${jobs[3]}' THEN 2 ELSE 1 END"
server_up TASK_MAX_WORKERS=2 TASK_HIGH_PRIORITY_WORKERS=0
for job in "${jobs[@]}"; do
    job_wait "$job" 60
    check "job $job completes" same completed "$(field status)"
done

beside="SELECT count(*) FROM processing_jobs AS a JOIN processing_jobs AS b ON a.job_id < b.job_id AND
        tstzrange(a.started_at, a.completed_at) && tstzrange(b.started_at, b.completed_at)"
check "nothing ran beside it" same 0 "$(sql "$beside WHERE '${jobs[3]}' IN (a.job_id, b.job_id)")"
check "others ran side by side" [ "$(sql "$beside")" -gt 0 ]
check "it did not wait for the last of them" same t "$(sql "SELECT started_at < (SELECT max(started_at)
    FROM processing_jobs) FROM processing_jobs WHERE job_id = '${jobs[3]}'")"

is() {
    rest "/api/v1/jobs/$1"
    [ "$(field status)" = "$2" ]
}
# queued - a long job, one that must run alone, and others behind it; the long one runs and cannot end until `end_long`.
queued() {
    server_down
    server_up TASK_MAX_WORKERS=0
    upload "$DATA/scans.pdf"
    long=$JOB
    upload "$DATA/scan.pdf"
    alone=$JOB
    jobs=()
    for _ in 1 2 3; do
        upload "$DATA/text.pdf"
        jobs+=("$JOB")
    done
    sql "UPDATE processing_jobs SET crash_count = 2 WHERE job_id = '$alone'"
    server_down
    server_up TASK_MAX_WORKERS=2 TASK_HIGH_PRIORITY_WORKERS=0
    check "the long job runs" wait_until 30 is "$long" processing
    coproc PSQL { psql -qAt "$(stack_database)"; }
    holder=$PSQL_PID # bash forgets it when it ends
    echo "BEGIN; SELECT status FROM processing_jobs WHERE job_id = '$long' FOR UPDATE;" >&"${PSQL[1]}"
    read -r status <&"${PSQL[0]}"
    check "and cannot end" same processing "$status"
}
end_long() {
    check "the long one still runs" is "$long" processing
    printf 'COMMIT;\n\\q\n' >&"${PSQL[1]}"
    wait "$holder"
}

queued
for job in "${jobs[@]}"; do
    job_wait "$job" 60
    check "job $job completes meanwhile" same completed "$(field status)"
done
check "the one that must run alone waits" is "$alone" pending
end_long
for job in "$long" "$alone"; do
    job_wait "$job" 60
    check "job $job completes in the end" same completed "$(field status)"
done
check "and nothing ran beside it either" same 0 "$(sql "$beside WHERE '$alone' IN (a.job_id, b.job_id)")"

# A second worker process is empty: it runs that job, and the first waits for it no longer.
queued
setsid env -C "$STACK_TMP" "${STACK_ENV[@]}" TASK_MAX_WORKERS=1 "$STACK_BIN/localrag-worker" </dev/null >>"$STACK_TMP/log" 2>&1 &
second=$!
for job in "$alone" "${jobs[@]}"; do
    job_wait "$job" 60
    check "job $job completes meanwhile" same completed "$(field status)"
done
end_long
job_wait "$long" 60
kill -TERM "$second"
check "the second worker stops" wait_until 30 gone "$second"

stack_done
