/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_retention.c - finished jobs that are removed: which, and what goes with them
 * (jobs/retention.h). */
#include "tests/jobs/maintain.h"

#include <string.h>

static void retention_removes_finished_jobs_and_what_only_they_had(void **state)
{
    (void)state;
    const char *waiting = fixture_job("low"), *running = fixture_job("low"),
               *failed = fixture_job("low"), *finished = fixture_job("low"),
               *young = fixture_job("low");
    struct job_page page = fixture_page(1, "words");
    struct job_claim claim = fixture_claim(pool, failed);
    OK(&fx.cx, jobs_save_pages(&fx.cx, fx.jobs, &claim, &page, 1));
    OK(&fx.cx, jobs_fail(&fx.cx, fx.jobs, &claim, CODE_UNREADABLE, "x"));
    claim = fixture_claim(pool, finished);
    OK(&fx.cx, fixture_finish(&fx.cx, fx.jobs, &claim, 1));
    fixture_claim(pool, running);
    fixture_sql(
        "UPDATE processing_jobs SET created_at = now() - interval '9 days', started_at = now() - "
        "interval '9 days', completed_at = completed_at - interval '2 days'");
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, young));
    assert_int_equal(done(maintain("retention"), "removed_jobs"), 2);
    assert_string_equal(fixture_sql(
                            "SELECT string_agg(status, ' ' ORDER BY id) FROM processing_jobs WHERE "
                            "task_type <> 'maintenance'"),
                        "pending processing cancelled");
    assert_string_equal(fixture_status(waiting), "pending");
    assert_int_equal(fixture_number("SELECT count(*) FROM documents"), 1); /* documents stay */
    assert_int_equal(fixture_number("SELECT count(*) FROM document_pages WHERE revision_id = '%s'",
                                    finished),
                     1);
    assert_int_equal(fixture_number("SELECT count(*) FROM document_pages WHERE revision_id = '%s'",
                                    failed),
                     0);
    assert_int_equal(fixture_number("SELECT sum(jobs) FROM job_ends"), 3); /* counted once */
}

static void children_go_with_their_parent_only(void **state)
{
    (void)state;
    const char *parent = fixture_job("low"), *child = fixture_job("low"),
               *other = fixture_job("low");
    fixture_sql("UPDATE processing_jobs SET status = 'cancelled', completed_at = now() - interval "
                "'2 days', task_type = CASE job_id WHEN '%s' THEN 'directory_batch' ELSE task_type "
                "END, parent_job_id = CASE job_id WHEN '%s' THEN '%s'::uuid WHEN '%s' THEN "
                "gen_random_uuid() END, parent_path = 'a'",
                parent, child, parent, other);
    assert_int_equal(done(maintain("retention"), "removed_jobs"), 2);
    assert_string_equal(fixture_sql(
                            "SELECT string_agg(job_id::text, '') FROM processing_jobs WHERE "
                            "task_type <> 'maintenance'"),
                        other);
}

static void a_batch_stays_while_one_of_its_files_runs_again(void **state)
{
    (void)state;
    const char *batch = fixture_job("low"), *file = fixture_job("low");
    old_jobs(1);
    fixture_sql("UPDATE processing_jobs SET task_type = 'directory_batch', status = 'failed', "
                "completed_at = now() - interval '3 days' WHERE job_id = '%s'",
                batch);
    fixture_sql("UPDATE processing_jobs SET parent_job_id = '%s', parent_path = 'a' WHERE job_id = "
                "'%s'",
                batch, file);
    assert_int_equal(done(maintain("retention"), "removed_jobs"), 1);
    assert_string_equal(fixture_status(batch), "failed");
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, file));
    fixture_sql("UPDATE processing_jobs SET completed_at = now() - interval '3 days' WHERE "
                "completed_at IS NOT NULL");
    assert_int_equal(done(maintain("retention"), "removed_jobs"), 2);
}

static void a_slice_is_small_whatever_there_is(void **state)
{
    (void)state;
    struct maintenance m;
    const char *batch = fixture_job("low"), *long_one = fixture_job("low");
    fixture_sql("UPDATE processing_jobs SET task_type = CASE job_id WHEN '%s' THEN "
                "'directory_batch' ELSE task_type END, status = 'failed', completed_at = now() - "
                "interval '2 days'",
                batch);
    fixture_sql("INSERT INTO processing_jobs (job_id, task_type, priority, payload, max_retries, "
                "status, completed_at, parent_job_id, parent_path) SELECT gen_random_uuid(), "
                "'single_document', 'low', '{}', 3, 'failed', now() - interval '2 days', '%s', i "
                "FROM generate_series(1, 1700) AS i",
                batch);
    fixture_sql("INSERT INTO document_pages (revision_id, page, engine, char_count, width, height, "
                "rotation, ms, text) SELECT '%s', i, 'text', 1, 1, 1, 0, 1, 'x' FROM "
                "generate_series(1, 1300) AS i",
                long_one);
    make_due("retention");
    fixture_sweep();
    const char *id = newest("retention");
    struct job_claim claim = fixture_claim(pool, id);
    OK(&fx.cx, maintenance_begin(&fx.cx, fx.jobs, &claim, &m));
    int slices = 0;
    int64_t rows = 1702, pages = 1300;
    while (m.more) {
        OK(&fx.cx, maintenance_slice(&fx.cx, fx.jobs, &claim, &m));
        int64_t rows_now = fixture_number("SELECT count(*) FROM processing_jobs WHERE task_type <> "
                                          "'maintenance'"),
                pages_now = fixture_number("SELECT count(*) FROM document_pages");
        assert_true(rows - rows_now <= 1000 && pages - pages_now <= 500);
        assert_true(rows_now == 0 || m.more);
        rows = rows_now;
        pages = pages_now;
        assert_true(++slices < 20);
    }
    assert_int_equal(rows + pages, 0);
    assert_int_equal(m.removed_jobs, 1702);
}

static void a_cleanup_by_hand_is_the_same(void **state)
{
    (void)state;
    int64_t deleted = 0;
    old_jobs(1100);
    const char *young = fixture_job("low");
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, young));
    maintain("orphans");
    FAILS(&fx.cx, CODE_INVALID_ARGUMENT, jobs_cleanup(&fx.cx, fx.jobs, 3651, &deleted));
    OK(&fx.cx, jobs_cleanup(&fx.cx, fx.jobs, 3, &deleted));
    assert_int_equal(deleted, 0);
    OK(&fx.cx, jobs_cleanup(&fx.cx, fx.jobs, 1, &deleted));
    assert_int_equal(deleted, 1100);
    assert_string_equal(fixture_status(young), "cancelled");
    OK(&fx.cx, jobs_cleanup(&fx.cx, fx.jobs, 0, &deleted));
    assert_int_equal(deleted, 1);
    assert_int_equal(count_of("orphans"), 1); /* nobody asked for it, nobody is told about it */
    assert_int_equal(fixture_number("SELECT sum(jobs) FROM job_ends"), 1101);
}

static void a_cleanup_that_ends_early_says_what_it_did(void **state)
{
    (void)state;
    int64_t deleted = -1;
    old_jobs(500);
    fixture_sql("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF (SELECT "
                "count(*) FROM processing_jobs) <= 300 THEN RAISE 'enough'; END IF; RETURN OLD; "
                "END $$; CREATE TRIGGER refuse BEFORE DELETE ON processing_jobs FOR EACH STATEMENT "
                "EXECUTE FUNCTION refuse()");
    CONTAINS(FAILS(&fx.cx, CODE_INTERNAL, jobs_cleanup(&fx.cx, fx.jobs, 1, &deleted)),
             "enough; 200 jobs were removed before that");
    assert_int_equal(deleted, -1);
    fixture_sql("DROP FUNCTION refuse CASCADE");
    OK(&fx.cx, jobs_cleanup(&fx.cx, fx.jobs, 1, &deleted));
    assert_int_equal(deleted, 300);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, empty)
    const struct CMUnitTest tests[] = {
        TEST(retention_removes_finished_jobs_and_what_only_they_had),
        TEST(children_go_with_their_parent_only),
        TEST(a_batch_stays_while_one_of_its_files_runs_again),
        TEST(a_slice_is_small_whatever_there_is),
        TEST(a_cleanup_by_hand_is_the_same),
        TEST(a_cleanup_that_ends_early_says_what_it_did),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
