/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rpc_watch.c - server streams out of server/hub.h: one job as it is, then every change; or the
 * changes of all jobs.
 *
 * Started by rpc.c for METHOD_WATCH and METHOD_WATCH_ALL. The headers are sent at once, so that a
 * client knows that it misses nothing from then on. A stream holds no thread: the hub's wake, the
 * end of a send and the client's going all lead to kick(), and kick() queues one pump step unless
 * one is queued, runs or waits for a send (`busy`); what happens meanwhile is remembered (`again`).
 * Only the pump looks at the watcher, sends, and ends the call, so there is never more than one
 * message in flight and the hub's own queue absorbs a slow reader.
 *
 * Lock order: the hub's, then the call's. The pump calls the hub without holding the call's lock.
 */
#include "localrag/v1/job.pb-c.h"
#include "server/rpc_call.h"

enum { EVENT_MEMORY = 8 * 1024 * 1024 };

struct watch_call {
    struct watcher *watcher;
    bool busy, again; /* the call's lock guards them */
    bool over; /* ended, or the hub did not take it; the same lock */
    bool broken; /* a send failed; written before the next pump is queued */
};

static void pump_step(struct task *task, struct jobs *jobs);

static void kick(struct rpc_call *call)
{
    struct watch_call *w = call->state;
    pthread_mutex_lock(&call->lock);
    bool start = !w->busy && !w->over;
    if (start)
        w->busy = true;
    else
        w->again = true;
    pthread_mutex_unlock(&call->lock);
    if (start)
        rpc_call_step(call, pump_step, false);
}

static void woken(void *arg)
{
    kick(arg);
}

static void sent(struct rpc_call *call, bool ok)
{
    struct watch_call *w = call->state;
    w->broken = !ok;
    rpc_call_step(call, pump_step, false); /* still busy: nobody else queues one */
}

static void end(struct rpc_call *call, enum code code, const char *message)
{
    struct watch_call *w = call->state;
    pthread_mutex_lock(&call->lock);
    w->over = true;
    pthread_mutex_unlock(&call->lock);
    hub_unwatch(TAKE(w->watcher));
    if (code == CODE_OK)
        rpc_call_end(call);
    else
        rpc_call_refuse(call, code, message);
}

/* True: asked again while the hub had nothing; look once more. */
static bool rest(struct rpc_call *call)
{
    struct watch_call *w = call->state;
    pthread_mutex_lock(&call->lock);
    bool again = w->again;
    w->again = false;
    w->busy = again;
    pthread_mutex_unlock(&call->lock);
    return again;
}

/* Sends the next event or ends the stream. True: nothing to do now. */
static bool pump_once(struct rpc_call *call)
{
    struct watch_call *w = call->state;
    CLEANUP(ctx_done) struct ctx cx;
    ctx_init(&cx, EVENT_MEMORY);
    Localrag__V1__JobEvent *event = NULL;
    switch (hub_next(&cx, w->watcher, &event)) {
    case HUB_NOTHING:
        return true;
    case HUB_EVENT:
        if (!rpc_call_send(call, &event->base, sent))
            end(call, CODE_CANCELLED, "the client is gone");
        break;
    case HUB_END:
        end(call, CODE_OK, NULL);
        break;
    case HUB_CLOSING:
        end(call, CODE_UNAVAILABLE, "the server is shutting down");
        break;
    case HUB_SLOW:
        end(call, CODE_UNAVAILABLE, "the reader is too slow: changes were lost, watch again");
        break;
    }
    return false;
}

static void pump(struct rpc_call *call)
{
    struct watch_call *w = call->state;
    do {
        if (w->broken || rpc_call_cancelled(call)) {
            end(call, CODE_CANCELLED, "the client is gone");
            return;
        }
        if (rpc_stopping(call->rpc)) {
            end(call, CODE_UNAVAILABLE, "the server is shutting down");
            return;
        }
        if (!pump_once(call))
            return; /* the call may be gone: not to be touched */
    } while (rest(call));
}

static void pump_step(struct task *task, struct jobs *jobs)
{
    (void)jobs;
    pump(rpc_call_of(task));
}

static enum code watch(struct rpc_call *call, const ProtobufCMessage *message)
{
    struct watch_call *w = call->state;
    if (call->method->method->kind == METHOD_WATCH_ALL)
        return hub_watch_all(&call->cx, call->rpc->hub, (const void *)message, woken, call,
                             &w->watcher);
    const Localrag__V1__WatchJobRequest *in = (const void *)message;
    return hub_watch(&call->cx, call->rpc->hub, in->job_id, in->last_event_id, woken, call,
                     &w->watcher);
}

static void begin(struct task *task, struct jobs *jobs)
{
    (void)jobs;
    struct rpc_call *call = rpc_call_of(task);
    ProtobufCMessage *message;
    enum code code = rpc_unpack(call, &call->cx.arena, &message);
    if (code == CODE_OK && rpc_stopping(call->rpc))
        code = ctx_fail(&call->cx, CODE_UNAVAILABLE, "the server is shutting down");
    if (code == CODE_OK)
        code = watch(call, message);
    if (code != CODE_OK) {
        rpc_call_fail(call, &call->cx);
        return;
    }
    rpc_call_on_gone(call, kick);
    if (!rpc_call_send(call, NULL, sent))
        pump(call);
}

static void received(struct rpc_call *call, bool ok)
{
    if (!ok || rpc_call_cancelled(call))
        rpc_call_refuse(call, CODE_CANCELLED, "cancelled before it began");
    else
        rpc_call_step(call, begin, true);
}

void rpc_watch_start(struct rpc_call *call)
{
    struct watch_call *w = ctx_alloc(&call->cx, sizeof(*w));
    if (!w) {
        rpc_call_fail(call, &call->cx);
        return;
    }
    w->busy = true; /* until the first pump rests */
    call->state = w;
    rpc_call_receive(call, received);
}
