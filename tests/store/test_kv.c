/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_kv.c - one Redis connection under everything that happens to connections (store/kv.h). */
#include "tests/support/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "tests/support/wait.h"

static struct kv *kv;

static int setup(void **state)
{
    if (fixture_empty(state) != 0)
        return -1;
    return kv_open(&fx.cx, &fx.settings.redis, &kv) == CODE_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    kv_closep(&kv);
    return 0;
}

static enum code run(struct kv_reply *r, int argc, const char *const *argv, const size_t *lens)
{
    return kv_run(&fx.cx, kv, 0, argc, argv, lens, r);
}

static void kill_client(const struct kv *victim)
{
    REDIS("CLIENT", "KILL", "ID", ctx_printf(&fx.cx, "%lld", (long long)kv_client_id(victim)));
}

/* ---- addresses ---- */

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static void addresses_are_read_as_redis_clients_write_them(void **state)
{
    (void)state;
    static const struct {
        const char *url, *host, *unix_path;
        int port, database;
        const char *username, *password;
    } cases[] = {
        {"redis://localhost", "localhost", NULL, 6379, 0, NULL, NULL},
        {"redis://localhost/", "localhost", NULL, 6379, 0, NULL, NULL},
        {"redis://r:7000/3", "r", NULL, 7000, 3, NULL, NULL},
        {"redis://:pw@r", "r", NULL, 6379, 0, NULL, "pw"},
        {"redis://pw@r", "r", NULL, 6379, 0, NULL, "pw"},
        {"redis://u:pw@r:1/2", "r", NULL, 1, 2, "u", "pw"},
        {"redis://u:p%40%2f%3Aw%25@r", "r", NULL, 6379, 0, "u", "p@/:w%"},
        {"redis://u:p@ss@r", "r", NULL, 6379, 0, "u", "p@ss"},
        {"redis://:@r", "r", NULL, 6379, 0, NULL, NULL},
        {"redis://[::1]:7000/1", "::1", NULL, 7000, 1, NULL, NULL},
        {"redis://[fe80::1]", "fe80::1", NULL, 6379, 0, NULL, NULL},
        {"unix:///run/redis.sock", NULL, "/run/redis.sock", 6379, 0, NULL, NULL},
        {"unix:///run/redis.sock?db=4", NULL, "/run/redis.sock", 6379, 4, NULL, NULL},
        {"unix://:pw@/run/r.sock", NULL, "/run/r.sock", 6379, 0, NULL, "pw"},
        {"unix://u:p%40w@/run/r.sock", NULL, "/run/r.sock", 6379, 0, NULL, "p@w"},
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct kv_endpoint e;
        OK(&fx.cx, kv_parse_url(&fx.cx, cases[i].url, &e));
        if (!same(e.host, cases[i].host) || !same(e.unix_path, cases[i].unix_path) ||
            e.port != cases[i].port || e.database != cases[i].database ||
            !same(e.username, cases[i].username) || !same(e.password, cases[i].password))
            fail_msg("%s", cases[i].url);
    }
}

static void bad_addresses_are_refused_without_showing_a_password(void **state)
{
    (void)state;
    static const struct {
        const char *url, *why;
    } cases[] = {
        {"", "redis://"},
        {"localhost:6379", "redis://"},
        {"http://r", "redis://"},
        {"rediss://r", "rediss://"},
        {"redis://", "host"},
        {"redis://:6379", "host"},
        {"redis://r:0", "port"},
        {"redis://r:65536", "port"},
        {"redis://r:x", "port"},
        {"redis://r/x", "database"},
        {"redis://r/-1", "database"},
        {"redis://r/0/1", "database"},
        {"redis://u:hunter2/x@r", "database"},
        {"redis://u:hunter2", "port"},
        {"unix://run/redis.sock", "absolute"},
        {"unix:///r?db=x", "database"},
        {"unix:///r?x=1", "?db=N"},
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct kv_endpoint e;
        const char *m =
            FAILS(&fx.cx, CODE_INVALID_ARGUMENT, kv_parse_url(&fx.cx, cases[i].url, &e));
        CONTAINS(m, cases[i].why);
        LACKS(m, "hunter2");
    }
}

/* ---- commands ---- */

static void replies_keep_their_type_and_bytes(void **state)
{
    (void)state;
    struct kv_reply r;
    const char *key = fixture_key("x");
    const char *argv[] = {"SET", key, "a\0b"};
    const size_t lens[] = {3, strlen(key), 3};
    OK(&fx.cx, run(&r, 3, argv, lens));
    assert_int_equal(r.type, KV_TEXT);
    OK(&fx.cx, run(&r, KV_ARGV("GET", key)));
    assert_int_equal(r.len, 3);
    assert_memory_equal(r.text, "a\0b", 4);
    OK(&fx.cx, run(&r, KV_ARGV("GET", fixture_key("none"))));
    assert_int_equal(r.type, KV_NIL);
    OK(&fx.cx, run(&r, KV_ARGV("STRLEN", key)));
    assert_int_equal(r.type, KV_INT);
    assert_int_equal(r.integer, 3);
    OK(&fx.cx, run(&r, KV_ARGV("EVAL", "return {1, 'two', {3}}", "0")));
    assert_int_equal(r.type, KV_ARRAY);
    assert_int_equal(r.n, 3);
    assert_string_equal(r.items[1].text, "two");
    assert_int_equal(r.items[2].items[0].integer, 3);
}

static void errors_of_redis_say_what_was_refused(void **state)
{
    (void)state;
    struct kv_reply r;
    const char *key = fixture_key("x");
    OK(&fx.cx, run(&r, KV_ARGV("SET", key, "text")));
    CONTAINS(FAILS(&fx.cx, CODE_INTERNAL, run(&r, KV_ARGV("ZCARD", key))), "WRONGTYPE");
    CONTAINS(FAILS(&fx.cx, CODE_INTERNAL, run(&r, KV_ARGV("NOSUCHCOMMAND"))), "NOSUCHCOMMAND");
    OK(&fx.cx, run(&r, KV_ARGV("PING"))); /* the connection is none the worse */
}

static void a_reply_that_does_not_fit_is_an_error_not_a_crash(void **state)
{
    (void)state;
    struct kv_reply r;
    struct ctx small;
    ctx_init(&small, 2000);
    FAILS(&small, CODE_OUT_OF_MEMORY,
          kv_run(&small, kv, 0, KV_ARGV("EVAL", "return string.rep('x', 100000)", "0"), &r));
    ctx_done(&small);
    FAILS(&fx.cx, CODE_INTERNAL,
          run(&r, KV_ARGV("EVAL",
                          "local t = {} for i = 1, 100001 do t[i] = i end "
                          "return t",
                          "0")));
    FAILS(&fx.cx, CODE_INTERNAL, run(&r, KV_ARGV("EVAL", "return {{{{{{1}}}}}}", "0")));
    OK(&fx.cx, run(&r, KV_ARGV("PING")));
}

static void a_killed_connection_costs_the_caller_nothing(void **state)
{
    (void)state;
    struct kv_reply r;
    for (int i = 0; i < 5; i++) {
        OK(&fx.cx, run(&r, KV_ARGV("PING")));
        int64_t id = kv_client_id(kv);
        assert_true(id > 0);
        kill_client(kv);
        OK(&fx.cx, run(&r, KV_ARGV("PING")));
        assert_true(kv_client_id(kv) != id);
    }
}

static void nobody_there_is_unavailable_at_once(void **state)
{
    (void)state;
    struct kv_endpoint nowhere = {.host = "127.0.0.1", .port = 1};
    CLEANUP(kv_closep) struct kv *other = NULL;
    struct kv_reply r;
    OK(&fx.cx, kv_open(&fx.cx, &nowhere, &other));
    int64_t started = clk_mono_ms();
    for (int i = 0; i < 10; i++)
        FAILS(&fx.cx, CODE_UNAVAILABLE, kv_run(&fx.cx, other, 0, KV_ARGV("PING"), &r));
    assert_true(clk_mono_ms() - started < 700); /* not ten attempts to connect */
    assert_int_equal(kv_client_id(other), 0);
}

static void a_wrong_password_is_told_without_showing_it(void **state)
{
    (void)state;
    struct kv_endpoint e = fx.settings.redis;
    e.username = NULL;
    e.password = "hunter2";
    CLEANUP(kv_closep) struct kv *other = NULL;
    struct kv_reply r;
    OK(&fx.cx, kv_open(&fx.cx, &e, &other));
    const char *m = FAILS(&fx.cx, CODE_UNAVAILABLE, kv_run(&fx.cx, other, 0, KV_ARGV("PING"), &r));
    CONTAINS(m, "authenticating");
    LACKS(m, "hunter2");
}

static void a_command_that_never_answers_is_given_up(void **state)
{
    (void)state;
    struct kv_reply r;
    const char *key = fixture_key("list");
    int64_t started = clk_mono_ms();
    /* Redis would wait for 20 s; we said that it takes none. */
    FAILS(&fx.cx, CODE_UNAVAILABLE, run(&r, KV_ARGV("BLPOP", key, "20")));
    assert_in_range(clk_mono_ms() - started, 900, 3000);
    WAIT_UNTIL(2000,
               kv_run(&fx.cx, kv, 0, KV_ARGV("PING"), &r) == CODE_OK || (ctx_clear(&fx.cx), false));
    assert_string_equal(r.text, "PONG"); /* not the late answer */
}

/* ---- scripts ---- */

static void a_script_the_server_forgot_is_taught_again(void **state)
{
    (void)state;
    static const char script[] = "return redis.call('INCRBY', KEYS[1], ARGV[1])";
    const char *argv[] = {fixture_key("counter"), "5"};
    struct kv_reply r;
    OK(&fx.cx, kv_script(&fx.cx, kv, script, 1, 2, argv, &r));
    assert_int_equal(r.integer, 5);
    REDIS("SCRIPT", "FLUSH");
    OK(&fx.cx, kv_script(&fx.cx, kv, script, 1, 2, argv, &r));
    assert_int_equal(r.integer, 10); /* and it ran once */
    kill_client(kv);
    OK(&fx.cx, kv_script(&fx.cx, kv, script, 1, 2, argv, &r));
    assert_int_equal(r.integer, 15);
}

static void a_script_that_fails_says_so(void **state)
{
    (void)state;
    static const char script[] = "return redis.call('ZCARD', KEYS[1])";
    const char *argv[] = {fixture_key("text")};
    struct kv_reply r;
    OK(&fx.cx, run(&r, KV_ARGV("SET", argv[0], "x")));
    CONTAINS(FAILS(&fx.cx, CODE_INTERNAL, kv_script(&fx.cx, kv, script, 1, 1, argv, &r)),
             "WRONGTYPE");
}

/* ---- subscriptions ---- */

static bool next_message(struct kv_message *m)
{
    bool got = false;
    int64_t end = clk_mono_ms() + 3000;
    while (!got && clk_mono_ms() < end)
        OK(&fx.cx, kv_wait(&fx.cx, kv, 100, &got, m));
    return got;
}

static void messages_of_subscribed_channels_arrive_in_order(void **state)
{
    (void)state;
    const char *channels[] = {fixture_key("one"), fixture_key("two")};
    struct kv_message m;
    bool got = true;
    OK(&fx.cx, kv_subscribe(&fx.cx, kv, 2, channels));
    OK(&fx.cx, kv_wait(&fx.cx, kv, 10, &got, &m));
    assert_false(got); /* a time-out is no error */
    REDIS("PUBLISH", channels[0], "first");
    REDIS("PUBLISH", fixture_key("three"), "not for us");
    REDIS("PUBLISH", channels[1], "second");
    assert_true(next_message(&m));
    assert_string_equal(m.channel, channels[0]);
    assert_string_equal(m.data, "first");
    assert_true(next_message(&m));
    assert_string_equal(m.channel, channels[1]);
    assert_string_equal(m.data, "second");
    assert_int_equal(m.len, 6);
}

static void a_lost_subscription_is_told_and_can_be_made_again(void **state)
{
    (void)state;
    const char *channel = fixture_key("one");
    struct kv_message m;
    bool got = false;
    OK(&fx.cx, kv_subscribe(&fx.cx, kv, 1, &channel));
    kill_client(kv);
    WAIT_UNTIL(3000, kv_wait(&fx.cx, kv, 50, &got, &m) != CODE_OK);
    assert_int_equal(fx.cx.failure.code, CODE_UNAVAILABLE);
    ctx_clear(&fx.cx);
    FAILS(&fx.cx, CODE_UNAVAILABLE, kv_wait(&fx.cx, kv, 50, &got, &m)); /* not silently nothing */
    WAIT_UNTIL(2000,
               kv_subscribe(&fx.cx, kv, 1, &channel) == CODE_OK || (ctx_clear(&fx.cx), false));
    REDIS("PUBLISH", channel, "again");
    assert_true(next_message(&m));
    assert_string_equal(m.data, "again");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(addresses_are_read_as_redis_clients_write_them),
        TEST(bad_addresses_are_refused_without_showing_a_password),
        TEST(replies_keep_their_type_and_bytes),
        TEST(errors_of_redis_say_what_was_refused),
        TEST(a_reply_that_does_not_fit_is_an_error_not_a_crash),
        TEST(a_killed_connection_costs_the_caller_nothing),
        TEST(nobody_there_is_unavailable_at_once),
        TEST(a_wrong_password_is_told_without_showing_it),
        TEST(a_command_that_never_answers_is_given_up),
        TEST(a_script_the_server_forgot_is_taught_again),
        TEST(a_script_that_fails_says_so),
        TEST(messages_of_subscribed_channels_arrive_in_order),
        TEST(a_lost_subscription_is_told_and_can_be_made_again),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
