/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rest_watch.c - events of one job, or of all, as Server-Sent Events.
 *
 * A stream begins with the comment "connected": who lists the jobs after that misses nothing. An
 * event's id is the hub's, so that a browser that comes back (Last-Event-ID) gets only what is new;
 * a job whose last event it has is answered with 204, which makes browsers stop asking. A reader
 * that is too slow gets an event "failure" and the end.
 *
 * The hub (server/hub.h) wakes a watch from its thread; the daemon's thread then takes the events
 * and writes them. With nothing to send the connection is suspended: it costs no thread, however
 * long the job takes. Beginning a watch reads a row, which is a task of the handlers.
 *
 * A suspended connection neither times out nor notices that its client is gone. A ticker thread
 * therefore sends a comment every 15 seconds, and the failing write ends the watch.
 *
 * Locks: the list's, then a watch's. A watch's lock guards the four flags; `suspended` is only true
 * while the connection is, so a wake either finds it so and resumes, or leaves `woken` behind for
 * the next look. The hub is never called with one of them held. */
#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "base/pbjson.h"
#include "server/rest_impl.h"

enum { PING_US = 15 * 1000 * 1000, TICK_MS = 1000, EVENT_LIMIT = 1024 * 1024, BLOCK = 8192 };

static const char preamble[] = "retry: 2000\n: connected\n\n"; /* retry: ms until a reconnect */

struct watch {
    struct watch *next, **link; /* in the list */
    struct request *request;
    struct watcher *watcher;
    pthread_mutex_t lock;
    bool suspended, woken, ended, ping;
    bool over; /* the daemon's thread only, as out and sent */
    struct buf out;
    size_t sent;
    _Atomic int64_t written_us;
};

struct watch_list {
    pthread_mutex_t lock;
    pthread_cond_t stop;
    struct watch *first;
    bool ended, stopping;
    pthread_t ticker;
};

/* ---- waking and sleeping ---- */

/* Lock held. */
static void wake_locked(struct watch *w)
{
    w->woken = true;
    if (w->suspended) {
        w->suspended = false;
        rest_loop_resume(w->request);
    }
}

static void wake(void *arg)
{
    struct watch *w = arg;
    pthread_mutex_lock(&w->lock);
    wake_locked(w);
    pthread_mutex_unlock(&w->lock);
}

/* False: something came in the meantime, look again. */
static bool sleep_until_woken(struct watch *w)
{
    pthread_mutex_lock(&w->lock);
    bool sleep = !w->woken;
    w->woken = false;
    if (sleep) {
        w->suspended = true;
        MHD_suspend_connection(w->request->connection);
    }
    pthread_mutex_unlock(&w->lock);
    return sleep;
}

static void *tick(void *arg)
{
    struct watch_list *list = arg;
    pthread_mutex_lock(&list->lock);
    while (!list->stopping) {
        int64_t now = clk_mono_us();
        for (struct watch *w = list->first; w; w = w->next) {
            if (now - w->written_us < PING_US)
                continue;
            pthread_mutex_lock(&w->lock);
            w->ping = true;
            wake_locked(w);
            pthread_mutex_unlock(&w->lock);
        }
        struct timespec next = clk_mono_after(TICK_MS);
        pthread_cond_timedwait(&list->stop, &list->lock, &next);
    }
    pthread_mutex_unlock(&list->lock);
    return NULL;
}

/* ---- events ---- */

static void write_slow(struct watch *w)
{
    buf_str(&w->out,
            "event: failure\ndata: {\"detail\":\"the reader is too slow: changes were lost, "
            "connect again\",\"code\":\"UNAVAILABLE\"}\n\n");
}

static void write_event(struct watch *w, const Localrag__V1__JobEvent *e)
{
    bool state = e->type != LOCALRAG__V1__JOB_EVENT_TYPE__JOB_EVENT_TYPE_PROGRESS;
    buf_printf(&w->out, "event: %s\nid: ", state ? "state" : "progress");
    buf_str(&w->out, e->event_id);
    buf_str(&w->out, "\ndata: ");
    pbjson_write(&w->out, &e->job->base); /* JSON has no raw line breaks */
    buf_str(&w->out, "\n\n");
}

/* Takes what the hub has. False: nothing. */
static bool take(struct watch *w)
{
    struct ctx cx; /* its own: a stream may be long */
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    Localrag__V1__JobEvent *event = NULL;
    enum hub_next next = hub_next(&cx, w->watcher, &event);
    if (next == HUB_EVENT)
        write_event(w, event);
    else if (next != HUB_NOTHING)
        w->over = true;
    if (next == HUB_SLOW)
        write_slow(w);
    ctx_done(&cx);
    return next != HUB_NOTHING;
}

/* Something to send, or the end: true. */
static bool fill(struct watch *w)
{
    pthread_mutex_lock(&w->lock);
    bool ended = w->ended, ping = w->ping;
    w->ping = false;
    pthread_mutex_unlock(&w->lock);
    if (!take(w)) {
        if (ended)
            w->over = true;
        else if (ping)
            buf_str(&w->out, ": ping\n\n");
        else
            return false;
    }
    if (buf_failed(&w->out))
        w->over = true;
    w->written_us = clk_mono_us();
    return true;
}

static ssize_t read_stream(void *arg, uint64_t pos, char *out, size_t max)
{
    (void)pos;
    struct watch *w = arg;
    while (w->sent == w->out.len) {
        buf_clear(&w->out);
        w->sent = 0;
        if (w->over)
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (!fill(w) && sleep_until_woken(w))
            return 0;
    }
    size_t n = MIN(max, w->out.len - w->sent);
    memcpy(out, w->out.data + w->sent, n);
    w->sent += n;
    return (ssize_t)n;
}

/* ---- a request ---- */

static void add_to_list(struct watch_list *list, struct watch *w)
{
    pthread_mutex_lock(&list->lock);
    w->ended = list->ended;
    w->next = list->first;
    w->link = &list->first;
    if (w->next)
        w->next->link = &w->next;
    list->first = w;
    pthread_mutex_unlock(&list->lock);
}

/* Registers with the hub. */
static enum code join(struct request *r, struct watch *w, const ProtobufCMessage *message)
{
    struct ctx *cx = &r->cx;
    if (r->match.method->kind == METHOD_WATCH_ALL)
        return hub_watch_all(cx, r->rest->hub, (const void *)message, wake, w, &w->watcher);
    const Localrag__V1__WatchJobRequest *in = (const void *)message;
    const char *last = rest_request_header(r, "Last-Event-ID");
    return hub_watch(cx, r->rest->hub, in->job_id, last ? last : in->last_event_id, wake, w,
                     &w->watcher);
}

static enum code open_watch(struct request *r)
{
    struct ctx *cx = &r->cx;
    ProtobufCMessage *in = pbjson_new(cx, r->match.method->input);
    if (!in)
        return CODE_OUT_OF_MEMORY;
    TRY(rest_request_fill(r, in));
    struct watch *w = calloc(1, sizeof(*w));
    if (!w)
        return ctx_oom(cx);
    w->request = r;
    w->out = BUF_INIT(EVENT_LIMIT);
    w->written_us = clk_mono_us();
    pthread_mutex_init(&w->lock, NULL);
    r->watch = w; /* rest_watch_close frees it from here on */
    add_to_list(r->rest->watches, w);
    return join(r, w, in);
}

static enum MHD_Result start_stream(struct request *r)
{
    struct watch *w = r->watch;
    bool something = take(w);
    if (something && w->over && !w->out.len)
        return rest_reply_nothing(r);
    struct buf first = w->out;
    w->out = BUF_INIT(EVENT_LIMIT);
    buf_str(&w->out, preamble);
    buf_add(&w->out, first.data, first.len);
    buf_done(&first);
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_stream, w, NULL);
    if (response) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
        MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
        MHD_add_response_header(response, "X-Accel-Buffering", "no");
    }
    return rest_reply_response(r, 200, response);
}

static void run(struct task *task, struct jobs *jobs)
{
    (void)jobs;
    struct request *r = rest_of(task);
    (void)!open_watch(r); /* a failure is recorded and becomes the answer */
    rest_finish(r);
}

enum MHD_Result rest_watch_step(struct request *r, const char *data, size_t *len)
{
    (void)data;
    if (*len) {
        *len = 0;
        return MHD_YES;
    }
    if (!r->done)
        return rest_submit(r, run);
    return r->cx.failure.code == CODE_OK ? start_stream(r) : rest_reply_outcome(r);
}

void rest_watch_close(struct request *r)
{
    struct watch *w = r->watch;
    if (!w)
        return;
    struct watch_list *list = r->rest->watches;
    pthread_mutex_lock(&list->lock);
    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
    pthread_mutex_unlock(&list->lock);
    if (w->watcher)
        hub_unwatch(w->watcher);
    pthread_mutex_destroy(&w->lock);
    buf_done(&w->out);
    free(w);
    r->watch = NULL;
}

/* ---- all watches ---- */

enum code rest_watch_start(struct ctx *cx, struct watch_list **ret_list)
{
    struct watch_list *list = calloc(1, sizeof(*list));
    if (!list)
        return ctx_oom(cx);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&list->stop, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&list->lock, NULL);
    if (pthread_create(&list->ticker, NULL, tick, list) != 0) {
        free(list);
        return ctx_fail(cx, CODE_OUT_OF_MEMORY, "could not start the ticker thread");
    }
    *ret_list = list;
    return CODE_OK;
}

void rest_watch_end(struct watch_list *list)
{
    pthread_mutex_lock(&list->lock);
    list->ended = true;
    for (struct watch *w = list->first; w; w = w->next) {
        pthread_mutex_lock(&w->lock);
        w->ended = true;
        wake_locked(w);
        pthread_mutex_unlock(&w->lock);
    }
    pthread_mutex_unlock(&list->lock);
}

void rest_watch_stop(struct watch_list *list)
{
    if (!list)
        return;
    pthread_mutex_lock(&list->lock);
    list->stopping = true;
    pthread_cond_signal(&list->stop);
    pthread_mutex_unlock(&list->lock);
    pthread_join(list->ticker, NULL);
    pthread_cond_destroy(&list->stop);
    pthread_mutex_destroy(&list->lock);
    free(list);
}
