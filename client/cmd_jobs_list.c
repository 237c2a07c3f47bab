/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd_jobs_list.c - localrag jobs list: the newest jobs as a table.
 *
 * The document is the last column: the only one that may be cut on a narrow terminal. */
#include <stdio.h>

#include "client/list.h"
#include "client/text.h"
#include "localrag/v1/job.pb-c.h"

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

static enum code page(struct app *app, struct table *t, int32_t limit, const char *token,
                      struct list_page *ret_page)
{
    Localrag__V1__ListJobsRequest request = LOCALRAG__V1__LIST_JOBS_REQUEST__INIT;
    const char *status = args_get(app->args, "status"), *type = args_get(app->args, "type");
    const char *batch = args_get(app->args, "batch");
    ProtobufCMessage *m = NULL;
    request.limit = limit;
    if (token)
        request.page_token = (char *)token;
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
    TRY(conn_call(app->cx, app->conn, &localrag__v1__job_service__descriptor, "ListJobs",
                  &request.base, &m));
    const Localrag__V1__ListJobsResponse *reply = (const Localrag__V1__ListJobsResponse *)m;
    for (size_t i = 0; i < reply->n_jobs; i++) {
        if (app->json)
            app_json(&reply->jobs[i]->base);
        else
            TRY(add_row(app->cx, t, reply->jobs[i]));
    }
    *ret_page = (struct list_page){.n = reply->n_jobs,
                                   .total = reply->total,
                                   .next = reply->next_page_token};
    return CODE_OK;
}

static int run(struct app *app)
{
    static const struct list jobs = {.what = "jobs",
                                     .columns = columns,
                                     .n_columns = ARRAY_LEN(columns),
                                     .page = page};
    return list_run(app, &jobs);
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
