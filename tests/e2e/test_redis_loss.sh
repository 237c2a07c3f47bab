#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_redis_loss.sh BUILD_DIR - everything in Redis vanishes (for all tests of the run: they do not
# mind either) and the waiting jobs still run.
# shellcheck source=tests/support/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/stack.sh"
stack_start "$1"

rest -X POST -H 'Content-Type: application/json' -d '{}' /api/v1/workers/stop
jobs=()
for name in text.pdf utf8.txt latin1.txt mixed.pdf; do
    upload "$DATA/$name"
    jobs+=("$JOB")
done
check "Redis forgets everything" same OK "$(redis-cli -u "$TEST_REDIS_URL" FLUSHALL 2>/dev/null)"
rest -X POST -H 'Content-Type: application/json' -d '{}' /api/v1/workers/start
for job in "${jobs[@]}"; do
    job_wait "$job" 60
    check "job $job completes" same completed "$(field status)"
done

stack_done
