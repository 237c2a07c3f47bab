/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* pbjson_read.c - JSON from outside as a protobuf message (pbjson.h).
 *
 * Called for bodies of REST requests and for metadata; everything is hostile until it is read.
 * jansson parses (it refuses bad UTF-8, duplicate keys, \u0000, lone surrogates, overflow and text
 * behind the end); the tree is then walked along the descriptor. Strict: a number in quotes is no
 * number, 1.0 is no integer, unknown keys are errors. The tree is gone when the call returns; the
 * message is in the arena. Callers bound the length, which bounds the tree. Setting single fields
 * from text, as for query parameters, is pbjson_field.c. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "base/pbjson.h"
#include "base/pbjson_type.h"
#include "google/protobuf/struct.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"

enum { PROBLEMS_LIMIT = 4096 };

static enum code read_message(struct ctx *cx, ProtobufCMessage *m, const json_t *j,
                              const char *name, int depth);

static void drop_tree(json_t **j)
{
    json_decref(*j);
}

static enum code wrong(struct ctx *cx, const char *name, const char *wanted)
{
    if (!*name) /* the whole text */
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "expected %s", wanted);
    return ctx_fail(cx, CODE_INVALID_ARGUMENT, "field \"%s\": expected %s", name, wanted);
}

ProtobufCMessage *pbjson_new(struct ctx *cx, const ProtobufCMessageDescriptor *d)
{
    ProtobufCMessage *m = ctx_alloc(cx, d->sizeof_message);
    if (m)
        protobuf_c_message_init(d, m);
    return m;
}

/* ---- scalars ---- */

static enum code read_integer(struct ctx *cx, const json_t *j, const char *name, int64_t min,
                              int64_t max, int64_t *ret_value)
{
    /* JSON has one kind of number: 5.0 is the integer 5, to JSON Schema and to proto3 JSON too.
     * Beyond 2^53 a double is not that exact. */
    double d = json_number_value(j);
    bool whole = json_is_real(j) && d >= -0x1p53 && d <= 0x1p53 && d == (double)(int64_t)d;
    if (!json_is_integer(j) && !whole)
        return wrong(cx, name, "an integer");
    int64_t v = whole ? (int64_t)d : json_integer_value(j);
    if (v < min || v > max)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "field \"%s\": %lld is out of range", name,
                        (long long)v);
    *ret_value = v;
    return CODE_OK;
}

static enum code read_text(struct ctx *cx, const json_t *j, const char *name, char **ret_text)
{
    if (!json_is_string(j))
        return wrong(cx, name, "a text");
    char *copy = ctx_strndup(cx, json_string_value(j), json_string_length(j));
    if (!copy)
        return CODE_OUT_OF_MEMORY;
    *ret_text = copy;
    return CODE_OK;
}

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *p = c ? strchr(digits, c) : NULL;
    return p ? (int)(p - digits) : -1;
}

static enum code read_base64(struct ctx *cx, const json_t *j, const char *name,
                             ProtobufCBinaryData *ret_bytes)
{
    const char *s = json_string_value(j);
    size_t n = s ? json_string_length(j) : 1;
    if (n % 4)
        return wrong(cx, name, "base64");
    uint8_t *out = ctx_alloc(cx, n / 4 * 3 + 1);
    if (!out)
        return CODE_OUT_OF_MEMORY;
    size_t len = 0;
    for (size_t i = 0; i < n; i += 4) {
        bool last = i + 4 == n;
        int pad = last && s[i + 3] == '=' ? (s[i + 2] == '=' ? 2 : 1) : 0;
        uint32_t v = 0;
        for (int k = 0; k < 4; k++) {
            int digit = k >= 4 - pad ? 0 : base64_digit(s[i + (size_t)k]);
            if (digit < 0)
                return wrong(cx, name, "base64");
            v = v << 6 | (uint32_t)digit;
        }
        for (int k = 0; k < 3 - pad; k++)
            out[len++] = (uint8_t)(v >> (16 - 8 * k));
    }
    *ret_bytes = (ProtobufCBinaryData){.data = out, .len = len};
    return CODE_OK;
}

static enum code read_value(struct ctx *cx, const ProtobufCFieldDescriptor *f, void *p,
                            const json_t *j, int depth)
{
    int64_t v = 0;
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        TRY(read_integer(cx, j, f->name, INT32_MIN, INT32_MAX, &v));
        *(int32_t *)p = (int32_t)v;
        return CODE_OK;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        TRY(read_integer(cx, j, f->name, 0, UINT32_MAX, &v));
        *(uint32_t *)p = (uint32_t)v;
        return CODE_OK;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return read_integer(cx, j, f->name, INT64_MIN, INT64_MAX, p);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return read_integer(cx, j, f->name, 0, INT64_MAX, p);
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        if (!json_is_number(j))
            return wrong(cx, f->name, "a number");
        if (f->type == PROTOBUF_C_TYPE_FLOAT)
            *(float *)p = (float)json_number_value(j);
        else
            *(double *)p = json_number_value(j);
        return CODE_OK;
    case PROTOBUF_C_TYPE_BOOL:
        if (!json_is_boolean(j))
            return wrong(cx, f->name, "true or false");
        *(protobuf_c_boolean *)p = json_is_true(j);
        return CODE_OK;
    case PROTOBUF_C_TYPE_ENUM:
        if (json_is_null(j)) /* in a list; the writer's form of value 0, which is in p already */
            return CODE_OK;
        if (!json_is_string(j))
            return wrong(cx, f->name, "a name");
        return pbjson_enum_read(cx, f, json_string_value(j), p);
    case PROTOBUF_C_TYPE_STRING:
        return read_text(cx, j, f->name, p);
    case PROTOBUF_C_TYPE_BYTES:
        return read_base64(cx, j, f->name, p);
    case PROTOBUF_C_TYPE_MESSAGE:
        break;
    }
    ProtobufCMessage *m = pbjson_new(cx, f->descriptor);
    if (!m)
        return CODE_OUT_OF_MEMORY;
    TRY(read_message(cx, m, j, f->name, depth - 1));
    *(ProtobufCMessage **)p = m;
    return CODE_OK;
}

/* ---- google's own types ---- */

static enum code read_timestamp(struct ctx *cx, Google__Protobuf__Timestamp *t, const json_t *j,
                                const char *name)
{
    const char *s = json_string_value(j);
    if (!s || !clk_parse_rfc3339(s, &t->seconds, &t->nanos))
        return wrong(cx, name, "a time as 2026-01-31T12:00:00Z");
    return CODE_OK;
}

static enum code read_struct(struct ctx *cx, Google__Protobuf__Struct *s, const json_t *j,
                             const char *name, int depth)
{
    if (!json_is_object(j))
        return wrong(cx, name, "an object");
    s->fields = ctx_array(cx, json_object_size(j), sizeof(*s->fields));
    if (!s->fields)
        return CODE_OUT_OF_MEMORY;
    const char *key;
    json_t *v;
    json_object_foreach ((json_t *)j, key, v) {
        Google__Protobuf__Struct__FieldsEntry *e =
            (void *)pbjson_new(cx, &google__protobuf__struct__fields_entry__descriptor);
        if (!e)
            return CODE_OUT_OF_MEMORY;
        e->key = ctx_strdup(cx, key);
        e->value = (void *)pbjson_new(cx, &google__protobuf__value__descriptor);
        if (!e->key || !e->value)
            return CODE_OUT_OF_MEMORY;
        TRY(read_message(cx, &e->value->base, v, name, depth - 1));
        s->fields[s->n_fields++] = e;
    }
    return CODE_OK;
}

static enum code read_list(struct ctx *cx, Google__Protobuf__ListValue *l, const json_t *j,
                           const char *name, int depth)
{
    if (!json_is_array(j))
        return wrong(cx, name, "a list");
    l->values = ctx_array(cx, json_array_size(j), sizeof(*l->values));
    if (!l->values)
        return CODE_OUT_OF_MEMORY;
    size_t i;
    json_t *v;
    json_array_foreach (j, i, v) {
        Google__Protobuf__Value *item =
            (void *)pbjson_new(cx, &google__protobuf__value__descriptor);
        if (!item)
            return CODE_OUT_OF_MEMORY;
        TRY(read_message(cx, &item->base, v, name, depth - 1));
        l->values[l->n_values++] = item;
    }
    return CODE_OK;
}

/* A member of google.protobuf.Value that is a message itself. */
static enum code read_member(struct ctx *cx, const ProtobufCMessageDescriptor *d, const json_t *j,
                             const char *name, int depth, void *ret_member)
{
    ProtobufCMessage *m = pbjson_new(cx, d);
    if (!m)
        return CODE_OUT_OF_MEMORY;
    TRY(read_message(cx, m, j, name, depth - 1));
    *(ProtobufCMessage **)ret_member = m;
    return CODE_OK;
}

static enum code read_any_value(struct ctx *cx, Google__Protobuf__Value *v, const json_t *j,
                                const char *name, int depth)
{
    switch (json_typeof(j)) {
    case JSON_TRUE:
    case JSON_FALSE:
        v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE;
        v->bool_value = json_is_true(j);
        return CODE_OK;
    case JSON_INTEGER:
    case JSON_REAL:
        v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE;
        v->number_value = json_number_value(j);
        return CODE_OK;
    case JSON_STRING:
        v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
        return read_text(cx, j, name, &v->string_value);
    case JSON_OBJECT:
        v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE;
        return read_member(cx, &google__protobuf__struct__descriptor, j, name, depth,
                           &v->struct_value);
    case JSON_ARRAY:
        v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE;
        return read_member(cx, &google__protobuf__list_value__descriptor, j, name, depth,
                           &v->list_value);
    case JSON_NULL:
        break;
    }
    v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NULL_VALUE;
    return CODE_OK;
}

/* ---- messages ---- */

static enum code read_map(struct ctx *cx, const ProtobufCFieldDescriptor *f, const json_t *j,
                          int depth, ProtobufCMessage **items, size_t *ret_n)
{
    const char *key;
    json_t *v;
    size_t n = 0;
    json_object_foreach ((json_t *)j, key, v) {
        ProtobufCMessage *entry = pbjson_new(cx, f->descriptor);
        if (!entry)
            return CODE_OUT_OF_MEMORY;
        TRY(pbjson_set_field(cx, entry, "key", key));
        const ProtobufCFieldDescriptor *value = &entry->descriptor->fields[1];
        TRY(read_value(cx, value, (char *)entry + value->offset, v, depth));
        items[n++] = entry;
    }
    *ret_n = n;
    return CODE_OK;
}

static enum code read_repeated(struct ctx *cx, const ProtobufCFieldDescriptor *f, char *base,
                               const json_t *j, int depth)
{
    bool map = pbjson_is_map(f);
    if (map ? !json_is_object(j) : !json_is_array(j))
        return wrong(cx, f->name, map ? "an object" : "a list");
    size_t n = map ? json_object_size(j) : json_array_size(j), size = pbjson_size(f->type);
    char *array = ctx_array(cx, n, size);
    if (!array)
        return CODE_OUT_OF_MEMORY;
    if (map) {
        TRY(read_map(cx, f, j, depth, (void *)array, &n));
    } else {
        size_t i;
        json_t *v;
        json_array_foreach (j, i, v)
            TRY(read_value(cx, f, array + i * size, v, depth));
    }
    *(char **)(void *)(base + f->offset) = array;
    *(size_t *)(void *)(base + f->quantifier_offset) = n;
    return CODE_OK;
}

static enum code read_field(struct ctx *cx, ProtobufCMessage *m, const char *key, const json_t *j,
                            int depth)
{
    char *base = (char *)m;
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field_by_name(m->descriptor, key);
    if (!f)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "unknown field \"%s\"", key);
    bool any = f->type == PROTOBUF_C_TYPE_MESSAGE && pbjson_shape(f->descriptor) == PBJSON_VALUE;
    if (json_is_null(j) && !any)
        return CODE_OK;
    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        return read_repeated(cx, f, base, j, depth);
    if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
        *(uint32_t *)(void *)(base + f->quantifier_offset) != 0)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "field \"%s\": excludes another that is given",
                        key);
    TRY(read_value(cx, f, base + f->offset, j, depth));
    pbjson_mark_set(m, f);
    return CODE_OK;
}

/* The one member that has every key of j; its value must not be ambiguous. */
static enum code read_choice(struct ctx *cx, ProtobufCMessage *m, const json_t *j, const char *name,
                             int depth)
{
    const ProtobufCFieldDescriptor *chosen = NULL;
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        bool fits = true;
        const char *key;
        json_t *v;
        json_object_foreach ((json_t *)j, key, v)
            /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): f is an element of an array */
            fits = fits && protobuf_c_message_descriptor_get_field_by_name(f->descriptor, key);
        if (fits && chosen)
            return ctx_fail(cx, CODE_INVALID_ARGUMENT, "field \"%s\": can be read in two ways",
                            name);
        if (fits)
            chosen = f;
    }
    if (!chosen)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "field \"%s\": unknown fields", name);
    TRY(read_value(cx, chosen, (char *)m + chosen->offset, j, depth));
    pbjson_mark_set(m, chosen);
    return CODE_OK;
}

/* Goes on after a bad field, so that all of them are named at once. */
static enum code read_fields(struct ctx *cx, ProtobufCMessage *m, const json_t *j, int depth)
{
    CLEANUP(buf_done) struct buf problems = BUF_INIT(PROBLEMS_LIMIT);
    const char *key;
    json_t *v;
    json_object_foreach ((json_t *)j, key, v) {
        enum code code = read_field(cx, m, key, v, depth);
        if (code == CODE_OK)
            continue;
        if (code != CODE_INVALID_ARGUMENT)
            return code;
        buf_printf(&problems, "%s%s", problems.len ? "\n" : "", ctx_message(cx));
        ctx_clear(cx);
    }
    return problems.len ? ctx_fail(cx, CODE_INVALID_ARGUMENT, "%s", buf_cstr(&problems)) : CODE_OK;
}

static enum code read_message(struct ctx *cx, ProtobufCMessage *m, const json_t *j,
                              const char *name, int depth)
{
    if (depth <= 0)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "field \"%s\": nested deeper than %d",
                        *name ? name : "(all)", PBJSON_MAX_DEPTH);
    enum pbjson_shape shape = pbjson_shape(m->descriptor);
    if (shape == PBJSON_TIMESTAMP)
        return read_timestamp(cx, (void *)m, j, name);
    if (shape == PBJSON_STRUCT)
        return read_struct(cx, (void *)m, j, name, depth);
    if (shape == PBJSON_VALUE)
        return read_any_value(cx, (void *)m, j, name, depth);
    if (shape == PBJSON_LIST)
        return read_list(cx, (void *)m, j, name, depth);
    if (!json_is_object(j))
        return wrong(cx, name, "an object");
    if (shape == PBJSON_CHOICE)
        return read_choice(cx, m, j, name, depth);
    return read_fields(cx, m, j, depth);
}

enum code pbjson_read(struct ctx *cx, const ProtobufCMessageDescriptor *d, const char *json,
                      size_t len, ProtobufCMessage **ret_message)
{
    json_error_t error;
    CLEANUP(drop_tree)
    json_t *tree = json_loadb(json, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!tree) { /* the library's own words for a NUL name a flag of its */
        enum json_error_code why = json_error_code(&error);
        bool nul = why == json_error_null_character || why == json_error_null_byte_in_key;
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "not valid JSON: %s (line %d, column %d)",
                        nul ? "the character \\u0000 is not allowed" : error.text, error.line,
                        error.column);
    }
    ProtobufCMessage *m = pbjson_new(cx, d);
    if (!m)
        return CODE_OUT_OF_MEMORY;
    TRY(read_message(cx, m, tree, "", PBJSON_MAX_DEPTH));
    *ret_message = m;
    return CODE_OK;
}
