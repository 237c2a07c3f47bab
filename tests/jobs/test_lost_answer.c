/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_lost_answer.c - the database vanishes in the very moment of a commit.
 *
 * Whether the statement took effect is then unknown to the caller. Each test cuts the connection
 * before the statement, or after it and before its answer (tests/support/proxy.h), and whatever the
 * truth is, no job may be lost, run without its file, or be done twice. */
#include "tests/support/proxy.h"

#include <string.h>

#include "base/str.h"

static struct proxy *proxy;
static struct settings through;
static struct jobs *jobs; /* through the proxy */
static char pool[37];

static int setup(void **state)
{
    if (fixture_empty(state) != 0 || !(proxy = proxy_start()))
        return -1;
    through = fx.settings;
    through.database_url = proxy_url(proxy);
    fixture_pool(1, pool);
    return jobs_open(&fx.cx, &through, "test", &jobs) == CODE_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    jobs_closep(&jobs);
    proxy_stop(proxy);
    return 0;
}

static int64_t rows(void)
{
    return fixture_number("SELECT count(*) FROM processing_jobs");
}

/* ---- submitting ---- */

static void a_submit_whose_answer_was_lost_has_its_job(void **state)
{
    (void)state;
    char id[37];
    str_uuid(id);
    struct job_submission in = fixture_submission(id, "hash");
    struct job_submitted out;
    proxy_cut(proxy, 'B', "job_insert_many", PROXY_AFTER);
    OK(&fx.cx, jobs_submit(&fx.cx, jobs, &in, &out)); /* it looked again */
    assert_int_equal(proxy_cuts(proxy), 1);
    assert_string_equal(out.job_id, id);
    assert_int_equal(rows(), 1);
    assert_int_equal(REDIS("ZSCORE", fixture_key("medium"), id).type, KV_TEXT);
}

static void a_submit_that_never_arrived_has_none_and_the_caller_is_sure(void **state)
{
    (void)state;
    char id[37];
    str_uuid(id);
    struct job_submission in = fixture_submission(id, "hash");
    struct job_submitted out;
    proxy_cut(proxy, 'B', "job_insert_many", PROXY_BEFORE);
    FAILS(&fx.cx, CODE_UNAVAILABLE, jobs_submit(&fx.cx, jobs, &in, &out));
    assert_int_equal(proxy_cuts(proxy), 1);
    assert_false(out.unsure);
    assert_int_equal(rows(), 0);
    OK(&fx.cx, jobs_submit(&fx.cx, jobs, &in, &out));
}

static void a_submit_whose_database_stays_away_leaves_the_caller_unsure(void **state)
{
    (void)state;
    char id[37];
    str_uuid(id);
    struct job_submission in = fixture_submission(id, "hash");
    struct job_submitted out;
    Localrag__V1__Job *job;
    FAILS(&fx.cx, CODE_NOT_FOUND, jobs_get(&fx.cx, jobs, id, &job)); /* connected */
    proxy_close_door(proxy);
    proxy_cut(proxy, 'B', "job_insert_many", PROXY_AFTER);
    FAILS(&fx.cx, CODE_UNAVAILABLE, jobs_submit(&fx.cx, jobs, &in, &out));
    assert_true(out.unsure); /* so that it does not remove the file: the job is there */
    assert_int_equal(rows(), 1);
}

/* ---- finishing ---- */

static void a_finish_whose_answer_was_lost_is_not_done_twice(void **state)
{
    (void)state;
    struct job_claim claim = fixture_claim(pool, fixture_job("medium"));
    proxy_cut(proxy, 'Q', "COMMIT", PROXY_AFTER);
    FAILS(&fx.cx, CODE_UNAVAILABLE, fixture_finish(&fx.cx, jobs, &claim, 2));
    assert_int_equal(proxy_cuts(proxy), 1);
    assert_string_equal(fixture_status(claim.job_id), "completed");
    /* The worker cannot know, and tries again. */
    FAILS(&fx.cx, CODE_CLAIM_LOST, jobs_finish_begin(&fx.cx, jobs, &claim));
    jobs_finish_abort(jobs);
    FAILS(&fx.cx, CODE_CLAIM_LOST,
          jobs_fail(&fx.cx, jobs, &claim, CODE_UNAVAILABLE, "lost the database"));
    assert_string_equal(fixture_status(claim.job_id), "completed");
    assert_int_equal(fixture_number("SELECT count(*) FROM documents"), 1);
    assert_int_equal(fixture_number("SELECT count(*) FROM chunks"), 1);
}

static void a_finish_that_never_arrived_can_be_done_again(void **state)
{
    (void)state;
    struct job_claim claim = fixture_claim(pool, fixture_job("medium"));
    proxy_cut(proxy, 'Q', "COMMIT", PROXY_BEFORE);
    FAILS(&fx.cx, CODE_UNAVAILABLE, fixture_finish(&fx.cx, jobs, &claim, 2));
    assert_string_equal(fixture_status(claim.job_id), "processing");
    assert_int_equal(fixture_number("SELECT count(*) FROM documents"), 0);
    OK(&fx.cx, fixture_finish(&fx.cx, jobs, &claim, 2));
    assert_string_equal(fixture_status(claim.job_id), "completed");
    assert_int_equal(fixture_number("SELECT count(*) FROM chunks"), 1);
}

static void a_finish_cut_between_its_statements_leaves_nothing_of_it(void **state)
{
    (void)state;
    static const char *const statements[] = {"job_lock",      "chunks_delete",   "chunks_add",
                                             "pages_summary", "document_insert", "job_complete"};
    for (unsigned i = 0; i < ARRAY_LEN(statements); i++) {
        struct job_claim claim = fixture_claim(pool, fixture_job("medium"));
        int before = proxy_cuts(proxy);
        proxy_cut(proxy, 'B', statements[i], PROXY_AFTER);
        FAILS(&fx.cx, CODE_UNAVAILABLE, fixture_finish(&fx.cx, jobs, &claim, 1));
        assert_int_equal(proxy_cuts(proxy), before + 1);
        assert_string_equal(fixture_status(claim.job_id), "processing");
        assert_int_equal(fixture_number("SELECT count(*) FROM chunks WHERE revision_id = '%s'",
                                        claim.job_id),
                         0);
        assert_int_equal(fixture_number("SELECT count(*) FROM documents WHERE revision_id = '%s'",
                                        claim.job_id),
                         0);
        OK(&fx.cx, fixture_finish(&fx.cx, jobs, &claim, 1));
    }
}

/* ---- the rest of a worker's writes can simply be repeated ---- */

static void pages_whose_answer_was_lost_are_there_once(void **state)
{
    (void)state;
    struct job_claim claim = fixture_claim(pool, fixture_job("medium"));
    struct job_page page = fixture_page(1, "words");
    proxy_cut(proxy, 'B', "pages_save", PROXY_AFTER);
    FAILS(&fx.cx, CODE_UNAVAILABLE, jobs_save_pages(&fx.cx, jobs, &claim, &page, 1));
    OK(&fx.cx, jobs_save_pages(&fx.cx, jobs, &claim, &page, 1));
    assert_int_equal(fixture_number("SELECT count(*) FROM document_pages"), 1);
}

static void a_claim_whose_answer_was_lost_comes_back_by_the_beat(void **state)
{
    (void)state;
    char ids[1][37];
    const char *workers[] = {"general-1"}, *id = fixture_job("medium");
    struct job_claim claim;
    struct pool_worker idle = {.name = "general-1", .running = true};
    struct pool_orders orders;
    int n = 0;
    memcpy(ids[0], id, sizeof(ids[0]));
    proxy_cut(proxy, 'B', "job_claim", PROXY_AFTER);
    FAILS(&fx.cx, CODE_UNAVAILABLE,
          jobs_claim(&fx.cx, jobs, pool, 1, ids, workers, true, &claim, &n));
    assert_string_equal(fixture_status(id),
                        "processing"); /* by a worker that knows nothing of it */
    fixture_sql("UPDATE processing_jobs SET started_at = now() - interval '6 seconds'");
    for (int i = 0; i < POOL_STRAYS_EVERY; i++)
        OK(&fx.cx, pools_beat(&fx.cx, jobs, pool, &idle, 1, &orders));
    assert_string_equal(fixture_status(id), "pending");
}

static void a_failure_whose_answer_was_lost_spends_one_attempt(void **state)
{
    (void)state;
    struct job_claim claim = fixture_claim(pool, fixture_job("medium"));
    proxy_cut(proxy, 'B', "job_fail", PROXY_AFTER);
    FAILS(&fx.cx, CODE_UNAVAILABLE, jobs_fail(&fx.cx, jobs, &claim, CODE_UNAVAILABLE, "away"));
    FAILS(&fx.cx, CODE_CLAIM_LOST, jobs_fail(&fx.cx, jobs, &claim, CODE_UNAVAILABLE, "away"));
    assert_string_equal(fixture_sql("SELECT status || retry_count FROM processing_jobs"),
                        "retrying1");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_submit_whose_answer_was_lost_has_its_job),
        TEST(a_submit_that_never_arrived_has_none_and_the_caller_is_sure),
        TEST(a_submit_whose_database_stays_away_leaves_the_caller_unsure),
        TEST(a_finish_whose_answer_was_lost_is_not_done_twice),
        TEST(a_finish_that_never_arrived_can_be_done_again),
        TEST(a_finish_cut_between_its_statements_leaves_nothing_of_it),
        TEST(pages_whose_answer_was_lost_are_there_once),
        TEST(a_claim_whose_answer_was_lost_comes_back_by_the_beat),
        TEST(a_failure_whose_answer_was_lost_spends_one_attempt),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
