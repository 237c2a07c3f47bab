/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* pool_orders.c - what others tell the pool, and what a running job asks of its slot (pool.h).
 *
 * The keeper, the listener and main never touch a running job: they set a stop and write the slot's
 * eventfd, set the desired state, or ask for a beat. Everything here is a few fields under the
 * pool's lock; who runs what, and when, is pool.c's. */
#include "workers/pool.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clk.h"

static void wake(struct slot *slot)
{
    /* A full counter is readable already; nothing else can go wrong with an eventfd. */
    uint64_t one = 1;
    ssize_t written = write(slot->wake_fd, &one, sizeof(one));
    (void)written;
}

void pool_reported(struct pool *pool, const struct pool_worker *sent)
{
    pthread_mutex_lock(&pool->lock);
    for (int i = 0; i < pool->n_slots; i++) {
        struct slot *slot = &pool->slots[i];
        if (!sent[i].progress_due || !slot->busy || slot->claim.epoch != sent[i].epoch ||
            strcmp(slot->claim.job_id, sent[i].job_id) != 0)
            continue;
        slot->stored_percent = sent[i].percent;
        slot->stored_at_ms = clk_mono_ms();
    }
    pthread_mutex_unlock(&pool->lock);
}

/* With the lock held. A job that is lost stays lost. */
static void stop_slot(struct slot *slot, enum slot_stop stop)
{
    if (!slot->busy || slot->stop >= stop)
        return;
    slot->stop = stop;
    wake(slot);
}

void pool_stop_job(struct pool *pool, const char *job_id, int64_t epoch, enum slot_stop stop)
{
    pthread_mutex_lock(&pool->lock);
    for (int i = 0; i < pool->n_slots; i++) {
        struct slot *slot = &pool->slots[i];
        if (slot->busy && slot->claim.epoch == epoch && strcmp(slot->claim.job_id, job_id) == 0)
            stop_slot(slot, stop);
    }
    pthread_mutex_unlock(&pool->lock);
}

void pool_stop_all(struct pool *pool, enum slot_stop stop)
{
    pthread_mutex_lock(&pool->lock);
    for (int i = 0; i < pool->n_slots; i++)
        stop_slot(&pool->slots[i], stop);
    pthread_mutex_unlock(&pool->lock);
}

void pool_set_id(struct pool *pool, const char *pool_id)
{
    pthread_mutex_lock(&pool->lock);
    snprintf(pool->pool_id, sizeof(pool->pool_id), "%s", pool_id);
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}

void pool_set_wanted(struct pool *pool, bool wanted, int max_workers, int high_workers)
{
    int most = max_workers < 0 ? pool->n_slots : MIN(max_workers, pool->n_slots);
    int high = high_workers < 0 ? pool->n_high : MIN(high_workers, pool->n_high);
    high = MIN(high, MAX(most - 1, 0)); /* one is left for other priorities */
    int general = MIN(most - high, pool->n_slots - pool->n_high);
    pthread_mutex_lock(&pool->lock);
    if (pool->wanted != wanted)
        log_info(NULL, "workers are %s", wanted ? "running" : "stopping by request");
    /* What changed is reported at once: somebody waits for the answer. */
    pool->beat_now = pool->beat_now || pool->wanted != wanted || pool->may_high != high ||
                     pool->may_general != general;
    pool->wanted = wanted;
    pool->may_high = high;
    pool->may_general = general;
    pthread_cond_broadcast(&pool->changed);
    pthread_cond_signal(&pool->asked);
    pthread_mutex_unlock(&pool->lock);
}

void pool_ask_beat(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->beat_now = true;
    pthread_cond_signal(&pool->asked);
    pthread_mutex_unlock(&pool->lock);
}

enum slot_stop slot_stopped(struct slot *slot)
{
    pthread_mutex_lock(&slot->pool->lock);
    enum slot_stop stop = slot->stop;
    pthread_mutex_unlock(&slot->pool->lock);
    return stop;
}

void slot_progress(struct slot *slot, const struct job_progress *progress)
{
    pthread_mutex_lock(&slot->pool->lock);
    slot->progress = *progress;
    snprintf(slot->message, sizeof(slot->message), "%s", progress->message);
    slot->progress.message = slot->message;
    pthread_mutex_unlock(&slot->pool->lock);
}

void slot_finishing(struct slot *slot, bool finishing)
{
    pthread_mutex_lock(&slot->pool->lock);
    slot->finishing = finishing;
    pthread_mutex_unlock(&slot->pool->lock);
}
