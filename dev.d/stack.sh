# shellcheck shell=bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# stack.sh - up, down, status, logs, run: the whole system on this machine.
#
# localrag-server starts and supervises the workers itself; here it is started, waited for and
# stopped. It runs as whoever calls ./dev, with its data under .dev/data.

BIN=$ROOT/build/release/bin
# Building only these leaves out the tests.
PROGRAMS=(localrag-server localrag-worker localrag-extract localrag)

# stack_env - what the server is told unless the caller or .env says otherwise.
stack_env() {
    given DATA_PATH || export DATA_PATH=$DEV/data
    given UPLOADS_PATH || export UPLOADS_PATH=$DEV/data/uploads
    given LOG_FORMAT || export LOG_FORMAT=text
    # Marks every process of this stack, so that `down` finds what a killed server left behind.
    export LOCALRAG_STACK=$DEV
    HTTP=http://127.0.0.1:$(setting PORT 8080)
    GRPC=127.0.0.1:$(setting GRPC_PORT 50051)
    ADMIN=http://127.0.0.1:$(setting ADMIN_PORT 9090)
    case $(setting HOST 127.0.0.1) in
    127.* | 0.0.0.0 | localhost | ::*) ;;
    *)
        HTTP=${HTTP/127.0.0.1/$(setting HOST '')}
        GRPC=${GRPC/127.0.0.1/$(setting HOST '')}
        ADMIN=${ADMIN/127.0.0.1/$(setting HOST '')}
        ;;
    esac
}

# server_load - sets SERVER_PID if ours runs; its addresses are then the ones it was started with.
server_load() {
    SERVER_PID=''
    [ -f "$DEV/server.pid" ] && SERVER_PID=$(cat "$DEV/server.pid")
    local exe
    exe=$(readlink "/proc/${SERVER_PID:-none}/exe") || exe=''
    if ! alive "$SERVER_PID" || [ "${exe% (deleted)}" != "$BIN/localrag-server" ]; then
        SERVER_PID=''
        return 0
    fi
    # shellcheck disable=SC1091 # written by server_start
    [ -f "$DEV/addresses" ] && . "$DEV/addresses"
    return 0
}

backing_start() {
    if given DATABASE_URL && given REDIS_URL; then return; fi
    # Started in any case when one of the two is ours; only that one is told to the server.
    local set_database=true set_redis=true
    if given DATABASE_URL; then set_database=false; fi
    if given REDIS_URL; then set_redis=false; fi
    servers_start "$DEV"
    if $set_database; then export DATABASE_URL=$PRIVATE_DATABASE_URL; fi
    if $set_redis; then export REDIS_URL=$PRIVATE_REDIS_URL; fi
}

# settings_now - every setting somebody chose, for comparing with what the running server was given.
settings_now() { env -C "$ROOT" "$BIN/localrag-server" --check-config | grep -v '# \(default\|unset\)$' | sort; }

# need_ports - before anything is stopped: those that the running server is about to give up are free.
need_ports() {
    local name port ours=' '
    [ -z "$SERVER_PID" ] || ours=" ${HTTP##*:} ${GRPC##*:} ${ADMIN##*:} "
    for name in PORT:8080 GRPC_PORT:50051 ADMIN_PORT:9090; do
        port=$(setting "${name%:*}" "${name#*:}")
        [[ $port =~ ^[0-9]+$ ]] || die "${name%:*}=\"$port\" is not a port"
        [[ $ours == *" $port "* ]] && continue
        listening "$port" || continue
        die "port $port is in use by another program; choose a free one: ${name%:*}=$(free_port) ./dev ${COMMAND}"
    done
}

cmd_up() {
    [ $# -eq 0 ] || usage_error "up takes no arguments"
    stack_up
    say "up: REST $HTTP  gRPC $GRPC  metrics $ADMIN/metrics"
}

stack_up() {
    need_packages build
    lock
    build release "${PROGRAMS[@]}"
    stack_env
    backing_start
    server_load
    local config
    config=$(settings_now) || die "the settings above need a change (environment or .env)"
    if [ -n "$SERVER_PID" ] && server_outdated "$config"; then
        need_ports
        say "restarting the server: $WHY"
        server_stop
        stack_env
    fi
    if [ -z "$SERVER_PID" ]; then
        need_ports
        server_start "$config"
    fi
    server_wait
    unlock
}

# server_outdated CONFIG - runs an older build, or was not told a setting that is given now? One that
# was given then and is not now stays in force until ./dev down.
server_outdated() {
    WHY='a new build'
    [[ $(readlink "/proc/$SERVER_PID/exe") != *' (deleted)' ]] || return 0
    WHY='other settings'
    [ -n "$(comm -23 <(printf '%s\n' "$1") <(sort "$DEV/config" 2>/dev/null))" ]
}

server_start() {
    say "starting localrag-server and its workers"
    # Relative paths in settings are meant from the checkout, where .env lies.
    detach "$DEV/log/server.log" env -C "$ROOT" "$BIN/localrag-server"
    SERVER_PID=$DETACHED
    echo "$SERVER_PID" >"$DEV/server.pid"
    printf '%s\n' "$1" >"$DEV/config"
    printf '%s=%q\n' HTTP "$HTTP" GRPC "$GRPC" ADMIN "$ADMIN" >"$DEV/addresses"
}

# server_wait - until server and workers are healthy; also for one that was started before.
server_wait() {
    local log=$DEV/log/server.log
    wait_until "${LOCALRAG_UP_SECONDS:-60}" server_ready_or_dead || true
    if ! alive "$SERVER_PID"; then
        show_end "$log"
        die "localrag-server stopped at once; its log is \"$log\""
    elif ! curl_ok "$ADMIN/readyz"; then
        show_end "$log"
        die "localrag-server is not ready after ${LOCALRAG_UP_SECONDS:-60} s; its log is \"$log\""
    fi
    case $(workers_state) in
    healthy | unknown) ;;
    stopped) warn "the workers are stopped by request: jobs wait" ;;
    disabled) warn "TASK_QUEUE_ENABLED=false: nothing will be processed" ;;
    elsewhere) warn "TASK_MAX_WORKERS=0: jobs wait for a localrag-worker started elsewhere" ;;
    *) show_end "$log"; die "the workers are $(workers_state) after ${LOCALRAG_UP_SECONDS:-60} s; see \"$log\"" ;;
    esac
}

curl_ok() { curl -fsS -o /dev/null --max-time 5 "$1" 2>/dev/null; }

# workers_state - the status word of the worker health; "unknown" when it takes a key we do not have.
workers_state() {
    local body
    # What the server was started with counts, not what this call was given.
    grep -qs '^TASK_MAX_WORKERS=0 ' "$DEV/config" && { echo elsewhere; return; }
    body=$(curl -sS --max-time 5 ${LOCALRAG_API_KEY:+-H "X-Api-Key: $LOCALRAG_API_KEY"} \
        "$HTTP/api/v1/health/workers" 2>/dev/null) || { echo unreachable; return; }
    case $body in
    *UNAUTHENTICATED* | *PERMISSION_DENIED*) echo unknown ;;
    *) sed -n 's/^[^[]*"status" *: *"\([a-z]*\)".*/\1/p' <<<"${body//$'\n'/ }" | head -n 1 ;;
    esac
}

server_ready_or_dead() {
    alive "$SERVER_PID" || return 0
    curl_ok "$ADMIN/readyz" || return 1
    case $(workers_state) in healthy | stopped | disabled | elsewhere | unknown) ;; *) return 1 ;; esac
}

server_stop() {
    local grace pid
    grace=$(setting SHUTDOWN_GRACE 25)
    case $grace in
    *[0-9]m) grace=$((${grace%%[!0-9]*} * 60)) ;;
    *[0-9]h) grace=$((${grace%%[!0-9]*} * 3600)) ;;
    *) grace=${grace%%[!0-9]*} ;;
    esac
    if [ -n "$SERVER_PID" ]; then
        kill -TERM "$SERVER_PID" 2>/dev/null || true
        wait_until $((${grace:-25} + 10)) gone "$SERVER_PID" ||
            { warn "localrag-server did not stop in time, killing it"; kill -KILL "$SERVER_PID"; }
    fi
    # Workers and extractors end with the server; after a crash or kill -9 they may not have.
    while IFS= read -r pid; do
        warn "stopping process $pid that outlived the server"
        kill -TERM "$pid" 2>/dev/null || true
        wait_until $((${grace:-25} + 5)) gone "$pid" || kill -KILL "$pid" 2>/dev/null || true
    done < <(stack_pids)
    rm -f "$DEV/server.pid" "$DEV/config" "$DEV/addresses"
    SERVER_PID=''
}

# stack_pids - worker processes that carry our mark.
stack_pids() {
    local dir exe
    for dir in /proc/[0-9]*; do
        exe=$(readlink "$dir/exe" 2>/dev/null) || continue
        case $exe in "$BIN"/localrag-worker* | "$BIN"/localrag-extract*) ;; *) continue ;; esac
        grep -qzxF "LOCALRAG_STACK=$DEV" "$dir/environ" 2>/dev/null && echo "${dir#/proc/}"
    done
    return 0
}

cmd_down() {
    [ $# -eq 0 ] || usage_error "down takes no arguments"
    lock
    stack_env
    server_load
    say "stopping${SERVER_PID:+ localrag-server (running jobs get up to $(setting SHUTDOWN_GRACE 25) s),} the private servers"
    server_stop
    servers_stop "$DEV"
    say "down; data is kept in ${DEV#"$ROOT"/}/"
}

cmd_status() {
    [ $# -eq 0 ] || usage_error "status takes no arguments"
    stack_env
    server_load
    servers_load "$DEV"
    local row='%-12s %-10s %-9s %s\n' state=stopped
    # shellcheck disable=SC2059 # the format is ours, three lines up
    {
        printf "$row" WHAT STATE PID WHERE
        [ -z "$SERVER_PID" ] || { curl_ok "$ADMIN/readyz" && state=ready || state='not ready'; }
        printf "$row" server "$state" "${SERVER_PID:--}" "${SERVER_PID:+REST $HTTP  gRPC $GRPC  admin $ADMIN}"
        [ -z "$SERVER_PID" ] || printf "$row" workers "$(workers_state)" \
            "$(stack_pids | head -n 1)" "$HTTP/api/v1/workers"
        if given DATABASE_URL; then
            printf "$row" postgresql yours - 'DATABASE_URL'
        else
            printf "$row" postgresql "$([ -n "$PG_PID" ] && echo running || echo stopped)" "${PG_PID:--}" \
                "${PG_PID:+127.0.0.1:$PG_PORT and $SOCKETS}"
        fi
        if given REDIS_URL; then
            printf "$row" redis yours - 'REDIS_URL'
        else
            printf "$row" redis "$([ -n "$REDIS_PID" ] && echo running || echo stopped)" "${REDIS_PID:--}" \
                "${REDIS_PID:+127.0.0.1:$REDIS_PORT and $SOCKETS/redis.sock}"
        fi
    }
    [ -z "$SERVER_PID" ] || echo "URLs with passwords: ${DEV#"$ROOT"/}/servers.env   logs: ${DEV#"$ROOT"/}/log/"
    [ -n "$SERVER_PID" ]
}

cmd_logs() {
    local follow=()
    case ${1-} in
    '') ;;
    -f) follow=(-f) ;;
    *) usage_error "logs knows -f only" ;;
    esac
    local logs=() file
    for file in server postgres redis; do
        [ -f "$DEV/log/$file.log" ] && logs+=("$DEV/log/$file.log")
    done
    [ ${#logs[@]} -gt 0 ] || die "no logs yet; ./dev up starts everything"
    tail -n 40 "${follow[@]}" "${logs[@]}"
}

# documents_in DIR - files of a type we can read, NUL after each.
documents_in() {
    find "$1" -type f \( -iname '*.pdf' -o -iname '*.txt' -o -iname '*.png' -o -iname '*.jpg' \
        -o -iname '*.jpeg' -o -iname '*.tif' -o -iname '*.tiff' \) -print0 | sort -z
}

cmd_run() {
    local files=() found arg
    for arg in "$@"; do
        case $arg in
        --help) usage 0 ;;
        -*) [ -e "$arg" ] || usage_error "run takes files and folders, not \"$arg\"" ;;
        esac
        [ -e "$arg" ] || die "no such file or folder: \"$arg\""
        [ -r "$arg" ] || die "not readable: \"$arg\""
        case $arg in -*) arg=./$arg ;; esac
        if [ -d "$arg" ]; then
            mapfile -d '' found < <(documents_in "$arg")
            [ ${#found[@]} -gt 0 ] || die "no document (pdf, txt, png, jpeg, tiff) in \"$arg\""
            files+=("${found[@]}")
        else
            files+=("$arg")
        fi
    done
    [ ${#files[@]} -gt 0 ] || files=("$ROOT/docs/sample.pdf")
    stack_up
    # A slice stays far below the limit on the length of a command line.
    # It says what to call next in the words it was called with.
    local status=0 i cli=$BIN/localrag
    [ "$PWD" != "$ROOT" ] || cli=${cli#"$ROOT/"}
    for ((i = 0; i < ${#files[@]}; i += 500)); do
        "$cli" --server "$GRPC" upload "${files[@]:i:500}" || status=$?
    done
    echo
    echo "Everything keeps running. Look around:"
    echo "  browser     $HTTP/"
    echo "  jobs        curl $HTTP/api/v1/jobs"
    echo "              $cli --server $GRPC jobs list"
    echo "  stop        ./dev down"
    return "$status"
}
