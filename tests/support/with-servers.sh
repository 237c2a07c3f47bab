#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# with-servers.sh COMMAND... - runs a command with a private PostgreSQL and Redis of its own, named by
# TEST_DATABASE_URL and TEST_REDIS_URL, and removes both afterwards. ./dev test does the same once for
# a whole run; this is for one test under a debugger:
#
#   tests/support/with-servers.sh build/debug/bin/store_test_db
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
# shellcheck source=dev.d/lib.sh
. "$ROOT/dev.d/lib.sh"
# shellcheck source=dev.d/servers.sh
. "$ROOT/dev.d/servers.sh"

[ $# -gt 0 ] || die "usage: with-servers.sh COMMAND..."
DIR=$ROOT/.dev/test-$$
mkdir -p "$DIR"
trap 'servers_remove "$DIR"' EXIT
trap 'exit 130' INT TERM HUP
servers_start "$DIR" >&2
export TEST_DATABASE_URL=$PRIVATE_DATABASE_URL TEST_REDIS_URL=$PRIVATE_REDIS_URL
"$@"
