/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_claim.c - ids out of the lanes, jobs into workers' hands, attempts to their end
 * (jobs/queue.c, claim.c). */
#include "tests/support/fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "base/str.h"
#include "jobs/event.h"
#include "jobs/queue.h"

static char pool[37];

static int setup(void **state)
{
    if (fixture_empty(state) != 0)
        return -1;
    fixture_pool(4, pool);
    return 0;
}

static int take(bool high_only, int max, char ids[][37])
{
    int n = -1;
    OK(&fx.cx, jobs_take(&fx.cx, fx.jobs, high_only, 10, max, ids, &n, NULL));
    return n;
}

/* ---- taking ---- */

static void the_oldest_of_the_highest_lane_comes_first(void **state)
{
    (void)state;
    const char *low = fixture_job("low"), *medium = fixture_job("medium"),
               *first = fixture_job("high"), *second = fixture_job("high");
    fixture_redis(KV_ARGV("ZADD", fixture_key("high"), "1", first));
    char ids[4][37];
    /* Every eighth take begins with the lower lanes: four in a row hold at most one of those. */
    int n = take(true, 4, ids);
    assert_int_equal(n, 2);
    assert_string_equal(ids[0], first);
    assert_string_equal(ids[1], second);
    assert_int_equal(take(true, 4, ids), 0); /* high only: the others are none of its business */
    assert_int_equal(take(false, 1, ids), 1);
    assert_true(strcmp(ids[0], medium) == 0 || strcmp(ids[0], low) == 0);
    assert_int_equal(take(false, 1, ids), 1);
    assert_int_equal(take(false, 1, ids), 0);
}

static void no_lane_starves(void **state)
{
    (void)state;
    char ids[1][37];
    const char *low = fixture_job("low"), *medium = fixture_job("medium");
    bool got_low = false, got_medium = false;
    for (int i = 0; i < 16; i++) { /* as many high jobs as you like */
        char id[37];
        str_uuid(id);
        REDIS("ZADD", fixture_key("high"), "1", id);
        assert_int_equal(take(false, 1, ids), 1);
        got_low = got_low || strcmp(ids[0], low) == 0;
        got_medium = got_medium || strcmp(ids[0], medium) == 0;
    }
    assert_true(got_low && got_medium);
}

static void what_is_no_id_is_dropped(void **state)
{
    (void)state;
    const char *id = fixture_job("high");
    REDIS("ZADD", fixture_key("high"), "1", "'; DROP TABLE jobs; --");
    REDIS("ZADD", fixture_key("high"), "2", "");
    char ids[4][37];
    int n = take(true, 4, ids);
    assert_int_equal(n, 1);
    assert_string_equal(ids[0], id);
}

static void a_take_waits_no_longer_than_told(void **state)
{
    (void)state;
    char ids[1][37];
    int n = -1;
    int64_t started = clk_mono_ms();
    OK(&fx.cx,
       jobs_take(&fx.cx, fx.jobs, false, 0, 1, ids, &n, NULL)); /* 0 would be for ever in Redis */
    OK(&fx.cx, jobs_take(&fx.cx, fx.jobs, false, 300, 1, ids, &n, NULL));
    assert_int_equal(n, 0);
    assert_in_range(clk_mono_ms() - started, 250, 2000);
}

static void without_redis_a_take_pauses_and_says_so(void **state)
{
    (void)state;
    struct settings away = fx.settings;
    away.redis = (struct kv_endpoint){.host = "127.0.0.1", .port = 1};
    CLEANUP(jobs_closep) struct jobs *jobs = NULL;
    char ids[1][37];
    int n = -1;
    OK(&fx.cx, jobs_open(&fx.cx, &away, "test", &jobs));
    int64_t started = clk_mono_ms();
    FAILS(&fx.cx, CODE_UNAVAILABLE, jobs_take(&fx.cx, jobs, false, 1000, 1, ids, &n, NULL));
    assert_int_equal(n, 0);
    assert_in_range(clk_mono_ms() - started, 150, 1500);
}

/* ---- claiming ---- */

static void a_claim_carries_what_the_worker_needs(void **state)
{
    (void)state;
    char id[37];
    str_uuid(id);
    struct job_submission in = fixture_submission(id, "hash");
    static const char *const languages[] = {"eng", "deu", NULL};
    in.file_name = "Gr\xc3\xbc\xc3\x9f\".pdf";
    in.file_size = 1LL << 40;
    in.metadata_json = "{\"a\":1}";
    in.languages = languages;
    in.sealed_password = (const unsigned char *)"\0\xff";
    in.sealed_password_len = 2;
    struct job_submitted out;
    OK(&fx.cx, jobs_submit(&fx.cx, fx.jobs, &in, &out));
    struct job_claim c = fixture_claim(pool, id);
    assert_string_equal(c.job_id, id);
    assert_int_equal(c.epoch, 1);
    assert_string_equal(c.worker, "general-1");
    assert_string_equal(c.task_type, "single_document");
    assert_string_equal(c.file_path, in.file_path);
    assert_string_equal(c.file_name, in.file_name);
    assert_string_equal(c.content_type, "application/pdf");
    assert_string_equal(c.content_hash, "hash");
    assert_true(c.file_size == 1LL << 40);
    CONTAINS(c.metadata_json, "\"a\"");
    assert_string_equal(c.languages[0], "eng");
    assert_string_equal(c.languages[1], "deu");
    assert_null(c.languages[2]);
    assert_int_equal(c.sealed_password_len, 2);
    assert_memory_equal(c.sealed_password, "\0\xff", 2);
    assert_int_equal(c.max_retries, fx.settings.max_retries);

    Localrag__V1__Job *job;
    OK(&fx.cx, jobs_get(&fx.cx, fx.jobs, id, &job));
    assert_int_equal(job->status, LOCALRAG__V1__JOB_STATUS__JOB_STATUS_PROCESSING);
    assert_non_null(job->started_at);
    CONTAINS(job->worker_id, ctx_printf(&fx.cx, "general-1@%s-%.4s", pools_host(), pool));
}

static void stale_hints_just_do_not_come_back(void **state)
{
    (void)state;
    const char *good = fixture_job("low"), *cancelled = fixture_job("low"),
               *taken = fixture_job("low"), *later = fixture_job("low");
    fixture_claim(pool, taken);
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, cancelled));
    fixture_sql(
        "UPDATE processing_jobs SET ready_at = now() + interval '1 hour' WHERE job_id = '%s'",
        later);
    const char *all[] = {cancelled, taken, later, good, "00000000-0000-4000-8000-000000000000"};
    const char *workers[] = {"general-1", "general-2", "general-3", "general-4", "general-5"};
    char ids[5][37];
    struct job_claim claims[5];
    int n = -1;
    for (int i = 0; i < 5; i++)
        snprintf(ids[i], sizeof(ids[i]), "%s", all[i]);
    OK(&fx.cx, jobs_claim(&fx.cx, fx.jobs, pool, 5, ids, workers, false, claims, &n));
    assert_int_equal(n, 1);
    assert_string_equal(claims[0].job_id, good);
    assert_string_equal(claims[0].worker, "general-4");
}

static void a_dead_or_unknown_pool_gets_nothing(void **state)
{
    (void)state;
    struct job_claim c;
    const char *id = fixture_job("low");
    fixture_sql("UPDATE worker_pools SET dead_at = now()");
    assert_int_equal(fixture_try_claim(pool, id, true, &c), 0);
    assert_int_equal(fixture_try_claim("00000000-0000-4000-8000-000000000000", id, true, &c), 0);
    assert_string_equal(fixture_status(id), "pending");
}

static void a_job_that_lost_two_workers_is_claimed_alone_by_an_idle_pool(void **state)
{
    (void)state;
    const char *once = fixture_job("low"), *twice = fixture_job("low"), *other = fixture_job("low");
    fixture_sql("UPDATE processing_jobs SET crash_count = 1 WHERE job_id = '%s'", once);
    fixture_sql("UPDATE processing_jobs SET crash_count = 2 WHERE job_id = '%s'", twice);
    struct job_claim c, two[2];
    assert_int_equal(fixture_try_claim(pool, once, false, &c), 1);
    assert_int_equal(fixture_try_claim(pool, twice, false, &c), 0);
    char ids[2][37], alone[37];
    const char *workers[] = {"general-1", "general-2"};
    int n = -1;
    snprintf(ids[0], 37, "%s", twice);
    snprintf(ids[1], 37, "%s", other);
    OK(&fx.cx, jobs_find_alone(&fx.cx, fx.jobs, 2, ids, alone));
    assert_string_equal(alone, twice);
    OK(&fx.cx, jobs_claim(&fx.cx, fx.jobs, pool, 2, ids, workers, true, two, &n));
    assert_int_equal(n, 1); /* idle, but not alone: the other one only */
    assert_string_equal(two[0].job_id, other);
    assert_int_equal(fixture_try_claim(pool, twice, true, &c), 1);
    assert_int_equal(c.crash_count, JOB_ALONE_CRASHES);
    OK(&fx.cx, jobs_find_alone(&fx.cx, fx.jobs, 2, ids, alone));
    assert_string_equal(alone, "");
}

struct claimer {
    pthread_t thread;
    pthread_barrier_t *start;
    struct jobs *jobs;
    char pool[37];
    char (*ids)[37];
    int n_ids, got, errors;
};

static void *claim_all(void *arg)
{
    struct claimer *c = arg;
    struct ctx cx;
    ctx_init(&cx, 1 << 20);
    for (int i = 0; i < c->n_ids; i++) {
        const char *workers[] = {"general-1"};
        struct job_claim claim;
        int n = 0;
        pthread_barrier_wait(c->start);
        if (jobs_claim(&cx, c->jobs, c->pool, 1, &c->ids[i], workers, false, &claim, &n) != CODE_OK)
            c->errors++;
        c->got += n;
        ctx_done(&cx);
    }
    return NULL;
}

static void pools_that_claim_the_same_id_get_it_exactly_once(void **state)
{
    (void)state;
    enum { ROUNDS = 200 };
    static char ids[ROUNDS][37];
    struct claimer c[2] = {0};
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, ARRAY_LEN(c));
    for (int i = 0; i < ROUNDS; i++)
        snprintf(ids[i], sizeof(ids[i]), "%s", fixture_job("low"));
    for (unsigned i = 0; i < ARRAY_LEN(c); i++) {
        c[i] =
            (struct claimer){.start = &start, .jobs = fixture_jobs(), .ids = ids, .n_ids = ROUNDS};
        fixture_pool(1, c[i].pool);
        assert_int_equal(pthread_create(&c[i].thread, NULL, claim_all, &c[i]), 0);
    }
    for (unsigned i = 0; i < ARRAY_LEN(c); i++) {
        pthread_join(c[i].thread, NULL);
        jobs_close(c[i].jobs);
    }
    pthread_barrier_destroy(&start);
    assert_int_equal(c[0].errors + c[1].errors, 0);
    assert_int_equal(c[0].got + c[1].got, ROUNDS);
    assert_int_equal(fixture_number(
                         "SELECT count(*) FROM processing_jobs WHERE claim_epoch = 1 AND status = "
                         "'processing'"),
                     ROUNDS);
    for (unsigned i = 0; i < ARRAY_LEN(c); i++)
        assert_int_equal(fixture_number("SELECT count(*) FROM processing_jobs WHERE pool_id = '%s'",
                                        c[i].pool),
                         c[i].got);
}

/* ---- the end of an attempt ---- */

static void a_retryable_failure_waits_ever_longer_until_none_is_left(void **state)
{
    (void)state;
    const char *id = fixture_job("low");
    fx.settings.retry_delay_ms = 1000;
    for (int attempt = 0; attempt <= fx.settings.max_retries; attempt++) {
        fixture_sql("UPDATE processing_jobs SET ready_at = now()");
        struct job_claim c = fixture_claim(pool, id);
        assert_int_equal(c.retry_count, attempt);
        assert_int_equal(c.epoch, attempt + 1);
        OK(&fx.cx, jobs_fail(&fx.cx, fx.jobs, &c, CODE_DEADLINE_EXCEEDED, "page 3 took too long"));
        if (attempt == fx.settings.max_retries)
            break;
        assert_string_equal(fixture_status(id), "retrying");
        int64_t wait = fixture_number(
            "SELECT (extract(epoch FROM ready_at - progress_at) * 1000)::bigint FROM "
            "processing_jobs");
        int64_t full = 1000LL << attempt;
        assert_in_range(wait, full * 8 / 10, full * 12 / 10); /* a fifth of jitter either way */
        Localrag__V1__Job *job;
        OK(&fx.cx, jobs_get(&fx.cx, fx.jobs, id, &job));
        assert_string_equal(job->error_code, "DEADLINE_EXCEEDED");
        assert_string_equal(job->error_message, "page 3 took too long");
        assert_non_null(job->next_attempt_at);
        assert_null(job->completed_at);
    }
    assert_string_equal(fixture_status(id), "failed");
    assert_int_equal(fixture_number("SELECT retry_count FROM processing_jobs"),
                     fx.settings.max_retries);
    Localrag__V1__Job *job;
    OK(&fx.cx, jobs_get(&fx.cx, fx.jobs, id, &job));
    assert_non_null(job->completed_at);
    assert_null(job->next_attempt_at);
    assert_int_equal(job->_actual_duration_case,
                     LOCALRAG__V1__JOB___ACTUAL_DURATION_ACTUAL_DURATION);
}

static void no_delay_is_longer_than_an_hour(void **state)
{
    (void)state;
    const char *id = fixture_job("low");
    fixture_sql("UPDATE processing_jobs SET retry_count = 60, max_retries = 100");
    struct job_claim c = fixture_claim(pool, id);
    OK(&fx.cx, jobs_fail(&fx.cx, fx.jobs, &c, CODE_UNAVAILABLE, "away"));
    assert_in_range(fixture_number(
                        "SELECT extract(epoch FROM ready_at - now())::bigint FROM processing_jobs"),
                    2800, 4400);
}

static void a_permanent_failure_is_final_at_once_and_forgets_the_password(void **state)
{
    (void)state;
    static const enum code permanent[] = {CODE_UNREADABLE, CODE_PASSWORD_REQUIRED,
                                          CODE_FILE_MISSING, CODE_UNSUPPORTED, CODE_WORKER_CRASHED};
    for (unsigned i = 0; i < ARRAY_LEN(permanent); i++) {
        const char *id = fixture_job("low");
        fixture_sql("UPDATE processing_jobs SET sealed_password = '\\x00' WHERE job_id = '%s'", id);
        struct job_claim c = fixture_claim(pool, id);
        OK(&fx.cx, jobs_fail(&fx.cx, fx.jobs, &c, permanent[i], "for good"));
        assert_string_equal(
            fixture_sql("SELECT status || ' ' || error_code || ' ' || retry_count || ' ' || "
                        "(sealed_password IS NULL) FROM processing_jobs WHERE job_id = '%s'",
                        id),
            ctx_printf(&fx.cx, "failed %s 0 true", code_name(permanent[i])));
    }
}

static void a_failure_message_that_is_no_text_is_stored_all_the_same(void **state)
{
    (void)state;
    /* A name that was cut in the middle of a character: were it refused, the job would come back
     * for ever. */
    const char *id = fixture_job("low");
    struct job_claim c = fixture_claim(pool, id);
    (void)ctx_fail(&fx.cx, CODE_UNREADABLE, "could not read \"%.4s\"", "abc\xe6\x96\x87");
    OK(&fx.cx, jobs_fail(&fx.cx, fx.jobs, &c, CODE_UNREADABLE, ctx_message(&fx.cx)));
    assert_string_equal(fixture_sql("SELECT error_message FROM processing_jobs"),
                        "could not read \"abc\xef\xbf\xbd\"");
    char *huge = ctx_alloc(&fx.cx, 100001);
    memset(huge, 'x', 100000);
    id = fixture_job("low");
    c = fixture_claim(pool, id);
    OK(&fx.cx, jobs_fail(&fx.cx, fx.jobs, &c, CODE_UNREADABLE, huge));
    assert_in_range(
        fixture_number("SELECT length(error_message) FROM processing_jobs WHERE job_id = '%s'", id),
        1000, 10000);
}

static void a_job_handed_back_is_in_its_place_again_with_no_retry_spent(void **state)
{
    (void)state;
    const char *id = fixture_job("high");
    struct job_claim c = fixture_claim(pool, id);
    fixture_forget_redis();
    fixture_job("high");
    OK(&fx.cx, jobs_hand_back(&fx.cx, fx.jobs, &c));
    assert_string_equal(fixture_sql(
                            "SELECT status || retry_count || crash_count FROM processing_jobs "
                            "WHERE claim_epoch = 1"),
                        "pending00");
    char ids[1][37];
    assert_int_equal(take(true, 1, ids), 1);
    assert_string_equal(ids[0], id);
    assert_int_equal(fixture_claim(pool, id).epoch, 2);
    FAILS(&fx.cx, CODE_CLAIM_LOST, jobs_hand_back(&fx.cx, fx.jobs, &c));
}

/* ---- hints ---- */

static void events_are_read_strictly(void **state)
{
    (void)state;
#define ID "0f8fad5b-d9cb-469f-a165-70867728950e"
    static const struct {
        const char *line;
        enum event_kind kind;
    } cases[] = {
        {"s " ID " 3 completed", EVENT_STATE},
        {"p " ID " 3 12.50 1 8 page 2 of 8", EVENT_PROGRESS},
        {"p " ID " 0 0 0 0 ", EVENT_PROGRESS},
        {"cancel " ID, EVENT_CANCEL},
        {"workers", EVENT_WORKERS},
        {"", EVENT_NONE},
        {"s", EVENT_NONE},
        {"s " ID, EVENT_NONE},
        {"s " ID " 3", EVENT_NONE},
        {"s " ID " 3 exploded", EVENT_NONE},
        {"s " ID " 3 completed ", EVENT_NONE},
        {"s " ID " -1 completed", EVENT_NONE},
        {"s  " ID " 3 completed", EVENT_NONE},
        {"s " ID " 99999999999999999999 completed", EVENT_NONE},
        {"s x 3 completed", EVENT_NONE},
        {"p " ID " 3 101 1 8 x", EVENT_NONE},
        {"p " ID " 3 -1 1 8 x", EVENT_NONE},
        {"p " ID " 3 nan 1 8 x", EVENT_NONE},
        {"p " ID " 3 1 4294967296 8 x", EVENT_NONE},
        {"p " ID " 3 1 1 8 a\nb", EVENT_NONE},
        {"p " ID " 3 1 1 8 \xff", EVENT_NONE},
        {"cancel " ID " now", EVENT_NONE},
        {"workers all", EVENT_NONE},
        {"S " ID " 3 completed", EVENT_NONE},
    };
    struct event e;
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        bool good = event_parse(cases[i].line, strlen(cases[i].line), &e);
        if (good != (cases[i].kind != EVENT_NONE) || e.kind != cases[i].kind)
            fail_msg("\"%s\" is %d", cases[i].line, e.kind);
    }
    static const char head[] = "p " ID " 3 1 1 8 ";
    char huge[5000];
    memset(huge, 'x', sizeof(huge));
    memcpy(huge, head, sizeof(head) - 1);
    assert_false(event_parse(huge, sizeof(huge), &e));
    assert_true(event_parse(huge, sizeof(head) - 1 + 127, &e));
    assert_false(event_parse(huge, sizeof(head) - 1 + 128, &e)); /* its message alone is too long */
    assert_false(event_parse("workers\0", 8, &e));
}

static void every_step_of_progress_is_ahead_of_the_one_before(void **state)
{
    (void)state;
    assert_true(event_percent(0, 0) == 0.0001); /* another message is a step, too */
    assert_true(event_percent(0.0001, 0) == 0.0002);
    assert_true(event_percent(0.0002, 12.34567) == 12.3456);
    assert_true(event_percent(12.3456, 12.34567) == 12.3457);
    assert_true(event_percent(50, 20) == 50.0001); /* never falls */
    assert_true(event_percent(99.9, 100) == 99.9999); /* 100 is the commit's */
    double percent = 0;
    for (int i = 1; i <= 999999; i++) { /* no step is lost to rounding */
        double next = event_percent(percent, 0);
        assert_true(next > percent);
        percent = next;
    }
    assert_true(percent == 99.9999);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
    const struct CMUnitTest tests[] = {
        TEST(the_oldest_of_the_highest_lane_comes_first),
        TEST(no_lane_starves),
        TEST(what_is_no_id_is_dropped),
        TEST(a_take_waits_no_longer_than_told),
        TEST(without_redis_a_take_pauses_and_says_so),
        TEST(a_claim_carries_what_the_worker_needs),
        TEST(stale_hints_just_do_not_come_back),
        TEST(a_dead_or_unknown_pool_gets_nothing),
        TEST(a_job_that_lost_two_workers_is_claimed_alone_by_an_idle_pool),
        TEST(pools_that_claim_the_same_id_get_it_exactly_once),
        TEST(a_retryable_failure_waits_ever_longer_until_none_is_left),
        TEST(no_delay_is_longer_than_an_hour),
        TEST(a_permanent_failure_is_final_at_once_and_forgets_the_password),
        TEST(a_failure_message_that_is_no_text_is_stored_all_the_same),
        TEST(a_job_handed_back_is_in_its_place_again_with_no_retry_spent),
        TEST(events_are_read_strictly),
        TEST(every_step_of_progress_is_ahead_of_the_one_before),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
