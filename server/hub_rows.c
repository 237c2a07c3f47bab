/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* hub_rows.c - the jobs that are watched and what is known of them (hub_impl.h).
 *
 * Every job that is watched has one entry with its newest known Job message. Two kinds of news:
 *
 *   state     A hint said so, or a poll found it: the row is read once, whoever wants it, and when
 *             status or epoch differ from what the entry has, that is a state.
 *   progress  Taken from the hint itself, without a row read, if it is of the entry's epoch and
 *             ahead.
 *
 * While somebody watches all jobs, jobs that run have an entry too, so that their progress can be
 * told with the whole Job; other jobs get one for the moment in which their row is told.
 *
 * Hints may be lost, so entries are read again every few seconds. */
#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "base/log.h"
#include "jobs/state.h"
#include "server/hub_impl.h"

enum { READ_MS = 5000, POLL_AT_ONCE = 64 };
enum why { WHY_HINT, WHY_LOOK }; /* something is said to have changed; just looking */

#define TYPE_NONE LOCALRAG__V1__JOB_EVENT_TYPE__JOB_EVENT_TYPE_UNSPECIFIED
#define TYPE_STATE LOCALRAG__V1__JOB_EVENT_TYPE__JOB_EVENT_TYPE_STATE
#define TYPE_PROGRESS LOCALRAG__V1__JOB_EVENT_TYPE__JOB_EVENT_TYPE_PROGRESS

/* ---- the table, under `lock` ---- */

static struct entry **slot(struct hub *hub, const char *job_id)
{
    unsigned h = 2166136261u;
    for (const char *p = job_id; *p; p++)
        h = (h ^ (unsigned char)*p) * 16777619u;
    struct entry **at = &hub->buckets[h % HUB_BUCKETS];
    while (*at && strcmp((*at)->job_id, job_id) != 0)
        at = &(*at)->next;
    return at;
}

struct entry *hub_find(struct hub *hub, const char *job_id)
{
    return *slot(hub, job_id);
}

struct entry *hub_ensure(struct hub *hub, const char *job_id)
{
    struct entry **at = slot(hub, job_id);
    if (!*at) {
        struct entry *e = calloc(1, sizeof(*e));
        if (!e)
            return NULL;
        memcpy(e->job_id, job_id, sizeof(e->job_id));
        ctx_init(&e->cx, CTX_DEFAULT_LIMIT);
        *at = e;
    }
    return *at;
}

static void keep(struct hub *hub, struct entry *e, bool kept)
{
    hub->n_kept += kept - e->kept;
    e->kept = kept;
}

void hub_let_go(struct hub *hub, struct entry *e)
{
    bool runs = e->job && e->status == LOCALRAG__V1__JOB_STATUS__JOB_STATUS_PROCESSING;
    bool kept = !e->watchers && hub->all && runs && (e->kept || hub->n_kept < HUB_MAX_KEPT);
    keep(hub, e, kept);
    if (kept || e->watchers)
        return;
    *slot(hub, e->job_id) = e->next;
    ctx_done(&e->cx);
    free(e);
}

/* ---- rows ---- */

enum code hub_read_row(struct hub *hub, const char *job_id, struct row *row)
{
    ctx_init(&row->cx, CTX_DEFAULT_LIMIT);
    row->cx.deadline_ms = clk_mono_ms() + READ_MS; /* everybody else waits for `reading` */
    TRY(jobs_get_row(&row->cx, hub->jobs, job_id, &row->job, &row->epoch, &row->progress_at));
    row->job->result = NULL; /* the event says that there is one; JobService.GetJobResult has it */
    return CODE_OK;
}

/* False: out of memory, the entry keeps what it had. */
static bool store_row(struct entry *e, const struct row *row)
{
    size_t len = localrag__v1__job__get_packed_size(row->job);
    unsigned char *copy = malloc(len + 1);
    if (!copy)
        return false;
    localrag__v1__job__pack(row->job, copy);
    ctx_done(&e->cx);
    e->job = localrag__v1__job__unpack(&e->cx.arena.pb, len, copy);
    free(copy);
    e->status = row->job->status;
    e->epoch = row->epoch;
    e->percent = row->job->progress;
    e->progress_at = row->progress_at;
    return true;
}

/* Who watches all jobs is told what changed, not what somebody happened to look at. */
static void take_row(struct hub *hub, struct entry *e, struct row *row, enum why why)
{
    bool known = e->job, fresh = !known || e->status != row->job->status || e->epoch != row->epoch;
    bool further = !fresh && row->job->progress > e->percent;
    e->read_ms = clk_mono_ms();
    if ((fresh || further) && !store_row(e, row))
        fresh = further = false;
    ctx_done(&row->cx);
    Localrag__V1__JobEventType own = fresh ? TYPE_STATE : further ? TYPE_PROGRESS : TYPE_NONE;
    bool changed = e->job && (why == WHY_HINT || (fresh && known));
    if (changed && hub_tell_once(hub, e))
        hub_tell(hub, e, own, TYPE_STATE);
    else
        hub_tell(hub, e, own, further ? TYPE_PROGRESS : TYPE_NONE);
}

void hub_take_row(struct hub *hub, struct entry *e, struct row *row)
{
    take_row(hub, e, row, WHY_LOOK);
}

static void refresh(struct hub *hub, const char *job_id, enum why why)
{
    struct row row;
    pthread_mutex_lock(&hub->reading);
    enum code code = hub_read_row(hub, job_id, &row);
    pthread_mutex_lock(&hub->lock);
    struct entry *e = hub_find(hub, job_id);
    if (code == CODE_OK && !e && hub->all)
        e = hub_ensure(hub, job_id);
    if (code == CODE_OK && e)
        take_row(hub, e, &row, why);
    if (code != CODE_OK)
        log_debug(&row.cx, "could not read a watched job: %s", ctx_message(&row.cx));
    if (code == CODE_NOT_FOUND && e && !e->watchers)
        e->status = LOCALRAG__V1__JOB_STATUS__JOB_STATUS_UNSPECIFIED; /* purged: not kept */
    if (e)
        hub_let_go(hub, e);
    ctx_done(&row.cx);
    pthread_mutex_unlock(&hub->lock);
    pthread_mutex_unlock(&hub->reading);
}

void hub_refresh(struct hub *hub, const char *job_id)
{
    refresh(hub, job_id, WHY_HINT);
}

/* ---- hints ---- */

/* False: the entry does not know this epoch, its row must be read. */
static bool take_progress(struct hub *hub, struct entry *e, const struct event *event)
{
    if (!e->job || event->epoch > e->epoch ||
        (event->epoch == e->epoch && e->status != LOCALRAG__V1__JOB_STATUS__JOB_STATUS_PROCESSING &&
         !state_is_terminal(e->status)))
        return false;
    if (event->epoch < e->epoch || state_is_terminal(e->status) || event->percent <= e->percent ||
        event->percent >= 100)
        return true;
    char *message = arena_strdup(&e->cx.arena, event->message);
    if (!message)
        return false; /* a very long job filled the arena: a fresh row starts a new one */
    e->percent = e->job->progress = event->percent;
    e->job->pages_done = event->pages_done;
    e->job->pages_total = event->pages_total;
    e->job->progress_message = message;
    hub_tell(hub, e, TYPE_PROGRESS, TYPE_PROGRESS);
    return true;
}

void hub_take_event(struct hub *hub, const struct event *event)
{
    pthread_mutex_lock(&hub->lock);
    struct entry *e = hub_find(hub, event->job_id);
    bool state = event->kind == EVENT_STATE, read;
    if (e)
        read = state || !take_progress(hub, e, event);
    else
        read = hub->all && (state || hub->n_kept < HUB_MAX_KEPT);
    pthread_mutex_unlock(&hub->lock);
    if (read)
        refresh(hub, event->job_id, WHY_HINT);
}

void hub_poll_rows(struct hub *hub, int64_t age_ms)
{
    char ids[POLL_AT_ONCE][37];
    int n = 0;
    int64_t before = clk_mono_ms() - age_ms;
    pthread_mutex_lock(&hub->lock);
    for (int k = 0; k < HUB_BUCKETS; k++) {
        struct entry *e = hub->buckets[hub->poll_bucket];
        for (; e && n < POLL_AT_ONCE; e = e->next)
            if (e->read_ms < before && !state_is_terminal(e->status)) {
                memcpy(ids[n++], e->job_id, sizeof(ids[0]));
                e->read_ms = clk_mono_ms(); /* the next call takes others */
            }
        if (n == POLL_AT_ONCE)
            break;
        hub->poll_bucket = (hub->poll_bucket + 1) % HUB_BUCKETS;
    }
    pthread_mutex_unlock(&hub->lock);
    for (int i = 0; i < n; i++)
        refresh(hub, ids[i], WHY_LOOK);
}
