#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_restart.sh BUILD_DIR - jobs outlive the server and a worker that is killed; a stop is clean.
# shellcheck source=tests/support/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/stack.sh"
stack_start "$1"

rest -X POST -H 'Content-Type: application/json' -d '{}' /api/v1/workers/stop
check "workers stop" same 200 "$REST_STATUS"
jobs=()
for name in text.pdf mixed.pdf scan.pdf; do
    upload "$DATA/$name"
    jobs+=("$JOB")
done
rest "/api/v1/jobs/${jobs[0]}/progress"
check "a waiting job has progress 0" same 0 "$(field progress | cut -d. -f1)"

server_down
server_up
rest "/api/v1/jobs/${jobs[0]}"
check "the job is still there after a restart" same pending "$(field status)"
rest /api/v1/health/workers
check "a stop is remembered" same stopped "$(field status)"
rest -X POST -H 'Content-Type: application/json' -d '{}' /api/v1/workers/start
check "workers start" same 200 "$REST_STATUS"

# Kill the worker process while it may hold a job; its jobs must go on elsewhere.
worker=$(child_of "$STACK_PID" localrag-worker)
check "the server has a worker process" [ -n "$worker" ]
kill -KILL "$worker"
for job in "${jobs[@]}"; do
    job_wait "$job"
    check "job $job completes after the crash" same completed "$(field status)"
done

stack_done
