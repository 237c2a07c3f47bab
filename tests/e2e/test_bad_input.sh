#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_bad_input.sh BUILD_DIR - what cannot be read or is not allowed gets a clear answer, and the next
# document is processed as if nothing had been.
# shellcheck source=tests/support/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/stack.sh"
stack_start "$1" MAX_UPLOAD_SIZE=200000 TASK_MAX_WORKERS=2 TASK_HIGH_PRIORITY_WORKERS=1

upload "$DATA/empty.pdf"
check "0 bytes are refused" same 400 "$REST_STATUS"
check "with the code" same INVALID_ARGUMENT "$(field code)"
rest -F "other=x" /api/v1/documents/upload
check "no file part is refused" same 400 "$REST_STATUS"
for priority in "" urgent; do
    upload "$DATA/text.pdf" -F "priority=$priority"
    check "the priority \"$priority\" is refused" same 400 "$REST_STATUS"
    check "with the offender" has "$REST_BODY" "\\\"$priority\\\" is not one of high, medium, low"
done
upload "$DATA/text.pdf" -F "password="
check "an empty password is none" same 202 "$REST_STATUS"
job_wait "$JOB"
upload "$DATA/fake.pdf"
check "a program is refused whatever its name" same 415 "$REST_STATUS"
yes "a line of text" | head -c 300000 >"$STACK_TMP/large.txt"
upload "$STACK_TMP/large.txt"
check "a file over the limit is refused" same 413 "$REST_STATUS"
check "and left nothing behind" same 0 "$(find "$STACK_TMP/data" -type f -size +100k | wc -l)"

upload "$DATA/random.pdf"
job_wait "$JOB"
check "random bytes fail" same failed "$(field status)"
check "as unreadable" same UNREADABLE "$(field error_code)"
check "at the first attempt" same 0 "$(field retry_count)"
upload "$DATA/truncated.pdf"
check "a truncated file ends" job_wait "$JOB"

rest "/api/v1/jobs/$JOB/nonsense"
check "an unknown path is 404" same 404 "$REST_STATUS"
rest /api/v1/jobs/00000000-0000-0000-0000-000000000000
check "an unknown job is 404" same 404 "$REST_STATUS"
check "and says so in JSON" same NOT_FOUND "$(field code)"
rest "/api/v1/jobs?limit=many"
check "a wrong parameter is 400" same 400 "$REST_STATUS"
check "that names it" has "$REST_BODY" limit
rest "/api/v1/jobs?limt=1"
check "an unknown parameter is 400" same 400 "$REST_STATUS"
rest -X PUT /api/v1/jobs
check "a wrong method is 405" same 405 "$REST_STATUS"

upload "$DATA/text.pdf" -F "metadata=no json"
check "metadata that is no JSON is 400" same 400 "$REST_STATUS"
upload "$DATA/text.pdf" -F "languages=null"
check "a language that cannot be one is 400" same 400 "$REST_STATUS"
check "and is named" has "$REST_BODY" '\"null\" is not a language'
rest --json '{"max_workers": 2, "high_priority_workers": 2}' /api/v1/workers/start
check "as many high-priority workers as workers are 400" same 400 "$REST_STATUS"
check "with the reason" has "$REST_BODY" "high_priority_workers: 2 is not below max_workers"
rest --json '{"directory_path": "nothing/here"}' /api/v1/documents/ingest-directory
check "a directory that does not exist is 400" same 400 "$REST_STATUS"
check "and is named" has "$REST_BODY" nothing/here
upload "$DATA/text.pdf"
job_wait "$JOB"
check "a good document still completes" same completed "$(field status)"
rest -X POST "/api/v1/jobs/$JOB/cancel"
check "a completed job cannot be cancelled" same 409 "$REST_STATUS"
check "and says its state" has "$REST_BODY" completed

stack_done
