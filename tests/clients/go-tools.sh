# shellcheck shell=bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# go-tools.sh - sourced: makes the Go programs of these tests once, in .dev/tools/ of the checkout.
#
# Versions and checksums are those of go/go.mod and go/go.sum, so what is fetched is always the same. The
# first time takes a minute of a core; later only Go's own look at its cache. Without a `go` the test that
# sources this is skipped.
CLIENTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
TOOLS=$(cd "$CLIENTS/../.." && pwd -P)/.dev/tools

# go_tool IMPORT_PATH... - builds programs into $TOOLS.
go_tool() {
    local log
    command -v go >/dev/null || { echo "skipped: no go"; exit 77; }
    mkdir -p "$TOOLS"
    log=$(mktemp)
    if ! (
        flock 8
        cd "$CLIENTS/go" && GOFLAGS=-mod=readonly go build -trimpath -o "$TOOLS/" "$@"
    ) 8>"$TOOLS/lock" >"$log" 2>&1; then
        echo "could not build $*:"
        tail -n 20 "$log"
        rm -f "$log"
        exit 1
    fi
    rm -f "$log"
}
