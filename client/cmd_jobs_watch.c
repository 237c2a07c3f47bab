/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd_jobs_watch.c - localrag jobs watch ID: follows a job to its end.
 *
 * A bar on a terminal, else a line a change; with --json one event a line as the server sends it,
 * the last one with the terminal state. The exit status follows the job: 1 when it failed or was
 * cancelled. Ctrl-C ends the watching and nothing else. */
#include <stdio.h>

#include "client/app.h"
#include "client/interrupt.h"
#include "client/screen.h"
#include "client/summary.h"
#include "client/text.h"
#include "client/watch.h"

#include "base/clk.h"

struct view {
    struct app *app;
    struct screen *screen;
    const char *job_id;
    char name[256];
};

static void on_event(void *user, const Localrag__V1__JobEvent *event)
{
    struct view *v = user;
    const Localrag__V1__Job *job = event->job;
    char status[32];
    if (v->app->json) {
        app_json(&event->base);
        return;
    }
    bool named = job->_document_name_case != LOCALRAG__V1__JOB___DOCUMENT_NAME__NOT_SET;
    snprintf(v->name, sizeof(v->name), "%s", named ? job->document_name : v->job_id);
    text_enum(&localrag__v1__job_status__descriptor, job->status, status);
    bool message = !watch_is_end(job->status) && job->progress_message && *job->progress_message;
    screen_update(v->screen, 0, v->name, job->progress, message ? job->progress_message : status);
    screen_draw(v->screen);
}

static void on_away(void *user, const char *why)
{
    struct view *v = user;
    if (!why || v->app->json)
        return;
    screen_update(v->screen, 0, v->name, -1, "The server is away, trying again");
    screen_draw(v->screen);
}

/* The end of a job for people: its result, or its error. */
static int report(struct app *app, const Localrag__V1__Job *job)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    Localrag__V1__GetJobResultRequest request = LOCALRAG__V1__GET_JOB_RESULT_REQUEST__INIT;
    ProtobufCMessage *m = NULL;
    bool completed = job->status == LOCALRAG__V1__JOB_STATUS__JOB_STATUS_COMPLETED;
    request.job_id = job->job_id;
    if (completed && !app->json) {
        if (conn_call(app->cx, app->conn, &localrag__v1__job_service__descriptor, "GetJobResult",
                      &request.base, &m) != CODE_OK)
            return app_fail(app, app->cx, "could not get the result of job \"%s\"", job->job_id);
        summary_result(&b, ((const Localrag__V1__GetJobResultResponse *)m)->result,
                       app->quiet ? NULL : app->program);
    } else if (!completed && !app->json) {
        summary_job(&b, job);
    }
    if (!app_write(&b))
        return EXIT_OTHER;
    return completed ? 0 : EXIT_JOB_FAILED;
}

static int run(struct app *app)
{
    CLEANUP(screen_closep) struct screen *screen = screen_open(app, 1);
    struct view view = {.app = app, .screen = screen, .job_id = app->args->operands[0]};
    struct watch watch = {.job_id = view.job_id,
                          .on_event = on_event,
                          .on_away = on_away,
                          .user = &view};
    Localrag__V1__Job *job = NULL;
    if (!screen)
        return app_fail(app, app->cx, "out of memory");
    snprintf(view.name, sizeof(view.name), "%s", view.job_id);
    int64_t limit = args_ms(app->args, "timeout", 0);
    app->cx->deadline_ms = limit ? clk_mono_ms() + limit : 0;
    enum code code = watch_job(app->cx, app->conn, &watch, &job);
    app->cx->deadline_ms = 0;
    if (code != CODE_OK && interrupt_pending()) {
        fprintf(stderr, "the job goes on; watch it again with: %s jobs watch %s\n", app->program,
                view.job_id);
        return EXIT_INTERRUPTED;
    }
    if (code != CODE_OK)
        return app_fail(app, app->cx, "could not watch job \"%s\"", view.job_id);
    screen_end(screen, 0);
    screen_draw(screen);
    return report(app, job);
}

const struct cmd cmd_jobs_watch = {
    .name = "jobs watch",
    .operands = "ID",
    .help = "follow a job to its end",
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
