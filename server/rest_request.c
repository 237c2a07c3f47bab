/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rest_request.c - what a request says before its body: id, path, query, Accept, type, length.
 *
 * Everything here comes from outside. The daemon hands path and query over as they came (rest.c
 * turns its lenient decoding off), so that a bad % is an error and not a guess. All that is kept is
 * copied into the request's arena. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/pbjson.h"
#include "base/str.h"
#include "server/rest_impl.h"

enum { PROBLEMS_LIMIT = 4096 };

const char *rest_request_header(const struct request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

bool rest_request_is(const char *value, const char *type)
{
    size_t n = strlen(type);
    return strncasecmp(value, type, n) == 0 && strchr("; \t", value[n]);
}

/* ---- X-Request-Id ---- */

static bool is_sane_id(const char *id)
{
    size_t n = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    return n >= 1 && n <= 128 && !id[n];
}

static bool read_id(struct request *r)
{
    const char *given = rest_request_header(r, "X-Request-Id");
    char fresh[37];
    if (!given || !is_sane_id(given)) {
        str_uuid(fresh);
        given = fresh;
    }
    r->cx.request_id = ctx_strdup(&r->cx, given);
    return r->cx.request_id != NULL;
}

/* ---- query ---- */

static enum MHD_Result add_param(void *arg, enum MHD_ValueKind kind, const char *key,
                                 size_t key_len, const char *value, size_t value_len)
{
    (void)kind;
    struct request *r = arg;
    struct ctx *cx = &r->cx;
    if (r->n_query == REST_MAX_PARAMS) {
        (void)!ctx_fail(cx, CODE_INVALID_ARGUMENT, "more than %d query parameters",
                        REST_MAX_PARAMS);
        return MHD_NO;
    }
    struct route_param *p = &r->query[r->n_query];
    if (route_decode(cx, key, key_len, "query", &p->name) != CODE_OK ||
        route_decode(cx, value ? value : "", value ? value_len : 0, "query", &p->value) != CODE_OK)
        return MHD_NO;
    r->n_query++;
    return MHD_YES;
}

static enum code refuse_twice(struct request *r, const ProtobufCMessage *in, size_t i)
{
    const char *name = r->query[i].name;
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field_by_name(in->descriptor, name);
    if (f && f->label == PROTOBUF_C_LABEL_REPEATED)
        return CODE_OK;
    for (size_t k = 0; k < i; k++)
        if (strcmp(r->query[k].name, name) == 0)
            return ctx_fail(&r->cx, CODE_INVALID_ARGUMENT, "field \"%.64s\": given twice", name);
    return CODE_OK;
}

/* Remembers a bad field and goes on, so that all of them are named at once. */
static enum code collect(struct ctx *cx, struct buf *problems, enum code code)
{
    if (code != CODE_INVALID_ARGUMENT)
        return code;
    buf_printf(problems, "%s%s", problems->len ? "\n" : "", ctx_message(cx));
    ctx_clear(cx);
    return CODE_OK;
}

static enum code set_query(struct request *r, ProtobufCMessage *in, size_t i)
{
    TRY(refuse_twice(r, in, i));
    return pbjson_set_field(&r->cx, in, r->query[i].name, r->query[i].value);
}

enum code rest_request_fill(struct request *r, ProtobufCMessage *in)
{
    struct ctx *cx = &r->cx;
    CLEANUP(buf_done) struct buf problems = BUF_INIT(PROBLEMS_LIMIT);
    for (size_t i = 0; i < r->n_query; i++)
        TRY(collect(cx, &problems, set_query(r, in, i)));
    for (size_t i = 0; i < r->match.n_params; i++)
        TRY(collect(cx, &problems,
                    pbjson_set_field(cx, in, r->match.params[i].name, r->match.params[i].value)));
    return problems.len ? ctx_fail(cx, CODE_INVALID_ARGUMENT, "%s", buf_cstr(&problems)) : CODE_OK;
}

/* ---- Accept ---- */

/* One range of an Accept header, "type/sub;q=0.5", allows `type`. */
static bool range_allows(const char *range, size_t n, const char *type)
{
    size_t name = strcspn(range, ";, \t");
    const char *q = memmem(range, n, "q=", 2);
    if (name > n || (q && strtod(q + 2, NULL) <= 0))
        return false;
    if (name == 3 && memcmp(range, "*/*", 3) == 0)
        return true;
    size_t major = (size_t)(strchr(type, '/') - type) + 1;
    if (name == major + 1 && range[major] == '*')
        return strncasecmp(range, type, major) == 0;
    return name == strlen(type) && strncasecmp(range, type, name) == 0;
}

static bool accepts(const struct request *r, const char *type)
{
    const char *s = rest_request_header(r, MHD_HTTP_HEADER_ACCEPT);
    if (!s || !*s)
        return true;
    while (*s) {
        s += strspn(s, ", \t");
        size_t n = strcspn(s, ",");
        if (n && range_allows(s, n, type))
            return true;
        s += n;
    }
    return false;
}

/* ---- body ---- */

static void read_length(struct request *r)
{
    const char *length = rest_request_header(r, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (rest_request_header(r, MHD_HTTP_HEADER_TRANSFER_ENCODING))
        r->content_length = -1;
    else if (!length)
        r->content_length = 0;
    else if (!str_parse_int(length, 0, INT64_MAX, &r->content_length))
        r->content_length = INT64_MAX; /* the daemon accepted it: larger than any limit */
}

static bool check_json_body(struct request *r)
{
    struct ctx *cx = &r->cx;
    const char *type = rest_request_header(r, MHD_HTTP_HEADER_CONTENT_TYPE);
    if (r->content_length == 0)
        return true;
    if (strcmp(r->verb, "POST") != 0 && strcmp(r->verb, "PUT") != 0 &&
        strcmp(r->verb, "PATCH") != 0)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "\"%s\" takes no body", r->verb) == CODE_OK;
    if (type && !rest_request_is(type, "application/json"))
        return ctx_fail(cx, CODE_UNSUPPORTED, "content type \"%.100s\": expected application/json",
                        type) == CODE_OK;
    if (r->content_length > REST_JSON_LIMIT)
        return ctx_fail(cx, CODE_TOO_LARGE, "the body is larger than %d bytes", REST_JSON_LIMIT) ==
               CODE_OK;
    return true;
}

static bool not_allowed(struct request *r)
{
    return ctx_fail(&r->cx, CODE_METHOD_NOT_ALLOWED, "\"%.20s\" is not possible here, but %s are",
                    r->verb, r->match.allow) == CODE_OK;
}

static bool read_fixed(struct request *r)
{
    static const char *const verbs[] = {"GET", "HEAD", "OPTIONS"};
    r->match.allow = "GET, HEAD, OPTIONS";
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(r->verb, verbs[i]) == 0)
            return true;
    return not_allowed(r);
}

/* What a method's request says; its path was found. */
static bool read_for_method(struct request *r)
{
    struct ctx *cx = &r->cx;
    MHD_get_connection_values_n(r->connection, MHD_GET_ARGUMENT_KIND, add_param, r);
    if (cx->failure.code != CODE_OK)
        return false;
    enum method_kind kind = r->match.method->kind;
    bool stream = kind == METHOD_WATCH || kind == METHOD_WATCH_ALL;
    const char *type = stream ? "text/event-stream" : "application/json";
    if (!accepts(r, type))
        return ctx_fail(cx, CODE_NOT_ACCEPTABLE, "this path answers with %s only", type) == CODE_OK;
    return kind == METHOD_UPLOAD ? rest_upload_open(r) : check_json_body(r);
}

bool rest_request_read(struct request *r)
{
    read_length(r);
    if (!read_id(r))
        return false;
    r->fixed = rest_fixed_find(r->path);
    if (r->fixed)
        return read_fixed(r);
    if (route_find(&r->cx, r->rest->routes, r->verb, r->path, &r->match) != CODE_OK)
        return false;
    if (strcmp(r->verb, "OPTIONS") == 0)
        return true;
    return r->match.method ? read_for_method(r) : not_allowed(r);
}
