/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* pbjson_type.c - what reader and writer both ask of a descriptor (pbjson_type.h).
 *
 * protobuf-c's descriptors carry neither the map flag nor options, so maps are recognised by what
 * protoc generates for them (a message "...Entry" with exactly key = 1 and value = 2); no message
 * of our own may be called so. Well-known types are recognised by their full names. */
#include "base/pbjson_type.h"

#include <ctype.h>
#include <string.h>

static bool is_choice(const ProtobufCMessageDescriptor *d)
{
    if (d->n_fields < 2)
        return false;
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        if (!(f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) || f->type != PROTOBUF_C_TYPE_MESSAGE ||
            f->quantifier_offset != d->fields[0].quantifier_offset)
            return false;
    }
    return true;
}

enum pbjson_shape pbjson_shape(const ProtobufCMessageDescriptor *d)
{
    static const struct {
        const char *name;
        enum pbjson_shape shape;
    } known[] = {
        {"google.protobuf.Timestamp", PBJSON_TIMESTAMP},
        {"google.protobuf.Struct", PBJSON_STRUCT},
        {"google.protobuf.Value", PBJSON_VALUE},
        {"google.protobuf.ListValue", PBJSON_LIST},
    };
    if (d->name[0] == 'g')
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
            if (strcmp(d->name, known[i].name) == 0)
                return known[i].shape;
    return is_choice(d) ? PBJSON_CHOICE : PBJSON_PLAIN;
}

bool pbjson_is_map(const ProtobufCFieldDescriptor *f)
{
    if (f->label != PROTOBUF_C_LABEL_REPEATED || f->type != PROTOBUF_C_TYPE_MESSAGE)
        return false;
    const ProtobufCMessageDescriptor *d = f->descriptor;
    size_t n = strlen(d->short_name);
    return d->n_fields == 2 && n > 5 && strcmp(d->short_name + n - 5, "Entry") == 0 &&
           d->fields[0].id == 1 && strcmp(d->fields[0].name, "key") == 0 && d->fields[1].id == 2 &&
           strcmp(d->fields[1].name, "value") == 0;
}

size_t pbjson_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return 4;
    }
}

const char *pbjson_enum_short(const ProtobufCEnumDescriptor *e, const char *value_name)
{
    /* The prefix is the enum's CamelCase name in SCREAMING_SNAKE_CASE and an underscore. */
    const char *v = value_name;
    for (const char *p = e->short_name; *p; p++) {
        if (p != e->short_name && isupper((unsigned char)*p) && *v++ != '_')
            return value_name;
        if (*v++ != toupper((unsigned char)*p))
            return value_name;
    }
    return *v == '_' && v[1] ? v + 1 : value_name;
}
