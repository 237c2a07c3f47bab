/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd_jobs_stats.c - localrag jobs stats: the last 24 hours, the queue and the last days. */
#include "client/app.h"
#include "client/stats_view.h"

static int run(struct app *app)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    Localrag__V1__GetJobStatisticsRequest request = LOCALRAG__V1__GET_JOB_STATISTICS_REQUEST__INIT;
    ProtobufCMessage *m = NULL;
    if (conn_call(app->cx, app->conn, &localrag__v1__job_service__descriptor, "GetJobStatistics",
                  &request.base, &m) != CODE_OK)
        return app_fail(app, app->cx, "could not get the statistics");
    if (app->json) {
        app_json(m);
        return 0;
    }
    if (stats_view(app->cx, &b, (const Localrag__V1__JobStatistics *)m) != CODE_OK)
        return app_fail(app, app->cx, "could not show the statistics");
    return app_write(&b) ? 0 : EXIT_OTHER;
}

const struct cmd cmd_jobs_stats = {
    .name = "jobs stats",
    .help = "show counts and times of jobs and the length of the queue",
    .run = run,
};
