// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build tools

// Package main names the tools of these tests, so that go.mod and go.sum fix their versions. They are the
// newest that the Go of Debian 12 builds.
package main

import (
	_ "github.com/fullstorydev/grpcurl/cmd/grpcurl"
	_ "google.golang.org/grpc/cmd/protoc-gen-go-grpc"
	_ "google.golang.org/protobuf/cmd/protoc-gen-go"
)
