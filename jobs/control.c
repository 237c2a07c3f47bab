/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* control.c - what people do to jobs and workers: retry, start and stop.
 *
 * A manual retry is one guarded statement; the fence goes on counting, so nothing that an earlier
 * claim left behind can reach the new attempts. Start and stop are one row that every pool reads
 * with every beat; the published hint only makes the beat come at once. */
#include "jobs/jobs.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "jobs/event.h"
#include "jobs/queue.h"

static enum code why_no_retry(struct ctx *cx, struct jobs *jobs, const char *job_id)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_job_status, DB_ARGS(db_text(job_id)), &r));
    if (db_rows(r) == 0)
        return ctx_fail(cx, CODE_NOT_FOUND, "job \"%s\" does not exist", job_id);
    return ctx_fail(cx, CODE_WRONG_STATE,
                    "job \"%s\" is %s; only failed and cancelled jobs can be retried", job_id,
                    db_get(r, 0, 0));
}

enum code jobs_retry(struct ctx *cx, struct jobs *jobs, const char *job_id)
{
    if (!str_is_uuid(job_id))
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "job_id: \"%.100s\" is not a UUID", job_id);
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_job_retry, DB_ARGS(db_text(job_id)), &r));
    if (db_rows(r) == 0)
        return why_no_retry(cx, jobs, job_id);
    if (!db_is_null(r, 0, 3))
        TRY(db_run(cx, jobs->db, &q_batch_uncount, DB_ARGS(db_text(db_get(r, 0, 3))), NULL));
    queue_put_back(cx, jobs, db_get(r, 0, 0), job_id, db_get_int(r, 0, 2), db_get_int(r, 0, 1));
    return CODE_OK;
}

enum code jobs_want_workers(struct ctx *cx, struct jobs *jobs, const struct workers_wanted *want)
{
    if (want->max_workers == 0 || want->max_workers > 512)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "max_workers: %d is not between 1 and 512",
                        want->max_workers);
    if (want->high_priority_workers > 255 ||
        (want->max_workers > 0 && want->high_priority_workers >= want->max_workers))
        return ctx_fail(cx, CODE_INVALID_ARGUMENT,
                        "high_priority_workers: %d is not below max_workers",
                        want->high_priority_workers);
    TRY(db_run(cx, jobs->db, &q_worker_control_set,
               DB_ARGS(db_bool(want->running), db_bool(want->now),
                       want->max_workers < 0 ? db_null() : db_int(want->max_workers),
                       want->high_priority_workers < 0 ? db_null()
                                                       : db_int(want->high_priority_workers)),
               NULL));
    struct event e = {.kind = EVENT_WORKERS};
    event_publish(cx, jobs, &e);
    return CODE_OK;
}
