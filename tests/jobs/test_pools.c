/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_pools.c - the lease of a worker pool: registering, beating, ending (jobs/pools.c, health.c).
 */
#include "tests/support/fixture.h"
#include "tests/support/wait.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "jobs/state.h"

static char pool[37];
static struct pool_worker workers[2];
static struct pool_orders orders;

static int setup(void **state)
{
    if (fixture_empty(state) != 0)
        return -1;
    memset(workers, 0, sizeof(workers));
    snprintf(workers[0].name, sizeof(workers[0].name), "high-priority-1");
    snprintf(workers[1].name, sizeof(workers[1].name), "general-1");
    workers[0].high_only = true;
    workers[0].running = workers[1].running = true;
    return pools_register(&fx.cx, fx.jobs, workers, 2, pool) == CODE_OK ? 0 : -1;
}

static enum code beat(void)
{
    return pools_beat(&fx.cx, fx.jobs, pool, workers, 2, &orders);
}

static struct job_claim at_work(const char *id)
{
    struct job_claim claim = fixture_claim(pool, id);
    snprintf(workers[1].job_id, sizeof(workers[1].job_id), "%s", id);
    workers[1].epoch = claim.epoch;
    return claim;
}

static void a_registered_pool_is_seen_with_its_workers(void **state)
{
    (void)state;
    workers[1].processed = 7;
    workers[1].failed = 2;
    const char *id = fixture_job("low");
    at_work(id);
    OK(&fx.cx, beat());
    fx.settings.max_workers = 2;
    Localrag__V1__WorkerHealth health = LOCALRAG__V1__WORKER_HEALTH__INIT;
    OK(&fx.cx, jobs_worker_health(&fx.cx, fx.jobs, &health));
    assert_int_equal(health.status,
                     LOCALRAG__V1__WORKER_HEALTH_STATUS__WORKER_HEALTH_STATUS_HEALTHY);
    assert_int_equal(health.n_workers, 2);
    assert_int_equal(health.running_workers, 2);
    assert_int_equal(health.total_processed, 7);
    assert_int_equal(health.total_failed, 2);
    const Localrag__V1__Worker *high = health.workers[0], *general = health.workers[1];
    assert_string_equal(high->worker_id, "high-priority-1");
    assert_int_equal(high->priority, LOCALRAG__V1__WORKER_PRIORITY__WORKER_PRIORITY_HIGH);
    assert_string_equal(general->worker_id, "general-1");
    assert_string_equal(general->current_job, id);
    assert_string_equal(general->pool_id, pool);
    assert_string_equal(general->host, pools_host());
    assert_int_equal(general->pid, getpid());
    CONTAINS(general->pool_worker_id, "general-1@");
    assert_non_null(general->last_heartbeat);
}

static void health_says_what_is_wrong(void **state)
{
    (void)state;
    Localrag__V1__WorkerHealth health = LOCALRAG__V1__WORKER_HEALTH__INIT;
#define HEALTH(s)                                                                                  \
    localrag__v1__worker_health__init(&health);                                                    \
    OK(&fx.cx, jobs_worker_health(&fx.cx, fx.jobs, &health));                                      \
    assert_int_equal(health.status, LOCALRAG__V1__WORKER_HEALTH_STATUS__WORKER_HEALTH_STATUS_##s)
    fx.settings.max_workers = 4;
    OK(&fx.cx, beat());
    HEALTH(DEGRADED);
    CONTAINS(health.message, "2 wanted");
    fixture_sql("UPDATE worker_pools SET heartbeat_at = now() - interval '1 minute'");
    HEALTH(UNHEALTHY);
    fixture_sql(
        "INSERT INTO worker_control (running, changed_at) VALUES (false, '2026-01-31T12:00:00Z')");
    HEALTH(STOPPED);
    CONTAINS(health.message, "2026-01-31T12:00:00Z");
    fx.settings.queue_enabled = false;
    HEALTH(DISABLED);
    fx.settings.queue_enabled = true;
    fixture_sql("DELETE FROM worker_control");
    fx.settings.workers_auto_start = false;
    HEALTH(STOPPED);
}

static void waiting_jobs_are_counted_by_priority(void **state)
{
    (void)state;
    fixture_job("high");
    fixture_job("low");
    fixture_job("low");
    struct job_claim claim = fixture_claim(pool, fixture_job("medium"));
    OK(&fx.cx, jobs_fail(&fx.cx, fx.jobs, &claim, CODE_UNAVAILABLE, "x")); /* retrying waits too */
    fixture_claim(pool, fixture_job("medium"));
    Localrag__V1__QueueStats stats = LOCALRAG__V1__QUEUE_STATS__INIT;
    OK(&fx.cx, jobs_queue_stats(&fx.cx, fx.jobs, &stats));
    assert_int_equal(stats.queue_lengths->high, 1);
    assert_int_equal(stats.queue_lengths->medium, 1);
    assert_int_equal(stats.queue_lengths->low, 2);
    assert_int_equal(stats.total_pending, 4);
}

static void a_beat_stores_progress_that_never_falls(void **state)
{
    (void)state;
    const char *id = fixture_job("low");
    at_work(id);
    workers[1].progress_due = true;
    workers[1].percent = 40;
    workers[1].pages_done = 4;
    workers[1].pages_total = 10;
    snprintf(workers[1].message, sizeof(workers[1].message), "page 5 of 10");
    OK(&fx.cx, beat());
    assert_string_equal(fixture_sql(
                            "SELECT progress || ' ' || pages_done || ' ' || progress_message FROM "
                            "processing_jobs"),
                        "40 4 page 5 of 10");
    workers[1].percent = 30;
    OK(&fx.cx, beat());
    assert_string_equal(fixture_sql("SELECT progress FROM processing_jobs"), "40");
    workers[1].progress_due = false;
    workers[1].percent = 80;
    OK(&fx.cx, beat());
    assert_string_equal(fixture_sql("SELECT progress FROM processing_jobs"), "40");
}

static void nonsense_from_one_worker_does_not_cost_the_pool_its_lease(void **state)
{
    (void)state;
    static const struct {
        double percent;
        const char *message;
    } cases[] = {{150, "too much"},
                 {-3, "too little"},
                 {NAN, "no number"},
                 {INFINITY, "too far"},
                 {50, "cut in the middle \xe6\x96"}};
    const char *id = fixture_job("low");
    at_work(id);
    workers[1].progress_due = true;
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        workers[1].percent = cases[i].percent;
        snprintf(workers[1].message, sizeof(workers[1].message), "%s", cases[i].message);
        OK(&fx.cx, beat());
    }
    assert_string_equal(fixture_sql("SELECT progress_message FROM processing_jobs"),
                        "cut in the middle ");
    assert_string_equal(fixture_sql("SELECT progress < 100 FROM processing_jobs"), "t");
}

static int64_t updates(const char *table, const char *kind)
{
    return fixture_number("SELECT n_tup_%supd FROM pg_stat_user_tables WHERE relname = '%s'", kind,
                          table);
}

/* An index on what a beat writes would turn every beat into a write of all indexes of the row. */
static void beats_with_progress_touch_no_index(void **state)
{
    (void)state;
    static const char *const tables[] = {"processing_jobs", "worker_pools", "workers"};
    enum { BEATS = 100, TABLES = ARRAY_LEN(tables) };
    int64_t all[TABLES], hot[TABLES];
    at_work(fixture_job("low"));
    /* What a connection counted is seen for certain when it has ended. */
    struct jobs *jobs = fixture_jobs();
    assert_non_null(jobs);
    for (unsigned i = 0; i < TABLES; i++) {
        all[i] = updates(tables[i], "");
        hot[i] = updates(tables[i], "hot_");
    }
    for (int i = 0; i < BEATS; i++) {
        workers[1].progress_due = true;
        workers[1].percent = i;
        workers[1].pages_done = i;
        workers[1].pages_total = BEATS;
        workers[1].processed = i;
        snprintf(workers[1].message, sizeof(workers[1].message), "Processing page %d", i);
        OK(&fx.cx, pools_beat(&fx.cx, jobs, pool, workers, 2, &orders));
    }
    jobs_close(jobs);
    for (unsigned i = 0; i < TABLES; i++) {
        WAIT_UNTIL(20000, updates(tables[i], "") >= all[i] + BEATS - 1);
        /* Now and then a page is full: that version moves to another one. */
        if (updates(tables[i], "hot_") - hot[i] < BEATS * 9 / 10)
            fail_msg("%s: only %d of %d updates were HOT", tables[i],
                     (int)(updates(tables[i], "hot_") - hot[i]),
                     (int)(updates(tables[i], "") - all[i]));
    }
}

static void a_beat_brings_back_what_was_lost(void **state)
{
    (void)state;
    const char *kept = fixture_job("low"), *cancelled = fixture_job("low");
    snprintf(workers[0].job_id, 37, "%s", kept);
    workers[0].epoch = fixture_claim(pool, kept).epoch;
    at_work(cancelled);
    OK(&fx.cx, beat());
    assert_int_equal(orders.n_lost, 0);
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, cancelled));
    OK(&fx.cx, beat());
    assert_int_equal(orders.n_lost, 1);
    assert_string_equal(orders.lost[0], cancelled);
    workers[0].epoch--; /* an older claim of the other one */
    OK(&fx.cx, beat());
    assert_int_equal(orders.n_lost, 2);
}

static void a_beat_brings_back_what_an_operator_wants(void **state)
{
    (void)state;
    OK(&fx.cx, beat());
    assert_true(orders.want_running); /* nobody said anything: TASK_WORKERS_AUTO_START */
    fx.settings.workers_auto_start = false;
    OK(&fx.cx, beat());
    assert_false(orders.want_running);
    fixture_sql("INSERT INTO worker_control (running, now) VALUES (true, false)");
    OK(&fx.cx, beat());
    assert_true(orders.want_running);
    fixture_sql("UPDATE worker_control SET running = false, now = true");
    OK(&fx.cx, beat());
    assert_false(orders.want_running);
    assert_true(orders.now);
}

static void a_dead_pool_is_told_at_its_next_beat(void **state)
{
    (void)state;
    fixture_sql("UPDATE worker_pools SET dead_at = now()");
    FAILS(&fx.cx, CODE_CLAIM_LOST, beat());
    fixture_sql("DELETE FROM worker_pools");
    FAILS(&fx.cx, CODE_CLAIM_LOST, beat());
    OK(&fx.cx, pools_register(&fx.cx, fx.jobs, workers, 2, pool));
    OK(&fx.cx, beat());
}

static void a_job_the_pool_does_not_know_of_is_handed_back_after_a_while(void **state)
{
    (void)state;
    const char *stray = fixture_job("low"), *fresh = fixture_job("low"), *held = fixture_job("low");
    fixture_claim(pool, stray); /* the answer to this claim was lost on its way */
    fixture_claim(pool, fresh);
    at_work(held);
    fixture_sql("UPDATE processing_jobs SET started_at = now() - interval '6 seconds' WHERE job_id "
                "IN ('%s', "
                "'%s')",
                stray, held);
    fixture_forget_redis();
    for (int i = 0; i < POOL_STRAYS_EVERY; i++)
        OK(&fx.cx, beat());
    assert_string_equal(fixture_status(stray), "pending");
    assert_int_equal(REDIS("ZSCORE", fixture_key("low"), stray).type, KV_TEXT);
    assert_string_equal(fixture_status(fresh), "processing"); /* it may be on its way still */
    assert_string_equal(fixture_status(held), "processing");
    assert_int_equal(fixture_number("SELECT sum(crash_count + retry_count) FROM processing_jobs"),
                     0);
}

/* What runs is found by type (held_jobs): one that is missing there would never be freed. */
static void a_dead_pool_frees_jobs_of_every_type(void **state)
{
    (void)state;
    int types = 0;
    for (int type = 1; *state_task_name(type); type++, types++) {
        const char *id = fixture_job("low");
        fixture_claim(pool, id);
        fixture_sql("UPDATE processing_jobs SET task_type = '%s' WHERE job_id = '%s'",
                    state_task_name(type), id);
    }
    assert_true(types >= 4);
    fixture_sql("UPDATE worker_pools SET dead_at = now()");
    OK(&fx.cx, db_run(&fx.cx, fx.jobs->db, &q_dead_jobs, DB_NO_ARGS, NULL));
    assert_int_equal(fixture_number("SELECT count(*) FROM processing_jobs WHERE status = "
                                    "'pending' AND crash_count = 1"),
                     types);
}

static void a_pool_that_ends_cleanly_hands_back_and_is_gone(void **state)
{
    (void)state;
    const char *id = fixture_job("low");
    at_work(id);
    fixture_forget_redis();
    OK(&fx.cx, pools_close(&fx.cx, fx.jobs, pool));
    assert_int_equal(REDIS("ZSCORE", fixture_key("low"), id).type, KV_TEXT);
    assert_string_equal(fixture_sql(
                            "SELECT status || crash_count || retry_count FROM processing_jobs"),
                        "pending00");
    assert_int_equal(fixture_number("SELECT count(*) FROM worker_pools"), 0);
    assert_int_equal(fixture_number("SELECT count(*) FROM workers"), 0);
    FAILS(&fx.cx, CODE_CLAIM_LOST, beat());
}

static void the_jobs_of_a_process_that_was_seen_to_end_are_free_at_once(void **state)
{
    (void)state;
    const char *id = fixture_job("high");
    at_work(id);
    fixture_forget_redis();
    int n = -1;
    OK(&fx.cx, pools_died(&fx.cx, fx.jobs, pools_host(), getpid() + 1, &n)); /* somebody else */
    assert_int_equal(n, 0);
    OK(&fx.cx, pools_died(&fx.cx, fx.jobs, "another-host", getpid(), &n));
    assert_string_equal(fixture_status(id), "processing");
    OK(&fx.cx, pools_died(&fx.cx, fx.jobs, pools_host(), getpid(), &n));
    assert_int_equal(n, 1);
    assert_string_equal(fixture_sql(
                            "SELECT status || crash_count || retry_count FROM processing_jobs"),
                        "pending10");
    assert_int_equal(REDIS("ZCARD", fixture_key("high")).integer, 1);
    FAILS(&fx.cx, CODE_CLAIM_LOST, beat());
}

static void the_third_crash_of_a_job_is_its_last(void **state)
{
    (void)state;
    const char *id = fixture_job("high");
    fixture_sql("UPDATE processing_jobs SET sealed_password = '\\x00'");
    for (int crash = 1; crash <= 3; crash++) {
        int n;
        at_work(id);
        OK(&fx.cx, pools_died(&fx.cx, fx.jobs, pools_host(), getpid(), &n));
        assert_string_equal(fixture_status(id), crash < 3 ? "pending" : "failed");
        OK(&fx.cx, pools_register(&fx.cx, fx.jobs, workers, 2, pool));
    }
    Localrag__V1__Job *job;
    OK(&fx.cx, jobs_get(&fx.cx, fx.jobs, id, &job));
    assert_string_equal(job->error_code, "WORKER_CRASHED");
    CONTAINS(job->error_message, "3 times");
    assert_non_null(job->completed_at);
    assert_string_equal(fixture_sql("SELECT sealed_password IS NULL FROM processing_jobs"), "t");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
    const struct CMUnitTest tests[] = {
        TEST(a_registered_pool_is_seen_with_its_workers),
        TEST(health_says_what_is_wrong),
        TEST(waiting_jobs_are_counted_by_priority),
        TEST(a_beat_stores_progress_that_never_falls),
        TEST(nonsense_from_one_worker_does_not_cost_the_pool_its_lease),
        TEST(beats_with_progress_touch_no_index),
        TEST(a_beat_brings_back_what_was_lost),
        TEST(a_beat_brings_back_what_an_operator_wants),
        TEST(a_dead_pool_is_told_at_its_next_beat),
        TEST(a_job_the_pool_does_not_know_of_is_handed_back_after_a_while),
        TEST(a_dead_pool_frees_jobs_of_every_type),
        TEST(a_pool_that_ends_cleanly_hands_back_and_is_gone),
        TEST(the_jobs_of_a_process_that_was_seen_to_end_are_free_at_once),
        TEST(the_third_crash_of_a_job_is_its_last),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
