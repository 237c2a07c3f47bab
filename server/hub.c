/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* hub.c - the hub's life: its thread, its subscription, watchers that come and go (hub.h).
 *
 * Main starts and stops it; rpc_watch.c and rest_watch.c watch. The thread listens to the hints on
 * one Redis subscription and hands them to hub_rows.c; every few seconds, and every second while
 * Redis is away, it looks at the rows themselves. What is known of the jobs is in hub_rows.c, the
 * queues are in hub_queue.c, watching everything in hub_all.c.
 *
 * The hub lives until it was stopped and its last watcher is gone. */
#include "server/hub.h"

#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "base/log.h"
#include "server/hub_impl.h"

enum { WAIT_MS = 200, POLL_MS = 5000, POLL_BLIND_MS = 1000 };

void hub_release(struct hub *hub)
{
    bool last = --hub->refs == 0;
    pthread_mutex_unlock(&hub->lock);
    if (!last)
        return;
    jobs_close(hub->jobs);
    pthread_mutex_destroy(&hub->lock);
    pthread_mutex_destroy(&hub->reading);
    free(hub);
}

/* ---- the thread ---- */

static bool subscribe(struct ctx *cx, struct hub *hub, struct kv *kv)
{
    const char *channel = event_channel(cx, hub->settings);
    bool ok = channel && kv_subscribe(cx, kv, 1, &channel) == CODE_OK;
    if (!ok)
        log_debug(cx, "no subscription to job events: %s", ctx_message(cx));
    return ok;
}

static void listen_once(struct ctx *cx, struct hub *hub, struct kv *kv, bool *subscribed)
{
    struct kv_message m;
    bool got = false;
    if (!*subscribed && !(*subscribed = subscribe(cx, hub, kv))) {
        struct timespec pause = {.tv_nsec = WAIT_MS * 1000000L};
        nanosleep(&pause, NULL);
        return;
    }
    if (kv_wait(cx, kv, WAIT_MS, &got, &m) != CODE_OK) {
        log_debug(cx, "lost the subscription to job events: %s", ctx_message(cx));
        *subscribed = false;
        return;
    }
    struct event event;
    if (got && event_parse(m.data, m.len, &event) &&
        (event.kind == EVENT_STATE || event.kind == EVENT_PROGRESS))
        hub_take_event(hub, &event);
}

struct looks {
    int64_t rows, changes; /* the last ones */
};

/* After a change of the subscription at once: whatever was said meanwhile was missed. */
static void look(struct hub *hub, bool subscribed, bool at_once, struct looks *last)
{
    int64_t every = subscribed ? POLL_MS : POLL_BLIND_MS, now = clk_mono_ms();
    if (at_once || now - last->rows >= WAIT_MS) {
        hub_poll_rows(hub, at_once ? 0 : every);
        last->rows = now;
    }
    if (at_once || now - last->changes >= every) {
        hub_poll_changed(hub);
        last->changes = now;
    }
}

static void *run(void *arg)
{
    struct hub *hub = arg;
    struct ctx cx;
    struct kv *kv = NULL;
    bool subscribed = false;
    ctx_init(&cx, 1 << 20);
    if (kv_open(&cx, &hub->settings->redis, &kv) != CODE_OK)
        log_failure(&cx, LOG_LEVEL_ERROR, "job events need a Redis handle");
    struct looks last = {0};
    while (kv && !atomic_load(&hub->stopping)) {
        bool before = subscribed;
        listen_once(&cx, hub, kv, &subscribed);
        look(hub, subscribed, subscribed != before, &last);
        ctx_done(&cx);
    }
    kv_close(kv);
    ctx_done(&cx);
    return NULL;
}

/* ---- life ---- */

enum code hub_start(struct ctx *cx, const struct settings *settings, struct hub **ret_hub)
{
    struct hub *hub = calloc(1, sizeof(*hub));
    if (!hub)
        return ctx_oom(cx);
    hub->settings = settings;
    hub->refs = 1;
    pthread_mutex_init(&hub->lock, NULL);
    pthread_mutex_init(&hub->reading, NULL);
    enum code code = jobs_open(cx, settings, "localrag-server hub", &hub->jobs);
    if (code == CODE_OK && pthread_create(&hub->thread, NULL, run, hub) != 0)
        code = ctx_fail(cx, CODE_UNAVAILABLE, "could not start the thread for job events");
    if (code != CODE_OK) {
        pthread_mutex_lock(&hub->lock);
        hub_release(hub);
        return code;
    }
    *ret_hub = hub;
    return CODE_OK;
}

static void close_watchers(struct watcher *w)
{
    for (; w; w = w->next) {
        pthread_mutex_lock(&w->lock);
        w->closing = true;
        pthread_mutex_unlock(&w->lock);
        w->wake(w->arg);
    }
}

void hub_stop(struct hub *hub)
{
    if (!hub)
        return;
    atomic_store(&hub->stopping, true);
    pthread_join(hub->thread, NULL);
    pthread_mutex_lock(&hub->lock);
    for (int b = 0; b < HUB_BUCKETS; b++)
        for (struct entry *e = hub->buckets[b]; e; e = e->next)
            close_watchers(e->watchers);
    close_watchers(hub->all);
    hub_release(hub);
}

/* ---- watchers ---- */

struct watcher *hub_new_watcher(struct hub *hub, void (*wake)(void *arg), void *arg)
{
    struct watcher *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    *w = (struct watcher){.hub = hub,
                          .wake = wake,
                          .arg = arg,
                          .closing = atomic_load(&hub->stopping)};
    pthread_mutex_init(&w->lock, NULL);
    return w;
}

/* Both locks held. Takes the row. */
static struct watcher *add_watcher(struct hub *hub, struct row *row, const char *last_event_id,
                                   void (*wake)(void *arg), void *arg)
{
    struct entry *e = hub_ensure(hub, row->job->job_id);
    struct watcher *w = e ? hub_new_watcher(hub, wake, arg) : NULL;
    if (w) {
        if (last_event_id && hub_is_event_id(last_event_id))
            strcpy(w->seen, last_event_id);
        hub_take_row(hub, e, row);
        w->entry = e;
        w->next = e->watchers;
        e->watchers = w;
        hub->refs++;
        hub_tell_first(w, e);
    }
    if (e)
        hub_let_go(hub, e);
    return w;
}

enum code hub_watch(struct ctx *cx, struct hub *hub, const char *job_id, const char *last_event_id,
                    void (*wake)(void *arg), void *arg, struct watcher **ret_watcher)
{
    struct row row;
    pthread_mutex_lock(&hub->reading);
    enum code code = hub_read_row(hub, job_id, &row);
    if (code == CODE_OK) {
        pthread_mutex_lock(&hub->lock);
        struct watcher *w = add_watcher(hub, &row, last_event_id, wake, arg);
        pthread_mutex_unlock(&hub->lock);
        if (w)
            *ret_watcher = w;
        else
            code = ctx_oom(cx);
    } else {
        code = ctx_fail(cx, code, "%s", ctx_message(&row.cx));
    }
    ctx_done(&row.cx);
    pthread_mutex_unlock(&hub->reading);
    return code;
}

void hub_unwatch(struct watcher *w)
{
    if (!w)
        return;
    struct hub *hub = w->hub;
    pthread_mutex_lock(&hub->lock);
    if (w->entry) {
        struct watcher **at = &w->entry->watchers;
        while (*at != w)
            at = &(*at)->next;
        *at = w->next;
        hub_let_go(hub, w->entry);
    } else {
        hub_leave_all(hub, w);
    }
    hub_drop_queue(w);
    pthread_mutex_destroy(&w->lock);
    free(w);
    hub_release(hub);
}
