# shellcheck shell=bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# servers.sh - a private PostgreSQL 15 and Redis 7 in a folder: for the stack and for every test run.
#
# servers_start DIR   starts what is not running and sets PRIVATE_DATABASE_URL and PRIVATE_REDIS_URL
# servers_stop DIR    stops both, data kept
#
# DIR holds pg/, redis/, log/ and servers.env (ports, passwords). Both listen on Unix sockets in a
# short folder under /tmp (socket paths end at 107 bytes) and on loopback with a password. PostgreSQL
# refuses to run as root, so called by root both run as user postgres, with one capability more if
# that user could not reach the checkout otherwise. A pid counts only if its process really works in
# our folder: pid files outlive their processes.

PG_BIN=/usr/lib/postgresql/15/bin

# service_user DIR - sets SERVICE, the words to put before a command.
service_user() {
    SERVICE=()
    SERVICE_USER=$(id -un)
    [ "$EUID" -eq 0 ] || return 0
    SERVICE_USER=postgres
    local words=(setpriv --reuid=postgres --regid=postgres --clear-groups) cap
    SERVICE=("${words[@]}")
    reaches "$1" && return
    for cap in dac_read_search dac_override; do
        SERVICE=("${words[@]}" "--inh-caps=+$cap" "--ambient-caps=+$cap")
        reaches "$1" && return
    done
    die "user postgres cannot reach \"$1\"; move the checkout out of $(dirname "$ROOT")"
}

# Not test -x: access(2) leaves capabilities out.
reaches() { "${SERVICE[@]}" ls -d "$1/." >/dev/null 2>&1; }

# servers_load DIR - what was decided at the first start; missing pieces are decided now.
servers_load() {
    local dir=$1
    SOCKETS='' PG_PORT='' PG_PASSWORD='' REDIS_PORT='' REDIS_PASSWORD=''
    # The URLs in it are for people: the caller's DATABASE_URL must stay what it is.
    # shellcheck disable=SC1090,SC1091 # written by servers_save
    [ -f "$dir/servers.env" ] && . <(grep -v _URL= "$dir/servers.env")
    : "${PG_PASSWORD:=$(random_word)}" "${REDIS_PASSWORD:=$(random_word)}"
    PG_PID='' REDIS_PID=''
    [ -f "$dir/pg/postmaster.pid" ] && PG_PID=$(head -n 1 "$dir/pg/postmaster.pid")
    works_in "$PG_PID" "$dir/pg" || PG_PID=''
    [ -f "$dir/redis.pid" ] && REDIS_PID=$(cat "$dir/redis.pid")
    works_in "$REDIS_PID" "$dir/redis" || REDIS_PID=''
}

works_in() { alive "$1" && [ "$(readlink "/proc/$1/cwd")" = "$2" ]; }

servers_save() {
    (
        umask 077
        printf '%s=%s\n' SOCKETS "$SOCKETS" PG_PORT "$PG_PORT" PG_PASSWORD "$PG_PASSWORD" \
            REDIS_PORT "$REDIS_PORT" REDIS_PASSWORD "$REDIS_PASSWORD" \
            DATABASE_URL "'$(private_database_url)'" REDIS_URL "'$(private_redis_url)'" >"$1/servers.env"
    )
}

private_database_url() { echo "postgresql://localrag@/localrag?host=$SOCKETS&port=$PG_PORT"; }
private_redis_url() { echo "redis://default:$REDIS_PASSWORD@127.0.0.1:$REDIS_PORT/0"; }

servers_start() {
    local dir=$1
    servers_load "$dir"
    if [ -n "$PG_PID" ] && [ -n "$REDIS_PID" ] && pg_ready "$dir"; then
        servers_export
        return
    fi
    say "starting a private PostgreSQL and Redis in ${dir#"$ROOT"/}/"
    mkdir -p "$dir/log" "$dir/redis"
    service_user "$dir"
    # The folder for sockets may be gone (reboot) or, under /tmp, be somebody else's by now.
    if [ -z "$SOCKETS" ] || [ ! -d "$SOCKETS" ] || [ "$(stat -c %U "$SOCKETS")" != "$SERVICE_USER" ]; then
        [ -z "$PG_PID" ] || die "\"$SOCKETS\" is gone while PostgreSQL runs; first ./dev down"
        SOCKETS=$(mktemp -d /tmp/localrag-XXXXXX)
        chown "$SERVICE_USER" "$SOCKETS"
    fi
    [ -n "$PG_PID" ] || { { [ -n "$PG_PORT" ] && ! listening "$PG_PORT"; } || PG_PORT=$(free_port); }
    [ -n "$REDIS_PID" ] || { { [ -n "$REDIS_PORT" ] && ! listening "$REDIS_PORT"; } || REDIS_PORT=$(free_port); }
    servers_save "$dir"
    [ -n "$PG_PID" ] || pg_start "$dir"
    [ -n "$REDIS_PID" ] || redis_start "$dir"
    wait_until 60 pg_ready_or_dead "$dir"
    pg_ready "$dir" ||
        { show_end "$dir/log/postgres.log"; die "PostgreSQL did not start, see \"$dir/log/postgres.log\""; }
    wait_until 20 redis_ready_or_dead
    listening "$REDIS_PORT" ||
        { show_end "$dir/log/redis.log"; die "Redis did not start, see \"$dir/log/redis.log\""; }
    servers_export
}

servers_export() {
    export PRIVATE_DATABASE_URL PRIVATE_REDIS_URL
    PRIVATE_DATABASE_URL=$(private_database_url)
    PRIVATE_REDIS_URL=$(private_redis_url)
}

# Line 8 of postmaster.pid is the server's own word on its state.
pg_ready() { [ "$(sed -n '8s/ *$//p' "$1/pg/postmaster.pid" 2>/dev/null)" = ready ]; }
pg_ready_or_dead() { pg_ready "$1" || gone "$PG_PID"; }
redis_ready_or_dead() { listening "$REDIS_PORT" || gone "$REDIS_PID"; }

pg_init() {
    local dir=$1 new=$1/pg.new
    rm -rf "$new"
    mkdir -m 700 "$new"
    chown "$SERVICE_USER" "$new"
    {
        "${SERVICE[@]}" "$PG_BIN/initdb" -D "$new" --username=postgres --encoding=UTF8 --locale=C.UTF-8 \
            --auth-local=trust --auth-host=scram-sha-256 --no-instructions
        cat >>"$new/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
unix_socket_permissions = 0700
max_connections = 200
shared_buffers = 128MB
jit = off
log_line_prefix = '%m [%p] '
CONF
        printf '%s\n' "CREATE ROLE localrag LOGIN CREATEDB PASSWORD '$PG_PASSWORD'" \
            "CREATE DATABASE localrag OWNER localrag" |
            "${SERVICE[@]}" "$PG_BIN/postgres" --single -D "$new" postgres
    } >>"$dir/log/postgres.log" 2>&1 ||
        { show_end "$dir/log/postgres.log"; die "initdb failed, see \"$dir/log/postgres.log\""; }
    mv "$new" "$dir/pg"
}

pg_start() {
    local dir=$1
    [ -d "$dir/pg" ] || pg_init "$dir"
    # Its process does not work here (servers_load looked), whoever has that number now.
    rm -f "$dir/pg/postmaster.pid"
    chown -R "$SERVICE_USER" "$dir/pg"
    detach "$dir/log/postgres.log" "${SERVICE[@]}" "$PG_BIN/postgres" -D "$dir/pg" -p "$PG_PORT" -k "$SOCKETS"
    PG_PID=$DETACHED
}

redis_start() {
    local dir=$1
    (
        umask 077
        cat >"$dir/redis/redis.conf" <<CONF
bind 127.0.0.1
port $REDIS_PORT
unixsocket $SOCKETS/redis.sock
unixsocketperm 700
requirepass $REDIS_PASSWORD
save ""
appendonly no
maxmemory 256mb
maxmemory-policy noeviction
CONF
    )
    chown -R "$SERVICE_USER" "$dir/redis"
    # Redis' own "dir" setting would have to be quoted its way; env -C is not.
    detach "$dir/log/redis.log" env -C "$dir/redis" "${SERVICE[@]}" redis-server ./redis.conf
    REDIS_PID=$DETACHED
    echo "$REDIS_PID" >"$dir/redis.pid"
}

servers_stop() {
    local dir=$1
    servers_load "$dir"
    if [ -n "$REDIS_PID" ]; then
        kill -TERM "$REDIS_PID" 2>/dev/null || true
        wait_until 10 gone "$REDIS_PID" || kill -KILL "$REDIS_PID"
    fi
    rm -f "$dir/redis.pid"
    if [ -n "$PG_PID" ]; then
        kill -INT "$PG_PID" 2>/dev/null || true
        wait_until 60 gone "$PG_PID" || { warn "PostgreSQL took over 60 s to stop"; kill -QUIT "$PG_PID"; }
    fi
    case $SOCKETS in /tmp/localrag-*) rm -rf "$SOCKETS" ;; esac
}

# servers_remove DIR - stops both and removes everything, for test runs.
servers_remove() {
    servers_stop "$1"
    rm -rf "$1"
}
