/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* documents.c - the unary calls of DocumentService; the reading is in jobs/documents.c. */
#include "jobs/jobs.h"
#include "server/ops/ops.h"

enum code op_get_document(struct ctx *cx, struct jobs *jobs, const ProtobufCMessage *in,
                          ProtobufCMessage *out)
{
    return jobs_document(cx, jobs, ((const Localrag__V1__GetDocumentRequest *)in)->document_id,
                         (Localrag__V1__Document *)out);
}

enum code op_list_pages(struct ctx *cx, struct jobs *jobs, const ProtobufCMessage *in,
                        ProtobufCMessage *out)
{
    return jobs_document_pages(cx, jobs, (const Localrag__V1__ListPagesRequest *)in,
                               (Localrag__V1__ListPagesResponse *)out);
}

enum code op_list_chunks(struct ctx *cx, struct jobs *jobs, const ProtobufCMessage *in,
                         ProtobufCMessage *out)
{
    return jobs_document_chunks(cx, jobs, (const Localrag__V1__ListChunksRequest *)in,
                                (Localrag__V1__ListChunksResponse *)out);
}

enum code op_list_documents(struct ctx *cx, struct jobs *jobs, const ProtobufCMessage *in,
                            ProtobufCMessage *out)
{
    return jobs_documents(cx, jobs, (const Localrag__V1__ListDocumentsRequest *)in,
                          (Localrag__V1__ListDocumentsResponse *)out);
}

enum code op_delete_document(struct ctx *cx, struct jobs *jobs, const ProtobufCMessage *in,
                             ProtobufCMessage *out_message)
{
    Localrag__V1__DeleteDocumentResponse *out = (Localrag__V1__DeleteDocumentResponse *)out_message;
    const char *id = ((const Localrag__V1__DeleteDocumentRequest *)in)->document_id;
    TRY(jobs_document_delete(cx, jobs, id));
    out->document_id = ctx_strdup(cx, id);
    out->message = ctx_printf(cx, "Document %s deleted", id);
    return cx->failure.code;
}
