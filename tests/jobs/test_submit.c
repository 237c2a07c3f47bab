/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_submit.c - a stored upload becomes one job, once, and is seen by readers (jobs/submit.c,
 * query.c). */
#include "tests/support/fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "base/str.h"
#include "jobs/event.h"
#include "tests/support/wait.h"

static const char *new_id(void)
{
    char *id = ctx_alloc(&fx.cx, 37);
    assert_non_null(id);
    str_uuid(id);
    return id;
}

static int64_t lane_size(const char *lane)
{
    return REDIS("ZCARD", fixture_key(lane)).integer;
}

/* ---- submitting ---- */

static void a_submitted_job_is_a_row_and_a_hint(void **state)
{
    (void)state;
    struct job_submission in = fixture_submission(new_id(), "hash");
    static const char *const languages[] = {"eng", "deu", NULL};
    in.priority = "high";
    in.file_name = "Gr\xc3\xbc\xc3\x9f\" e.pdf";
    in.metadata_json = "{\"a\": [1, \"zwei\"]}";
    in.languages = languages;
    in.sealed_password = (const unsigned char *)"\0sealed";
    in.sealed_password_len = 7;
    struct job_submitted out;
    OK(&fx.cx, jobs_submit(&fx.cx, fx.jobs, &in, &out));
    assert_string_equal(out.job_id, in.job_id);
    assert_false(out.existed);
    assert_null(out.duplicate_of);
    assert_int_equal(REDIS("ZSCORE", fixture_key("high"), in.job_id).type, KV_TEXT);

    Localrag__V1__Job *job;
    OK(&fx.cx, jobs_get(&fx.cx, fx.jobs, in.job_id, &job));
    assert_int_equal(job->status, LOCALRAG__V1__JOB_STATUS__JOB_STATUS_PENDING);
    assert_int_equal(job->task_type, LOCALRAG__V1__TASK_TYPE__TASK_TYPE_SINGLE_DOCUMENT);
    assert_int_equal(job->priority, LOCALRAG__V1__PRIORITY__PRIORITY_HIGH);
    assert_string_equal(job->document_name, in.file_name);
    assert_string_equal(job->progress_message, "Waiting for a worker");
    assert_true(job->progress == 0);
    assert_int_equal(job->max_retries, fx.settings.max_retries);
    assert_non_null(job->created_at);
    assert_true(llabs(job->created_at->seconds - clk_wall_us() / 1000000) < 60);
    assert_null(job->started_at);
    assert_string_equal(fixture_sql("SELECT payload->'metadata'->'a'->>1 FROM processing_jobs"),
                        "zwei");
    assert_string_equal(fixture_sql(
                            "SELECT encode(sealed_password, 'escape') FROM processing_jobs"),
                        "\\000sealed");
}

static void times_keep_their_microseconds(void **state)
{
    (void)state;
    const char *id = fixture_job("medium");
    Localrag__V1__Job *job;
    for (int us = 0; us < 1000000; us += 99991) {
        fixture_sql(
            "UPDATE processing_jobs SET created_at = to_timestamp(1764000000) + %d * interval "
            "'1 microsecond'",
            us);
        OK(&fx.cx, jobs_get(&fx.cx, fx.jobs, id, &job));
        assert_int_equal(job->created_at->seconds, 1764000000);
        assert_int_equal(job->created_at->nanos, us * 1000);
    }
}

static void the_same_key_and_bytes_give_the_first_job(void **state)
{
    (void)state;
    struct job_submission first = fixture_submission(new_id(), "hash");
    struct job_submission second = fixture_submission(new_id(), "hash");
    struct job_submitted out;
    first.idempotency_key = second.idempotency_key = "key \"1\"";
    first.file_name = "first.pdf";
    first.file_path = "/store/first.pdf";
    OK(&fx.cx, jobs_submit(&fx.cx, fx.jobs, &first, &out));
    OK(&fx.cx, jobs_submit(&fx.cx, fx.jobs, &second, &out));
    assert_true(out.existed);
    assert_string_equal(out.job_id, first.job_id);
    assert_string_equal(out.file_name, "first.pdf");
    assert_string_equal(out.file_path, "/store/first.pdf");
    assert_int_equal(fixture_number("SELECT count(*) FROM processing_jobs"), 1);
    assert_int_equal(lane_size("medium"), 1);
}

static void the_same_key_with_other_bytes_is_refused(void **state)
{
    (void)state;
    struct job_submission first = fixture_submission(new_id(), "hash");
    struct job_submission second = fixture_submission(new_id(), "other");
    struct job_submitted out = {.job_id = "untouched"};
    first.idempotency_key = second.idempotency_key = "key";
    OK(&fx.cx, jobs_submit(&fx.cx, fx.jobs, &first, &out));
    out.job_id = "untouched";
    CONTAINS(FAILS(&fx.cx, CODE_ALREADY_EXISTS, jobs_submit(&fx.cx, fx.jobs, &second, &out)),
             first.job_id);
    assert_string_equal(out.job_id, "untouched");
    assert_int_equal(fixture_number("SELECT count(*) FROM processing_jobs"), 1);
}

struct submitter {
    pthread_t thread;
    pthread_barrier_t *start;
    struct jobs *jobs;
    struct job_submission in;
    char id[37], got[37];
    enum code code;
    bool existed;
};

static void *submit(void *arg)
{
    struct submitter *s = arg;
    struct ctx cx;
    struct job_submitted out = {0};
    ctx_init(&cx, 1 << 20);
    pthread_barrier_wait(s->start);
    s->code = jobs_submit(&cx, s->jobs, &s->in, &out);
    s->existed = out.existed;
    snprintf(s->got, sizeof(s->got), "%s", out.job_id ? out.job_id : "");
    ctx_done(&cx);
    return NULL;
}

static void two_calls_with_one_key_at_the_same_moment_get_the_same_job(void **state)
{
    (void)state;
    struct submitter s[4] = {0};
    pthread_barrier_t start;
    for (unsigned i = 0; i < ARRAY_LEN(s); i++)
        s[i].jobs = fixture_jobs();
    for (int round = 0; round < 25; round++) {
        pthread_barrier_init(&start, NULL, ARRAY_LEN(s));
        const char *key = ctx_printf(&fx.cx, "key-%d", round);
        for (unsigned i = 0; i < ARRAY_LEN(s); i++) {
            str_uuid(s[i].id);
            s[i].in = fixture_submission(s[i].id, "hash");
            s[i].in.idempotency_key = key;
            s[i].start = &start;
            assert_int_equal(pthread_create(&s[i].thread, NULL, submit, &s[i]), 0);
        }
        int made = 0;
        for (unsigned i = 0; i < ARRAY_LEN(s); i++) {
            pthread_join(s[i].thread, NULL);
            made += !s[i].existed;
        }
        pthread_barrier_destroy(&start);
        assert_int_equal(made, 1);
        for (unsigned i = 0; i < ARRAY_LEN(s); i++) {
            assert_int_equal(s[i].code, CODE_OK);
            assert_string_equal(s[i].got, s[0].got);
        }
    }
    assert_int_equal(fixture_number("SELECT count(*) FROM processing_jobs"), 25);
    for (unsigned i = 0; i < ARRAY_LEN(s); i++)
        jobs_close(s[i].jobs);
}

static void known_bytes_are_named_at_once(void **state)
{
    (void)state;
    char pool[37];
    fixture_pool(1, pool);
    struct job_submission in = fixture_submission(fixture_job("medium"), NULL);
    struct job_claim claim = fixture_claim(pool, in.job_id);
    OK(&fx.cx, fixture_finish(&fx.cx, fx.jobs, &claim, 1));
    struct job_submission again = fixture_submission(new_id(), claim.content_hash);
    struct job_submitted out;
    OK(&fx.cx, jobs_submit(&fx.cx, fx.jobs, &again, &out));
    assert_string_equal(out.duplicate_of, fixture_sql("SELECT document_id FROM documents"));
    fx.settings.duplicate_detection = false;
    again.job_id = new_id();
    OK(&fx.cx, jobs_submit(&fx.cx, fx.jobs, &again, &out));
    assert_null(out.duplicate_of);
}

static void without_redis_jobs_are_taken_all_the_same(void **state)
{
    (void)state;
    struct settings away = fx.settings;
    away.redis = (struct kv_endpoint){.host = "127.0.0.1", .port = 1};
    CLEANUP(jobs_closep) struct jobs *jobs = NULL;
    OK(&fx.cx, jobs_open(&fx.cx, &away, "test", &jobs));
    struct job_submission in = fixture_submission(new_id(), "hash");
    struct job_submitted out;
    Localrag__V1__Job *job;
    OK(&fx.cx, jobs_submit(&fx.cx, jobs, &in, &out));
    OK(&fx.cx, jobs_get(&fx.cx, jobs, in.job_id, &job));
    OK(&fx.cx, jobs_cancel(&fx.cx, jobs, in.job_id));
}

static void metadata_of_a_megabyte_is_refused(void **state)
{
    (void)state;
    struct job_submission in = fixture_submission(new_id(), "hash");
    struct job_submitted out;
    char *json = ctx_alloc(&fx.cx, (1 << 20) + 20);
    memset(json, 'x', 1 << 20);
    memcpy(json, "{\"a\":\"", 6);
    strcpy(json + (1 << 20), "\"}");
    in.metadata_json = json;
    FAILS(&fx.cx, CODE_INVALID_ARGUMENT, jobs_submit(&fx.cx, fx.jobs, &in, &out));
}

/* ---- one job ---- */

static void an_id_that_is_none_is_told_from_one_that_nobody_has(void **state)
{
    (void)state;
    Localrag__V1__Job *job;
    CONTAINS(FAILS(&fx.cx, CODE_INVALID_ARGUMENT, jobs_get(&fx.cx, fx.jobs, "x'; --", &job)),
             "UUID");
    CONTAINS(FAILS(&fx.cx, CODE_NOT_FOUND, jobs_get(&fx.cx, fx.jobs, new_id(), &job)),
             "does not exist");
    FAILS(&fx.cx, CODE_INVALID_ARGUMENT, jobs_cancel(&fx.cx, fx.jobs, ""));
    FAILS(&fx.cx, CODE_NOT_FOUND, jobs_cancel(&fx.cx, fx.jobs, new_id()));
}

static void a_progress_hint_counts_only_with_the_rows_epoch_and_ahead_of_it(void **state)
{
    (void)state;
    char pool[37];
    fixture_pool(1, pool);
    const char *id = fixture_job("medium");
    struct job_claim claim = fixture_claim(pool, id);
    struct job_progress p = {.percent = 40,
                             .pages_done = 4,
                             .pages_total = 10,
                             .message = "page 5 of 10"};
    Localrag__V1__Job *job;
    jobs_publish_progress(&fx.cx, fx.jobs, &claim, &p);
    OK(&fx.cx, jobs_get(&fx.cx, fx.jobs, id, &job));
    assert_true(job->progress == 40);
    assert_int_equal(job->pages_done, 4);
    assert_string_equal(job->progress_message, "page 5 of 10");

    const char *key = fixture_key(ctx_printf(&fx.cx, "progress:%s", id));
    static const char *const lies[] = {"p %s 0 90 9 10 older claim",
                                       "p %s 2 90 9 10 no such claim yet",
                                       "p %s 1 100 10 10 done, really",
                                       "p %s 1 nan 1 1 x",
                                       "garbage",
                                       "",
                                       "p %s 1 90 9 10 \x1b[31mred"};
    for (unsigned i = 0; i < ARRAY_LEN(lies); i++) {
        REDIS("SET", key, ctx_printf(&fx.cx, lies[i], id));
        OK(&fx.cx, jobs_get(&fx.cx, fx.jobs, id, &job));
        assert_true(job->progress == 0);
        assert_string_equal(job->progress_message, "Starting");
    }
    REDIS("DEL", key);
    REDIS("LPUSH", key, "a foreign type");
    OK(&fx.cx, jobs_get(&fx.cx, fx.jobs, id, &job));
    assert_true(job->progress == 0);
}

/* ---- the list ---- */

static void ask(Localrag__V1__ListJobsRequest *in, Localrag__V1__ListJobsResponse *out)
{
    localrag__v1__list_jobs_request__init(in);
    localrag__v1__list_jobs_response__init(out);
}

static void the_list_filters_by_state_and_type_and_hides_children_and_maintenance(void **state)
{
    (void)state;
    Localrag__V1__ListJobsRequest in;
    Localrag__V1__ListJobsResponse out;
    const char *parent = fixture_job("medium");
    const char *child = fixture_job("medium"), *keeper = fixture_job("low"),
               *gone = fixture_job("high");
    fixture_sql(
        "UPDATE processing_jobs SET parent_job_id = '%s', parent_path = 'a' WHERE job_id = '%s'",
        parent, child);
    fixture_sql("UPDATE processing_jobs SET task_type = 'maintenance' WHERE job_id = '%s'", keeper);
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, gone));

    ask(&in, &out);
    OK(&fx.cx, jobs_list(&fx.cx, fx.jobs, &in, &out));
    assert_int_equal(out.n_jobs, 2);
    assert_int_equal(out.total, 2);
    assert_int_equal(out.limit, 50);
    assert_string_equal(out.jobs[0]->job_id, gone); /* newest first */
    assert_string_equal(out.jobs[1]->job_id, parent);
    assert_string_equal(out.next_page_token, "");

    ask(&in, &out);
    in.include_children = true;
    OK(&fx.cx, jobs_list(&fx.cx, fx.jobs, &in, &out));
    assert_int_equal(out.n_jobs, 3);

    ask(&in, &out);
    in.parent_job_id = (char *)parent;
    OK(&fx.cx, jobs_list(&fx.cx, fx.jobs, &in, &out));
    assert_int_equal(out.n_jobs, 1);
    assert_string_equal(out.jobs[0]->job_id, child);
    assert_string_equal(out.jobs[0]->parent_job_id, parent);

    ask(&in, &out);
    in.task_type = LOCALRAG__V1__TASK_TYPE__TASK_TYPE_MAINTENANCE;
    OK(&fx.cx, jobs_list(&fx.cx, fx.jobs, &in, &out));
    assert_int_equal(out.n_jobs, 1);
    assert_string_equal(out.jobs[0]->job_id, keeper);

    ask(&in, &out);
    in.status = LOCALRAG__V1__JOB_STATUS__JOB_STATUS_CANCELLED;
    OK(&fx.cx, jobs_list(&fx.cx, fx.jobs, &in, &out));
    assert_int_equal(out.n_jobs, 1);
    assert_int_equal(out.total, 1);
}

static void paging_sees_every_job_once_while_new_ones_come(void **state)
{
    (void)state;
    Localrag__V1__ListJobsRequest in;
    Localrag__V1__ListJobsResponse out;
    fixture_sql(
        "INSERT INTO processing_jobs (job_id, task_type, priority, payload, max_retries) "
        "SELECT gen_random_uuid(), 'single_document', 'low', '{}', 3 FROM generate_series(1, 25)");
    const char *token = "";
    char seen[25][37];
    int n = 0;
    do {
        ask(&in, &out);
        in.limit = 7;
        in.page_token = (char *)token;
        OK(&fx.cx, jobs_list(&fx.cx, fx.jobs, &in, &out));
        for (size_t i = 0; i < out.n_jobs; i++) {
            assert_true(n < 25);
            for (int j = 0; j < n; j++)
                assert_string_not_equal(seen[j], out.jobs[i]->job_id);
            snprintf(seen[n++], 37, "%s", out.jobs[i]->job_id);
        }
        token = out.next_page_token;
        fixture_job("low");
    } while (*token);
    assert_int_equal(n, 25);

    ask(&in, &out);
    in.limit = 5;
    in.offset = 27;
    OK(&fx.cx, jobs_list(&fx.cx, fx.jobs, &in, &out));
    assert_int_equal(out.n_jobs, 2);
    assert_int_equal(out.total, 29);
    assert_int_equal(out.offset, 27);
}

static void bad_list_arguments_are_named(void **state)
{
    (void)state;
    Localrag__V1__ListJobsRequest in;
    Localrag__V1__ListJobsResponse out;
#define BAD(field, value)                                                                          \
    do {                                                                                           \
        ask(&in, &out);                                                                            \
        in.field = value;                                                                          \
        CONTAINS(FAILS(&fx.cx, CODE_INVALID_ARGUMENT, jobs_list(&fx.cx, fx.jobs, &in, &out)),      \
                 #field);                                                                          \
    } while (0)
    BAD(limit, 201);
    BAD(limit, -1);
    BAD(offset, -1);
    BAD(offset, 1000001);
    BAD(status, (Localrag__V1__JobStatus)77);
    BAD(task_type, (Localrag__V1__TaskType)77);
    BAD(parent_job_id, (char *)"x");
    BAD(page_token, (char *)"x");
    BAD(page_token, (char *)"0");
    BAD(page_token, (char *)"-5");
}

/* ---- cancelling ---- */

static void a_cancelled_job_is_final_at_once_and_its_worker_and_watchers_are_told(void **state)
{
    (void)state;
    char pool[37];
    fixture_pool(1, pool);
    const char *id = fixture_job("medium");
    struct job_claim claim = fixture_claim(pool, id);
    CLEANUP(kv_closep) struct kv *kv = NULL;
    OK(&fx.cx, kv_open(&fx.cx, &fx.settings.redis, &kv));
    const char *channels[] = {event_channel(&fx.cx, &fx.settings),
                              control_channel(&fx.cx, &fx.settings)};
    OK(&fx.cx, kv_subscribe(&fx.cx, kv, 2, channels));

    char upper[37];
    for (int i = 0; i < 37; i++)
        upper[i] = (char)(id[i] >= 'a' && id[i] <= 'f' ? id[i] - 32 : id[i]);
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, upper));
    assert_string_equal(fixture_status(id), "cancelled");
    assert_string_equal(
        fixture_sql("SELECT pool_id IS NULL AND completed_at IS NOT NULL AND sealed_password "
                    "IS NULL FROM processing_jobs"),
        "t");
    struct event e;
    for (int i = 0; i < 2; i++) {
        struct kv_message m;
        bool got = false;
        WAIT_UNTIL(2000, (OK(&fx.cx, kv_wait(&fx.cx, kv, 100, &got, &m)), got));
        assert_true(event_parse(m.data, m.len, &e));
        assert_int_equal(e.kind, i ? EVENT_STATE : EVENT_CANCEL);
        assert_string_equal(e.job_id, id); /* in lower case, whatever the caller wrote */
    }
    assert_string_equal(e.status, "cancelled");
    FAILS(&fx.cx, CODE_CLAIM_LOST, jobs_fail(&fx.cx, fx.jobs, &claim, CODE_INTERNAL, "x"));
}

static void waiting_jobs_can_be_cancelled_twice_and_finished_ones_not_at_all(void **state)
{
    (void)state;
    char pool[37];
    fixture_pool(1, pool);
    const char *pending = fixture_job("low"), *retrying = fixture_job("low"),
               *done = fixture_job("low"), *failed = fixture_job("low");
    struct job_claim claim = fixture_claim(pool, retrying);
    OK(&fx.cx, jobs_fail(&fx.cx, fx.jobs, &claim, CODE_UNAVAILABLE, "away"));
    claim = fixture_claim(pool, failed);
    OK(&fx.cx, jobs_fail(&fx.cx, fx.jobs, &claim, CODE_UNREADABLE, "broken"));
    claim = fixture_claim(pool, done);
    OK(&fx.cx, fixture_finish(&fx.cx, fx.jobs, &claim, 1));
    for (int i = 0; i < 2; i++) {
        OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, pending));
        OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, retrying));
    }
    CONTAINS(FAILS(&fx.cx, CODE_WRONG_STATE, jobs_cancel(&fx.cx, fx.jobs, done)), "completed");
    CONTAINS(FAILS(&fx.cx, CODE_WRONG_STATE, jobs_cancel(&fx.cx, fx.jobs, failed)), "failed");
    assert_string_equal(fixture_status(pending), "cancelled");
    assert_string_equal(fixture_status(retrying), "cancelled");
    struct job_claim none;
    assert_int_equal(fixture_try_claim(pool, pending, true, &none), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, fixture_empty)
    const struct CMUnitTest tests[] = {
        TEST(a_submitted_job_is_a_row_and_a_hint),
        TEST(times_keep_their_microseconds),
        TEST(the_same_key_and_bytes_give_the_first_job),
        TEST(the_same_key_with_other_bytes_is_refused),
        TEST(two_calls_with_one_key_at_the_same_moment_get_the_same_job),
        TEST(known_bytes_are_named_at_once),
        TEST(without_redis_jobs_are_taken_all_the_same),
        TEST(metadata_of_a_megabyte_is_refused),
        TEST(an_id_that_is_none_is_told_from_one_that_nobody_has),
        TEST(a_progress_hint_counts_only_with_the_rows_epoch_and_ahead_of_it),
        TEST(the_list_filters_by_state_and_type_and_hides_children_and_maintenance),
        TEST(paging_sees_every_job_once_while_new_ones_come),
        TEST(bad_list_arguments_are_named),
        TEST(a_cancelled_job_is_final_at_once_and_its_worker_and_watchers_are_told),
        TEST(waiting_jobs_can_be_cancelled_twice_and_finished_ones_not_at_all),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
