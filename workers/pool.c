/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* pool.c - the workers of this process and what other threads may know of them (pool.h).
 *
 * Worker threads live as long as the pool: "stopped" is a state in which none is given a job. Each
 * has its own database and Redis connections, opened at its first job and kept. Invariants: a slot
 * is given a job only while it is idle and only by the dispatcher; claim and claim_cx belong to the
 * dispatcher while the slot is idle and to the worker while it is busy; every change that somebody
 * may wait for is broadcast, a job only to the worker that got it. Jobs that end at the same time
 * share a commit and a connection (pool->finishes). Not here: what a job does (task.c), which job
 * (dispatch.c), leases (keeper.c). */
#include "workers/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clk.h"
#include "workers/task.h"
#include "workers/thread.h"

enum { CLAIM_LIMIT = 4 * 1024 * 1024 };

static void wake(struct slot *slot)
{
    /* A full counter is readable already; nothing else can go wrong with an eventfd. */
    uint64_t one = 1;
    ssize_t written = write(slot->wake_fd, &one, sizeof(one));
    (void)written;
}

/* The dispatcher may be waiting for high-priority jobs only; this worker takes any. A wake that is
 * lost costs what is left of that wait. */
static void wake_dispatcher(struct slot *slot, struct jobs *jobs)
{
    if (slot->high_only)
        return;
    pthread_mutex_lock(&slot->pool->lock);
    int64_t client = slot->pool->waiting_client;
    slot->pool->waiting_client = 0;
    pthread_mutex_unlock(&slot->pool->lock);
    if (!client)
        return;
    struct ctx cx;
    ctx_init(&cx, 64 * 1024);
    char id[24];
    snprintf(id, sizeof(id), "%lld", (long long)client);
    struct kv_reply reply;
    if (kv_run(&cx, jobs->kv, 500, KV_ARGV("CLIENT", "UNBLOCK", id), &reply) != CODE_OK)
        log_debug(NULL, "could not wake the dispatcher: %s", ctx_message(&cx));
    ctx_done(&cx);
}

/* Waits for a job; false when it is time to leave. */
static bool wait_for_job(struct slot *slot)
{
    struct pool *pool = slot->pool;
    pthread_mutex_lock(&pool->lock);
    while (!slot->busy && !pool->closing)
        pthread_cond_wait(&slot->given, &pool->lock);
    bool busy = slot->busy;
    pthread_mutex_unlock(&pool->lock);
    return busy;
}

static void done(struct slot *slot, bool completed)
{
    struct pool *pool = slot->pool;
    /* Statistics leave it out, so what people read of a worker does too. */
    bool counts = strcmp(slot->claim.task_type, "maintenance") != 0;
    ctx_done(&slot->claim_cx);
    pthread_mutex_lock(&pool->lock);
    slot->busy = false;
    pool->n_busy--;
    slot->finishing = false;
    if (completed)
        slot->processed += counts;
    else if (slot->stop == SLOT_GO && counts)
        slot->failed++;
    slot->stop = SLOT_GO;
    if (pool->n_slots - pool->n_busy >= pool->enough)
        pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}

static void *worker_main(void *arg)
{
    struct slot *slot = arg;
    struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    CLEANUP(jobs_closep) struct jobs *jobs = NULL;
    char name[64];
    snprintf(name, sizeof(name), "localrag-worker %s", slot->name);
    if (jobs_open(&cx, slot->pool->settings, name, &jobs) != CODE_OK) {
        log_failure(&cx, LOG_LEVEL_ERROR, "a worker could not start; this process ends");
        abort();
    }
    jobs->finishes = slot->pool->finishes;
    while (wait_for_job(slot)) {
        bool completed = task_run(slot, jobs);
        done(slot, completed);
        wake_dispatcher(slot, jobs);
    }
    jobs_closep(&jobs);
    jobs = NULL;
    ctx_done(&cx);
    return NULL;
}

static void name_slots(struct pool *pool)
{
    int high = (int)pool->settings->high_priority_workers;
    pool->n_high = pool->may_high = high;
    pool->may_general = pool->n_slots - high;
    for (int i = 0; i < pool->n_slots; i++) {
        struct slot *slot = &pool->slots[i];
        slot->pool = pool;
        slot->high_only = i < high;
        slot->wake_fd = -1;
        thread_cond_init(&slot->given);
        if (slot->high_only)
            snprintf(slot->name, sizeof(slot->name), "high-priority-%d", i + 1);
        else
            snprintf(slot->name, sizeof(slot->name), "general-%d", i - high + 1);
        ctx_init(&slot->claim_cx, CLAIM_LIMIT);
    }
}

enum code pool_new(struct ctx *cx, const struct settings *settings, struct box *box,
                   struct pool **ret_pool)
{
    int n = (int)settings->max_workers;
    struct pool *pool = calloc(1, sizeof(*pool) + (size_t)n * sizeof(pool->slots[0]));
    if (!pool)
        return ctx_oom(cx);
    pool->settings = settings;
    pool->box = box;
    pool->n_slots = n;
    pthread_mutex_init(&pool->lock, NULL);
    thread_cond_init(&pool->changed);
    thread_cond_init(&pool->asked);
    name_slots(pool);
    enum code code = tokens_new(cx, (int)settings->extract_processes, &pool->ocr_tokens);
    if (code == CODE_OK)
        code = tokens_new(cx, (int)settings->extract_processes, &pool->text_tokens);
    if (code == CODE_OK)
        code = finish_group_new(cx, settings, &pool->finishes);
    for (int i = 0; i < n && code == CODE_OK; i++) {
        struct slot *slot = &pool->slots[i];
        slot->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (slot->wake_fd < 0)
            code = ctx_fail(cx, CODE_UNAVAILABLE, "no file descriptor for a worker: %m");
        else
            code = thread_start(cx, &slot->thread, slot->name, worker_main, slot);
        slot->started = code == CODE_OK;
    }
    if (code != CODE_OK) {
        pool_close(pool);
        pool_free(pool);
        return code;
    }
    *ret_pool = pool;
    return CODE_OK;
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    for (int i = 0; i < pool->n_slots; i++) {
        struct slot *slot = &pool->slots[i];
        if (slot->started)
            pthread_join(slot->thread, NULL);
        if (slot->wake_fd >= 0)
            close(slot->wake_fd);
        ctx_done(&slot->claim_cx);
        pthread_cond_destroy(&slot->given);
    }
    finish_group_free(pool->finishes);
    tokens_free(pool->ocr_tokens);
    tokens_free(pool->text_tokens);
    pthread_cond_destroy(&pool->asked);
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

/* With the lock held: whether the worker is one of those that may run. */
static bool may_run(const struct pool *pool, int i)
{
    return i < pool->n_high ? i < pool->may_high : i - pool->n_high < pool->may_general;
}

/* With the lock held. */
static struct pool_idle count_idle(const struct pool *pool)
{
    struct pool_idle idle = {.all = true};
    for (int i = 0; i < pool->n_slots; i++) {
        const struct slot *slot = &pool->slots[i];
        idle.all = idle.all && !slot->busy;
        if (slot->busy || !may_run(pool, i))
            continue;
        idle.n_high += slot->high_only;
        idle.n_general += !slot->high_only;
    }
    memcpy(idle.pool_id, pool->pool_id, sizeof(idle.pool_id));
    return idle;
}

void pool_linger(struct pool *pool, int enough, int timeout_ms)
{
    struct timespec until = clk_mono_after(timeout_ms);
    pthread_mutex_lock(&pool->lock);
    pool->enough = enough;
    while (!pool->closing && pool->n_slots - pool->n_busy < enough &&
           pthread_cond_timedwait(&pool->changed, &pool->lock, &until) == 0)
        continue;
    pool->enough = 0;
    pthread_mutex_unlock(&pool->lock);
}

bool pool_wait_idle(struct pool *pool, int timeout_ms, struct pool_idle *ret_idle)
{
    struct timespec until = clk_mono_after(timeout_ms);
    pthread_mutex_lock(&pool->lock);
    bool timed_out = false, ready = false;
    while (!pool->closing && !timed_out && !ready) {
        *ret_idle = count_idle(pool);
        ready = pool->wanted && pool->pool_id[0] && ret_idle->n_high + ret_idle->n_general > 0;
        if (!ready)
            timed_out = pthread_cond_timedwait(&pool->changed, &pool->lock, &until) != 0;
    }
    ready = ready && !pool->closing;
    pthread_mutex_unlock(&pool->lock);
    return ready;
}

int pool_idle_names(struct pool *pool, bool high, int max, const char **ret_names)
{
    int n = 0;
    pthread_mutex_lock(&pool->lock);
    /* High-priority workers are the first slots, so a high job leaves the general ones free. */
    for (int i = 0; i < pool->n_slots && n < max; i++)
        if (!pool->slots[i].busy && may_run(pool, i) && (high || !pool->slots[i].high_only))
            ret_names[n++] = pool->slots[i].name;
    pthread_mutex_unlock(&pool->lock);
    return n;
}

static enum code copy_claim(struct ctx *cx, const struct job_claim *from, struct job_claim *to)
{
    int n = 0;
    while (from->languages && from->languages[n])
        n++;
    *to = *from;
    to->task_type = ctx_strdup(cx, from->task_type);
    to->file_path = ctx_strdup(cx, from->file_path);
    to->file_name = ctx_strdup(cx, from->file_name);
    to->content_type = ctx_strdup(cx, from->content_type);
    to->content_hash = ctx_strdup(cx, from->content_hash);
    to->metadata_json = ctx_strdup(cx, from->metadata_json);
    if (from->sealed_password)
        to->sealed_password = (unsigned char *)ctx_strndup(cx, (const char *)from->sealed_password,
                                                           from->sealed_password_len);
    to->languages = ctx_array(cx, (size_t)n + 1, sizeof(*to->languages));
    for (int i = 0; i < n && to->languages; i++)
        to->languages[i] = ctx_strdup(cx, from->languages[i]);
    return cx->failure.code;
}

enum code pool_give(struct ctx *cx, struct pool *pool, const struct job_claim *claim)
{
    struct slot *slot = NULL;
    for (int i = 0; i < pool->n_slots && !slot && claim->worker; i++)
        if (pool->slots[i].name == claim->worker) /* from pool_idle_names() */
            slot = &pool->slots[i];
    if (!slot)
        return ctx_fail(cx, CODE_INTERNAL, "no worker \"%s\" for a claim",
                        claim->worker ? claim->worker : "");
    if (copy_claim(&slot->claim_cx, claim, &slot->claim) != CODE_OK) {
        ctx_done(&slot->claim_cx);
        return ctx_fail(cx, CODE_OUT_OF_MEMORY, "out of memory for job \"%s\"", claim->job_id);
    }
    slot->claim.worker = slot->name;
    pthread_mutex_lock(&pool->lock);
    bool closing = pool->closing; /* its thread may have left already */
    slot->busy = !closing;
    pool->n_busy += !closing;
    slot->stop = SLOT_GO;
    slot->progress = (struct job_progress){0};
    slot->message[0] = '\0';
    slot->stored_percent = 0;
    slot->stored_at_ms = clk_mono_ms();
    pthread_cond_signal(&slot->given);
    pthread_mutex_unlock(&pool->lock);
    if (!closing)
        return CODE_OK;
    ctx_done(&slot->claim_cx);
    return ctx_fail(cx, CODE_CANCELLED, "the workers are leaving");
}

void pool_report(struct pool *pool, struct pool_worker *out)
{
    int64_t due = clk_mono_ms() - pool->settings->progress_interval_ms;
    pthread_mutex_lock(&pool->lock);
    for (int i = 0; i < pool->n_slots; i++) {
        const struct slot *slot = &pool->slots[i];
        out[i] = (struct pool_worker){.high_only = slot->high_only,
                                      .running = (pool->wanted && may_run(pool, i)) || slot->busy,
                                      .processed = slot->processed,
                                      .failed = slot->failed};
        memcpy(out[i].name, slot->name, sizeof(out[i].name));
        if (!slot->busy)
            continue;
        memcpy(out[i].job_id, slot->claim.job_id, sizeof(out[i].job_id));
        out[i].epoch = slot->claim.epoch;
        out[i].progress_due = !slot->finishing && slot->stored_at_ms <= due &&
                              slot->progress.percent > slot->stored_percent;
        out[i].percent = slot->progress.percent;
        out[i].pages_done = slot->progress.pages_done;
        out[i].pages_total = slot->progress.pages_total;
        memcpy(out[i].message, slot->message, sizeof(out[i].message));
    }
    pthread_mutex_unlock(&pool->lock);
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

void pool_close(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->changed);
    for (int i = 0; i < pool->n_slots; i++)
        pthread_cond_signal(&pool->slots[i].given);
    pthread_mutex_unlock(&pool->lock);
}

bool pool_may_take(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    bool may = pool->wanted && !pool->closing;
    pthread_mutex_unlock(&pool->lock);
    return may;
}

bool pool_is_closing(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    bool closing = pool->closing;
    pthread_mutex_unlock(&pool->lock);
    return closing;
}

bool pool_wait_drained(struct pool *pool, int64_t timeout_ms)
{
    struct timespec until = clk_mono_after(timeout_ms);
    pthread_mutex_lock(&pool->lock);
    bool timed_out = false;
    while (!count_idle(pool).all && !timed_out)
        timed_out = pthread_cond_timedwait(&pool->changed, &pool->lock, &until) != 0;
    bool drained = count_idle(pool).all;
    pthread_mutex_unlock(&pool->lock);
    return drained;
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
