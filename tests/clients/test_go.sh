#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# test_go.sh BUILD_DIR - a client in Go, from stubs that Go's own generators make of our proto files.
# shellcheck source=tests/clients/go-tools.sh
. "$(dirname "${BASH_SOURCE[0]}")/go-tools.sh"
# shellcheck source=tests/support/stack.sh
. "$CLIENTS/../support/stack.sh"
go_tool google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc

# The module with its stubs, in the build folder: Go wants them beside each other.
BUILD=$(cd "$1" && pwd -P) || exit 1
client=$BUILD/go-client
mkdir -p "$client/gen"
cp "$CLIENTS/go/go.mod" "$CLIENTS/go/go.sum" "$CLIENTS/go/main.go" "$client"
cd "$ROOT/proto" || exit 1
protos=(localrag/v1/*.proto google/api/*.proto)
options=()
for proto in "${protos[@]}"; do
    options+=("--go_opt=M$proto=localrag.test/clients/gen/$(dirname "$proto")"
        "--go-grpc_opt=M$proto=localrag.test/clients/gen/$(dirname "$proto")")
done
protoc -I. -I/usr/include --plugin="$TOOLS/protoc-gen-go" --plugin="$TOOLS/protoc-gen-go-grpc" \
    --go_out="$client" --go_opt=module=localrag.test/clients --go-grpc_out="$client" \
    --go-grpc_opt=module=localrag.test/clients "${options[@]}" "${protos[@]}" || exit 1
cd "$client" && go vet . && GOFLAGS=-mod=readonly go build -trimpath -o client . || exit 1

stack_start "$BUILD"
status=0
OUT=$("$client/client" "127.0.0.1:$GRPC_PORT" "$DATA/mixed.pdf" 2>&1) || status=$?
echo "$OUT"
check "the client ends well" same 0 "$status"
for line in "health HEALTH_STATUS_HEALTHY HEALTH_STATUS_HEALTHY" \
    "accepted queued mixed.pdf $(stat -c %s "$DATA/mixed.pdf")" \
    "watched true" "ended JOB_STATUS_COMPLETED 100" "engines 2 1" "metadata go created true" \
    "pages 3 chunks 1 total 1" "spans fit" "refused NotFound [NOT_FOUND]"; do
    check "it saw: $line" has $'\n'"$OUT"$'\n' $'\n'"$line"$'\n'
done
stack_done
