/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* loop.c - small jobs through jobs/ as fast as they go, or at a pace; started by benchmarks.
 *
 *   bench-loop SECONDS THREADS PACE submit|drain
 *
 * A pool of THREADS workers, its keeper and the sweep, as in localrag-worker. Each thread takes a
 * job from the lanes, claims it and finishes it as a document of one page and one chunk; with
 * `submit` it submits one first. PACE is the milliseconds between two rounds of a thread, 0: none.
 * Settings come from the environment; the database has the schema.
 *
 * Prints a JSON line a second: jobs finished, milliseconds of each submit and each claim (the
 * statement, without waiting for work), and when each claim was answered (seconds since 1970). It
 * does not judge. An error ends it, other than a hint that was stale. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clk.h"
#include "base/str.h"
#include "jobs/jobs.h"
#include "jobs/maintenance.h"
#include "jobs/pools.h"

enum { MAX_THREADS = 64, MAX_SAMPLES = 20000, TAKE_MS = 100, LIMIT = 4 << 20 };

struct samples { /* of the second under way */
    double value[MAX_SAMPLES];
    int n;
};

static struct {
    struct settings settings;
    char pool[37];
    int threads, pace_ms;
    bool submits;
    atomic_bool ending;
    pthread_mutex_t lock; /* of the rest */
    struct samples submit_ms, claim_ms, claim_at;
    int jobs;
    struct pool_worker workers[MAX_THREADS];
} loop = {.lock = PTHREAD_MUTEX_INITIALIZER};

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void add(struct samples *s, double value)
{
    if (s->n < MAX_SAMPLES)
        s->value[s->n++] = value;
}

/* What went wrong is said once, and everything ends. */
static void give_up(struct ctx *cx, const char *what)
{
    if (!atomic_exchange(&loop.ending, true))
        fprintf(stderr, "bench-loop: %s: %s\n", what, ctx_message(cx));
}

static void pause_ms(int64_t ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* ---- a worker ---- */

static enum code submit(struct ctx *cx, struct jobs *jobs)
{
    char id[37];
    struct job_submitted out;
    str_uuid(id);
    struct job_submission in = {.job_id = id,
                                .task_type = "single_document",
                                .priority = "medium",
                                .file_path = id,
                                .file_name = "small.txt",
                                .content_type = "text/plain",
                                .content_hash = id,
                                .file_size = 200};
    double began = seconds(CLOCK_MONOTONIC);
    TRY(jobs_submit(cx, jobs, &in, &out));
    double ms = (seconds(CLOCK_MONOTONIC) - began) * 1000;
    pthread_mutex_lock(&loop.lock);
    add(&loop.submit_ms, ms);
    pthread_mutex_unlock(&loop.lock);
    return CODE_OK;
}

static enum code finish(struct ctx *cx, struct jobs *jobs, struct job_claim *claim)
{
    const struct job_page page = {.page = 1,
                                  .engine = "text",
                                  .text = "a few words",
                                  .confidence = -1,
                                  .char_count = 11,
                                  .width = 595,
                                  .height = 842};
    const struct job_chunk chunk = {.page_start = 1,
                                    .page_end = 1,
                                    .token_count = 3,
                                    .content = "a few words",
                                    .spans_json = "[]",
                                    .heading_path_json = "[]"};
    const struct job_document doc = {.page_count = 1, .content_type = "text/plain"};
    claim->content_hash = claim->job_id; /* every document is another one, whoever stored the job */
    TRY(jobs_save_pages(cx, jobs, claim, &page, 1));
    TRY(jobs_finish_begin(cx, jobs, claim));
    TRY(jobs_finish_add_chunks(cx, jobs, claim, &chunk, 1));
    return jobs_finish_commit(cx, jobs, claim, &doc);
}

/* What the sweep submits among them: one of each kind a minute or an hour. */
static enum code maintain(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim)
{
    struct maintenance m;
    TRY(maintenance_begin(cx, jobs, claim, &m));
    while (m.more) {
        struct ctx one;
        ctx_init(&one, LIMIT);
        enum code code = maintenance_slice(&one, jobs, claim, &m);
        if (code != CODE_OK)
            (void)ctx_fail(cx, code, "%s", ctx_message(&one));
        ctx_done(&one);
        TRY(code);
    }
    return maintenance_complete(cx, jobs, claim, &m);
}

static void note_job(struct pool_worker *self, const struct job_claim *claim)
{
    pthread_mutex_lock(&loop.lock);
    snprintf(self->job_id, sizeof(self->job_id), "%s", claim ? claim->job_id : "");
    self->epoch = claim ? claim->epoch : 0;
    self->processed += !claim;
    loop.jobs += !claim;
    pthread_mutex_unlock(&loop.lock);
}

static enum code work(struct ctx *cx, struct jobs *jobs, struct pool_worker *self)
{
    char ids[1][37];
    int n = 0;
    const char *name = self->name;
    struct job_claim claim;
    TRY(jobs_take(cx, jobs, false, TAKE_MS, 1, ids, &n, NULL));
    if (n == 0)
        return CODE_OK;
    double began = seconds(CLOCK_MONOTONIC);
    TRY(jobs_claim(cx, jobs, loop.pool, 1, ids, &name, false, &claim, &n));
    double ms = (seconds(CLOCK_MONOTONIC) - began) * 1000;
    if (n == 0)
        return CODE_OK;
    note_job(self, &claim);
    pthread_mutex_lock(&loop.lock);
    add(&loop.claim_ms, ms);
    add(&loop.claim_at, seconds(CLOCK_REALTIME));
    pthread_mutex_unlock(&loop.lock);
    bool chore = strcmp(claim.task_type, "maintenance") == 0;
    enum code code = chore ? maintain(cx, jobs, &claim) : finish(cx, jobs, &claim);
    jobs_finish_abort(jobs);
    note_job(self, NULL);
    return code;
}

static void *worker_main(void *arg)
{
    struct pool_worker *self = arg;
    struct jobs *jobs = NULL;
    while (!loop.ending) {
        struct ctx cx;
        ctx_init(&cx, LIMIT);
        int64_t until = clk_mono_ms() + loop.pace_ms;
        enum code code = jobs ? CODE_OK : jobs_open(&cx, &loop.settings, "bench loop", &jobs);
        if (code == CODE_OK && loop.submits)
            code = submit(&cx, jobs);
        if (code == CODE_OK)
            code = work(&cx, jobs, self);
        if (code != CODE_OK)
            give_up(&cx, "a worker");
        ctx_done(&cx);
        pause_ms(MAX(0, MIN(until - clk_mono_ms(), (int64_t)loop.pace_ms)));
    }
    jobs_close(jobs);
    return NULL;
}

/* ---- keeper and sweep ---- */

static void *keeper_main(void *arg)
{
    struct jobs *jobs = arg;
    static struct pool_worker now[MAX_THREADS];
    static struct pool_orders orders;
    for (int64_t next = clk_mono_ms(); !loop.ending; pause_ms(20)) {
        if (clk_mono_ms() < next)
            continue;
        next += POOL_BEAT_MS;
        struct ctx cx;
        ctx_init(&cx, LIMIT);
        pthread_mutex_lock(&loop.lock);
        memcpy(now, loop.workers, sizeof(now));
        pthread_mutex_unlock(&loop.lock);
        if (pools_beat(&cx, jobs, loop.pool, now, loop.threads, &orders) != CODE_OK)
            give_up(&cx, "the keeper");
        ctx_done(&cx);
    }
    return NULL;
}

static void *sweep_main(void *arg)
{
    struct jobs *jobs = arg;
    struct sweep *sweep = NULL;
    while (!loop.ending) {
        struct ctx cx;
        int sleep_ms = 1000;
        ctx_init(&cx, 64 << 20);
        enum code code = sweep ? CODE_OK : sweep_new(&cx, jobs, &sweep);
        if (code == CODE_OK)
            code = sweep_tick(&cx, sweep, &sleep_ms);
        if (code != CODE_OK)
            give_up(&cx, "the sweep");
        ctx_done(&cx);
        for (int64_t until = clk_mono_ms() + sleep_ms; !loop.ending && clk_mono_ms() < until;)
            pause_ms(MAX(1, MIN(until - clk_mono_ms(), (int64_t)20)));
    }
    sweep_free(sweep);
    return NULL;
}

/* ---- the report ---- */

static void print_samples(const char *name, struct samples *s, int digits)
{
    printf(", \"%s\": [", name);
    for (int i = 0; i < s->n; i++)
        printf("%s%.*f", i ? ", " : "", digits, s->value[i]);
    printf("]");
    s->n = 0;
}

static void report_for(int n)
{
    for (int64_t next = clk_mono_ms() + 1000; n-- > 0 && !loop.ending; next += 1000) {
        pause_ms(MAX(0, next - clk_mono_ms()));
        pthread_mutex_lock(&loop.lock);
        printf("{\"time\": %.3f, \"jobs\": %d", seconds(CLOCK_REALTIME), loop.jobs);
        print_samples("submit_ms", &loop.submit_ms, 3);
        print_samples("claim_ms", &loop.claim_ms, 3);
        print_samples("claim_at", &loop.claim_at, 4);
        loop.jobs = 0;
        pthread_mutex_unlock(&loop.lock);
        puts("}");
        fflush(stdout);
    }
}

static enum code run(struct ctx *cx, int how_long)
{
    CLEANUP(jobs_closep) struct jobs *keeper = NULL;
    CLEANUP(jobs_closep) struct jobs *sweep = NULL;
    pthread_t threads[MAX_THREADS + 2];
    int n = 0;
    struct env_values *values;
    TRY(settings_load(cx, &loop.settings, &values));
    TRY(settings_open_log(cx, &loop.settings, "bench-loop"));
    TRY(jobs_open(cx, &loop.settings, "bench keeper", &keeper));
    TRY(jobs_open(cx, &loop.settings, "bench sweep", &sweep));
    for (int i = 0; i < loop.threads; i++) {
        loop.workers[i].running = true;
        snprintf(loop.workers[i].name, sizeof(loop.workers[i].name), "general-%d", i + 1);
    }
    TRY(pools_register(cx, keeper, loop.workers, loop.threads, loop.pool));
    if (pthread_create(&threads[n++], NULL, keeper_main, keeper) != 0 ||
        pthread_create(&threads[n++], NULL, sweep_main, sweep) != 0)
        abort();
    for (int i = 0; i < loop.threads; i++)
        if (pthread_create(&threads[n++], NULL, worker_main, &loop.workers[i]) != 0)
            abort();
    report_for(how_long);
    bool failed = atomic_exchange(&loop.ending, true);
    while (n > 0)
        pthread_join(threads[--n], NULL);
    if (failed)
        return ctx_fail(cx, CODE_INTERNAL, "ended early");
    return pools_close(cx, keeper, loop.pool);
}

int main(int argc, char **argv)
{
    int how_long = argc == 5 ? atoi(argv[1]) : 0;
    loop.threads = argc == 5 ? atoi(argv[2]) : 0;
    loop.pace_ms = argc == 5 ? atoi(argv[3]) : 0;
    loop.submits = argc == 5 && strcmp(argv[4], "submit") == 0;
    if (how_long < 1 || loop.threads < 1 || loop.threads > MAX_THREADS || loop.pace_ms < 0 ||
        (!loop.submits && strcmp(argv[4], "drain") != 0)) {
        fputs("usage: bench-loop SECONDS THREADS PACE submit|drain\n", stderr);
        return 2;
    }
    struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    enum code code = run(&cx, how_long);
    if (code != CODE_OK)
        fprintf(stderr, "bench-loop: %s\n", ctx_message(&cx));
    ctx_done(&cx);
    return code == CODE_OK ? 0 : 1;
}
