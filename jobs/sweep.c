/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* sweep.c - the only healer: frees the jobs of dead pools, and keeps the lanes fed from the rows.
 *
 * One tick is one transaction that holds an advisory lock, so of all processes one sweeps at a time
 * and one that hangs is ended by idle_in_transaction_session_timeout (sweep_lock.sql).
 *
 * Pools: one is dead when this process itself has seen its beat counter stand still for
 * POOL_DEAD_MS of its own monotonic time, looking at it at least every GAP_MS. An outage of the
 * database, a stopped sweeper or a jumping clock therefore kill nobody. All processes look, also
 * without the lock: the host that is gone may be the one that had it.
 *
 * Jobs of dead (or unknown) pools go back to pending in their old place, crash_count + 1, failed at
 * the third. Then their directory batch moves; so do batches that somebody forgot.
 *
 * Lanes: rows older than a lane's head are pushes that were lost, or retries that came due (a row
 * that became runnable less than a second ago is left to its own push); while the lane is marked
 * overflowed, also rows at or behind its tail. Lanes are in ready_at order, so these index scans
 * cost what they find. This is the retry scheduler, the repair of lost pushes, the rebuild after
 * Redis lost everything and the feeder of a bounded lane in one.
 *
 * Maintenance that is due is submitted as jobs (maintenance.c). Here only rows of pools go that
 * have been dead for an hour.
 *
 * When Redis is away the lanes are skipped: there is nothing to feed. */
#include "jobs/pools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "base/log.h"
#include "jobs/batch.h"
#include "jobs/maintenance.h"
#include "jobs/queue.h"

enum {
    TICK_MS = 1000,
    FEED_MS = 50, /* while an overflowed lane is being emptied faster than a tick could fill it */
    GAP_MS = 3000,
    MAX_POOLS = 1024,
    SLICE = 5000,
    FREE_MS = 60000, /* a look at all that is running, whether a pool died or not */
    OLDER_MS = TICK_MS / 2, /* between looks before the head of a lane that is fed all the time */
    ALL_SHARE = 100, /* looks from a lane's oldest row on take a hundredth of the time, each */
    LATE_MS = 10000, /* a row may be seen so long after it became runnable */
    LANES = 3,
    PURGE_MS = 60000
};

static const char *const lanes[LANES] = {"high", "medium", "low"};

struct seen_pool {
    char id[37];
    int64_t beats;
    int64_t since_ms; /* when this process saw the counter move last */
    bool present; /* in the tick under way */
};

struct sweep {
    struct jobs *jobs; /* borrowed */
    struct seen_pool pools[MAX_POOLS];
    int n_pools;
    int64_t looked_ms; /* the last look at the pools */
    bool dying; /* one has died just now */
    int64_t freed_ms; /* the last look for jobs of dead pools */
    int64_t now_ms; /* since 1970, by the database: when the tick began */
    int64_t from_ms[LANES]; /* before it only rows that came back to their old place are runnable */
    int64_t older_ms[LANES]; /* the last look at rows older than its head */
    int64_t all_at_ms[LANES]; /* the next look at all of them */
    int64_t purged_ms; /* the last look at pools that are long dead */
    bool redis_away; /* logged once an outage */
};

enum code sweep_new(struct ctx *cx, struct jobs *jobs, struct sweep **ret_sweep)
{
    struct sweep *s = calloc(1, sizeof(*s));
    if (!s)
        return ctx_oom(cx);
    s->jobs = jobs;
    *ret_sweep = s;
    return CODE_OK;
}

void sweep_free(struct sweep *s)
{
    free(s);
}

/* ---- pools ---- */

static struct seen_pool *seen(struct sweep *s, const char *id)
{
    for (int i = 0; i < s->n_pools; i++)
        if (strcmp(s->pools[i].id, id) == 0)
            return &s->pools[i];
    if (s->n_pools == MAX_POOLS)
        return NULL;
    struct seen_pool *p = &s->pools[s->n_pools++];
    *p = (struct seen_pool){.beats = -1};
    snprintf(p->id, sizeof(p->id), "%s", id);
    return p;
}

static void forget_absent(struct sweep *s)
{
    for (int i = 0; i < s->n_pools;) {
        if (s->pools[i].present)
            s->pools[i++].present = false;
        else
            s->pools[i] = s->pools[--s->n_pools];
    }
}

static enum code look_at_pools(struct ctx *cx, struct sweep *s)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    int64_t now = clk_mono_ms();
    s->dying = false;
    bool gap = now - s->looked_ms > GAP_MS;
    TRY(db_run(cx, s->jobs->db, &q_pools_alive, DB_NO_ARGS, &r));
    for (int i = 0; i < db_rows(r); i++) {
        if (db_get_bool(r, i, 2)) {
            s->dying = true;
            continue;
        }
        struct seen_pool *p = seen(s, db_get(r, i, 0));
        int64_t beats = db_get_int(r, i, 1);
        if (!p)
            break;
        p->present = true;
        if (gap || beats != p->beats) {
            p->beats = beats;
            p->since_ms = now;
        }
    }
    forget_absent(s);
    s->looked_ms = now;
    return CODE_OK;
}

static enum code bury_pools(struct ctx *cx, struct sweep *s)
{
    for (int i = 0; i < s->n_pools; i++) {
        const struct seen_pool *p = &s->pools[i];
        if (s->looked_ms - p->since_ms < POOL_DEAD_MS)
            continue;
        log_warning(cx, "pool %s has not renewed for %d s, freeing its jobs", p->id,
                    POOL_DEAD_MS / 1000);
        TRY(db_run(cx, s->jobs->db, &q_pool_mark_dead,
                   DB_ARGS(db_text(p->id), db_null(), db_null()), NULL));
        s->dying = true;
    }
    return CODE_OK;
}

/* Told to watchers and pushed to the lanes only after the commit. */
struct freed {
    struct event event;
    char priority[8];
    int64_t ready_ms;
    char parent_id[37]; /* "": no file of a batch */
    bool failed, is_batch;
    struct batch_news news; /* of the parent */
};

static enum code free_dead_jobs(struct ctx *cx, struct jobs *jobs, struct freed **ret_freed,
                                int *ret_n)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_dead_jobs, DB_NO_ARGS, &r));
    struct freed *freed = ctx_array(cx, (size_t)db_rows(r), sizeof(*freed));
    if (!freed)
        return cx->failure.code;
    for (int i = 0; i < db_rows(r); i++) {
        struct event *e = &freed[i].event;
        *e = (struct event){.kind = EVENT_STATE, .epoch = db_get_int(r, i, 1)};
        snprintf(e->job_id, sizeof(e->job_id), "%s", db_get(r, i, 0));
        snprintf(e->status, sizeof(e->status), "%s", db_get(r, i, 2));
        snprintf(freed[i].priority, sizeof(freed[i].priority), "%s", db_get(r, i, 3));
        freed[i].ready_ms = db_get_int(r, i, 4);
        freed[i].failed = strcmp(e->status, "failed") == 0;
        freed[i].is_batch = strcmp(db_get(r, i, 6), "directory_batch") == 0;
        if (!db_is_null(r, i, 5))
            snprintf(freed[i].parent_id, sizeof(freed[i].parent_id), "%s", db_get(r, i, 5));
        log_warning(cx, "job %s lost its worker, now %s", e->job_id, e->status);
    }
    *ret_freed = freed;
    *ret_n = db_rows(r);
    return CODE_OK;
}

/* Freed jobs come in order of their batches, which is the order to lock those in. */
static enum code advance_batches(struct ctx *cx, struct jobs *jobs, struct freed *freed, int n)
{
    for (int i = 0; i < n; i++) {
        if (freed[i].failed && freed[i].is_batch)
            TRY(batch_abandon(cx, jobs, freed[i].event.job_id));
        if (freed[i].failed && freed[i].parent_id[0])
            TRY(batch_advance(cx, jobs, freed[i].parent_id, 1, &freed[i].news));
    }
    return CODE_OK;
}

static void tell_freed(struct ctx *cx, struct jobs *jobs, const struct freed *freed, int n)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(freed[i].event.status, "pending") == 0)
            queue_hint(cx, jobs, freed[i].priority, freed[i].event.job_id, freed[i].ready_ms);
        event_publish(cx, jobs, &freed[i].event);
        batch_tell(cx, jobs, &freed[i].news);
    }
}

static enum code free_pool(struct ctx *cx, struct jobs *jobs, const char *host, int pid,
                           struct freed **ret_freed, int *ret_n)
{
    TRY(db_begin(cx, jobs->db));
    TRY(db_run(cx, jobs->db, &q_pool_mark_dead, DB_ARGS(db_null(), db_text(host), db_int(pid)),
               NULL));
    TRY(free_dead_jobs(cx, jobs, ret_freed, ret_n));
    TRY(advance_batches(cx, jobs, *ret_freed, *ret_n));
    return db_commit(cx, jobs->db);
}

enum code pools_died(struct ctx *cx, struct jobs *jobs, const char *host, int pid, int *ret_freed)
{
    struct freed *freed = NULL;
    int n = 0;
    enum code code = free_pool(cx, jobs, host, pid, &freed, &n);
    db_rollback(jobs->db);
    TRY(code);
    tell_freed(cx, jobs, freed, n);
    *ret_freed = n;
    return CODE_OK;
}

/* ---- lanes ---- */

static enum code push_rows(struct ctx *cx, struct jobs *jobs, const char *priority,
                           const struct db_result *r)
{
    int n = db_rows(r);
    struct queue_entry *entries = ctx_array(cx, (size_t)n, sizeof(*entries));
    if (!entries)
        return cx->failure.code;
    for (int i = 0; i < n; i++) {
        snprintf(entries[i].job_id, sizeof(entries[i].job_id), "%s", db_get(r, i, 0));
        entries[i].ready_ms = db_get_int(r, i, 1);
    }
    return queue_push(cx, jobs, priority, true, entries, n);
}

/* While a snapshot is held (a dump, a report) every job that has ended since stays in the index,
 * and a scan from its beginning reads them all: then most looks begin at from_ms. Before it is only
 * what came back to its old place, or was popped by somebody who died, and whose push was lost. */
static enum code feed_older(struct ctx *cx, struct sweep *s, int l, const char *priority,
                            const struct queue_lane *lane)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    int64_t now = clk_mono_ms();
    bool all = now >= s->all_at_ms[l];
    enum code code =
        db_run(cx, s->jobs->db, &q_sweep_older,
               DB_ARGS(db_text(priority), lane->size ? db_int(lane->head_ms) : db_null(),
                       db_int(SLICE), db_int(all ? 0 : s->from_ms[l])),
               &r);
    if (all)
        s->all_at_ms[l] = now + ALL_SHARE * (clk_mono_ms() - now);
    TRY(code);
    /* An empty lane (Redis lost it) and more rows than a slice: the rest is behind the tail. */
    if (!lane->size && db_rows(r) == SLICE)
        TRY(queue_mark_overflow(cx, s->jobs, priority));
    TRY(push_rows(cx, s->jobs, priority, r));
    int64_t oldest = db_rows(r)   ? db_get_int(r, 0, 1)
                     : lane->size ? MIN(lane->head_ms, s->now_ms)
                                  : s->now_ms;
    s->from_ms[l] = MAX(0, oldest - LATE_MS);
    s->older_ms[l] = now;
    return CODE_OK;
}

/* True when the rows behind the tail all fitted into one slice: the end was reached. */
static enum code feed_newer(struct ctx *cx, struct jobs *jobs, const char *priority,
                            int64_t tail_ms, int64_t room, bool *ret_end)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    int64_t limit = MIN(room, (int64_t)SLICE);
    TRY(db_run(cx, jobs->db, &q_sweep_newer,
               DB_ARGS(db_text(priority), db_int(tail_ms), db_int(limit)), &r));
    *ret_end = db_rows(r) < limit;
    return push_rows(cx, jobs, priority, r);
}

static enum code feed_lane(struct ctx *cx, struct sweep *s, int l, const char *priority,
                           int *ret_sleep_ms)
{
    struct jobs *jobs = s->jobs;
    struct queue_lane lane;
    bool end;
    TRY(queue_look(cx, jobs, priority, &lane));
    if (lane.overflow && lane.size < QUEUE_LANE_CAP - QUEUE_LANE_CAP / 10)
        *ret_sleep_ms = FEED_MS;
    if (!lane.size || !lane.overflow || clk_mono_ms() - s->older_ms[l] >= OLDER_MS) {
        TRY(feed_older(cx, s, l, priority, &lane));
        TRY(queue_look(cx, jobs, priority, &lane));
    }
    if (!lane.overflow || lane.size >= QUEUE_LANE_CAP)
        return CODE_OK;
    TRY(feed_newer(cx, jobs, priority, lane.size ? lane.tail_ms : 0, QUEUE_LANE_CAP - lane.size,
                   &end));
    if (!end)
        return CODE_OK;
    /* A push that was dropped because of the mark may have been committed after the scan. */
    TRY(queue_clear_overflow(cx, jobs, priority));
    TRY(queue_look(cx, jobs, priority, &lane));
    return feed_newer(cx, jobs, priority, lane.size ? lane.tail_ms : 0, QUEUE_LANE_CAP, &end);
}

static void feed_lanes(struct ctx *cx, struct sweep *s, int *ret_sleep_ms)
{
    for (int i = 0; i < LANES; i++) {
        if (feed_lane(cx, s, i, lanes[i], ret_sleep_ms) == CODE_OK)
            continue;
        if (!s->redis_away)
            log_warning(cx, "could not feed the lane \"%s\", trying again: %s", lanes[i],
                        ctx_message(cx));
        s->redis_away = true;
        ctx_clear(cx);
        return;
    }
    s->redis_away = false;
}

/* ---- the tick ---- */

static enum code purge_pools(struct ctx *cx, struct sweep *s)
{
    int64_t now = clk_mono_ms();
    if (s->purged_ms && now - s->purged_ms < PURGE_MS)
        return CODE_OK;
    s->purged_ms = now;
    return db_run(cx, s->jobs->db, &q_pools_purge, DB_NO_ARGS, NULL);
}

static enum code next_due(struct ctx *cx, struct jobs *jobs, int *ret_sleep_ms)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_sweep_next, DB_NO_ARGS, &r));
    /* The scan leaves rows their first second, so that is when a due retry is found. */
    *ret_sleep_ms = db_is_null(r, 0, 0) ? TICK_MS : (int)MAX(20, MIN(db_get_int(r, 0, 0), TICK_MS));
    return CODE_OK;
}

struct tick_news {
    struct freed *freed;
    int n_freed;
    struct batch_news *batches;
    int n_batches;
    struct queue_entry *maintenance;
    int n_maintenance;
};

/* All that is running is looked through, dead versions of rows too: not without a reason. What is
 * freed is in its old place, which the lane may have passed. */
static enum code free_when_due(struct ctx *cx, struct sweep *s, struct tick_news *news)
{
    int64_t now = clk_mono_ms();
    if (!s->dying && s->freed_ms && now - s->freed_ms < FREE_MS)
        return CODE_OK;
    TRY(free_dead_jobs(cx, s->jobs, &news->freed, &news->n_freed));
    s->freed_ms = now;
    for (int i = 0; i < news->n_freed; i++)
        for (int l = 0; l < LANES; l++)
            if (strcmp(news->freed[i].priority, lanes[l]) == 0)
                s->from_ms[l] = MIN(s->from_ms[l], news->freed[i].ready_ms);
    return CODE_OK;
}

/* Batches come last: from then on their files wait for this transaction. */
static enum code tick(struct ctx *cx, struct sweep *s, struct tick_news *news, int *ret_sleep_ms)
{
    CLEANUP(db_result_freep) struct db_result *lock = NULL;
    TRY(look_at_pools(cx, s));
    TRY(db_run(cx, s->jobs->db, &q_sweep_lock, DB_NO_ARGS, &lock));
    if (!db_get_bool(lock, 0, 0))
        return CODE_OK;
    s->now_ms = db_get_int(lock, 0, 1);
    TRY(bury_pools(cx, s));
    TRY(free_when_due(cx, s, news));
    TRY(purge_pools(cx, s));
    TRY(maintenance_submit(cx, s->jobs, &news->maintenance, &news->n_maintenance));
    TRY(next_due(cx, s->jobs, ret_sleep_ms));
    feed_lanes(cx, s, ret_sleep_ms);
    TRY(advance_batches(cx, s->jobs, news->freed, news->n_freed));
    return batch_advance_overdue(cx, s->jobs, &news->batches, &news->n_batches);
}

enum code sweep_tick(struct ctx *cx, struct sweep *s, int *ret_sleep_ms)
{
    struct tick_news news = {0};
    *ret_sleep_ms = TICK_MS;
    TRY(db_begin(cx, s->jobs->db));
    enum code code = tick(cx, s, &news, ret_sleep_ms);
    if (code == CODE_OK)
        code = db_commit(cx, s->jobs->db);
    db_rollback(s->jobs->db);
    if (code != CODE_OK)
        s->freed_ms = 0;
    TRY(code);
    tell_freed(cx, s->jobs, news.freed, news.n_freed);
    for (int i = 0; i < news.n_batches; i++)
        batch_tell(cx, s->jobs, &news.batches[i]);
    maintenance_tell(cx, s->jobs, news.maintenance, news.n_maintenance);
    return CODE_OK;
}
