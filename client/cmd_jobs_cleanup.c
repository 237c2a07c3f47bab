/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd_jobs_cleanup.c - localrag jobs cleanup [--days N]: removes finished jobs that are old.
 *
 * The jobs go, the documents they produced stay. Without --days the server's own default (7) holds;
 * 0 is every finished job. */
#include "client/each.h"
#include "localrag/v1/job.pb-c.h"

static int run(struct app *app)
{
    Localrag__V1__CleanupJobsRequest request = LOCALRAG__V1__CLEANUP_JOBS_REQUEST__INIT;
    ProtobufCMessage *m = NULL;
    if (args_has(app->args, "days")) {
        request._days_old_case = LOCALRAG__V1__CLEANUP_JOBS_REQUEST___DAYS_OLD_DAYS_OLD;
        request.days_old = (int32_t)args_count(app->args, "days", 0);
    }
    if (conn_call(app->cx, app->conn, &localrag__v1__job_service__descriptor, "CleanupJobs",
                  &request.base, &m) != CODE_OK)
        return app_fail(app, app->cx, "could not clean up jobs");
    return each_said(app, m, ((const Localrag__V1__CleanupJobsResponse *)m)->message);
}

static const struct arg_option options[] = {
    {"days", 0, ARG_NUMBER, "N", NULL, "only jobs older than N days (default 7)"},
};

const struct cmd cmd_jobs_cleanup = {
    .name = "jobs cleanup",
    .help = "remove finished jobs that are old",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .run = run,
};
