/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_hub.c - what a watcher of a job is told, whatever becomes of the hints (server/hub.h).
 *
 * To see that something is not told, something else is told behind it. */
#include "tests/server/hubs.h"

#include <pthread.h>

static const Localrag__V1__Job *event(struct watcher *w, int ms, Localrag__V1__JobEventType type)
{
    Localrag__V1__JobEvent *e;
    assert_int_equal(next(w, ms, &e), HUB_EVENT);
    assert_int_equal(e->type, type);
    assert_true(*e->event_id);
    assert_null(e->job->result); /* asked for by itself: it may be large */
    return e->job;
}

static void expect_state(struct watcher *w, int ms, Localrag__V1__JobStatus status)
{
    assert_int_equal(event(w, ms, STATE)->status, status);
}

static void say(const char *fmt, const char *id)
{
    REDIS("PUBLISH", event_channel(&fx.cx, &fx.settings), ctx_printf(&fx.cx, fmt, id));
}

static void a_watcher_sees_a_job_from_the_queue_to_its_end(void **state)
{
    (void)state;
    const char *id = fixture_job("medium");
    struct watcher *w = watch(id, "");
    Localrag__V1__JobEvent *e;
    expect_state(w, 0, STATUS(PENDING)); /* as it is now, without waiting */
    assert_int_equal(hub_next(&fx.cx, w, &e), HUB_NOTHING);
    struct job_claim claim = fixture_claim(pool, id);
    expect_state(w, SOON, STATUS(PROCESSING));
    publish(&claim, 40);
    const Localrag__V1__Job *job = event(w, SOON, PROGRESS);
    assert_true(job->progress == 40);
    assert_int_equal(job->pages_done, 40);
    assert_string_equal(job->progress_message, "m");
    OK(&fx.cx, fixture_finish(&fx.cx, fx.jobs, &claim, 1));
    expect_state(w, SOON, STATUS(COMPLETED));
    assert_int_equal(hub_next(&fx.cx, w, &e), HUB_END);
    assert_int_equal(hub_next(&fx.cx, w, &e), HUB_END);
    assert_true(atomic_load(&woken) >= 3);
    hub_unwatch(w);
    hub_unwatch(NULL);
}

static void a_late_watcher_gets_the_end_at_once(void **state)
{
    (void)state;
    const char *id = fixture_job("medium");
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, id));
    struct watcher *w = watch(id, "");
    Localrag__V1__JobEvent *e;
    expect_state(w, 0, STATUS(CANCELLED));
    assert_int_equal(hub_next(&fx.cx, w, &e), HUB_END);
    hub_unwatch(w);
}

static void a_watcher_that_comes_in_between_starts_where_the_others_are(void **state)
{
    (void)state;
    const char *id = fixture_job("medium");
    struct job_claim claim = fixture_claim(pool, id);
    struct watcher *first = watch(id, ""), *second;
    expect_state(first, 0, STATUS(PROCESSING));
    publish(&claim, 60);
    assert_true(event(first, SOON, PROGRESS)->progress == 60);
    second = watch(id, ""); /* the row does not know of the 60 yet */
    assert_true(event(second, 0, STATE)->progress == 60);
    hub_unwatch(first);
    publish(&claim, 70);
    assert_true(event(second, SOON, PROGRESS)->progress == 70);
    hub_unwatch(second);
}

static void who_watches_nothing_is_told(void **state)
{
    (void)state;
    struct watcher *w = NULL;
    FAILS(&fx.cx, CODE_INVALID_ARGUMENT, hub_watch(&fx.cx, hub, "x", "", wake, &woken, &w));
    FAILS(&fx.cx, CODE_NOT_FOUND,
          hub_watch(&fx.cx, hub, "00000000-0000-4000-8000-000000000000", "", wake, &woken, &w));
    assert_null(w);
}

static void an_id_in_upper_case_is_the_same_job(void **state)
{
    (void)state;
    const char *id = fixture_job("medium");
    char upper[37];
    for (int i = 0; i < 37; i++)
        upper[i] = (char)(id[i] >= 'a' && id[i] <= 'f' ? id[i] - 32 : id[i]);
    struct watcher *w = watch(upper, "");
    expect_state(w, 0, STATUS(PENDING));
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, upper));
    expect_state(w, SOON, STATUS(CANCELLED));
    hub_unwatch(w);
}

static void lies_about_a_job_are_not_passed_on(void **state)
{
    (void)state;
    const char *id = fixture_job("medium");
    fixture_claim(pool, id);
    fixture_sql("UPDATE processing_jobs SET claim_epoch = 5");
    struct job_claim claim = {.epoch = 5};
    snprintf(claim.job_id, sizeof(claim.job_id), "%s", id);
    struct watcher *w = watch(id, "");
    expect_state(w, 0, STATUS(PROCESSING));
    say("p %s 4 90 9 10 of an older claim", id);
    say("p %s 6 90 9 10 of no claim", id);
    say("p %s 5 100 10 10 not before the commit", id);
    say("s %s 5 completed", id);
    say("s %s 99 failed", id);
    say("garbage %s", id);
    publish(&claim, 10);
    assert_true(event(w, SOON, PROGRESS)->progress == 10);
    publish(&claim, 5); /* never backwards */
    publish(&claim, 11);
    assert_true(event(w, SOON, PROGRESS)->progress == 11);
    hub_unwatch(w);
}

static void a_slow_reader_misses_progress_but_no_state(void **state)
{
    (void)state;
    const char *id = fixture_job("medium");
    struct watcher *w = watch(id, "");
    Localrag__V1__JobEvent *e;
    int before = 0;
#define TOLD(what)                                                                                 \
    before = atomic_load(&woken);                                                                  \
    what;                                                                                          \
    WAIT_UNTIL(SOON, atomic_load(&woken) > before)
    struct job_claim claim;
    TOLD(claim = fixture_claim(pool, id));
    for (int i = 1; i <= 30; i++) {
        TOLD(publish(&claim, i));
    }
    TOLD(OK(&fx.cx, jobs_hand_back(&fx.cx, fx.jobs, &claim)));
    TOLD(claim = fixture_claim(pool, id));
    for (int i = 1; i <= 30; i++) {
        TOLD(publish(&claim, i));
    }
    expect_state(w, 0, STATUS(PENDING));
    expect_state(w, 0, STATUS(PROCESSING));
    expect_state(w, 0, STATUS(PENDING));
    expect_state(w, 0, STATUS(PROCESSING));
    assert_true(event(w, 0, PROGRESS)->progress == 30); /* the newest alone */
    assert_int_equal(hub_next(&fx.cx, w, &e), HUB_NOTHING);
    hub_unwatch(w);
}

static void a_change_nobody_told_of_is_found_by_looking(void **state)
{
    (void)state;
    const char *id = fixture_job("medium");
    struct watcher *w = watch(id, "");
    Localrag__V1__JobEvent *e;
    expect_state(w, 0, STATUS(PENDING));
    fixture_sql("UPDATE processing_jobs SET status = 'cancelled', completed_at = now()");
    expect_state(w, AFTER_A_POLL, STATUS(CANCELLED));
    assert_int_equal(hub_next(&fx.cx, w, &e), HUB_END);
    hub_unwatch(w);
}

static void what_was_said_while_the_subscription_was_lost_is_looked_up(void **state)
{
    (void)state;
    const char *id = fixture_job("medium");
    struct watcher *w = watch(id, "");
    expect_state(w, 0, STATUS(PENDING));
    fixture_cut_redis();
    fixture_sql("UPDATE processing_jobs SET status = 'cancelled', completed_at = now()");
    expect_state(w, AFTER_A_POLL, STATUS(CANCELLED));
    hub_unwatch(w);
    WAIT_UNTIL(SOON, listening()); /* and it listens again */
}

static void without_redis_states_and_progress_are_read_from_the_rows(void **state)
{
    (void)state;
    struct settings away = fx.settings;
    away.redis = (struct kv_endpoint){.host = "127.0.0.1", .port = 1};
    struct hub *blind;
    struct watcher *w;
    OK(&fx.cx, hub_start(&fx.cx, &away, &blind));
    const char *id = fixture_job("medium");
    OK(&fx.cx, hub_watch(&fx.cx, blind, id, "", wake, &woken, &w));
    expect_state(w, 0, STATUS(PENDING));
    struct job_claim claim = fixture_claim(pool, id);
    expect_state(w, SOON, STATUS(PROCESSING));
    fixture_sql("UPDATE processing_jobs SET progress = 50, pages_done = 5");
    assert_true(event(w, SOON, PROGRESS)->progress == 50); /* as the keeper's beats store it */
    OK(&fx.cx, fixture_finish(&fx.cx, fx.jobs, &claim, 1));
    expect_state(w, SOON, STATUS(COMPLETED));
    hub_unwatch(w);
    hub_stop(blind);
}

static void a_database_that_went_away_is_no_end(void **state)
{
    (void)state;
    const char *id = fixture_job("medium");
    struct watcher *w = watch(id, "");
    expect_state(w, 0, STATUS(PENDING));
    fixture_sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = 'localrag-server hub'");
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, id));
    expect_state(w, AFTER_A_POLL, STATUS(CANCELLED));
    hub_unwatch(w);
}

static void stopping_wakes_every_watcher_and_waits_for_none(void **state)
{
    (void)state;
    struct hub *other;
    struct watcher *w[3];
    Localrag__V1__JobEvent *e;
    OK(&fx.cx, hub_start(&fx.cx, &fx.settings, &other));
    for (int i = 0; i < 3; i++) {
        OK(&fx.cx, hub_watch(&fx.cx, other, fixture_job("low"), "", wake, &woken, &w[i]));
        expect_state(w[i], 0, STATUS(PENDING));
    }
    hub_unwatch(w[2]);
    atomic_store(&woken, 0);
    hub_stop(other);
    assert_int_equal(atomic_load(&woken), 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(hub_next(&fx.cx, w[i], &e), HUB_CLOSING);
        hub_unwatch(w[i]); /* the last one takes the hub along */
    }
    hub_stop(NULL);
}

static void what_was_queued_before_the_stop_is_still_told(void **state)
{
    (void)state;
    struct hub *other;
    struct watcher *w;
    Localrag__V1__JobEvent *e;
    OK(&fx.cx, hub_start(&fx.cx, &fx.settings, &other));
    OK(&fx.cx, hub_watch(&fx.cx, other, fixture_job("low"), "", wake, &woken, &w));
    hub_stop(other);
    expect_state(w, 0, STATUS(PENDING));
    assert_int_equal(hub_next(&fx.cx, w, &e), HUB_CLOSING);
    hub_unwatch(w);
}

struct crowd {
    pthread_t thread;
    const char *id;
    int events, errors;
};

static void *come_and_go(void *arg)
{
    struct crowd *c = arg;
    atomic_int mine = 0;
    for (int i = 0; i < 50; i++) {
        struct ctx cx;
        struct watcher *w;
        Localrag__V1__JobEvent *e;
        ctx_init(&cx, 1 << 20);
        if (hub_watch(&cx, hub, c->id, "", wake, &mine, &w) == CODE_OK) {
            while (hub_next(&cx, w, &e) == HUB_EVENT)
                c->events++;
            hub_unwatch(w);
        } else {
            c->errors++;
        }
        ctx_done(&cx);
    }
    return NULL;
}

static void a_crowd_that_comes_and_goes_disturbs_nobody(void **state)
{
    (void)state;
    const char *id = fixture_job("medium");
    struct job_claim claim = fixture_claim(pool, id);
    struct watcher *steady = watch(id, "");
    struct crowd c[4];
    for (unsigned i = 0; i < ARRAY_LEN(c); i++) {
        c[i] = (struct crowd){.id = id};
        assert_int_equal(pthread_create(&c[i].thread, NULL, come_and_go, &c[i]), 0);
    }
    for (int i = 1; i < 100; i++)
        publish(&claim, i * 0.9);
    for (unsigned i = 0; i < ARRAY_LEN(c); i++) {
        pthread_join(c[i].thread, NULL);
        assert_int_equal(c[i].errors, 0);
        assert_true(c[i].events >= 50); /* each visit saw at least the state */
    }
    expect_state(steady, 0, STATUS(PROCESSING));
    double last = 0;
    while (last < 89) {
        double now = event(steady, SOON, PROGRESS)->progress;
        assert_true(now > last);
        last = now;
    }
    hub_unwatch(steady);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_watcher_sees_a_job_from_the_queue_to_its_end),
        TEST(a_late_watcher_gets_the_end_at_once),
        TEST(a_watcher_that_comes_in_between_starts_where_the_others_are),
        TEST(who_watches_nothing_is_told),
        TEST(an_id_in_upper_case_is_the_same_job),
        TEST(lies_about_a_job_are_not_passed_on),
        TEST(a_slow_reader_misses_progress_but_no_state),
        TEST(a_change_nobody_told_of_is_found_by_looking),
        TEST(what_was_said_while_the_subscription_was_lost_is_looked_up),
        TEST(without_redis_states_and_progress_are_read_from_the_rows),
        TEST(a_database_that_went_away_is_no_end),
        TEST(stopping_wakes_every_watcher_and_waits_for_none),
        TEST(what_was_queued_before_the_stop_is_still_told),
        TEST(a_crowd_that_comes_and_goes_disturbs_nobody),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
