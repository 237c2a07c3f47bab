/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* kv.c - one Redis connection (kv.h); the only file that knows hiredis.
 *
 * Redis holds hints, so the rule here is: never make a caller wait for it long. Connecting has 500
 * ms, a failed attempt is not repeated for 250 ms, a command that is not blocking by itself has 1
 * s. Replies are copied into the caller's arena with a limit on depth and size, since anybody may
 * have written to our keys. After any I/O error the connection is dropped and made anew at the next
 * call. */
#include "store/kv.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "base/str.h"

enum { CONNECT_MS = 500, RETRY_MS = 250, SLACK_MS = 1000, MAX_DEPTH = 4, MAX_ITEMS = 100000 };

struct kv {
    redisContext *redis; /* NULL: not connected */
    struct kv_endpoint at; /* texts are the settings', which outlive it */
    int64_t retry_ms;
    int64_t client_id;
};

/* ---- addresses ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void percent_decode(char *s)
{
    char *out = s;
    for (; *s; s++) {
        if (s[0] == '%' && s[1] && s[2] && hex_digit(s[1]) >= 0 && hex_digit(s[2]) >= 0) {
            *out++ = (char)(hex_digit(s[1]) << 4 | hex_digit(s[2]));
            s += 2;
        } else {
            *out++ = *s;
        }
    }
    *out = '\0';
}

static enum code parse_database(struct ctx *cx, const char *text, struct kv_endpoint *e)
{
    int64_t n;
    if (!str_parse_int(text, 0, 1023, &n))
        /* Not quoted here and below: with a slash in it, it is a piece of the password. */
        return ctx_fail(
            cx, CODE_INVALID_ARGUMENT,
            "has no database number from 0 to 1023 at its end (a password with : / @ in it "
            "must be percent-encoded)");
    e->database = (int)n;
    return CODE_OK;
}

static enum code parse_unix(struct ctx *cx, char *rest, struct kv_endpoint *e)
{
    char *query = strchr(rest, '?');
    if (query) {
        *query++ = '\0';
        if (!str_starts(query, "db="))
            return ctx_fail(cx, CODE_INVALID_ARGUMENT, "a unix:// Redis URL takes only ?db=N");
        TRY(parse_database(cx, query + 3, e));
    }
    char *at = strchr(rest, '@');
    if (at && at < strchrnul(rest, '/')) {
        *at = '\0';
        char *colon = strchr(rest, ':');
        e->password = colon ? colon + 1 : rest;
        percent_decode(colon ? colon + 1 : rest);
        rest = at + 1;
    }
    if (rest[0] != '/')
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "a unix:// Redis URL needs an absolute path");
    e->unix_path = rest;
    return CODE_OK;
}

static enum code parse_tcp(struct ctx *cx, char *rest, struct kv_endpoint *e)
{
    char *slash = strchr(rest, '/');
    if (slash) {
        *slash++ = '\0';
        if (*slash)
            TRY(parse_database(cx, slash, e));
    }
    char *at = strrchr(rest, '@');
    if (at) {
        *at = '\0';
        char *colon = strchr(rest, ':');
        if (colon) {
            *colon = '\0';
            percent_decode(colon + 1);
            e->password = colon + 1;
        }
        percent_decode(rest);
        e->username = *rest && colon ? rest : NULL;
        if (!colon)
            e->password = rest;
        rest = at + 1;
    }
    char *colon = strrchr(rest, ':');
    if (colon && !strchr(colon, ']')) {
        int64_t port;
        if (!str_parse_int(colon + 1, 1, 65535, &port))
            return ctx_fail(cx, CODE_INVALID_ARGUMENT,
                            "has no port from 1 to 65535 behind its colon");
        e->port = (int)port;
        *colon = '\0';
    }
    size_t n = strlen(rest);
    if (rest[0] == '[' && n > 2 && rest[n - 1] == ']') {
        rest[n - 1] = '\0';
        rest++;
    }
    if (!*rest)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "a Redis URL needs a host");
    e->host = rest;
    return CODE_OK;
}

enum code kv_parse_url(struct ctx *cx, const char *url, struct kv_endpoint *ret_endpoint)
{
    struct kv_endpoint e = {.port = 6379};
    if (str_starts(url, "rediss://"))
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "rediss:// (TLS) is not supported yet");
    bool is_unix = str_starts(url, "unix://");
    if (!is_unix && !str_starts(url, "redis://"))
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "must begin with redis:// or unix://");
    char *rest = ctx_strdup(cx, url + (is_unix ? 7 : 8));
    if (!rest)
        return cx->failure.code;
    TRY(is_unix ? parse_unix(cx, rest, &e) : parse_tcp(cx, rest, &e));
    if (e.password && !*e.password) /* "redis://:@host": AUTH with nothing would be refused */
        e.password = NULL;
    *ret_endpoint = e;
    return CODE_OK;
}

/* ---- connecting ---- */

enum code kv_open(struct ctx *cx, const struct kv_endpoint *endpoint, struct kv **ret_kv)
{
    struct kv *kv = calloc(1, sizeof(*kv));
    if (!kv)
        return ctx_oom(cx);
    kv->at = *endpoint; /* the settings outlive every connection */
    *ret_kv = kv;
    return CODE_OK;
}

static void disconnect(struct kv *kv)
{
    if (kv->redis)
        redisFree(kv->redis);
    kv->redis = NULL;
    kv->client_id = 0;
}

void kv_close(struct kv *kv)
{
    if (!kv)
        return;
    disconnect(kv);
    free(kv);
}

void kv_closep(struct kv **kv)
{
    kv_close(*kv);
    *kv = NULL;
}

int64_t kv_client_id(const struct kv *kv)
{
    return kv->client_id;
}

static struct timeval timeval_of(int ms)
{
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
}

static enum code gone(struct ctx *cx, struct kv *kv, const char *doing)
{
    char why[160];
    snprintf(why, sizeof(why), "%s", kv->redis ? kv->redis->errstr : "no connection");
    disconnect(kv);
    kv->retry_ms = clk_mono_ms() + RETRY_MS;
    return ctx_fail(cx, CODE_UNAVAILABLE, "redis is not reachable (%s): %s", doing, why);
}

/* AUTH, SELECT, CLIENT ID: each must answer without an error. */
static bool greet(struct kv *kv, int argc, const char **argv, int64_t *ret_integer)
{
    redisReply *r = redisCommandArgv(kv->redis, argc, argv, NULL);
    bool ok = r && r->type != REDIS_REPLY_ERROR;
    if (r && !ok)
        snprintf(kv->redis->errstr, sizeof(kv->redis->errstr), "%.100s", r->str);
    if (ok && ret_integer)
        *ret_integer = r->integer;
    if (r)
        freeReplyObject(r);
    return ok;
}

static enum code ready(struct ctx *cx, struct kv *kv)
{
    if (kv->redis) {
        struct pollfd p = {.fd = kv->redis->fd, .events = POLLIN};
        if (poll(&p, 1, 0) <= 0)
            return CODE_OK;
        disconnect(kv); /* nothing is due: an end, or the rest of an abandoned command */
    }
    if (clk_mono_ms() < kv->retry_ms)
        return ctx_fail(cx, CODE_UNAVAILABLE, "redis is not reachable");
    ctx_waits(cx);
    struct timeval t = timeval_of(CONNECT_MS);
    kv->redis = kv->at.unix_path ? redisConnectUnixWithTimeout(kv->at.unix_path, t)
                                 : redisConnectWithTimeout(kv->at.host, kv->at.port, t);
    if (!kv->redis || kv->redis->err)
        return gone(cx, kv, "connecting");
    redisSetTimeout(kv->redis, timeval_of(SLACK_MS));
    if (!kv->at.unix_path)
        (void)redisEnableKeepAlive(kv->redis); /* or a subscription never learns of a cut cable */
    if (kv->at.password) {
        const char *both[] = {"AUTH", kv->at.username, kv->at.password};
        const char *one[] = {"AUTH", kv->at.password};
        if (!(kv->at.username ? greet(kv, 3, both, NULL) : greet(kv, 2, one, NULL)))
            return gone(cx, kv, "authenticating");
    }
    if (kv->at.database) {
        char n[16];
        snprintf(n, sizeof(n), "%d", kv->at.database);
        const char *argv[] = {"SELECT", n};
        if (!greet(kv, 2, argv, NULL))
            return gone(cx, kv, "selecting the database");
    }
    const char *argv[] = {"CLIENT", "ID"};
    if (!greet(kv, 2, argv, &kv->client_id))
        return gone(cx, kv, "greeting");
    return CODE_OK;
}

/* ---- commands ---- */

static enum code copy_reply(struct ctx *cx, const redisReply *r, int depth, struct kv_reply *out)
{
    *out = (struct kv_reply){.type = KV_NIL};
    switch (r->type) {
    case REDIS_REPLY_INTEGER:
        out->type = KV_INT;
        out->integer = r->integer;
        return CODE_OK;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:
        out->type = KV_TEXT;
        out->len = (size_t)r->len;
        out->text = ctx_strndup(cx, r->str, out->len);
        return out->text ? CODE_OK : cx->failure.code;
    case REDIS_REPLY_ARRAY:
        if (depth >= MAX_DEPTH || r->elements > MAX_ITEMS)
            return ctx_fail(cx, CODE_INTERNAL, "redis sent a reply that is too large");
        out->type = KV_ARRAY;
        out->n = r->elements;
        out->items = ctx_array(cx, out->n, sizeof(*out->items));
        if (!out->items)
            return cx->failure.code;
        for (size_t i = 0; i < out->n; i++)
            TRY(copy_reply(cx, r->element[i], depth + 1, &out->items[i]));
        return CODE_OK;
    default:
        return CODE_OK;
    }
}

static enum code take_reply(struct ctx *cx, struct kv *kv, redisReply *r, const char *command,
                            struct kv_reply *ret_reply)
{
    if (!r)
        return gone(cx, kv, command);
    enum code code;
    if (r->type == REDIS_REPLY_ERROR) {
        bool ours = strncmp(r->str, "WRONGTYPE", 9) == 0 || strncmp(r->str, "ERR", 3) == 0;
        code = ctx_fail(cx, ours ? CODE_INTERNAL : CODE_UNAVAILABLE, "redis refused %s: %.200s",
                        command, r->str);
        if (strncmp(r->str, "READONLY", 8) == 0) { /* a failover: the name may lead elsewhere now */
            disconnect(kv);
            kv->retry_ms = clk_mono_ms() + RETRY_MS;
        }
    } else {
        code = ret_reply ? copy_reply(cx, r, 0, ret_reply) : CODE_OK;
    }
    freeReplyObject(r);
    return code;
}

enum code kv_run(struct ctx *cx, struct kv *kv, int timeout_ms, int argc, const char *const *argv,
                 const size_t *lens, struct kv_reply *ret_reply)
{
    TRY(ready(cx, kv));
    redisSetTimeout(kv->redis, timeval_of(timeout_ms + SLACK_MS));
    if (redisAppendCommandArgv(kv->redis, argc, (const char **)argv, lens) != REDIS_OK)
        return gone(cx, kv, argv[0]);
    int sent = 0;
    while (!sent)
        if (redisBufferWrite(kv->redis, &sent) != REDIS_OK)
            return gone(cx, kv, argv[0]);
    struct pollfd p = {.fd = kv->redis->fd, .events = POLLIN};
    if (cx->on_wait && poll(&p, 1, CTX_PATIENCE_MS) <= 0)
        ctx_waits(cx);
    redisReply *r = NULL;
    (void)redisGetReply(kv->redis, (void **)&r); /* none: the connection is gone */
    return take_reply(cx, kv, r, argv[0], ret_reply);
}

/* EVAL every time would parse and hash the text there; EVALSHA needs the SHA-1 that SCRIPT LOAD
 * answers. Scripts are constants, so each thread asks once. */
static enum code script_sha(struct ctx *cx, struct kv *kv, const char *script, char ret_sha[41])
{
    static _Thread_local struct {
        const char *script;
        char sha[41];
    } known[8];
    for (unsigned i = 0; i < ARRAY_LEN(known); i++) {
        if (known[i].script == script) {
            memcpy(ret_sha, known[i].sha, 41);
            return CODE_OK;
        }
        if (known[i].script)
            continue;
        struct kv_reply r;
        TRY(kv_run(cx, kv, 0, KV_ARGV("SCRIPT", "LOAD", script), &r));
        if (r.type != KV_TEXT || r.len != 40)
            return ctx_fail(cx, CODE_INTERNAL, "redis gave no script id");
        memcpy(known[i].sha, r.text, 41);
        known[i].script = script;
        memcpy(ret_sha, r.text, 41);
        return CODE_OK;
    }
    return ctx_fail(cx, CODE_INTERNAL, "too many scripts");
}

enum code kv_script(struct ctx *cx, struct kv *kv, const char *script, int n_keys, int argc,
                    const char *const *argv, struct kv_reply *ret_reply)
{
    char sha[41], keys[16];
    TRY(script_sha(cx, kv, script, sha));
    snprintf(keys, sizeof(keys), "%d", n_keys);
    const char **all = ctx_array(cx, (size_t)argc + 3, sizeof(*all));
    if (!all)
        return cx->failure.code;
    all[0] = "EVALSHA";
    all[1] = sha;
    all[2] = keys;
    memcpy(all + 3, argv, (size_t)argc * sizeof(*all));
    enum code code = kv_run(cx, kv, 0, argc + 3, all, NULL, ret_reply);
    if (code == CODE_OK || !strstr(ctx_message(cx), "NOSCRIPT"))
        return code;
    ctx_clear(cx);
    all[0] = "EVAL"; /* the server forgot it (restart, SCRIPT FLUSH); EVAL teaches it again */
    all[1] = script;
    return kv_run(cx, kv, 0, argc + 3, all, NULL, ret_reply);
}

/* ---- subscriptions ---- */

enum code kv_subscribe(struct ctx *cx, struct kv *kv, int n, const char *const *channels)
{
    TRY(ready(cx, kv));
    const char **argv = ctx_array(cx, (size_t)n + 1, sizeof(*argv));
    if (!argv)
        return cx->failure.code;
    argv[0] = "SUBSCRIBE";
    memcpy(argv + 1, channels, (size_t)n * sizeof(*argv));
    redisReply *r = redisCommandArgv(kv->redis, n + 1, argv, NULL);
    TRY(take_reply(cx, kv, r, "SUBSCRIBE", NULL));
    for (int i = 1; i < n; i++) {
        r = NULL;
        if (redisGetReply(kv->redis, (void **)&r) != REDIS_OK)
            return gone(cx, kv, "SUBSCRIBE");
        freeReplyObject(r);
    }
    return CODE_OK;
}

static bool is_message(const redisReply *r)
{
    return r->type == REDIS_REPLY_ARRAY && r->elements == 3 &&
           r->element[0]->type == REDIS_REPLY_STRING &&
           strcmp(r->element[0]->str, "message") == 0 &&
           r->element[1]->type == REDIS_REPLY_STRING && r->element[2]->type == REDIS_REPLY_STRING;
}

enum code kv_wait(struct ctx *cx, struct kv *kv, int timeout_ms, bool *ret_got,
                  struct kv_message *ret_message)
{
    if (!kv->redis)
        return ctx_fail(cx, CODE_UNAVAILABLE, "the redis subscription is gone");
    *ret_got = false;
    redisReply *r = NULL;
    if (redisReaderGetReply(kv->redis->reader, (void **)&r) != REDIS_OK)
        return gone(cx, kv, "reading messages");
    if (!r) {
        struct pollfd p = {.fd = kv->redis->fd, .events = POLLIN};
        int n = poll(&p, 1, timeout_ms);
        if (n == 0 || (n < 0 && errno == EINTR))
            return CODE_OK;
        if (redisBufferRead(kv->redis) != REDIS_OK ||
            redisReaderGetReply(kv->redis->reader, (void **)&r) != REDIS_OK)
            return gone(cx, kv, "reading messages");
    }
    if (!r)
        return CODE_OK;
    enum code code = CODE_OK;
    if (is_message(r)) {
        ret_message->channel = ctx_strndup(cx, r->element[1]->str, (size_t)r->element[1]->len);
        ret_message->data = ctx_strndup(cx, r->element[2]->str, (size_t)r->element[2]->len);
        ret_message->len = (size_t)r->element[2]->len;
        *ret_got = ret_message->channel && ret_message->data;
        code = *ret_got ? CODE_OK : cx->failure.code;
    }
    freeReplyObject(r);
    return code;
}
