/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* kv.h - one Redis connection: commands, scripts, subscriptions. Everything in Redis is a hint.
 *
 * A kv belongs to one thread. It connects at first use and again after a loss, at most every 250
 * ms. Codes: UNAVAILABLE (no connection, loading, read-only, out of memory there), INTERNAL (a
 * reply of a type the caller did not expect, e.g. foreign data under our key). */
#ifndef STORE_KV_H
#define STORE_KV_H

#include "base/ctx.h"

struct kv;

struct kv_endpoint {
    const char *host; /* or */
    const char *unix_path; /* NULL: TCP */
    int port;
    int database;
    const char *username, *password; /* NULL: none */
};

/* redis://[user:password@]host[:port][/db] or unix:///path[?db=N]. INVALID_ARGUMENT says what is
 * wrong; rediss:// is refused by name. */
enum code kv_parse_url(struct ctx *cx, const char *url,
                       struct kv_endpoint *ret_endpoint) MUST_CHECK;

enum kv_type { KV_NIL, KV_INT, KV_TEXT, KV_ARRAY };
struct kv_reply { /* lives in cx's arena */
    enum kv_type type;
    int64_t integer;
    const char *text;
    size_t len;
    struct kv_reply *items;
    size_t n;
};

enum code kv_open(struct ctx *cx, const struct kv_endpoint *endpoint,
                  struct kv **ret_kv) MUST_CHECK;
void kv_close(struct kv *kv);
void kv_closep(struct kv **kv);

/* One command; argv are texts, lens NULL: all NUL-terminated. Blocks at most timeout_ms. */
enum code kv_run(struct ctx *cx, struct kv *kv, int timeout_ms, int argc, const char *const *argv,
                 const size_t *lens, struct kv_reply *ret_reply) MUST_CHECK;
#define KV_ARGV(...)                                                                               \
    (int)ARRAY_LEN(((const char *const[]){__VA_ARGS__})), (const char *const[]){__VA_ARGS__}, NULL

/* EVALSHA, and EVAL when the server does not know the script. */
enum code kv_script(struct ctx *cx, struct kv *kv, const char *script, int n_keys, int argc,
                    const char *const *argv, struct kv_reply *ret_reply) MUST_CHECK;

/* A subscription needs a kv of its own. kv_wait returns CODE_OK with *ret_message NULL on time-out.
 */
enum code kv_subscribe(struct ctx *cx, struct kv *kv, int n,
                       const char *const *channels) MUST_CHECK;
struct kv_message {
    const char *channel, *data;
    size_t len;
};
enum code kv_wait(struct ctx *cx, struct kv *kv, int timeout_ms, bool *ret_got,
                  struct kv_message *ret_message) MUST_CHECK;

/* CLIENT ID of the current connection, 0 when not connected. */
int64_t kv_client_id(const struct kv *kv);

#endif
