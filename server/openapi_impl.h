/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* openapi_impl.h - what the files of the OpenAPI writer share; private to openapi*.c. */
#ifndef SERVER_OPENAPI_IMPL_H
#define SERVER_OPENAPI_IMPL_H

#include "base/buf.h"
#include "server/openapi.h"

/* openapi_data.c */
extern const unsigned char openapi_data[], openapi_data_end[];

/* ---- openapi_text.c: the comments of the .proto files ---- */
struct openapi_text;
enum code openapi_text_load(struct ctx *cx, const struct openapi_text **ret_text) MUST_CHECK;
/* The comment of a message, field, enum, value, service or method by its full name, as paragraphs
 * without the line breaks of the source; NULL: none. */
const char *openapi_text_of(const struct openapi_text *text, const char *scope, const char *name);

/* ---- openapi_json.c: JSON with its commas; a NULL key is an item of a list ---- */
void openapi_open(struct buf *b, const char *key, char bracket);
void openapi_close(struct buf *b, char bracket);
void openapi_put(struct buf *b, const char *key, const char *text); /* NULL text: nothing */
void openapi_raw(struct buf *b, const char *key, const char *json);

/* ---- openapi_schema.c: types as schemas ---- */
enum { OPENAPI_MAX_TYPES = 256 };
enum openapi_use {
    OPENAPI_ANSWER, /* written by us: every key is there */
    OPENAPI_BODY, /* a JSON body: keys may be left out or null, others are refused */
    OPENAPI_PARAM, /* a parameter or part of a form: left out, but never null */
};

struct spec {
    struct ctx *cx;
    const struct openapi_text *text;
    struct buf out;
    struct {
        const void *descriptor; /* of a message or an enum */
        bool is_enum;
        enum openapi_use use;
    } types[OPENAPI_MAX_TYPES]; /* that the document refers to */
    size_t n_types;
};

/* The schema of a message as a reference; the message becomes a component. */
void openapi_ref(struct spec *s, const char *key, const ProtobufCMessageDescriptor *d,
                 enum openapi_use use);
/* The schema of a field, with its limits, without its description. */
void openapi_field(struct spec *s, const char *key, const ProtobufCMessageDescriptor *d,
                   const ProtobufCFieldDescriptor *f, enum openapi_use use);
/* A request without it is refused. */
bool openapi_required(const ProtobufCMessageDescriptor *d, const ProtobufCFieldDescriptor *f);
/* Every component that was referred to. */
void openapi_components(struct spec *s);

#endif
