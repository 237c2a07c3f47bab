/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd_documents_show.c - localrag documents show ID: what is known about one document.
 *
 * The metadata that was given with the upload is shown as JSON, because that is what it is. Pages,
 * chunks and text have commands of their own. */
#include "base/pbjson.h"
#include "client/app.h"
#include "client/summary.h"

static int run(struct app *app)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    CLEANUP(buf_done) struct buf metadata = BUF_INIT(0);
    Localrag__V1__GetDocumentRequest request = LOCALRAG__V1__GET_DOCUMENT_REQUEST__INIT;
    ProtobufCMessage *m = NULL;
    request.document_id = (char *)app->args->operands[0];
    if (conn_call(app->cx, app->conn, &localrag__v1__document_service__descriptor, "GetDocument",
                  &request.base, &m) != CODE_OK)
        return app_fail(app, app->cx, "could not show document \"%s\"", request.document_id);
    if (app->json) {
        app_json(m);
        return 0;
    }
    const Localrag__V1__Document *document = (const Localrag__V1__Document *)m;
    summary_document(&b, document);
    if (document->metadata && document->metadata->n_fields) {
        pbjson_write(&metadata, &document->metadata->base);
        summary_field(&b, "metadata", "%s", buf_cstr(&metadata));
    }
    return app_write(&b) ? 0 : EXIT_OTHER;
}

const struct cmd cmd_documents_show = {
    .name = "documents show",
    .operands = "ID",
    .help = "show one document",
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
