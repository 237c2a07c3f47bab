#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_outage.sh BUILD_DIR - PostgreSQL stops, Redis stops and forgets, the disk is full: nothing is
# lost, callers are told what they can do, and all goes on by itself. It has servers of its own to stop.
#
# The first run of this script starts them, runs itself, and removes them.
if [ -z "${OUTAGE_DIR-}" ]; then
    # shellcheck source=tests/support/stack.sh
    . "$(dirname "${BASH_SOURCE[0]}")/../support/stack.sh"
    # shellcheck source=dev.d/servers.sh
    . "$ROOT/dev.d/servers.sh"
    OUTAGE_DIR=$ROOT/.dev/outage-$$
    mkdir -p "$OUTAGE_DIR"
    trap 'servers_remove "$OUTAGE_DIR"' EXIT
    trap 'exit 130' INT TERM HUP
    servers_start "$OUTAGE_DIR" >&2
    OUTAGE_DIR=$OUTAGE_DIR TEST_DATABASE_URL=$PRIVATE_DATABASE_URL TEST_REDIS_URL=$PRIVATE_REDIS_URL bash "$0" "$@"
    exit
fi
# shellcheck source=tests/support/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/stack.sh"
# shellcheck source=dev.d/servers.sh
. "$ROOT/dev.d/servers.sh"
servers_load "$OUTAGE_DIR"
service_user "$OUTAGE_DIR"
stack_start "$1" TASK_MAX_WORKERS=2 TASK_HIGH_PRIORITY_WORKERS=1

postgres_down() {
    kill -INT "$PG_PID"
    check "PostgreSQL stops" wait_until 30 gone "$PG_PID"
}
postgres_up() {
    pg_start "$OUTAGE_DIR"
    check "PostgreSQL is back" wait_until 60 pg_ready "$OUTAGE_DIR"
}
redis_down() {
    kill -TERM "$REDIS_PID"
    check "Redis stops" wait_until 30 gone "$REDIS_PID"
}
redis_up() {
    redis_start "$OUTAGE_DIR"
    check "Redis is back" wait_until 30 listening "$REDIS_PORT"
}
sql() { psql -qAt "$(stack_database)" -c "$1"; }
state_is() {
    rest "/api/v1/jobs/$1"
    [ "$(field status)" = "$2" ]
}
readyz_is() { [ "$(curl -sS -o /dev/null -w '%{http_code}' "http://127.0.0.1:$ADMIN_PORT/readyz")" = "$1" ]; }
health_is() {
    rest /api/v1/health
    [ "$REST_STATUS" = "$1" ]
}
files() { find "$STACK_TMP/data/uploads" -type f | wc -l; }

# ---- the database, while a job reads eight scanned pages ----
upload "$DATA/scans.pdf"
running=$JOB
some_pages_stored() { [ "$(sql "SELECT count(*) FROM document_pages")" -gt 0 ]; }
check "a job reads" wait_until 60 some_pages_stored
check "and is not done" state_is "$running" processing
before=$(files)
postgres_down
rest -D "$STACK_TMP/head" -F "file=@$DATA/text.pdf" /api/v1/documents/upload
check "no database: an upload is 503" same 503 "$REST_STATUS"
check "with the code" same UNAVAILABLE "$(field code)"
check "and says when to come back" grep -qi '^retry-after: *[0-9]' "$STACK_TMP/head"
check "and leaves no file" same "$before" "$(files)"
rest "/api/v1/jobs/$running"
check "a look at a job is 503" same 503 "$REST_STATUS"
check "/readyz says 503" wait_until 20 readyz_is 503
check "health says 503" wait_until 20 health_is 503
check "and names the database" has "$REST_BODY" '"unhealthy"'
check "the running job waits for it" wait_until 60 grep -q "waiting for the database job=$running" "$STACK_TMP/log"
postgres_up
job_wait "$running"
check "and completes when the database is back" same completed "$(field status)"
check "in its first attempt" same 0 "$(field retry_count)"
check "by the same claim" same "1 0" "$(sql "SELECT claim_epoch || ' ' || crash_count FROM processing_jobs WHERE job_id = '$running'")"
rest "/api/v1/jobs/$running/result"
check "with all its pages" same 8 "$(field ocr)"
check "/readyz is 200 again" wait_until 20 readyz_is 200
check "health is 200 again" wait_until 20 health_is 200
upload "$DATA/text.pdf"
check "uploads work again" same 202 "$REST_STATUS"
job_wait "$JOB"
check "and are processed" same completed "$(field status)"

# ---- Redis ----
redis_down
upload "$DATA/mixed.pdf"
waiting=$JOB
check "no Redis: an upload is accepted" same 202 "$REST_STATUS"
check "no Redis: health is no failure" health_is 200
check "but degraded" has "$REST_BODY" '"status":"degraded"'
redis_up
runs() { ! state_is "$waiting" pending; }
check "the job starts within seconds of Redis' return" wait_until 15 runs
job_wait "$waiting"
check "and completes" same completed "$(field status)"

# Forgotten while jobs wait: more jobs than workers, and what they have is gone before they take it.
jobs=()
for name in scan.pdf pages.tiff page.png page.jpg utf8.txt latin1.txt; do
    upload "$DATA/$name"
    jobs+=("$JOB")
done
check "Redis forgets everything" same OK "$(redis-cli -u "$TEST_REDIS_URL" FLUSHALL 2>/dev/null)"
check "while jobs wait" [ "$(sql "SELECT count(*) FROM processing_jobs WHERE status = 'pending'")" -gt 0 ]
for job in "${jobs[@]}"; do
    job_wait "$job"
    check "job $job completes" same completed "$(field status)"
    check "in its first attempt" same 0 "$(field retry_count)"
done

# ---- a start with neither of them there ----
server_down
redis_down
postgres_down
: >"$STACK_TMP/log"
server_start
env -C "$STACK_TMP" "${STACK_ENV[@]}" "$STACK_BIN/localrag-worker" </dev/null >>"$STACK_TMP/worker.log" 2>&1 &
worker=$!
check "the server waits for PostgreSQL and says so" wait_until 20 grep -q "waiting for PostgreSQL" "$STACK_TMP/log"
check "and does not listen yet" same 000 "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$PORT/api/v1/health")"
check "a worker waits too" wait_until 20 test -s "$STACK_TMP/worker.log"
check "and lives" alive "$worker"
postgres_up
check "PostgreSQL alone is enough to be ready" wait_until 30 readyz_is 200
upload "$DATA/page.png"
early=$JOB
check "and to take an upload" same 202 "$REST_STATUS"
redis_up
job_wait "$early"
check "which completes when Redis is there" same completed "$(field status)"
pools_are() { [ "$(sql "SELECT count(*) FROM worker_pools WHERE dead_at IS NULL")" = "$1" ]; }
check "the server's and the lone worker registered" wait_until 30 pools_are 2
kill -TERM "$worker"
check "the lone worker stops" wait_until 30 gone "$worker"
status=0
wait "$worker" || status=$?
check "with status 0" same 0 "$status"
check "the server is the one that was started" alive "$STACK_PID"

# ---- the disk: a very small one, if we may mount ----
mkdir "$STACK_TMP/small"
if mount -t tmpfs -o size=256k localrag-test "$STACK_TMP/small" 2>/dev/null; then
    # The mount goes before the folder does.
    trap 'status=$?; umount -l "$STACK_TMP/small"; (exit "$status"); stack_stop' EXIT
    server_down
    server_up "UPLOADS_PATH=$STACK_TMP/small"
    { echo %PDF-1.4; head -c 600000 /dev/zero; } >"$STACK_TMP/large.pdf"
    rest -D "$STACK_TMP/head" -F "file=@$STACK_TMP/large.pdf" /api/v1/documents/upload
    check "disk full: an upload is 503" same 503 "$REST_STATUS"
    check "with the code" same STORAGE_FULL "$(field code)"
    check "and says when to come back" grep -qi '^retry-after: *[0-9]' "$STACK_TMP/head"
    localrag upload --no-wait "$STACK_TMP/large.pdf" >"$STACK_TMP/out" 2>&1
    check "over gRPC the exit status is that of out of capacity" same 8 $?
    check "nothing is left of them" same 0 "$(find "$STACK_TMP/small" -type f | wc -l)"
    upload "$DATA/blank.pdf"
    check "a small upload works" same 202 "$REST_STATUS"
    job_wait "$JOB"
    check "and completes" same completed "$(field status)"
else
    echo "not checked: a full disk (mounting is not allowed here)"
    check "CI can make a small disk" same "" "${CI-}"
fi
stack_done
