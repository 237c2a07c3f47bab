/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* pbjson.h - any protobuf message to JSON and back, by walking its descriptor.
 *
 * This project's form, not canonical proto3 JSON: keys are the field names of the proto; every
 * field is written (unset optional and message fields null, lists [], maps {}); 64-bit integers are
 * numbers; enums are their short lower-case name ("JOB_STATUS_PENDING": "pending"), value 0 is
 * null; Timestamp is RFC 3339 in UTC; Struct, Value and ListValue are plain JSON; bytes are base64.
 * A message that is nothing but one oneof of two or more messages is the chosen member itself, null
 * when unset. */
#ifndef BASE_PBJSON_H
#define BASE_PBJSON_H

#include <protobuf-c/protobuf-c.h>

#include "base/buf.h"
#include "base/ctx.h"

enum { PBJSON_MAX_DEPTH = 64 };

/* Appends the message. NULL is null. What is nested deeper than PBJSON_MAX_DEPTH is null. */
void pbjson_write(struct buf *b, const ProtobufCMessage *m);

/* Reads a JSON object as a message of type `d`, in cx's arena. INVALID_ARGUMENT names every bad
 * field and what is wrong with it, one a line; unknown fields, duplicate keys and nesting deeper
 * than PBJSON_MAX_DEPTH are refused. null means unset. */
enum code pbjson_read(struct ctx *cx, const ProtobufCMessageDescriptor *d, const char *json,
                      size_t len, ProtobufCMessage **ret_message) MUST_CHECK;

/* Sets a scalar, enum or text field from text, or appends to a repeated one: for path and query
 * parameters. The memory is cx's. INVALID_ARGUMENT names an unknown field or a bad value. */
enum code pbjson_set_field(struct ctx *cx, ProtobufCMessage *m, const char *name,
                           const char *value) MUST_CHECK;

/* A new message of type `d`, all fields unset, in cx's arena. NULL and recorded at the limit. */
ProtobufCMessage *pbjson_new(struct ctx *cx, const ProtobufCMessageDescriptor *d);

#endif
