#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_batch.sh BUILD_DIR - a directory: counts, failures listed, an empty one, a cancelled one.
# shellcheck source=tests/support/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/stack.sh"
stack_start "$1" TASK_BATCH_SIZE=2

ingest() {
    rest -H 'Content-Type: application/json' -d "$1" /api/v1/documents/ingest-directory
    JOB=$(field job_id)
}

folder=$STACK_TMP/data/inbox
mkdir -p "$folder/deeper" "$folder/empty"
cp "$DATA/text.pdf" "$DATA/mixed.pdf" "$DATA/utf8.txt" "$folder"
cp "$DATA/scan.pdf" "$DATA/encrypted.pdf" "$folder/deeper"

ingest "{\"directory_path\": \"$folder\"}"
check "a directory is accepted" same 202 "$REST_STATUS"
check "five files are found" same 5 "$(field total_files_found)"
job_wait "$JOB"
check "the batch completes" same completed "$(field status)"
rest "/api/v1/jobs/$JOB/result"
check "five files" same 5 "$(field total_files)"
check "four successes" same 4 "$(field successful)"
check "one failure" same 1 "$(field failed)"
check "the failed file is named" has "$REST_BODY" encrypted.pdf
check "and why" has "$REST_BODY" PASSWORD_REQUIRED
rest "/api/v1/jobs?parent_job_id=$JOB&include_children=true"
check "its children can be listed" same 5 "$(field total)"

ingest "{\"directory_path\": \"$folder\", \"file_patterns\": [\"*.txt\"], \"recursive\": false}"
check "patterns choose" same 1 "$(field total_files_found)"
job_wait "$JOB"
check "and it completes" same completed "$(field status)"

ingest "{\"directory_path\": \"$folder/empty\"}"
check "an empty directory is accepted" same 202 "$REST_STATUS"
job_wait "$JOB"
check "and completes" same completed "$(field status)"
rest "/api/v1/jobs/$JOB/result"
check "with no files" same 0 "$(field total_files)"

ingest "{\"directory_path\": \"$folder/../../..\"}"
check "a path out of the roots is refused" same 403 "$REST_STATUS"
ingest "{\"directory_path\": \"$folder/text.pdf\"}"
check "a file is no directory" same 400 "$REST_STATUS"
ingest "{\"directory\": \"$folder\"}"
check "an unknown field is refused" same 400 "$REST_STATUS"

rest -X POST -H 'Content-Type: application/json' -d '{}' /api/v1/workers/stop
ingest "{\"directory_path\": \"$folder\"}"
rest -X POST "/api/v1/jobs/$JOB/cancel"
check "a batch can be cancelled" same 200 "$REST_STATUS"
rest -X POST "/api/v1/jobs/$JOB/cancel"
check "twice" same 200 "$REST_STATUS"
rest -X POST -H 'Content-Type: application/json' -d '{}' /api/v1/workers/start
rest "/api/v1/jobs/$JOB"
check "it stays cancelled" same cancelled "$(field status)"

stack_done
