/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd_jobs_watch.c - localrag jobs watch ID: follows a job to its end.
 *
 * A bar on a terminal, else a line a change; with --json one event a line as the server sends it,
 * the last one with the terminal state. The exit status follows the job: 1 when it failed or was
 * cancelled. Ctrl-C ends the watching and nothing else. */
#include "client/follow.h"

static int run(struct app *app)
{
    CLEANUP(screen_closep) struct screen *screen = screen_open(app, 1);
    struct follow f = {.job_id = app->args->operands[0], .events = true, .screen = screen};
    Localrag__V1__Job *job = NULL;
    if (!screen)
        return app_fail(app, app->cx, "out of memory");
    int status = follow_job(app, &f, &job);
    return status ? status : follow_report(app, job, f.events, NULL);
}

const struct cmd cmd_jobs_watch = {
    .name = "jobs watch",
    .operands = "ID",
    .help = "follow a job to its end",
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
