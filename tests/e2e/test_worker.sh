#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_worker.sh BUILD_DIR - a localrag-worker on its own serves a server that has none, and a second
# one takes over what the first did not finish when it is stopped.
# shellcheck source=tests/support/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/stack.sh"
stack_start "$1" TASK_MAX_WORKERS=0

worker_up() {
    setsid env -C "$STACK_TMP" "${STACK_ENV[@]}" TASK_MAX_WORKERS=2 TASK_HIGH_PRIORITY_WORKERS=1 \
        "$STACK_BIN/localrag-worker" </dev/null >>"$STACK_TMP/log" 2>&1 &
    WORKER=$!
}
worker_down() {
    local status=0
    kill -TERM "$WORKER"
    wait_until 30 gone "$WORKER" || kill -KILL "$WORKER"
    wait "$WORKER" || status=$?
    check "the worker stops with status 0" same 0 "$status"
}
workers_are() {
    rest /api/v1/health/workers
    [ "$(field running_workers)" = "$1" ]
}

upload "$DATA/text.pdf"
first=$JOB
worker_up
check "the worker shows up in health" wait_until 30 workers_are 2
job_wait "$first"
check "it completes the waiting job" same completed "$(field status)"

upload "$DATA/scan.pdf"
second=$JOB
worker_down
worker_up
job_wait "$second"
check "the next worker completes what was left" same completed "$(field status)"
check "it is up" wait_until 30 workers_are 2
worker_down
check "no worker is left" wait_until 30 workers_are 0

stack_done
