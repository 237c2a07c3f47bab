/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_tampered.c - a Redis in which somebody else wrote, or which refuses us.
 *
 * Whatever is under our keys, and whatever Redis answers: a clear line in the log, no crash, no
 * work without a bound, and when it is over (for what lies under our keys: after the next sweep)
 * jobs are taken again. The program has servers of its own (CMakeLists.txt): it changes the
 * password, makes Redis a replica and takes its memory away. */
#include "tests/support/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "jobs/event.h"
#include "jobs/queue.h"
#include "tests/support/wait.h"

static const char *const lanes[] = {"high", "medium", "low"};
static char log_path[96];

static int setup_all(void **state)
{
    if (fixture_setup(state) != 0)
        return -1;
    snprintf(log_path, sizeof(log_path), "%s/log", fx.folder);
    return log_open("test", LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT, log_path) ? 0 : -1;
}

static int teardown_all(void **state)
{
    (void)log_open("test", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, NULL);
    return fixture_teardown(state);
}

static int setup(void **state)
{
    FILE *f = fopen(log_path, "w");
    if (f)
        fclose(f);
    log_reopen();
    return fixture_empty(state);
}

static int times_logged(const char *what)
{
    char line[2048];
    int n = 0;
    FILE *f = fopen(log_path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f))
        n += strstr(line, what) != NULL;
    fclose(f);
    return n;
}

/* A job whose own push is long gone. */
static const char *waiting_job(const char *priority)
{
    const char *id = fixture_job(priority);
    fixture_sql("UPDATE processing_jobs SET ready_at = now() - interval '2 seconds' "
                "WHERE job_id = '%s'",
                id);
    return id;
}

/* Takes until this id comes; everything before it is what somebody else wrote. */
static void comes(const char *id)
{
    int64_t end = clk_mono_ms() + 20000;
    while (clk_mono_ms() < end) {
        char ids[16][37];
        int n = 0;
        enum code code = jobs_take(&fx.cx, fx.jobs, false, 100, 16, ids, &n, NULL);
        ctx_clear(&fx.cx);
        for (int i = 0; code == CODE_OK && i < n; i++)
            if (strcmp(ids[i], id) == 0)
                return;
    }
    fail_msg("job %s never came", id);
}

static void lanes_of_other_types_are_replaced(void **state)
{
    const char *const making[][4] = {{"SET", "%s", "text", NULL},
                                     {"RPUSH", "%s", "a", NULL},
                                     {"HSET", "%s", "a", "b"},
                                     {"SADD", "%s", "a", NULL}};
    for (unsigned kind = 0; kind < ARRAY_LEN(making); kind++) {
        assert_int_equal(setup(state), 0);
        const char *ids[3];
        for (int i = 0; i < 3; i++) {
            const char *argv[] = {making[kind][0], fixture_key(lanes[i]), making[kind][2],
                                  making[kind][3]};
            fixture_redis(argv[3] ? 4 : 3, argv, NULL);
            ids[i] = waiting_job(lanes[i]); /* its push is refused; the submission is not */
        }
        char taken[1][37];
        int n = -1;
        FAILS(&fx.cx, CODE_INTERNAL, jobs_take(&fx.cx, fx.jobs, false, 100, 1, taken, &n, NULL));
        fixture_sweep();
        assert_int_equal(times_logged("is not what this service stores"), 3);
        for (int i = 0; i < 3; i++)
            comes(ids[i]);
    }
}

static void add_member(const char *lane, const char *score, const char *member, size_t len)
{
    const char *argv[] = {"ZADD", fixture_key(lane), score, member};
    const size_t lens[] = {4, strlen(argv[1]), strlen(score), len};
    fixture_redis(4, argv, lens);
}

static void members_that_are_no_ids_are_dropped(void **state)
{
    (void)state;
    enum { LARGE = 1 << 20 };
    const char *id = waiting_job("medium");
    char behind[64], *large = calloc(1, LARGE);
    assert_non_null(large);
    str_uuid(behind);
    memcpy(behind + 36, "\0junk", 5);
    for (int i = 0; i < 20; i++) {
        memset(large, 'a' + i, LARGE);
        add_member("medium", "-inf", large, LARGE);
    }
    free(large);
    add_member("medium", "-1e300", behind, 41); /* an id, a NUL, and more */
    add_member("medium", "-5", "", 0);
    add_member("medium", "-4", "\0\0\0", 3);
    add_member("medium", "-3", "not-a-uuid\r\n$5\r\n", 16);
    add_member("medium", "inf", "\xff\xfe", 2);
    FAILS(&fx.cx, CODE_INTERNAL, /* Redis itself takes no NaN */
          kv_run(&fx.cx, fx.kv, 0, KV_ARGV("ZADD", fixture_key("medium"), "nan", "x"), NULL));
    char ids[16][37];
    int n = 0;
    OK(&fx.cx, jobs_take(&fx.cx, fx.jobs, false, 100, 1, ids, &n, NULL));
    assert_int_equal(n, 0);
    comes(id);
    assert_true(times_logged("that are no job ids, dropping them") >= 1);
    assert_true(times_logged("aaaa") == 0); /* what it was is nobody's business */
}

/* More than the cap was not put there by us: it goes at once, whatever is in it. */
static void a_million_foreign_members_cost_one_sweep(void **state)
{
    (void)state;
    for (int i = 0; i < 500; i++)
        REDIS("EVAL",
              "local t = {} for i = 1, 2000 do t[2*i-1] = -i t[2*i] = ARGV[1] .. i end "
              "return redis.call('ZADD', KEYS[1], unpack(t))",
              "1", fixture_key("high"), ctx_printf(&fx.cx, "%d:", i));
    assert_int_equal(REDIS("ZCARD", fixture_key("high")).integer, 1000000);
    const char *id = waiting_job("high");
    fixture_sweep();
    assert_int_equal(REDIS("ZCARD", fixture_key("high")).integer, 1);
    assert_int_equal(times_logged("is not what this service stores"), 1);
    comes(id);
}

static bool told(void)
{
    char ids[1][37];
    int n;
    OK(&fx.cx, jobs_take(&fx.cx, fx.jobs, false, 1, 1, ids, &n, NULL));
    return times_logged("that are no job ids, dropping them") >= 1;
}

/* As many as ours may be look like ours; they go as fast as they are taken, told once a second. */
static void a_lane_full_of_foreign_members_drains(void **state)
{
    (void)state;
    REDIS("EVAL", "for i = 1, tonumber(ARGV[1]) do redis.call('ZADD', KEYS[1], i, 'x' .. i) end",
          "1", fixture_key("medium"), ctx_printf(&fx.cx, "%d", QUEUE_LANE_CAP));
    const char *id = waiting_job("medium");
    for (int n = QUEUE_LANE_CAP / 16 + 1; n > 0; n--) {
        char ids[16][37];
        int taken;
        OK(&fx.cx, jobs_take(&fx.cx, fx.jobs, false, 1, 16, ids, &taken, NULL));
        assert_int_equal(taken, 0);
    }
    fixture_sweep();
    comes(id);
    WAIT_UNTIL(5000, told());
    assert_true(times_logged("that are no job ids, dropping them") < 60);
}

static void an_overflow_mark_of_any_type_is_a_mark_and_goes(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        const char *key = fixture_key(ctx_printf(&fx.cx, "overflow:%s", lanes[i]));
        i == 0 ? REDIS("RPUSH", key, "x")
               : (i == 1 ? REDIS("HSET", key, "a", "b") : REDIS("SET", key, "\xff"));
        const char *id = waiting_job(lanes[i]);
        assert_int_equal(REDIS("ZCARD", fixture_key(lanes[i])).integer, 0);
        fixture_sweep();
        assert_int_equal(REDIS("EXISTS", key).integer, 0);
        comes(id);
    }
}

static double progress_of(const char *id)
{
    Localrag__V1__Job *job;
    OK(&fx.cx, jobs_get(&fx.cx, fx.jobs, id, &job));
    return job->progress;
}

static void progress_that_is_not_the_claims_is_not_shown(void **state)
{
    (void)state;
    char pool[37];
    fixture_pool(1, pool);
    const char *id = fixture_job("medium"), *other = fixture_job("medium");
    struct job_claim c = fixture_claim(pool, id);
    const char *key = fixture_key(ctx_printf(&fx.cx, "progress:%s", id));
    const char *const values[] = {
        "",
        "garbage",
        "\xff\xfe\xfd",
        ctx_printf(&fx.cx, "p %s %lld 50.00 5 10 older", id, (long long)c.epoch - 1),
        ctx_printf(&fx.cx, "p %s %lld 50.00 5 10 newer", id, (long long)c.epoch + 1),
        ctx_printf(&fx.cx, "p %s %lld 50.00 5 10 another job", other, (long long)c.epoch),
        ctx_printf(&fx.cx, "p %s %lld nan 5 10 x", id, (long long)c.epoch),
        ctx_printf(&fx.cx, "p %s %lld 101 5 10 x", id, (long long)c.epoch),
        ctx_printf(&fx.cx, "p %s %lld -1 5 10 x", id, (long long)c.epoch),
        ctx_printf(&fx.cx, "p %s %lld 50.00 5 99999999999 x", id, (long long)c.epoch),
        ctx_printf(&fx.cx, "p %s %lld 50.00 5 10 bell\a", id, (long long)c.epoch),
        ctx_printf(&fx.cx, "s %s %lld completed", id, (long long)c.epoch),
    };
    for (unsigned i = 0; i < ARRAY_LEN(values); i++) {
        REDIS("SET", key, values[i]);
        assert_true(progress_of(id) == 0);
    }
    REDIS("SETRANGE", key, "104857600", "x");
    size_t before = fx.cx.arena.total;
    assert_true(progress_of(id) == 0);
    assert_true(fx.cx.arena.total - before < (1 << 20)); /* of 100 MB */
    REDIS("DEL", key);
    REDIS("RPUSH", key, "x");
    assert_true(progress_of(id) == 0);
    jobs_publish_progress(&fx.cx, fx.jobs, &c, &(struct job_progress){.percent = 40});
    assert_true(progress_of(id) == 40); /* ours replaces any type */
}

static void scripts_that_were_flushed_are_taught_again(void **state)
{
    (void)state;
    (void)waiting_job("medium");
    fixture_sweep(); /* both scripts are known */
    REDIS("SCRIPT", "FLUSH");
    const char *id = fixture_job("medium");
    assert_int_equal(REDIS("ZCARD", fixture_key("medium")).integer, 2); /* not left to a sweep */
    REDIS("SCRIPT", "FLUSH");
    fixture_sweep();
    comes(id);
}

/* ---- a Redis that refuses ---- */

/* While it refuses, jobs are accepted, the sweep goes on and says so once; then the job comes. */
static void refused_until(void (*end)(void))
{
    const char *id = waiting_job("medium");
    char ids[1][37];
    int n = 0, sleep_ms;
    struct sweep *s;
    OK(&fx.cx, sweep_new(&fx.cx, fx.jobs, &s));
    for (int i = 0; i < 3; i++)
        OK(&fx.cx, sweep_tick(&fx.cx, s, &sleep_ms));
    assert_int_equal(times_logged("could not feed the lane"), 1);
    (void)!jobs_take(&fx.cx, fx.jobs, false, 1, 1, ids, &n, NULL);
    ctx_clear(&fx.cx);
    assert_int_equal(n, 0);
    assert_string_equal(fixture_status(id), "pending");
    assert_true(progress_of(id) == 0); /* reading jobs goes on too */
    end();
    int64_t limit = clk_mono_ms() + 10000;
    do {
        OK(&fx.cx, sweep_tick(&fx.cx, s, &sleep_ms));
        wait_moment();
    } while (REDIS("ZCARD", fixture_key("medium")).integer == 0 && clk_mono_ms() < limit);
    sweep_free(s);
    comes(id);
}

static const char *password;

static void password_back(void)
{
    REDIS("CONFIG", "SET", "requirepass", password);
}

static void a_password_from_one_moment_to_the_next(void **state)
{
    (void)state;
    password = ctx_strdup(&fx.cx, fx.settings.redis.password);
    REDIS("CONFIG", "SET", "requirepass", "another");
    REDIS("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    refused_until(password_back);
    assert_int_equal(times_logged("another"), 0);
    assert_int_equal(times_logged(password), 0);
}

static void master_again(void)
{
    REDIS("REPLICAOF", "NO", "ONE");
}

static void a_server_that_became_a_replica(void **state)
{
    (void)state;
    REDIS("REPLICAOF", "127.0.0.1", "1");
    FAILS(&fx.cx, CODE_UNAVAILABLE,
          kv_run(&fx.cx, fx.jobs->kv, 0, KV_ARGV("SET", fixture_key("x"), "1"), NULL));
    assert_int_equal(kv_client_id(fx.jobs->kv), 0); /* the address is asked again */
    refused_until(master_again);
}

static void memory_back(void)
{
    REDIS("CONFIG", "SET", "maxmemory", "0");
}

static void a_server_without_memory(void **state)
{
    (void)state;
    REDIS("CONFIG", "SET", "maxmemory-policy", "noeviction");
    REDIS("CONFIG", "SET", "maxmemory", "1");
    refused_until(memory_back);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
    const struct CMUnitTest tests[] = {
        TEST(lanes_of_other_types_are_replaced),
        TEST(members_that_are_no_ids_are_dropped),
        TEST(a_million_foreign_members_cost_one_sweep),
        TEST(a_lane_full_of_foreign_members_drains),
        TEST(an_overflow_mark_of_any_type_is_a_mark_and_goes),
        TEST(progress_that_is_not_the_claims_is_not_shown),
        TEST(scripts_that_were_flushed_are_taught_again),
        TEST(a_password_from_one_moment_to_the_next),
        TEST(a_server_that_became_a_replica),
        TEST(a_server_without_memory),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
