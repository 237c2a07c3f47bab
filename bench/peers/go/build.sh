#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# build.sh DIR - builds the peer and the loads in DIR (DIR/peer, DIR/load, DIR/submit), with code generated from proto/.
# Needs go and protoc; go fetches its modules itself.
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
proto=$here/../../../proto
mkdir -p "$1/src"
dir=$(cd "$1" && pwd -P)
cp -R "$here/go.mod" "$here/go.sum" "$here/server" "$here/load" "$here/submit" "$dir/src/"
for tool in google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.10 google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.5.1; do
    name=${tool##*/}
    [ -x "$dir/${name%@*}" ] || GOBIN=$dir go install "$tool"
done
set --
for file in "$proto"/localrag/v1/*.proto; do
    set -- "$@" "--go_opt=Mlocalrag/v1/${file##*/}=localrag.example/peer/pb" \
        "--go-grpc_opt=Mlocalrag/v1/${file##*/}=localrag.example/peer/pb"
done
for file in annotations http; do
    set -- "$@" "--go_opt=Mgoogle/api/$file.proto=localrag.example/peer/api" \
        "--go-grpc_opt=Mgoogle/api/$file.proto=localrag.example/peer/api"
done
cd "$proto"
PATH=$dir:$PATH protoc -I. "$@" --go_out="$dir/src" --go_opt=module=localrag.example/peer \
    --go-grpc_out="$dir/src" --go-grpc_opt=module=localrag.example/peer \
    localrag/v1/*.proto google/api/annotations.proto google/api/http.proto
cd "$dir/src"
go build -o "$dir/peer" ./server
go build -o "$dir/load" ./load
go build -o "$dir/submit" ./submit
