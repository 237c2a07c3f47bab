/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* queue_noop.c - the worker pool running jobs that do nothing; started by bench/queue_.py.
 *
 *   bench-queue-noop migrate COUNT  gives the database the schema, nothing else
 *   bench-queue-noop drain COUNT    runs jobs that are stored already until COUNT have ended
 *   bench-queue-noop pickup COUNT   submits COUNT jobs to an idle pool, one after the other
 *
 * Everything is the worker's own: dispatcher, pool, claims, fence, finish, keeper, sweep. Only
 * run_document is exchanged by the linker (--wrap), for a function that completes its job at once.
 * Settings come from the environment as for localrag-worker; the database gets the schema. Prints
 * one JSON line. drain: seconds from the first job's entry until the last one's end is committed
 * and its worker is idle again, how many entries there were and how many different jobs. pickup:
 * milliseconds from the moment when the submit's commit was answered (its push to the lane is what
 * follows, and is where
 * --wrap=queue_hint takes the time) until the job's function is entered, behind the claim's commit.
 *
 * It does not judge: bars, peers and the look into the database are queue_.py's. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clk.h"
#include "base/str.h"
#include "jobs/queue.h"
#include "store/migrate.h"
#include "workers/dispatch.h"
#include "workers/keeper.h"
#include "workers/run_document.h"

enum {
    GIVE_UP_MS = 300000,
    IDLE_MS = 20,
    FAR = 2000 /* ends: looking for them costs what is measured */
};

static struct {
    char (*ids)[37]; /* one for each entry */
    int max;
    struct pool *pool;
    atomic_int entered;
    atomic_llong first_ns;
    /* pickup: of the job under way */
    char expected[37];
    atomic_llong pushed_ns, entered_ns;
} seen;

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* The job that does nothing: what run_document ends with for bytes that are known already. */
enum code __wrap_run_document(struct task *t);
enum code __wrap_run_document(struct task *t)
{
    static const struct job_completion how = {.message = "Completed: nothing to do"};
    int64_t now = now_ns();
    int at = atomic_fetch_add(&seen.entered, 1);
    if (at == 0)
        atomic_store(&seen.first_ns, now);
    if (at < seen.max)
        memcpy(seen.ids[at], t->claim->job_id, sizeof(seen.ids[at]));
    if (strcmp(t->claim->job_id, seen.expected) == 0)
        atomic_store(&seen.entered_ns, now);
    return task_complete(t, &how);
}

/* The first thing a submit does when its commit was answered: one push for it, or for all that were
 * committed with it. Weak: a program has the one that its jobs_submit() calls. */
void __real_queue_hint(struct ctx *cx, struct jobs *jobs, const char *priority, const char *job_id,
                       int64_t ready_ms) __attribute__((weak));
void __wrap_queue_hint(struct ctx *cx, struct jobs *jobs, const char *priority, const char *job_id,
                       int64_t ready_ms);
void __real_queue_hint_many(struct ctx *cx, struct jobs *jobs, const char *priority,
                            const struct queue_entry *entries, int n) __attribute__((weak));
void __wrap_queue_hint_many(struct ctx *cx, struct jobs *jobs, const char *priority,
                            const struct queue_entry *entries, int n);

static void pushed(const char *job_id)
{
    if (strcmp(job_id, seen.expected) == 0)
        atomic_store(&seen.pushed_ns, now_ns());
}

void __wrap_queue_hint(struct ctx *cx, struct jobs *jobs, const char *priority, const char *job_id,
                       int64_t ready_ms)
{
    pushed(job_id);
    __real_queue_hint(cx, jobs, priority, job_id, ready_ms);
}

void __wrap_queue_hint_many(struct ctx *cx, struct jobs *jobs, const char *priority,
                            const struct queue_entry *entries, int n)
{
    for (int i = 0; i < n; i++)
        pushed(entries[i].job_id);
    __real_queue_hint_many(cx, jobs, priority, entries, n);
}

/* What the workers count themselves, once the end of a job is committed. */
static int ended(void)
{
    int64_t n = 0;
    pthread_mutex_lock(&seen.pool->lock);
    for (int i = 0; i < seen.pool->n_slots; i++)
        n += seen.pool->slots[i].processed;
    pthread_mutex_unlock(&seen.pool->lock);
    return (int)n;
}

static bool wait_for_ends(int n)
{
    int64_t until = clk_mono_ms() + GIVE_UP_MS;
    int left;
    while ((left = n - ended()) > 0 && clk_mono_ms() < until) {
        struct timespec pause = {.tv_nsec = left > FAR ? 20000000 : 1000000};
        nanosleep(&pause, NULL);
    }
    return left <= 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int count_different(void)
{
    int n = MIN(atomic_load(&seen.entered), seen.max), different = n > 0;
    qsort(seen.ids, (size_t)n, sizeof(*seen.ids), by_text);
    for (int i = 1; i < n; i++)
        different += strcmp(seen.ids[i - 1], seen.ids[i]) != 0;
    return different;
}

static enum code drain(struct ctx *cx, int count)
{
    if (!wait_for_ends(count))
        return ctx_fail(cx, CODE_DEADLINE_EXCEEDED, "only %d of %d jobs ended", ended(), count);
    double seconds = (double)(now_ns() - seen.first_ns) / 1e9;
    printf("{\"peer\": \"ours\", \"jobs\": %d, \"seconds\": %.6f, \"entries\": %d, "
           "\"different\": %d}\n",
           count, seconds, atomic_load(&seen.entered), count_different());
    return CODE_OK;
}

static enum code submit(struct ctx *cx, struct jobs *jobs)
{
    char id[37], path[64];
    struct job_submitted out;
    str_uuid(id);
    snprintf(path, sizeof(path), "%s.txt", id);
    memcpy(seen.expected, id, sizeof(seen.expected));
    struct job_submission in = {.job_id = id,
                                .task_type = "single_document",
                                .priority = "medium",
                                .file_path = path,
                                .file_name = "nothing.txt",
                                .content_type = "text/plain",
                                .content_hash = id,
                                .file_size = 200};
    return jobs_submit(cx, jobs, &in, &out);
}

static enum code pickup(struct ctx *cx, const struct settings *settings, int count)
{
    CLEANUP(jobs_closep) struct jobs *jobs = NULL;
    TRY(jobs_open(cx, settings, "bench submit", &jobs));
    double *ms = ctx_array(cx, (size_t)count, sizeof(*ms));
    if (!ms)
        return cx->failure.code;
    for (int i = 0; i < count; i++) {
        struct ctx one;
        atomic_store(&seen.pushed_ns, 0);
        ctx_init(&one, 0);
        enum code code = submit(&one, jobs);
        if (code != CODE_OK)
            ctx_fail(cx, code, "%s", ctx_message(&one));
        ctx_done(&one);
        TRY(code);
        if (!wait_for_ends(i + 1))
            return ctx_fail(cx, CODE_DEADLINE_EXCEEDED, "a job did not run");
        if (!seen.pushed_ns)
            return ctx_fail(cx, CODE_INTERNAL, "the submit's push was not seen");
        ms[i] = (double)(seen.entered_ns - seen.pushed_ns) / 1e6;
        struct timespec pause = {.tv_nsec = IDLE_MS * 1000000};
        nanosleep(&pause, NULL);
    }
    printf("{\"peer\": \"ours\", \"entries\": %d, \"different\": %d, \"ms\": [",
           atomic_load(&seen.entered), count_different());
    for (int i = 0; i < count; i++)
        printf("%s%.3f", i ? ", " : "", ms[i]);
    puts("]}");
    return CODE_OK;
}

static enum code migrate(struct ctx *cx, const struct settings *settings)
{
    CLEANUP(db_closep) struct db *db = NULL;
    int applied;
    TRY(db_open(cx, settings->database_url, "bench", &db));
    return migrate_run(cx, db, &applied);
}

static enum code run(struct ctx *cx, const struct settings *settings, const char *what, int count)
{
    struct pool *pool = NULL;
    struct dispatch *dispatch = NULL;
    struct keeper *keeper = NULL;
    TRY(pool_new(cx, settings, NULL, &pool));
    seen.pool = pool;
    enum code code = keeper_start(cx, pool, &keeper);
    if (code == CODE_OK)
        code = dispatch_start(cx, pool, &dispatch);
    if (code == CODE_OK)
        code = strcmp(what, "drain") == 0 ? drain(cx, count) : pickup(cx, settings, count);
    pool_close(pool);
    dispatch_free(dispatch);
    if (!pool_wait_drained(pool, 10000))
        abort();
    keeper_free(keeper);
    pool_free(pool);
    return code;
}

int main(int argc, char **argv)
{
    struct ctx cx;
    struct settings settings;
    struct env_values *values;
    int count = argc == 3 ? atoi(argv[2]) : 0;
    bool known = count > 0 && (strcmp(argv[1], "drain") == 0 || strcmp(argv[1], "pickup") == 0 ||
                               strcmp(argv[1], "migrate") == 0);
    if (!known) {
        fputs("usage: bench-queue-noop drain|pickup|migrate COUNT\n", stderr);
        return 2;
    }
    seen.max = count + 1000;
    seen.ids = calloc((size_t)seen.max, sizeof(*seen.ids));
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    enum code code = seen.ids ? settings_load(&cx, &settings, &values) : ctx_oom(&cx);
    if (code == CODE_OK)
        code = settings_open_log(&cx, &settings, "bench-queue-noop");
    if (code == CODE_OK)
        code = migrate(&cx, &settings);
    if (code == CODE_OK && strcmp(argv[1], "migrate") != 0)
        code = run(&cx, &settings, argv[1], count);
    if (code != CODE_OK)
        fprintf(stderr, "bench-queue-noop: %s\n", ctx_message(&cx));
    ctx_done(&cx);
    free(seen.ids);
    return code == CODE_OK ? 0 : 1;
}
