/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_batch.c - a directory batch moves with its files (jobs/batch.h), whoever ends them: finish,
 * failure, cancel, crash limit; it is listed, cancelled, tried again and found by the sweep.
 *
 * One thread; what many do at once is in test_batch_storm.c. */
#include "tests/jobs/batches.h"

static void files_are_released_in_order_as_others_end(void **state)
{
    (void)state;
    const char *id = batch(5);
    assert_string_equal(fixture_status(id), "processing");
    assert_string_equal(fixture_sql("SELECT coalesce(pool_id::text, 'none') FROM processing_jobs "
                                    "WHERE job_id = '%s'",
                                    id),
                        "none");
    assert_int_equal(count(id, RUNNABLE), AT_ONCE);
    assert_int_equal(REDIS("ZCARD", fixture_key("medium")).integer,
                     1 + AT_ONCE); /* the batch's own too */
    struct job_claim early;
    assert_int_equal(fixture_try_claim(pool, file_of(id, 3), true, &early), 0);
    finish(id, 1);
    assert_int_equal(count(id, RUNNABLE), AT_ONCE);
    assert_int_equal(count(id, "parent_path = '003.txt' AND ready_at < 'infinity'"), 1);
    assert_string_equal(
        fixture_sql("SELECT progress_message FROM processing_jobs WHERE job_id = '%s'", id),
        "Processed file 1 of 5");
    for (int i = 0; i < 5; i++)
        if (i != 1)
            finish(id, i);
    expect(id, 5, 0, 0, 0);
    assert_string_equal(result_of(id)->summary, "Processed 5 files: 5 successful.");
}

static void every_way_to_end_a_file_moves_the_batch(void **state)
{
    (void)state;
    const char *id = batch(7);
    finish(id, 0);
    fail_file(id, 1, CODE_UNREADABLE);
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, file_of(id, 2)));
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, file_of(id, 6))); /* nobody had released it */
    struct job_claim same = claim_file(id, 3, file_of(id, 0));
    bool done = false;
    OK(&fx.cx, fixture_finish_duplicate(&fx.cx, fx.jobs, &same, &done));
    assert_true(done);
    /* Its worker dies for the third time. */
    const char *doomed = file_of(id, 4);
    fixture_sql("UPDATE processing_jobs SET crash_count = 2 WHERE job_id = '%s'", doomed);
    char dead[37];
    fixture_pool(1, dead);
    struct job_claim claim = fixture_claim(dead, doomed);
    assert_string_equal(claim.parent_id, id);
    fixture_sql("UPDATE worker_pools SET dead_at = now() WHERE pool_id = '%s'", dead);
    fixture_sweep();
    assert_string_equal(fixture_status(doomed), "failed");
    assert_string_equal(fixture_status(id), "processing");
    finish(id, 5);
    expect(id, 2, 2, 1, 2);
    const Localrag__V1__DirectoryResult *d = result_of(id);
    assert_int_equal(d->n_failed_files, 2);
    assert_string_equal(d->failed_files[0]->file_path, "/in/001.txt");
    assert_string_equal(d->failed_files[0]->error_code, "UNREADABLE");
    assert_string_equal(d->failed_files[1]->error_code, "WORKER_CRASHED");
    assert_string_equal(d->failed_files[1]->job_id, doomed);
}

static void a_file_that_waits_for_its_next_attempt_makes_room(void **state)
{
    (void)state;
    fx.settings.retry_delay_ms = 3600000;
    const char *id = batch(5);
    fail_file(id, 0, CODE_UNAVAILABLE);
    assert_string_equal(fixture_status(file_of(id, 0)), "retrying");
    assert_int_equal(count(id, "ready_at <= now() AND " UNFINISHED), AT_ONCE);
    for (int i = 1; i < 5; i++)
        finish(id, i);
    assert_string_equal(fixture_status(id), "processing");
    fixture_sql("UPDATE processing_jobs SET ready_at = now() WHERE job_id = '%s'", file_of(id, 0));
    finish(id, 0);
    expect(id, 5, 0, 0, 0);
}

static void no_files_no_worker(void **state)
{
    (void)state;
    const char *id = submit(0);
    expect(id, 0, 0, 0, 0);
    struct job_claim claim;
    assert_int_equal(fixture_try_claim(pool, id, true, &claim), 0);
}

static void cancelling_takes_all_files(void **state)
{
    (void)state;
    const char *id = batch(6);
    finish(id, 0);
    struct job_claim running = claim_file(id, 1, "x");
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, id));
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, id));
    assert_string_equal(fixture_status(id), "cancelled");
    assert_int_equal(count(id, "status = 'cancelled'"), 5);
    FAILS(&fx.cx, CODE_CLAIM_LOST, fixture_finish(&fx.cx, fx.jobs, &running, 1));
    fixture_sweep();
    assert_string_equal(fixture_status(id), "cancelled");
}

static void a_listing_that_was_cancelled_adds_nothing(void **state)
{
    (void)state;
    const char *id = submit(9);
    struct job_claim claim = fixture_claim(pool, id);
    OK(&fx.cx, add(&fx.cx, fx.jobs, &claim, 0, 4));
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, id));
    FAILS(&fx.cx, CODE_CLAIM_LOST, add(&fx.cx, fx.jobs, &claim, 4, 4));
    FAILS(&fx.cx, CODE_CLAIM_LOST, jobs_directory_listed(&fx.cx, fx.jobs, &claim));
    assert_int_equal(count(id, "true"), 4);
    assert_int_equal(count(id, UNFINISHED), 0);
}

static void a_listing_that_fails_leaves_no_waiting_files(void **state)
{
    (void)state;
    const char *id = submit(9);
    struct job_claim claim = fixture_claim(pool, id);
    OK(&fx.cx, add(&fx.cx, fx.jobs, &claim, 0, 4));
    OK(&fx.cx, jobs_fail(&fx.cx, fx.jobs, &claim, CODE_FILE_MISSING, "gone"));
    assert_string_equal(fixture_status(id), "failed");
    assert_int_equal(count(id, "status = 'cancelled'"), 4);
}

static void listing_again_runs_only_what_did_not_complete(void **state)
{
    (void)state;
    const char *id = batch(4);
    finish(id, 0);
    fail_file(id, 1, CODE_UNREADABLE);
    const char *first = file_of(id, 0), *second = file_of(id, 1);
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, id));
    OK(&fx.cx, jobs_retry(&fx.cx, fx.jobs, id));
    struct job_claim claim = fixture_claim(pool, id);
    OK(&fx.cx, add(&fx.cx, fx.jobs, &claim, 0, 5)); /* one more file has come */
    OK(&fx.cx, add(&fx.cx, fx.jobs, &claim, 0, 5)); /* a listing that was interrupted */
    OK(&fx.cx, jobs_directory_listed(&fx.cx, fx.jobs, &claim));
    assert_int_equal(count(id, "true"), 5);
    assert_string_equal(file_of(id, 0), first);
    assert_string_equal(file_of(id, 1), second);
    assert_string_equal(fixture_status(first), "completed");
    assert_string_equal(
        fixture_sql("SELECT progress_message FROM processing_jobs WHERE job_id = '%s'", id),
        "Processed file 1 of 5");
    for (int i = 1; i < 5; i++)
        finish(id, i);
    expect(id, 5, 0, 0, 0);
}

static void one_file_can_be_tried_again_by_hand(void **state)
{
    (void)state;
    const char *id = batch(3);
    fail_file(id, 0, CODE_UNREADABLE);
    fail_file(id, 1, CODE_UNREADABLE);
    OK(&fx.cx, jobs_retry(&fx.cx, fx.jobs, file_of(id, 0))); /* the batch waits for it */
    assert_int_equal(fixture_number("SELECT pages_done FROM processing_jobs WHERE job_id = '%s'",
                                    id),
                     1);
    finish(id, 2);
    assert_string_equal(fixture_status(id), "processing");
    finish(id, 0);
    expect(id, 2, 1, 0, 0);
    OK(&fx.cx, jobs_retry(&fx.cx, fx.jobs, file_of(id, 1))); /* alone: the batch is finished */
    finish(id, 1);
    assert_string_equal(fixture_status(file_of(id, 1)), "completed");
    expect(id, 2, 1, 0, 0);
}

static void the_sweep_goes_on_with_a_batch_that_was_left_behind(void **state)
{
    (void)state;
    const char *id = batch(6);
    fixture_sql(
        "UPDATE processing_jobs SET status = 'failed', completed_at = now() WHERE parent_job_id = "
        "'%s' AND parent_path < '002'",
        id);
    assert_int_equal(count(id, RUNNABLE), AT_ONCE - 2);
    fixture_sweep();
    assert_int_equal(count(id, RUNNABLE), AT_ONCE);
    fixture_sql(
        "UPDATE processing_jobs SET status = 'failed', completed_at = now() WHERE parent_job_id = "
        "'%s'",
        id);
    fixture_sweep();
    expect(id, 0, 6, 0, 0);
}

static void changed_bytes_drop_what_was_read_of_the_old_ones(void **state)
{
    (void)state;
    const char *id = batch(1);
    const char *file = file_of(id, 0);
    struct job_claim claim = claim_file(id, 0, "one");
    struct job_page page = fixture_page(1, "old words");
    OK(&fx.cx, jobs_save_pages(&fx.cx, fx.jobs, &claim, &page, 1));
    OK(&fx.cx, jobs_identified(&fx.cx, fx.jobs, &claim));
    assert_int_equal(fixture_number("SELECT count(*) FROM document_pages WHERE revision_id = '%s'",
                                    file),
                     1);
    claim.content_hash = "two";
    OK(&fx.cx, jobs_identified(&fx.cx, fx.jobs, &claim));
    assert_int_equal(fixture_number("SELECT count(*) FROM document_pages WHERE revision_id = '%s'",
                                    file),
                     0);
}

/* What a worker that is free would get. */
static const char *take_one(void)
{
    char ids[1][37];
    int n;
    OK(&fx.cx, jobs_take(&fx.cx, fx.jobs, false, 1000, 1, ids, &n, NULL));
    assert_int_equal(n, 1);
    return ctx_strdup(&fx.cx, ids[0]);
}

static void ten_thousand_files_hold_up_no_upload_and_are_not_held_up(void **state)
{
    (void)state;
    enum { FILES = 10000, UPLOADS = 100 };
    const char *id = submit(FILES);
    struct job_claim claim = fixture_claim(pool, id);
    for (int i = 0; i < FILES; i += MAX_FILES)
        OK(&fx.cx, add(&fx.cx, fx.jobs, &claim, i, MAX_FILES));
    OK(&fx.cx, jobs_directory_listed(&fx.cx, fx.jobs, &claim));
    fixture_sql("ANALYZE processing_jobs");
    REDIS("ZREM", fixture_key("medium"), id);
    int files = 0;
    for (int i = 0; i < UPLOADS; i++) {
        const char *upload = fixture_job("high"), *taken = take_one();
        if (strcmp(taken, upload) == 0)
            continue;
        /* This take began with a lower lane: a file moves, and the upload is next. */
        files++;
        assert_int_equal(count(id, ctx_printf(&fx.cx, "job_id = '%s'", taken)), 1);
        assert_string_equal(take_one(), upload);
        struct job_claim file = fixture_claim(pool, taken);
        OK(&fx.cx, jobs_fail(&fx.cx, fx.jobs, &file, CODE_UNREADABLE, "x"));
        assert_true(REDIS("ZCARD", fixture_key("medium")).integer <= AT_ONCE);
    }
    assert_in_range(files, UPLOADS / 16, UPLOADS / 4); /* every eighth take */
    assert_int_equal(count(id, "ready_at < 'infinity' AND status = 'pending'"), AT_ONCE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(files_are_released_in_order_as_others_end, setup),
        cmocka_unit_test_setup(every_way_to_end_a_file_moves_the_batch, setup),
        cmocka_unit_test_setup(a_file_that_waits_for_its_next_attempt_makes_room, setup),
        cmocka_unit_test_setup(no_files_no_worker, setup),
        cmocka_unit_test_setup(cancelling_takes_all_files, setup),
        cmocka_unit_test_setup(a_listing_that_was_cancelled_adds_nothing, setup),
        cmocka_unit_test_setup(a_listing_that_fails_leaves_no_waiting_files, setup),
        cmocka_unit_test_setup(listing_again_runs_only_what_did_not_complete, setup),
        cmocka_unit_test_setup(one_file_can_be_tried_again_by_hand, setup),
        cmocka_unit_test_setup(the_sweep_goes_on_with_a_batch_that_was_left_behind, setup),
        cmocka_unit_test_setup(changed_bytes_drop_what_was_read_of_the_old_ones, setup),
        cmocka_unit_test_setup(ten_thousand_files_hold_up_no_upload_and_are_not_held_up, setup),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
