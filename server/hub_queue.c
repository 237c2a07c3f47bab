/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* hub_queue.c - events as they wait for their readers (hub.h, hub_impl.h).
 *
 * An event is packed once and shared by all queues it is in: a thousand watchers of a job cost one
 * message. A queue holds every state that was not taken yet, and of each job the newest progress;
 * states go first, and a state makes older progress of its job pointless. Called by the hub's
 * thread, which fills, and by the threads of gRPC and HTTP, which take.
 *
 * What is new and who watches is decided elsewhere. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/state.h"
#include "server/hub_impl.h"

enum { ID_PREFIX = 13 }; /* "EPOCH-PART-" */

#define TYPE_STATE LOCALRAG__V1__JOB_EVENT_TYPE__JOB_EVENT_TYPE_STATE
#define TYPE_PROGRESS LOCALRAG__V1__JOB_EVENT_TYPE__JOB_EVENT_TYPE_PROGRESS

/* ---- ids ---- */

static bool runs(Localrag__V1__JobStatus status)
{
    return status == LOCALRAG__V1__JOB_STATUS__JOB_STATUS_PROCESSING;
}

static void write_id(int64_t epoch, int part, double value, char id[HUB_ID])
{
    int64_t v = value > 0 && value < 9e15 ? (int64_t)value : 0;
    snprintf(id, HUB_ID, "%010lld-%d-%016lld", (long long)(epoch % 10000000000), part,
             (long long)v);
}

void hub_event_id(int64_t epoch, Localrag__V1__JobStatus status, double percent, double progress_at,
                  char id[HUB_ID])
{
    if (runs(status))
        write_id(epoch, 0, round(percent * EVENT_STEPS), id);
    else
        write_id(epoch, 1, progress_at * 1e6, id);
}

void hub_state_id(int64_t epoch, Localrag__V1__JobStatus status, double progress_at,
                  char id[HUB_ID])
{
    hub_event_id(epoch, status, 0, progress_at, id);
}

bool hub_is_event_id(const char *text)
{
    static const char form[] = "dddddddddd-p-dddddddddddddddd";
    if (strlen(text) != sizeof(form) - 1)
        return false;
    for (size_t i = 0; form[i]; i++) {
        bool digit = text[i] >= '0' && text[i] <= (form[i] == 'p' ? '1' : '9');
        if (form[i] == '-' ? text[i] != '-' : !digit)
            return false;
    }
    return true;
}

/* The client has this much of the running claim, or more. */
static bool has_progress(const struct watcher *w, const char *id)
{
    return strncmp(w->seen, id, ID_PREFIX) == 0 && w->seen[ID_PREFIX - 2] == '0' &&
           strcmp(w->seen, id) >= 0;
}

/* ---- events ---- */

static struct packed *pack(const struct entry *e, Localrag__V1__JobEventType type)
{
    if (!e->job) /* out of memory while it was read */
        return NULL;
    char id[HUB_ID];
    hub_event_id(e->epoch, e->status, e->job->progress, e->progress_at, id);
    Localrag__V1__JobEvent event = LOCALRAG__V1__JOB_EVENT__INIT;
    event.event_id = id;
    event.type = type;
    event.job = e->job;
    size_t len = localrag__v1__job_event__get_packed_size(&event);
    struct packed *p = malloc(sizeof(*p) + len);
    if (!p)
        return NULL;
    *p = (struct packed){.len = len, .terminal = state_is_terminal(e->status)};
    atomic_init(&p->refs, 1);
    memcpy(p->id, id, sizeof(p->id));
    memcpy(p->job_id, e->job_id, sizeof(p->job_id));
    localrag__v1__job_event__pack(&event, p->data);
    return p;
}

static void unref(struct packed *p)
{
    if (p && atomic_fetch_sub(&p->refs, 1) == 1)
        free(p);
}

static struct queued *hold(struct packed *p)
{
    struct queued *q = malloc(sizeof(*q));
    if (!q)
        return NULL;
    atomic_fetch_add(&p->refs, 1);
    *q = (struct queued){.event = p};
    return q;
}

static struct packed *let(struct queued *q)
{
    struct packed *p = q->event;
    free(q);
    return p;
}

/* ---- queues, a watcher's lock held ---- */

static struct queued **find_progress(struct watcher *w, const char *job_id)
{
    struct queued **at = &w->progress;
    while (*at && strcmp((*at)->event->job_id, job_id) != 0)
        at = &(*at)->next;
    return at;
}

static void drop_progress(struct watcher *w, struct queued **at)
{
    struct queued *q = *at;
    *at = q->next;
    w->n_progress--;
    unref(let(q));
}

static struct packed *pop_state(struct watcher *w)
{
    struct queued *q = w->first;
    if (!q)
        return NULL;
    w->first = q->next;
    w->last = q->next ? w->last : NULL;
    w->n_states--;
    return let(q);
}

static struct packed *pop_progress(struct watcher *w)
{
    struct queued *q = w->progress;
    if (!q)
        return NULL;
    w->progress = q->next;
    w->n_progress--;
    return let(q);
}

void hub_drop_queue(struct watcher *w)
{
    while (w->first)
        unref(pop_state(w));
    while (w->progress)
        drop_progress(w, &w->progress);
}

static void give_up(struct watcher *w)
{
    w->slow = true;
    hub_drop_queue(w);
}

static void push_state(struct watcher *w, struct packed *p)
{
    struct queued **old = find_progress(w, p->job_id);
    if (*old)
        drop_progress(w, old);
    struct queued *q = w->n_states < HUB_MAX_STATES ? hold(p) : NULL;
    if (!q) {
        give_up(w);
        return;
    }
    if (w->last)
        w->last->next = q;
    else
        w->first = q;
    w->last = q;
    w->n_states++;
}

static void push_progress(struct watcher *w, struct packed *p)
{
    struct queued **old = find_progress(w, p->job_id);
    if (*old)
        drop_progress(w, old);
    struct queued *q = w->n_progress < HUB_MAX_PROGRESS ? hold(p) : NULL;
    if (!q) /* it will get further */
        return;
    q->next = w->progress;
    w->progress = q;
    w->n_progress++;
}

/* ---- telling, the hub's lock held ---- */

static void push(struct watcher *w, struct packed *p, Localrag__V1__JobEventType type)
{
    if (type == TYPE_PROGRESS && has_progress(w, p->id))
        return;
    pthread_mutex_lock(&w->lock);
    if (w->slow)
        ;
    else if (type == TYPE_STATE)
        push_state(w, p);
    else
        push_progress(w, p);
    pthread_mutex_unlock(&w->lock);
    w->wake(w->arg);
}

void hub_tell(struct hub *hub, const struct entry *e, Localrag__V1__JobEventType own,
              Localrag__V1__JobEventType all)
{
    struct packed *p = own && e->watchers ? pack(e, own) : NULL;
    for (struct watcher *w = p ? e->watchers : NULL; w; w = w->next)
        push(w, p, own);
    if (!p || own != all) {
        unref(p);
        p = all && hub->all ? pack(e, all) : NULL;
    }
    for (struct watcher *w = p && all ? hub->all : NULL; w; w = w->next)
        if (hub_passes(&w->filter, e->job))
            push(w, p, all);
    unref(p);
}

void hub_tell_first(struct watcher *w, const struct entry *e)
{
    struct packed *p = pack(e, TYPE_STATE);
    if (!p)
        return;
    pthread_mutex_lock(&w->lock);
    if (strcmp(w->seen, p->id) != 0 && !has_progress(w, p->id))
        push_state(w, p);
    else
        w->ended = p->terminal;
    pthread_mutex_unlock(&w->lock);
    unref(p);
}

/* ---- taking ---- */

enum hub_next hub_next(struct ctx *cx, struct watcher *w, Localrag__V1__JobEvent **ret_event)
{
    pthread_mutex_lock(&w->lock);
    struct packed *p = pop_state(w);
    if (!p)
        p = pop_progress(w);
    enum hub_next nothing = w->slow      ? HUB_SLOW
                            : w->ended   ? HUB_END
                            : w->closing ? HUB_CLOSING
                                         : HUB_NOTHING;
    if (p && p->terminal && !w->first && w->entry)
        w->ended = true;
    pthread_mutex_unlock(&w->lock);
    if (!p)
        return nothing;
    *ret_event = localrag__v1__job_event__unpack(&cx->arena.pb, p->len, p->data);
    unref(p);
    return *ret_event ? HUB_EVENT : HUB_CLOSING;
}
