/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_pool_death.c - when a sweeper declares a pool dead, and when it must not (jobs/sweep.c).
 *
 * The verdict depends on the sweeper's own monotonic clock only, so this program wraps that clock
 * (see CMakeLists.txt) and moves it between ticks: ten seconds pass in no time, and no test depends
 * on how busy the machine is. */
#include "tests/support/fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/clk.h"

int64_t __real_clk_mono_ms(void);
int64_t __wrap_clk_mono_ms(void);

static int64_t moved_ms;

int64_t __wrap_clk_mono_ms(void)
{
    return __real_clk_mono_ms() + moved_ms;
}

static struct sweep *sweep;
static char pool[37];
static const char *id;

static int setup(void **state)
{
    if (fixture_empty(state) != 0 || sweep_new(&fx.cx, fx.jobs, &sweep) != CODE_OK)
        return -1;
    fixture_pool(1, pool);
    id = fixture_job("medium");
    fixture_claim(pool, id);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sweep_free(sweep);
    return 0;
}

static void tick_after(int64_t ms)
{
    int sleep_ms;
    moved_ms += ms;
    OK(&fx.cx, sweep_tick(&fx.cx, sweep, &sleep_ms));
    assert_in_range(sleep_ms, 1, 1000);
}

static bool alive(void)
{
    return fixture_number("SELECT count(*) FROM worker_pools WHERE dead_at IS NULL") == 1;
}

static enum code beat(void)
{
    struct pool_worker w = {.name = "general-1", .running = true, .epoch = 1};
    struct pool_orders orders;
    snprintf(w.job_id, sizeof(w.job_id), "%s", id);
    return pools_beat(&fx.cx, fx.jobs, pool, &w, 1, &orders);
}

static void a_pool_whose_beats_stand_still_is_dead_after_ten_seconds_not_before(void **state)
{
    (void)state;
    tick_after(0);
    for (int i = 0; i < 9; i++) {
        tick_after(1000);
        assert_true(alive());
    }
    tick_after(200); /* real time passes too, so not to the last moment */
    assert_true(alive());
    assert_string_equal(fixture_status(id), "processing");
    tick_after(1000);
    assert_false(alive());
    assert_string_equal(fixture_sql(
                            "SELECT status || crash_count || retry_count FROM processing_jobs"),
                        "pending10");
    FAILS(&fx.cx, CODE_CLAIM_LOST, beat()); /* for good: it was only stopped, and finds out */
    assert_int_equal(REDIS("ZCARD", fixture_key("medium")).integer, 1); /* in its lane at once */
}

static void every_beat_gives_it_ten_more(void **state)
{
    (void)state;
    tick_after(0);
    for (int i = 0; i < 40; i++) {
        if (i % 9 == 8)
            OK(&fx.cx, beat());
        tick_after(1000);
        assert_true(alive());
    }
    for (int i = 0; i < 10; i++)
        tick_after(1000);
    assert_false(alive());
}

static void a_sweeper_that_was_not_looking_kills_nobody(void **state)
{
    (void)state;
    tick_after(0);
    tick_after(60000); /* it was stopped, or the database was away: it saw no beat because it saw
                          nothing */
    assert_true(alive());
    for (int i = 0; i < 9; i++)
        tick_after(1000);
    tick_after(3500); /* and again, just before the end */
    assert_true(alive());
    for (int i = 0; i < 9; i++)
        tick_after(1000);
    assert_true(alive());
    tick_after(1000);
    assert_false(alive());
}

static void a_new_sweeper_begins_to_count_anew(void **state)
{
    (void)state;
    tick_after(0);
    for (int i = 0; i < 9; i++)
        tick_after(1000);
    sweep_free(sweep);
    OK(&fx.cx, sweep_new(&fx.cx, fx.jobs, &sweep));
    for (int i = 0; i < 9; i++)
        tick_after(1000);
    assert_true(alive());
}

static void a_clock_on_the_wall_that_jumps_kills_nobody(void **state)
{
    (void)state;
    tick_after(0);
    fixture_sql("UPDATE worker_pools SET heartbeat_at = now() - interval '1 year'");
    for (int i = 0; i < 5; i++)
        tick_after(1000);
    assert_true(alive());
}

static void others_do_not_die_with_it(void **state)
{
    (void)state;
    char living[37];
    fixture_pool(1, living);
    const char *theirs = fixture_job("medium");
    struct job_claim claim = fixture_claim(living, theirs);
    tick_after(0);
    for (int i = 0; i < 12; i++) {
        struct pool_worker w = {.name = "general-1", .running = true, .epoch = claim.epoch};
        struct pool_orders orders;
        snprintf(w.job_id, sizeof(w.job_id), "%s", theirs);
        OK(&fx.cx, pools_beat(&fx.cx, fx.jobs, living, &w, 1, &orders));
        tick_after(1000);
    }
    assert_string_equal(fixture_status(id), "pending");
    assert_string_equal(fixture_status(theirs), "processing");
    assert_string_equal(fixture_sql("SELECT pool_id FROM worker_pools WHERE dead_at IS NULL"),
                        living);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_pool_whose_beats_stand_still_is_dead_after_ten_seconds_not_before),
        TEST(every_beat_gives_it_ten_more),
        TEST(a_sweeper_that_was_not_looking_kills_nobody),
        TEST(a_new_sweeper_begins_to_count_anew),
        TEST(a_clock_on_the_wall_that_jumps_kills_nobody),
        TEST(others_do_not_die_with_it),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
