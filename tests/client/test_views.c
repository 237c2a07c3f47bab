/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_views.c - what people read: results, jobs, workers, help and completion scripts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/completion.h"
#include "client/help.h"
#include "client/man.h"
#include "client/stats_view.h"
#include "client/summary.h"
#include "client/workers_view.h"

static void a_result(void **state UNUSED)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    Localrag__V1__DocumentResult__EnginesEntry ocr =
        LOCALRAG__V1__DOCUMENT_RESULT__ENGINES_ENTRY__INIT;
    Localrag__V1__DocumentResult__EnginesEntry text = ocr;
    ocr.key = (char *)"ocr";
    ocr.value = 2;
    text.key = (char *)"text";
    text.value = 18;
    Localrag__V1__DocumentResult__EnginesEntry *engines[] = {&ocr, &text};
    Localrag__V1__FailedPage failed = LOCALRAG__V1__FAILED_PAGE__INIT;
    failed.page = 3;
    failed.reason = (char *)"took\x1b too long";
    Localrag__V1__FailedPage *failed_pages[] = {&failed};
    Localrag__V1__Timings timings = LOCALRAG__V1__TIMINGS__INIT;
    timings._total_ms_case = LOCALRAG__V1__TIMINGS___TOTAL_MS_TOTAL_MS;
    timings.total_ms = 12345;
    Localrag__V1__DocumentResult r = LOCALRAG__V1__DOCUMENT_RESULT__INIT;
    r.document_id = (char *)"d-1";
    r.page_count = 20;
    r.chunk_count = 41;
    r.engines = engines;
    r.n_engines = 2;
    r.failed_pages = failed_pages;
    r.n_failed_pages = 1;
    r.timings = &timings;
    r._duplicate_of_case = LOCALRAG__V1__DOCUMENT_RESULT___DUPLICATE_OF_DUPLICATE_OF;
    r.duplicate_of = (char *)"d-1";
    Localrag__V1__JobResult result = LOCALRAG__V1__JOB_RESULT__INIT;
    result.kind_case = LOCALRAG__V1__JOB_RESULT__KIND_DOCUMENT;
    result.document = &r;
    summary_result(&b, &result, "localrag");
    assert_string_equal(buf_cstr(&b), "  document    d-1\n"
                                      "  pages       20 (18 text, 2 ocr)\n"
                                      "  chunks      41\n"
                                      "  time        12.3 s\n"
                                      "  failed      1 page\n"
                                      "              page 3: took\\x1b too long\n"
                                      "  duplicate   the same document is stored already as d-1\n"
                                      "  next        localrag documents text d-1\n");
}

static void a_result_with_many_failed_pages_is_cut(void **state UNUSED)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    Localrag__V1__FailedPage failed = LOCALRAG__V1__FAILED_PAGE__INIT;
    failed.page = 1;
    failed.reason = (char *)"x";
    Localrag__V1__FailedPage *failed_pages[100];
    for (size_t i = 0; i < ARRAY_LEN(failed_pages); i++)
        failed_pages[i] = &failed;
    Localrag__V1__DocumentResult r = LOCALRAG__V1__DOCUMENT_RESULT__INIT;
    r.failed_pages = failed_pages;
    r.n_failed_pages = ARRAY_LEN(failed_pages);
    Localrag__V1__JobResult result = LOCALRAG__V1__JOB_RESULT__INIT;
    result.kind_case = LOCALRAG__V1__JOB_RESULT__KIND_DOCUMENT;
    result.document = &r;
    summary_result(&b, &result, NULL);
    assert_non_null(strstr(buf_cstr(&b), "  failed      100 pages\n"));
    assert_non_null(strstr(buf_cstr(&b), "and 80 more\n"));
    assert_null(strstr(buf_cstr(&b), "next"));
}

static void a_job_shows_only_what_it_has(void **state UNUSED)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    Localrag__V1__Job job = LOCALRAG__V1__JOB__INIT;
    job.job_id = (char *)"j";
    job.status = LOCALRAG__V1__JOB_STATUS__JOB_STATUS_FAILED;
    job.task_type = LOCALRAG__V1__TASK_TYPE__TASK_TYPE_SINGLE_DOCUMENT;
    job.priority = LOCALRAG__V1__PRIORITY__PRIORITY_HIGH;
    job.progress = 12.5;
    job._error_message_case = LOCALRAG__V1__JOB___ERROR_MESSAGE_ERROR_MESSAGE;
    job.error_message = (char *)"line\none";
    summary_job(&b, &job);
    assert_string_equal(buf_cstr(&b), "  job         j\n"
                                      "  status      failed\n"
                                      "  type        single_document\n"
                                      "  priority    high\n"
                                      "  progress    12.5 %\n"
                                      "  error       line\\none\n");
}

/* Longer than the buffer on the stack. */
static void a_long_value_is_whole(void **state UNUSED)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    char value[1000];
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    summary_field(&b, "x", "%s", value);
    assert_int_equal(b.len, 14 + sizeof(value) - 1 + 1);
}

static void workers_as_promised(void **state UNUSED)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    Localrag__V1__Worker one = LOCALRAG__V1__WORKER__INIT, two = LOCALRAG__V1__WORKER__INIT;
    one.worker_id = (char *)"high-priority-1";
    one.pool_worker_id = (char *)"high-priority-1@a";
    one.priority = LOCALRAG__V1__WORKER_PRIORITY__WORKER_PRIORITY_HIGH;
    one.is_running = true;
    one.processed_count = 45;
    one.failed_count = 2;
    one._current_job_case = LOCALRAG__V1__WORKER___CURRENT_JOB_CURRENT_JOB;
    one.current_job = (char *)"550e8400-e29b-41d4-a716-446655440000";
    two.worker_id = (char *)"general-1";
    two.pool_worker_id = (char *)"general-1@a";
    two.priority = LOCALRAG__V1__WORKER_PRIORITY__WORKER_PRIORITY_ANY;
    two.is_running = true;
    two.processed_count = 123;
    two.failed_count = 5;
    Localrag__V1__Worker *workers[] = {&one, &two};
    Localrag__V1__WorkerHealth health = LOCALRAG__V1__WORKER_HEALTH__INIT;
    health.status = LOCALRAG__V1__WORKER_HEALTH_STATUS__WORKER_HEALTH_STATUS_HEALTHY;
    health.workers = workers;
    health.n_workers = 2;
    health.message = (char *)"all well";
    workers_view(&b, &health);
    assert_string_equal(buf_cstr(&b), "👷 Background Worker Status:\n"
                                      "==============================\n"
                                      "✅ high-priority-1 (high)\n"
                                      "   Processed: 45\n"
                                      "   Failed: 2\n"
                                      "   Current job: 550e8400-e29b-41d4-a716-446655440000\n"
                                      "\n"
                                      "✅ general-1 (any)\n"
                                      "   Processed: 123\n"
                                      "   Failed: 5\n");

    buf_clear(&b); /* a second host with the same names */
    two.worker_id = one.worker_id;
    two.is_running = false;
    workers_view(&b, &health);
    assert_non_null(strstr(buf_cstr(&b), "✅ high-priority-1@a (high)\n"));
    assert_non_null(strstr(buf_cstr(&b), "❌ general-1@a (any)\n"));

    buf_clear(&b);
    health.n_workers = 0;
    health.status = LOCALRAG__V1__WORKER_HEALTH_STATUS__WORKER_HEALTH_STATUS_STOPPED;
    health.message = (char *)"stopped by request";
    workers_view(&b, &health);
    assert_non_null(strstr(buf_cstr(&b), "No workers.\n\nstopped by request\n"));
}

static void a_batch_names_its_failed_files(void **state UNUSED)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    Localrag__V1__FailedFile one = LOCALRAG__V1__FAILED_FILE__INIT, two = one;
    one.file_path = (char *)"/in/a.pdf";
    one.error_message = (char *)"no password";
    two.file_path = (char *)"/in/b.pdf";
    two.error_message = (char *)"damaged";
    Localrag__V1__FailedFile *files[] = {&one, &two};
    Localrag__V1__DirectoryResult r = LOCALRAG__V1__DIRECTORY_RESULT__INIT;
    r.total_files = 150;
    r.successful = 40;
    r.failed = 107;
    r.skipped = 3;
    r.failed_files = files;
    r.n_failed_files = 2;
    r.summary = (char *)"40 of 150 files were read";
    Localrag__V1__JobResult result = LOCALRAG__V1__JOB_RESULT__INIT;
    result.kind_case = LOCALRAG__V1__JOB_RESULT__KIND_DIRECTORY;
    result.directory = &r;
    summary_result(&b, &result, "localrag");
    assert_string_equal(buf_cstr(&b),
                        "  summary     40 of 150 files were read\n"
                        "  files       150 (40 successful, 107 failed, 3 skipped, 0 cancelled)\n"
                        "  failed      /in/a.pdf: no password\n"
                        "              /in/b.pdf: damaged\n"
                        "              and 105 more\n");
}

static void statistics(void **state UNUSED)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    Localrag__V1__JobStatistics s = LOCALRAG__V1__JOB_STATISTICS__INIT;
    Localrag__V1__QueueStats queue = LOCALRAG__V1__QUEUE_STATS__INIT;
    Localrag__V1__QueueLengths lengths = LOCALRAG__V1__QUEUE_LENGTHS__INIT;
    lengths.high = 2;
    lengths.medium = 4;
    queue.queue_lengths = &lengths;
    queue.total_pending = 6;
    s.queue_stats = &queue;
    assert_int_equal(stats_view(&cx, &b, &s), CODE_OK);
    assert_string_equal(buf_cstr(&b), "0 jobs in the last 24 hours\n"
                                      "\n6 waiting (2 high, 4 medium, 0 low)\n");

    buf_clear(&b);
    Localrag__V1__JobStatistics__StatusCountsEntry completed =
        LOCALRAG__V1__JOB_STATISTICS__STATUS_COUNTS_ENTRY__INIT;
    Localrag__V1__JobStatistics__StatusCountsEntry pending = completed;
    completed.key = (char *)"completed";
    completed.value = 142;
    pending.key = (char *)"pending";
    pending.value = 2;
    Localrag__V1__JobStatistics__StatusCountsEntry *counts[] = {&completed, &pending};
    Localrag__V1__ProcessingTimes times = LOCALRAG__V1__PROCESSING_TIMES__INIT;
    times.avg_seconds = 23.5;
    times.max_seconds = 145.2;
    times.min_seconds = 2.1;
    Localrag__V1__JobStatistics__ProcessingTimesEntry entry =
        LOCALRAG__V1__JOB_STATISTICS__PROCESSING_TIMES_ENTRY__INIT;
    entry.key = (char *)"completed";
    entry.value = &times;
    Localrag__V1__JobStatistics__ProcessingTimesEntry *entries[] = {&entry};
    Localrag__V1__DailyStatistics day = LOCALRAG__V1__DAILY_STATISTICS__INIT;
    day.date = (char *)"2026-01-31";
    day.total_jobs = 7;
    day.completed_jobs = 5;
    day.failed_jobs = 1;
    day.cancelled_jobs = 1;
    day.pages = 99;
    day.avg_processing_time = 1.25;
    Localrag__V1__DailyStatistics *daily[] = {&day};
    s.total_24h = 144;
    s.status_counts = counts;
    s.n_status_counts = 2;
    s.processing_times = entries;
    s.n_processing_times = 1;
    s.daily = daily;
    s.n_daily = 1;
    assert_int_equal(stats_view(&cx, &b, &s), CODE_OK);
    assert_string_equal(buf_cstr(&b),
                        "144 jobs in the last 24 hours\n"
                        "STATE      JOBS  AVERAGE  SHORTEST  LONGEST\n"
                        "pending       2        -         -        -\n"
                        "completed   142   23.5 s     2.1 s  145.2 s\n"
                        "\n6 waiting (2 high, 4 medium, 0 low)\n"
                        "\nDATE        JOBS  COMPLETED  FAILED  CANCELLED  PAGES  AVERAGE\n"
                        "2026-01-31     7          5       1          1     99    1.2 s\n");
    ctx_done(&cx);
}

static void the_manual_page_knows_every_command(void **state UNUSED)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    setenv("SOURCE_DATE_EPOCH", "1767225600", 1);
    man_write(&b);
    assert_int_equal(strncmp(buf_cstr(&b), ".TH LOCALRAG 1 2026-01-01 ", 26), 0);
    for (size_t i = 0; i < cmd_all_count; i++) {
        char heading[64];
        snprintf(heading, sizeof(heading), "\n.SS %s", cmd_all[i]->name);
        assert_non_null(strstr(buf_cstr(&b), heading));
    }
    assert_non_null(strstr(buf_cstr(&b), "\n\\fB\\-\\-no\\-recursive\\fR\n"));
    assert_non_null(strstr(buf_cstr(&b), "\n\\fB130\\fR\nInterrupted.\n"));
}

static void help_knows_every_command(void **state UNUSED)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    struct args args = {0};
    help_print(&b, &args);
    for (size_t i = 0; i < cmd_all_count; i++)
        assert_non_null(strstr(buf_cstr(&b), cmd_all[i]->name));
    buf_clear(&b);
    args.cmd = &cmd_upload;
    help_print(&b, &args);
    assert_int_equal(strncmp(buf_cstr(&b), "usage: localrag upload [OPTION]... FILE...\n", 43), 0);
    for (size_t i = 0; i < cmd_upload.n_options; i++)
        assert_non_null(strstr(buf_cstr(&b), cmd_upload.options[i].name));
    buf_clear(&b);
    args.cmd = NULL;
    args.group = cmd_find_group("jobs");
    help_print(&b, &args);
    assert_non_null(strstr(buf_cstr(&b), "jobs watch ID"));
    assert_null(strstr(buf_cstr(&b), "documents"));
}

static void completion_knows_every_word(void **state UNUSED)
{
    static const char *const shells[] = {"bash", "zsh", "fish"};
    for (size_t s = 0; s < ARRAY_LEN(shells); s++) {
        CLEANUP(buf_done) struct buf b = BUF_INIT(0);
        assert_true(completion_write(&b, shells[s]));
        for (size_t i = 0; i < cmd_all_count; i++) {
            const char *space = strchr(cmd_all[i]->name, ' ');
            assert_non_null(strstr(buf_cstr(&b), space ? space + 1 : cmd_all[i]->name));
            for (size_t j = 0; j < cmd_all[i]->n_options; j++)
                assert_non_null(strstr(buf_cstr(&b), cmd_all[i]->options[j].name));
        }
        assert_non_null(strstr(buf_cstr(&b), "high medium low"));
    }
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    assert_false(completion_write(&b, "csh"));
    assert_int_equal(b.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_result),
        cmocka_unit_test(a_result_with_many_failed_pages_is_cut),
        cmocka_unit_test(a_job_shows_only_what_it_has),
        cmocka_unit_test(a_long_value_is_whole),
        cmocka_unit_test(workers_as_promised),
        cmocka_unit_test(a_batch_names_its_failed_files),
        cmocka_unit_test(statistics),
        cmocka_unit_test(the_manual_page_knows_every_command),
        cmocka_unit_test(help_knows_every_command),
        cmocka_unit_test(completion_knows_every_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
