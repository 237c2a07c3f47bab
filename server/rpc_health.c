/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rpc_health.c - grpc.health.v1: what load balancers and grpc_health_probe ask.
 *
 * Check and Watch know "" (the whole server) and every service of the API; all of them have the one
 * state that rpc_set_serving gives. A watch has at most one message in flight and skips to the last
 * state when the client is slow. Answered on the poller: nothing here blocks.
 *
 * Whether PostgreSQL answers is the sweeper's business; GetHealth (ops) tells components apart. */
#include "grpc/health/v1/health.pb-c.h"
#include "server/desc.h"
#include "server/rpc_call.h"

enum {
    SERVING = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING,
    NOT_SERVING = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING,
    SERVICE_UNKNOWN = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN
};

struct health_watch {
    struct rpc_call *call;
    struct health_watch *next, *prev;
    bool known; /* the service exists */
    bool listed, busy;
    int told; /* the last state sent; 0: none */
};

/* The health lock is held. */
static int state_of(const struct rpc *rpc, bool known)
{
    return !known ? SERVICE_UNKNOWN : rpc->serving ? SERVING : NOT_SERVING;
}

static Grpc__Health__V1__HealthCheckResponse response(int state)
{
    Grpc__Health__V1__HealthCheckResponse out = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    out.status = (Grpc__Health__V1__HealthCheckResponse__ServingStatus)state;
    return out;
}

static enum code read_service(struct rpc_call *call, bool *ret_known)
{
    ProtobufCMessage *message;
    TRY(rpc_unpack(call, &call->cx.arena, &message));
    const char *service =
        ((const Grpc__Health__V1__HealthCheckRequest *)(const void *)message)->service;
    *ret_known = !*service || desc_is_service(service);
    return CODE_OK;
}

/* ---- Check ---- */

static void check_received(struct rpc_call *call, bool ok)
{
    bool known;
    (void)ok;
    if (read_service(call, &known) != CODE_OK) {
        rpc_call_fail(call, &call->cx);
        return;
    }
    if (!known) {
        rpc_call_refuse(call, CODE_NOT_FOUND, "this server has no such service");
        return;
    }
    pthread_mutex_lock(&call->rpc->health_lock);
    Grpc__Health__V1__HealthCheckResponse out = response(state_of(call->rpc, true));
    pthread_mutex_unlock(&call->rpc->health_lock);
    rpc_call_reply(call, &out.base);
}

void rpc_health_check_start(struct rpc_call *call)
{
    rpc_call_receive(call, check_received);
}

/* ---- Watch ---- */

static void watch_sent(struct rpc_call *call, bool ok);

/* The health lock is held. */
static void push(struct health_watch *w)
{
    int state = state_of(w->call->rpc, w->known);
    if (w->busy || w->told == state)
        return;
    Grpc__Health__V1__HealthCheckResponse out = response(state);
    w->busy = rpc_call_send(w->call, &out.base, watch_sent);
    w->told = state;
}

static void watch_sent(struct rpc_call *call, bool ok)
{
    (void)ok; /* a client that is gone is told by watch_gone */
    struct health_watch *w = call->state;
    pthread_mutex_lock(&call->rpc->health_lock);
    w->busy = false;
    if (w->listed)
        push(w);
    pthread_mutex_unlock(&call->rpc->health_lock);
}

/* The health lock is held. */
static void unlist(struct health_watch *w)
{
    if (!w->listed)
        return;
    w->listed = false;
    if (w->prev)
        w->prev->next = w->next;
    else
        w->call->rpc->health_watches = w->next;
    if (w->next)
        w->next->prev = w->prev;
}

static void watch_gone(struct rpc_call *call)
{
    struct health_watch *w = call->state;
    pthread_mutex_lock(&call->rpc->health_lock);
    unlist(w);
    pthread_mutex_unlock(&call->rpc->health_lock);
    if (rpc_call_cancelled(call))
        rpc_call_refuse_after_send(call, CODE_CANCELLED, "the client is gone");
    else
        rpc_call_refuse_after_send(call, CODE_UNAVAILABLE, "the server is shutting down");
}

static void watch_received(struct rpc_call *call, bool ok)
{
    (void)ok;
    struct health_watch *w = ctx_alloc(&call->cx, sizeof(*w));
    if (!w || read_service(call, &w->known) != CODE_OK) {
        rpc_call_fail(call, &call->cx);
        return;
    }
    struct rpc *rpc = call->rpc;
    w->call = call;
    call->state = w;
    pthread_mutex_lock(&rpc->health_lock);
    w->listed = true;
    w->next = rpc->health_watches;
    if (w->next)
        w->next->prev = w;
    rpc->health_watches = w;
    push(w);
    pthread_mutex_unlock(&rpc->health_lock);
    rpc_call_on_gone(call, watch_gone);
}

void rpc_health_watch_start(struct rpc_call *call)
{
    rpc_call_receive(call, watch_received);
}

void rpc_set_serving(struct rpc *rpc, bool serving)
{
    pthread_mutex_lock(&rpc->health_lock);
    rpc->serving = serving && !rpc_stopping(rpc);
    for (struct health_watch *w = rpc->health_watches; w; w = w->next)
        push(w);
    pthread_mutex_unlock(&rpc->health_lock);
}
