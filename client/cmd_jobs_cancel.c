/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd_jobs_cancel.c - localrag jobs cancel ID...: cancels jobs, one after another.
 *
 * A job that cannot be cancelled does not keep the others from it (each.h). */
#include "client/each.h"
#include "localrag/v1/job.pb-c.h"

static int cancel(const struct app *app, struct ctx *cx, const char *job_id)
{
    Localrag__V1__CancelJobRequest request = LOCALRAG__V1__CANCEL_JOB_REQUEST__INIT;
    ProtobufCMessage *m = NULL;
    request.job_id = (char *)job_id;
    if (conn_call(cx, app->conn, &localrag__v1__job_service__descriptor, "CancelJob", &request.base,
                  &m) != CODE_OK)
        return app_fail(app, cx, "could not cancel job \"%s\"", job_id);
    return each_said(app, m, ((const Localrag__V1__CancelJobResponse *)m)->message);
}

static int run(struct app *app)
{
    return each_operand(app, cancel);
}

const struct cmd cmd_jobs_cancel = {
    .name = "jobs cancel",
    .operands = "ID...",
    .help = "cancel jobs that have not ended",
    .min_operands = 1,
    .max_operands = CMD_ANY,
    .run = run,
};
