/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* dispatch.c - one thread that takes ids from the lanes, claims them and gives them to idle workers
 * (dispatch.h).
 *
 * It takes only when a worker is idle, and never more than there are. General workers take from
 * every lane; when only high-priority workers are idle it waits for the high lane alone, and a
 * general worker that becomes idle meanwhile wakes it (pool.c). An id is a hint: what cannot be
 * claimed was stale, but for one case: a job that crashed a worker before is claimed only by a pool
 * that runs nothing else, and then runs alone. Such an id comes back by the sweep; seen again, the
 * pool is left to drain for it, so it waits for the running jobs and for nothing more. Invariant:
 * no wait is longer than a second. Redis or PostgreSQL away is logged once an outage. */
#include "workers/dispatch.h"

#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "workers/thread.h"

enum {
    TAKE_MAX = 128,
    WAIT_MS = 1000,
    HIGH_WAIT_MS = 250,
    LINGER_MS = 1,
    SEEN_MAX = 16,
    TICK_LIMIT = 8 * 1024 * 1024
};

struct dispatch {
    struct pool *pool;
    struct jobs *jobs;
    pthread_t thread;
    bool away; /* logged already */
    bool backlog; /* the last take got all it asked for */
    bool alone; /* a job with a crash behind it runs: nothing beside it */
    char wanted[37]; /* an id that the pool drains for; "": none */
    char seen[SEEN_MAX][37]; /* ids that could not be claimed lately */
    int next_seen;
};

/* Lost ids: what was popped and not claimed. One that comes back is a runnable job all the same. */
static void remember(struct dispatch *d, const char *id)
{
    for (int i = 0; i < SEEN_MAX; i++) {
        if (strcmp(d->seen[i], id) != 0)
            continue;
        memcpy(d->wanted, id, sizeof(d->wanted));
        d->seen[i][0] = '\0';
        return;
    }
    memcpy(d->seen[d->next_seen], id, sizeof(d->seen[0]));
    d->next_seen = (d->next_seen + 1) % SEEN_MAX;
}

static void note_outage(struct dispatch *d, struct ctx *cx, enum code code)
{
    if (code == CODE_OK) {
        if (d->away)
            log_info(NULL, "the dispatcher takes jobs again");
        d->away = false;
        return;
    }
    if (!d->away)
        log_failure(cx, LOG_LEVEL_WARNING, "no jobs can be taken; trying again until they can");
    d->away = true;
}

static void wait_ms(struct pool *pool, int ms)
{
    struct timespec until = clk_mono_after(ms);
    pthread_mutex_lock(&pool->lock);
    while (!pool->closing && pthread_cond_timedwait(&pool->changed, &pool->lock, &until) == 0)
        continue;
    pthread_mutex_unlock(&pool->lock);
}

static enum code give_all(struct ctx *cx, struct dispatch *d, const struct job_claim *claims, int n)
{
    const struct job_claim *refused[TAKE_MAX];
    d->alone = n == 1 && claims[0].crash_count > 0;
    int n_refused = pool_give(d->pool, claims, n, refused);
    if (n_refused)
        log_warning(NULL, "%d claimed jobs go back to the queue: the workers are %s", n_refused,
                    pool_is_closing(d->pool) ? "leaving" : "out of memory");
    for (int i = 0; i < n_refused; i++)
        TRY(jobs_hand_back(cx, d->jobs, refused[i]));
    return CODE_OK;
}

static bool was_claimed(const struct job_claim *claims, int n, const char *id)
{
    for (int i = 0; i < n; i++)
        if (strcmp(claims[i].job_id, id) == 0)
            return true;
    return false;
}

/* Claims ids for idle workers; what nobody got is remembered. */
static enum code claim(struct ctx *cx, struct dispatch *d, const struct pool_idle *idle, bool high,
                       char ids[][37], int n)
{
    const char *names[TAKE_MAX];
    struct job_claim claims[TAKE_MAX];
    int n_names = pool_idle_names(d->pool, high, n, names);
    int n_claims = 0;
    TRY(jobs_claim(cx, d->jobs, idle->pool_id, MIN(n, n_names), ids, names, idle->all && n == 1,
                   claims, &n_claims));
    TRY(give_all(cx, d, claims, n_claims));
    for (int i = 0; i < n; i++)
        if (!was_claimed(claims, n_claims, ids[i]) && !(idle->all && n == 1))
            remember(d, ids[i]);
    return CODE_OK;
}

/* The pool has run empty for an id that needs it alone. */
static enum code claim_wanted(struct ctx *cx, struct dispatch *d, const struct pool_idle *idle)
{
    char ids[1][37];
    memcpy(ids[0], d->wanted, sizeof(ids[0]));
    d->wanted[0] = '\0';
    return claim(cx, d, idle, false, ids, 1);
}

static void set_waiting(struct dispatch *d, int64_t client)
{
    pthread_mutex_lock(&d->pool->lock);
    d->pool->waiting_client = client;
    pthread_mutex_unlock(&d->pool->lock);
}

static enum code take(struct ctx *cx, struct dispatch *d, const struct pool_idle *idle)
{
    bool high_only = idle->n_general == 0;
    int max = idle->all ? 1 : high_only ? idle->n_high : idle->n_general;
    char ids[TAKE_MAX][37];
    int n = 0;
    bool high = false;
    if (high_only)
        set_waiting(d, kv_client_id(d->jobs->kv));
    enum code code = jobs_take(cx, d->jobs, high_only, high_only ? HIGH_WAIT_MS : WAIT_MS,
                               MIN(max, TAKE_MAX), ids, &n, &high);
    set_waiting(d, 0);
    d->backlog = n == MIN(max, TAKE_MAX);
    TRY(code);
    /* Ids that are not claimed are found by the sweep. */
    if (n == 0 || !pool_may_take(d->pool))
        return CODE_OK;
    return claim(cx, d, idle, high, ids, n);
}

static enum code tick(struct ctx *cx, struct dispatch *d)
{
    struct pool_idle idle;
    if (!d->pool->settings->queue_enabled) {
        wait_ms(d->pool, WAIT_MS);
        return CODE_OK;
    }
    /* Jobs that wait anyway are claimed a quarter of the pool at a time, not one by one: a claim
     * costs a commit. A pool of a few workers never lingers. */
    if (d->backlog)
        pool_linger(d->pool, MIN(d->pool->n_slots / 4, TAKE_MAX), LINGER_MS);
    if (!pool_wait_idle(d->pool, WAIT_MS, &idle))
        return CODE_OK;
    if (idle.all)
        d->alone = false;
    if (!idle.all && (d->alone || d->wanted[0])) {
        pool_wait_drained(d->pool, WAIT_MS);
        return CODE_OK;
    }
    if (d->wanted[0])
        return claim_wanted(cx, d, &idle);
    return take(cx, d, &idle);
}

static void *dispatch_main(void *arg)
{
    struct dispatch *d = arg;
    while (!pool_is_closing(d->pool)) {
        struct ctx cx;
        ctx_init(&cx, TICK_LIMIT);
        enum code code = tick(&cx, d);
        note_outage(d, &cx, code);
        ctx_done(&cx);
        if (code != CODE_OK)
            wait_ms(d->pool, WAIT_MS / 4);
    }
    return NULL;
}

enum code dispatch_start(struct ctx *cx, struct pool *pool, struct dispatch **ret_dispatch)
{
    struct dispatch *d = calloc(1, sizeof(*d));
    if (!d)
        return ctx_oom(cx);
    d->pool = pool;
    enum code code = jobs_open(cx, pool->settings, "localrag-worker dispatch", &d->jobs);
    if (code == CODE_OK)
        code = thread_start(cx, &d->thread, "dispatch", dispatch_main, d);
    if (code != CODE_OK) {
        jobs_close(d->jobs);
        free(d);
        return code;
    }
    *ret_dispatch = d;
    return CODE_OK;
}

void dispatch_free(struct dispatch *d)
{
    if (!d)
        return;
    pthread_join(d->thread, NULL);
    jobs_close(d->jobs);
    free(d);
}
