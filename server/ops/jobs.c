/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* jobs.c - the unary calls of JobService.
 *
 * Each is a translation between a request message and jobs/; whatever can go wrong is said there.
 * The progress call has one rule of its own: in a terminal state it answers exactly 100, so that a
 * client that polls for 100 always ends. */
#include "jobs/jobs.h"
#include "jobs/record.h"
#include "jobs/state.h"
#include "server/ops/ops.h"

enum code op_get_job(struct ctx *cx, struct jobs *jobs, const ProtobufCMessage *in,
                     ProtobufCMessage *out)
{
    Localrag__V1__Job *job;
    TRY(jobs_get(cx, jobs, ((const Localrag__V1__GetJobRequest *)in)->job_id, &job));
    *(Localrag__V1__Job *)out = *job;
    return CODE_OK;
}

enum code op_get_job_progress(struct ctx *cx, struct jobs *jobs, const ProtobufCMessage *in,
                              ProtobufCMessage *out_message)
{
    Localrag__V1__JobProgress *out = (Localrag__V1__JobProgress *)out_message;
    Localrag__V1__Job *job;
    double updated;
    const char *id = ((const Localrag__V1__GetJobProgressRequest *)in)->job_id;
    TRY(jobs_get_progress(cx, jobs, id, &job, &updated));
    bool ended = state_is_terminal(job->status);
    out->job_id = job->job_id;
    out->status = job->status;
    out->progress = ended ? 100 : job->progress;
    out->message = job->progress_message;
    if (job->status == LOCALRAG__V1__JOB_STATUS__JOB_STATUS_FAILED)
        out->message =
            ctx_printf(cx, "Failed: %s", job->error_message ? job->error_message : "unknown");
    out->updated_at = record_time(cx, updated);
    out->pages_done = job->pages_done;
    out->pages_total = job->pages_total;
    return cx->failure.code;
}

enum code op_get_job_result(struct ctx *cx, struct jobs *jobs, const ProtobufCMessage *in,
                            ProtobufCMessage *out_message)
{
    Localrag__V1__GetJobResultResponse *out = (Localrag__V1__GetJobResultResponse *)out_message;
    Localrag__V1__Job *job;
    TRY(jobs_get(cx, jobs, ((const Localrag__V1__GetJobResultRequest *)in)->job_id, &job));
    if (job->status == LOCALRAG__V1__JOB_STATUS__JOB_STATUS_FAILED)
        return ctx_fail(cx, CODE_WRONG_STATE, "job \"%s\" is failed (%s): %s", job->job_id,
                        job->error_code, job->error_message);
    if (job->status != LOCALRAG__V1__JOB_STATUS__JOB_STATUS_COMPLETED)
        return ctx_fail(cx, CODE_WRONG_STATE, "job \"%s\" is %s and has no result%s", job->job_id,
                        state_name(job->status), state_is_terminal(job->status) ? "" : " yet");
    out->job_id = job->job_id;
    out->status = job->status;
    out->completed_at = job->completed_at;
    out->result = job->result;
    return CODE_OK;
}

enum code op_list_jobs(struct ctx *cx, struct jobs *jobs, const ProtobufCMessage *in,
                       ProtobufCMessage *out)
{
    return jobs_list(cx, jobs, (const Localrag__V1__ListJobsRequest *)in,
                     (Localrag__V1__ListJobsResponse *)out);
}

enum code op_cancel_job(struct ctx *cx, struct jobs *jobs, const ProtobufCMessage *in,
                        ProtobufCMessage *out_message)
{
    Localrag__V1__CancelJobResponse *out = (Localrag__V1__CancelJobResponse *)out_message;
    const char *id = ((const Localrag__V1__CancelJobRequest *)in)->job_id;
    TRY(jobs_cancel(cx, jobs, id));
    out->job_id = ctx_strdup(cx, id);
    out->status = LOCALRAG__V1__JOB_STATUS__JOB_STATUS_CANCELLED;
    out->message = ctx_printf(cx, "Job %s cancelled successfully", id);
    return cx->failure.code;
}
