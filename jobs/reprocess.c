/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* reprocess.c - a document that is read again: the submission, and the switch at the end.
 *
 * The job reads the document's original like any other, with today's settings and under a revision
 * of its own, so until its last transaction readers see the old pages and chunks. That transaction
 * locks the document (it may have been deleted meanwhile), points it to the new revision and
 * removes the old one. Two such jobs for one document are harmless: each switches, the later one
 * stays. Languages that the document was sent with are kept; a password is not, so an encrypted
 * document has to be sent again. */
#include "jobs/reprocess.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "jobs/backlog.h"
#include "jobs/event.h"
#include "jobs/queue.h"
#include "jobs/record.h"

enum code jobs_reprocess(struct ctx *cx, struct jobs *jobs, const char *document_id,
                         const char **ret_job_id)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    char *id = ctx_alloc(cx, 37);
    if (!id)
        return cx->failure.code;
    if (!document_id || !str_is_uuid(document_id))
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "document_id: \"%.100s\" is not a UUID",
                        document_id ? document_id : "");
    str_uuid(id);
    TRY(backlog_enter(cx, jobs));
    TRY(db_run(cx, jobs->db, &q_reprocess_insert,
               DB_ARGS(db_text(id), db_text(document_id), db_int(jobs->settings->max_retries)),
               &r));
    if (db_rows(r) == 0)
        return ctx_fail(cx, CODE_NOT_FOUND, "document \"%s\" does not exist", document_id);
    queue_hint(cx, jobs, "medium", id, db_get_int(r, 0, 0));
    struct event e = {.kind = EVENT_STATE, .status = "pending"};
    snprintf(e.job_id, sizeof(e.job_id), "%s", id);
    event_publish(cx, jobs, &e);
    *ret_job_id = id;
    return CODE_OK;
}

/* Another document may take the key between the look and the write: then all of it is done again.
 */
static enum code switch_row(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                            const struct job_document *doc, const char *key,
                            Localrag__V1__DocumentResult *result)
{
    CLEANUP(db_columns_done) struct db_columns c = {0};
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_columns_init(cx, &c, "t"));
    for (size_t i = 0; i < result->n_languages; i++)
        db_put(&c, 0, result->languages[i]);
    enum code code = db_run(cx, jobs->db, &q_document_switch,
                            DB_ARGS(db_text(claim->document_id), db_text(claim->job_id),
                                    db_text(key), db_text(claim->content_hash),
                                    db_int(claim->file_size), db_text(doc->content_type),
                                    db_int(doc->page_count), db_text(doc->title), db_column(&c, 0)),
                            &r);
    if (code == CODE_ALREADY_EXISTS) {
        ctx_clear(cx);
        return ctx_fail(cx, CODE_UNAVAILABLE,
                        "a document with the same bytes is just being stored");
    }
    TRY(code);
    result->chunk_count = (int32_t)db_get_int(r, 0, 0);
    return CODE_OK;
}

enum code reprocess_switch(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                           const struct job_document *doc, const char *key,
                           Localrag__V1__DocumentResult *result)
{
    CLEANUP(db_result_freep) struct db_result *old = NULL;
    TRY(db_run(cx, jobs->db, &q_document_lock, DB_ARGS(db_text(claim->document_id)), &old));
    if (db_rows(old) == 0)
        return ctx_fail(cx, CODE_DOCUMENT_DELETED,
                        "document \"%s\" was deleted while it was read again", claim->document_id);
    TRY(switch_row(cx, jobs, claim, doc, key, result));
    const char *revision = db_get(old, 0, 0);
    TRY(db_run(cx, jobs->db, &q_chunks_delete, DB_ARGS(db_text(revision)), NULL));
    TRY(db_run(cx, jobs->db, &q_pages_delete, DB_ARGS(db_text(revision)), NULL));
    result->document_id = ctx_strdup(cx, claim->document_id);
    return cx->failure.code;
}
