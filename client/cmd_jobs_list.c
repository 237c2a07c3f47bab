/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd_jobs_list.c - localrag jobs list: the newest jobs as a table.
 *
 * The server gives at most PAGE_MOST jobs an answer, so a larger --limit is read page by page, each
 * from the token of the one before. With --json one job a line, printed as it comes. The document
 * is the last column: the only one that may be cut on a narrow terminal. */
#include <stdio.h>
#include <string.h>

#include "client/app.h"
#include "client/table.h"
#include "client/text.h"
#include "localrag/v1/job.pb-c.h"

enum { PAGE_MOST = 200, DEFAULT_LIMIT = 50 };

static const struct table_column columns[] = {
    {"ID", false},      {"STATUS", false},  {"TYPE", false},
    {"PROGRESS", true}, {"CREATED", false}, {"DOCUMENT", false},
};

static enum code add_row(struct ctx *cx, struct table *t, const Localrag__V1__Job *job)
{
    char status[32], type[32], created[32], progress[32];
    text_enum(&localrag__v1__job_status__descriptor, job->status, status);
    text_enum(&localrag__v1__task_type__descriptor, job->task_type, type);
    text_time(job->created_at, created);
    snprintf(progress, sizeof(progress), "%.0f %%", job->progress);
    bool named = job->_document_name_case != LOCALRAG__V1__JOB___DOCUMENT_NAME__NOT_SET;
    const char *cells[] = {job->job_id, status,  type,
                           progress,    created, named ? job->document_name : NULL};
    return table_row(cx, t, cells);
}

static enum code list(struct app *app, struct table *t, int64_t limit, int64_t *ret_total)
{
    Localrag__V1__ListJobsRequest request = LOCALRAG__V1__LIST_JOBS_REQUEST__INIT;
    const char *status = args_get(app->args, "status"), *type = args_get(app->args, "type");
    const char *batch = args_get(app->args, "batch");
    if (status)
        request.status =
            (Localrag__V1__JobStatus)text_enum_value(&localrag__v1__job_status__descriptor, status);
    if (type)
        request.task_type =
            (Localrag__V1__TaskType)text_enum_value(&localrag__v1__task_type__descriptor, type);
    if (batch) {
        request.parent_job_id = (char *)batch;
        request.include_children = true;
    }
    for (int64_t left = limit; left > 0;) {
        ProtobufCMessage *m = NULL;
        request.limit = (int32_t)MIN(left, PAGE_MOST);
        TRY(conn_call(app->cx, app->conn, &localrag__v1__job_service__descriptor, "ListJobs",
                      &request.base, &m));
        const Localrag__V1__ListJobsResponse *reply = (const Localrag__V1__ListJobsResponse *)m;
        for (size_t i = 0; i < reply->n_jobs; i++) {
            if (app->json)
                app_json(&reply->jobs[i]->base);
            else
                TRY(add_row(app->cx, t, reply->jobs[i]));
        }
        left -= (int64_t)reply->n_jobs;
        *ret_total = reply->total;
        if (!reply->n_jobs || !*reply->next_page_token)
            break;
        request.page_token = reply->next_page_token;
    }
    return CODE_OK;
}

static int run(struct app *app)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    struct table t = {.columns = columns, .n_columns = ARRAY_LEN(columns)};
    int64_t total = 0;
    if (list(app, &t, args_count(app->args, "limit", DEFAULT_LIMIT), &total) != CODE_OK)
        return app_fail(app, app->cx, "could not list jobs");
    if (app->json)
        return 0;
    int64_t shown = (int64_t)(t.n_cells / t.n_columns);
    if (shown || !app->quiet)
        table_print(&b, &t, app_columns(app));
    if (!app_write(&b))
        return EXIT_OTHER;
    if (!app->quiet && shown < total)
        fprintf(stderr, "%lld of %lld jobs; --limit shows more\n", (long long)shown,
                (long long)total);
    return 0;
}

static const struct arg_option options[] = {
    {"batch", 0, ARG_TEXT, "ID", NULL, "only the files of this directory batch"},
    {"limit", 0, ARG_COUNT, "N", NULL, "at most N jobs (default 50)"},
    {"status", 0, ARG_CHOICE, NULL, "pending|processing|completed|failed|cancelled|retrying",
     "only jobs in this state"},
    {"type", 0, ARG_CHOICE, NULL, "single_document|directory_batch|document_reprocess|maintenance",
     "only jobs of this type"},
};

const struct cmd cmd_jobs_list = {
    .name = "jobs list",
    .help = "list the newest jobs",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .run = run,
};
