/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* methods.h - the table of RPCs, built at start from the embedded descriptor set and ops/ops.h.
 *
 * gRPC and REST both dispatch by it; nothing about a route, a type or a stream is written twice. */
#ifndef SERVER_METHODS_H
#define SERVER_METHODS_H

#include <protobuf-c/protobuf-c.h>

#include "jobs/jobs.h"

/* A unary handler. `in` and `out` are messages of the method's types, `out` initialised; everything
 * lives in cx's arena. Runs on a handler thread and may block. On failure `out` is ignored. */
typedef enum code (*op_fn)(struct ctx *cx, struct jobs *jobs, const ProtobufCMessage *in,
                           ProtobufCMessage *out);

enum method_kind {
    METHOD_UNARY,
    METHOD_UPLOAD, /* client stream into server/upload.h */
    METHOD_WATCH, /* server stream out of server/hub.h: one job */
    METHOD_WATCH_ALL, /* the same, all jobs */
};

struct method {
    const char *path; /* "/localrag.v1.JobService/GetJob" */
    const ProtobufCMessageDescriptor *input, *output;
    bool client_stream, server_stream;
    enum method_kind kind;
    op_fn fn; /* METHOD_UNARY */
    const char *verb; /* "GET"; NULL: no HTTP rule */
    const char *route; /* "/api/v1/jobs/{job_id}" */
    const char *body; /* "", "*" or a field's name */
};

/* Builds the table once. INTERNAL names every RPC without a handler and every handler without RPC.
 */
enum code methods_init(struct ctx *cx) MUST_CHECK;
const struct method *methods_all(size_t *ret_n);
const struct method *methods_find(const char *path); /* NULL: none */

#endif
