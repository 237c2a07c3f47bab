/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* openapi_schema.c - message types as JSON Schema, by the rules of base/pbjson.h (openapi_impl.h).
 *
 * What the JSON writer does is said here again as a schema: in answers every key is there, unset
 * optional and message fields and enums of value 0 are null, lists and maps never are; enums are
 * their short lower-case names; times are RFC 3339; Struct is any object; a message that is nothing
 * but one oneof of messages is the chosen member. In JSON bodies keys may be left out or be null,
 * and unknown ones are refused; parameters and parts of a form are never null.
 *
 * Types and descriptions are derived. What a type cannot say (ranges, the form of ids and tokens)
 * is in one small table; the ops check it, and the tests of the API hold both together. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/pbjson_type.h"
#include "server/openapi_impl.h"

#define UUID_PATTERN "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
#define UUID "\"format\":\"uuid\",\"pattern\":\"^" UUID_PATTERN "$\""
#define NO_NUL "\"pattern\":\"^[^\\\\u0000]*$\""

/* By field of a request; the first that fits. No message: of any. */
static const struct {
    const char *message, *field, *json;
} limits[] = {
    {"ListJobsRequest", "limit", "\"minimum\":0,\"maximum\":200,\"default\":50"},
    {"ListJobsRequest", "offset", "\"minimum\":0,\"maximum\":1000000,\"default\":0"},
    {"ListJobsRequest", "page_token", "\"pattern\":\"^([1-9][0-9]{0,17})?$\""},
    {"ListDocumentsRequest", "page_token", "\"pattern\":\"^([0-9]{1,15}-" UUID_PATTERN ")?$\""},
    {"CleanupJobsRequest", "days_old", "\"minimum\":0,\"maximum\":3650,\"default\":7"},
    {"IngestDirectoryRequest", "directory_path", "\"minLength\":1," NO_NUL},
    {"IngestDirectoryRequest", "file_patterns", "\"maxItems\":100"},
    {"StartWorkersRequest", "max_workers", "\"minimum\":1,\"maximum\":512"},
    {"StartWorkersRequest", "high_priority_workers", "\"minimum\":0,\"maximum\":255"},
    {"UploadMetadata", "idempotency_key", "\"maxLength\":255"},
    {NULL, "limit", "\"minimum\":0,\"maximum\":1000,\"default\":100"},
    {NULL, "page_token", "\"pattern\":\"^([0-9]{1,9})?$\""},
    {NULL, "job_id", UUID ",\"examples\":[\"7c9e6679-7425-40de-944b-e07fc1f90ae7\"]"},
    {NULL, "document_id", UUID ",\"examples\":[\"1f0d4ab3-93f8-4a3e-8a1c-0c5d5a1f6d2e\"]"},
    {NULL, "parent_job_id", "\"pattern\":\"^(" UUID_PATTERN ")?$\""},
};

/* The same for the items of a list. */
static const struct {
    const char *message, *field, *json;
} item_limits[] = {
    {"IngestDirectoryRequest", "file_patterns",
     "\"pattern\":\"^([*][*]/)*[^/\\\\u0000]{1,255}$\",\"examples\":[\"*.pdf\"]"},
};

/* Fields that a request cannot do without and that are not in its path. */
static const struct {
    const char *message, *field;
} required[] = {
    {"IngestDirectoryRequest", "directory_path"},
};

/* ---- types that are referred to ---- */

static bool is_request(const ProtobufCMessageDescriptor *d)
{
    size_t n = strlen(d->short_name);
    return n > 7 && strcmp(d->short_name + n - 7, "Request") == 0;
}

static void remember(struct spec *s, const void *descriptor, bool is_enum, enum openapi_use use)
{
    for (size_t i = 0; i < s->n_types; i++)
        if (s->types[i].descriptor == descriptor)
            return;
    if (s->n_types == OPENAPI_MAX_TYPES) {
        (void)!ctx_fail(s->cx, CODE_INTERNAL, "more than %d types in the API", OPENAPI_MAX_TYPES);
        return;
    }
    s->types[s->n_types].descriptor = descriptor;
    s->types[s->n_types].is_enum = is_enum;
    s->types[s->n_types++].use = use;
}

static void put_ref(struct spec *s, const char *name)
{
    const char *ref = ctx_printf(s->cx, "#/components/schemas/%s", name);
    openapi_put(&s->out, "$ref", ref);
}

/* ---- values ---- */

static void put_type(struct buf *b, const char *type, const char *format, bool nullable)
{
    if (nullable) {
        openapi_open(b, "type", '[');
        openapi_put(b, NULL, type);
        openapi_put(b, NULL, "null");
        openapi_close(b, ']');
    } else {
        openapi_put(b, "type", type);
    }
    openapi_put(b, "format", format);
}

/* A reference, or null. */
static void put_named(struct spec *s, const char *name, bool nullable)
{
    if (!nullable) {
        put_ref(s, name);
        return;
    }
    openapi_open(&s->out, "anyOf", '[');
    openapi_open(&s->out, NULL, '{');
    put_ref(s, name);
    openapi_close(&s->out, '}');
    openapi_raw(&s->out, NULL, "{\"type\":\"null\"}");
    openapi_close(&s->out, ']');
}

static void put_message(struct spec *s, const ProtobufCMessageDescriptor *d, enum openapi_use use,
                        bool nullable)
{
    switch (pbjson_shape(d)) {
    case PBJSON_TIMESTAMP:
        put_type(&s->out, "string", "date-time", nullable);
        return;
    case PBJSON_STRUCT:
        if (use == OPENAPI_ANSWER)
            put_type(&s->out, "object", NULL, nullable);
        else
            put_named(s, "JsonObject", nullable);
        return;
    case PBJSON_LIST:
        put_type(&s->out, "array", NULL, nullable);
        return;
    case PBJSON_VALUE: /* anything */
        return;
    case PBJSON_CHOICE:
    case PBJSON_PLAIN:
        remember(s, d, false, use);
        put_named(s, d->short_name, nullable);
        return;
    }
}

/* The inside of the schema of one value. */
static void put_value(struct spec *s, const ProtobufCFieldDescriptor *f, enum openapi_use use,
                      bool nullable)
{
    struct buf *b = &s->out;
    const ProtobufCEnumDescriptor *e = f->descriptor;
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        put_type(b, "integer", "int32", nullable);
        return;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        put_type(b, "integer", "int64", nullable);
        return;
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        put_type(b, "number", "double", nullable);
        return;
    case PROTOBUF_C_TYPE_BOOL:
        put_type(b, "boolean", NULL, nullable);
        return;
    case PROTOBUF_C_TYPE_STRING:
        put_type(b, "string", NULL, nullable);
        return;
    case PROTOBUF_C_TYPE_BYTES:
        put_type(b, "string", NULL, nullable);
        openapi_put(b, "contentEncoding", "base64");
        return;
    case PROTOBUF_C_TYPE_ENUM:
        remember(s, e, true, use);
        put_named(s, e->short_name, nullable);
        return;
    case PROTOBUF_C_TYPE_MESSAGE:
        put_message(s, f->descriptor, use, nullable);
        return;
    }
}

bool openapi_required(const ProtobufCMessageDescriptor *d, const ProtobufCFieldDescriptor *f)
{
    for (size_t i = 0; i < ARRAY_LEN(required); i++)
        if (strcmp(required[i].message, d->short_name) == 0 &&
            strcmp(required[i].field, f->name) == 0)
            return true;
    return false;
}

static bool is_nullable(const ProtobufCMessageDescriptor *d, const ProtobufCFieldDescriptor *f,
                        enum openapi_use use)
{
    if (use != OPENAPI_ANSWER)
        return use == OPENAPI_BODY && !openapi_required(d, f);
    return (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) || f->type == PROTOBUF_C_TYPE_MESSAGE ||
           f->type == PROTOBUF_C_TYPE_ENUM;
}

/* What is said of a field beyond its type. */
static const char *limit_of(const ProtobufCMessageDescriptor *d, const ProtobufCFieldDescriptor *f,
                            enum openapi_use use)
{
    for (size_t i = 0; use != OPENAPI_ANSWER && i < ARRAY_LEN(limits); i++)
        if (strcmp(limits[i].field, f->name) == 0 &&
            (limits[i].message ? strcmp(limits[i].message, d->short_name) == 0 : is_request(d)))
            return limits[i].json;
    bool text = f->type == PROTOBUF_C_TYPE_STRING && f->label != PROTOBUF_C_LABEL_REPEATED;
    return text && use != OPENAPI_ANSWER ? NO_NUL : NULL;
}

static void put_map(struct spec *s, const ProtobufCFieldDescriptor *f, enum openapi_use use)
{
    const ProtobufCMessageDescriptor *entry = f->descriptor;
    put_type(&s->out, "object", NULL, use == OPENAPI_BODY);
    openapi_open(&s->out, "additionalProperties", '{');
    put_value(s, &entry->fields[1], use, false);
    openapi_close(&s->out, '}');
}

static void put_list(struct spec *s, const ProtobufCMessageDescriptor *d,
                     const ProtobufCFieldDescriptor *f, enum openapi_use use)
{
    put_type(&s->out, "array", NULL, use == OPENAPI_BODY);
    openapi_open(&s->out, "items", '{');
    put_value(s, f, use, false);
    for (size_t i = 0; use != OPENAPI_ANSWER && i < ARRAY_LEN(item_limits); i++)
        if (strcmp(item_limits[i].message, d->short_name) == 0 &&
            strcmp(item_limits[i].field, f->name) == 0)
            buf_printf(&s->out, ",%s", item_limits[i].json);
    openapi_close(&s->out, '}');
}

/* The inside of a field's schema. */
static void put_field(struct spec *s, const ProtobufCMessageDescriptor *d,
                      const ProtobufCFieldDescriptor *f, enum openapi_use use)
{
    if (pbjson_is_map(f))
        put_map(s, f, use);
    else if (f->label == PROTOBUF_C_LABEL_REPEATED)
        put_list(s, d, f, use);
    else
        put_value(s, f, use, is_nullable(d, f, use));
    const char *limit = limit_of(d, f, use);
    if (limit)
        buf_printf(&s->out, ",%s", limit);
}

void openapi_field(struct spec *s, const char *key, const ProtobufCMessageDescriptor *d,
                   const ProtobufCFieldDescriptor *f, enum openapi_use use)
{
    openapi_open(&s->out, key, '{');
    put_field(s, d, f, use);
    openapi_close(&s->out, '}');
}

void openapi_ref(struct spec *s, const char *key, const ProtobufCMessageDescriptor *d,
                 enum openapi_use use)
{
    openapi_open(&s->out, key, '{');
    put_message(s, d, use, false);
    openapi_close(&s->out, '}');
}

/* ---- components ---- */

static void put_enum(struct spec *s, const ProtobufCEnumDescriptor *e)
{
    struct buf *b = &s->out;
    CLEANUP(buf_done) struct buf about = BUF_INIT(16 * 1024);
    const char *text = openapi_text_of(s->text, e->name, NULL);
    buf_str(&about, text ? text : "");
    openapi_open(b, e->short_name, '{');
    openapi_put(b, "type", "string");
    openapi_open(b, "enum", '[');
    for (unsigned i = 0; i < e->n_values; i++) {
        if (!e->values[i].value)
            continue;
        char *name = ctx_strdup(s->cx, pbjson_enum_short(e, e->values[i].name));
        for (char *p = name; p && *p; p++)
            *p = (char)tolower((unsigned char)*p);
        openapi_put(b, NULL, name);
        text = openapi_text_of(s->text, e->name, e->values[i].name);
        if (text && name)
            buf_printf(&about, "%s* `%s`: %s", about.len ? "\n" : "", name, text);
    }
    openapi_close(b, ']');
    openapi_put(b, "description", about.len ? buf_cstr(&about) : NULL);
    openapi_close(b, '}');
}

static void put_properties(struct spec *s, const ProtobufCMessageDescriptor *d,
                           enum openapi_use use)
{
    struct buf *b = &s->out;
    openapi_open(b, "properties", '{');
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        openapi_open(b, f->name, '{');
        put_field(s, d, f, use);
        openapi_put(b, "description", openapi_text_of(s->text, d->name, f->name));
        openapi_close(b, '}');
    }
    openapi_close(b, '}');
    openapi_open(b, "required", '[');
    for (unsigned i = 0; i < d->n_fields; i++)
        if (use == OPENAPI_ANSWER || openapi_required(d, &d->fields[i]))
            openapi_put(b, NULL, d->fields[i].name);
    openapi_close(b, ']');
    if (use != OPENAPI_ANSWER)
        openapi_raw(b, "additionalProperties", "false");
}

static void put_component(struct spec *s, const ProtobufCMessageDescriptor *d, enum openapi_use use)
{
    struct buf *b = &s->out;
    openapi_open(b, d->short_name, '{');
    openapi_put(b, "description", openapi_text_of(s->text, d->name, NULL));
    if (pbjson_shape(d) == PBJSON_CHOICE) {
        openapi_open(b, "anyOf", '[');
        for (unsigned i = 0; i < d->n_fields; i++)
            openapi_ref(s, NULL, d->fields[i].descriptor, use);
        openapi_close(b, ']');
    } else {
        openapi_put(b, "type", "object");
        put_properties(s, d, use);
    }
    openapi_close(b, '}');
}

/* Any JSON, as far as PostgreSQL can keep it. */
static const char json_object[] =
    "{\"type\":\"object\",\"description\":\"Any JSON object, at most 64 KiB, without NUL.\","
    "\"propertyNames\":{" NO_NUL "},\"additionalProperties\":{\"$ref\":"
    "\"#/components/schemas/JsonValue\"},\"examples\":[{\"project\":\"lighthouse\"}]}";
static const char json_value[] =
    "{\"anyOf\":[{\"type\":[\"null\",\"boolean\",\"number\"]},{\"type\":\"string\"," NO_NUL "},"
    "{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/JsonValue\"}},"
    "{\"$ref\":\"#/components/schemas/JsonObject\"}]}";

void openapi_components(struct spec *s)
{
    openapi_raw(&s->out, "JsonObject", json_object);
    openapi_raw(&s->out, "JsonValue", json_value);
    for (size_t i = 0; i < s->n_types; i++) /* the list grows meanwhile */
        if (s->types[i].is_enum)
            put_enum(s, s->types[i].descriptor);
        else
            put_component(s, s->types[i].descriptor, s->types[i].use);
}
