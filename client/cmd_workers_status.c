/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd_workers_status.c - localrag workers status: the background workers, one block each.
 *
 * People's scripts read this layout, so it is fixed to the letter: a heading, 30 equals signs, then
 * for each worker its line, two or three indented ones, and an empty line between workers. What the
 * server has to say beyond that (stopped by request, some are missing) comes below. */
#include "client/app.h"
#include "client/text.h"
#include "client/workers_view.h"

static int run(struct app *app)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    Localrag__V1__GetWorkerHealthRequest request = LOCALRAG__V1__GET_WORKER_HEALTH_REQUEST__INIT;
    ProtobufCMessage *m = NULL;
    if (conn_call(app->cx, app->conn, &localrag__v1__worker_service__descriptor, "GetWorkerHealth",
                  &request.base, &m) != CODE_OK)
        return app_fail(app, app->cx, "could not get the status of the workers");
    if (app->json) {
        app_json(m);
        return 0;
    }
    workers_view(&b, (const Localrag__V1__WorkerHealth *)m);
    return app_write(&b) ? 0 : EXIT_OTHER;
}

const struct cmd cmd_workers_status = {
    .name = "workers status",
    .help = "show the background workers",
    .run = run,
};
