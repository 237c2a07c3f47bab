/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd_workers_stop.c - localrag workers stop [--now]
 *
 * Without --now every worker finishes its job first, which may take longer than the server's
 * answer: it then says "stopping", and `workers status` shows when they are gone. */
#include "client/each.h"
#include "localrag/v1/worker.pb-c.h"

static int run(struct app *app)
{
    Localrag__V1__StopWorkersRequest request = LOCALRAG__V1__STOP_WORKERS_REQUEST__INIT;
    ProtobufCMessage *m = NULL;
    request.now = args_has(app->args, "now");
    if (conn_call(app->cx, app->conn, &localrag__v1__worker_service__descriptor, "StopWorkers",
                  &request.base, &m) != CODE_OK)
        return app_fail(app, app->cx, "could not stop the workers");
    const Localrag__V1__WorkersResponse *reply = (const Localrag__V1__WorkersResponse *)m;
    return each_said(app, m, ctx_printf(app->cx, "%s: %s", reply->status, reply->message));
}

static const struct arg_option options[] = {
    {"now", 0, ARG_FLAG, NULL, NULL, "hand running jobs back at once instead of finishing them"},
};

const struct cmd cmd_workers_stop = {
    .name = "workers stop",
    .help = "stop the background workers; waiting jobs stay",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .run = run,
};
