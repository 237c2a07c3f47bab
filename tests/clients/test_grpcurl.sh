#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_grpcurl.sh BUILD_DIR - grpcurl, which knows our services from the server's reflection alone: lists and
# describes them, calls, uploads, watches and reads an error.
# shellcheck source=tests/clients/go-tools.sh
. "$(dirname "${BASH_SOURCE[0]}")/go-tools.sh"
# shellcheck source=tests/support/stack.sh
. "$CLIENTS/../support/stack.sh"
go_tool github.com/fullstorydev/grpcurl/cmd/grpcurl
stack_start "$1"

# ask WANT ARGUMENT... - runs grpcurl; what it said is in OUT.
ask() {
    local want=$1 status=0
    shift
    OUT=$("$TOOLS/grpcurl" -plaintext -max-time 60 "$@" 2>&1) || status=$?
    check "grpcurl $* exits $want: $OUT" same "$want" "$status"
}
at=127.0.0.1:$GRPC_PORT

ask 0 "$at" list
for service in UploadService IngestDirectoryService JobService WorkerService DocumentService HealthService; do
    check "$service is listed" has "$OUT" "localrag.v1.$service"
done
check "so is grpc.health" has "$OUT" grpc.health.v1.Health
ask 0 "$at" list localrag.v1.JobService
check "with its methods" has "$OUT" localrag.v1.JobService.WatchJob
ask 0 "$at" describe localrag.v1.JobService
check "a stream is described as one" has "$OUT" "returns ( stream .localrag.v1.JobEvent )"
check "with its HTTP rule" has "$OUT" '"/api/v1/jobs/{job_id}/events"'
ask 0 "$at" describe localrag.v1.Job
check "a message is described" has "$OUT" "optional string error_message = 10;"
ask 0 "$at" grpc.health.v1.Health/Check
check "serving" has "$OUT" SERVING
ask 0 "$at" localrag.v1.HealthService/GetHealth
check "a unary call" has "$OUT" HEALTH_STATUS_HEALTHY

# A client stream: one message with what is known, then the bytes in two.
half=$(base64 -w 0 <<<"A lighthouse,")
rest=$(base64 -w 0 <<<"sent by grpcurl.")
ask 0 -d "{\"metadata\": {\"filename\": \"curl.txt\"}} {\"data\": \"$half\"} {\"data\": \"$rest\"}" \
    "$at" localrag.v1.UploadService/UploadDocument
check "an upload" has "$OUT" '"status": "queued"'
job=$(sed -n 's/.*"jobId": "\([^"]*\)".*/\1/p' <<<"$OUT")
# A server stream, to its end.
ask 0 -d "{\"job_id\": \"$job\"}" "$at" localrag.v1.JobService/WatchJob
check "a watch ends with the terminal state" has "$OUT" JOB_STATUS_COMPLETED
check "its events are named" has "$OUT" '"eventId"'
ask 0 -d "{\"job_id\": \"$job\"}" "$at" localrag.v1.JobService/GetJobResult
document=$(sed -n 's/.*"documentId": "\([^"]*\)".*/\1/p' <<<"$OUT")
ask 0 -d "{\"document_id\": \"$document\", \"text\": true}" "$at" localrag.v1.DocumentService/ListPages
check "the text is there" has "$OUT" 'sent by grpcurl.'
ask 69 -d '{"job_id": "00000000-0000-0000-0000-000000000000"}' "$at" localrag.v1.JobService/GetJob
check "an error has its status" has "$OUT" "Code: NotFound"
ask 67 -d '{"limit": 5000}' "$at" localrag.v1.JobService/ListJobs
check "a bad field is named" has "$OUT" limit
stack_done
