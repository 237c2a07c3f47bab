/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* batches.h - directory batches for tests: rows as the lister makes them; the files need not exist.
 */
#ifndef TESTS_JOBS_BATCHES_H
#define TESTS_JOBS_BATCHES_H

#include <stdio.h>
#include <string.h>

#include "tests/support/fixture.h"

enum { AT_ONCE = 3, MAX_FILES = 200 };

static char pool[37];

static inline int setup(void **state)
{
    int failed = fixture_empty(state);
    fx.settings.batch_size = AT_ONCE;
    fx.settings.retry_delay_ms = 0;
    fixture_pool(1, pool);
    return failed;
}

/* ---- making batches ---- */

static inline const char *submit(int n)
{
    struct directory_submission in = {.directory = "/in", .recursive = true, .n_files = n};
    const char *id;
    OK(&fx.cx, jobs_submit_directory(&fx.cx, fx.jobs, &in, &id));
    return id;
}

static inline enum code add(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                            int first, int n)
{
    struct directory_file files[MAX_FILES];
    for (int i = 0; i < n; i++) {
        files[i].path = ctx_printf(cx, "/in/%03d.txt", first + i);
        files[i].name = ctx_printf(cx, "%03d.txt", first + i);
        if (!files[i].path || !files[i].name)
            return cx->failure.code;
    }
    return jobs_directory_add(cx, jobs, claim, "/in", files, n);
}

/* A batch of n files that has given its worker back. */
static inline const char *batch(int n)
{
    const char *id = submit(n);
    struct job_claim claim = fixture_claim(pool, id);
    OK(&fx.cx, add(&fx.cx, fx.jobs, &claim, 0, n));
    OK(&fx.cx, jobs_directory_listed(&fx.cx, fx.jobs, &claim));
    return id;
}

static inline const char *file_of(const char *id, int i)
{
    return fixture_sql("SELECT job_id FROM processing_jobs WHERE parent_job_id = '%s' "
                       "AND parent_path = '%03d.txt'",
                       id, i);
}

static inline int64_t count(const char *id, const char *where)
{
    return fixture_number(
        "SELECT count(*) FROM processing_jobs WHERE parent_job_id = '%s' AND (%s)", id, where);
}

#define RUNNABLE "status IN ('pending', 'processing', 'retrying') AND ready_at < 'infinity'"
#define UNFINISHED "status IN ('pending', 'processing', 'retrying')"

/* Claims a file as of these bytes. */
static inline struct job_claim claim_file(const char *id, int i, const char *hash)
{
    struct job_claim claim = fixture_claim(pool, file_of(id, i));
    claim.content_hash = hash;
    claim.content_type = "text/plain";
    claim.file_size = 1;
    OK(&fx.cx, jobs_identified(&fx.cx, fx.jobs, &claim));
    return claim;
}

static inline void finish(const char *id, int i)
{
    const char *file = file_of(id, i);
    struct job_claim claim = claim_file(id, i, file);
    OK(&fx.cx, fixture_finish(&fx.cx, fx.jobs, &claim, 1));
}

static inline void fail_file(const char *id, int i, enum code code)
{
    struct job_claim claim = claim_file(id, i, "x");
    OK(&fx.cx, jobs_fail(&fx.cx, fx.jobs, &claim, code, "broken"));
}

static inline const Localrag__V1__DirectoryResult *result_of(const char *id)
{
    Localrag__V1__Job *job;
    OK(&fx.cx, jobs_get(&fx.cx, fx.jobs, id, &job));
    assert_int_equal(job->status, LOCALRAG__V1__JOB_STATUS__JOB_STATUS_COMPLETED);
    assert_non_null(job->result);
    assert_int_equal(job->result->kind_case, LOCALRAG__V1__JOB_RESULT__KIND_DIRECTORY);
    return job->result->directory;
}

static inline void expect(const char *id, int successful, int failed, int skipped, int cancelled)
{
    const Localrag__V1__DirectoryResult *d = result_of(id);
    assert_int_equal(d->successful, successful);
    assert_int_equal(d->failed, failed);
    assert_int_equal(d->skipped, skipped);
    assert_int_equal(d->cancelled, cancelled);
    assert_int_equal(d->total_files, successful + failed + skipped + cancelled);
}

#endif
