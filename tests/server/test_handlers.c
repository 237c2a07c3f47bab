/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_handlers.c - the handler threads (server/handlers.h): everything accepted runs exactly once,
 * a full queue says no, a step of admitted work is always taken, a stop runs what is queued. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "server/handlers.h"

enum { THREADS = 4, STEPS = 1000 };

struct work {
    struct task task;
    struct handlers *handlers;
    int steps_left; /* of a chain */
};

static struct ctx cx;
static struct settings settings = {.database_url = "host=/nowhere",
                                   .redis = {.host = "localhost", .port = 1}};
static atomic_int ran;
static sem_t entered, gate, finished;

static int setup(void **state)
{
    (void)state;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    atomic_store(&ran, 0);
    sem_init(&entered, 0, 0);
    sem_init(&gate, 0, 0);
    sem_init(&finished, 0, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ctx_done(&cx);
    return 0;
}

static struct handlers *start(int threads, int queue_limit)
{
    struct handlers *h = NULL;
    assert_int_equal(handlers_start(&cx, &settings, threads, queue_limit, &h), CODE_OK);
    return h;
}

static void count(struct task *task, struct jobs *jobs)
{
    (void)task;
    assert_non_null(jobs);
    atomic_fetch_add(&ran, 1);
}

static void wait_at_gate(struct task *task, struct jobs *jobs)
{
    (void)jobs;
    (void)task;
    sem_post(&entered);
    sem_wait(&gate);
    atomic_fetch_add(&ran, 1);
}

static atomic_int groups, largest;

static void count_group(struct task **tasks, int n, struct jobs *jobs)
{
    assert_non_null(tasks[n - 1]);
    assert_non_null(jobs);
    assert_int_equal(atomic_fetch_add(&groups, 1), 0); /* one at a time */
    sem_post(&entered);
    sem_wait(&gate);
    if (n > atomic_load(&largest))
        atomic_store(&largest, n);
    atomic_fetch_sub(&groups, 1);
    atomic_fetch_add(&ran, n);
}

static void count_other_group(struct task **tasks, int n, struct jobs *jobs)
{
    assert_non_null(tasks[n - 1]);
    assert_non_null(jobs);
    atomic_fetch_add(&ran, n);
    sem_post(&finished);
}

static void one_step_of_many(struct task *task, struct jobs *jobs)
{
    (void)jobs;
    struct work *w = (struct work *)(void *)task;
    atomic_fetch_add(&ran, 1);
    if (--w->steps_left > 0)
        handlers_continue(w->handlers, task); /* not to be touched afterwards */
    else
        sem_post(&finished);
}

static void a_stop_runs_what_is_queued(void **state)
{
    (void)state;
    struct handlers *h = start(THREADS, 10000);
    static struct work all[10000];
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        all[i] = (struct work){.task = {.run = count}};
        assert_true(handlers_submit(h, &all[i].task));
    }
    handlers_stop(h);
    assert_int_equal(atomic_load(&ran), ARRAY_LEN(all));
}

static void a_full_queue_says_no(void **state)
{
    (void)state;
    struct handlers *h = start(1, 2);
    struct work all[5] = {0};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        all[i].task.run = wait_at_gate;
    assert_true(handlers_submit(h, &all[0].task));
    sem_wait(&entered); /* the only thread is busy now */
    assert_true(handlers_submit(h, &all[1].task));
    assert_true(handlers_submit(h, &all[2].task));
    assert_false(handlers_submit(h, &all[3].task));
    handlers_continue(h, &all[4].task); /* admitted before: always taken */
    for (int i = 0; i < 4; i++)
        sem_post(&gate);
    handlers_stop(h);
    assert_int_equal(atomic_load(&ran), 4);
}

static void chains_of_steps_run_to_their_end(void **state)
{
    (void)state;
    struct handlers *h = start(THREADS, 8);
    struct work all[8];
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        all[i] = (struct work){{.run = one_step_of_many}, h, STEPS};
        assert_true(handlers_submit(h, &all[i].task));
    }
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        sem_wait(&finished);
    handlers_stop(h);
    assert_int_equal(atomic_load(&ran), (int)ARRAY_LEN(all) * STEPS);
}

static void tasks_for_groups_gather_while_one_runs(void **state)
{
    (void)state;
    enum { N = HANDLERS_MAX_GROUP + 10 };
    static struct work work[N + 2];
    struct handlers *h = start(2, 100);
    for (int i = 0; i < N + 1; i++) {
        work[i].task = (struct task){.run = count, .run_many = count_group};
        assert_true(handlers_submit(h, &work[i].task));
        if (i == 0)
            sem_wait(&entered); /* alone in its group */
    }
    work[N + 1].task.run = one_step_of_many; /* others do not wait for groups */
    work[N + 1].steps_left = 1;
    assert_true(handlers_submit(h, &work[N + 1].task));
    sem_wait(&finished);
    for (int i = 0; i < 3; i++)
        sem_post(&gate);
    handlers_stop(h);
    assert_int_equal(atomic_load(&ran), N + 2);
    assert_int_equal(atomic_load(&largest), HANDLERS_MAX_GROUP);
}

static void groups_of_different_functions_do_not_wait_for_each_other(void **state)
{
    (void)state;
    static struct work first[3], second[2];
    struct handlers *h = start(2, 100);
    for (size_t i = 0; i < ARRAY_LEN(first); i++) {
        first[i].task = (struct task){.run = count, .run_many = count_group};
        assert_true(handlers_submit(h, &first[i].task));
        if (i == 0)
            sem_wait(&entered); /* it is held, two more gather */
    }
    for (size_t i = 0; i < ARRAY_LEN(second); i++) {
        second[i].task = (struct task){.run = count, .run_many = count_other_group};
        assert_true(handlers_submit(h, &second[i].task));
        sem_wait(&finished);
    }
    assert_int_equal(atomic_load(&ran), 2);
    for (int i = 0; i < 2; i++)
        sem_post(&gate);
    handlers_stop(h);
    assert_int_equal(atomic_load(&ran), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_stop_runs_what_is_queued, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_queue_says_no, setup, teardown),
        cmocka_unit_test_setup_teardown(chains_of_steps_run_to_their_end, setup, teardown),
        cmocka_unit_test_setup_teardown(tasks_for_groups_gather_while_one_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(groups_of_different_functions_do_not_wait_for_each_other,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
