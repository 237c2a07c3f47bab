/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rpc.c - the life of the gRPC server: arguments, methods, the drain.
 *
 * Called by main. One completion queue serves everything (rpc_poll.c takes its events; more queues
 * were slower on small machines); what may block is a step on the handler threads. Every method of
 * the table has a few armed calls, and one more kind of call catches the rest as UNIMPLEMENTED,
 * without which the core would keep unknown calls until their deadline.
 *
 * Limits against clients that mean harm: message size, headers, streams a connection, memory of the
 * core (a quota), pings, time for the handshake. A connection is asked to go after an hour, so that
 * clients spread over servers again; what runs on it may end in peace, for uploads and watches take
 * long.
 *
 * Listening comes here, calls in rpc_call.c, each kind of call in a file of its own. */
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <grpc/support/log.h>
#include <limits.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <unistd.h>

#include "base/clk.h"
#include "base/log.h"
#include "grpc/health/v1/health.pb-c.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "server/rpc_call.h"
#include "server/rpc_tsan.h"

enum {
    ARMED_CALLS = 4, /* a method */
    MAX_STREAMS = 256, /* a connection */
    STREAM_WINDOW = 1024 * 1024, /* bytes a client may send ahead on one stream */
    CORE_MEMORY = 256 * 1024 * 1024,
    EXTRA_METHODS = 5, /* health, reflection, the catch-all */
};

/* ---- the list of calls ---- */

bool rpc_stopping(const struct rpc *rpc)
{
    return atomic_load(&rpc->stopping);
}

void rpc_remember(struct rpc *rpc, struct rpc_call *call)
{
    pthread_mutex_lock(&rpc->lock);
    call->listed = true;
    call->next = rpc->calls;
    if (call->next)
        call->next->prev = call;
    rpc->calls = call;
    pthread_mutex_unlock(&rpc->lock);
}

void rpc_forget(struct rpc *rpc, struct rpc_call *call)
{
    pthread_mutex_lock(&rpc->lock);
    if (call->listed) {
        if (call->prev)
            call->prev->next = call->next;
        else
            rpc->calls = call->next;
        if (call->next)
            call->next->prev = call->prev;
        if (!rpc->calls)
            pthread_cond_broadcast(&rpc->changed);
    }
    pthread_mutex_unlock(&rpc->lock);
}

/* Tells every call that the server stops; references are taken so that none is freed meanwhile. */
static void tell_all_gone(struct rpc *rpc)
{
    size_t n = 0, max = 0;
    pthread_mutex_lock(&rpc->lock);
    for (struct rpc_call *call = rpc->calls; call; call = call->next)
        max++;
    struct rpc_call **alive = max ? calloc(max, sizeof(struct rpc_call *)) : NULL;
    for (struct rpc_call *call = rpc->calls; call && alive; call = call->next)
        if (rpc_call_ref_if_alive(call))
            alive[n++] = call;
    pthread_mutex_unlock(&rpc->lock);
    for (size_t i = 0; i < n; i++) {
        rpc_call_tell_gone(alive[i]);
        rpc_call_unref(alive[i]);
    }
    free(alive);
}

/* ---- the core ---- */

static atomic_bool core_log_off; /* while listening: the failure is reported in our words */

/* The core's own complaints (failed handshakes, odd sockets), at most one a second. */
static void core_log(gpr_log_func_args *args)
{
    static atomic_llong last, dropped;
    if (args->severity != GPR_LOG_SEVERITY_ERROR || atomic_load(&core_log_off))
        return;
    long long now = clk_mono_ms(), before = atomic_load(&last);
    if (before && now - before < 1000) {
        atomic_fetch_add(&dropped, 1);
        return;
    }
    atomic_store(&last, now);
    log_warning(NULL, "gRPC: %s (%lld more were dropped); going on", args->message,
                atomic_exchange(&dropped, 0));
}

static void create_server(struct rpc *rpc)
{
    grpc_resource_quota *quota = grpc_resource_quota_create("server");
    grpc_resource_quota_resize(quota, CORE_MEMORY);
#define INTEGER(name, number)                                                                      \
    {.type = GRPC_ARG_INTEGER, .key = (char *)(name), .value.integer = (number)}
    grpc_arg args[] = {
        INTEGER(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, RPC_MAX_MESSAGE),
        INTEGER(GRPC_ARG_MAX_CONCURRENT_STREAMS, MAX_STREAMS),
        INTEGER(GRPC_ARG_MAX_METADATA_SIZE, RPC_MAX_METADATA),
        INTEGER(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0), /* rpc_codec.c has a bound */
        INTEGER(GRPC_ARG_KEEPALIVE_TIME_MS, 60 * 1000),
        INTEGER(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10 * 1000),
        INTEGER(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
        INTEGER(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10 * 1000),
        INTEGER(GRPC_ARG_MAX_CONNECTION_IDLE_MS, 10 * 60 * 1000),
        INTEGER(GRPC_ARG_MAX_CONNECTION_AGE_MS, 60 * 60 * 1000),
        INTEGER(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, INT_MAX),
        INTEGER(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 10 * 1000),
        /* a fixed window: the probe let the core read ahead tens of megabytes of an upload */
        INTEGER(GRPC_ARG_HTTP2_BDP_PROBE, 0),
        INTEGER(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, STREAM_WINDOW),
        INTEGER(GRPC_ARG_ALLOW_REUSEPORT, 0), /* or two servers share a port silently */
        {.type = GRPC_ARG_POINTER,
         .key = (char *)GRPC_ARG_RESOURCE_QUOTA,
         .value.pointer = {quota, grpc_resource_quota_arg_vtable()}},
    };
#undef INTEGER
    grpc_channel_args all = {ARRAY_LEN(args), args};
    rpc->server = grpc_server_create(&all, NULL);
    grpc_resource_quota_unref(quota);
    rpc->queue = grpc_completion_queue_create_for_next(NULL);
    grpc_server_register_completion_queue(rpc->server, rpc->queue, NULL);
}

/* ---- methods ---- */

static rpc_start_fn start_of(enum method_kind kind)
{
    switch (kind) {
    case METHOD_UPLOAD:
        return rpc_upload_start;
    case METHOD_WATCH:
    case METHOD_WATCH_ALL:
        return rpc_watch_start;
    default:
        return rpc_unary_start;
    }
}

static void add_method(struct rpc *rpc, const char *path, const ProtobufCMessageDescriptor *input,
                       const struct method *method, rpc_start_fn start)
{
    struct rpc_method *m = &rpc->methods[rpc->n_methods++];
    *m = (struct rpc_method){path, input, method, start, NULL};
    /* NONE: the message is not read before the call has been looked at */
    m->registered = grpc_server_register_method(rpc->server, path, NULL, GRPC_SRM_PAYLOAD_NONE, 0);
}

static enum code add_methods(struct ctx *cx, struct rpc *rpc)
{
    size_t n;
    const struct method *all = methods_all(&n);
    rpc->methods = calloc(n + EXTRA_METHODS, sizeof(*rpc->methods));
    if (!rpc->methods)
        return ctx_oom(cx);
    for (size_t i = 0; i < n; i++)
        add_method(rpc, all[i].path, all[i].input, &all[i], start_of(all[i].kind));

    const ProtobufCMessageDescriptor *health = &grpc__health__v1__health_check_request__descriptor;
    const ProtobufCMessageDescriptor *reflection =
        &grpc__reflection__v1__server_reflection_request__descriptor;
    add_method(rpc, "/grpc.health.v1.Health/Check", health, NULL, rpc_health_check_start);
    add_method(rpc, "/grpc.health.v1.Health/Watch", health, NULL, rpc_health_watch_start);
    add_method(rpc, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", reflection, NULL,
               rpc_reflection_start);
    add_method(rpc, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", reflection,
               NULL, rpc_reflection_start);
    rpc->methods[rpc->n_methods++] =
        (struct rpc_method){"an unknown method", NULL, NULL, rpc_unknown_start, NULL};
    return CODE_OK;
}

/* ---- listening ---- */

/* The core does not say why it could not listen; trying it ourselves does. */
static const char *why_not(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    int rc = getaddrinfo(host, port, &hints, &found);
    if (rc != 0)
        return gai_strerror(rc);
    int error = 0;
    for (const struct addrinfo *a = found; a && !error; a = a->ai_next) {
        int one = 1, fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd < 0)
            continue;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, 1) != 0)
            error = errno;
        close(fd);
    }
    freeaddrinfo(found);
    return error ? strerror(error) : "the address cannot be used";
}

static enum code listen_on(struct ctx *cx, struct rpc *rpc)
{
    const char *host = rpc->settings->host;
    const char *port = ctx_printf(cx, "%lld", (long long)rpc->settings->grpc_port);
    bool v6 = strchr(host, ':') && host[0] != '[';
    const char *address = port ? ctx_printf(cx, v6 ? "[%s]:%s" : "%s:%s", host, port) : NULL;
    if (!address)
        return ctx_oom(cx);
    grpc_server_credentials *plain = grpc_insecure_server_credentials_create();
    atomic_store(&core_log_off, true);
    rpc->port = grpc_server_add_http2_port(rpc->server, address, plain);
    atomic_store(&core_log_off, false);
    grpc_server_credentials_release(plain);
    if (!rpc->port)
        return ctx_fail(
            cx, CODE_UNAVAILABLE,
            "could not listen on \"%s\": %s; set GRPC_PORT (and HOST) to an address that is free",
            address, why_not(host, port));
    return CODE_OK;
}

/* ---- life ---- */

static struct rpc *new_rpc(const struct settings *settings, struct handlers *handlers,
                           struct hub *hub)
{
    struct rpc *rpc = calloc(1, sizeof(*rpc));
    if (!rpc)
        return NULL;
    rpc->settings = settings;
    rpc->handlers = handlers;
    rpc->hub = hub;
    rpc->serving = true;
    pthread_mutex_init(&rpc->lock, NULL);
    pthread_mutex_init(&rpc->health_lock, NULL);
    pthread_mutex_init(&rpc->lead_lock, NULL);
    pthread_cond_init(&rpc->lead_free, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&rpc->changed, &attr);
    pthread_condattr_destroy(&attr);
    return rpc;
}

static enum code start(struct ctx *cx, struct rpc *rpc)
{
    TRY(add_methods(cx, rpc));
    TRY(listen_on(cx, rpc));
    TRY(rpc_poll_start(cx, rpc));
    grpc_server_start(rpc->server);
    for (size_t i = 0; i < rpc->n_methods; i++)
        for (int k = 0; k < ARMED_CALLS; k++)
            rpc_call_arm(rpc, &rpc->methods[i]);
    return CODE_OK;
}

enum code rpc_start(struct ctx *cx, const struct settings *settings, struct handlers *handlers,
                    struct hub *hub, struct rpc **ret_rpc)
{
    gpr_set_log_function(core_log);
    gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
    grpc_init();
    struct rpc *rpc = new_rpc(settings, handlers, hub);
    if (!rpc) {
        grpc_shutdown_blocking();
        return ctx_oom(cx);
    }
    create_server(rpc);
    enum code code = start(cx, rpc);
    if (code != CODE_OK) {
        rpc_stop(rpc);
        return code;
    }
    *ret_rpc = rpc;
    return CODE_OK;
}

int rpc_port(const struct rpc *rpc)
{
    return rpc->port;
}

static void fired_shut(struct rpc_tag *tag, bool ok)
{
    (void)ok;
    struct rpc *rpc = (struct rpc *)((char *)tag - offsetof(struct rpc, tag_shut));
    pthread_mutex_lock(&rpc->lock);
    rpc->shut = true;
    pthread_cond_broadcast(&rpc->changed);
    pthread_mutex_unlock(&rpc->lock);
}

void rpc_stop_accepting(struct rpc *rpc)
{
    atomic_store(&rpc->stopping, true);
    rpc_set_serving(rpc, false);
    rpc->tag_shut.fired = fired_shut;
    tsan_release(&rpc->tag_shut);
    grpc_server_shutdown_and_notify(rpc->server, rpc->queue, &rpc->tag_shut);
    tell_all_gone(rpc);
}

/* Nothing of any call is left, neither in the core nor on a handler thread. Lock held. */
static bool drained(const struct rpc *rpc)
{
    return rpc->shut && !rpc->calls;
}

bool rpc_drain(struct rpc *rpc, int64_t grace_ms)
{
    struct timespec until = clk_mono_after(grace_ms);
    int rc = 0;
    pthread_mutex_lock(&rpc->lock);
    while (!drained(rpc) && rc == 0)
        rc = pthread_cond_timedwait(&rpc->changed, &rpc->lock, &until);
    bool clean = drained(rpc);
    pthread_mutex_unlock(&rpc->lock);
    if (clean)
        return true;
    grpc_server_cancel_all_calls(rpc->server);
    pthread_mutex_lock(&rpc->lock);
    while (!drained(rpc))
        pthread_cond_wait(&rpc->changed, &rpc->lock);
    pthread_mutex_unlock(&rpc->lock);
    return false;
}

void rpc_stop(struct rpc *rpc)
{
    if (!rpc)
        return;
    if (!rpc_stopping(rpc) && rpc->pollers[0].started) { /* start failed half-way */
        rpc_stop_accepting(rpc);
        rpc_drain(rpc, 0);
    }
    grpc_completion_queue_shutdown(rpc->queue);
    rpc_poll_stop(rpc);
    grpc_server_destroy(rpc->server);
    grpc_completion_queue_destroy(rpc->queue);
    pthread_mutex_destroy(&rpc->lock);
    pthread_mutex_destroy(&rpc->lead_lock);
    pthread_cond_destroy(&rpc->lead_free);
    pthread_mutex_destroy(&rpc->health_lock);
    pthread_cond_destroy(&rpc->changed);
    free(rpc->methods);
    free(rpc);
    grpc_shutdown_blocking();
}
