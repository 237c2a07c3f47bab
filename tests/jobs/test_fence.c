/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_fence.c - what the finish settles: duplicates, pools that die meanwhile, given-up finishes.
 *
 * The finish is one transaction, so its races are decided by who locks the row. What a zombie (a
 * worker whose job was given to somebody else) can still do is asked by test_fence_probe.c. */
#include "tests/support/fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clk.h"
#include "base/str.h"

static char pool[37], other[37];
static const char *id;
static struct job_claim zombie, owner;

/* The job's first claim was lost with its pool; the second one is at work. */
static int setup(void **state)
{
    if (fixture_empty(state) != 0)
        return -1;
    fixture_pool(1, pool);
    fixture_pool(1, other);
    id = fixture_job("medium");
    zombie = fixture_claim(pool, id);
    fixture_sql("UPDATE worker_pools SET dead_at = now() WHERE pool_id = '%s'", pool);
    fixture_sweep();
    owner = fixture_claim(other, id);
    return 0;
}

static const char *row(void)
{
    return fixture_sql("SELECT row(j.*)::text FROM processing_jobs AS j WHERE job_id = '%s'", id);
}

static void claims_are_numbered_and_the_number_never_falls(void **state)
{
    (void)state;
    assert_int_equal(zombie.epoch, 1);
    assert_int_equal(owner.epoch, 2);
    assert_int_equal(owner.retry_count, 0); /* a crash is no retry */
    assert_int_equal(owner.crash_count, 1);
}

static void a_zombie_cannot_finish(void **state)
{
    (void)state;
    const char *before = row();
    FAILS(&fx.cx, CODE_CLAIM_LOST, jobs_finish_begin(&fx.cx, fx.jobs, &zombie));
    jobs_finish_abort(fx.jobs);
    bool done = true;
    OK(&fx.cx, fixture_finish_duplicate(&fx.cx, fx.jobs, &zombie, &done));
    assert_false(done);
    assert_string_equal(row(), before);
    assert_int_equal(fixture_number("SELECT count(*) FROM documents"), 0);
    OK(&fx.cx, fixture_finish(&fx.cx, fx.jobs, &owner, 1));
}

static void a_zombie_cannot_finish_as_a_duplicate(void **state)
{
    (void)state;
    const char *first = fixture_job("medium");
    struct job_claim c = fixture_claim(other, first);
    c.content_hash = zombie.content_hash;
    OK(&fx.cx, fixture_finish(&fx.cx, fx.jobs, &c, 1));
    const char *before = row();
    bool done = false;
    FAILS(&fx.cx, CODE_CLAIM_LOST, fixture_finish_duplicate(&fx.cx, fx.jobs, &zombie, &done));
    assert_false(done);
    assert_string_equal(row(), before);
}

static void a_cancelled_job_gets_no_more_pages(void **state)
{
    (void)state;
    struct job_page page = fixture_page(1, "words");
    OK(&fx.cx, jobs_save_pages(&fx.cx, fx.jobs, &owner, &page, 1));
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, id));
    page = fixture_page(2, "too late");
    FAILS(&fx.cx, CODE_CLAIM_LOST, jobs_save_pages(&fx.cx, fx.jobs, &owner, &page, 1));
    assert_int_equal(fixture_number("SELECT count(*) FROM document_pages"), 1);
}

static void an_aborted_finish_leaves_nothing(void **state)
{
    (void)state;
    const struct job_chunk chunk = {.content = "words",
                                    .spans_json = "[]",
                                    .heading_path_json = "[]"};
    OK(&fx.cx, jobs_finish_begin(&fx.cx, fx.jobs, &owner));
    OK(&fx.cx, jobs_finish_add_chunks(&fx.cx, fx.jobs, &owner, &chunk, 1));
    jobs_finish_abort(fx.jobs);
    jobs_finish_abort(fx.jobs);
    assert_int_equal(fixture_number("SELECT count(*) FROM chunks"), 0);
    assert_string_equal(fixture_status(id), "processing");
}

/* ---- races with the finish ---- */

static void a_finish_under_way_is_not_taken_from_a_pool_that_died(void **state)
{
    (void)state;
    CLEANUP(jobs_closep) struct jobs *finisher = fixture_jobs();
    struct job_page page = fixture_page(1, "words");
    const struct job_document doc = {.page_count = 1, .content_type = "application/pdf"};
    OK(&fx.cx, jobs_save_pages(&fx.cx, finisher, &owner, &page, 1));
    OK(&fx.cx, jobs_finish_begin(&fx.cx, finisher, &owner));
    fixture_sql("UPDATE worker_pools SET dead_at = now()");
    int64_t started = clk_mono_ms();
    fixture_sweep(); /* does not wait for the lock either: everybody else's jobs hang on it */
    assert_true(clk_mono_ms() - started < 2000);
    OK(&fx.cx, jobs_finish_commit(&fx.cx, finisher, &owner, &doc));
    assert_string_equal(fixture_status(id), "completed");
    fixture_sweep();
    assert_string_equal(fixture_sql("SELECT status || crash_count FROM processing_jobs"),
                        "completed1");
}

static void a_finish_given_up_by_a_dead_pool_is_freed_by_the_next_sweep(void **state)
{
    (void)state;
    CLEANUP(jobs_closep) struct jobs *finisher = fixture_jobs();
    OK(&fx.cx, jobs_finish_begin(&fx.cx, finisher, &owner));
    fixture_sql("UPDATE worker_pools SET dead_at = now()");
    fixture_sweep();
    jobs_finish_abort(finisher);
    fixture_sweep();
    assert_string_equal(fixture_sql("SELECT status || crash_count FROM processing_jobs"),
                        "pending2");
    FAILS(&fx.cx, CODE_CLAIM_LOST, fixture_finish(&fx.cx, finisher, &owner, 1));
}

static void a_beat_does_not_wait_for_the_finish_of_its_own_job(void **state)
{
    (void)state;
    CLEANUP(jobs_closep) struct jobs *finisher = fixture_jobs();
    struct pool_worker w = {.name = "general-1",
                            .running = true,
                            .epoch = owner.epoch,
                            .progress_due = true,
                            .percent = 96};
    struct pool_orders orders;
    snprintf(w.job_id, sizeof(w.job_id), "%s", id);
    OK(&fx.cx, jobs_finish_begin(&fx.cx, finisher, &owner));
    int64_t started = clk_mono_ms();
    OK(&fx.cx, pools_beat(&fx.cx, fx.jobs, other, &w, 1, &orders)); /* or its lease would run out */
    assert_true(clk_mono_ms() - started < 2000);
    assert_int_equal(orders.n_lost, 0);
    jobs_finish_abort(finisher);
}

/* ---- the same bytes twice ---- */

struct racer {
    pthread_t thread;
    struct jobs *jobs;
    struct job_claim claim;
    enum code code;
};

static void *race(void *arg)
{
    struct racer *r = arg;
    struct ctx cx;
    ctx_init(&cx, 1 << 20);
    r->code = fixture_finish(&cx, r->jobs, &r->claim, 1);
    ctx_done(&cx);
    return NULL;
}

static void jobs_with_the_same_bytes_that_finish_together_make_one_document(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        struct racer r[2] = {{0}};
        assert_int_equal(fixture_empty(state), 0);
        fixture_pool(2, pool);
        for (int i = 0; i < 2; i++) {
            r[i] = (struct racer){.jobs = fixture_jobs(),
                                  .claim = fixture_claim(pool, fixture_job("medium"))};
            r[i].claim.content_hash = "the same";
        }
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&r[i].thread, NULL, race, &r[i]), 0);
        for (int i = 0; i < 2; i++) {
            pthread_join(r[i].thread, NULL);
            jobs_close(r[i].jobs);
            assert_int_equal(r[i].code, CODE_OK);
        }
        assert_int_equal(fixture_number("SELECT count(*) FROM documents"), 1);
        assert_int_equal(fixture_number(
                             "SELECT count(*) FROM processing_jobs WHERE status = 'completed' AND "
                             "document_id = (SELECT document_id FROM documents)"),
                         2);
        assert_int_equal(fixture_number(
                             "SELECT count(*) FROM processing_jobs WHERE result->>'duplicate_of' = "
                             "(SELECT document_id::text FROM documents)"),
                         1);
        /* What the second one read is gone with it. */
        assert_int_equal(fixture_number("SELECT count(*) FROM document_pages"), 1);
        assert_int_equal(fixture_number("SELECT count(*) FROM chunks"), 1);
    }
}

static void known_bytes_need_no_reading_and_other_settings_make_another_document(void **state)
{
    (void)state;
    OK(&fx.cx, fixture_finish(&fx.cx, fx.jobs, &owner, 2));
    struct job_claim again = fixture_claim(other, fixture_job("medium"));
    again.content_hash = owner.content_hash;
    struct job_page page = fixture_page(1, "read by an attempt before the other was done");
    OK(&fx.cx, jobs_save_pages(&fx.cx, fx.jobs, &again, &page, 1));
    OK(&fx.cx, jobs_hand_back(&fx.cx, fx.jobs, &again));
    again = fixture_claim(other, again.job_id);
    again.content_hash = owner.content_hash;
    bool done = false;
    OK(&fx.cx, fixture_finish_duplicate(&fx.cx, fx.jobs, &again, &done));
    assert_true(done);
    assert_int_equal(fixture_number("SELECT count(*) FROM document_pages"), 2);
    Localrag__V1__Job *job;
    OK(&fx.cx, jobs_get(&fx.cx, fx.jobs, again.job_id, &job));
    assert_int_equal(job->result->kind_case, LOCALRAG__V1__JOB_RESULT__KIND_DOCUMENT);
    assert_string_equal(job->result->document->duplicate_of, job->document_id);
    assert_int_equal(job->result->document->page_count, 2);
    assert_true(job->progress == 100);

    fx.settings.chunk_size++;
    struct job_claim different = fixture_claim(other, fixture_job("medium"));
    different.content_hash = owner.content_hash;
    OK(&fx.cx, fixture_finish_duplicate(&fx.cx, fx.jobs, &different, &done));
    assert_false(done);
    char *german[] = {(char *)"deu", NULL};
    fx.settings.chunk_size--;
    different.languages = german;
    OK(&fx.cx, fixture_finish_duplicate(&fx.cx, fx.jobs, &different, &done));
    assert_false(done);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
    const struct CMUnitTest tests[] = {
        TEST(claims_are_numbered_and_the_number_never_falls),
        TEST(a_zombie_cannot_finish),
        TEST(a_zombie_cannot_finish_as_a_duplicate),
        TEST(a_cancelled_job_gets_no_more_pages),
        TEST(an_aborted_finish_leaves_nothing),
        TEST(a_finish_under_way_is_not_taken_from_a_pool_that_died),
        TEST(a_finish_given_up_by_a_dead_pool_is_freed_by_the_next_sweep),
        TEST(a_beat_does_not_wait_for_the_finish_of_its_own_job),
        TEST(jobs_with_the_same_bytes_that_finish_together_make_one_document),
        TEST(known_bytes_need_no_reading_and_other_settings_make_another_document),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
