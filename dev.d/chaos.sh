# shellcheck shell=bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# chaos.sh - beats a whole system of its own with faults and then holds a ledger against it (tests/chaos).
#
# The logs of a run stay in .dev/chaos/SEED/. Nothing of the stack of ./dev up is touched.

# cmd_chaos [SECONDS] [--seed N] [--preset PRESET] [--only WORD]...
cmd_chaos() {
    local preset=release arguments=()
    while [ $# -gt 0 ]; do
        case $1 in
        --preset) preset=${2-}; shift 2 || usage_error "--preset takes a name" ;;
        --seed | --only | --gap | --round)
            [ $# -gt 1 ] || usage_error "$1 takes a value"
            arguments+=("$1" "$2")
            shift 2
            ;;
        *)
            [[ $1 =~ ^[1-9][0-9]{0,5}$ ]] || usage_error "\"$1\" is not a number of seconds"
            arguments+=("$1")
            shift
            ;;
        esac
    done
    need_packages build test
    [ "$EUID" -eq 0 ] || die "chaos mounts a small disk and makes network namespaces: run it as root"
    lock
    build "$preset" "${PROGRAMS[@]}"
    unlock
    python3_of_debian "$ROOT/tests/chaos/chaos.py" --build "$ROOT/build/$preset" "${arguments[@]}"
}

# Debian's own, which has python3-grpcio.
python3_of_debian() { PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$@"; }
