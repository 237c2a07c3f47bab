/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* pbjson_write.c - a protobuf message as JSON (pbjson.h).
 *
 * Called for every REST answer, for `--json` of the command line, and wherever a message is stored
 * as JSON. It goes straight into the buffer, without a tree in between, and cannot fail: the buffer
 * remembers when it is full. Every field is written, so that clients find the same keys always.
 * Numbers come out as the shortest text that reads back as the same number. NaN and infinities,
 * which JSON does not have, are null. Invalid UTF-8 becomes U+FFFD. Unknown wire fields are not
 * written. */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "base/pbjson.h"
#include "base/pbjson_type.h"
#include "base/str.h"
#include "google/protobuf/struct.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"

static void write_message(struct buf *b, const ProtobufCMessage *m, int depth);

/* ---- scalars ---- */

static void write_double(struct buf *b, double v, bool is_float)
{
    char text[40];
    if (!isfinite(v)) {
        buf_str(b, "null");
        return;
    }
    if (v == floor(v) && fabs(v) < 9007199254740992.0) {
        buf_printf(b, "%" PRId64, (int64_t)v);
        return;
    }
    int n = 0;
    for (int precision = is_float ? 6 : 15; precision <= 17; precision++) {
        n = snprintf(text, sizeof(text), "%.*g", precision, v);
        if (is_float ? strtof(text, NULL) == (float)v : strtod(text, NULL) == v)
            break;
    }
    buf_add(b, text, (size_t)n);
}

static void write_base64(struct buf *b, const ProtobufCBinaryData *bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *p = bytes->data;
    buf_char(b, '"');
    for (size_t i = 0; i < bytes->len; i += 3) {
        size_t left = bytes->len - i;
        uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                     (left > 2 ? p[i + 2] : 0);
        char quad[4] = {digits[v >> 18], digits[v >> 12 & 63], left > 1 ? digits[v >> 6 & 63] : '=',
                        left > 2 ? digits[v & 63] : '='};
        buf_add(b, quad, sizeof(quad));
    }
    buf_char(b, '"');
}

static void write_enum(struct buf *b, const ProtobufCEnumDescriptor *e, int value)
{
    const ProtobufCEnumValue *known = value ? protobuf_c_enum_descriptor_get_value(e, value) : NULL;
    if (known) {
        buf_char(b, '"');
        for (const char *s = pbjson_enum_short(e, known->name); *s; s++)
            buf_char(b, (char)tolower((unsigned char)*s));
        buf_char(b, '"');
    } else if (value) {
        buf_printf(b, "%d", value);
    } else {
        buf_str(b, "null");
    }
}

static void write_text(struct buf *b, const char *s)
{
    str_json(b, s ? s : "");
}

static void write_value(struct buf *b, const ProtobufCFieldDescriptor *f, const void *p, int depth)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        buf_printf(b, "%" PRId32, *(const int32_t *)p);
        return;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        buf_printf(b, "%" PRIu32, *(const uint32_t *)p);
        return;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        buf_printf(b, "%" PRId64, *(const int64_t *)p);
        return;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        buf_printf(b, "%" PRIu64, *(const uint64_t *)p);
        return;
    case PROTOBUF_C_TYPE_FLOAT:
        write_double(b, (double)*(const float *)p, true);
        return;
    case PROTOBUF_C_TYPE_DOUBLE:
        write_double(b, *(const double *)p, false);
        return;
    case PROTOBUF_C_TYPE_BOOL:
        buf_str(b, *(const protobuf_c_boolean *)p ? "true" : "false");
        return;
    case PROTOBUF_C_TYPE_ENUM:
        write_enum(b, f->descriptor, *(const int *)p);
        return;
    case PROTOBUF_C_TYPE_STRING:
        write_text(b, *(char *const *)p);
        return;
    case PROTOBUF_C_TYPE_BYTES:
        write_base64(b, p);
        return;
    case PROTOBUF_C_TYPE_MESSAGE:
        write_message(b, *(ProtobufCMessage *const *)p, depth - 1);
        return;
    }
}

/* ---- google's own types ---- */

static void write_timestamp(struct buf *b, const Google__Protobuf__Timestamp *t)
{
    char text[32];
    clk_print_rfc3339(t->seconds, t->nanos, text);
    write_text(b, text);
}

static void write_struct(struct buf *b, const Google__Protobuf__Struct *s, int depth)
{
    buf_char(b, '{');
    for (size_t i = 0; i < s->n_fields; i++) {
        if (i)
            buf_char(b, ',');
        write_text(b, s->fields[i]->key);
        buf_char(b, ':');
        write_message(b, s->fields[i]->value ? &s->fields[i]->value->base : NULL, depth - 1);
    }
    buf_char(b, '}');
}

static void write_list(struct buf *b, const Google__Protobuf__ListValue *l, int depth)
{
    buf_char(b, '[');
    for (size_t i = 0; i < l->n_values; i++) {
        if (i)
            buf_char(b, ',');
        write_message(b, &l->values[i]->base, depth - 1);
    }
    buf_char(b, ']');
}

static void write_any_value(struct buf *b, const Google__Protobuf__Value *v, int depth)
{
    switch (v->kind_case) {
    case GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE:
        write_double(b, v->number_value, false);
        return;
    case GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE:
        write_text(b, v->string_value);
        return;
    case GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE:
        buf_str(b, v->bool_value ? "true" : "false");
        return;
    case GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE:
        write_message(b, &v->struct_value->base, depth - 1);
        return;
    case GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE:
        write_message(b, &v->list_value->base, depth - 1);
        return;
    default:
        buf_str(b, "null");
    }
}

/* ---- messages ---- */

static bool is_unset(const ProtobufCFieldDescriptor *f, const char *base)
{
    if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return *(const uint32_t *)(const void *)(base + f->quantifier_offset) != f->id;
    if (f->type == PROTOBUF_C_TYPE_MESSAGE)
        return *(void *const *)(const void *)(base + f->offset) == NULL;
    if (f->label != PROTOBUF_C_LABEL_OPTIONAL)
        return false;
    if (f->type == PROTOBUF_C_TYPE_STRING) /* proto2 */
        return *(void *const *)(const void *)(base + f->offset) == NULL;
    return !*(const protobuf_c_boolean *)(const void *)(base + f->quantifier_offset);
}

static void write_entry(struct buf *b, const ProtobufCMessage *entry, int depth)
{
    const ProtobufCFieldDescriptor *key = &entry->descriptor->fields[0];
    const ProtobufCFieldDescriptor *value = &entry->descriptor->fields[1];
    bool quoted = key->type == PROTOBUF_C_TYPE_STRING;
    if (!quoted)
        buf_char(b, '"');
    write_value(b, key, (const char *)entry + key->offset, depth);
    buf_str(b, quoted ? ":" : "\":");
    write_value(b, value, (const char *)entry + value->offset, depth);
}

static void write_repeated(struct buf *b, const ProtobufCFieldDescriptor *f, const char *base,
                           int depth)
{
    size_t n = *(const size_t *)(const void *)(base + f->quantifier_offset);
    size_t size = pbjson_size(f->type);
    const char *array = *(char *const *)(const void *)(base + f->offset);
    bool map = pbjson_is_map(f);
    buf_char(b, map ? '{' : '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_char(b, ',');
        const void *item = array + i * size;
        if (map)
            write_entry(b, *(ProtobufCMessage *const *)item, depth);
        else
            write_value(b, f, item, depth);
    }
    buf_char(b, map ? '}' : ']');
}

static void write_choice(struct buf *b, const ProtobufCMessage *m, int depth)
{
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        if (!is_unset(f, (const char *)m)) {
            write_value(b, f, (const char *)m + f->offset, depth);
            return;
        }
    }
    buf_str(b, "null");
}

static void write_plain(struct buf *b, const ProtobufCMessage *m, int depth)
{
    const char *base = (const char *)m;
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        buf_char(b, i ? ',' : '{');
        buf_char(b, '"');
        buf_str(b, f->name);
        buf_str(b, "\":");
        if (f->label == PROTOBUF_C_LABEL_REPEATED)
            write_repeated(b, f, base, depth);
        else if (is_unset(f, base))
            buf_str(b, "null");
        else
            write_value(b, f, base + f->offset, depth);
    }
    buf_str(b, m->descriptor->n_fields ? "}" : "{}");
}

static void write_message(struct buf *b, const ProtobufCMessage *m, int depth)
{
    if (!m || depth <= 0) {
        buf_str(b, "null");
        return;
    }
    switch (pbjson_shape(m->descriptor)) {
    case PBJSON_TIMESTAMP:
        write_timestamp(b, (const void *)m);
        return;
    case PBJSON_STRUCT:
        write_struct(b, (const void *)m, depth);
        return;
    case PBJSON_VALUE:
        write_any_value(b, (const void *)m, depth);
        return;
    case PBJSON_LIST:
        write_list(b, (const void *)m, depth);
        return;
    case PBJSON_CHOICE:
        write_choice(b, m, depth);
        return;
    case PBJSON_PLAIN:
        write_plain(b, m, depth);
        return;
    }
}

void pbjson_write(struct buf *b, const ProtobufCMessage *m)
{
    write_message(b, m, PBJSON_MAX_DEPTH);
}
