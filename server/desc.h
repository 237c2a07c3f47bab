/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* desc.h - the descriptor set of the API, embedded in the program, and an index of it.
 *
 * Loaded once at start, never changed, shared by all threads, alive until the process ends. */
#ifndef SERVER_DESC_H
#define SERVER_DESC_H

#include "base/ctx.h"
#include "google/protobuf/descriptor.pb-c.h"

struct desc_file { /* one .proto; `bytes` is its FileDescriptorProto as protoc wrote it */
    const char *name;
    const unsigned char *bytes;
    size_t len;
};

struct desc_method {
    const char *service; /* "localrag.v1.JobService" */
    const char *name; /* "GetJob" */
    const char *path; /* "/localrag.v1.JobService/GetJob" */
    bool client_stream, server_stream;
    const char *verb; /* of google.api.http: "GET"; NULL: no rule */
    const char *route; /* "/api/v1/jobs/{job_id}" */
    const char *body; /* "", "*" or a field's name */
};

/* INTERNAL: the embedded set is damaged. A second call does nothing. */
enum code desc_init(struct ctx *cx) MUST_CHECK;

/* The parsed set: messages, comments are not in it. */
const Google__Protobuf__FileDescriptorSet *desc_set(void);

const struct desc_method *desc_methods(size_t *ret_n);
const char *const *desc_services(size_t *ret_n); /* full names */
bool desc_is_service(const char *name);

/* NULL: none. A symbol is the full name of a message, field, oneof, enum, enum value, service,
 * method or extension. */
const struct desc_file *desc_file_named(const char *name);
const struct desc_file *desc_file_of_symbol(const char *symbol);
const struct desc_file *desc_file_of_extension(const char *type, int32_t number);

/* Numbers of the extensions of `type`; false when there is no such message. `max` bounds `numbers`.
 */
bool desc_extensions(const char *type, int32_t *numbers, size_t max, size_t *ret_n);

#endif
