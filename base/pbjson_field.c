/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* pbjson_field.c - one field of a message from text (pbjson_set_field in pbjson.h).
 *
 * The REST gateway calls it for every path and query parameter, the reader for keys of maps. Texts
 * must be valid UTF-8 without NUL, numbers are decimal, booleans true/false/1/0, enums their short
 * or full name. A repeated field grows by one value a call. Messages other than Timestamp and bytes
 * cannot be set this way. */
#include <string.h>
#include <strings.h>

#include "base/clk.h"
#include "base/pbjson.h"
#include "base/pbjson_type.h"
#include "base/str.h"
#include "google/protobuf/timestamp.pb-c.h"

static enum code bad(struct ctx *cx, const ProtobufCFieldDescriptor *f, const char *value,
                     const char *wanted)
{
    char *shown = str_utf8_repair(&cx->arena, value, strnlen(value, 64), &(size_t){0});
    return ctx_fail(cx, CODE_INVALID_ARGUMENT, "field \"%s\": \"%s\" is not %s", f->name,
                    shown ? shown : "", wanted);
}

enum code pbjson_enum_read(struct ctx *cx, const ProtobufCFieldDescriptor *f, const char *name,
                           int *ret_value)
{
    const ProtobufCEnumDescriptor *e = f->descriptor;
    for (unsigned i = 0; i < e->n_values; i++) {
        const char *full = e->values[i].name;
        bool is_short = e->values[i].value && strcasecmp(pbjson_enum_short(e, full), name) == 0;
        if (is_short || strcasecmp(full, name) == 0) {
            *ret_value = e->values[i].value;
            return CODE_OK;
        }
    }
    struct buf known = BUF_INIT(1024);
    for (unsigned i = 0; i < e->n_values; i++)
        if (e->values[i].value)
            buf_printf(&known, "%s%s", known.len ? ", " : "one of ",
                       pbjson_enum_short(e, e->values[i].name));
    for (char *p = known.data; p && *p; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
    enum code code = bad(cx, f, name, buf_cstr(&known));
    buf_done(&known);
    return code;
}

void pbjson_mark_set(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    char *quantifier = (char *)m + f->quantifier_offset;
    if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        *(uint32_t *)(void *)quantifier = f->id;
    else if (f->label == PROTOBUF_C_LABEL_OPTIONAL && f->type != PROTOBUF_C_TYPE_STRING &&
             f->type != PROTOBUF_C_TYPE_MESSAGE)
        *(protobuf_c_boolean *)(void *)quantifier = true; /* proto2 */
}

static enum code set_integer(struct ctx *cx, const ProtobufCFieldDescriptor *f, const char *value,
                             int64_t min, int64_t max, int64_t *ret_value)
{
    if (str_parse_int(value, min, max, ret_value))
        return CODE_OK;
    bool digits = str_parse_int(value, INT64_MIN, INT64_MAX, &(int64_t){0});
    return bad(cx, f, value, digits ? "in range" : "an integer");
}

static enum code set_bool(struct ctx *cx, const ProtobufCFieldDescriptor *f, const char *value,
                          protobuf_c_boolean *ret_value)
{
    bool yes = strcasecmp(value, "true") == 0 || strcmp(value, "1") == 0;
    if (!yes && strcasecmp(value, "false") != 0 && strcmp(value, "0") != 0)
        return bad(cx, f, value, "true or false");
    *ret_value = yes;
    return CODE_OK;
}

static enum code set_double(struct ctx *cx, const ProtobufCFieldDescriptor *f, const char *value,
                            void *p)
{
    double d;
    if (!str_parse_double(value, &d))
        return bad(cx, f, value, "a number");
    if (f->type == PROTOBUF_C_TYPE_FLOAT)
        *(float *)p = (float)d;
    else
        *(double *)p = d;
    return CODE_OK;
}

static enum code set_text(struct ctx *cx, const ProtobufCFieldDescriptor *f, const char *value,
                          char **p)
{
    size_t n = strlen(value);
    if (str_utf8_prefix(value, n) != n)
        return bad(cx, f, value, "valid UTF-8");
    char *copy = ctx_strndup(cx, value, n);
    if (!copy)
        return CODE_OUT_OF_MEMORY;
    *p = copy;
    return CODE_OK;
}

static enum code set_message(struct ctx *cx, const ProtobufCFieldDescriptor *f, const char *value,
                             ProtobufCMessage **p)
{
    if (pbjson_shape(f->descriptor) != PBJSON_TIMESTAMP)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "field \"%s\" cannot be given as a parameter",
                        f->name);
    Google__Protobuf__Timestamp *t = (void *)pbjson_new(cx, f->descriptor);
    if (!t)
        return CODE_OUT_OF_MEMORY;
    if (!clk_parse_rfc3339(value, &t->seconds, &t->nanos))
        return bad(cx, f, value, "a time as 2026-01-31T12:00:00Z");
    *p = &t->base;
    return CODE_OK;
}

static enum code set_value(struct ctx *cx, const ProtobufCFieldDescriptor *f, void *p,
                           const char *value)
{
    int64_t v = 0;
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        TRY(set_integer(cx, f, value, INT32_MIN, INT32_MAX, &v));
        *(int32_t *)p = (int32_t)v;
        return CODE_OK;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        TRY(set_integer(cx, f, value, 0, UINT32_MAX, &v));
        *(uint32_t *)p = (uint32_t)v;
        return CODE_OK;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return set_integer(cx, f, value, INT64_MIN, INT64_MAX, p);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return set_integer(cx, f, value, 0, INT64_MAX, p);
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        return set_double(cx, f, value, p);
    case PROTOBUF_C_TYPE_BOOL:
        return set_bool(cx, f, value, p);
    case PROTOBUF_C_TYPE_ENUM:
        return pbjson_enum_read(cx, f, value, p);
    case PROTOBUF_C_TYPE_STRING:
        return set_text(cx, f, value, p);
    case PROTOBUF_C_TYPE_MESSAGE:
        return set_message(cx, f, value, p);
    case PROTOBUF_C_TYPE_BYTES:
        break;
    }
    return ctx_fail(cx, CODE_INVALID_ARGUMENT, "field \"%s\" cannot be given as a parameter",
                    f->name);
}

/* Copies the array each time: it may have come from anywhere, and callers bound the number. */
static enum code append(struct ctx *cx, const ProtobufCFieldDescriptor *f, char *base,
                        const char *value)
{
    char **array = (char **)(void *)(base + f->offset);
    size_t *n = (size_t *)(void *)(base + f->quantifier_offset);
    size_t size = pbjson_size(f->type);
    char *larger = ctx_array(cx, *n + 1, size);
    if (!larger)
        return CODE_OUT_OF_MEMORY;
    if (*n)
        memcpy(larger, *array, *n * size);
    TRY(set_value(cx, f, larger + *n * size, value));
    *array = larger;
    (*n)++;
    return CODE_OK;
}

enum code pbjson_set_field(struct ctx *cx, ProtobufCMessage *m, const char *name, const char *value)
{
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field_by_name(m->descriptor, name);
    if (!f)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "unknown field \"%.64s\"", name);
    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        return append(cx, f, (char *)m, value);
    TRY(set_value(cx, f, (char *)m + f->offset, value));
    pbjson_mark_set(m, f);
    return CODE_OK;
}
