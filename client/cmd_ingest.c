/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd_ingest.c - localrag ingest DIR: every document of a directory that the server can see.
 *
 * DIR goes to the server as it was written: it names a place there, which need not exist here. The
 * batch is one bar that counts files; on a terminal the files in work have bars of their own below
 * it (ingest_files.h). At the end the numbers, and each file that failed with its reason.
 *
 * A batch completes even when files in it fail, so the exit status looks at them: 0 only if every
 * file was read or skipped. With --json one line: the answer (--no-wait), the result, or the job.
 */
#include <stdio.h>
#include <string.h>

#include "client/follow.h"
#include "client/ingest_files.h"
#include "localrag/v1/ingest.pb-c.h"

static enum code request_of(struct app *app, Localrag__V1__IngestDirectoryRequest *request)
{
    const struct args *args = app->args;
    request->directory_path = (char *)args->operands[0];
    request->file_patterns = ctx_array(app->cx, args->n_values + 1, sizeof(char *));
    if (!request->file_patterns)
        return ctx_oom(app->cx);
    for (size_t i = 0; i < args->n_values; i++)
        if (strcmp(args->values[i].option->name, "pattern") == 0)
            request->file_patterns[request->n_file_patterns++] = (char *)args->values[i].text;
    if (args_has(args, "no-recursive")) {
        request->_recursive_case = LOCALRAG__V1__INGEST_DIRECTORY_REQUEST___RECURSIVE_RECURSIVE;
        request->recursive = false;
    }
    return CODE_OK;
}

static int follow(struct app *app, const Localrag__V1__IngestDirectoryResponse *reply)
{
    CLEANUP(screen_closep) struct screen *screen = screen_open(app, 1 + INGEST_FILES_MOST);
    struct follow f = {.job_id = reply->job_id, .known = true, .screen = screen};
    Localrag__V1__Job *job = NULL;
    const Localrag__V1__JobResult *result = NULL;
    struct ingest_files *files = NULL;
    if (!screen)
        return app_fail(app, app->cx, "out of memory");
    if (app->tty && !app->json && !app->quiet)
        files = ingest_files_start(app->conn, reply->job_id, screen, 1);
    int status = follow_job(app, &f, &job);
    ingest_files_stopp(&files);
    if (status)
        return status;
    status = follow_report(app, job, f.events, &result);
    if (!app->quiet && !app->json && job->status != LOCALRAG__V1__JOB_STATUS__JOB_STATUS_COMPLETED)
        fprintf(stderr, "its files: %s jobs list --batch %s\n", app->program, reply->job_id);
    bool lost = result && result->kind_case == LOCALRAG__V1__JOB_RESULT__KIND_DIRECTORY &&
                result->directory->failed + result->directory->cancelled > 0;
    return status == 0 && lost ? EXIT_JOB_FAILED : status;
}

static int run(struct app *app)
{
    Localrag__V1__IngestDirectoryRequest request = LOCALRAG__V1__INGEST_DIRECTORY_REQUEST__INIT;
    ProtobufCMessage *m = NULL;
    if (request_of(app, &request) != CODE_OK ||
        conn_call(app->cx, app->conn, &localrag__v1__ingest_directory_service__descriptor,
                  "IngestDirectory", &request.base, &m) != CODE_OK)
        return app_fail(app, app->cx, "could not ingest directory \"%s\"", app->args->operands[0]);
    const Localrag__V1__IngestDirectoryResponse *reply =
        (const Localrag__V1__IngestDirectoryResponse *)m;
    if (args_has(app->args, "no-wait"))
        return follow_queued(app, m, reply->message, reply->job_id);
    return follow(app, reply);
}

static const struct arg_option options[] = {
    {"no-recursive", 0, ARG_FLAG, NULL, NULL, "leave out the directories in it"},
    {"no-wait", 0, ARG_FLAG, NULL, NULL, "do not wait until the documents are read"},
    {"pattern", 0, ARG_TEXT, "GLOB", NULL,
     "only files with such names, as *.pdf; may be given several times"},
};

const struct cmd cmd_ingest = {
    .name = "ingest",
    .operands = "DIR",
    .help = "read all documents of a directory that the server sees, below INGEST_ROOTS",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
