/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_fence_probe.c - eight questions to a job queue: what can a worker do that has lost its job,
 * and what can happen while a job ends?
 *
 * A zombie is a worker that was stopped or cut off and goes on where it was after its job was given
 * to somebody else, the owner. Each question is asked of the real statements over real connections:
 * "during" means that one transaction is open, the other is seen waiting for its lock, and the
 * first is then committed and, in another round, rolled back. So a zombie also asks at the one
 * moment at which its claim is still the newest to everybody: while the transaction that takes its
 * job away is open. The wider questions about the finish are in test_fence.c. */
#include "tests/support/fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/wait.h"

static char pool[37], other[37];
static const char *id;
static struct job_claim zombie, owner;
static const struct job_document one_page = {.page_count = 1, .content_type = "application/pdf"};
static const struct job_chunk late = {.page_start = 1,
                                      .page_end = 1,
                                      .token_count = 1,
                                      .content = "from the grave",
                                      .spans_json = "[]",
                                      .heading_path_json = "[]"};

/* In one transaction, left open: its pool is dead, the job is free, somebody else has it. */
static void take_away(void)
{
    OK(&fx.cx, db_begin(&fx.cx, fx.jobs->db));
    OK(&fx.cx, db_run(&fx.cx, fx.jobs->db, &q_pool_mark_dead,
                      DB_ARGS(db_text(pool), db_null(), db_null()), NULL));
    OK(&fx.cx, db_run(&fx.cx, fx.jobs->db, &q_dead_jobs, DB_NO_ARGS, NULL));
    owner = fixture_claim(other, id);
}

/* A job at work whose worker will be the zombie; its one page is read. */
static int setup(void **state)
{
    if (fixture_empty(state) != 0)
        return -1;
    struct job_page page = fixture_page(1, "words");
    fixture_pool(1, pool);
    fixture_pool(1, other);
    id = fixture_job("medium");
    zombie = fixture_claim(pool, id);
    OK(&fx.cx, jobs_save_pages(&fx.cx, fx.jobs, &zombie, &page, 1));
    return 0;
}

static int setup_taken(void **state)
{
    if (setup(state) != 0)
        return -1;
    take_away();
    OK(&fx.cx, db_commit(&fx.cx, fx.jobs->db));
    return 0;
}

static const char *row(void)
{
    return fixture_sql("SELECT row(j.*)::text FROM processing_jobs AS j WHERE job_id = '%s'", id);
}

static int64_t rows_of(const char *table)
{
    return fixture_number("SELECT count(*) FROM %s", table);
}

/* ---- somebody else, on a connection of his own ---- */

struct rival {
    enum code (*act)(struct ctx *cx, struct rival *r);
    struct job_claim claim;
    struct jobs *jobs;
    pthread_t thread;
    int n_claimed;
    enum code code;
};

static void *run_rival(void *arg)
{
    struct rival *r = arg;
    struct ctx cx;
    ctx_init(&cx, 1 << 20);
    r->code = r->act(&cx, r);
    ctx_done(&cx);
    return NULL;
}

static void start(struct rival *r)
{
    r->jobs = fixture_jobs();
    assert_non_null(r->jobs);
    assert_int_equal(pthread_create(&r->thread, NULL, run_rival, r), 0);
}

static void start_and_see_it_wait(struct rival *r)
{
    start(r);
    WAIT_UNTIL(5000, fixture_number("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = "
                                    "'Lock' AND datname = current_database()") == 1);
}

static enum code end_of(struct rival *r)
{
    pthread_join(r->thread, NULL);
    jobs_close(r->jobs);
    return r->code;
}

static enum code try_finish(struct ctx *cx, struct rival *r)
{
    enum code code = jobs_finish_begin(cx, r->jobs, &r->claim);
    if (code == CODE_OK)
        code = jobs_finish_commit(cx, r->jobs, &r->claim, &one_page);
    jobs_finish_abort(r->jobs);
    return code;
}

static enum code try_fail(struct ctx *cx, struct rival *r)
{
    return jobs_fail(cx, r->jobs, &r->claim, CODE_UNREADABLE, "broken");
}

static enum code try_fail_for_now(struct ctx *cx, struct rival *r)
{
    return jobs_fail(cx, r->jobs, &r->claim, CODE_UNAVAILABLE, "away");
}

static enum code try_hand_back(struct ctx *cx, struct rival *r)
{
    return jobs_hand_back(cx, r->jobs, &r->claim);
}

static enum code try_page(struct ctx *cx, struct rival *r)
{
    struct job_page page = fixture_page(2, "from the grave");
    return jobs_save_pages(cx, r->jobs, &r->claim, &page, 1);
}

static enum code try_cancel(struct ctx *cx, struct rival *r)
{
    return jobs_cancel(cx, r->jobs, id);
}

/* And finishes what it got; the texts of a claim live no longer than cx. */
static enum code try_claim(struct ctx *cx, struct rival *r)
{
    char ids[1][37];
    const char *workers[] = {"general-1"};
    memcpy(ids[0], id, 37);
    TRY(jobs_claim(cx, r->jobs, other, 1, ids, workers, true, &r->claim, &r->n_claimed));
    return r->n_claimed ? fixture_finish(cx, r->jobs, &r->claim, 1) : CODE_OK;
}

/* The zombie acts before, while and after its job is taken from it. */
static void refused_from_then_on(void **state, enum code (*act)(struct ctx *cx, struct rival *r))
{
    struct rival r = {.act = act, .claim = zombie};
    take_away();
    start_and_see_it_wait(&r);
    db_rollback(fx.jobs->db); /* it never was: the job is still this worker's */
    assert_int_equal(end_of(&r), CODE_OK);

    assert_int_equal(setup(state), 0);
    r.claim = zombie;
    take_away();
    start_and_see_it_wait(&r);
    OK(&fx.cx, db_commit(&fx.cx, fx.jobs->db));
    assert_int_equal(end_of(&r), CODE_CLAIM_LOST);
    assert_string_equal(fixture_sql("SELECT concat_ws(' ', status, claim_epoch, retry_count, "
                                    "progress, pool_id = '%s') FROM processing_jobs",
                                    other),
                        "processing 2 0 0 t");

    const char *before = row();
    start(&r);
    assert_int_equal(end_of(&r), CODE_CLAIM_LOST);
    OK(&fx.cx, jobs_finish_begin(&fx.cx, fx.jobs, &owner));
    start(&r); /* and it does not hold up the owner, nor wait for it */
    assert_int_equal(end_of(&r), CODE_CLAIM_LOST);
    assert_string_equal(row(), before);
    assert_int_equal(rows_of("documents"), 0);
    assert_int_equal(rows_of("document_pages"), 1);
    OK(&fx.cx, jobs_finish_commit(&fx.cx, fx.jobs, &owner, &one_page));
    before = row();
    start(&r);
    assert_int_equal(end_of(&r), CODE_CLAIM_LOST);
    assert_string_equal(row(), before);
    assert_string_equal(fixture_status(id), "completed");
}

/* ---- the questions ---- */

static void zombie_finish(void **state)
{
    refused_from_then_on(state, try_finish);
}

static void zombie_fail(void **state)
{
    refused_from_then_on(state, try_fail);
    assert_int_equal(setup(state), 0);
    refused_from_then_on(state, try_fail_for_now);
    assert_int_equal(setup(state), 0);
    refused_from_then_on(state, try_hand_back);
}

static void beat(const char *by, const struct job_claim *claim, double percent, enum code want)
{
    struct pool_worker w = {.name = "general-1",
                            .running = true,
                            .epoch = claim->epoch,
                            .progress_due = true,
                            .percent = percent,
                            .pages_done = 9,
                            .pages_total = 10};
    struct pool_orders orders = {0};
    snprintf(w.job_id, sizeof(w.job_id), "%s", id);
    enum code code = pools_beat(&fx.cx, fx.jobs, by, &w, 1, &orders);
    ctx_clear(&fx.cx);
    assert_int_equal(code, want);
    if (want == CODE_OK) /* it is told that it has lost the job */
        assert_int_equal(orders.n_lost, claim->epoch == owner.epoch ? 0 : 1);
}

static void zombie_progress(void **state)
{
    (void)state;
    Localrag__V1__Job *job;
    struct jobs *finisher = fixture_jobs();
    const char *before = row();
    beat(pool, &zombie, 90, CODE_CLAIM_LOST); /* its pool is dead */
    beat(other, &zombie, 90, CODE_OK); /* a living pool, an old claim */
    OK(&fx.cx, jobs_finish_begin(&fx.cx, finisher, &owner));
    beat(other, &zombie, 90, CODE_OK); /* nor does it wait for the owner's finish */
    jobs_finish_abort(finisher);
    jobs_close(finisher);
    assert_string_equal(row(), before);
    jobs_publish_progress(&fx.cx, fx.jobs, &zombie,
                          &(struct job_progress){.percent = 90, .message = "late"});
    OK(&fx.cx, jobs_get(&fx.cx, fx.jobs, id, &job)); /* the hint in Redis is not believed */
    assert_true(job->progress == 0);
    beat(other, &owner, 50, CODE_OK);
    assert_int_equal(fixture_number("SELECT progress FROM processing_jobs"), 50);
}

static void zombie_page_write(void **state)
{
    refused_from_then_on(state, try_page);
}

/* Chunks are written in the finish only, behind its lock. So there are two ways to try: not to
 * believe the lock's refusal, and to have been stopped behind the lock until the session ended. */
static void zombie_chunk_write(void **state)
{
    (void)state;
    struct jobs *stopped = fixture_jobs();
    FAILS(&fx.cx, CODE_CLAIM_LOST, jobs_finish_begin(&fx.cx, fx.jobs, &zombie));
    OK(&fx.cx, jobs_finish_add_chunks(&fx.cx, fx.jobs, &zombie, &late, 1)); /* never committed: */
    FAILS(&fx.cx, CODE_CLAIM_LOST, jobs_finish_commit(&fx.cx, fx.jobs, &zombie, &one_page));
    jobs_finish_abort(fx.jobs);
    assert_int_equal(rows_of("chunks"), 0);

    OK(&fx.cx, jobs_finish_begin(&fx.cx, stopped, &owner));
    OK(&fx.cx, jobs_finish_add_chunks(&fx.cx, stopped, &owner, &late, 1));
    fixture_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
                "current_database() AND state = 'idle in transaction'");
    WAIT_UNTIL(5000, fixture_number("SELECT count(*) FROM pg_stat_activity WHERE datname = "
                                    "current_database() AND state = 'idle in transaction'") == 0);
    fixture_sql("UPDATE worker_pools SET dead_at = now()");
    fixture_sweep();
    fixture_pool(1, pool);
    struct job_claim third = fixture_claim(pool, id);
    FAILS(&fx.cx, CODE_UNAVAILABLE, jobs_finish_add_chunks(&fx.cx, stopped, &owner, &late, 1));
    FAILS(&fx.cx, CODE_UNAVAILABLE, jobs_finish_commit(&fx.cx, stopped, &owner, &one_page));
    jobs_finish_abort(stopped);
    FAILS(&fx.cx, CODE_CLAIM_LOST, jobs_finish_begin(&fx.cx, stopped, &owner));
    jobs_close(stopped);
    OK(&fx.cx, fixture_finish(&fx.cx, fx.jobs, &third, 1));
    assert_string_equal(fixture_sql("SELECT string_agg(content, ',') FROM chunks"), "words");
}

static void cancel_during_finish(void **state)
{
    (void)state;
    struct rival r = {.act = try_cancel};
    OK(&fx.cx, jobs_finish_begin(&fx.cx, fx.jobs, &owner));
    start_and_see_it_wait(&r);
    OK(&fx.cx, jobs_finish_commit(&fx.cx, fx.jobs, &owner, &one_page));
    assert_int_equal(end_of(&r), CODE_WRONG_STATE); /* too late, and it says so */
    assert_string_equal(fixture_status(id), "completed");

    assert_int_equal(setup_taken(state), 0);
    OK(&fx.cx, jobs_finish_begin(&fx.cx, fx.jobs, &owner));
    start_and_see_it_wait(&r);
    jobs_finish_abort(fx.jobs);
    assert_int_equal(end_of(&r), CODE_OK);
    assert_string_equal(fixture_status(id), "cancelled");
    FAILS(&fx.cx, CODE_CLAIM_LOST, fixture_finish(&fx.cx, fx.jobs, &owner, 1));
    assert_string_equal(fixture_status(id), "cancelled");
    assert_int_equal(rows_of("documents"), 0);
}

static void retry_during_finish(void **state)
{
    (void)state;
    struct rival r = {.act = try_finish, .claim = owner};
    struct jobs *person = fixture_jobs();
    OK(&fx.cx, jobs_finish_begin(&fx.cx, fx.jobs, &owner));
    FAILS(&fx.cx, CODE_WRONG_STATE, jobs_retry(&fx.cx, person, id)); /* it is at work */
    OK(&fx.cx, jobs_finish_commit(&fx.cx, fx.jobs, &owner, &one_page));
    FAILS(&fx.cx, CODE_WRONG_STATE, jobs_retry(&fx.cx, person, id)); /* it is done */
    assert_string_equal(fixture_status(id), "completed");

    /* Cancelled and retried, and the finish of the claim from before comes in between. Its number
     * is still the newest, for nobody has claimed the job since. */
    assert_int_equal(setup_taken(state), 0);
    r.claim = owner;
    OK(&fx.cx, db_begin(&fx.cx, fx.jobs->db));
    OK(&fx.cx, db_run(&fx.cx, fx.jobs->db, &q_job_cancel, DB_ARGS(db_text(id)), NULL));
    OK(&fx.cx, db_run(&fx.cx, fx.jobs->db, &q_job_retry, DB_ARGS(db_text(id)), NULL));
    start_and_see_it_wait(&r);
    OK(&fx.cx, db_commit(&fx.cx, fx.jobs->db));
    assert_int_equal(end_of(&r), CODE_CLAIM_LOST);
    assert_string_equal(fixture_status(id), "pending");
    struct job_claim third = fixture_claim(other, id);
    start(&r);
    assert_int_equal(end_of(&r), CODE_CLAIM_LOST);
    assert_string_equal(fixture_status(id), "processing");
    OK(&fx.cx, fixture_finish(&fx.cx, person, &third, 1));
    jobs_close(person);
}

static void double_claim(void **state)
{
    (void)state;
    struct rival r = {.act = try_claim};
    struct job_claim claim = {0};
    id = fixture_job("medium");
    fixture_pool(1, pool);
    OK(&fx.cx, db_begin(&fx.cx, fx.jobs->db));
    assert_int_equal(fixture_try_claim(pool, id, true, &claim), 1);
    start_and_see_it_wait(&r);
    OK(&fx.cx, db_commit(&fx.cx, fx.jobs->db));
    assert_int_equal(end_of(&r), CODE_OK);
    assert_int_equal(r.n_claimed, 0);
    assert_string_equal(fixture_sql("SELECT claim_epoch || ' ' || (pool_id = '%s') FROM "
                                    "processing_jobs WHERE job_id = '%s'",
                                    pool, id),
                        "1 true");
    OK(&fx.cx, fixture_finish(&fx.cx, fx.jobs, &claim, 1));

    id = fixture_job("medium");
    OK(&fx.cx, db_begin(&fx.cx, fx.jobs->db));
    assert_int_equal(fixture_try_claim(pool, id, true, &claim), 1);
    start_and_see_it_wait(&r);
    db_rollback(fx.jobs->db); /* the claim never was: the other one gets the job */
    assert_int_equal(end_of(&r), CODE_OK);
    assert_int_equal(r.n_claimed, 1);
    assert_int_equal(r.claim.epoch, 1);
    assert_string_equal(fixture_status(id), "completed");
}

int main(void)
{
#define QUESTION(text, f, before)                                                                  \
    {                                                                                              \
        .name = text, .test_func = f, .setup_func = before                                         \
    }
    const struct CMUnitTest tests[] = {
        QUESTION("1. zombie finish", zombie_finish, setup),
        QUESTION("2. zombie fail", zombie_fail, setup),
        QUESTION("3. zombie progress", zombie_progress, setup_taken),
        QUESTION("4. zombie page write", zombie_page_write, setup),
        QUESTION("5. zombie chunk write", zombie_chunk_write, setup_taken),
        QUESTION("6. cancel during finish", cancel_during_finish, setup_taken),
        QUESTION("7. retry during finish", retry_during_finish, setup_taken),
        QUESTION("8. double claim", double_claim, setup_taken),
    };
    return cmocka_run_group_tests_name("fence probe", tests, fixture_setup, fixture_teardown);
}
