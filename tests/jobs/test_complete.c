/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_complete.c - finishes that share a commit, and the fence that each keeps (jobs/complete.c).
 */
#include "tests/support/fixture.h"

#include <string.h>

enum { JOBS = 6 };

static char pool[37];
static struct job_claim claims[JOBS];
static struct job_completion how[JOBS];
static struct job_finish finishes[JOBS];

static int setup(void **state)
{
    if (fixture_empty(state) != 0)
        return -1;
    fixture_pool(1, pool);
    memset(finishes, 0, sizeof(finishes));
    for (int i = 0; i < JOBS; i++) {
        claims[i] = fixture_claim(pool, fixture_job("medium"));
        how[i] = (struct job_completion){.message = "Completed: nothing",
                                         .result_json = "{\"n\": 1}",
                                         .pages = i};
        finishes[i] = (struct job_finish){.claim = &claims[i],
                                          .how = &how[i],
                                          .next = i + 1 < JOBS ? &finishes[i + 1] : NULL};
    }
    return 0;
}

static int64_t commits(void)
{
    return fixture_number("SELECT count(DISTINCT xmin::text) FROM processing_jobs "
                          "WHERE status = 'completed'");
}

static void a_list_is_one_commit(void **state)
{
    (void)state;
    jobs_complete_many(fx.jobs, finishes);
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(finishes[i].code, CODE_OK);
        assert_int_equal(
            fixture_number("SELECT pages_done FROM processing_jobs WHERE job_id = '%s' "
                           "AND status = 'completed' AND result = '{\"n\": 1}' "
                           "AND progress = 100 AND pool_id IS NULL",
                           claims[i].job_id),
            i);
    }
    assert_int_equal(commits(), 1);
}

static void a_zombie_loses_alone(void **state)
{
    (void)state;
    claims[3].epoch--;
    fixture_sql("UPDATE processing_jobs SET status = 'cancelled', completed_at = now(), "
                "pool_id = NULL WHERE job_id = '%s'",
                claims[4].job_id);
    jobs_complete_many(fx.jobs, finishes);
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(finishes[i].code, i == 3 || i == 4 ? CODE_CLAIM_LOST : CODE_OK);
    CONTAINS(finishes[3].message, "not this worker's any more");
    assert_string_equal(fixture_status(claims[3].job_id), "processing");
    assert_string_equal(fixture_status(claims[4].job_id), "cancelled");
    assert_int_equal(commits(), 1);
}

static void a_finish_that_cannot_be_stored_fails_alone(void **state)
{
    (void)state;
    how[2].result_json = "{no JSON";
    jobs_complete_many(fx.jobs, finishes);
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(finishes[i].code, i == 2 ? CODE_INTERNAL : CODE_OK);
    assert_string_equal(fixture_status(claims[2].job_id), "processing");
    assert_int_equal(commits(), JOBS - 1);
}

static void one_is_written_at_once(void **state)
{
    (void)state;
    OK(&fx.cx, jobs_complete(&fx.cx, fx.jobs, &claims[0], &how[0]));
    FAILS(&fx.cx, CODE_CLAIM_LOST, jobs_complete(&fx.cx, fx.jobs, &claims[0], &how[0]));
}

static void a_lone_finish_is_a_list_too(void **state)
{
    (void)state;
    finishes[0].next = NULL;
    jobs_complete_many(fx.jobs, finishes);
    assert_int_equal(finishes[0].code, CODE_OK);
    assert_string_equal(fixture_status(claims[1].job_id), "processing");
    how[1].result_json = "{no JSON";
    finishes[1].next = NULL;
    jobs_complete_many(fx.jobs, &finishes[1]);
    assert_int_equal(finishes[1].code, CODE_INTERNAL);
    CONTAINS(finishes[1].message, "job_complete");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_list_is_one_commit, setup),
        cmocka_unit_test_setup(a_zombie_loses_alone, setup),
        cmocka_unit_test_setup(a_finish_that_cannot_be_stored_fails_alone, setup),
        cmocka_unit_test_setup(one_is_written_at_once, setup),
        cmocka_unit_test_setup(a_lone_finish_is_a_list_too, setup),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
