/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_submit_many.c - several callers' uploads become jobs in one commit, each with an outcome of
 * its own; and no more of them than QUEUE_MAX_BACKLOG allows (jobs/submit.c, backlog.c). */
#include "tests/support/fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "jobs/backlog.h"
#include "tests/support/wait.h"

static const char *new_id(void)
{
    char *id = ctx_alloc(&fx.cx, 37);
    assert_non_null(id);
    str_uuid(id);
    return id;
}

static int64_t lane_size(const char *lane)
{
    return REDIS("ZCARD", fixture_key(lane)).integer;
}

enum { N = JOBS_MAX_SUBMIT };

struct callers {
    struct ctx cx[N];
    struct job_submission in[N];
    struct job_submit all[N];
};

static struct callers *callers_new(void)
{
    static struct callers c;
    for (int i = 0; i < N; i++) {
        ctx_init(&c.cx[i], 1 << 22);
        c.in[i] = fixture_submission(new_id(), ctx_printf(&fx.cx, "hash %d", i));
        c.all[i] = (struct job_submit){.cx = &c.cx[i], .in = &c.in[i]};
    }
    return &c;
}

static void callers_done(struct callers *c)
{
    for (int i = 0; i < N; i++)
        ctx_done(&c->cx[i]);
}

static void a_group_is_one_commit_and_every_caller_has_its_job(void **state)
{
    (void)state;
    struct callers *c = callers_new();
    static const char *const lanes[] = {"high", "medium", "low"};
    for (int i = 0; i < N; i++)
        c->in[i].priority = lanes[i % 3];
    jobs_submit_many(fx.jobs, c->all, N);
    for (int i = 0; i < N; i++) {
        assert_int_equal(c->cx[i].failure.code, CODE_OK);
        assert_string_equal(c->all[i].out.job_id, c->in[i].job_id);
        assert_int_equal(REDIS("ZSCORE", fixture_key(lanes[i % 3]), c->in[i].job_id).type, KV_TEXT);
        assert_string_equal(fixture_sql("SELECT content_hash || priority FROM processing_jobs "
                                        "WHERE job_id = '%s'",
                                        c->in[i].job_id),
                            ctx_printf(&fx.cx, "hash %d%s", i, lanes[i % 3]));
    }
    assert_int_equal(fixture_number("SELECT count(DISTINCT xmin::text) FROM processing_jobs"), 1);
    callers_done(c);
}

static void one_bad_row_fails_alone(void **state)
{
    (void)state;
    struct callers *c = callers_new();
    c->in[3].metadata_json = "{\"a\": \"\\u0000\"}"; /* the server's own checks let none through */
    c->in[7].priority = "none";
    char *long_json = ctx_alloc(&fx.cx, (1 << 20) + 20);
    memset(long_json, ' ', 1 << 20);
    memcpy(long_json + (1 << 20), "{}", 2);
    c->in[9].metadata_json = long_json;
    jobs_submit_many(fx.jobs, c->all, N);
    for (int i = 0; i < N; i++) {
        enum code want = i == 3 || i == 7 ? CODE_INTERNAL
                         : i == 9         ? CODE_INVALID_ARGUMENT
                                          : CODE_OK;
        assert_int_equal(c->cx[i].failure.code, want);
        assert_int_equal(c->all[i].out.job_id != NULL, want == CODE_OK);
        assert_false(c->all[i].out.unsure);
        assert_int_equal(fixture_number("SELECT count(*) FROM processing_jobs WHERE job_id = '%s'",
                                        c->in[i].job_id),
                         want == CODE_OK);
    }
    callers_done(c);
}

static void keys_are_settled_within_a_group(void **state)
{
    (void)state;
    struct callers *c = callers_new();
    struct job_submission first = fixture_submission(new_id(), "hash 1");
    struct job_submitted out;
    first.idempotency_key = c->in[1].idempotency_key = "known";
    OK(&fx.cx, jobs_submit(&fx.cx, fx.jobs, &first, &out));
    c->in[5].idempotency_key = c->in[2].idempotency_key = "twice"; /* with other bytes */
    c->in[6].idempotency_key = c->in[8].idempotency_key = "same";
    c->in[8].content_hash = c->in[6].content_hash;
    c->in[9].idempotency_key = "known"; /* with other bytes */
    jobs_submit_many(fx.jobs, c->all, N);
    for (int i = 0; i < N; i++)
        assert_int_equal(c->cx[i].failure.code, i == 5 || i == 9 ? CODE_ALREADY_EXISTS : CODE_OK);
    assert_true(c->all[1].out.existed);
    assert_string_equal(c->all[1].out.job_id, first.job_id);
    assert_false(c->all[2].out.existed); /* the first of the group */
    assert_false(c->all[6].out.existed);
    assert_true(c->all[8].out.existed);
    assert_string_equal(c->all[8].out.job_id, c->in[6].job_id);
    assert_int_equal(fixture_number("SELECT count(*) FROM processing_jobs"), 1 + N - 4);
    assert_int_equal(lane_size("medium"), 1 + N - 4);
    callers_done(c);
}

/* ---- two servers, the same keys in opposite orders ---- */

struct crossing {
    pthread_t thread;
    pthread_barrier_t *start;
    struct jobs *jobs;
    bool backwards;
    char ids[N][37];
    char got[N][37];
    enum code codes[N];
};

static void *submit_crossing(void *arg)
{
    struct crossing *x = arg;
    struct ctx cx[N];
    struct job_submission in[N];
    struct job_submit all[N];
    char keys[N][16];
    for (int i = 0; i < N; i++) {
        ctx_init(&cx[i], 1 << 20);
        snprintf(keys[i], sizeof(keys[i]), "key %d", x->backwards ? N - 1 - i : i);
        in[i] = fixture_submission(x->ids[i], keys[i]);
        in[i].idempotency_key = keys[i];
        all[i] = (struct job_submit){.cx = &cx[i], .in = &in[i]};
    }
    pthread_barrier_wait(x->start);
    jobs_submit_many(x->jobs, all, N);
    for (int i = 0; i < N; i++) {
        int key = x->backwards ? N - 1 - i : i;
        x->codes[key] = cx[i].failure.code;
        snprintf(x->got[key], sizeof(x->got[key]), "%s",
                 all[i].out.job_id ? all[i].out.job_id : "");
        ctx_done(&cx[i]);
    }
    return NULL;
}

static int64_t deadlocks(void)
{
    return fixture_number("SELECT deadlocks FROM pg_stat_database WHERE datname = "
                          "current_database()");
}

static void groups_with_the_same_keys_in_opposite_orders_do_not_block_each_other(void **state)
{
    (void)state;
    static struct crossing x[2];
    int64_t before = deadlocks();
    for (int k = 0; k < 2; k++)
        x[k] = (struct crossing){.jobs = fixture_jobs(), .backwards = k == 1};
    for (int round = 0; round < 20; round++) {
        pthread_barrier_t start;
        pthread_barrier_init(&start, NULL, 2);
        fixture_sql("DELETE FROM processing_jobs");
        for (int k = 0; k < 2; k++) {
            for (int i = 0; i < N; i++)
                str_uuid(x[k].ids[i]);
            x[k].start = &start;
            assert_int_equal(pthread_create(&x[k].thread, NULL, submit_crossing, &x[k]), 0);
        }
        for (int k = 0; k < 2; k++)
            pthread_join(x[k].thread, NULL);
        pthread_barrier_destroy(&start);
        for (int i = 0; i < N; i++) {
            assert_int_equal(x[0].codes[i], CODE_OK);
            assert_int_equal(x[1].codes[i], CODE_OK);
            assert_string_equal(x[0].got[i], x[1].got[i]);
        }
        assert_int_equal(fixture_number("SELECT count(*) FROM processing_jobs"), N);
    }
    for (int k = 0; k < 2; k++)
        jobs_close(x[k].jobs); /* what a connection counted is seen for certain when it has ended */
    assert_int_equal(deadlocks(), before);
}

static void one_callers_short_deadline_does_not_cut_the_others(void **state)
{
    (void)state;
    struct callers *c = callers_new();
    c->cx[0].deadline_ms = 1; /* long ago */
    jobs_submit_many(fx.jobs, c->all, N);
    for (int i = 0; i < N; i++)
        assert_string_equal(c->all[i].out.job_id, c->in[i].job_id);
    callers_done(c);
}

static void a_group_fills_the_backlog_to_its_limit_and_not_beyond(void **state)
{
    (void)state;
    struct callers *c = callers_new();
    fixture_job("low");
    fx.settings.queue_max_backlog = 12;
    c->in[0].metadata_json = "{\"a\": \"\\u0000\"}";
    jobs_submit_many(fx.jobs, c->all, N); /* the bad one's place is free again, for the next */
    for (int i = 0; i < N; i++)
        assert_int_equal(c->cx[i].failure.code, i == 0    ? CODE_INTERNAL
                                                : i <= 10 ? CODE_OK
                                                          : CODE_UNAVAILABLE);
    CONTAINS(ctx_message(&c->cx[N - 1]), "QUEUE_MAX_BACKLOG");
    callers_done(c);
    c = callers_new();
    jobs_submit_many(fx.jobs, c->all, N);
    for (int i = 0; i < N; i++)
        assert_int_equal(c->cx[i].failure.code, i == 0 ? CODE_OK : CODE_UNAVAILABLE);
    assert_int_equal(fixture_number("SELECT count(*) FROM processing_jobs"), 12);
    FAILS(&fx.cx, CODE_UNAVAILABLE, backlog_check(&fx.cx, &fx.settings)); /* known without asking */
    callers_done(c);
}

static void what_waits_later_is_no_backlog(void **state)
{
    (void)state;
    struct job_submission in = fixture_submission(new_id(), "hash");
    struct job_submitted out;
    for (int i = 0; i < 5; i++)
        fixture_job("low");
    fixture_sql("UPDATE processing_jobs SET ready_at = 'infinity'"); /* files of a batch */
    fx.settings.queue_max_backlog = 1;
    OK(&fx.cx, jobs_submit(&fx.cx, fx.jobs, &in, &out));
    in.job_id = new_id();
    FAILS(&fx.cx, CODE_UNAVAILABLE, jobs_submit(&fx.cx, fx.jobs, &in, &out));
}

static void a_closed_or_full_queue_takes_nothing(void **state)
{
    (void)state;
    struct job_submission in = fixture_submission(new_id(), "hash");
    struct job_submitted out;
    fx.settings.queue_enabled = false;
    CONTAINS(FAILS(&fx.cx, CODE_UNAVAILABLE, jobs_submit(&fx.cx, fx.jobs, &in, &out)),
             "TASK_QUEUE_ENABLED");
    fx.settings.queue_enabled = true;
    fx.settings.queue_max_backlog = 2;
    fixture_job("low");
    fixture_job("low");
    CONTAINS(FAILS(&fx.cx, CODE_UNAVAILABLE, jobs_submit(&fx.cx, fx.jobs, &in, &out)),
             "QUEUE_MAX_BACKLOG");
    fixture_sql("UPDATE processing_jobs SET status = 'cancelled' WHERE id = (SELECT min(id) FROM "
                "processing_jobs)");
    /* Finished jobs are no backlog; it is counted once a second. */
    WAIT_UNTIL(10000,
               jobs_submit(&fx.cx, fx.jobs, &in, &out) == CODE_OK || (ctx_clear(&fx.cx), false));
    FAILS(&fx.cx, CODE_UNAVAILABLE, jobs_submit(&fx.cx, fx.jobs, &in, &out));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, fixture_empty)
    const struct CMUnitTest tests[] = {
        TEST(a_group_is_one_commit_and_every_caller_has_its_job),
        TEST(one_bad_row_fails_alone),
        TEST(keys_are_settled_within_a_group),
        TEST(groups_with_the_same_keys_in_opposite_orders_do_not_block_each_other),
        TEST(one_callers_short_deadline_does_not_cut_the_others),
        TEST(a_group_fills_the_backlog_to_its_limit_and_not_beyond),
        TEST(what_waits_later_is_no_backlog),
        TEST(a_closed_or_full_queue_takes_nothing),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
