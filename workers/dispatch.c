/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* dispatch.c - threads that take ids from the lanes, claim them and give them to idle workers
 * (dispatch.h).
 *
 * One of them has the turn: it waits for idle workers and for ids. With these in hand it leaves the
 * turn to the next and claims, so that Redis and PostgreSQL work at the same time.
 * (Leader/Followers: Schmidt et al., "Pattern-Oriented Software Architecture" volume 2, 2000.) It
 * takes only when a worker is idle, and never more than there are. General workers take from every
 * lane; when only high-priority workers are idle it waits for the high lane alone, and a general
 * worker that becomes idle meanwhile wakes it (pool.c). An id is a hint: what cannot be claimed was
 * stale, but for one case: a job that was with two workers when they died is claimed only by a pool
 * that runs nothing else, and then runs alone. A pool that meets one drains for it and then gives
 * way to others for ten times as long, whatever came of it. Where a long job runs it drains in
 * vain, and tries twice as long the next time, so neither waits for ever. Invariants: a claim for
 * an empty pool, which may be such a job's, is made within the turn; no wait is longer than a
 * second. Redis or PostgreSQL away is logged once an outage. */
#include "workers/dispatch.h"

#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "workers/thread.h"

enum {
    TAKERS = 2,
    TAKE_MAX = POOL_MAX_GIVE,
    WAIT_MS = 1000,
    HIGH_WAIT_MS = 250,
    LINGER_MS = 1,
    DRAIN_MS = 10000,
    SETTLE_MS = 20,
    DRAIN_MAX_MS = 24 * 3600 * 1000,
    GIVE_WAY = 10, /* times as long as it drained */
    /* Metadata of 64 KiB has more of them as PostgreSQL's JSON. */
    TICK_LIMIT = TAKE_MAX * 256 * 1024
};

struct taker {
    struct dispatch *d;
    struct jobs *jobs;
    pthread_t thread;
    bool started;
};

struct dispatch {
    struct pool *pool;
    struct taker takers[TAKERS];
    pthread_mutex_t turn;
    /* guarded by turn */
    bool backlog; /* the last take got all it asked for */
    bool alone; /* a job runs that must have nothing beside it */
    int64_t drain_ms; /* how long, this time */
    int64_t drain_until_ms; /* 0: it does not drain */
    int64_t give_way_ms; /* until when it does not */
    int64_t settle_ms; /* the next look whether the pool is empty meanwhile */
    /* guarded by lock */
    pthread_mutex_t lock;
    bool away; /* logged already */
    char wanted[37]; /* the id that the pool drains for; "": none */
};

/* What a turn took, and for whom. */
struct taken {
    struct pool_idle idle;
    char ids[TAKE_MAX][37];
    const char *names[TAKE_MAX]; /* reserved workers */
    int n;
};

/* Only a claim proves that an outage is over: a turn that had no worker to fill, or found the lanes
 * empty, is no failure either. */
static bool set_away(struct dispatch *d, bool away)
{
    pthread_mutex_lock(&d->lock);
    bool was_away = d->away;
    d->away = away;
    pthread_mutex_unlock(&d->lock);
    return was_away;
}

static void wait_ms(struct pool *pool, int ms)
{
    struct timespec until = clk_mono_after(ms);
    pthread_mutex_lock(&pool->lock);
    while (!pool->closing && pthread_cond_timedwait(&pool->changed, &pool->lock, &until) == 0)
        continue;
    pthread_mutex_unlock(&pool->lock);
}

static enum code give_all(struct ctx *cx, struct taker *t, const struct job_claim *claims, int n)
{
    const struct job_claim *refused[TAKE_MAX];
    struct pool *pool = t->d->pool;
    int n_refused = pool_give(pool, claims, n, refused);
    if (n_refused)
        log_warning(NULL, "%d claimed jobs go back to the queue: the workers are %s", n_refused,
                    pool_is_closing(pool) ? "leaving" : "out of memory");
    for (int i = 0; i < n_refused; i++)
        TRY(jobs_hand_back(cx, t->jobs, refused[i]));
    return CODE_OK;
}

/* Of the workers and ids those that no claim came back for: the workers are released, the ids moved
 * to the front. */
static int sort_out(struct dispatch *d, struct taken *taken, const struct job_claim *claims, int n)
{
    int n_workers = 0, n_ids = 0;
    for (int i = 0; i < taken->n; i++) {
        bool worker = true, id = true;
        for (int k = 0; k < n; k++) {
            worker = worker && claims[k].worker != taken->names[i];
            id = id && strcmp(claims[k].job_id, taken->ids[i]) != 0;
        }
        if (worker)
            taken->names[n_workers++] = taken->names[i];
        if (id)
            memmove(taken->ids[n_ids++], taken->ids[i], sizeof(taken->ids[0]));
    }
    pool_release(d->pool, taken->names, n_workers);
    return n_ids;
}

static bool is_wanting(struct dispatch *d, char ret_id[37])
{
    pthread_mutex_lock(&d->lock);
    memcpy(ret_id, d->wanted, sizeof(d->wanted));
    pthread_mutex_unlock(&d->lock);
    return ret_id[0] != '\0';
}

/* What a pool that runs something was refused: stale, or to run alone. */
static enum code look_for_alone(struct ctx *cx, struct taker *t, char ids[][37], int n)
{
    char id[37];
    if (n == 0 || is_wanting(t->d, id))
        return CODE_OK;
    TRY(jobs_find_alone(cx, t->jobs, n, ids, id));
    pthread_mutex_lock(&t->d->lock);
    if (!t->d->wanted[0]) /* or the other taker was faster */
        memcpy(t->d->wanted, id, sizeof(id));
    pthread_mutex_unlock(&t->d->lock);
    return CODE_OK;
}

/* Claims what was taken, and gives it to the workers that are reserved for it. */
static enum code claim(struct ctx *cx, struct taker *t, struct taken *taken)
{
    struct job_claim claims[TAKE_MAX];
    int n = 0;
    enum code code = jobs_claim(cx, t->jobs, taken->idle.pool_id, taken->n, taken->ids,
                                taken->names, taken->idle.all, claims, &n);
    if (code != CODE_OK) {
        pool_release(t->d->pool, taken->names, taken->n);
        return code;
    }
    if (set_away(t->d, false))
        log_info(NULL, "the dispatcher takes jobs again");
    if (taken->idle.all)
        t->d->alone = n == 1 && claims[0].crash_count >= JOB_ALONE_CRASHES;
    int n_refused = n < taken->n ? sort_out(t->d, taken, claims, n) : 0;
    TRY(give_all(cx, t, claims, n));
    return taken->idle.all ? CODE_OK : look_for_alone(cx, t, taken->ids, n_refused);
}

/* It drains no longer: the pool is empty, or another pool was earlier. Others have their turn
 * before it drains again. */
static void end_drain(struct dispatch *d)
{
    int64_t now = clk_mono_ms();
    if (d->drain_until_ms)
        d->give_way_ms = now + GIVE_WAY * (now - d->drain_until_ms + d->drain_ms);
    d->drain_until_ms = 0;
    d->drain_ms = DRAIN_MS;
    pthread_mutex_lock(&d->lock);
    d->wanted[0] = '\0';
    pthread_mutex_unlock(&d->lock);
}

/* How long to wait for an empty pool in this turn, and take nothing; 0: not at all. While it gives
 * way it only makes sure that the pool is not empty but for a worker that another turn reserved. */
static int drain_time(struct dispatch *d)
{
    char id[37];
    int64_t now = clk_mono_ms();
    if (d->alone)
        return WAIT_MS;
    if (!is_wanting(d, id))
        return 0;
    if (now >= d->give_way_ms && !d->drain_until_ms)
        d->drain_until_ms = now + d->drain_ms;
    if (now < d->drain_until_ms)
        return WAIT_MS;
    if (d->drain_until_ms) {
        d->drain_until_ms = 0;
        d->give_way_ms = now + GIVE_WAY * d->drain_ms;
        d->drain_ms = MIN(2 * d->drain_ms, (int64_t)DRAIN_MAX_MS);
    }
    if (now < d->settle_ms)
        return 0;
    d->settle_ms = now + WAIT_MS;
    return SETTLE_MS;
}

/* It may have ended, or be another pool's. */
static enum code look_whether_wanted(struct ctx *cx, struct taker *t)
{
    char id[37], left[37];
    if (!is_wanting(t->d, id))
        return CODE_OK;
    TRY(jobs_find_alone(cx, t->jobs, 1, &id, left));
    if (!left[0])
        end_drain(t->d);
    return CODE_OK;
}

static void set_waiting(struct dispatch *d, int64_t client)
{
    pthread_mutex_lock(&d->pool->lock);
    d->pool->waiting_client = client;
    pthread_mutex_unlock(&d->pool->lock);
}

static enum code take(struct ctx *cx, struct taker *t, struct taken *taken)
{
    struct dispatch *d = t->d;
    const struct pool_idle *idle = &taken->idle;
    bool high_only = idle->n_general == 0;
    int max = MIN(idle->all ? 1 : high_only ? idle->n_high : idle->n_general, (int)TAKE_MAX);
    int n = 0;
    bool high = false;
    if (high_only)
        set_waiting(d, kv_client_id(t->jobs->kv));
    enum code code = jobs_take(cx, t->jobs, high_only, high_only ? HIGH_WAIT_MS : WAIT_MS, max,
                               taken->ids, &n, &high);
    set_waiting(d, 0);
    d->backlog = n == max;
    TRY(code);
    /* Ids that are not claimed are found by the sweep. */
    if (n > 0 && pool_may_take(d->pool))
        taken->n = pool_reserve(d->pool, high, n, taken->names);
    return CODE_OK;
}

/* What the turn is for; an empty pool's claim too. */
static enum code take_turn(struct ctx *cx, struct taker *t, struct taken *taken)
{
    struct dispatch *d = t->d;
    if (!d->pool->settings->queue_enabled) {
        wait_ms(d->pool, WAIT_MS);
        return CODE_OK;
    }
    /* Jobs that wait anyway are claimed a quarter of the pool at a time, not one by one: a claim
     * costs a commit. A pool of a few workers never lingers. */
    if (d->backlog)
        pool_linger(d->pool, MIN(d->pool->n_slots / 4, TAKE_MAX), LINGER_MS);
    if (!pool_wait_idle(d->pool, WAIT_MS, &taken->idle))
        return CODE_OK;
    int drain_ms = taken->idle.all ? 0 : drain_time(d);
    if (drain_ms)
        return pool_wait_drained(d->pool, drain_ms) ? CODE_OK : look_whether_wanted(cx, t);
    if (taken->idle.all)
        d->alone = false;
    if (taken->idle.all && is_wanting(d, taken->ids[0])) {
        end_drain(d);
        taken->n = pool_reserve(d->pool, false, 1, taken->names);
    } else {
        TRY(take(cx, t, taken));
    }
    if (!taken->idle.all || taken->n == 0)
        return CODE_OK;
    TRY(claim(cx, t, taken));
    taken->n = 0;
    return CODE_OK;
}

static enum code tick(struct ctx *cx, struct taker *t)
{
    struct taken taken;
    taken.n = 0;
    pthread_mutex_lock(&t->d->turn);
    enum code code = take_turn(cx, t, &taken);
    pthread_mutex_unlock(&t->d->turn);
    TRY(code);
    return taken.n > 0 ? claim(cx, t, &taken) : CODE_OK;
}

static void *taker_main(void *arg)
{
    struct taker *t = arg;
    struct dispatch *d = t->d;
    while (!pool_is_closing(d->pool)) {
        struct ctx cx;
        ctx_init(&cx, TICK_LIMIT);
        enum code code = tick(&cx, t);
        if (code != CODE_OK && !set_away(d, true))
            log_failure(&cx, LOG_LEVEL_WARNING,
                        "no jobs can be taken; trying again until they can");
        ctx_done(&cx);
        if (code != CODE_OK)
            wait_ms(d->pool, WAIT_MS / 4);
    }
    return NULL;
}

static enum code start_taker(struct ctx *cx, struct dispatch *d, struct taker *t)
{
    t->d = d;
    TRY(jobs_open(cx, d->pool->settings, "localrag-worker dispatch", &t->jobs));
    TRY(thread_start(cx, &t->thread, "dispatch", taker_main, t));
    t->started = true;
    return CODE_OK;
}

enum code dispatch_start(struct ctx *cx, struct pool *pool, struct dispatch **ret_dispatch)
{
    struct dispatch *d = calloc(1, sizeof(*d));
    if (!d)
        return ctx_oom(cx);
    d->pool = pool;
    d->drain_ms = DRAIN_MS;
    pthread_mutex_init(&d->turn, NULL);
    pthread_mutex_init(&d->lock, NULL);
    for (int i = 0; i < TAKERS; i++) {
        enum code code = start_taker(cx, d, &d->takers[i]);
        if (code != CODE_OK) {
            pool_close(pool); /* or one that runs would not end */
            dispatch_free(d);
            return code;
        }
    }
    *ret_dispatch = d;
    return CODE_OK;
}

void dispatch_free(struct dispatch *d)
{
    if (!d)
        return;
    for (int i = 0; i < TAKERS; i++) {
        if (d->takers[i].started)
            pthread_join(d->takers[i].thread, NULL);
        jobs_close(d->takers[i].jobs);
    }
    pthread_mutex_destroy(&d->lock);
    pthread_mutex_destroy(&d->turn);
    free(d);
}
