/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* jobs.c - a thread's handle on the truth and the hints (jobs.h).
 *
 * It owns one PostgreSQL and one Redis connection, both made at first use and made again after a
 * loss, so opening never fails because a server is away. */
#include "jobs/jobs.h"

#include <stdlib.h>

enum code jobs_open(struct ctx *cx, const struct settings *settings, const char *application,
                    struct jobs **ret_jobs)
{
    CLEANUP(jobs_closep) struct jobs *jobs = calloc(1, sizeof(*jobs));
    if (!jobs)
        return ctx_oom(cx);
    jobs->settings = settings;
    TRY(db_open(cx, settings->database_url, application, &jobs->db));
    TRY(kv_open(cx, &settings->redis, &jobs->kv));
    *ret_jobs = TAKE(jobs);
    return CODE_OK;
}

void jobs_close(struct jobs *jobs)
{
    if (!jobs)
        return;
    db_close(jobs->db);
    kv_close(jobs->kv);
    free(jobs);
}

void jobs_closep(struct jobs **jobs)
{
    jobs_close(*jobs);
    *jobs = NULL;
}
