# shellcheck shell=bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# stack.sh - a whole system for one end-to-end test: its own database, queue, ports and data folder.
#
# A test sources it and calls
#   stack_start BUILD_DIR [NAME=VALUE]...   server and workers, healthy when it returns
#   localrag ARGUMENT...                    the CLI of that build, talking to that server
#   rest [CURL ARGUMENT]... PATH            curl of a REST path; sets REST_STATUS and REST_BODY
#   check "what" TEST...                    counts; prints what failed and goes on
#   stack_done                              the last line of a test: exits with the verdict
# PostgreSQL and Redis come from TEST_DATABASE_URL and TEST_REDIS_URL (./dev test, with-servers.sh);
# without them the test is skipped (exit 77). Nothing here sleeps for a fixed time.
set -uo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
# shellcheck source=dev.d/lib.sh
. "$ROOT/dev.d/lib.sh"
# shellcheck disable=SC2034 # for the tests
DATA=$ROOT/tests/data
CHECKS=0 BROKEN=0 STACK_PID='' REST_STATUS='' REST_BODY=''

if [ -z "${TEST_DATABASE_URL-}" ] || [ -z "${TEST_REDIS_URL-}" ]; then
    echo "skipped: TEST_DATABASE_URL and TEST_REDIS_URL are not set"
    exit 77
fi

stack_start() {
    STACK_BIN=$(cd "$1/bin" && pwd) || exit 1
    shift
    STACK_TMP=$(mktemp -d /tmp/localrag-test-XXXXXX)
    STACK_NAME=t$$_$RANDOM
    trap stack_stop EXIT
    trap 'exit 130' INT TERM HUP
    psql -q "$TEST_DATABASE_URL" -c "CREATE DATABASE $STACK_NAME" || exit 1
    PORT=$(free_port) GRPC_PORT=$(free_port) ADMIN_PORT=$(free_port)
    STACK_ENV=("DATABASE_URL=$(stack_database)" "REDIS_URL=$TEST_REDIS_URL" "TASK_QUEUE_NAME=$STACK_NAME"
        "PORT=$PORT" "GRPC_PORT=$GRPC_PORT" "ADMIN_PORT=$ADMIN_PORT" "DATA_PATH=$STACK_TMP/data"
        LOG_FORMAT=text TASK_PROGRESS_UPDATE_INTERVAL=0.5 TASK_RETRY_DELAY=1 SHUTDOWN_GRACE=5 "$@")
    mkdir -p "$STACK_TMP/data"
    server_up
}

# The same server with the name of another database in it.
stack_database() { sed -E "s#/localrag([?]|\$)#/$STACK_NAME\\1#" <<<"$TEST_DATABASE_URL"; }

# server_up / server_down - also for tests of restarts. A server with TASK_MAX_WORKERS=0 is up when
# it is ready; all others when their workers are healthy too.
server_up() { # [NAME=VALUE]... for this time
    server_start "$@"
    if ! wait_until 60 server_healthy; then
        echo "the server did not become healthy"
        exit 1 # stack_stop shows the log
    fi
}
server_start() { # the same, without waiting for it
    setsid env -C "$STACK_TMP" "${STACK_ENV[@]}" "$@" "$STACK_BIN/localrag-server" </dev/null >>"$STACK_TMP/log" 2>&1 &
    STACK_PID=$!
    [[ " ${STACK_ENV[*]} $* " == *" TASK_MAX_WORKERS=0 "* ]] && STACK_ALSO='|unhealthy' || STACK_ALSO=''
}
server_healthy() {
    alive "$STACK_PID" || { echo "the server ended"; exit 1; }
    curl -fsS --max-time 5 "http://127.0.0.1:$ADMIN_PORT/readyz" >/dev/null 2>&1 &&
        curl -fsS --max-time 5 "http://127.0.0.1:$PORT/api/v1/health/workers" 2>/dev/null |
        grep -Eq '"status": ?"(healthy|stopped|disabled'"$STACK_ALSO"')"'
}
# A stop must be clean: exit status 0, which with the sanitizers also says that nothing leaked.
server_down() {
    local status=0
    kill -TERM "$STACK_PID" 2>/dev/null
    wait_until 30 gone "$STACK_PID" || { echo "the server did not stop within 30 s"; kill -KILL "$STACK_PID"; }
    wait "$STACK_PID" || status=$?
    STACK_PID=''
    check "the server stops with status 0" same 0 "$status"
}

# child_of PID NAME - the pid of a child by the name of its program.
child_of() {
    local stat
    for stat in /proc/[0-9]*/stat; do
        awk -v ppid="$1" -v name="$2" '{ pid = $1; comm = $0; sub(/^[^(]*\(/, "", comm); sub(/\).*$/, "", comm)
            rest = $0; sub(/^.*\) /, "", rest); split(rest, f, " ")
            if (f[2] == ppid && index(name, comm) == 1) print pid }' "$stat" 2>/dev/null
    done | head -n 1
}

stack_stop() {
    local status=$?
    trap - EXIT
    [ -z "$STACK_PID" ] || server_down
    if [ "$status" -ne 0 ] || [ "$BROKEN" -ne 0 ]; then
        echo "--- the end of the server's log"
        tail -n 60 "$STACK_TMP/log" 2>/dev/null
        [ "$status" -ne 0 ] || status=1
    fi
    psql -q "$TEST_DATABASE_URL" -c "DROP DATABASE IF EXISTS $STACK_NAME WITH (FORCE)" 2>/dev/null
    rm -rf "$STACK_TMP"
    exit "$status"
}

stack_done() {
    echo "$CHECKS checks, $BROKEN broken"
    [ "$CHECKS" -gt 0 ] && [ "$BROKEN" -eq 0 ]
    exit
}

localrag() { "$STACK_BIN/localrag" --server "127.0.0.1:$GRPC_PORT" "$@"; }

rest() {
    local path=${*: -1} answer
    set -- "${@:1:$#-1}"
    answer=$(curl -sS --max-time 60 -w '\n%{http_code}' "$@" "http://127.0.0.1:$PORT$path")
    REST_STATUS=${answer##*$'\n'}
    REST_BODY=${answer%$'\n'*}
}

# field NAME - the first value of that JSON key in REST_BODY, without quotes.
field() { grep -o "\"$1\": *\(\"[^\"]*\"\|[-0-9.a-z]*\)" <<<"$REST_BODY" | head -n 1 | sed 's/^[^:]*: *//; s/^"//; s/"$//'; }

check() {
    local what=$1
    shift
    CHECKS=$((CHECKS + 1))
    "$@" && return
    BROKEN=$((BROKEN + 1))
    echo "BROKEN: $what"
    echo "    $*"
    [ -z "$REST_STATUS" ] || echo "    last answer: $REST_STATUS ${REST_BODY:0:500}"
}

# same WANT GOT, has TEXT PART - for check.
same() { [ "$1" = "$2" ] || { echo "    wanted \"$1\", got \"$2\""; return 1; }; }
has() { [[ $1 == *"$2"* ]] || { echo "    \"$2\" is not in \"${1:0:500}\""; return 1; }; }

# job_ended ID - fills REST_*; job_wait ID [SECONDS] waits for it.
job_ended() {
    rest "/api/v1/jobs/$1"
    case $(field status) in completed | failed | cancelled) ;; *) return 1 ;; esac
}
job_wait() {
    [ -n "${1-}" ] || { echo "no job to wait for"; return 1; }
    wait_until "${2:-120}" job_ended "$1" || { echo "job $1 did not end"; return 1; }
}

# shellcheck disable=SC2034 # JOB is for the test
# upload FILE [CURL ARGUMENT]... - sets JOB.
upload() {
    rest "${@:2}" -F "file=@$1" /api/v1/documents/upload
    JOB=$(field job_id)
}
