/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* desc.c - reads the embedded descriptor set and builds sorted tables over it.
 *
 * Called once by methods_init; read by methods.c, rpc_reflection.c, rpc_health.c and the OpenAPI
 * writer. All memory is one arena that lives as long as the process, so readers need no lock and no
 * copy. Reflection must answer the very bytes protoc wrote (options that this program does not know
 * survive), so the files are spans of the embedded data, never packed again.
 *
 * It does not resolve references between types and does not check the set: protoc did. */
#include <stdlib.h>
#include <string.h>

#include "google/api/http.pb-c.h"
#include "server/desc.h"
#include "server/desc_data.h"

enum {
    HTTP_RULE_FIELD = 72295728, /* (google.api.http) in MethodOptions */
    MEMORY_LIMIT = 16 * 1024 * 1024,
    MAX_NESTING = 32,
};

typedef Google__Protobuf__FileDescriptorProto file_proto;
typedef Google__Protobuf__DescriptorProto message_proto;
typedef Google__Protobuf__EnumDescriptorProto enum_proto;
typedef Google__Protobuf__FieldDescriptorProto field_proto;
typedef Google__Protobuf__ServiceDescriptorProto service_proto;
typedef Google__Protobuf__MethodDescriptorProto method_proto;

struct symbol {
    const char *name;
    const struct desc_file *file;
};

struct extension {
    const char *type; /* without the leading dot */
    int32_t number;
    const struct desc_file *file;
};

static struct {
    struct arena memory;
    bool ready, full; /* full: an allocation failed */
    Google__Protobuf__FileDescriptorSet *set;
    struct desc_file *files;
    struct symbol *symbols;
    size_t n_symbols, cap_symbols;
    struct extension *extensions;
    size_t n_extensions, cap_extensions;
    struct desc_method *methods;
    size_t n_methods;
    const char **services;
    size_t n_services;
} index_;

/* Room for one more item in a growing array of the index; the old array stays in the arena. */
static void *grown(void *items, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return items;
    size_t cap_new = *cap ? *cap * 2 : 128;
    void *copy = arena_array(&index_.memory, cap_new, size);
    if (!copy) {
        index_.full = true;
        return NULL;
    }
    if (n)
        memcpy(copy, items, n * size);
    *cap = cap_new;
    return copy;
}

static const char *joined(const char *scope, const char *name)
{
    const char *s = arena_printf(&index_.memory, "%s%s%s", scope, *scope ? "." : "", name);
    index_.full |= !s;
    return s ? s : "";
}

static const char *add_symbol(const struct desc_file *file, const char *scope, const char *name)
{
    const char *full = joined(scope, name);
    struct symbol *symbols =
        grown(index_.symbols, index_.n_symbols, &index_.cap_symbols, sizeof(*symbols));
    if (symbols) {
        index_.symbols = symbols;
        symbols[index_.n_symbols++] = (struct symbol){full, file};
    }
    return full;
}

static void add_extension(const struct desc_file *file, const char *scope, const field_proto *field)
{
    add_symbol(file, scope, field->name);
    struct extension *all =
        grown(index_.extensions, index_.n_extensions, &index_.cap_extensions, sizeof(*all));
    if (!all || !field->extendee)
        return;
    index_.extensions = all;
    const char *type = field->extendee + (field->extendee[0] == '.');
    all[index_.n_extensions++] = (struct extension){type, field->number, file};
}

static void add_enum(const struct desc_file *file, const char *scope, const enum_proto *e)
{
    add_symbol(file, scope, e->name);
    for (size_t i = 0; i < e->n_value; i++) /* values are siblings of their enum */
        add_symbol(file, scope, e->value[i]->name);
}

static void add_message(const struct desc_file *file, const char *scope, const message_proto *m,
                        int depth)
{
    const char *inner = add_symbol(file, scope, m->name);
    for (size_t i = 0; i < m->n_field; i++)
        add_symbol(file, inner, m->field[i]->name);
    for (size_t i = 0; i < m->n_oneof_decl; i++)
        add_symbol(file, inner, m->oneof_decl[i]->name);
    for (size_t i = 0; i < m->n_extension; i++)
        add_extension(file, inner, m->extension[i]);
    for (size_t i = 0; i < m->n_enum_type; i++)
        add_enum(file, inner, m->enum_type[i]);
    for (size_t i = 0; i < m->n_nested_type && depth < MAX_NESTING; i++)
        add_message(file, inner, m->nested_type[i], depth + 1);
}

static void set_route(struct desc_method *method, const Google__Api__HttpRule *rule)
{
    switch (rule->pattern_case) {
    case GOOGLE__API__HTTP_RULE__PATTERN_GET:
        method->verb = "GET", method->route = rule->get;
        break;
    case GOOGLE__API__HTTP_RULE__PATTERN_PUT:
        method->verb = "PUT", method->route = rule->put;
        break;
    case GOOGLE__API__HTTP_RULE__PATTERN_POST:
        method->verb = "POST", method->route = rule->post;
        break;
    case GOOGLE__API__HTTP_RULE__PATTERN_DELETE:
        method->verb = "DELETE", method->route = rule->delete_;
        break;
    case GOOGLE__API__HTTP_RULE__PATTERN_PATCH:
        method->verb = "PATCH", method->route = rule->patch;
        break;
    case GOOGLE__API__HTTP_RULE__PATTERN_CUSTOM:
        method->verb = rule->custom->kind, method->route = rule->custom->path;
        break;
    default:
        return;
    }
    method->body = rule->body;
}

/* protobuf-c keeps the option as an unknown field, with the length varint still in front. */
static void read_route(struct desc_method *method, const method_proto *m)
{
    for (unsigned i = 0; m->options && i < m->options->base.n_unknown_fields; i++) {
        const ProtobufCMessageUnknownField *u = &m->options->base.unknown_fields[i];
        if (u->tag != HTTP_RULE_FIELD || u->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
            continue;
        size_t at = 0;
        while (at < u->len && (u->data[at] & 0x80))
            at++;
        if (at++ >= u->len)
            continue;
        const Google__Api__HttpRule *rule =
            google__api__http_rule__unpack(&index_.memory.pb, u->len - at, u->data + at);
        if (rule)
            set_route(method, rule);
    }
}

static void add_service(const struct desc_file *file, const char *package, const service_proto *s)
{
    const char *full = add_symbol(file, package, s->name);
    index_.services[index_.n_services++] = full;
    for (size_t i = 0; i < s->n_method; i++) {
        const method_proto *m = s->method[i];
        struct desc_method *method = &index_.methods[index_.n_methods++];
        add_symbol(file, full, m->name);
        method->service = full;
        method->name = m->name;
        method->path = arena_printf(&index_.memory, "/%s/%s", full, m->name);
        index_.full |= !method->path;
        method->client_stream = m->client_streaming;
        method->server_stream = m->server_streaming;
        read_route(method, m);
    }
}

static void add_file(const struct desc_file *file, const file_proto *f)
{
    const char *package = f->package ? f->package : "";
    for (size_t i = 0; i < f->n_message_type; i++)
        add_message(file, package, f->message_type[i], 0);
    for (size_t i = 0; i < f->n_enum_type; i++)
        add_enum(file, package, f->enum_type[i]);
    for (size_t i = 0; i < f->n_extension; i++)
        add_extension(file, package, f->extension[i]);
    for (size_t i = 0; i < f->n_service; i++)
        add_service(file, package, f->service[i]);
}

/* Cuts the set (repeated FileDescriptorProto file = 1, nothing else) into its files. */
static bool cut_files(const unsigned char *p, size_t n)
{
    size_t at = 0;
    for (size_t i = 0; i < index_.set->n_file; i++) {
        if (at >= n || p[at++] != 0x0a)
            return false;
        size_t len = 0;
        for (int shift = 0;; shift += 7) {
            if (at >= n || shift > 28)
                return false;
            len |= (size_t)(p[at] & 0x7f) << shift;
            if (!(p[at++] & 0x80))
                break;
        }
        if (len > n - at)
            return false;
        index_.files[i] = (struct desc_file){index_.set->file[i]->name, p + at, len};
        at += len;
    }
    return at == n;
}

static int compare_symbols(const void *a, const void *b)
{
    return strcmp(((const struct symbol *)a)->name, ((const struct symbol *)b)->name);
}

static bool allocate_tables(void)
{
    size_t methods = 0, services = 0;
    for (size_t i = 0; i < index_.set->n_file; i++) {
        services += index_.set->file[i]->n_service;
        for (size_t j = 0; j < index_.set->file[i]->n_service; j++)
            methods += index_.set->file[i]->service[j]->n_method;
    }
    index_.files = arena_array(&index_.memory, index_.set->n_file, sizeof(*index_.files));
    index_.methods = arena_array(&index_.memory, methods, sizeof(*index_.methods));
    index_.services = arena_array(&index_.memory, services, sizeof(*index_.services));
    return index_.files && index_.methods && index_.services;
}

enum code desc_init(struct ctx *cx)
{
    if (index_.ready)
        return CODE_OK;
    size_t n = (size_t)(desc_data_end - desc_data);
    arena_init(&index_.memory, MEMORY_LIMIT);
    index_.set = google__protobuf__file_descriptor_set__unpack(&index_.memory.pb, n, desc_data);
    if (!index_.set || !allocate_tables() || !cut_files(desc_data, n))
        return ctx_fail(cx, CODE_INTERNAL, "could not read the embedded descriptor set");
    for (size_t i = 0; i < index_.set->n_file; i++)
        add_file(&index_.files[i], index_.set->file[i]);
    if (index_.full)
        return ctx_fail(cx, CODE_INTERNAL,
                        "could not index the embedded descriptor set: no memory");
    qsort(index_.symbols, index_.n_symbols, sizeof(*index_.symbols), compare_symbols);
    index_.ready = true;
    return CODE_OK;
}

const Google__Protobuf__FileDescriptorSet *desc_set(void)
{
    return index_.set;
}

const struct desc_method *desc_methods(size_t *ret_n)
{
    *ret_n = index_.n_methods;
    return index_.methods;
}

const char *const *desc_services(size_t *ret_n)
{
    *ret_n = index_.n_services;
    return index_.services;
}

bool desc_is_service(const char *name)
{
    for (size_t i = 0; i < index_.n_services; i++)
        if (strcmp(index_.services[i], name) == 0)
            return true;
    return false;
}

const struct desc_file *desc_file_named(const char *name)
{
    for (size_t i = 0; i < index_.set->n_file; i++)
        if (strcmp(index_.files[i].name, name) == 0)
            return &index_.files[i];
    return NULL;
}

const struct desc_file *desc_file_of_symbol(const char *symbol)
{
    struct symbol key = {symbol, NULL};
    const struct symbol *found =
        bsearch(&key, index_.symbols, index_.n_symbols, sizeof(*index_.symbols), compare_symbols);
    return found ? found->file : NULL;
}

const struct desc_file *desc_file_of_extension(const char *type, int32_t number)
{
    for (size_t i = 0; i < index_.n_extensions; i++)
        if (index_.extensions[i].number == number && strcmp(index_.extensions[i].type, type) == 0)
            return index_.extensions[i].file;
    return NULL;
}

bool desc_extensions(const char *type, int32_t *numbers, size_t max, size_t *ret_n)
{
    if (!desc_file_of_symbol(type))
        return false;
    size_t n = 0;
    for (size_t i = 0; i < index_.n_extensions && n < max; i++)
        if (strcmp(index_.extensions[i].type, type) == 0)
            numbers[n++] = index_.extensions[i].number;
    *ret_n = n;
    return true;
}
