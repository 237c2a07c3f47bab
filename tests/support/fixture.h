/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* fixture.h - a database, a queue and a folder for one test program, on the run's real servers.
 *
 * The servers are named by TEST_DATABASE_URL and TEST_REDIS_URL (./dev test, with-servers.sh);
 * without them the program fails. Use:
 *
 *   cmocka_run_group_tests(tests, fixture_setup, fixture_teardown)
 *   with cmocka_unit_test_setup(test, fixture_empty)
 *
 * For the test's own thread; threads of a test open their own `struct jobs`. */
#ifndef TESTS_SUPPORT_FIXTURE_H
#define TESTS_SUPPORT_FIXTURE_H

#include "jobs/jobs.h"
#include "jobs/pools.h"
#include "tests/support/check.h"

struct fixture {
    struct settings settings; /* as settings_load made them; a test may change its copy */
    struct jobs *jobs;
    struct kv *kv; /* another connection, for looking behind the scenes */
    char folder[64]; /* removed at the end, with everything in it */
    struct ctx cx; /* memory of one test */
};
extern struct fixture fx;

int fixture_setup(void **state); /* new database with the schema, new queue name, new folder */
int fixture_setup_bare(void **state); /* the same without the schema */
int fixture_teardown(void **state); /* drops all of them */
int fixture_empty(void **state); /* before a test: no rows, no keys, settings as loaded */

/* Another handle on the same database and queue; the caller closes it. NULL: no memory. May be
 * called from any thread. */
struct jobs *fixture_jobs(void);

/* Any SQL, on a connection of its own. The first column of the first row, "" for none; in fx.cx. */
const char *fixture_sql(const char *fmt, ...) PRINTF(1, 2);
int64_t fixture_number(const char *fmt, ...) PRINTF(1, 2);

/* Any Redis command: REDIS("ZCARD", fixture_key("high")). */
#define REDIS(...) fixture_redis(KV_ARGV(__VA_ARGS__))
struct kv_reply fixture_redis(int argc, const char *const *argv, const size_t *lens);
const char *fixture_key(const char *suffix); /* "{queue}:suffix" */

/* What FLUSHALL does, to this program's keys only. */
void fixture_forget_redis(void);

/* The path of the Unix socket the database listens on; the test fails when there is none. */
const char *fixture_database_socket(void);

/* Cuts every Redis connection of this process but fx.kv's. */
void fixture_cut_redis(void);

/* A submitted job of its own bytes; its id, in fx.cx. */
const char *fixture_job(const char *priority);
struct job_submission fixture_submission(const char *job_id, const char *hash);

/* A registered pool with workers "general-1" to "general-N". */
void fixture_pool(int n, char ret_pool_id[37]);

/* Claims this job for "general-1" of the pool; the test fails when it cannot. */
struct job_claim fixture_claim(const char *pool_id, const char *job_id);
/* How many of these ids it gets: 0 or 1. */
int fixture_try_claim(const char *pool_id, const char *job_id, bool idle, struct job_claim *ret);

const char *fixture_status(const char *job_id);

/* One tick of the sweep by a sweeper that has not seen anything before. */
void fixture_sweep(void);

/* A page with this text, and the finish of a document of `n` such pages in one chunk. */
struct job_page fixture_page(int page, const char *text);
enum code fixture_finish(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim, int n);

/* jobs_finish_duplicate, and the completion that it leaves to its caller. */
enum code fixture_finish_duplicate(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                                   bool *ret_done);

#endif
