/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* control.c - the calls that change jobs from outside: retry, clean up; and their statistics. */
#include "jobs/jobs.h"
#include "server/ops/ops.h"

enum { DEFAULT_DAYS = 7 };

enum code op_retry_job(struct ctx *cx, struct jobs *jobs, const ProtobufCMessage *in,
                       ProtobufCMessage *out_message)
{
    Localrag__V1__RetryJobResponse *out = (Localrag__V1__RetryJobResponse *)out_message;
    const char *id = ((const Localrag__V1__RetryJobRequest *)in)->job_id;
    TRY(jobs_retry(cx, jobs, id));
    out->job_id = ctx_strdup(cx, id);
    out->status = LOCALRAG__V1__JOB_STATUS__JOB_STATUS_PENDING;
    out->message = ctx_printf(cx, "Job %s queued for retry", id);
    return cx->failure.code;
}

enum code op_cleanup_jobs(struct ctx *cx, struct jobs *jobs, const ProtobufCMessage *in_message,
                          ProtobufCMessage *out_message)
{
    Localrag__V1__CleanupJobsResponse *out = (Localrag__V1__CleanupJobsResponse *)out_message;
    const Localrag__V1__CleanupJobsRequest *in =
        (const Localrag__V1__CleanupJobsRequest *)in_message;
    int days = in->_days_old_case ? in->days_old : DEFAULT_DAYS;
    TRY(jobs_cleanup(cx, jobs, days, &out->deleted));
    out->message =
        ctx_printf(cx, "Cleaned up %lld jobs older than %d days", (long long)out->deleted, days);
    return cx->failure.code;
}

enum code op_get_job_statistics(struct ctx *cx, struct jobs *jobs, const ProtobufCMessage *in,
                                ProtobufCMessage *out)
{
    (void)in;
    return jobs_statistics(cx, jobs, (Localrag__V1__JobStatistics *)out);
}
