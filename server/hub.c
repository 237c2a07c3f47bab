/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* hub.c - fans job events out to watchers (hub.h).
 *
 * Every job that is watched has one entry with its newest known Job message; its watchers share
 * what is read, so a thousand watchers of a job cost one row read a change. Two kinds of news:
 *
 *   state     A hint said so, or a poll found it: the row is read and, if status or epoch differ
 * from what the entry has, every watcher gets the new Job queued. Never dropped. progress  Taken
 * from the hint itself, without a row read, if it is of the entry's epoch and ahead. Each watcher
 * keeps only the newest: a slow reader skips.
 *
 * Row reads and the queueing of what they gave happen under `reading`, so no watcher sees a state
 * go backwards. `lock` guards the table and is held while wake() runs; hub_unwatch takes it too,
 * which is how it waits for a running call. A watcher's own lock guards its queue only. Hints may
 * be lost, so watched rows are read again every few seconds, and every second while Redis is away.
 *
 * The hub lives until it was stopped and its last watcher is gone. */
#include "server/hub.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "base/log.h"
#include "jobs/event.h"
#include "jobs/record.h"
#include "jobs/state.h"

enum {
    BUCKETS = 1024,
    WAIT_MS = 200,
    READ_MS = 5000,
    POLL_MS = 5000,
    POLL_BLIND_MS = 1000,
    MAX_STATES = 256
};

struct packed { /* a packed JobEvent */
    struct packed *next;
    size_t len;
    bool terminal;
    unsigned char data[];
};

struct watcher {
    struct watcher *next; /* in its entry */
    struct hub *hub;
    struct entry *entry;
    void (*wake)(void *arg);
    void *arg;
    pthread_mutex_t lock;
    struct packed *first, *last; /* states */
    int n_states;
    struct packed *progress;
    bool ended, closing;
};

struct entry {
    struct entry *next; /* in its bucket */
    char job_id[37];
    struct watcher *watchers;
    int64_t epoch, read_ms;
    Localrag__V1__JobStatus status;
    double percent;
    struct ctx cx; /* memory of `job`, the newest row */
    Localrag__V1__Job *job;
    double progress_at;
};

struct hub {
    const struct settings *settings;
    pthread_mutex_t lock, reading;
    struct jobs *jobs; /* under `reading` */
    struct entry *buckets[BUCKETS];
    int refs; /* the thread's owner and every watcher; under `lock` */
    atomic_bool stopping;
    pthread_t thread;
};

/* ---- queues of watchers ---- */

static struct packed *pack(const struct entry *e, Localrag__V1__JobEventType type)
{
    char id[64];
    if (!e->job) /* out of memory while it was read */
        return NULL;
    Localrag__V1__JobEvent event = LOCALRAG__V1__JOB_EVENT__INIT;
    snprintf(id, sizeof(id), "%lld-%05d", (long long)(e->progress_at * 1e6),
             (int)(e->job->progress * 100));
    event.event_id = id;
    event.type = type;
    event.job = e->job;
    size_t len = localrag__v1__job_event__get_packed_size(&event);
    struct packed *p = malloc(sizeof(*p) + len);
    if (!p)
        return NULL;
    *p = (struct packed){.len = len, .terminal = state_is_terminal(e->status)};
    localrag__v1__job_event__pack(&event, p->data);
    return p;
}

static void drop_states(struct watcher *w)
{
    while (w->first) {
        struct packed *next = w->first->next;
        free(w->first);
        w->first = next;
    }
    w->last = NULL;
    w->n_states = 0;
}

/* A state makes older progress pointless. */
static void queue_state(struct watcher *w, struct packed *p)
{
    pthread_mutex_lock(&w->lock);
    free(w->progress);
    w->progress = NULL;
    if (w->n_states >= MAX_STATES) /* a reader that has not moved for hundreds of attempts */
        drop_states(w);
    if (w->last)
        w->last->next = p;
    else
        w->first = p;
    w->last = p;
    w->n_states++;
    pthread_mutex_unlock(&w->lock);
}

static void queue_progress(struct watcher *w, struct packed *p)
{
    pthread_mutex_lock(&w->lock);
    free(w->progress);
    w->progress = p;
    pthread_mutex_unlock(&w->lock);
}

static void tell(struct watcher *w, const struct entry *e, Localrag__V1__JobEventType type)
{
    struct packed *p = pack(e, type);
    if (!p)
        return;
    if (type == LOCALRAG__V1__JOB_EVENT_TYPE__JOB_EVENT_TYPE_STATE)
        queue_state(w, p);
    else
        queue_progress(w, p);
}

static void tell_all(const struct entry *e, Localrag__V1__JobEventType type)
{
    for (struct watcher *w = e->watchers; w; w = w->next) {
        tell(w, e, type);
        w->wake(w->arg);
    }
}

enum hub_next hub_next(struct ctx *cx, struct watcher *w, Localrag__V1__JobEvent **ret_event)
{
    pthread_mutex_lock(&w->lock);
    struct packed *p = w->first;
    enum hub_next nothing = w->ended ? HUB_END : w->closing ? HUB_CLOSING : HUB_NOTHING;
    if (p) {
        w->first = p->next;
        w->last = p->next ? w->last : NULL;
        w->n_states--;
    } else {
        p = w->progress;
        w->progress = NULL;
    }
    if (p && p->terminal && !w->first)
        w->ended = true;
    pthread_mutex_unlock(&w->lock);
    if (!p)
        return nothing;
    *ret_event = localrag__v1__job_event__unpack(&cx->arena.pb, p->len, p->data);
    free(p);
    return *ret_event ? HUB_EVENT : HUB_CLOSING;
}

/* ---- the table, under `lock` ---- */

static struct entry **slot(struct hub *hub, const char *job_id)
{
    unsigned h = 2166136261u;
    for (const char *p = job_id; *p; p++)
        h = (h ^ (unsigned char)*p) * 16777619u;
    struct entry **at = &hub->buckets[h % BUCKETS];
    while (*at && strcmp((*at)->job_id, job_id) != 0)
        at = &(*at)->next;
    return at;
}

static void remove_entry(struct hub *hub, struct entry *e)
{
    *slot(hub, e->job_id) = e->next;
    ctx_done(&e->cx);
    free(e);
}

static struct entry *ensure_entry(struct hub *hub, const char *job_id)
{
    struct entry **at = slot(hub, job_id);
    if (!*at) {
        struct entry *e = calloc(1, sizeof(*e));
        if (!e)
            return NULL;
        snprintf(e->job_id, sizeof(e->job_id), "%s", job_id);
        ctx_init(&e->cx, CTX_DEFAULT_LIMIT);
        *at = e;
    }
    return *at;
}

static void release(struct hub *hub) /* with `lock`, which is released */
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

/* ---- reading rows, under `reading` ---- */

struct row {
    struct ctx cx;
    Localrag__V1__Job *job;
    int64_t epoch;
    double progress_at;
};

static enum code read_row(struct hub *hub, const char *job_id, struct row *row)
{
    ctx_init(&row->cx, CTX_DEFAULT_LIMIT);
    row->cx.deadline_ms = clk_mono_ms() + READ_MS; /* everybody else waits for `reading` */
    TRY(jobs_get_row(&row->cx, hub->jobs, job_id, &row->job, &row->epoch, &row->progress_at));
    row->job->result = NULL; /* the event says that there is one; JobService.GetJobResult has it */
    return CODE_OK;
}

/* Puts the row into the entry and tells its watchers: a new state, or, when no hint said so, that
 * it got further. The row's memory is freed. */
static void take_row(struct entry *e, struct row *row)
{
    bool fresh = !e->job || e->status != row->job->status || e->epoch != row->epoch;
    e->read_ms = clk_mono_ms();
    size_t len = localrag__v1__job__get_packed_size(row->job);
    unsigned char *copy = fresh || row->job->progress > e->percent ? malloc(len + 1) : NULL;
    if (!copy) {
        ctx_done(&row->cx);
        return;
    }
    localrag__v1__job__pack(row->job, copy);
    ctx_done(&e->cx);
    e->job = localrag__v1__job__unpack(&e->cx.arena.pb, len, copy);
    free(copy);
    e->status = row->job->status;
    e->epoch = row->epoch;
    e->percent = row->job->progress;
    e->progress_at = row->progress_at;
    ctx_done(&row->cx);
    tell_all(e, fresh ? LOCALRAG__V1__JOB_EVENT_TYPE__JOB_EVENT_TYPE_STATE
                      : LOCALRAG__V1__JOB_EVENT_TYPE__JOB_EVENT_TYPE_PROGRESS);
}

static void refresh(struct hub *hub, const char *job_id)
{
    struct row row;
    pthread_mutex_lock(&hub->reading);
    if (read_row(hub, job_id, &row) != CODE_OK) {
        log_debug(&row.cx, "could not read a watched job: %s", ctx_message(&row.cx));
        ctx_done(&row.cx);
        pthread_mutex_unlock(&hub->reading);
        return;
    }
    pthread_mutex_lock(&hub->lock);
    struct entry *e = *slot(hub, job_id);
    if (e)
        take_row(e, &row);
    else
        ctx_done(&row.cx);
    pthread_mutex_unlock(&hub->lock);
    pthread_mutex_unlock(&hub->reading);
}

/* ---- hints ---- */

/* False: the entry does not know this epoch, its row must be read. */
static bool take_progress(struct entry *e, const struct event *event)
{
    if (!e->job || event->epoch > e->epoch ||
        (event->epoch == e->epoch && e->status != LOCALRAG__V1__JOB_STATUS__JOB_STATUS_PROCESSING &&
         !state_is_terminal(e->status)))
        return false;
    if (event->epoch < e->epoch || state_is_terminal(e->status) || event->percent < e->percent ||
        event->percent >= 100)
        return true;
    char *message = arena_strdup(&e->cx.arena, event->message);
    if (!message)
        return false; /* a very long job filled the arena: a fresh row starts a new one */
    e->percent = e->job->progress = event->percent;
    e->job->pages_done = event->pages_done;
    e->job->pages_total = event->pages_total;
    e->job->progress_message = message;
    tell_all(e, LOCALRAG__V1__JOB_EVENT_TYPE__JOB_EVENT_TYPE_PROGRESS);
    return true;
}

static void take_event(struct hub *hub, const struct event *event)
{
    pthread_mutex_lock(&hub->lock);
    struct entry *e = *slot(hub, event->job_id);
    bool read = e && (event->kind == EVENT_STATE || !take_progress(e, event));
    pthread_mutex_unlock(&hub->lock);
    if (read)
        refresh(hub, event->job_id);
}

/* Rows not read for `age_ms`, a bounded number a call. */
static void poll_rows(struct hub *hub, int64_t age_ms)
{
    enum { AT_ONCE = 64 };
    char ids[AT_ONCE][37];
    int n = 0;
    int64_t before = clk_mono_ms() - age_ms;
    pthread_mutex_lock(&hub->lock);
    for (int b = 0; b < BUCKETS; b++)
        for (struct entry *e = hub->buckets[b]; e && n < AT_ONCE; e = e->next)
            if (e->read_ms < before && !state_is_terminal(e->status)) {
                memcpy(ids[n++], e->job_id, sizeof(ids[0]));
                e->read_ms = clk_mono_ms(); /* the next call takes others */
            }
    pthread_mutex_unlock(&hub->lock);
    for (int i = 0; i < n; i++)
        refresh(hub, ids[i]);
}

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
        take_event(hub, &event);
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
    int64_t polled = clk_mono_ms();
    while (kv && !atomic_load(&hub->stopping)) {
        bool before = subscribed;
        listen_once(&cx, hub, kv, &subscribed);
        if (subscribed != before) /* whatever was said meanwhile was missed */
            poll_rows(hub, 0);
        if (clk_mono_ms() - polled >= WAIT_MS) {
            poll_rows(hub, subscribed ? POLL_MS : POLL_BLIND_MS);
            polled = clk_mono_ms();
        }
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
        release(hub);
        return code;
    }
    *ret_hub = hub;
    return CODE_OK;
}

void hub_stop(struct hub *hub)
{
    if (!hub)
        return;
    atomic_store(&hub->stopping, true);
    pthread_join(hub->thread, NULL);
    pthread_mutex_lock(&hub->lock);
    for (int b = 0; b < BUCKETS; b++)
        for (struct entry *e = hub->buckets[b]; e; e = e->next)
            for (struct watcher *w = e->watchers; w; w = w->next) {
                pthread_mutex_lock(&w->lock);
                w->closing = true;
                pthread_mutex_unlock(&w->lock);
                w->wake(w->arg);
            }
    release(hub);
}

enum code hub_watch(struct ctx *cx, struct hub *hub, const char *job_id, void (*wake)(void *arg),
                    void *arg, struct watcher **ret_watcher)
{
    struct row row;
    pthread_mutex_lock(&hub->reading);
    enum code code = read_row(hub, job_id, &row);
    if (code != CODE_OK) {
        code = ctx_fail(cx, code, "%s", ctx_message(&row.cx));
        ctx_done(&row.cx);
        pthread_mutex_unlock(&hub->reading);
        return code;
    }
    pthread_mutex_lock(&hub->lock);
    struct entry *e = ensure_entry(hub, row.job->job_id);
    struct watcher *w = e ? calloc(1, sizeof(*w)) : NULL;
    if (w) {
        *w = (struct watcher){.hub = hub,
                              .entry = e,
                              .wake = wake,
                              .arg = arg,
                              .closing = atomic_load(&hub->stopping)};
        pthread_mutex_init(&w->lock, NULL);
        take_row(e, &row);
        w->next = e->watchers;
        e->watchers = w;
        hub->refs++;
        tell(w, e, LOCALRAG__V1__JOB_EVENT_TYPE__JOB_EVENT_TYPE_STATE);
        *ret_watcher = w;
    } else {
        ctx_done(&row.cx);
        if (e && !e->watchers)
            remove_entry(hub, e);
        code = ctx_oom(cx);
    }
    pthread_mutex_unlock(&hub->lock);
    pthread_mutex_unlock(&hub->reading);
    return code;
}

void hub_unwatch(struct watcher *w)
{
    if (!w)
        return;
    struct hub *hub = w->hub;
    pthread_mutex_lock(&hub->lock);
    struct watcher **at = &w->entry->watchers;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    if (!w->entry->watchers)
        remove_entry(hub, w->entry);
    drop_states(w);
    free(w->progress);
    pthread_mutex_destroy(&w->lock);
    free(w);
    release(hub);
}
