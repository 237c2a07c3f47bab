/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd_jobs_status.c - localrag jobs status ID: every field of one job that has a value.
 *
 * The exit status says whether the question was answered, not how the job is: a failed job is shown
 * with 0. `jobs watch` is the command whose exit status follows the job. */
#include "client/app.h"
#include "client/summary.h"

static int run(struct app *app)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    Localrag__V1__GetJobRequest request = LOCALRAG__V1__GET_JOB_REQUEST__INIT;
    ProtobufCMessage *m = NULL;
    request.job_id = (char *)app->args->operands[0];
    if (conn_call(app->cx, app->conn, &localrag__v1__job_service__descriptor, "GetJob",
                  &request.base, &m) != CODE_OK)
        return app_fail(app, app->cx, "could not show job \"%s\"", request.job_id);
    if (app->json) {
        app_json(m);
        return 0;
    }
    const Localrag__V1__Job *job = (const Localrag__V1__Job *)m;
    summary_job(&b, job);
    if (job->result && !app->quiet)
        summary_field(&b, "next", "%s jobs result %s", app->program, request.job_id);
    return app_write(&b) ? 0 : EXIT_OTHER;
}

const struct cmd cmd_jobs_status = {
    .name = "jobs status",
    .operands = "ID",
    .help = "show one job",
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
