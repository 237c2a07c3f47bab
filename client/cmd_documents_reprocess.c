/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd_documents_reprocess.c - localrag documents reprocess ID [--no-wait]
 *
 * The original is read again with today's settings, as a job that is followed like an upload. With
 * --json one line: the answer (--no-wait), the result, or the job that did not complete. */
#include "client/follow.h"
#include "localrag/v1/document.pb-c.h"

static int run(struct app *app)
{
    Localrag__V1__ReprocessDocumentRequest request = LOCALRAG__V1__REPROCESS_DOCUMENT_REQUEST__INIT;
    ProtobufCMessage *m = NULL;
    request.document_id = (char *)app->args->operands[0];
    if (conn_call(app->cx, app->conn, &localrag__v1__document_service__descriptor,
                  "ReprocessDocument", &request.base, &m) != CODE_OK)
        return app_fail(app, app->cx, "could not reprocess document \"%s\"", request.document_id);
    const Localrag__V1__ReprocessDocumentResponse *reply =
        (const Localrag__V1__ReprocessDocumentResponse *)m;
    if (args_has(app->args, "no-wait"))
        return follow_queued(app, m, reply->message, reply->job_id);

    CLEANUP(screen_closep) struct screen *screen = screen_open(app, 1);
    struct follow f = {.job_id = reply->job_id, .known = true, .screen = screen};
    Localrag__V1__Job *job = NULL;
    if (!screen)
        return app_fail(app, app->cx, "out of memory");
    int status = follow_job(app, &f, &job);
    return status ? status : follow_report(app, job, f.events, NULL);
}

static const struct arg_option options[] = {
    {"no-wait", 0, ARG_FLAG, NULL, NULL, "do not wait until the document is read"},
};

const struct cmd cmd_documents_reprocess = {
    .name = "documents reprocess",
    .operands = "ID",
    .help = "read a document again with the settings of today",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
