/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_complete.c - finishes that share a commit, and the fence that each keeps (jobs/complete.c).
 *
 * A group forms while its leader writes. So the test holds the row of the leader's job with a lock
 * of its own until every other thread is known to sleep behind it. */
#include "tests/support/fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/wait.h"

enum { THREADS = 6 };

struct worker {
    pthread_t thread;
    struct job_claim claim;
    struct job_completion how;
    atomic_int tid; /* set right before the call */
    enum code code;
};

static char pool[37];
static struct finish_group *group;
static struct jobs *holder; /* of the lock */
static struct worker workers[THREADS]; /* the first one leads */

static int setup(void **state)
{
    if (fixture_empty(state) != 0)
        return -1;
    fixture_pool(1, pool);
    OK(&fx.cx, finish_group_new(&fx.cx, &fx.settings, &group));
    holder = fixture_jobs();
    memset(workers, 0, sizeof(workers));
    for (int i = 0; i < THREADS; i++) {
        workers[i].claim = fixture_claim(pool, fixture_job("medium"));
        workers[i].how = (struct job_completion){.message = "Completed: nothing",
                                                 .result_json = "{\"n\": 1}",
                                                 .pages = i};
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    finish_group_free(group);
    jobs_close(holder);
    return 0;
}

static void *finish(void *arg)
{
    struct worker *w = arg;
    struct jobs *jobs = fixture_jobs();
    struct ctx cx;
    ctx_init(&cx, 0);
    jobs->finishes = group;
    atomic_store(&w->tid, gettid());
    w->code = jobs_complete(&cx, jobs, &w->claim, &w->how);
    ctx_done(&cx);
    jobs_close(jobs);
    return NULL;
}

static bool sleeps(struct worker *w)
{
    char path[64], state = 0;
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", atomic_load(&w->tid));
    FILE *f = atomic_load(&w->tid) ? fopen(path, "r") : NULL;
    if (f && fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
        state = 0;
    if (f)
        fclose(f);
    return state == 'S';
}

/* Nobody holds the group's lock then: who waits for it would not be alone in that. */
static bool all_sleep(void)
{
    for (int i = 1; i < THREADS; i++)
        if (!sleeps(&workers[i]))
            return false;
    return true;
}

static bool leader_is_held(void)
{
    return fixture_number("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                          "AND datname = current_database() "
                          "AND application_name = 'localrag-worker finish'") == 1;
}

/* The first one writes; all others wait and are written together. */
static void finish_all(void)
{
    OK(&fx.cx, db_begin(&fx.cx, holder->db));
    OK(&fx.cx,
       db_script(&fx.cx, holder->db,
                 ctx_printf(&fx.cx, "SELECT 1 FROM processing_jobs WHERE job_id = '%s' FOR UPDATE",
                            workers[0].claim.job_id)));
    assert_int_equal(pthread_create(&workers[0].thread, NULL, finish, &workers[0]), 0);
    WAIT_UNTIL(10000, leader_is_held());
    for (int i = 1; i < THREADS; i++)
        assert_int_equal(pthread_create(&workers[i].thread, NULL, finish, &workers[i]), 0);
    WAIT_UNTIL(10000, all_sleep());
    db_rollback(holder->db);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
}

static int64_t commits(void)
{
    return fixture_number("SELECT count(DISTINCT xmin::text) FROM processing_jobs "
                          "WHERE status = 'completed'");
}

static void finishes_that_meet_share_a_commit(void **state)
{
    (void)state;
    finish_all();
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(workers[i].code, CODE_OK);
        assert_int_equal(
            fixture_number("SELECT pages_done FROM processing_jobs WHERE job_id = '%s' "
                           "AND status = 'completed' AND result = '{\"n\": 1}' "
                           "AND progress = 100 AND pool_id IS NULL",
                           workers[i].claim.job_id),
            i);
    }
    assert_int_equal(commits(), 2); /* the leader's, and the one of all others */
}

static void a_zombie_loses_alone(void **state)
{
    (void)state;
    workers[3].claim.epoch--;
    fixture_sql("UPDATE processing_jobs SET status = 'cancelled', completed_at = now(), "
                "pool_id = NULL WHERE job_id = '%s'",
                workers[4].claim.job_id);
    finish_all();
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(workers[i].code, i == 3 || i == 4 ? CODE_CLAIM_LOST : CODE_OK);
    assert_string_equal(fixture_status(workers[3].claim.job_id), "processing");
    assert_string_equal(fixture_status(workers[4].claim.job_id), "cancelled");
    assert_int_equal(commits(), 2);
}

static void a_finish_that_cannot_be_stored_fails_alone(void **state)
{
    (void)state;
    workers[2].how.result_json = "{no JSON";
    finish_all();
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(workers[i].code, i == 2 ? CODE_INTERNAL : CODE_OK);
    assert_string_equal(fixture_status(workers[2].claim.job_id), "processing");
    assert_int_equal(commits(), THREADS - 1);
}

static void without_a_group_it_is_written_at_once(void **state)
{
    (void)state;
    OK(&fx.cx, jobs_complete(&fx.cx, fx.jobs, &workers[0].claim, &workers[0].how));
    FAILS(&fx.cx, CODE_CLAIM_LOST,
          jobs_complete(&fx.cx, fx.jobs, &workers[0].claim, &workers[0].how));
    fx.jobs->finishes = group;
    OK(&fx.cx, jobs_complete(&fx.cx, fx.jobs, &workers[1].claim, &workers[1].how));
    FAILS(&fx.cx, CODE_CLAIM_LOST,
          jobs_complete(&fx.cx, fx.jobs, &workers[1].claim, &workers[1].how));
    fx.jobs->finishes = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finishes_that_meet_share_a_commit, setup, teardown),
        cmocka_unit_test_setup_teardown(a_zombie_loses_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_finish_that_cannot_be_stored_fails_alone, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(without_a_group_it_is_written_at_once, setup, teardown),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
