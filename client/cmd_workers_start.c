/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd_workers_start.c - localrag workers start [--max N] [--high N]
 *
 * The wish is the server's to remember, for all hosts and over restarts. An answer of "starting"
 * after the ten seconds the server waits is no failure: the message says how many run. */
#include "client/each.h"
#include "localrag/v1/worker.pb-c.h"

static int run(struct app *app)
{
    Localrag__V1__StartWorkersRequest request = LOCALRAG__V1__START_WORKERS_REQUEST__INIT;
    ProtobufCMessage *m = NULL;
    if (args_has(app->args, "max")) {
        request._max_workers_case = LOCALRAG__V1__START_WORKERS_REQUEST___MAX_WORKERS_MAX_WORKERS;
        request.max_workers = (int32_t)args_count(app->args, "max", 0);
    }
    if (args_has(app->args, "high")) {
        request._high_priority_workers_case =
            LOCALRAG__V1__START_WORKERS_REQUEST___HIGH_PRIORITY_WORKERS_HIGH_PRIORITY_WORKERS;
        request.high_priority_workers = (int32_t)args_count(app->args, "high", 0);
    }
    if (conn_call(app->cx, app->conn, &localrag__v1__worker_service__descriptor, "StartWorkers",
                  &request.base, &m) != CODE_OK)
        return app_fail(app, app->cx, "could not start the workers");
    const Localrag__V1__WorkersResponse *reply = (const Localrag__V1__WorkersResponse *)m;
    return each_said(app, m, ctx_printf(app->cx, "%s: %s", reply->status, reply->message));
}

static const struct arg_option options[] = {
    {"max", 0, ARG_COUNT, "N", NULL, "at most N workers in every pool (default all it has)"},
    {"high", 0, ARG_NUMBER, "N", NULL, "N of them take jobs of high priority only"},
};

const struct cmd cmd_workers_start = {
    .name = "workers start",
    .help = "let the background workers run",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .run = run,
};
