/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* fuzz_query.c - the request line of a REST client: "VERB /path?name=value&...".
 *
 * The server's own routes are used. The path is matched, every parameter percent-decoded and set in
 * the method's request, as server/rest_request.c does it (cutting at "&" and "=" is the HTTP
 * library's there). A message so filled must be valid: it is written as JSON and read again. */
#include <string.h>

#include "base/pbjson.h"
#include "server/methods.h"
#include "server/route.h"
#include "tests/fuzz/fuzz.h"

enum { MEMORY = 4 << 20, MAX_LINE = 8192, MAX_PARAMS = 64 };

static const struct route_table *routes(void)
{
    static struct ctx cx; /* lives as long as the process */
    static struct route_table *table;
    if (table)
        return table;
    size_t n;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    fuzz_check_ok(&cx, methods_init(&cx));
    const struct method *all = methods_all(&n);
    fuzz_check_ok(&cx, route_compile(&cx, all, n, &table));
    return table;
}

static bool is_fair(enum code code)
{
    return code == CODE_OK || code == CODE_INVALID_ARGUMENT || code == CODE_OUT_OF_MEMORY;
}

static enum code decode(struct ctx *cx, const char *s, size_t n, const char **ret_text)
{
    enum code code = route_decode(cx, s, n, "query", ret_text);
    FUZZ_CHECK(is_fair(code));
    if (code == CODE_OK) {
        size_t len = strlen(*ret_text);
        FUZZ_CHECK(len <= n);
        FUZZ_CHECK(memchr(s, '%', n) || (len == n && memcmp(*ret_text, s, n) == 0));
    }
    return code;
}

/* name[=value] of s[0..n). A bad one leaves the message as it was. */
static void set_param(struct ctx *cx, ProtobufCMessage *m, const char *s, size_t n)
{
    const char *name, *value, *equals = memchr(s, '=', n);
    size_t name_len = equals ? (size_t)(equals - s) : n;
    if (decode(cx, s, name_len, &name) == CODE_OK &&
        decode(cx, equals ? equals + 1 : "", equals ? n - name_len - 1 : 0, &value) == CODE_OK)
        FUZZ_CHECK(is_fair(pbjson_set_field(cx, m, name, value)));
    ctx_clear(cx);
}

static void check_message(struct ctx *cx, const ProtobufCMessage *m)
{
    CLEANUP(buf_done) struct buf json = BUF_INIT(MEMORY);
    ProtobufCMessage *read;
    pbjson_write(&json, m);
    enum code code = pbjson_read(cx, m->descriptor, buf_cstr(&json), json.len, &read);
    if (code == CODE_OUT_OF_MEMORY)
        return;
    fuzz_check_ok(cx, code);
    CLEANUP(buf_done) struct buf json2 = BUF_INIT(MEMORY);
    pbjson_write(&json2, read);
    FUZZ_CHECK(strcmp(buf_cstr(&json), buf_cstr(&json2)) == 0);
}

static void fill(struct ctx *cx, const struct route_match *match, const char *query)
{
    ProtobufCMessage *m = pbjson_new(cx, match->method->input);
    if (!m)
        return;
    for (size_t i = 0; query && *query && i < MAX_PARAMS; i++) {
        size_t n = strcspn(query, "&");
        set_param(cx, m, query, n);
        query += n + (query[n] == '&');
    }
    for (size_t i = 0; i < match->n_params; i++) {
        FUZZ_CHECK(*match->params[i].value);
        FUZZ_CHECK(is_fair(pbjson_set_field(cx, m, match->params[i].name, match->params[i].value)));
        ctx_clear(cx);
    }
    check_message(cx, m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char line[MAX_LINE];
    size_t len = MIN(size, sizeof(line) - 1);
    if (len)
        memcpy(line, data, len);
    line[len] = '\0';
    char *space = strchr(line, ' ');
    if (!space)
        return 0;
    *space = '\0';
    char *path = space + 1, *query = strchr(path, '?');
    if (query)
        *query++ = '\0';

    struct ctx cx;
    struct route_match match;
    ctx_init(&cx, MEMORY);
    enum code code = route_find(&cx, routes(), line, path, &match);
    if (code == CODE_OK) {
        FUZZ_CHECK(match.allow && *match.allow && match.n_params <= ROUTE_MAX_SEGMENTS);
        if (match.method)
            fill(&cx, &match, query);
    } else {
        FUZZ_CHECK(code == CODE_NOT_FOUND || is_fair(code));
    }
    ctx_done(&cx);
    return 0;
}
