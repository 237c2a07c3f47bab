/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_pool.c - slots, runners and the finisher together: real claims, a real database; what a job
 * does is this file's (run_document is exchanged by the linker).
 *
 * Held here: as many jobs as slots run at once; a job whose completion waits for its commit keeps
 * its slot taken, and others run meanwhile; completions that meet share a commit; one that cannot
 * be stored fails alone, and one that was lost is dropped; a pool that closes waits for all of it.
 */
#include "tests/support/fixture.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/wait.h"
#include "workers/pool.h"
#include "workers/run_document.h"

enum { SLOTS = 6, HELD = 2 /* as many completions are written at a time */ };

static char pool_id[37];
static struct pool *pool;
static struct job_claim claims[SLOTS];
static struct jobs *holder; /* of a lock */
static atomic_int entered, at_once, most_at_once;
static atomic_bool gate; /* jobs that wait may go on */
static bool wait_at_gate;
static char broken[37]; /* its result is none */

enum code __wrap_run_document(struct task *t);
enum code __wrap_run_document(struct task *t)
{
    int now = atomic_fetch_add(&at_once, 1) + 1;
    if (now > atomic_load(&most_at_once))
        atomic_store(&most_at_once, now);
    atomic_fetch_add(&entered, 1);
    while (wait_at_gate && !atomic_load(&gate))
        wait_moment();
    atomic_fetch_sub(&at_once, 1);
    bool bad = strcmp(t->claim->job_id, broken) == 0;
    struct job_completion how = {.message = "Completed: nothing",
                                 .result_json = bad ? "{no JSON" : "{\"n\": 1}"};
    return task_complete(t, &how);
}

static int setup(void **state)
{
    if (fixture_empty(state) != 0)
        return -1;
    fx.settings.max_workers = SLOTS;
    fx.settings.high_priority_workers = 0;
    fixture_pool(SLOTS, pool_id);
    entered = at_once = most_at_once = 0;
    gate = wait_at_gate = false;
    broken[0] = '\0';
    holder = fixture_jobs();
    OK(&fx.cx, pool_new(&fx.cx, &fx.settings, NULL, &pool));
    pool_set_id(pool, pool_id);
    pool_set_wanted(pool, true, -1, -1);
    for (int i = 0; i < SLOTS; i++)
        claims[i] = fixture_claim(pool_id, fixture_job("medium"));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pool_close(pool);
    bool drained = pool_wait_drained(pool, 10000);
    pool_free(pool);
    jobs_close(holder);
    return drained ? 0 : -1;
}

static int running(void)
{
    struct pool_worker w[SLOTS];
    int n = 0;
    pool_report(pool, w);
    for (int i = 0; i < SLOTS; i++)
        n += w[i].job_id[0] != '\0';
    return n;
}

static int counted(bool failed)
{
    struct pool_worker w[SLOTS];
    int n = 0;
    pool_report(pool, w);
    for (int i = 0; i < SLOTS; i++)
        n += (int)(failed ? w[i].failed : w[i].processed);
    return n;
}

static void reserve(int first, int n)
{
    const char *names[SLOTS];
    assert_int_equal(pool_reserve(pool, false, n, names), n);
    for (int i = 0; i < n; i++)
        claims[first + i].worker = names[i];
}

static void give(int first, int n)
{
    const struct job_claim *refused[SLOTS];
    reserve(first, n);
    assert_int_equal(pool_give(pool, &claims[first], n, refused), 0);
}

/* Those of the first HELD jobs. */
static void hold_rows(void)
{
    OK(&fx.cx, db_begin(&fx.cx, holder->db));
    for (int i = 0; i < HELD; i++)
        OK(&fx.cx,
           db_script(&fx.cx, holder->db,
                     ctx_printf(&fx.cx,
                                "SELECT 1 FROM processing_jobs WHERE job_id = '%s' FOR UPDATE",
                                claims[i].job_id)));
}

static int64_t held_writers(void)
{
    return fixture_number("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                          "AND datname = current_database() "
                          "AND application_name = 'localrag-worker finish'");
}

/* The first ones' completions are under way and stay so; all others have run and wait behind. */
static void run_all_behind_the_first(void)
{
    hold_rows();
    for (int i = 0; i < HELD; i++) {
        give(i, 1);
        WAIT_UNTIL(10000, held_writers() == i + 1);
    }
    give(HELD, SLOTS - HELD);
    WAIT_UNTIL(10000, atomic_load(&entered) == SLOTS && atomic_load(&at_once) == 0);
    assert_int_equal(running(), SLOTS); /* each keeps its slot and its lease */
    struct pool_idle idle;
    assert_false(pool_wait_idle(pool, 1, &idle));
}

static void release_rows(void)
{
    db_rollback(holder->db);
    WAIT_UNTIL(10000, running() == 0);
}

static int64_t commits(void)
{
    return fixture_number("SELECT count(DISTINCT xmin::text) FROM processing_jobs "
                          "WHERE status = 'completed'");
}

static void as_many_jobs_as_slots_run_at_once(void **state)
{
    (void)state;
    wait_at_gate = true;
    give(0, SLOTS);
    WAIT_UNTIL(10000, atomic_load(&most_at_once) == SLOTS);
    atomic_store(&gate, true);
    WAIT_UNTIL(10000, running() == 0);
    assert_int_equal(counted(false), SLOTS);
}

static void completions_that_meet_share_a_commit(void **state)
{
    (void)state;
    run_all_behind_the_first();
    release_rows();
    assert_int_equal(counted(false), SLOTS);
    assert_int_equal(fixture_number("SELECT count(*) FROM processing_jobs WHERE status = "
                                    "'completed' AND progress = 100 AND pool_id IS NULL"),
                     SLOTS);
    /* the first ones'; all others', or the last comers' apart */
    assert_in_range(commits(), HELD + 1, HELD + 2);
}

static void a_lost_one_is_dropped_and_a_bad_one_fails_alone(void **state)
{
    (void)state;
    memcpy(broken, claims[2].job_id, sizeof(broken));
    fixture_sql("UPDATE processing_jobs SET status = 'cancelled', completed_at = now(), "
                "pool_id = NULL WHERE job_id = '%s'",
                claims[4].job_id);
    run_all_behind_the_first();
    release_rows();
    assert_int_equal(counted(false), SLOTS - 2);
    assert_string_equal(fixture_status(claims[4].job_id), "cancelled");
    assert_string_not_equal(fixture_status(claims[2].job_id), "processing");
    assert_string_equal(fixture_sql("SELECT error_code FROM processing_jobs WHERE job_id = '%s'",
                                    claims[2].job_id),
                        "INTERNAL");
    assert_int_equal(fixture_number("SELECT count(*) FROM processing_jobs WHERE status = "
                                    "'completed'"),
                     SLOTS - 2);
}

static void a_database_that_goes_away_is_waited_for(void **state)
{
    (void)state;
    run_all_behind_the_first();
    fixture_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
                "current_database() AND application_name = 'localrag-worker finish'");
    WAIT_UNTIL(10000, running() == HELD); /* the others' writer has connected anew */
    release_rows();
    assert_int_equal(fixture_number("SELECT count(*) FROM processing_jobs WHERE status = "
                                    "'completed'"),
                     SLOTS);
    assert_int_equal(counted(false), SLOTS);
}

static void reserved_workers_are_neither_idle_nor_reported(void **state)
{
    (void)state;
    const char *names[SLOTS], *more[1];
    struct pool_idle idle;
    assert_int_equal(pool_reserve(pool, false, SLOTS + 1, names), SLOTS);
    assert_int_equal(pool_reserve(pool, false, 1, more), 0);
    assert_false(pool_wait_idle(pool, 1, &idle));
    assert_false(pool_wait_drained(pool, 1));
    assert_int_equal(running(), 0);
    pool_release(pool, &names[1], SLOTS - 1);
    assert_true(pool_wait_idle(pool, 10000, &idle));
    assert_int_equal(idle.n_general, SLOTS - 1);
    assert_false(idle.all);
    pool_release(pool, names, 1);
    assert_true(pool_wait_drained(pool, 10000));
}

static void a_closing_pool_refuses_jobs_and_waits_for_those_it_has(void **state)
{
    (void)state;
    hold_rows();
    give(0, 1);
    WAIT_UNTIL(10000, held_writers() == 1);
    reserve(1, 2);
    pool_close(pool);
    const struct job_claim *refused[SLOTS];
    assert_int_equal(pool_give(pool, &claims[1], 2, refused), 2);
    assert_ptr_equal(refused[1], &claims[2]);
    assert_false(pool_wait_drained(pool, 1));
    /* Its runner is still there for it: the connection dies, and it is completed all the same. */
    fixture_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
                "current_database() AND application_name = 'localrag-worker finish'");
    db_rollback(holder->db);
    WAIT_UNTIL(10000, pool_wait_drained(pool, 100));
    assert_string_equal(fixture_status(claims[0].job_id), "completed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(as_many_jobs_as_slots_run_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(completions_that_meet_share_a_commit, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lost_one_is_dropped_and_a_bad_one_fails_alone, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_database_that_goes_away_is_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(reserved_workers_are_neither_idle_nor_reported, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_closing_pool_refuses_jobs_and_waits_for_those_it_has,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
