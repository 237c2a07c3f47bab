/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* pbjson_type.h - what reader and writer both ask of a descriptor; private to pbjson_*.c. */
#ifndef BASE_PBJSON_TYPE_H
#define BASE_PBJSON_TYPE_H

#include <protobuf-c/protobuf-c.h>

#include "base/ctx.h"

enum pbjson_shape {
    PBJSON_PLAIN, /* an object of its fields */
    PBJSON_TIMESTAMP,
    PBJSON_STRUCT,
    PBJSON_VALUE,
    PBJSON_LIST,
    PBJSON_CHOICE, /* nothing but one oneof of messages: the chosen member itself */
};

enum pbjson_shape pbjson_shape(const ProtobufCMessageDescriptor *d);

/* A repeated field of generated entry messages with key and value. */
bool pbjson_is_map(const ProtobufCFieldDescriptor *f);

/* Bytes of one value of this type inside a message or an array. */
size_t pbjson_size(ProtobufCType type);

/* The value's name without the enum's own, in upper case: "PENDING" of JOB_STATUS_PENDING. */
const char *pbjson_enum_short(const ProtobufCEnumDescriptor *e, const char *value_name);

/* The value named `name`, short or in full, any case. INVALID_ARGUMENT names the field and what it
 * knows. (pbjson_field.c) */
enum code pbjson_enum_read(struct ctx *cx, const ProtobufCFieldDescriptor *f, const char *name,
                           int *ret_value) MUST_CHECK;

/* Says in the message that f, which has just been stored, is set. (pbjson_field.c) */
void pbjson_mark_set(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f);

#endif
