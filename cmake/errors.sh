#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# errors.sh - prints the table of docs/errors.md from base/code.h; ./dev lint compares the two.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

grpc=(OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS
    PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL
    UNAVAILABLE DATA_LOSS UNAUTHENTICATED)

echo '| code | gRPC | HTTP | CLI exit | tried again | meaning |'
echo '|---|---|---|---|---|---|'
sed -n 's/^ *X(\([A-Z_]*\), *\([0-9]*\), *\([0-9]*\), *\([0-9]*\), *\([a-z]*\), *"\(.*\)").*/\1|\2|\3|\4|\5|\6/p' base/code.h |
    while IFS='|' read -r name status http exit retry text; do
        [ "$retry" = true ] && retry=yes || retry=no
        # shellcheck disable=SC2016 # backquotes of Markdown
        printf '| `%s` | %s %s | %s | %s | %s | %s |\n' "$name" "$status" "${grpc[status]}" "$http" "$exit" "$retry" "$text"
    done
