/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* openapi.c - the OpenAPI 3.1 document: info, paths, answers (openapi.h).
 *
 * Called once at start by the HTTP side, which serves the text. It says what rest*.c does, from the
 * same table: the path's fields are path parameters; the other fields are query parameters, or the
 * JSON body, or the parts of a form for an upload; a stream is Server-Sent Events; a POST that
 * answers with a new job's id is 202. Which errors an operation has beyond those every operation
 * may have is read from its comment, which names them by their codes.
 *
 * Nothing of the document is kept but its text. */
#include "server/openapi.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "server/openapi_impl.h"

enum { DOCUMENT_LIMIT = 4 * 1024 * 1024, MAX_SUMMARY = 120 };

static const char about[] =
    "Reads documents in the background: send a file, get a job, watch it, fetch pages and chunks. "
    "The same API is served over gRPC (package localrag.v1). Every key of an answer is always "
    "there; "
    "what is not set is null. Unknown fields and query parameters are refused. A trailing slash "
    "does "
    "not matter, HEAD is answered where GET is. `X-Request-Id` is taken from the request or made, "
    "and "
    "is in the answer and in the log.";

static const char error_schema[] =
    "{\"type\":\"object\",\"description\":\"What went wrong.\",\"properties\":{"
    "\"detail\":{\"type\":\"string\",\"description\":\"What and why, for people.\"},"
    "\"code\":{\"$ref\":\"#/components/schemas/ErrorCode\"},"
    "\"errors\":{\"type\":\"array\",\"description\":\"Every bad field, where there are some.\","
    "\"items\":{\"type\":\"object\",\"properties\":{\"field\":{\"type\":\"string\"},"
    "\"message\":{\"type\":\"string\"}},\"required\":[\"field\",\"message\"]}}},"
    "\"required\":[\"detail\",\"code\"],"
    "\"examples\":[{\"detail\":\"field \\\"limit\\\": \\\"many\\\" is not an integer\","
    "\"code\":\"INVALID_ARGUMENT\",\"errors\":[{\"field\":\"limit\","
    "\"message\":\"field \\\"limit\\\": \\\"many\\\" is not an integer\"}]}]}";

/* ---- operations ---- */

static bool in_path(const struct method *m, const char *field)
{
    size_t n = strlen(field);
    for (const char *s = strchr(m->route, '{'); s; s = strchr(s + 1, '{'))
        if (strncmp(s + 1, field, n) == 0 && s[n + 1] == '}')
            return true;
    return false;
}

static const ProtobufCFieldDescriptor *field_of(const ProtobufCMessageDescriptor *d,
                                                const char *name)
{
    return protobuf_c_message_descriptor_get_field_by_name(d, name);
}

static bool starts_a_job(const struct method *m)
{
    return strcmp(m->verb, "POST") == 0 && field_of(m->output, "job_id") &&
           !field_of(m->input, "job_id");
}

static bool is_stream(const struct method *m)
{
    return m->kind == METHOD_WATCH || m->kind == METHOD_WATCH_ALL;
}

/* "localrag.v1.JobService" of "/localrag.v1.JobService/GetJob". */
static const char *service_of(struct spec *s, const struct method *m)
{
    return ctx_strndup(s->cx, m->path + 1, strcspn(m->path + 1, "/"));
}

static const char *comment_of(struct spec *s, const struct method *m)
{
    const char *service = service_of(s, m);
    return service ? openapi_text_of(s->text, service, strrchr(m->path, '/') + 1) : NULL;
}

static void put_param(struct spec *s, const struct method *m, const ProtobufCFieldDescriptor *f)
{
    struct buf *b = &s->out;
    bool path = in_path(m, f->name);
    openapi_open(b, NULL, '{');
    openapi_put(b, "name", f->name);
    openapi_put(b, "in", path ? "path" : "query");
    openapi_raw(b, "required", path || openapi_required(m->input, f) ? "true" : "false");
    openapi_put(b, "description", openapi_text_of(s->text, m->input->name, f->name));
    openapi_field(s, "schema", m->input, f, OPENAPI_PARAM);
    openapi_close(b, '}');
}

static void put_header(struct spec *s, const char *name, const char *description,
                       const char *schema)
{
    openapi_open(&s->out, NULL, '{');
    openapi_put(&s->out, "name", name);
    openapi_put(&s->out, "in", "header");
    openapi_put(&s->out, "description", description);
    openapi_raw(&s->out, "schema", schema);
    openapi_close(&s->out, '}');
}

static void put_params(struct spec *s, const struct method *m)
{
    openapi_open(&s->out, "parameters", '[');
    for (unsigned i = 0; i < m->input->n_fields; i++)
        if (in_path(m, m->input->fields[i].name) || !*m->body)
            put_param(s, m, &m->input->fields[i]);
    if (m->kind == METHOD_WATCH)
        put_header(s, "Last-Event-ID", "As `last_event_id`; browsers send it when they reconnect.",
                   "{\"type\":\"string\"}");
    if (m->kind == METHOD_UPLOAD)
        put_header(s, "Idempotency-Key",
                   "The same key and bytes within the retention answer with the first job.",
                   "{\"type\":\"string\",\"maxLength\":255}");
    openapi_close(&s->out, ']');
}

#define LANGUAGE "[a-z]{2,3}(_[a-z]{2,4}){0,2}" /* server/upload.c */
#define BETWEEN "[, \\t\\r\\n]"

/* A form has no lists: a name may come several times, or once with commas. */
static const char languages_schema[] =
    "{\"anyOf\":[{\"type\":\"array\",\"maxItems\":16,\"items\":{\"type\":\"string\","
    "\"pattern\":\"^(" LANGUAGE ")?$\",\"examples\":[\"eng\"]}},"
    "{\"type\":\"string\",\"examples\":[\"eng,deu\"],\"pattern\":\"^" BETWEEN "*(" LANGUAGE
    "(" BETWEEN "+" LANGUAGE "){0,15})?" BETWEEN "*$\"}],"
    "\"description\":\"Languages for OCR, as eng or de; unset: OCR_LANGUAGES.\"}";

static void put_form(struct spec *s)
{
    const ProtobufCMessageDescriptor *d = &localrag__v1__upload_metadata__descriptor;
    struct buf *b = &s->out;
    openapi_open(b, "multipart/form-data", '{');
    openapi_open(b, "schema", '{');
    openapi_put(b, "type", "object");
    openapi_open(b, "properties", '{');
    openapi_raw(
        b, "file",
        "{\"type\":\"string\",\"contentMediaType\":\"application/octet-stream\",\"minLength\":1,"
        "\"description\":\"The document, with its file name.\"}");
    for (unsigned i = 0; i < d->n_fields; i++) {
        const char *name = d->fields[i].name;
        if (strcmp(name, "filename") == 0 || strcmp(name, "content_type") == 0 ||
            strcmp(name, "idempotency_key") == 0)
            continue; /* of the file part; a header */
        if (strcmp(name, "languages") == 0)
            openapi_raw(b, name, languages_schema);
        else
            openapi_field(s, name, d, &d->fields[i], OPENAPI_PARAM);
    }
    openapi_close(b, '}');
    openapi_raw(b, "required", "[\"file\"]");
    openapi_raw(b, "additionalProperties", "false");
    openapi_close(b, '}');
    openapi_raw(b, "encoding", "{\"metadata\":{\"contentType\":\"application/json\"}}");
    openapi_close(b, '}');
}

static bool has_required(const ProtobufCMessageDescriptor *d)
{
    bool any = false;
    for (unsigned i = 0; i < d->n_fields; i++)
        any |= openapi_required(d, &d->fields[i]);
    return any;
}

static void put_body(struct spec *s, const struct method *m)
{
    if (!*m->body)
        return;
    struct buf *b = &s->out;
    bool form = m->kind == METHOD_UPLOAD;
    openapi_open(b, "requestBody", '{');
    openapi_raw(b, "required", form || has_required(m->input) ? "true" : "false");
    openapi_open(b, "content", '{');
    if (form) {
        put_form(s);
    } else {
        openapi_open(b, "application/json", '{');
        openapi_ref(s, "schema", m->input, OPENAPI_BODY);
        openapi_close(b, '}');
    }
    openapi_close(b, '}');
    openapi_close(b, '}');
}

/* ---- answers ---- */

/* The code that stands for an HTTP status: the first of its row. */
static enum code code_of_status(int status)
{
    for (int c = 0; c < CODE_COUNT; c++)
        if (code_http((enum code)c) == status)
            return (enum code)c;
    return CODE_INTERNAL;
}

static bool is_expected(enum code code, const struct method *m, const char *comment)
{
    switch (code) {
    case CODE_OK:
    case CODE_CANCELLED: /* nobody is there to read it */
        return false;
    case CODE_INVALID_ARGUMENT:
    case CODE_NOT_ACCEPTABLE:
    case CODE_RESOURCE_EXHAUSTED:
    case CODE_INTERNAL:
    case CODE_UNAVAILABLE:
    case CODE_DEADLINE_EXCEEDED:
        return true;
    case CODE_NOT_FOUND:
        return strchr(m->route, '{') || (comment && strstr(comment, "NOT_FOUND"));
    case CODE_TOO_LARGE:
    case CODE_UNSUPPORTED:
        return *m->body;
    default:
        return comment && strstr(comment, code_name(code));
    }
}

static void put_errors(struct spec *s, const struct method *m)
{
    const char *comment = comment_of(s, m);
    for (int status = 400; status < 600; status++) {
        bool expected = false;
        for (int c = 0; c < CODE_COUNT; c++)
            expected |= code_http((enum code)c) == status && is_expected((enum code)c, m, comment);
        if (!expected)
            continue;
        const char *key = ctx_printf(s->cx, "%d", status);
        const char *ref =
            ctx_printf(s->cx, "#/components/responses/%s", code_name(code_of_status(status)));
        if (!key)
            return;
        openapi_open(&s->out, key, '{');
        if (status == 503 && strcmp(m->output->short_name, "Health") == 0) {
            openapi_put(&s->out, "description", "unhealthy, or the server is stopping");
            openapi_raw(&s->out, "content",
                        "{\"application/json\":{\"schema\":{\"anyOf\":[{\"$ref\":"
                        "\"#/components/schemas/Health\"},{\"$ref\":"
                        "\"#/components/schemas/Error\"}]}}}");
        } else {
            openapi_put(&s->out, "$ref", ref);
        }
        openapi_close(&s->out, '}');
    }
}

/* OpenAPI 3.1 leaves open what the schema of a stream describes; as in 3.2 it is one event. */
static void put_event(struct spec *s, const struct method *m)
{
    struct buf *b = &s->out;
    const ProtobufCFieldDescriptor *job = field_of(m->output, "job");
    openapi_open(b, "schema", '{');
    openapi_put(b, "type", "object");
    openapi_open(b, "properties", '{');
    openapi_raw(b, "id", "{\"type\":\"string\"}");
    openapi_raw(b, "event", "{\"enum\":[\"state\",\"progress\",\"failure\"]}");
    openapi_open(b, "data", '{');
    openapi_put(b, "type", "string");
    openapi_put(b, "contentMediaType", "application/json");
    openapi_open(b, "contentSchema", '{');
    openapi_open(b, "anyOf", '[');
    openapi_ref(s, NULL, job ? job->descriptor : m->output, OPENAPI_ANSWER);
    openapi_raw(b, NULL, "{\"$ref\":\"#/components/schemas/Error\"}");
    openapi_close(b, ']');
    openapi_close(b, '}');
    openapi_close(b, '}');
    openapi_close(b, '}');
    openapi_raw(b, "required", "[\"event\",\"data\"]");
    openapi_close(b, '}');
}

static void put_stream(struct spec *s, const struct method *m)
{
    struct buf *b = &s->out;
    openapi_put(
        b, "description",
        "Server-Sent Events. `event: state` and `event: progress` have a Job as `data` and the "
        "event's id as `id`; `event: failure` has an Error and is the last. Comments come "
        "first (\"connected\") and every 15 s.");
    openapi_open(b, "content", '{');
    openapi_open(b, "text/event-stream", '{');
    put_event(s, m);
    openapi_close(b, '}');
    openapi_close(b, '}');
}

static void put_answers(struct spec *s, const struct method *m)
{
    struct buf *b = &s->out;
    openapi_open(b, "responses", '{');
    openapi_open(b, starts_a_job(m) ? "202" : "200", '{');
    if (is_stream(m)) {
        put_stream(s, m);
    } else {
        openapi_put(b, "description", starts_a_job(m) ? "The job was started." : "OK");
        if (starts_a_job(m))
            openapi_raw(b, "headers",
                        "{\"Location\":{\"description\":\"The path of the job.\","
                        "\"schema\":{\"type\":\"string\"}}}");
        openapi_open(b, "content", '{');
        openapi_open(b, "application/json", '{');
        openapi_ref(s, "schema", m->output, OPENAPI_ANSWER);
        openapi_close(b, '}');
        openapi_close(b, '}');
    }
    openapi_close(b, '}');
    if (m->kind == METHOD_WATCH)
        openapi_raw(b, "204",
                    "{\"description\":\"The job has ended and its last event is known.\"}");
    put_errors(s, m);
    openapi_close(b, '}');
}

static const char *tag_of(struct spec *s, const char *service)
{
    const char *name = strrchr(service, '.') + 1;
    size_t n = strlen(name);
    return ctx_strndup(s->cx, name, str_ends(name, "Service") ? n - strlen("Service") : n);
}

static const char *first_sentence(struct spec *s, const char *comment)
{
    const char *end = comment ? strpbrk(comment, ".:;\n") : NULL;
    return comment ? ctx_strndup(s->cx, comment,
                                 MIN(end ? (size_t)(end - comment) : strlen(comment), MAX_SUMMARY))
                   : NULL;
}

static void put_operation(struct spec *s, const struct method *m)
{
    struct buf *b = &s->out;
    const char *name = strrchr(m->path, '/') + 1, *service = service_of(s, m);
    const char *comment = comment_of(s, m);
    char *verb = ctx_strdup(s->cx, m->verb);
    if (!service || !verb)
        return;
    for (char *p = verb; *p; p++)
        *p = (char)(*p | 0x20);
    openapi_open(b, verb, '{');
    openapi_put(b, "operationId", name);
    openapi_open(b, "tags", '[');
    openapi_put(b, NULL, tag_of(s, service));
    openapi_close(b, ']');
    openapi_put(b, "summary", first_sentence(s, comment));
    openapi_put(b, "description", comment);
    put_params(s, m);
    put_body(s, m);
    put_answers(s, m);
    openapi_close(b, '}');
}

/* ---- the document ---- */

static bool seen_before(const struct method *methods, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (methods[k].verb && strcmp(methods[k].route, methods[i].route) == 0)
            return true;
    return false;
}

static void put_paths(struct spec *s, const struct method *methods, size_t n)
{
    openapi_open(&s->out, "paths", '{');
    for (size_t i = 0; i < n; i++) {
        if (!methods[i].verb || seen_before(methods, i))
            continue;
        openapi_open(&s->out, methods[i].route, '{');
        for (size_t k = i; k < n; k++)
            if (methods[k].verb && strcmp(methods[k].route, methods[i].route) == 0)
                put_operation(s, &methods[k]);
        openapi_close(&s->out, '}');
    }
    openapi_close(&s->out, '}');
}

static void put_error_answers(struct spec *s)
{
    struct buf *b = &s->out;
    openapi_open(b, "responses", '{');
    for (int status = 400; status < 600; status++) {
        enum code code = code_of_status(status);
        if (code_http(code) != status)
            continue;
        openapi_open(b, code_name(code), '{');
        openapi_put(b, "description", code_text(code));
        if (status == 429 || status == 503)
            openapi_raw(b, "headers",
                        "{\"Retry-After\":{\"description\":\"Seconds to wait.\","
                        "\"schema\":{\"type\":\"integer\"}}}");
        openapi_raw(
            b, "content",
            "{\"application/json\":{\"schema\":{\"$ref\":\"#/components/schemas/Error\"}}}");
        openapi_close(b, '}');
    }
    openapi_close(b, '}');
}

static void put_document(struct spec *s, const struct method *methods, size_t n)
{
    struct buf *b = &s->out;
    buf_char(b, '{');
    openapi_put(b, "openapi", "3.1.0");
    openapi_open(b, "info", '{');
    openapi_put(b, "title", "LocalRAG jobs");
    openapi_put(b, "version", LOCALRAG_VERSION);
    openapi_put(b, "description", about);
    openapi_raw(b, "license",
                "{\"name\":\"AGPL-3.0-or-later\",\"identifier\":\"AGPL-3.0-or-later\"}");
    openapi_close(b, '}');
    openapi_raw(b, "servers", "[{\"url\":\"/\"}]");
    put_paths(s, methods, n);
    openapi_open(b, "components", '{');
    openapi_open(b, "schemas", '{');
    openapi_components(s);
    openapi_raw(b, "Error", error_schema);
    openapi_open(b, "ErrorCode", '{');
    openapi_put(b, "type", "string");
    openapi_open(b, "enum", '[');
    for (int c = CODE_OK + 1; c < CODE_COUNT; c++)
        openapi_put(b, NULL, code_name((enum code)c));
    openapi_close(b, ']');
    openapi_close(b, '}');
    openapi_close(b, '}');
    put_error_answers(s);
    openapi_close(b, '}');
    buf_char(b, '}');
}

static const char *make_etag(struct ctx *cx, const char *text, size_t len)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (EVP_Digest(text, len, hash, &n, EVP_sha256(), NULL) != 1 || n < 8)
        return NULL;
    return ctx_printf(cx, "\"%02x%02x%02x%02x%02x%02x%02x%02x\"", hash[0], hash[1], hash[2],
                      hash[3], hash[4], hash[5], hash[6], hash[7]);
}

static enum code build(struct spec *s, struct ctx *cx, const struct method *methods, size_t n,
                       struct openapi *ret)
{
    TRY(openapi_text_load(s->cx, &s->text));
    put_document(s, methods, n);
    if (s->cx->failure.code != CODE_OK)
        return s->cx->failure.code;
    if (buf_failed(&s->out))
        return ctx_oom(cx);
    ret->len = s->out.len;
    ret->json = ctx_strndup(cx, s->out.data, s->out.len);
    ret->etag = make_etag(cx, s->out.data, s->out.len);
    return ret->json && ret->etag ? CODE_OK : ctx_oom(cx);
}

enum code openapi_build(struct ctx *cx, const struct method *methods, size_t n,
                        struct openapi *ret_openapi)
{
    struct ctx scratch; /* comments and schemas are of no use afterwards */
    ctx_init(&scratch, CTX_DEFAULT_LIMIT);
    struct spec *s = calloc(1, sizeof(*s));
    struct openapi made = {0};
    enum code code = s ? CODE_OK : ctx_oom(&scratch);
    if (s) {
        s->cx = &scratch;
        s->out = BUF_INIT(DOCUMENT_LIMIT);
        code = build(s, cx, methods, n, &made);
        buf_done(&s->out);
        free(s);
    }
    if (code == CODE_OK)
        *ret_openapi = made;
    else
        code =
            ctx_fail(cx, code, "could not write the OpenAPI document: %s", ctx_message(&scratch));
    ctx_done(&scratch);
    return code;
}
