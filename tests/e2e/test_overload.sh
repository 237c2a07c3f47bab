#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_overload.sh BUILD_DIR - more calls at once than the server holds: those above are refused at once and
# told to come back, by gRPC and by REST; probes are answered meanwhile; all that were taken end well.
# shellcheck source=tests/support/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/stack.sh"
stack_start "$1" TASK_MAX_WORKERS=0

said=$(timeout 240 /usr/bin/python3 "$ROOT/tests/e2e/overload.py" "$(stack_database)" \
    "$GRPC_PORT" "$PORT" "$ADMIN_PORT")
value() { sed -n "s/^$1=//p" <<<"$said"; }
check "calls above the limit are refused while nothing moves" [ "$(value refused)" -gt 0 ]
check "with code and words" same "RESOURCE_EXHAUSTED the server is busy, try again later" "$(value refusals)"
check "REST says the same" same "429 RESOURCE_EXHAUSTED" "$(value rest)"
check "and when to come back" [ "$(value retry_after)" -gt 0 ]
check "the probe is answered" same 200 "$(value probe)"
check "at once" [ "$(value probe_seconds)" -lt 5 ]
check "every call has an end" same 1300 "$(value ended)"
check "a good one where it was taken" same OK "$(value others)"
check "and the server goes on" same 200 "$(value after)"
stack_done
