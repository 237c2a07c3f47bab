#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_variables.sh BUILD_DIR - each variable of the contract: its default, that it is understood as printed,
# and what it does to a real server.
# shellcheck source=tests/support/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/stack.sh"
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
stack_start "$1" TASK_MAX_WORKERS=3 TASK_HIGH_PRIORITY_WORKERS=1

# again NAME=VALUE... - the same server with other settings.
again() {
    server_down
    server_up "$@"
}
health() { rest /api/v1/health/workers; }
# block WORD - the contract's block of settings that contains it, as an .env file.
block() {
    awk -v word="$1" '/^```/ { if (on && text ~ word) { printf "%s", text; exit } on = !on; text = ""; next }
        on { text = text $0 "\n" }' "$HERE/background-processing.md"
}
# config FOLDER - the effective settings that a server started there has, without anything around it.
config() { env -i -C "$1" PATH="$PATH" "$STACK_BIN/localrag-server" --check-config 2>&1; }

# ---- defaults, and the blocks as printed ----
mkdir -p "$STACK_TMP/empty" "$STACK_TMP/printed" "$STACK_TMP/redis"
defaults=$(config "$STACK_TMP/empty")
block TASK_QUEUE_NAME >"$STACK_TMP/printed/.env"
printed=$(config "$STACK_TMP/printed")
seen=0
while IFS='=' read -r name value; do
    value=${value%%[[:space:]]*}
    check "$name is $value by default" grep -qE "^$name=\"?$value\"? " <<<"$defaults"
    check "and so when set as printed" grep -qE "^$name=\"?$value\"? .*\.env" <<<"$printed"
    seen=$((seen + 1))
done < <(grep '^TASK_' "$STACK_TMP/printed/.env")
check "the contract has ten" same 10 "$seen"
block REDIS_HOST= | grep '^REDIS' >"$STACK_TMP/redis/.env"
printed=$(config "$STACK_TMP/redis")
while IFS='=' read -r name value; do
    check "$name is understood as printed" grep -qF "$name=$value " <<<"$printed"
done <"$STACK_TMP/redis/.env"
check "four of Redis" same 4 "$(wc -l <"$STACK_TMP/redis/.env")"

# ---- TASK_MAX_WORKERS, TASK_HIGH_PRIORITY_WORKERS ----
health
check "TASK_MAX_WORKERS workers run" same 3 "$(field running_workers)"
check "TASK_HIGH_PRIORITY_WORKERS for high priority" same 1 "$(grep -o '"priority": *"high"' <<<"$REST_BODY" | wc -l)"

# ---- TASK_QUEUE_NAME, REDIS_DB and the parts of REDIS_URL ----
password=${TEST_REDIS_URL#*://*:} password=${password%%@*} at=${TEST_REDIS_URL##*@} at=${at%%/*}
keys() { [ -n "$(redis-cli -u "${TEST_REDIS_URL%/*}/$1" --scan --pattern "{$2}*" 2>/dev/null)" ]; }
rest -X POST /api/v1/workers/stop
upload "$DATA/utf8.txt"
check "TASK_QUEUE_NAME is in the keys of a waiting job" wait_until 10 keys 0 "$STACK_NAME"
again REDIS_URL= "REDIS_HOST=${at%%:*}" "REDIS_PORT=${at##*:}" REDIS_DB=3 \
    "REDIS_PASSWORD=$password" "TASK_QUEUE_NAME=other_$STACK_NAME"
rest /api/v1/health
check "REDIS_HOST, REDIS_PORT and REDIS_PASSWORD reach it" has "$REST_BODY" '"redis":{"status":"healthy"'
upload "$DATA/utf8.txt"
check "REDIS_DB is where the keys are" wait_until 10 keys 3 "other_$STACK_NAME"
rest -X POST /api/v1/workers/start
check "and a job goes through" job_wait "$JOB"

# ---- TASK_QUEUE_ENABLED ----
again TASK_QUEUE_ENABLED=false
upload "$DATA/text.pdf"
check "TASK_QUEUE_ENABLED=false refuses uploads" same 503 "$REST_STATUS"
rest /api/v1/jobs
check "and answers reads" same 200 "$REST_STATUS"
health
check "and says so" same disabled "$(field status)"

# ---- TASK_RETRY_DELAY, TASK_MAX_RETRIES: nothing can be stored for a while ----
again TASK_RETRY_DELAY=300
psql -q "$(stack_database)" <<'SQL'
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not now'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON documents EXECUTE FUNCTION refuse();
SQL
upload "$DATA/text.pdf"
state_is() { rest "/api/v1/jobs/$JOB" && [ "$(field status)" = "$1" ]; }
check "a failed attempt waits for the next" wait_until 30 state_is retrying
check "TASK_RETRY_DELAY later" same t "$(psql -qAt "$(stack_database)" -c \
    "SELECT ready_at - now() BETWEEN '100 s' AND '700 s' FROM processing_jobs WHERE job_id = '$JOB'")"
again TASK_RETRY_DELAY=0.1 TASK_MAX_RETRIES=2
upload "$DATA/mixed.pdf"
job_wait "$JOB"
check "after TASK_MAX_RETRIES the job fails" same failed "$(field status)"
check "with so many" same 2 "$(field retry_count)"
check "of so many" same 2 "$(field max_retries)"

# ---- TASK_WORKERS_AUTO_START: in a database where nobody has said start or stop yet ----
server_down
psql -q "$TEST_DATABASE_URL" -c "DROP DATABASE $STACK_NAME WITH (FORCE)" -c "CREATE DATABASE $STACK_NAME"
server_up TASK_WORKERS_AUTO_START=false
health
check "TASK_WORKERS_AUTO_START=false: no worker runs" same stopped "$(field status)"
upload "$DATA/utf8.txt"
rest -X POST /api/v1/workers/start
job_wait "$JOB"
check "until they are started" same completed "$(field status)"

# ---- TASK_PROGRESS_UPDATE_INTERVAL: what is stored while pages are read ----
# steps - how many different counts of read pages the row shows while a scan of 24 pages is read, and in how
# many seconds. Workers beat every 2 s, which would show no more than half as many.
steps() {
    upload "$STACK_TMP/long.pdf" -F languages=eng -F "metadata={}"
    psql -qAt "$(stack_database)" <<SQL
TRUNCATE seen;
DO \$\$ BEGIN
  LOOP
    INSERT INTO seen SELECT pages_done FROM processing_jobs WHERE job_id = '$JOB' AND status = 'processing';
    EXIT WHEN EXISTS (SELECT FROM processing_jobs
        WHERE job_id = '$JOB' AND (completed_at IS NOT NULL OR created_at < now() - interval '60 s'));
    COMMIT;
    PERFORM pg_sleep(0.02);
  END LOOP;
END \$\$;
SELECT count(DISTINCT pages_done) || ' ' || (SELECT extract(epoch FROM completed_at - started_at)::int
    FROM processing_jobs WHERE job_id = '$JOB') FROM seen;
SQL
}
/usr/bin/python3 "$HERE/long_scan.py" "$DATA/page.jpg" 24 "$STACK_TMP/long.pdf"
psql -q "$(stack_database)" -c "CREATE TABLE seen (pages_done integer)"
again TASK_PROGRESS_UPDATE_INTERVAL=0.1 DUPLICATE_DETECTION_ENABLED=false
read -r short took <<<"$(steps)"
again TASK_PROGRESS_UPDATE_INTERVAL=600 DUPLICATE_DETECTION_ENABLED=false
read -r long _ <<<"$(steps)"
check "a short TASK_PROGRESS_UPDATE_INTERVAL stores every step of progress ($short in $took s)" \
    [ "$short" -gt $((took < 34 ? took / 2 + 3 : 20)) ]
check "a long one does not ($long)" [ "$long" -le 1 ]

# ---- TASK_JOB_RETENTION ----
gone_now() { rest "/api/v1/jobs/$JOB" && [ "$REST_STATUS" = 404 ]; }
# Done every minute.
due() { psql -q "$(stack_database)" -c "UPDATE maintenance SET submitted_at = '-infinity' WHERE kind = '$1'"; }
upload "$DATA/text.pdf"
young=$JOB
job_wait "$young"
upload "$DATA/utf8.txt"
job_wait "$JOB"
document=$(field document_id)
psql -q "$(stack_database)" -c "UPDATE processing_jobs SET completed_at = now() - interval '2 hours' WHERE job_id = '$JOB'"
again TASK_JOB_RETENTION=3600
due retention
check "TASK_JOB_RETENTION removes finished jobs that are older" wait_until 60 gone_now
rest "/api/v1/jobs/$young"
check "no younger ones" same 200 "$REST_STATUS"
rest "/api/v1/documents/$document"
check "and never documents" same 200 "$REST_STATUS"

stack_done
