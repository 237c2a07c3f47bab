/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* maintain.h - maintenance that is due, run to its end; for the tests of maintenance and retention.
 */
#ifndef TESTS_JOBS_MAINTAIN_H
#define TESTS_JOBS_MAINTAIN_H

#include "jobs/maintenance.h"
#include "tests/support/fixture.h"

static char pool[37]; /* registered before each test */

static inline int empty(void **state)
{
    if (fixture_empty(state) != 0)
        return -1;
    fixture_pool(1, pool);
    fx.settings.job_retention_ms = 86400000;
    return 0;
}

static inline void make_due(const char *kind)
{
    fixture_sql("UPDATE maintenance SET submitted_at = '-infinity' WHERE kind = '%s'", kind);
}

static inline const char *newest(const char *kind)
{
    return fixture_sql("SELECT job_id FROM processing_jobs WHERE task_type = 'maintenance' AND "
                       "payload->>'kind' = '%s' ORDER BY id DESC LIMIT 1",
                       kind);
}

static inline int64_t count_of(const char *kind)
{
    return fixture_number(
        "SELECT count(*) FROM processing_jobs WHERE task_type = 'maintenance' AND "
        "payload->>'kind' = '%s'",
        kind);
}

static inline int64_t done(const char *id, const char *what)
{
    return fixture_number("SELECT (result->>'%s')::bigint FROM processing_jobs WHERE job_id = '%s'",
                          what, id);
}

/* Due, submitted by the sweep, claimed and run to its end. Its id. */
static inline const char *maintain(const char *kind)
{
    struct maintenance m;
    make_due(kind);
    fixture_sweep();
    const char *id = newest(kind);
    struct job_claim claim = fixture_claim(pool, id);
    OK(&fx.cx, maintenance_begin(&fx.cx, fx.jobs, &claim, &m));
    while (m.more)
        OK(&fx.cx, maintenance_slice(&fx.cx, fx.jobs, &claim, &m));
    OK(&fx.cx, maintenance_complete(&fx.cx, fx.jobs, &claim, &m));
    assert_string_equal(fixture_status(id), "completed");
    return id;
}

/* n jobs that ended two days ago, and were counted. */
static inline void old_jobs(int n)
{
    fixture_sql("WITH made AS (INSERT INTO processing_jobs (job_id, task_type, priority, payload, "
                "max_retries, status, started_at, completed_at) SELECT gen_random_uuid(), "
                "'single_document', 'low', '{}', 3, 'completed', now() - interval '2 days 10 "
                "seconds', now() - interval '2 days' FROM generate_series(1, %d) RETURNING 1) "
                "INSERT INTO job_ends SELECT current_date - 2, 'completed', count(*), count(*) * "
                "10, 0 FROM made",
                n);
}

#endif
