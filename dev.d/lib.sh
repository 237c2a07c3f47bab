# shellcheck shell=bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# lib.sh - what every part of ./dev uses: talking, the lock, settings, processes, ports.
#
# Sourced, never run. ROOT (the checkout) and DEV (its .dev folder) are set by ./dev. Every function
# quotes every path: a checkout may lie in a folder with spaces.

if [ -t 1 ]; then BOLD=$'\e[1m' PLAIN=$'\e[0m'; else BOLD='' PLAIN=''; fi

say() { printf '%s==>%s %s\n' "$BOLD" "$PLAIN" "$*"; }
warn() { printf './dev: %s\n' "$*" >&2; }
die() {
    printf './dev: error: %s\n' "$*" >&2
    exit 1
}

# lock - one ./dev at a time starts or stops things. File 9 must be closed in whatever stays behind.
lock() {
    mkdir -p "$DEV/log" 2>/dev/null || die "could not create \"$DEV\""
    [ -w "$DEV" ] || die "\"$DEV\" belongs to $(stat -c %U "$DEV"), and you are $(id -un)"
    exec 9>"$DEV/lock"
    flock -n 9 && return
    say "waiting for another ./dev"
    flock -w 900 9 || die "another ./dev holds \"$DEV/lock\" for 15 minutes already"
}
unlock() { exec 9>&-; }

# given NAME - is the setting in the environment or in .env of the checkout?
given() {
    [ -n "${!1+x}" ] || { [ -f "$ROOT/.env" ] && grep -qE "^[[:space:]]*(export[[:space:]]+)?$1=" "$ROOT/.env"; }
}

# setting NAME DEFAULT - the value the server will see, without quotes and comment.
setting() {
    local line=$2
    if [ -n "${!1+x}" ]; then
        line=${!1}
    elif given "$1"; then
        line=$(sed -nE "s/^[[:space:]]*(export[[:space:]]+)?$1=//p" "$ROOT/.env" | tail -n 1)
        line=${line%%[[:space:]]#*}
        line=${line%"${line##*[![:space:]]}"}
        line=${line#[\"\']}
        line=${line%[\"\']}
    fi
    printf '%s' "$line"
}

# listening PORT - does anybody on this machine listen there? Reads the kernel's table, opens nothing.
listening() {
    local hex
    printf -v hex '%04X' "$1"
    grep -qs "^ *[0-9]*: [0-9A-F]*:$hex [0-9A-F:]* 0A " /proc/net/tcp /proc/net/tcp6
}

# free_port - below the range the kernel hands out for outgoing connections.
free_port() {
    local port tries
    for tries in {1..200}; do
        port=$((20000 + RANDOM % 10000))
        listening "$port" || { echo "$port"; return; }
    done
    die "found no free port after $tries tries"
}

# alive PID: exists and is no zombie.
alive() {
    local state
    [ -n "$1" ] && [ -r "/proc/$1/stat" ] || return 1
    state=$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null) || return 1
    [ -n "$state" ] && [ "$state" != Z ]
}

# wait_until SECONDS CMD... - polls a condition; the deadline is the caller's.
wait_until() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.05
    done
}
gone() { ! alive "$1"; }

# random_word - 32 hex digits.
random_word() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }

# detach LOG CMD... - starts a program that outlives us: own session, no terminal, no lock, log
# appended. Sets DETACHED to its pid (setsid execs: a background job is never a group leader).
detach() {
    local log=$1
    shift
    setsid "$@" </dev/null >>"$log" 2>&1 9>&- &
    DETACHED=$!
    disown "$DETACHED"
}

# show_end FILE - the last lines of a log, indented, for error messages.
show_end() { [ -f "$1" ] && tail -n "${2:-15}" "$1" | sed 's/^/    /' >&2; }
