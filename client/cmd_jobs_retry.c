/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd_jobs_retry.c - localrag jobs retry ID... and jobs retry --failed.
 *
 * --failed goes through the list of failed jobs, newest first, an answer at a time. The server's
 * page token says where the list was, not how many were shown, so jobs that leave the list while we
 * go through it move nothing, and one that fails again at once is not met twice. Files of a
 * directory batch are not in that list: their batch is, when it failed. A job that somebody else
 * retried between the list and us is no failure of ours. */
#include "client/each.h"
#include "client/interrupt.h"
#include "localrag/v1/job.pb-c.h"

#include <stdio.h>
#include <string.h>

enum { JOBS_AT_ONCE = 200, TOKEN_BYTES = 1024 };

struct sweep {
    int64_t retried;
    int status; /* of the first that failed */
    char token[TOKEN_BYTES];
};

static enum code call(const struct app *app, struct ctx *cx, const char *job_id,
                      const Localrag__V1__RetryJobResponse **ret_reply)
{
    Localrag__V1__RetryJobRequest request = LOCALRAG__V1__RETRY_JOB_REQUEST__INIT;
    ProtobufCMessage *m = NULL;
    request.job_id = (char *)job_id;
    TRY(conn_call(cx, app->conn, &localrag__v1__job_service__descriptor, "RetryJob", &request.base,
                  &m));
    *ret_reply = (const Localrag__V1__RetryJobResponse *)m;
    return CODE_OK;
}

static int retry(const struct app *app, struct ctx *cx, const char *job_id)
{
    const Localrag__V1__RetryJobResponse *reply = NULL;
    if (call(app, cx, job_id, &reply) != CODE_OK)
        return app_fail(app, cx, "could not retry job \"%s\"", job_id);
    return each_said(app, &reply->base, reply->message);
}

/* Retries the jobs of one answer; true when there are more. */
static bool sweep_some(const struct app *app, struct ctx *cx, struct sweep *s)
{
    Localrag__V1__ListJobsRequest request = LOCALRAG__V1__LIST_JOBS_REQUEST__INIT;
    ProtobufCMessage *m = NULL;
    request.status = LOCALRAG__V1__JOB_STATUS__JOB_STATUS_FAILED;
    request.limit = JOBS_AT_ONCE;
    request.page_token = s->token;
    if (conn_call(cx, app->conn, &localrag__v1__job_service__descriptor, "ListJobs", &request.base,
                  &m) != CODE_OK) {
        s->status = app_fail(app, cx, "could not list the failed jobs");
        return false;
    }
    const Localrag__V1__ListJobsResponse *jobs = (const Localrag__V1__ListJobsResponse *)m;
    for (size_t i = 0; i < jobs->n_jobs && !interrupt_pending(); i++) {
        const Localrag__V1__RetryJobResponse *reply = NULL;
        enum code code = call(app, cx, jobs->jobs[i]->job_id, &reply);
        int one = 0;
        if (code == CODE_OK)
            one = each_said(app, &reply->base, reply->message);
        else if (code != CODE_WRONG_STATE && code != CODE_NOT_FOUND)
            one = app_fail(app, cx, "could not retry job \"%s\"", jobs->jobs[i]->job_id);
        s->retried += code == CODE_OK;
        s->status = s->status ? s->status : one;
        ctx_clear(cx);
        if (conn_unreachable(app->conn))
            return false;
    }
    if (strlen(jobs->next_page_token) >= sizeof(s->token))
        return false;
    snprintf(s->token, sizeof(s->token), "%s", jobs->next_page_token);
    return jobs->n_jobs && *s->token;
}

static int retry_failed(const struct app *app)
{
    struct sweep s = {0};
    bool more = true;
    while (more && !interrupt_pending()) {
        struct ctx cx;
        ctx_init(&cx, CTX_DEFAULT_LIMIT);
        more = sweep_some(app, &cx, &s);
        ctx_done(&cx);
    }
    if (!app->quiet && !app->json && !interrupt_pending())
        fprintf(stderr, "%lld failed job%s queued again\n", (long long)s.retried,
                s.retried == 1 ? "" : "s");
    return interrupt_pending() ? EXIT_INTERRUPTED : s.status;
}

static int run(struct app *app)
{
    bool failed = args_has(app->args, "failed");
    if (failed && app->args->n_operands)
        return app_usage(app, "give either ids or --failed, not both");
    if (!failed && !app->args->n_operands)
        return app_usage(app, "\"jobs retry\" needs ID... or --failed");
    return failed ? retry_failed(app) : each_operand(app, retry);
}

static const struct arg_option options[] = {
    {"failed", 0, ARG_FLAG, NULL, NULL, "all failed jobs instead of single ones"},
};

const struct cmd cmd_jobs_retry = {
    .name = "jobs retry",
    .operands = "[ID]...",
    .help = "queue failed or cancelled jobs again",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .max_operands = CMD_ANY,
    .run = run,
};
