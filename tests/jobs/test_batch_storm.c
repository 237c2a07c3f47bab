/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_batch_storm.c - files of batches that end at the same moment.
 *
 * The last two files of a batch at once; and a storm: threads finish, fail, hand back and cancel
 * files of several batches, one of which is cancelled, while a sweep runs. Nothing may be lost or
 * done twice, no more files may run than allowed, no batch may be left to the sweep, and no call
 * may meet a deadlock. */
#include "tests/jobs/batches.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "tests/support/wait.h"

struct last {
    struct jobs *jobs;
    struct job_claim claim;
    pthread_barrier_t *start;
    enum code code;
};

static void *finish_last(void *arg)
{
    struct last *l = arg;
    struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    pthread_barrier_wait(l->start);
    l->code = fixture_finish(&cx, l->jobs, &l->claim, 1);
    ctx_done(&cx);
    return NULL;
}

/* Neither of two last files may think that the other one is still running. */
static void two_last_files_at_once_complete_the_batch(void **state)
{
    (void)state;
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, 2);
    struct last last[2] = {{.jobs = fixture_jobs(), .start = &start},
                           {.jobs = fixture_jobs(), .start = &start}};
    for (int round = 0; round < 100; round++) {
        pthread_t threads[2];
        const char *id = batch(2);
        for (int i = 0; i < 2; i++)
            last[i].claim = claim_file(id, i, file_of(id, i));
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, finish_last, &last[i]), 0);
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        assert_int_equal(last[0].code, CODE_OK);
        assert_int_equal(last[1].code, CODE_OK);
        expect(id, 2, 0, 0, 0);
    }
    for (int i = 0; i < 2; i++)
        jobs_close(last[i].jobs);
    pthread_barrier_destroy(&start);
}

enum { BATCHES = 4, FILES = 60, THREADS = 6, STORM_MS = 90000 };

struct storm {
    atomic_bool over;
    atomic_int unexpected, ended;
    char why[256]; /* of the first that was unexpected */
    pthread_mutex_t lock;
};
static struct storm storm = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void note(struct ctx *cx, enum code code)
{
    if (code == CODE_OK || code == CODE_CLAIM_LOST || code == CODE_WRONG_STATE)
        return;
    pthread_mutex_lock(&storm.lock);
    if (atomic_fetch_add(&storm.unexpected, 1) == 0)
        snprintf(storm.why, sizeof(storm.why), "%s: %.200s", code_name(code), ctx_message(cx));
    pthread_mutex_unlock(&storm.lock);
}

static enum code end_somehow(struct ctx *cx, struct jobs *jobs, struct job_claim *claim,
                             unsigned *seed)
{
    claim->content_hash = claim->job_id;
    claim->content_type = "text/plain";
    TRY(jobs_identified(cx, jobs, claim));
    switch (rand_r(seed) % 8) {
    case 0:
        return jobs_fail(cx, jobs, claim, CODE_UNREADABLE, "broken");
    case 1:
        return jobs_fail(cx, jobs, claim, CODE_UNAVAILABLE, "away");
    case 2:
        return jobs_hand_back(cx, jobs, claim);
    case 3:
        return jobs_cancel(cx, jobs, claim->job_id);
    default:
        return fixture_finish(cx, jobs, claim, 1);
    }
}

static void *work(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    struct jobs *jobs = fixture_jobs();
    const char *worker = "general-1";
    while (jobs && !atomic_load(&storm.over)) {
        struct ctx cx;
        char ids[1][37];
        struct job_claim claim;
        int n = 0;
        ctx_init(&cx, CTX_DEFAULT_LIMIT);
        enum code code = jobs_take(&cx, jobs, false, 50, 1, ids, &n, NULL);
        if (code == CODE_OK && n)
            code = jobs_claim(&cx, jobs, pool, 1, ids, &worker, true, &claim, &n);
        if (code == CODE_OK && n)
            code = end_somehow(&cx, jobs, &claim, &seed);
        note(&cx, code);
        ctx_done(&cx);
    }
    jobs_close(jobs);
    return NULL;
}

/* The sweep would go on with a batch that was left behind, and nobody would notice: but none is.
 * The one that is cancelled may be for a moment, while its files are locked. */
static enum code nothing_left_behind(struct ctx *cx, struct jobs *jobs, const char *but)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_batch_overdue, DB_ARGS(db_int(AT_ONCE)), &r));
    for (int i = 0; i < db_rows(r); i++)
        if (strcmp(db_get(r, i, 0), but) != 0)
            return ctx_fail(cx, CODE_INTERNAL, "batch %s was left behind", db_get(r, i, 0));
    return CODE_OK;
}

static void *sweep(void *arg)
{
    struct jobs *jobs = fixture_jobs();
    struct sweep *s = NULL;
    struct ctx cx;
    int sleep_ms;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    note(&cx, sweep_new(&cx, jobs, &s));
    while (s && !atomic_load(&storm.over)) {
        note(&cx, nothing_left_behind(&cx, jobs, arg));
        ctx_done(&cx);
        note(&cx, sweep_tick(&cx, s, &sleep_ms));
        ctx_done(&cx);
        wait_moment();
    }
    sweep_free(s);
    ctx_done(&cx);
    jobs_close(jobs);
    return NULL;
}

/* Looks behind the scenes, and renews the pool's lease, or a slow machine's sweep would find it
 * dead. True when no batch is processing any more. */
static bool calm(const char *const *ids)
{
    bool all = true;
    fixture_sql("UPDATE worker_pools SET beats = beats + 1, heartbeat_at = now()");
    for (int i = 0; i < BATCHES; i++) {
        assert_true(count(ids[i], "ready_at <= clock_timestamp() AND " UNFINISHED) <= AT_ONCE);
        all &= strcmp(fixture_status(ids[i]), "processing") != 0;
    }
    return all;
}

static void a_storm_loses_nothing(void **state)
{
    (void)state;
    pthread_t threads[THREADS + 1];
    const char *ids[BATCHES];
    for (int i = 0; i < BATCHES; i++)
        ids[i] = batch(FILES);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)(i + 1)), 0);
    assert_int_equal(pthread_create(&threads[THREADS], NULL, sweep, (void *)ids[0]), 0);
    WAIT_UNTIL(STORM_MS, count(ids[0], "status = 'completed'") >= FILES / 4 || calm(ids));
    enum code code = jobs_cancel(&fx.cx, fx.jobs, ids[0]);
    WAIT_UNTIL(STORM_MS, calm(ids) || atomic_load(&storm.unexpected));
    atomic_store(&storm.over, true);
    for (int i = 0; i <= THREADS; i++)
        pthread_join(threads[i], NULL);
    OK(&fx.cx, code);
    if (atomic_load(&storm.unexpected))
        fail_msg("%d calls failed, the first: %s", atomic_load(&storm.unexpected), storm.why);

    assert_string_equal(fixture_status(ids[0]), "cancelled");
    for (int i = 0; i < BATCHES; i++) {
        assert_int_equal(count(ids[i], "true"), FILES);
        assert_int_equal(count(ids[i], UNFINISHED), 0);
    }
    for (int i = 1; i < BATCHES; i++)
        expect(ids[i], (int)count(ids[i], "status = 'completed'"),
               (int)count(ids[i], "status = 'failed'"), 0,
               (int)count(ids[i], "status = 'cancelled'"));
    assert_int_equal(fixture_number("SELECT count(*) FROM documents"),
                     fixture_number(
                         "SELECT count(*) FROM processing_jobs WHERE parent_job_id IS NOT NULL "
                         "AND status = 'completed'"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(two_last_files_at_once_complete_the_batch, setup),
        cmocka_unit_test_setup(a_storm_loses_nothing, setup),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
