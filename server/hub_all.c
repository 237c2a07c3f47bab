/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* hub_all.c - watchers of all jobs: what passes their filters, and what they were told (hub.h).
 *
 * A change is told when its hint comes and, because hints may be lost, again looked for in the
 * database every few seconds. So that it is told once, the hub remembers of the jobs that changed
 * lately which state it told: a table of fixed size in which the old give way. A job that was
 * forgotten is told once more, which hub.h allows. The first watcher creates the table, the last
 * one takes it along: a server that nobody asks for all jobs does not read any row for this.
 *
 * There is no way back in time here: what happened before a watcher came is in JobService.ListJobs.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "base/log.h"
#include "base/str.h"
#include "jobs/state.h"
#include "server/hub_impl.h"

enum { READ_MS = 5000, MAX_CHANGES = 500 };

/* A transaction that began before our last look may commit after it. */
static const double overlap_seconds = 10;
static const double far_future = 4e9;

/* ---- filters ---- */

bool hub_passes(const struct filter *f, const Localrag__V1__Job *job)
{
    bool child = job->_parent_job_id_case == LOCALRAG__V1__JOB___PARENT_JOB_ID_PARENT_JOB_ID;
    if (f->statuses && !(f->statuses & 1u << job->status))
        return false;
    if (f->types ? !(f->types & 1u << job->task_type)
                 : job->task_type == LOCALRAG__V1__TASK_TYPE__TASK_TYPE_MAINTENANCE)
        return false;
    if (*f->parent)
        return child && strcmp(job->parent_job_id, f->parent) == 0;
    return f->children || !child;
}

static enum code read_filter(struct ctx *cx, const Localrag__V1__WatchJobsRequest *in,
                             struct filter *f)
{
    for (size_t i = 0; i < in->n_status; i++) {
        if (!*state_name(in->status[i]))
            return ctx_fail(cx, CODE_INVALID_ARGUMENT, "status: %d is not a state",
                            (int)in->status[i]);
        f->statuses |= 1u << in->status[i];
    }
    for (size_t i = 0; i < in->n_task_type; i++) {
        if (!*state_task_name(in->task_type[i]))
            return ctx_fail(cx, CODE_INVALID_ARGUMENT, "task_type: %d is not a type",
                            (int)in->task_type[i]);
        f->types |= 1u << in->task_type[i];
    }
    if (*in->parent_job_id && !str_is_uuid(in->parent_job_id))
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "parent_job_id: \"%.100s\" is not a UUID",
                        in->parent_job_id);
    for (size_t i = 0; in->parent_job_id[i]; i++) /* rows have it in lower case */
        f->parent[i] = (char)(in->parent_job_id[i] | (in->parent_job_id[i] == '-' ? 0 : 0x20));
    f->children = in->include_children;
    return CODE_OK;
}

/* ---- what was told ---- */

static struct told *remembered(struct hub *hub, const char *job_id, bool make)
{
    unsigned h = 2166136261u;
    for (const char *p = job_id; *p; p++)
        h = (h ^ (unsigned char)*p) * 16777619u;
    struct told *set = hub->told[(h >> 10) % HUB_SETS];
    for (int i = 0; i < HUB_WAYS; i++)
        if (strcmp(set[i].job_id, job_id) == 0)
            return &set[i];
    if (!make)
        return NULL;
    struct told *t = &set[hub->told_turn++ % HUB_WAYS];
    memcpy(t->job_id, job_id, sizeof(t->job_id));
    t->state[0] = '\0';
    return t;
}

bool hub_tell_once(struct hub *hub, const struct entry *e)
{
    if (!hub->all)
        return false;
    char state[HUB_ID];
    hub_state_id(e->epoch, e->status, e->progress_at, state);
    struct told *t = remembered(hub, e->job_id, true);
    if (strcmp(t->state, state) == 0)
        return false;
    memcpy(t->state, state, sizeof(t->state));
    return true;
}

static bool was_told(struct hub *hub, const struct job_change *c)
{
    char state[HUB_ID];
    hub_state_id(c->epoch, c->status, c->changed_at, state);
    const struct told *t = remembered(hub, c->job_id, false);
    return t && strcmp(t->state, state) == 0;
}

/* ---- looking for changes ---- */

/* Reads what changed since the last look. False: nobody wants it, or the database is away. */
static bool look(struct hub *hub, struct ctx *cx, struct job_change *changes, int *ret_n)
{
    double now;
    pthread_mutex_lock(&hub->lock);
    double since = hub->all ? hub->changed_since : 0;
    pthread_mutex_unlock(&hub->lock);
    if (since <= 0)
        return false;
    cx->deadline_ms = clk_mono_ms() + READ_MS;
    pthread_mutex_lock(&hub->reading);
    enum code code = jobs_changed(cx, hub->jobs, since, MAX_CHANGES, changes, ret_n, &now);
    pthread_mutex_unlock(&hub->reading);
    if (code != CODE_OK) {
        log_debug(cx, "could not look for changed jobs: %s", ctx_message(cx));
        return false;
    }
    /* a full answer is not the end: the next look goes on behind it */
    double next = *ret_n == MAX_CHANGES ? changes[*ret_n - 1].changed_at : now - overlap_seconds;
    pthread_mutex_lock(&hub->lock);
    hub->changed_since = fmax(hub->changed_since, next);
    pthread_mutex_unlock(&hub->lock);
    return true;
}

void hub_poll_changed(struct hub *hub)
{
    CLEANUP(ctx_done) struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    struct job_change *changes = ctx_array(&cx, MAX_CHANGES, sizeof(*changes));
    int n = 0;
    if (!changes || !look(hub, &cx, changes, &n))
        return;
    for (int i = 0; i < n; i++) {
        pthread_mutex_lock(&hub->lock);
        bool news = hub->all && !was_told(hub, &changes[i]);
        pthread_mutex_unlock(&hub->lock);
        if (news)
            hub_refresh(hub, changes[i].job_id);
    }
}

/* ---- coming and going ---- */

static void add_to_all(struct hub *hub, struct watcher *w, double now)
{
    if (!hub->all)
        hub->changed_since = now;
    w->next = hub->all;
    hub->all = w;
    hub->refs++;
}

enum code hub_watch_all(struct ctx *cx, struct hub *hub, const Localrag__V1__WatchJobsRequest *in,
                        void (*wake)(void *arg), void *arg, struct watcher **ret_watcher)
{
    struct filter filter = {0};
    double now;
    int n;
    TRY(read_filter(cx, in, &filter));
    pthread_mutex_lock(&hub->reading);
    enum code code = jobs_changed(cx, hub->jobs, far_future, 0, NULL, &n, &now);
    pthread_mutex_lock(&hub->lock);
    if (code == CODE_OK && !hub->told && !(hub->told = calloc(HUB_SETS, sizeof(*hub->told))))
        code = ctx_oom(cx);
    struct watcher *w = code == CODE_OK ? hub_new_watcher(hub, wake, arg) : NULL;
    if (w) {
        w->filter = filter;
        add_to_all(hub, w, now);
        *ret_watcher = w;
    } else if (code == CODE_OK) {
        code = ctx_oom(cx);
    }
    pthread_mutex_unlock(&hub->lock);
    pthread_mutex_unlock(&hub->reading);
    return code;
}

void hub_leave_all(struct hub *hub, struct watcher *w)
{
    struct watcher **at = &hub->all;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    if (hub->all)
        return;
    free(hub->told);
    hub->told = NULL;
    hub->changed_since = 0;
    for (int b = 0; b < HUB_BUCKETS; b++)
        for (struct entry *e = hub->buckets[b], *next; e; e = next) {
            next = e->next;
            if (!e->watchers)
                hub_let_go(hub, e);
        }
}
