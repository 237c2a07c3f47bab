/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd_documents_delete.c - localrag documents delete ID...: removes documents with all they have.
 *
 * There is no question and no way back: the id is long enough not to be typed by accident. */
#include "client/each.h"
#include "localrag/v1/document.pb-c.h"

static int delete_one(const struct app *app, struct ctx *cx, const char *document_id)
{
    Localrag__V1__DeleteDocumentRequest request = LOCALRAG__V1__DELETE_DOCUMENT_REQUEST__INIT;
    ProtobufCMessage *m = NULL;
    request.document_id = (char *)document_id;
    if (conn_call(cx, app->conn, &localrag__v1__document_service__descriptor, "DeleteDocument",
                  &request.base, &m) != CODE_OK)
        return app_fail(app, cx, "could not delete document \"%s\"", document_id);
    return each_said(app, m, ((const Localrag__V1__DeleteDocumentResponse *)m)->message);
}

static int run(struct app *app)
{
    return each_operand(app, delete_one);
}

const struct cmd cmd_documents_delete = {
    .name = "documents delete",
    .operands = "ID...",
    .help = "remove documents with their pages, chunks and originals",
    .min_operands = 1,
    .max_operands = CMD_ANY,
    .run = run,
};
