#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_restart.sh BUILD_DIR - waiting jobs outlive the server, all of Redis, and workers that are killed.
# shellcheck source=tests/support/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/stack.sh"
stack_start "$1" TASK_MAX_WORKERS=0

jobs=()
for name in text.pdf mixed.pdf scan.pdf pages.tiff utf8.txt; do
    upload "$DATA/$name"
    jobs+=("$JOB")
done
rest "/api/v1/jobs/${jobs[0]}/progress"
check "a waiting job has progress 0" same 0 "$(field progress | cut -d. -f1)"
rest "/api/v1/jobs/${jobs[0]}/result"
check "and no result yet" same 409 "$REST_STATUS"
check "which names the state" has "$REST_BODY" pending
rest -X POST "/api/v1/jobs/${jobs[4]}/cancel"
check "a waiting job can be cancelled" same 200 "$REST_STATUS"
rest -X POST "/api/v1/jobs/${jobs[4]}/cancel"
check "twice" same 200 "$REST_STATUS"

server_down
# Everything in Redis vanishes, for all tests of the run; they do not mind either.
check "Redis forgets everything" same OK "$(redis-cli -u "$TEST_REDIS_URL" FLUSHALL 2>/dev/null)"
server_up TASK_MAX_WORKERS=4
rest "/api/v1/jobs/${jobs[3]}"
check "jobs are still there" same 200 "$REST_STATUS"

# Kill the worker process as soon as it works on a scan.
processing() {
    rest "/api/v1/jobs/${jobs[2]}"
    [ "$(field status)" = processing ]
}
wait_until 30 processing
worker=$(child_of "$STACK_PID" localrag-worker)
check "the server has a worker process" [ -n "$worker" ]
kill -KILL "$worker"
pauses='the next worker starts in'
for job in "${jobs[@]:0:4}"; do
    job_wait "$job" 60
    check "job $job completes after the crash" same completed "$(field status)"
done
rest "/api/v1/jobs/${jobs[4]}"
check "cancelled stays cancelled" same cancelled "$(field status)"

# A worker that dies with jobs is replaced at once, for they bound how often; one that just dies is not.
check "the worker had jobs" grep -q 'lost its worker, now pending' "$STACK_TMP/log"
check "so there is no pause" same 0 "$(grep -c "$pauses" "$STACK_TMP/log")"
dies_young() {
    worker=$(child_of "$STACK_PID" localrag-worker)
    [ -z "$worker" ] || kill -KILL "$worker"
    grep -q "$pauses" "$STACK_TMP/log"
}
check "a pause when workers do not live" wait_until 30 dies_young

stack_done
