/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* follow.c - one job on the screen (follow.h).
 *
 * What `jobs watch`, `documents reprocess` and `ingest` have in common. A bar on a terminal, else a
 * line a change; Ctrl-C ends the watching and nothing else. The result is asked for when the job
 * has ended, for events do not carry it. */
#include "client/follow.h"

#include <stdio.h>

#include "base/clk.h"
#include "client/interrupt.h"
#include "client/summary.h"
#include "client/text.h"
#include "client/watch.h"

int follow_queued(const struct app *app, const ProtobufCMessage *answer, const char *message,
                  const char *job_id)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    if (app->json) {
        app_json(answer);
        return 0;
    }
    text_safe(&b, message);
    buf_char(&b, '\n');
    summary_field(&b, "job", "%s", job_id);
    if (!app->quiet)
        summary_field(&b, "next", "%s jobs watch %s", app->program, job_id);
    return app_write(&b) ? 0 : EXIT_OTHER;
}

struct view {
    const struct app *app;
    const struct follow *f;
    char name[256];
};

static void on_event(void *user, const Localrag__V1__JobEvent *event)
{
    struct view *v = user;
    const Localrag__V1__Job *job = event->job;
    char status[32];
    if (v->app->json) {
        if (v->f->events)
            app_json(&event->base);
        return;
    }
    bool named = job->_document_name_case != LOCALRAG__V1__JOB___DOCUMENT_NAME__NOT_SET;
    if (!v->f->name && named)
        snprintf(v->name, sizeof(v->name), "%s", job->document_name);
    text_enum(&localrag__v1__job_status__descriptor, job->status, status);
    bool message = !watch_is_end(job->status) && job->progress_message && *job->progress_message;
    screen_update(v->f->screen, 0, v->name, job->progress,
                  message ? job->progress_message : status);
    screen_draw(v->f->screen);
}

static void on_away(void *user, const char *why)
{
    struct view *v = user;
    if (!why || v->app->json)
        return;
    screen_update(v->f->screen, 0, v->name, -1, "The server is away, trying again");
    screen_draw(v->f->screen);
}

int follow_job(struct app *app, const struct follow *f, Localrag__V1__Job **ret_job)
{
    struct view view = {.app = app, .f = f};
    struct watch watch = {.job_id = f->job_id,
                          .on_event = on_event,
                          .on_away = on_away,
                          .user = &view,
                          .known = f->known};
    snprintf(view.name, sizeof(view.name), "%s", f->name ? f->name : f->job_id);
    int64_t limit = args_ms(app->args, "timeout", 0);
    app->cx->deadline_ms = limit ? clk_mono_ms() + limit : 0;
    enum code code = watch_job(app->cx, app->conn, &watch, ret_job);
    app->cx->deadline_ms = 0;
    if (code != CODE_OK && interrupt_pending()) {
        fprintf(stderr, "the job goes on; watch it again with: %s jobs watch %s\n", app->program,
                f->job_id);
        return EXIT_INTERRUPTED;
    }
    if (code != CODE_OK)
        return app_fail(app, app->cx, "could not watch job \"%s\"", f->job_id);
    screen_end(f->screen, 0);
    screen_draw(f->screen);
    return 0;
}

int follow_report(struct app *app, const Localrag__V1__Job *job, bool events,
                  const Localrag__V1__JobResult **ret_result)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    Localrag__V1__GetJobResultRequest request = LOCALRAG__V1__GET_JOB_RESULT_REQUEST__INIT;
    ProtobufCMessage *m = NULL;
    bool completed = job->status == LOCALRAG__V1__JOB_STATUS__JOB_STATUS_COMPLETED;
    request.job_id = job->job_id;
    if (completed && !(app->json && events)) {
        if (conn_call(app->cx, app->conn, &localrag__v1__job_service__descriptor, "GetJobResult",
                      &request.base, &m) != CODE_OK)
            return app_fail(app, app->cx, "could not get the result of job \"%s\"", job->job_id);
        const Localrag__V1__JobResult *result =
            ((const Localrag__V1__GetJobResultResponse *)m)->result;
        if (ret_result)
            *ret_result = result;
        if (app->json)
            app_json(m);
        else
            summary_result(&b, result, app->quiet ? NULL : app->program);
    } else if (!completed && !app->json) {
        summary_job(&b, job);
    } else if (!completed && !events) {
        app_json(&job->base);
    }
    if (!app_write(&b))
        return EXIT_OTHER;
    return completed ? 0 : EXIT_JOB_FAILED;
}
