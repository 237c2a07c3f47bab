/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_sweep.c - whatever happens to the hints, the rows are enough (jobs/sweep.c, queue.c). */
#include "tests/support/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "jobs/queue.h"
#include "tests/support/wait.h"

static int64_t lane(const char *priority)
{
    return REDIS("ZCARD", fixture_key(priority)).integer;
}

static bool overflowed(const char *priority)
{
    return REDIS("EXISTS", fixture_key(ctx_printf(&fx.cx, "overflow:%s", priority))).integer == 1;
}

/* n waiting rows, oldest first, `apart` microseconds apart, the newest ten seconds old. */
static void backlog(const char *priority, int n, int apart)
{
    fixture_sql(
        "INSERT INTO processing_jobs (job_id, task_type, priority, payload, max_retries, ready_at) "
        "SELECT gen_random_uuid(), 'single_document', '%s', '{}', 3, now() - interval '10 seconds' "
        "- "
        "(%d - i) * %d * interval '1 microsecond' FROM generate_series(1, %d) AS i",
        priority, n, apart, n);
    fixture_sql("ANALYZE processing_jobs");
}

static void age(const char *id)
{
    fixture_sql(
        "UPDATE processing_jobs SET ready_at = now() - interval '2 seconds' WHERE job_id = '%s'",
        id);
}

/* ---- lost hints ---- */

static void a_push_that_was_lost_is_made_up_for(void **state)
{
    (void)state;
    const char *id = fixture_job("medium");
    fixture_forget_redis();
    fixture_sweep();
    assert_int_equal(lane("medium"), 0); /* its push may be on its way: a second's grace */
    age(id);
    fixture_sweep();
    assert_int_equal(lane("medium"), 1);
    assert_int_equal(REDIS("ZSCORE", fixture_key("medium"), id).type, KV_TEXT);
}

/* A sweeper that has looked before does not begin with the oldest row again, but nothing may be
 * lost. */
static void a_row_is_found_again_by_the_same_sweeper(void **state)
{
    (void)state;
    struct sweep *s;
    int sleep_ms;
    const char *old = fixture_job("medium"), *young = fixture_job("medium");
    fixture_sql(
        "UPDATE processing_jobs SET ready_at = now() - interval '1 hour' WHERE job_id = '%s'", old);
    age(young);
    OK(&fx.cx, sweep_new(&fx.cx, fx.jobs, &s));
    for (int i = 0; i < 3; i++) { /* each time Redis has lost all, or only the oldest was taken */
        fixture_forget_redis();
        OK(&fx.cx, sweep_tick(&fx.cx, s, &sleep_ms));
        assert_int_equal(lane("medium"), 2);
        REDIS("ZREM", fixture_key("medium"), old);
        OK(&fx.cx, sweep_tick(&fx.cx, s, &sleep_ms));
        assert_int_equal(lane("medium"), 2);
    }
    /* A transaction that took its time: older than the head, and committed after it was looked for.
     */
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, old));
    fixture_forget_redis();
    OK(&fx.cx, sweep_tick(&fx.cx, s, &sleep_ms));
    fixture_sql(
        "UPDATE processing_jobs SET ready_at = now() - interval '9 seconds' WHERE job_id = '%s'",
        young);
    fixture_forget_redis();
    OK(&fx.cx, sweep_tick(&fx.cx, s, &sleep_ms));
    assert_int_equal(lane("medium"), 1);
    sweep_free(s);
}

static void an_older_row_is_found_though_newer_ones_are_in_the_lane(void **state)
{
    (void)state;
    const char *old = fixture_job("medium");
    fixture_forget_redis();
    age(old);
    fixture_job("medium");
    fixture_sweep();
    assert_string_equal(REDIS("ZRANGE", fixture_key("medium"), "0", "0").items[0].text, old);
}

static void redis_that_lost_everything_is_filled_from_the_rows(void **state)
{
    (void)state;
    backlog("high", 200, 1000);
    backlog("medium", 1000, 1000);
    backlog("low", 300, 1000);
    fixture_sweep();
    fixture_forget_redis();
    REDIS("SCRIPT", "FLUSH");
    fixture_sweep();
    assert_int_equal(lane("high"), 200);
    assert_int_equal(lane("medium"), 1000);
    assert_int_equal(lane("low"), 300);
    assert_false(overflowed("medium"));
    fixture_sweep(); /* twice is the same as once */
    assert_int_equal(lane("medium"), 1000);
}

static void only_rows_that_may_run_are_pushed(void **state)
{
    (void)state;
    char pool[37];
    fixture_pool(1, pool);
    const char *running = fixture_job("low"), *cancelled = fixture_job("low"),
               *later = fixture_job("low");
    fixture_claim(pool, running);
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, cancelled));
    fixture_sql(
        "UPDATE processing_jobs SET ready_at = CASE job_id WHEN '%s' THEN 'infinity' ELSE now() - "
        "interval '1 hour' END",
        later);
    fixture_forget_redis();
    fixture_sweep();
    assert_int_equal(lane("low"), 0);
}

static void a_retry_comes_due(void **state)
{
    (void)state;
    char pool[37];
    struct sweep *s;
    int sleep_ms;
    fixture_pool(1, pool);
    const char *id = fixture_job("low");
    struct job_claim claim = fixture_claim(pool, id);
    OK(&fx.cx, jobs_fail(&fx.cx, fx.jobs, &claim, CODE_UNAVAILABLE, "away"));
    fixture_forget_redis();
    OK(&fx.cx, sweep_new(&fx.cx, fx.jobs, &s));
    OK(&fx.cx, sweep_tick(&fx.cx, s, &sleep_ms));
    assert_int_equal(lane("low"), 0);
    assert_int_equal(sleep_ms, 1000); /* due in a minute */
    fixture_sql("UPDATE processing_jobs SET ready_at = now() + interval '300 milliseconds'");
    OK(&fx.cx, sweep_tick(&fx.cx, s, &sleep_ms));
    assert_in_range(sleep_ms, 20, 300);
    age(id);
    OK(&fx.cx, sweep_tick(&fx.cx, s, &sleep_ms));
    sweep_free(s);
    assert_int_equal(lane("low"), 1);
    assert_int_equal(fixture_claim(pool, id).retry_count, 1);
}

/* ---- a backlog larger than a lane ---- */

/* Pops n ids and ends their jobs; the scores must not fall. */
static int drain(const char *priority, int n, double *last_score)
{
    struct kv_reply r = REDIS("ZPOPMIN", fixture_key(priority), ctx_printf(&fx.cx, "%d", n));
    CLEANUP(buf_done) struct buf ids = BUF_INIT(0);
    for (size_t i = 0; i + 1 < r.n; i += 2) {
        double score = strtod(r.items[i + 1].text, NULL);
        assert_true(score >= *last_score);
        *last_score = score;
        buf_printf(&ids, "%s'%s'", i ? "," : "", r.items[i].text);
    }
    if (!r.n)
        return 0;
    int64_t ended =
        fixture_number("WITH x AS (UPDATE processing_jobs SET status = 'cancelled', completed_at = "
                       "now() WHERE job_id IN (%s) AND status = 'pending' RETURNING 1) SELECT "
                       "count(*) FROM x",
                       buf_cstr(&ids));
    assert_int_equal(ended, r.n / 2); /* none was given out twice */
    return (int)ended;
}

static void drain_all(const char *priority, int total, bool in_order)
{
    double last = 0;
    int done = 0, ticks = 0;
    while (done < total) {
        fixture_sweep();
        assert_true(lane(priority) <= QUEUE_LANE_CAP);
        if (!in_order)
            last = 0;
        int n = drain(priority, 3000, &last);
        if (n == 0 && ++ticks > 5)
            fail_msg("%d of %d jobs came out", done, total);
        done += n;
        struct arena *a = &fx.cx.arena;
        if (a->total > (size_t)64 << 20)
            ctx_done(&fx.cx);
    }
    assert_int_equal(done, total);
    fixture_sweep();
    assert_int_equal(lane(priority), 0);
    assert_false(overflowed(priority));
}

static void a_backlog_larger_than_the_lane_drains_in_order(void **state)
{
    (void)state;
    backlog("medium", 25000, 1000);
    fixture_sweep();
    assert_true(overflowed("medium"));
    assert_in_range(lane("medium"), 5000, QUEUE_LANE_CAP);
    fixture_sweep();
    assert_in_range(lane("medium"), QUEUE_LANE_CAP - 1, QUEUE_LANE_CAP);
    const char *late = fixture_job("medium"); /* overtakes nobody: the lane is the sweep's now */
    assert_int_equal(REDIS("ZSCORE", fixture_key("medium"), late).type, KV_NIL);
    drain_all("medium", 25001, true);
}

static void rows_of_one_moment_drain_too(void **state)
{
    (void)state;
    backlog("low", 12000, 0); /* one INSERT, one now(): all scores are the same */
    drain_all("low", 12000, true);
}

static void a_push_that_fills_the_lane_marks_it_and_the_mark_goes_when_all_is_in(void **state)
{
    (void)state;
    struct queue_entry *entries = ctx_array(&fx.cx, QUEUE_LANE_CAP, sizeof(*entries));
    assert_non_null(entries);
    for (int i = 0; i < QUEUE_LANE_CAP; i++) {
        entries[i].ready_ms = i + 1;
        str_uuid(entries[i].job_id);
    }
    OK(&fx.cx, queue_push(&fx.cx, fx.jobs, "low", false, entries, QUEUE_LANE_CAP));
    assert_int_equal(lane("low"), QUEUE_LANE_CAP);
    assert_false(overflowed("low"));
    const char *over = fixture_job("low");
    assert_true(overflowed("low"));
    assert_int_equal(lane("low"), QUEUE_LANE_CAP);
    fixture_forget_redis();
    REDIS("SET", fixture_key("overflow:low"), "1");
    fixture_sweep(); /* the row is younger than a second, but the mark says that its push was
                        dropped */
    assert_int_equal(REDIS("ZSCORE", fixture_key("low"), over).type, KV_TEXT);
    assert_false(overflowed("low"));
}

/* ---- hands in the cookie jar ---- */

static void a_foreign_value_under_the_lane_is_removed(void **state)
{
    (void)state;
    const char *id = fixture_job("high");
    age(id);
    static const char *const commands[][2] = {{"SET", "text"}, {"LPUSH", "list"}, {"SADD", "set"}};
    for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
        REDIS("DEL", fixture_key("high"));
        REDIS(commands[i][0], fixture_key("high"), commands[i][1]);
        char ids[1][37];
        int n = -1;
        FAILS(&fx.cx, CODE_INTERNAL, jobs_take(&fx.cx, fx.jobs, true, 10, 1, ids, &n, NULL));
        fixture_sweep();
        assert_int_equal(lane("high"), 1);
        OK(&fx.cx, jobs_take(&fx.cx, fx.jobs, true, 10, 1, ids, &n, NULL));
        assert_int_equal(n, 1);
        assert_string_equal(ids[0], id);
    }
}

static void scores_that_are_no_times_do_not_stop_the_sweep(void **state)
{
    (void)state;
    char pool[37];
    static const char *const scores[] = {"inf", "-inf", "1e300", "-5", "9e18"};
    for (unsigned i = 0; i < ARRAY_LEN(scores); i++) {
        assert_int_equal(fixture_empty(state), 0);
        fixture_pool(1, pool);
        const char *held = fixture_job("low"), *lost = fixture_job("low");
        fixture_claim(pool, held);
        fixture_forget_redis();
        age(lost);
        fixture_sql("UPDATE worker_pools SET dead_at = now()");
        REDIS("ZADD", fixture_key("low"), scores[i], "00000000-0000-4000-8000-000000000000");
        REDIS("SET", fixture_key("overflow:low"), "x");
        fixture_sweep();
        assert_string_equal(fixture_status(held), "pending"); /* dead pools first of all */
        char ids[1][37];
        int n = -1;
        OK(&fx.cx, jobs_take(&fx.cx, fx.jobs, false, 10, 1, ids, &n,
                             NULL)); /* whoever is first: take it away */
        fixture_sweep();
        fixture_sweep();
        bool first = n == 1 && strcmp(ids[0], lost) == 0;
        assert_true(first || REDIS("ZSCORE", fixture_key("low"), lost).type == KV_TEXT);
    }
}

/* ---- who sweeps, and what else ---- */

static void of_several_sweepers_one_has_the_tick(void **state)
{
    (void)state;
    struct sweep *s;
    int sleep_ms;
    age(fixture_job("low"));
    fixture_forget_redis();
    OK(&fx.cx, sweep_new(&fx.cx, fx.jobs, &s));
    fixture_sql("BEGIN");
    fixture_sql("SELECT pg_advisory_xact_lock(7225133814092035)"); /* another process */
    OK(&fx.cx, sweep_tick(&fx.cx, s, &sleep_ms));
    assert_int_equal(sleep_ms, 1000);
    assert_int_equal(lane("low"), 0);
    fixture_sql("COMMIT");
    OK(&fx.cx, sweep_tick(&fx.cx, s, &sleep_ms));
    sweep_free(s);
    assert_int_equal(lane("low"), 1);
}

/* SIGSTOP in the middle of a tick, or a host that vanished: its transaction holds the lock until
 * PostgreSQL ends the session (five seconds, which this test waits for). */
static void a_sweeper_that_stopped_in_its_tick_is_taken_over(void **state)
{
    (void)state;
    CLEANUP(jobs_closep) struct jobs *stopped = fixture_jobs();
    CLEANUP(db_result_freep) struct db_result *lock = NULL;
    OK(&fx.cx, db_begin(&fx.cx, stopped->db));
    OK(&fx.cx, db_run(&fx.cx, stopped->db, &q_sweep_lock, DB_NO_ARGS, &lock));
    assert_true(db_get_bool(lock, 0, 0));
    const char *id = fixture_job("medium");
    fixture_sql("UPDATE processing_jobs SET ready_at = now() - interval '2 seconds' "
                "WHERE job_id = '%s'",
                id);
    fixture_forget_redis();
    fixture_sweep();
    assert_int_equal(REDIS("ZCARD", fixture_key("medium")).integer, 0);
    WAIT_UNTIL(60000, (fixture_sweep(), REDIS("ZCARD", fixture_key("medium")).integer == 1));
    FAILS(&fx.cx, CODE_UNAVAILABLE, /* what it still wanted to do is not done */
          db_run(&fx.cx, stopped->db, &q_dead_jobs, DB_NO_ARGS, NULL));
}

static void dead_pools_are_freed_while_redis_is_away(void **state)
{
    (void)state;
    char pool[37];
    fixture_pool(1, pool);
    const char *id = fixture_job("low");
    fixture_claim(pool, id);
    fixture_sql("UPDATE worker_pools SET dead_at = now()");
    struct settings away = fx.settings;
    away.redis = (struct kv_endpoint){.host = "127.0.0.1", .port = 1};
    CLEANUP(jobs_closep) struct jobs *jobs = NULL;
    struct sweep *s;
    int sleep_ms;
    OK(&fx.cx, jobs_open(&fx.cx, &away, "test", &jobs));
    OK(&fx.cx, sweep_new(&fx.cx, jobs, &s));
    OK(&fx.cx, sweep_tick(&fx.cx, s, &sleep_ms));
    sweep_free(s);
    assert_string_equal(fixture_status(id), "pending");
}

static void jobs_of_a_pool_nobody_knows_are_freed(void **state)
{
    (void)state;
    char pool[37];
    fixture_pool(1, pool);
    const char *id = fixture_job("low");
    fixture_claim(pool, id);
    fixture_sql("DELETE FROM worker_pools");
    fixture_sweep();
    assert_string_equal(fixture_status(id), "pending");
}

/* It has waited its turn. Without its push, and by a sweeper that has looked at newer rows only for
 * a while, it is found as well. */
static void a_job_of_a_dead_pool_keeps_its_place(void **state)
{
    (void)state;
    char pool[37];
    struct sweep *s;
    int sleep_ms;
    fixture_pool(1, pool);
    const char *first = fixture_job("low");
    fixture_sql("UPDATE processing_jobs SET ready_at = now() - interval '1 hour'");
    fixture_claim(pool, first);
    const char *second = fixture_job("low");
    age(second);
    fixture_forget_redis();
    OK(&fx.cx, sweep_new(&fx.cx, fx.jobs, &s));
    OK(&fx.cx, sweep_tick(&fx.cx, s, &sleep_ms));
    assert_int_equal(lane("low"), 1);
    fixture_sql("UPDATE worker_pools SET dead_at = now()");
    for (int i = 0; i < 2; i++) {
        OK(&fx.cx, sweep_tick(&fx.cx, s, &sleep_ms));
        struct kv_reply r = REDIS("ZRANGE", fixture_key("low"), "0", "-1");
        assert_int_equal(r.n, 2);
        assert_string_equal(r.items[0].text, first);
        assert_string_equal(r.items[1].text, second);
        REDIS("ZREM", fixture_key("low"), first);
    }
    sweep_free(s);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, fixture_empty)
    const struct CMUnitTest tests[] = {
        TEST(a_push_that_was_lost_is_made_up_for),
        TEST(a_row_is_found_again_by_the_same_sweeper),
        TEST(an_older_row_is_found_though_newer_ones_are_in_the_lane),
        TEST(redis_that_lost_everything_is_filled_from_the_rows),
        TEST(only_rows_that_may_run_are_pushed),
        TEST(a_retry_comes_due),
        TEST(a_backlog_larger_than_the_lane_drains_in_order),
        TEST(rows_of_one_moment_drain_too),
        TEST(a_push_that_fills_the_lane_marks_it_and_the_mark_goes_when_all_is_in),
        TEST(a_foreign_value_under_the_lane_is_removed),
        TEST(scores_that_are_no_times_do_not_stop_the_sweep),
        TEST(of_several_sweepers_one_has_the_tick),
        TEST(a_sweeper_that_stopped_in_its_tick_is_taken_over),
        TEST(dead_pools_are_freed_while_redis_is_away),
        TEST(jobs_of_a_pool_nobody_knows_are_freed),
        TEST(a_job_of_a_dead_pool_keeps_its_place),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
