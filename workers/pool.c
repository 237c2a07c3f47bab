/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* pool.c - the workers of this process and what other threads may know of them (pool.h).
 *
 * A worker is a slot; "stopped" is a state in which none is given a job. A slot that got one waits
 * for a runner, a thread with its own database and Redis connections (opened when first needed and
 * kept). Runners are woken one at a time: one that takes a slot wakes the next before it runs it,
 * if slots still wait. So long jobs run all at once, each in its own thread, while a crowd of jobs
 * that end at once is run by the few threads that are awake. (The Go scheduler wakes its threads
 * so: runtime/proc.go, "Worker thread parking/unparking".) Invariants: a slot is given a job only
 * while it is idle and only by the dispatcher; claim and attempt belong to the dispatcher while the
 * slot is idle or reserved, to its runner while it runs, to the finisher while its completion is
 * written; while slots wait and runners sleep, one is on its way; runners stay until nothing is
 * busy. Not here: what a job does (task.c), which job (dispatch.c), leases (keeper.c). */
#include "workers/pool.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clk.h"
#include "workers/task.h"
#include "workers/thread.h"

enum { CLAIM_LIMIT = 4 * 1024 * 1024 };

static struct slot *slot_of(struct job_finish *finish)
{
    return (struct slot *)((char *)finish - offsetof(struct slot, finish));
}

static struct slot *slot_named(const char *name)
{
    return (struct slot *)(name - offsetof(struct slot, name));
}

/* The dispatcher may be waiting for high-priority jobs only; a worker that takes any became idle. A
 * wake that is lost costs what is left of that wait. */
static void wake_dispatcher(struct pool *pool, struct jobs *jobs)
{
    pthread_mutex_lock(&pool->lock);
    int64_t client = pool->waiting_client;
    pool->waiting_client = 0;
    pthread_mutex_unlock(&pool->lock);
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

/* ---- runners; all with the lock held but runner_main ---- */

static void queue_slot(struct pool *pool, struct slot *slot)
{
    slot->next = NULL;
    *pool->last_given = slot;
    pool->last_given = &slot->next;
}

/* Whoever is to be signalled once the lock is left, or NULL. */
static struct runner *next_runner(struct pool *pool)
{
    struct runner *r = pool->given && !pool->waking ? pool->asleep : NULL;
    if (!r)
        return NULL;
    pool->asleep = r->next;
    pool->waking = r->awake = true;
    return r;
}

static void signal_runner(struct runner *r)
{
    if (r)
        pthread_cond_signal(&r->woken);
}

static void wake_all(struct pool *pool)
{
    for (struct runner *r = pool->asleep; r; r = r->next) {
        r->awake = true;
        pthread_cond_signal(&r->woken);
    }
    pool->asleep = NULL;
}

/* Waits for a slot to run; NULL when it is time to leave. */
static struct slot *take_slot(struct runner *r)
{
    struct pool *pool = r->pool;
    pthread_mutex_lock(&pool->lock);
    while (!pool->given && !(pool->closing && pool->n_busy == 0)) {
        r->awake = false;
        r->next = pool->asleep;
        pool->asleep = r;
        while (!r->awake)
            pthread_cond_wait(&r->woken, &pool->lock);
        pool->waking = false;
    }
    struct slot *slot = pool->given;
    if (slot && !(pool->given = slot->next))
        pool->last_given = &pool->given;
    struct runner *more = next_runner(pool);
    pthread_mutex_unlock(&pool->lock);
    signal_runner(more);
    return slot;
}

static void free_slot(struct pool *pool, struct slot *slot)
{
    ctx_recycle(&slot->claim_cx);
    slot->claim.job_id[0] = '\0';
    slot->stop = SLOT_GO;
    slot->busy = false;
    pool->n_busy--;
}

/* Counts what became of a slot's job: it is idle, or waits for a runner again. */
static void end_slot(struct pool *pool, struct slot *slot, enum task_end end)
{
    if (end == TASK_HANDED_OVER) {
        queue_slot(pool, slot);
        return;
    }
    /* Statistics leave it out, so what people read of a worker does too. */
    bool counts = strcmp(slot->claim.task_type, "maintenance") != 0;
    if (end == TASK_COMPLETED)
        slot->processed += counts;
    else if (slot->stop == SLOT_GO && counts)
        slot->failed++;
    slot->finishing = false;
    free_slot(pool, slot);
}

static void tell_ended(struct pool *pool)
{
    if (pool->n_slots - pool->n_busy >= pool->enough)
        pthread_cond_broadcast(&pool->changed);
    if (pool->closing && pool->n_busy == 0)
        wake_all(pool);
}

static void *runner_main(void *arg)
{
    struct runner *r = arg;
    struct pool *pool = r->pool;
    struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    CLEANUP(jobs_closep) struct jobs *jobs = NULL;
    if (jobs_open(&cx, pool->settings, "localrag-worker run", &jobs) != CODE_OK) {
        log_failure(&cx, LOG_LEVEL_ERROR, "a worker could not start; this process ends");
        abort();
    }
    for (struct slot *slot; (slot = take_slot(r));) {
        bool any = !slot->high_only;
        enum task_end end = task_run(slot, jobs);
        if (end == TASK_HANDED_OVER)
            continue;
        pthread_mutex_lock(&pool->lock);
        end_slot(pool, slot, end);
        tell_ended(pool);
        pthread_mutex_unlock(&pool->lock);
        if (any)
            wake_dispatcher(pool, jobs);
    }
    ctx_done(&cx);
    return NULL;
}

/* In a thread of the finisher. */
static void written(void *arg, struct jobs *jobs, struct job_finish *first)
{
    struct pool *pool = arg;
    enum task_end ends[JOBS_MAX_FINISH];
    bool any = false;
    int n = 0;
    for (struct job_finish *f = first; f; f = f->next)
        ends[n++] = task_written(slot_of(f));
    pthread_mutex_lock(&pool->lock);
    n = 0;
    for (struct job_finish *f = first, *next; f; f = next) {
        next = f->next; /* a slot that ended is the dispatcher's */
        any = any || !slot_of(f)->high_only;
        end_slot(pool, slot_of(f), ends[n++]);
    }
    tell_ended(pool);
    struct runner *more = next_runner(pool);
    pthread_mutex_unlock(&pool->lock);
    signal_runner(more);
    if (any)
        wake_dispatcher(pool, jobs);
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
        if (slot->high_only)
            snprintf(slot->name, sizeof(slot->name), "high-priority-%d", i + 1);
        else
            snprintf(slot->name, sizeof(slot->name), "general-%d", i - high + 1);
        ctx_init(&slot->claim_cx, CLAIM_LIMIT);
        ctx_init(&slot->task_cx, CTX_DEFAULT_LIMIT);
    }
}

static enum code start_worker(struct ctx *cx, struct pool *pool, int i)
{
    struct runner *r = &pool->runners[i];
    pool->slots[i].wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pool->slots[i].wake_fd < 0)
        return ctx_fail(cx, CODE_UNAVAILABLE, "no file descriptor for a worker: %m");
    char name[24];
    snprintf(name, sizeof(name), "runner-%d", i + 1);
    r->pool = pool;
    thread_cond_init(&r->woken);
    enum code code = thread_start(cx, &r->thread, name, runner_main, r);
    r->started = code == CODE_OK;
    return code;
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
    pool->last_given = &pool->given;
    name_slots(pool);
    pool->runners = calloc((size_t)n, sizeof(*pool->runners));
    enum code code = pool->runners ? CODE_OK : ctx_oom(cx);
    if (code == CODE_OK)
        code = tokens_new(cx, (int)settings->extract_processes, &pool->ocr_tokens);
    if (code == CODE_OK)
        code = tokens_new(cx, (int)settings->extract_processes, &pool->text_tokens);
    if (code == CODE_OK)
        code = finisher_start(cx, settings, written, pool, &pool->finisher);
    for (int i = 0; i < n && code == CODE_OK; i++)
        code = start_worker(cx, pool, i);
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
        struct runner *r = pool->runners ? &pool->runners[i] : NULL;
        if (r && r->started)
            pthread_join(r->thread, NULL);
        if (slot->wake_fd >= 0)
            close(slot->wake_fd);
        ctx_done(&slot->claim_cx);
        ctx_done(&slot->task_cx);
    }
    finisher_free(pool->finisher);
    free(pool->runners);
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

int pool_reserve(struct pool *pool, bool high, int max, const char **ret_names)
{
    int n = 0;
    pthread_mutex_lock(&pool->lock);
    /* High-priority workers are the first slots, so a high job leaves the general ones free. */
    for (int i = 0; i < pool->n_slots && n < max; i++) {
        struct slot *slot = &pool->slots[i];
        if (slot->busy || !may_run(pool, i) || (slot->high_only && !high))
            continue;
        slot->busy = true;
        pool->n_busy++;
        ret_names[n++] = slot->name;
    }
    pthread_mutex_unlock(&pool->lock);
    return n;
}

void pool_release(struct pool *pool, const char *const *names, int n)
{
    pthread_mutex_lock(&pool->lock);
    for (int i = 0; i < n; i++)
        free_slot(pool, slot_named(names[i]));
    tell_ended(pool);
    pthread_mutex_unlock(&pool->lock);
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

/* A reserved slot gets its copy; false when there is no memory for it. */
static bool prepare(struct slot *slot, const struct job_claim *claim)
{
    struct job_claim copy;
    if (copy_claim(&slot->claim_cx, claim, &copy) != CODE_OK)
        return false;
    copy.worker = slot->name;
    slot->finish.code = CODE_OK;
    slot->progress = (struct job_progress){0};
    slot->message[0] = '\0';
    slot->stored_percent = 0;
    slot->stored_at_ms = clk_mono_ms();
    pthread_mutex_lock(&slot->pool->lock);
    slot->claim = copy;
    pthread_mutex_unlock(&slot->pool->lock);
    return true;
}

int pool_give(struct pool *pool, const struct job_claim *claims, int n,
              const struct job_claim **ret_refused)
{
    int refused = 0;
    bool prepared[POOL_MAX_GIVE];
    for (int i = 0; i < n; i++)
        prepared[i] = prepare(slot_named(claims[i].worker), &claims[i]);
    pthread_mutex_lock(&pool->lock);
    for (int i = 0; i < n; i++) {
        struct slot *slot = slot_named(claims[i].worker);
        if (prepared[i] && !pool->closing) {
            queue_slot(pool, slot);
            continue;
        }
        ret_refused[refused++] = &claims[i];
        free_slot(pool, slot);
    }
    if (refused)
        tell_ended(pool);
    struct runner *first = next_runner(pool);
    pthread_mutex_unlock(&pool->lock);
    signal_runner(first);
    return refused;
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
        if (!slot->busy || !slot->claim.job_id[0]) /* a reserved one is being filled */
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

void pool_close(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->changed);
    if (pool->n_busy == 0)
        wake_all(pool);
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
