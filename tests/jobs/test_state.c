/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_state.c - the table of the state machine (jobs/state.h) against the SQL that moves jobs.
 *
 * The arrows are written twice: in the table, for the code that asks, and in the guards of the
 * statements, for the database that decides. Each statement is run on a job in each state, and what
 * it did must be an arrow of the table; and each arrow of this version must be some statement's. */
#include "tests/support/fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "jobs/state.h"

static const char *const states[] = {"pending", "processing", "completed",
                                     "failed",  "cancelled",  "retrying"};

static void names_and_numbers_are_one_to_one(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(states); i++) {
        Localrag__V1__JobStatus s = state_parse(states[i]);
        assert_int_not_equal(s, LOCALRAG__V1__JOB_STATUS__JOB_STATUS_UNSPECIFIED);
        assert_string_equal(state_name(s), states[i]);
    }
    static const char *const bad[] = {"", "PENDING", "done", "pending "};
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(state_parse(bad[i]), LOCALRAG__V1__JOB_STATUS__JOB_STATUS_UNSPECIFIED);
    assert_int_equal(state_parse(NULL), LOCALRAG__V1__JOB_STATUS__JOB_STATUS_UNSPECIFIED);
    assert_string_equal(state_name((Localrag__V1__JobStatus)77), "");
    assert_string_equal(state_name((Localrag__V1__JobStatus)-1), "");
    assert_string_equal(state_task_name(state_parse_task("directory_batch")), "directory_batch");
    assert_string_equal(state_priority_name(state_parse_priority("low")), "low");
    assert_string_equal(state_priority_name((Localrag__V1__Priority)9), "");
    assert_int_equal(state_parse_priority("urgent"), 0);
}

static void nothing_leaves_completed_and_terminal_means_finished(void **state)
{
    (void)state;
    for (unsigned to = 0; to < 8; to++)
        assert_false(state_may_move(state_parse("completed"), (Localrag__V1__JobStatus)to));
    for (unsigned i = 0; i < ARRAY_LEN(states); i++)
        assert_int_equal(state_is_terminal(state_parse(states[i])),
                         strcmp(states[i], "completed") == 0 || strcmp(states[i], "failed") == 0 ||
                             strcmp(states[i], "cancelled") == 0);
    assert_false(state_may_move((Localrag__V1__JobStatus)99, (Localrag__V1__JobStatus)1));
}

/* ---- the statements ---- */

static char pool[37], dead_pool[37];

static const char *job_in(const char *status, const char *of_pool)
{
    char *id = ctx_alloc(&fx.cx, 37);
    assert_non_null(id);
    str_uuid(id);
    bool held = strcmp(status, "processing") == 0;
    fixture_sql(
        "INSERT INTO processing_jobs (job_id, task_type, priority, status, payload, max_retries, "
        "claim_epoch, pool_id, started_at) VALUES ('%s', 'single_document', 'medium', '%s', '{}', "
        "3, "
        "1, %s%s%s, now())",
        id, status, held ? "'" : "", held ? of_pool : "NULL", held ? "'" : "");
    return id;
}

static struct job_claim claim_of(const char *id)
{
    struct job_claim c = {.epoch = 1,
                          .file_path = "/nowhere/a.pdf",
                          .file_name = "a.pdf",
                          .content_hash = id,
                          .max_retries = 3};
    snprintf(c.job_id, sizeof(c.job_id), "%s", id);
    return c;
}

static enum code do_claim(const char *id)
{
    struct job_claim c;
    (void)fixture_try_claim(pool, id, true, &c);
    return CODE_OK;
}

static enum code do_complete(const char *id)
{
    struct job_claim c = claim_of(id);
    return fixture_finish(&fx.cx, fx.jobs, &c, 1);
}

static enum code do_fail_for_good(const char *id)
{
    struct job_claim c = claim_of(id);
    return jobs_fail(&fx.cx, fx.jobs, &c, CODE_UNREADABLE, "broken");
}

static enum code do_fail_for_now(const char *id)
{
    struct job_claim c = claim_of(id);
    return jobs_fail(&fx.cx, fx.jobs, &c, CODE_UNAVAILABLE, "away");
}

static enum code do_hand_back(const char *id)
{
    struct job_claim c = claim_of(id);
    return jobs_hand_back(&fx.cx, fx.jobs, &c);
}

static enum code do_cancel(const char *id)
{
    return jobs_cancel(&fx.cx, fx.jobs, id);
}

static enum code do_close_pool(const char *id)
{
    (void)id;
    return pools_close(&fx.cx, fx.jobs, pool);
}

static enum code do_sweep(const char *id)
{
    (void)id;
    fixture_sweep(); /* its pool is dead */
    return CODE_OK;
}

static enum code do_progress(const char *id)
{
    struct pool_worker w = {
        .name = "general-1", .running = true, .epoch = 1, .progress_due = true, .percent = 50};
    struct pool_orders orders;
    snprintf(w.job_id, sizeof(w.job_id), "%s", id);
    return pools_beat(&fx.cx, fx.jobs, pool, &w, 1, &orders);
}

static const struct mover {
    const char *name;
    enum code (*run)(const char *id);
    bool pool_dead;
} movers[] = {
    {"claim", do_claim, false},
    {"complete", do_complete, false},
    {"fail for good", do_fail_for_good, false},
    {"fail for now", do_fail_for_now, false},
    {"hand back", do_hand_back, false},
    {"cancel", do_cancel, false},
    {"close the pool", do_close_pool, false},
    {"sweep a dead pool", do_sweep, true},
    {"store progress", do_progress, false},
};

static void every_statement_moves_jobs_along_the_arrows_only(void **state)
{
    bool seen[8][8] = {{false}};
    for (unsigned m = 0; m < ARRAY_LEN(movers); m++)
        for (unsigned s = 0; s < ARRAY_LEN(states); s++) {
            assert_int_equal(fixture_empty(state), 0);
            fixture_pool(1, pool);
            fixture_pool(1, dead_pool);
            fixture_sql("UPDATE worker_pools SET dead_at = now() WHERE pool_id = '%s'", dead_pool);
            const char *id = job_in(states[s], movers[m].pool_dead ? dead_pool : pool);
            enum code code = movers[m].run(id);
            ctx_clear(&fx.cx);
            const char *now = fixture_status(id);
            if (strcmp(now, states[s]) == 0)
                continue;
            assert_int_equal(code, CODE_OK); /* whoever moved a job says so */
            if (!state_may_move(state_parse(states[s]), state_parse(now)))
                fail_msg("\"%s\" moved a job from %s to %s", movers[m].name, states[s], now);
            seen[state_parse(states[s])][state_parse(now)] = true;
        }
    for (unsigned from = 0; from < 8; from++)
        for (unsigned to = 0; to < 8; to++) {
            bool retry =
                to == LOCALRAG__V1__JOB_STATUS__JOB_STATUS_PENDING &&
                from != LOCALRAG__V1__JOB_STATUS__JOB_STATUS_PROCESSING; /* not in this version */
            if (!retry &&
                state_may_move((Localrag__V1__JobStatus)from, (Localrag__V1__JobStatus)to) &&
                !seen[from][to])
                fail_msg("no statement moves a job from %s to %s",
                         state_name((Localrag__V1__JobStatus)from),
                         state_name((Localrag__V1__JobStatus)to));
        }
}

static void a_row_in_no_state_or_held_without_a_pool_cannot_be_written(void **state)
{
    (void)state;
    const char *id = job_in("pending", NULL);
    static const char *const bad[] = {"status = 'running'",          "status = 'processing'",
                                      "pool_id = gen_random_uuid()", "progress = 101",
                                      "priority = 'urgent'",         "task_type = 'thing'"};
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        assert_string_equal(
            fixture_sql("DO $$ BEGIN UPDATE processing_jobs SET %s WHERE job_id = '%s'; "
                        "RAISE EXCEPTION 'written'; EXCEPTION WHEN check_violation THEN "
                        "NULL; END $$; SELECT 'refused'",
                        bad[i], id),
            "refused");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_numbers_are_one_to_one),
        cmocka_unit_test(nothing_leaves_completed_and_terminal_means_finished),
        cmocka_unit_test_setup(every_statement_moves_jobs_along_the_arrows_only, fixture_empty),
        cmocka_unit_test_setup(a_row_in_no_state_or_held_without_a_pool_cannot_be_written,
                               fixture_empty),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
