/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_maintenance.c - what is done from time to time, as jobs (jobs/maintenance.h). */
#include "tests/jobs/maintain.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "store/blob.h"

/* ---- who submits what, and when ---- */

static void what_is_due_is_submitted_as_a_job_like_any_other(void **state)
{
    (void)state;
    old_jobs(3);
    make_due("retention");
    fixture_sweep();
    const char *id = newest("retention");
    Localrag__V1__Job *job;
    OK(&fx.cx, jobs_get(&fx.cx, fx.jobs, id, &job));
    assert_int_equal(job->task_type, LOCALRAG__V1__TASK_TYPE__TASK_TYPE_MAINTENANCE);
    assert_int_equal(job->priority, LOCALRAG__V1__PRIORITY__PRIORITY_LOW);
    assert_int_equal(job->status, LOCALRAG__V1__JOB_STATUS__JOB_STATUS_PENDING);
    assert_string_equal(job->document_name, "Remove old jobs");
    assert_int_equal(REDIS("ZSCORE", fixture_key("low"), id).type, KV_TEXT);
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, id));
    assert_string_equal(fixture_status(id), "cancelled");
}

static void one_of_a_kind_waits_or_runs_at_a_time(void **state)
{
    (void)state;
    old_jobs(3);
    for (int i = 0; i < 3; i++) {
        make_due("retention");
        fixture_sweep();
    }
    assert_int_equal(count_of("retention"), 1);
    fixture_claim(pool, newest("retention"));
    make_due("retention");
    fixture_sweep();
    assert_int_equal(count_of("retention"), 1);
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, newest("retention")));
    fixture_sweep(); /* it is still due */
    assert_int_equal(count_of("retention"), 2);
}

static void not_before_its_time_and_not_for_nothing(void **state)
{
    (void)state;
    make_due("retention");
    make_due("statistics");
    fixture_sweep(); /* there is nothing to do */
    assert_int_equal(count_of("retention") + count_of("statistics"), 0);
    old_jobs(1);
    fixture_sql("UPDATE maintenance SET submitted_at = now() - interval '30 seconds'");
    fixture_sweep(); /* it was just done */
    assert_int_equal(count_of("retention") + count_of("statistics") + count_of("orphans"), 0);
    fixture_sql("UPDATE maintenance SET submitted_at = now() - interval '61 seconds'");
    fixture_sweep();
    assert_int_equal(count_of("retention"), 1);
    assert_int_equal(count_of("statistics"), 1);
    assert_int_equal(count_of("orphans"), 0);
    fx.settings.queue_enabled = false;
    fixture_sql("UPDATE maintenance SET submitted_at = '-infinity'");
    fixture_sweep();
    assert_int_equal(count_of("orphans"), 0);
}

static void finished_maintenance_does_not_pile_up(void **state)
{
    (void)state;
    for (int i = 0; i < 55; i++)
        maintain("orphans");
    assert_in_range(fixture_number("SELECT count(*) FROM processing_jobs"), 50, 52);
    old_jobs(1);
    maintain("statistics");
    maintain("retention");
    make_due("statistics"); /* what maintenance did gives it nothing to do */
    make_due("retention");
    fixture_sql("UPDATE processing_jobs SET completed_at = now() - interval '9 days' WHERE "
                "completed_at IS NOT NULL");
    fixture_sweep();
    assert_int_equal(count_of("statistics"), 1);
    assert_int_equal(count_of("retention"), 1);
}

/* ---- fenced, and going on where another claim was ---- */

static void a_lost_claim_writes_nothing(void **state)
{
    (void)state;
    struct maintenance m;
    old_jobs(3);
    make_due("retention");
    fixture_sweep();
    const char *id = newest("retention");
    struct job_claim claim = fixture_claim(pool, id);
    OK(&fx.cx, maintenance_begin(&fx.cx, fx.jobs, &claim, &m));
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, id));
    FAILS(&fx.cx, CODE_CLAIM_LOST, maintenance_slice(&fx.cx, fx.jobs, &claim, &m));
    FAILS(&fx.cx, CODE_CLAIM_LOST, maintenance_complete(&fx.cx, fx.jobs, &claim, &m));
    FAILS(&fx.cx, CODE_CLAIM_LOST, maintenance_begin(&fx.cx, fx.jobs, &claim, &m));
    assert_int_equal(fixture_number("SELECT count(*) FROM processing_jobs WHERE task_type <> "
                                    "'maintenance'"),
                     3);
    assert_int_equal(fixture_number("SELECT count(*) FROM job_statistics"), 0);
}

static void another_claim_goes_on_behind_the_last_slice(void **state)
{
    (void)state;
    struct maintenance m;
    old_jobs(1200);
    make_due("retention");
    fixture_sweep();
    const char *id = newest("retention");
    struct job_claim first = fixture_claim(pool, id);
    OK(&fx.cx, maintenance_begin(&fx.cx, fx.jobs, &first, &m));
    OK(&fx.cx, maintenance_slice(&fx.cx, fx.jobs, &first, &m));
    assert_int_equal(m.removed_jobs, 200);
    assert_string_equal(fixture_sql("SELECT progress_message FROM processing_jobs WHERE job_id = "
                                    "'%s'",
                                    id),
                        "Removed 200 jobs and 0 files");
    fixture_sql("UPDATE worker_pools SET dead_at = now()"); /* its worker dies */
    fixture_sweep();
    fixture_pool(1, pool);
    struct job_claim second = fixture_claim(pool, id);
    FAILS(&fx.cx, CODE_CLAIM_LOST, maintenance_slice(&fx.cx, fx.jobs, &first, &m));
    OK(&fx.cx, maintenance_begin(&fx.cx, fx.jobs, &second, &m));
    assert_int_equal(m.removed_jobs, 200);
    while (m.more)
        OK(&fx.cx, maintenance_slice(&fx.cx, fx.jobs, &second, &m));
    OK(&fx.cx, maintenance_complete(&fx.cx, fx.jobs, &second, &m));
    assert_int_equal(done(id, "removed_jobs"), 1200);
    Localrag__V1__Job *job;
    OK(&fx.cx, jobs_get(&fx.cx, fx.jobs, id, &job));
    assert_int_equal(job->result->kind_case, LOCALRAG__V1__JOB_RESULT__KIND_MAINTENANCE);
    assert_string_equal(job->result->maintenance->summary, "Removed 1200 jobs and 0 files");
    assert_string_equal(job->progress_message, "Removed 1200 jobs and 0 files");
}

static void a_row_that_somebody_edited_is_an_error(void **state)
{
    (void)state;
    struct maintenance m;
    make_due("orphans");
    fixture_sweep();
    const char *id = newest("orphans");
    fixture_sql("UPDATE processing_jobs SET payload = '{\"kind\": \"dance\", \"after\": \"x\"}' "
                "WHERE job_id = '%s'",
                id);
    struct job_claim claim = fixture_claim(pool, id);
    OK(&fx.cx, maintenance_begin(&fx.cx, fx.jobs, &claim, &m));
    CONTAINS(FAILS(&fx.cx, CODE_INVALID_ARGUMENT, maintenance_slice(&fx.cx, fx.jobs, &claim, &m)),
             "dance");
}

/* ---- statistics ---- */

static const Localrag__V1__DailyStatistics *today(void)
{
    Localrag__V1__JobStatistics *s = ctx_alloc(&fx.cx, sizeof(*s));
    assert_non_null(s);
    localrag__v1__job_statistics__init(s);
    OK(&fx.cx, jobs_statistics(&fx.cx, fx.jobs, s));
    assert_true(s->n_daily > 0);
    return s->daily[0];
}

static void statistics_are_right_at_any_moment_and_count_once(void **state)
{
    (void)state;
    const char *job = fixture_job("low");
    struct job_claim claim = fixture_claim(pool, job);
    fixture_sql("UPDATE processing_jobs SET started_at = now() - interval '100 seconds'");
    OK(&fx.cx, fixture_finish(&fx.cx, fx.jobs, &claim, 2));
    const Localrag__V1__DailyStatistics *d = today(); /* nothing was rolled up yet */
    assert_int_equal(d->total_jobs, 1);
    assert_int_equal(d->pages, 2);
    assert_true(d->avg_processing_time >= 100 && d->avg_processing_time < 120);
    assert_int_equal(fixture_number("SELECT count(*) FROM job_statistics"), 0);
    const char *id = maintain("statistics");
    assert_int_equal(done(id, "counted_jobs"), 1);
    assert_int_equal(fixture_number("SELECT total_jobs FROM job_statistics"), 1);
    d = today();
    assert_int_equal(d->total_jobs, 1);
    assert_int_equal(d->pages, 2);
    const char *failed = fixture_job("low");
    claim = fixture_claim(pool, failed);
    OK(&fx.cx, jobs_fail(&fx.cx, fx.jobs, &claim, CODE_UNREADABLE, "x"));
    d = today(); /* one rolled up, one not */
    assert_int_equal(d->total_jobs, 2);
    assert_int_equal(d->completed_jobs, 1);
    assert_int_equal(d->failed_jobs, 1);
    assert_true(d->avg_processing_time >= 100 && d->avg_processing_time < 120);
    OK(&fx.cx, jobs_retry(&fx.cx, fx.jobs, failed)); /* the end it had stays counted */
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, failed));
    d = today();
    assert_int_equal(d->total_jobs, 3);
    assert_int_equal(d->cancelled_jobs, 1);
    maintain("statistics");
    assert_int_equal(today()->total_jobs, 3);
    assert_int_equal(fixture_number("SELECT total_jobs FROM job_statistics"), 3);
    assert_int_equal(fixture_number("SELECT failed_jobs FROM job_statistics"), 1);
    assert_int_equal(fixture_number("SELECT count(*) FROM job_ends"), 0);
}

/* What was counted since this was asked last, as "status jobs pages" of each row; forgets it. */
static const char *counted(void)
{
    return fixture_sql(
        "WITH gone AS (DELETE FROM job_ends RETURNING *) SELECT coalesce(string_agg("
        "concat_ws(' ', status, jobs, pages), ', ' ORDER BY status), 'none') FROM gone");
}

static void whatever_ends_a_job_counts_it(void **state)
{
    (void)state;
    struct job_claim claim = fixture_claim(pool, fixture_job("low"));
    OK(&fx.cx, jobs_fail(&fx.cx, fx.jobs, &claim, CODE_UNAVAILABLE, "x")); /* will be tried again */
    assert_string_equal(counted(), "none");
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, claim.job_id));
    assert_string_equal(counted(), "cancelled 1 0");
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, claim.job_id)); /* changes nothing */
    FAILS(&fx.cx, CODE_CLAIM_LOST, fixture_finish(&fx.cx, fx.jobs, &claim, 3));
    FAILS(&fx.cx, CODE_CLAIM_LOST, jobs_fail(&fx.cx, fx.jobs, &claim, CODE_UNREADABLE, "x"));
    assert_string_equal(counted(), "none");
    claim = fixture_claim(pool, fixture_job("low"));
    OK(&fx.cx, fixture_finish(&fx.cx, fx.jobs, &claim, 3));
    assert_string_equal(counted(), "completed 1 3");
    claim = fixture_claim(pool, fixture_job("low"));
    OK(&fx.cx, jobs_fail(&fx.cx, fx.jobs, &claim, CODE_UNREADABLE, "x"));
    assert_string_equal(counted(), "failed 1 0");
    for (int i = 0; i < 3; i++)
        fixture_claim(pool, fixture_job("low"));
    fixture_sql("UPDATE processing_jobs SET crash_count = 2, pages_done = 4 WHERE status = "
                "'processing'");
    fixture_claim(pool, fixture_job("low")); /* crashes for the first time */
    fixture_sql("UPDATE worker_pools SET dead_at = now()");
    fixture_sweep();
    assert_string_equal(counted(), "failed 3 12");
}

static void files_of_batches_and_maintenance_are_not_counted(void **state)
{
    (void)state;
    const char *files[4], *batch = fixture_job("low");
    fixture_sql("UPDATE processing_jobs SET task_type = 'directory_batch', status = 'processing', "
                "started_at = now(), pages_total = 4 WHERE job_id = '%s'",
                batch);
    for (int i = 0; i < 4; i++) {
        files[i] = fixture_job("low");
        fixture_sql("UPDATE processing_jobs SET parent_job_id = '%s', parent_path = '%d' WHERE "
                    "job_id = '%s'",
                    batch, i, files[i]);
    }
    struct job_claim claim = fixture_claim(pool, files[0]);
    OK(&fx.cx, fixture_finish(&fx.cx, fx.jobs, &claim, 3));
    claim = fixture_claim(pool, files[1]);
    OK(&fx.cx, jobs_fail(&fx.cx, fx.jobs, &claim, CODE_UNREADABLE, "x"));
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, files[2]));
    maintain("orphans");
    make_due("orphans");
    fixture_sweep();
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, newest("orphans")));
    assert_string_equal(counted(), "none");
    fixture_claim(pool, files[3]);
    fixture_sql("UPDATE processing_jobs SET crash_count = 2 WHERE job_id = '%s'", files[3]);
    fixture_sql("UPDATE worker_pools SET dead_at = now()");
    fixture_sweep(); /* the last file ends, and the batch with it */
    assert_string_equal(fixture_status(batch), "completed");
    assert_string_equal(counted(), "completed 1 0"); /* pages are counted with documents */
}

static void statistics_of_a_lost_claim_are_counted_by_the_next(void **state)
{
    (void)state;
    struct maintenance m;
    old_jobs(3);
    make_due("statistics");
    fixture_sweep();
    struct job_claim claim = fixture_claim(pool, newest("statistics"));
    OK(&fx.cx, maintenance_begin(&fx.cx, fx.jobs, &claim, &m));
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, claim.job_id));
    FAILS(&fx.cx, CODE_CLAIM_LOST, maintenance_slice(&fx.cx, fx.jobs, &claim, &m));
    assert_int_equal(fixture_number("SELECT count(*) FROM job_statistics"), 0);
    assert_int_equal(done(maintain("statistics"), "counted_jobs"), 3);
    assert_int_equal(fixture_number("SELECT total_jobs FROM job_statistics"), 3);
}

/* ---- files ---- */

static const char *folder_of(const char *id)
{
    return ctx_printf(&fx.cx, "%s/%s", fx.settings.uploads_path, id);
}

static bool has_file(const char *id)
{
    return access(ctx_printf(&fx.cx, "%s/a.pdf", folder_of(id)), F_OK) == 0;
}

static void age(const char *id)
{
    struct timespec times[2] = {{.tv_sec = time(NULL) - 7200}, {.tv_sec = time(NULL) - 7200}};
    assert_int_equal(utimensat(AT_FDCWD, folder_of(id), times, 0), 0);
}

/* An upload's file, two hours old, and its job when it has one. */
static const char *upload(bool with_job, const char *hash)
{
    struct blob *b;
    char *id = ctx_alloc(&fx.cx, 37);
    const char *path;
    str_uuid(id);
    OK(&fx.cx, blob_create(&fx.cx, fx.settings.uploads_path, &b));
    OK(&fx.cx, blob_write(&fx.cx, b, "12345", 5));
    OK(&fx.cx, blob_commit(&fx.cx, b, id, "a.pdf", &path));
    blob_close(b);
    age(id);
    if (!with_job)
        return id;
    struct job_submission in = fixture_submission(id, hash ? hash : id);
    struct job_submitted out;
    in.file_path = path;
    OK(&fx.cx, jobs_submit(&fx.cx, fx.jobs, &in, &out));
    return id;
}

static const char *finish(const char *id)
{
    struct job_claim claim = fixture_claim(pool, id);
    bool duplicate = false;
    OK(&fx.cx, fixture_finish_duplicate(&fx.cx, fx.jobs, &claim, &duplicate));
    if (!duplicate)
        OK(&fx.cx, fixture_finish(&fx.cx, fx.jobs, &claim, 1));
    return fixture_sql("SELECT document_id FROM processing_jobs WHERE job_id = '%s'", id);
}

static void orphans_go_and_what_somebody_needs_stays(void **state)
{
    (void)state;
    const char *nobody = upload(false, NULL), *young = upload(false, NULL),
               *waiting = upload(true, NULL), *cancelled = upload(true, NULL),
               *first = upload(true, "h"), *second = upload(true, "h"), *gone = upload(true, NULL),
               *moved = upload(true, NULL);
    assert_int_equal(utimensat(AT_FDCWD, folder_of(young), NULL, 0), 0);
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, cancelled));
    finish(first);
    finish(second);
    fixture_sql("DELETE FROM documents WHERE document_id = '%s'", finish(gone));
    finish(moved); /* the folder of all uploads was another one then */
    fixture_sql("UPDATE documents SET file_path = '/old/uploads/%s/a.pdf' WHERE revision_id = '%s'",
                moved, moved);
    fixture_sql("DELETE FROM processing_jobs WHERE job_id IN ('%s', '%s')", first, moved);
    const char *id = maintain("orphans");
    assert_false(has_file(nobody));
    assert_false(has_file(second)); /* a duplicate: can never run again */
    assert_false(has_file(gone));
    assert_true(has_file(young)); /* its row may be on its way */
    assert_true(has_file(waiting));
    assert_true(has_file(cancelled)); /* may be tried again */
    assert_true(has_file(first));
    assert_true(has_file(moved));
    assert_int_equal(done(id, "removed_files"), 3);
    assert_int_equal(done(id, "freed_bytes"), 15);
}

static void the_original_of_a_failed_job_goes_with_its_row(void **state)
{
    (void)state;
    const char *failed = upload(true, NULL), *document = upload(true, NULL),
               *duplicate = upload(true, "h"), *other = upload(true, "h");
    struct job_claim claim = fixture_claim(pool, failed);
    OK(&fx.cx, jobs_fail(&fx.cx, fx.jobs, &claim, CODE_UNREADABLE, "x"));
    finish(document);
    finish(other);
    finish(duplicate);
    make_due("retention");
    fixture_sweep();
    assert_int_equal(count_of("retention"), 0);
    assert_true(has_file(failed)); /* not old yet: may be tried again */
    fixture_sql(
        "UPDATE processing_jobs SET completed_at = now() - interval '2 days' WHERE task_type "
        "<> 'maintenance'");
    const char *id = maintain("retention");
    assert_int_equal(done(id, "removed_jobs"), 4);
    assert_int_equal(done(id, "removed_files"), 2);
    assert_false(has_file(failed));
    assert_false(has_file(duplicate));
    assert_true(has_file(document));
    assert_true(has_file(other));
    maintain("orphans");
    assert_true(has_file(document)); /* though no job knows it any more */
}

static void files_of_another_database_stay(void **state)
{
    (void)state;
    struct maintenance m;
    const char *nobody = upload(false, NULL);
    maintain("orphans");
    assert_false(has_file(nobody));
    nobody = upload(false, NULL);
    const char *owner = fixture_sql("SELECT owner_id FROM store_owner");
    fixture_sql("UPDATE store_owner SET owner_id = gen_random_uuid()");
    make_due("orphans");
    fixture_sweep();
    struct job_claim claim = fixture_claim(pool, newest("orphans"));
    OK(&fx.cx, maintenance_begin(&fx.cx, fx.jobs, &claim, &m));
    CONTAINS(FAILS(&fx.cx, CODE_PERMISSION_DENIED, maintenance_slice(&fx.cx, fx.jobs, &claim, &m)),
             ".owner");
    assert_true(has_file(nobody));
    fixture_sql("UPDATE store_owner SET owner_id = '%s'", owner);
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, claim.job_id));
    maintain("orphans");
    assert_false(has_file(nobody));
}

static void many_folders_take_many_slices_and_another_claim_goes_on(void **state)
{
    (void)state;
    struct maintenance m;
    enum { N = 600 };
    for (int i = 0; i < N; i++)
        upload(false, NULL);
    make_due("orphans");
    fixture_sweep();
    struct job_claim claim = fixture_claim(pool, newest("orphans"));
    OK(&fx.cx, maintenance_begin(&fx.cx, fx.jobs, &claim, &m));
    OK(&fx.cx, maintenance_slice(&fx.cx, fx.jobs, &claim, &m));
    assert_true(m.more);
    assert_int_equal(m.removed_files, 500);
    char after[37];
    memcpy(after, m.after, sizeof(after));
    fixture_sql("UPDATE processing_jobs SET crash_count = 2 WHERE job_id = '%s'", claim.job_id);
    OK(&fx.cx, jobs_hand_back(&fx.cx, fx.jobs, &claim));
    struct job_claim second = fixture_claim(pool, claim.job_id);
    assert_int_equal(second.crash_count, 0); /* or each slice would have a pool to itself */
    OK(&fx.cx, maintenance_begin(&fx.cx, fx.jobs, &second, &m));
    assert_string_equal(m.after, after);
    while (m.more)
        OK(&fx.cx, maintenance_slice(&fx.cx, fx.jobs, &second, &m));
    assert_int_equal(m.removed_files, N);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, empty)
    const struct CMUnitTest tests[] = {
        TEST(what_is_due_is_submitted_as_a_job_like_any_other),
        TEST(one_of_a_kind_waits_or_runs_at_a_time),
        TEST(not_before_its_time_and_not_for_nothing),
        TEST(finished_maintenance_does_not_pile_up),
        TEST(a_lost_claim_writes_nothing),
        TEST(another_claim_goes_on_behind_the_last_slice),
        TEST(a_row_that_somebody_edited_is_an_error),
        TEST(statistics_are_right_at_any_moment_and_count_once),
        TEST(whatever_ends_a_job_counts_it),
        TEST(files_of_batches_and_maintenance_are_not_counted),
        TEST(statistics_of_a_lost_claim_are_counted_by_the_next),
        TEST(orphans_go_and_what_somebody_needs_stays),
        TEST(the_original_of_a_failed_job_goes_with_its_row),
        TEST(files_of_another_database_stay),
        TEST(many_folders_take_many_slices_and_another_claim_goes_on),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
