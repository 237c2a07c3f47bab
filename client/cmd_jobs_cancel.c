/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd_jobs_cancel.c - localrag jobs cancel ID...: cancels jobs, one after another.
 *
 * A job that cannot be cancelled does not keep the others from it; the exit status is that of the
 * first that failed. Each has a unit of work of its own, so that each says its own reason. */
#include "client/app.h"
#include "client/interrupt.h"
#include "client/text.h"
#include "localrag/v1/job.pb-c.h"

static int cancel(const struct app *app, struct ctx *cx, const char *job_id)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    Localrag__V1__CancelJobRequest request = LOCALRAG__V1__CANCEL_JOB_REQUEST__INIT;
    ProtobufCMessage *m = NULL;
    request.job_id = (char *)job_id;
    if (conn_call(cx, app->conn, &localrag__v1__job_service__descriptor, "CancelJob", &request.base,
                  &m) != CODE_OK)
        return app_fail(app, cx, "could not cancel job \"%s\"", job_id);
    if (app->json) {
        app_json(m);
        return 0;
    }
    text_safe(&b, ((const Localrag__V1__CancelJobResponse *)m)->message);
    buf_char(&b, '\n');
    return app->quiet || app_write(&b) ? 0 : EXIT_OTHER;
}

static int run(struct app *app)
{
    int status = 0;
    for (size_t i = 0; i < app->args->n_operands && !interrupt_pending(); i++) {
        struct ctx cx;
        ctx_init(&cx, CTX_DEFAULT_LIMIT);
        int one = cancel(app, &cx, app->args->operands[i]);
        status = status ? status : one;
        ctx_done(&cx);
    }
    return interrupt_pending() ? EXIT_INTERRUPTED : status;
}

const struct cmd cmd_jobs_cancel = {
    .name = "jobs cancel",
    .operands = "ID...",
    .help = "cancel jobs that have not ended",
    .min_operands = 1,
    .max_operands = CMD_ANY,
    .run = run,
};
