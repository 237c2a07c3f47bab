/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd_jobs_result.c - localrag jobs result ID: what a completed job produced.
 *
 * A job that is not completed has no result; the server's answer names its state, and the exit
 * status is 4. */
#include "client/app.h"
#include "client/summary.h"

static int run(struct app *app)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    Localrag__V1__GetJobResultRequest request = LOCALRAG__V1__GET_JOB_RESULT_REQUEST__INIT;
    ProtobufCMessage *m = NULL;
    request.job_id = (char *)app->args->operands[0];
    if (conn_call(app->cx, app->conn, &localrag__v1__job_service__descriptor, "GetJobResult",
                  &request.base, &m) != CODE_OK)
        return app_fail(app, app->cx, "could not get the result of job \"%s\"", request.job_id);
    if (app->json) {
        app_json(m);
        return 0;
    }
    const Localrag__V1__GetJobResultResponse *reply = (const Localrag__V1__GetJobResultResponse *)m;
    summary_result(&b, reply->result, app->quiet ? NULL : app->program);
    return app_write(&b) ? 0 : EXIT_OTHER;
}

const struct cmd cmd_jobs_result = {
    .name = "jobs result",
    .operands = "ID",
    .help = "show what a completed job produced",
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
