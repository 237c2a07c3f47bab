/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* keeper.c - the pool's lease: one thread that registers, renews and obeys (keeper.h).
 *
 * Every beat carries the workers and their due progress, and brings back which of their jobs are
 * lost and whether workers are wanted at all. A hint on the control channel (listen.c) only makes
 * the next beat come at once: the database says what was cancelled, so a forged or late hint does
 * no harm. Invariants: this thread does nothing else and waits for no worker, so the lease is kept
 * however busy they are; a job is stopped only under the epoch that the beat was about. A database
 * that is away is tried until it is back; the jobs go on meanwhile, and their epochs settle whose
 * they are. */
#include "workers/keeper.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "store/migrate.h"
#include "workers/listen.h"
#include "workers/sweeper.h"
#include "workers/thread.h"

enum {
    BEAT_LIMIT = 4 * 1024 * 1024,
    BEAT_DEADLINE_MS = 5000,
    RETRY_FIRST_MS = 100,
    CLOSE_DEADLINE_MS = 5000
};

struct keeper {
    struct pool *pool;
    struct jobs *jobs;
    struct listen *listen;
    struct sweeper *sweeper;
    struct pool_worker *workers; /* what the last beat sent */
    struct pool_orders orders;
    pthread_t thread;
    atomic_bool ending;
    bool away; /* logged already */
    int retry_ms;
};

static void obey(struct keeper *k)
{
    struct pool *pool = k->pool;
    for (int i = 0; i < k->orders.n_lost; i++)
        for (int j = 0; j < pool->n_slots; j++)
            if (strcmp(k->workers[j].job_id, k->orders.lost[i]) == 0)
                pool_stop_job(pool, k->workers[j].job_id, k->workers[j].epoch, SLOT_LOST);
    pool_set_wanted(pool, k->orders.want_running, k->orders.max_workers,
                    k->orders.high_priority_workers);
    if (!k->orders.want_running && k->orders.now)
        pool_stop_all(pool, SLOT_HAND_BACK);
}

static enum code enrol(struct ctx *cx, struct keeper *k)
{
    char pool_id[37];
    TRY(migrate_check(cx, k->jobs->db));
    pool_report(k->pool, k->workers);
    TRY(pools_register(cx, k->jobs, k->workers, k->pool->n_slots, pool_id));
    log_info(NULL, "registered %d workers as pool %s", k->pool->n_slots, pool_id);
    pool_set_id(k->pool, pool_id);
    return CODE_OK;
}

static enum code beat(struct ctx *cx, struct keeper *k)
{
    if (!k->pool->pool_id[0])
        TRY(enrol(cx, k));
    pool_report(k->pool, k->workers);
    k->orders.n_lost = 0;
    enum code code =
        pools_beat(cx, k->jobs, k->pool->pool_id, k->workers, k->pool->n_slots, &k->orders);
    if (code == CODE_CLAIM_LOST) {
        log_warning(NULL, "this pool was declared dead; its jobs are dropped, registering anew");
        pool_set_id(k->pool, "");
        pool_stop_all(k->pool, SLOT_LOST);
        ctx_clear(cx);
        return enrol(cx, k);
    }
    TRY(code);
    pool_reported(k->pool, k->workers);
    obey(k);
    return CODE_OK;
}

/* Until the next beat is due or asked for. */
static void wait_beat(struct keeper *k, int ms)
{
    struct timespec until = clk_mono_after(ms);
    pthread_mutex_lock(&k->pool->lock);
    bool timed_out = false;
    while (!k->pool->beat_now && !atomic_load(&k->ending) && !timed_out)
        timed_out = pthread_cond_timedwait(&k->pool->asked, &k->pool->lock, &until) != 0;
    k->pool->beat_now = false;
    pthread_mutex_unlock(&k->pool->lock);
}

/* While jobs run a beat is not later than their progress is to be stored. */
static int beat_every(const struct keeper *k)
{
    int64_t every = POOL_BEAT_MS;
    for (int i = 0; i < k->pool->n_slots; i++)
        if (k->workers[i].job_id[0])
            every = MIN(every, k->pool->settings->progress_interval_ms);
    return (int)every;
}

static void note_outage(struct keeper *k, const struct ctx *cx, enum code code)
{
    if (code == CODE_OK) {
        if (k->away)
            log_info(NULL, "the database answers the keeper again");
        k->away = false;
        k->retry_ms = 0;
        return;
    }
    if (!k->away)
        log_failure(cx, LOG_LEVEL_WARNING, "the lease cannot be renewed; trying until it can");
    k->away = true;
    k->retry_ms = k->retry_ms ? MIN(k->retry_ms * 2, POOL_BEAT_MS) : RETRY_FIRST_MS;
}

static void *keeper_main(void *arg)
{
    struct keeper *k = arg;
    while (!atomic_load(&k->ending)) {
        struct ctx cx;
        ctx_init(&cx, BEAT_LIMIT);
        int64_t started = clk_mono_ms();
        cx.deadline_ms = started + BEAT_DEADLINE_MS;
        note_outage(k, &cx, beat(&cx, k));
        ctx_done(&cx);
        int64_t spent = clk_mono_ms() - started;
        wait_beat(k, k->retry_ms ? k->retry_ms : (int)MAX(1, beat_every(k) - spent));
    }
    return NULL;
}

enum code keeper_start(struct ctx *cx, struct pool *pool, struct keeper **ret_keeper)
{
    struct keeper *k = calloc(1, sizeof(*k));
    if (!k)
        return ctx_oom(cx);
    k->pool = pool;
    k->workers = calloc((size_t)pool->n_slots, sizeof(*k->workers));
    enum code code = k->workers ? CODE_OK : ctx_oom(cx);
    if (code == CODE_OK)
        code = jobs_open(cx, pool->settings, "localrag-worker keeper", &k->jobs);
    if (code == CODE_OK)
        code = listen_start(cx, pool, &k->listen);
    if (code == CODE_OK)
        code = sweeper_start(cx, pool->settings, &k->sweeper);
    if (code == CODE_OK)
        code = thread_start(cx, &k->thread, "keeper", keeper_main, k);
    if (code != CODE_OK) {
        sweeper_free(k->sweeper);
        listen_free(k->listen);
        jobs_close(k->jobs);
        free(k->workers);
        free(k);
        return code;
    }
    *ret_keeper = k;
    return CODE_OK;
}

static void close_pool(struct keeper *k)
{
    if (!k->pool->pool_id[0])
        return;
    struct ctx cx;
    ctx_init(&cx, BEAT_LIMIT);
    cx.deadline_ms = clk_mono_ms() + CLOSE_DEADLINE_MS;
    if (pools_close(&cx, k->jobs, k->pool->pool_id) != CODE_OK)
        log_failure(&cx, LOG_LEVEL_WARNING, "the pool's row stays; it will be found dead");
    ctx_done(&cx);
}

void keeper_free(struct keeper *k)
{
    if (!k)
        return;
    sweeper_free(k->sweeper);
    listen_free(k->listen);
    atomic_store(&k->ending, true);
    pool_ask_beat(k->pool);
    pthread_join(k->thread, NULL);
    close_pool(k);
    jobs_close(k->jobs);
    free(k->workers);
    free(k);
}
