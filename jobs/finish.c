/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* finish.c - page checkpoints, and the one transaction that ends a document job.
 *
 * Pages are rows under the job's id while it reads: after a crash the next attempt asks only for
 * the missing ones. Readers do not see them, because no document points to them yet. The finish
 * locks the job row under its fence, writes the chunks, then the document that points to pages and
 * chunks, then `completed`, all in one transaction: either everybody sees all of it or the attempt
 * never was.
 *
 * A file of a directory batch moves its batch in the same transaction (batch.h); a reprocessing
 * switches its document instead of adding one (reprocess.h).
 *
 * Two jobs with the same bytes and settings race for the unique dedupe key; the second finds no row
 * inserted and completes as a duplicate of the first. */
#include "jobs/jobs.h"

#include <stdio.h>
#include <string.h>

#include "base/pbjson.h"
#include "base/str.h"
#include "jobs/batch.h"
#include "jobs/complete.h"
#include "jobs/record.h"
#include "jobs/reprocess.h"
#include "store/crypt.h"

static enum code lost(struct ctx *cx, const struct job_claim *claim)
{
    return ctx_fail(cx, CODE_CLAIM_LOST, "job \"%s\" is not this worker's any more", claim->job_id);
}

/* ---- checkpoints ---- */

enum code jobs_save_pages(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                          const struct job_page *pages, int n)
{
    CLEANUP(db_columns_done) struct db_columns c = {0};
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_columns_init(cx, &c,
                        "ittttt"
                        "d"
                        "i"
                        "dd"
                        "ii"
                        "b"));
    for (int i = 0; i < n; i++) {
        const struct job_page *p = &pages[i];
        db_put_int(&c, 0, p->page);
        db_put(&c, 1, p->label);
        db_put(&c, 2, p->engine);
        db_put(&c, 3, p->reason ? p->reason : "");
        db_put(&c, 4, p->error);
        db_put(&c, 5, p->text ? p->text : "");
        p->confidence < 0 ? db_put_null(&c, 6) : db_put_double(&c, 6, p->confidence);
        db_put_int(&c, 7, p->char_count);
        db_put_double(&c, 8, p->width);
        db_put_double(&c, 9, p->height);
        db_put_int(&c, 10, p->rotation);
        db_put_int(&c, 11, p->ms);
        db_put_bytes(&c, 12, p->layout, p->layout_len);
    }
    TRY(db_run(cx, jobs->db, &q_pages_save,
               DB_ARGS(db_text(claim->job_id), db_int(claim->epoch), db_column(&c, 0),
                       db_column(&c, 1), db_column(&c, 2), db_column(&c, 3), db_column(&c, 4),
                       db_column(&c, 5), db_column(&c, 6), db_column(&c, 7), db_column(&c, 8),
                       db_column(&c, 9), db_column(&c, 10), db_column(&c, 11), db_column(&c, 12)),
               &r));
    return db_get_int(r, 0, 0) ? CODE_OK : lost(cx, claim);
}

enum code jobs_known_pages(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim, int n,
                           const char **ret_engine)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_pages_known, DB_ARGS(db_text(claim->job_id)), &r));
    for (int i = 0; i < db_rows(r); i++) {
        int64_t page = db_get_int(r, i, 0);
        if (page >= 1 && page <= n && !(ret_engine[page - 1] = record_text(cx, r, i, 1)))
            return cx->failure.code;
    }
    return CODE_OK;
}

enum code jobs_identified(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_job_identify,
               DB_ARGS(db_text(claim->job_id), db_int(claim->epoch), db_text(claim->content_hash),
                       db_int(claim->file_size), db_text(claim->content_type)),
               &r));
    if (db_rows(r) == 0)
        return lost(cx, claim);
    const char *before = db_get(r, 0, 0);
    if (!before || strcmp(before, claim->content_hash) == 0)
        return CODE_OK;
    return db_run(cx, jobs->db, &q_pages_delete, DB_ARGS(db_text(claim->job_id)), NULL);
}

/* ---- the finishing transaction ---- */

enum code jobs_finish_begin(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_begin(cx, jobs->db));
    TRY(db_run(cx, jobs->db, &q_job_lock, DB_ARGS(db_text(claim->job_id), db_int(claim->epoch)),
               &r));
    if (db_rows(r) == 0)
        return lost(cx, claim);
    /* A finish that rolled back after its chunks leaves none; one from an older revision might. */
    return db_run(cx, jobs->db, &q_chunks_delete, DB_ARGS(db_text(claim->job_id)), NULL);
}

void jobs_finish_abort(struct jobs *jobs)
{
    db_rollback(jobs->db);
}

enum code jobs_finish_read_pages(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                                 int after_page, int max, struct job_page *ret_pages, int *ret_n)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_pages_read,
               DB_ARGS(db_text(claim->job_id), db_int(after_page), db_int(max)), &r));
    for (int i = 0; i < db_rows(r); i++) {
        struct job_page *p = &ret_pages[i];
        *p = (struct job_page){.page = (int)db_get_int(r, i, 0),
                               .text = record_text(cx, r, i, 1),
                               .engine = record_text(cx, r, i, 3)};
        TRY(db_get_bytes(cx, r, i, 2, &p->layout, &p->layout_len));
        if (!p->text || !p->engine)
            return cx->failure.code;
    }
    *ret_n = db_rows(r);
    return CODE_OK;
}

enum code jobs_finish_add_chunks(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                                 const struct job_chunk *chunks, int n)
{
    CLEANUP(db_columns_done) struct db_columns c = {0};
    TRY(db_columns_init(cx, &c, "itiitti"));
    for (int i = 0; i < n; i++) {
        db_put_int(&c, 0, chunks[i].index);
        db_put(&c, 1, chunks[i].content);
        db_put_int(&c, 2, chunks[i].page_start);
        db_put_int(&c, 3, chunks[i].page_end);
        db_put(&c, 4, chunks[i].spans_json);
        db_put(&c, 5, chunks[i].heading_path_json);
        db_put_int(&c, 6, chunks[i].token_count);
    }
    return db_run(cx, jobs->db, &q_chunks_add,
                  DB_ARGS(db_text(claim->job_id), db_column(&c, 0), db_column(&c, 1),
                          db_column(&c, 2), db_column(&c, 3), db_column(&c, 4), db_column(&c, 5),
                          db_column(&c, 6)),
                  NULL);
}

/* What must be equal for two runs to give the same document. NULL: duplicates are not looked for.
 */
static enum code dedupe_key(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                            const char **ret_key)
{
    const struct settings *s = jobs->settings;
    *ret_key = NULL;
    if (!s->duplicate_detection || !claim->content_hash)
        return CODE_OK;
    CLEANUP(buf_done) struct buf b = BUF_INIT(64 * 1024);
    buf_printf(&b, "1\n%s\n%d %lld %.3f %lld %lld\n", claim->content_hash, s->ocr_enabled,
               (long long)s->ocr_dpi, s->ocr_confidence, (long long)s->chunk_size,
               (long long)s->chunk_overlap);
    for (char **l = claim->languages && *claim->languages ? claim->languages : s->ocr_languages; *l;
         l++)
        buf_printf(&b, "%s\n", *l);
    char *hex = ctx_alloc(cx, 65);
    if (!hex || buf_failed(&b))
        return ctx_oom(cx);
    TRY(digest_text(cx, buf_cstr(&b), hex));
    *ret_key = hex;
    return CODE_OK;
}

/* ---- the result ---- */

static enum code add_engines(struct ctx *cx, struct jobs *jobs, const char *revision,
                             Localrag__V1__DocumentResult *out, int64_t *ret_failed)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    double sum = 0;
    int64_t read = 0;
    *ret_failed = 0;
    TRY(db_run(cx, jobs->db, &q_pages_summary, DB_ARGS(db_text(revision)), &r));
    out->engines = ctx_array(cx, (size_t)db_rows(r), sizeof(*out->engines));
    for (int i = 0; out->engines && i < db_rows(r); i++) {
        Localrag__V1__DocumentResult__EnginesEntry *e = ctx_alloc(cx, sizeof(*e));
        if (!e)
            return cx->failure.code;
        localrag__v1__document_result__engines_entry__init(e);
        e->key = record_text(cx, r, i, 0);
        e->value = (int32_t)db_get_int(r, i, 1);
        if (!e->key)
            return cx->failure.code;
        if (strcmp(e->key, "failed") == 0)
            *ret_failed = e->value;
        sum += db_get_double(r, i, 2);
        read += db_get_int(r, i, 3);
        out->engines[out->n_engines++] = e;
    }
    if (read) {
        out->ocr_mean_confidence = (double)(int64_t)(sum / (double)read * 10000 + 0.5) / 10000;
        out->_ocr_mean_confidence_case =
            LOCALRAG__V1__DOCUMENT_RESULT___OCR_MEAN_CONFIDENCE_OCR_MEAN_CONFIDENCE;
    }
    return cx->failure.code;
}

static enum code add_failed_pages(struct ctx *cx, struct jobs *jobs, const char *revision,
                                  Localrag__V1__DocumentResult *out)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_pages_failed, DB_ARGS(db_text(revision)), &r));
    out->failed_pages = ctx_array(cx, (size_t)db_rows(r), sizeof(*out->failed_pages));
    for (int i = 0; out->failed_pages && i < db_rows(r); i++) {
        Localrag__V1__FailedPage *p = ctx_alloc(cx, sizeof(*p));
        if (!p)
            return cx->failure.code;
        localrag__v1__failed_page__init(p);
        p->page = (int32_t)db_get_int(r, i, 0);
        p->reason = record_text(cx, r, i, 1);
        out->failed_pages[out->n_failed_pages++] = p;
    }
    return cx->failure.code;
}

static enum code new_result(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                            const char *revision, Localrag__V1__DocumentResult **ret,
                            int64_t *ret_failed)
{
    Localrag__V1__DocumentResult *out = ctx_alloc(cx, sizeof(*out));
    Localrag__V1__Timings *timings = ctx_alloc(cx, sizeof(*timings));
    if (!out || !timings)
        return cx->failure.code;
    localrag__v1__document_result__init(out);
    localrag__v1__timings__init(timings);
    out->timings = timings;
    out->file_name = (char *)(claim->file_name ? claim->file_name : "");
    out->languages =
        claim->languages && *claim->languages ? claim->languages : jobs->settings->ocr_languages;
    while (out->languages[out->n_languages])
        out->n_languages++;
    TRY(record_struct(cx, claim->metadata_json, &out->metadata));
    TRY(add_engines(cx, jobs, revision, out, ret_failed));
    TRY(add_failed_pages(cx, jobs, revision, out));
    *ret = out;
    return CODE_OK;
}

static enum code completion(struct ctx *cx, const Localrag__V1__DocumentResult *result,
                            struct job_completion *ret)
{
    CLEANUP(buf_done) struct buf json = BUF_INIT(32 << 20);
    pbjson_write(&json, &result->base);
    if (buf_failed(&json))
        return ctx_oom(cx);
    *ret = (struct job_completion){.result_json = ctx_strdup(cx, buf_cstr(&json)),
                                   .document_id = result->document_id,
                                   .pages = result->page_count};
    ret->message = result->_duplicate_of_case
                       ? ctx_printf(cx, "Completed: the same as document %s", result->duplicate_of)
                       : ctx_printf(cx, "Completed: %d pages, %d chunks", result->page_count,
                                    result->chunk_count);
    return cx->failure.code;
}

static void tell_completed(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                           const struct batch_news *news)
{
    struct event e = {.kind = EVENT_STATE, .epoch = claim->epoch, .status = "completed"};
    memcpy(e.job_id, claim->job_id, sizeof(e.job_id));
    event_publish(cx, jobs, &e);
    batch_tell(cx, jobs, news);
}

/* Fills the result from the stored document. Sets *ret_found. */
static enum code duplicate_result(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                                  const char *key, bool *ret_found,
                                  Localrag__V1__DocumentResult **ret)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    int64_t failed;
    TRY(db_run(cx, jobs->db, &q_document_by_dedupe, DB_ARGS(db_text(key)), &r));
    *ret_found = db_rows(r) > 0;
    if (!*ret_found)
        return CODE_OK;
    TRY(new_result(cx, jobs, claim, db_get(r, 0, 4), ret, &failed));
    (*ret)->document_id = record_text(cx, r, 0, 0);
    (*ret)->duplicate_of = (*ret)->document_id;
    (*ret)->_duplicate_of_case = LOCALRAG__V1__DOCUMENT_RESULT___DUPLICATE_OF_DUPLICATE_OF;
    (*ret)->page_count = (int32_t)db_get_int(r, 0, 1);
    (*ret)->chunk_count = (int32_t)db_get_int(r, 0, 2);
    (*ret)->content_type = record_text(cx, r, 0, 3);
    return cx->failure.code;
}

static enum code complete_in_transaction(struct ctx *cx, struct jobs *jobs,
                                         const struct job_claim *claim,
                                         const struct job_completion *how,
                                         struct batch_news *ret_news)
{
    TRY(db_begin(cx, jobs->db));
    TRY(complete_row(cx, jobs, claim, how));
    TRY(db_run(cx, jobs->db, &q_pages_delete, DB_ARGS(db_text(claim->job_id)), NULL));
    if (claim->parent_id[0])
        TRY(batch_advance(cx, jobs, claim->parent_id, 1, ret_news));
    return db_commit(cx, jobs->db);
}

enum code jobs_finish_duplicate(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                                bool *ret_done, struct job_completion *ret_how)
{
    const char *key;
    Localrag__V1__DocumentResult *result = NULL;
    *ret_done = false;
    TRY(dedupe_key(cx, jobs, claim, &key));
    if (!key)
        return CODE_OK;
    bool found;
    TRY(duplicate_result(cx, jobs, claim, key, &found, &result));
    if (!found)
        return CODE_OK;
    struct job_completion how;
    TRY(completion(cx, result, &how));
    /* An earlier attempt may have read pages before another job with the same bytes was done. */
    if (claim->parent_id[0] || claim->epoch > 1) {
        struct batch_news news = {0};
        enum code code = complete_in_transaction(cx, jobs, claim, &how, &news);
        db_rollback(jobs->db);
        TRY(code);
        tell_completed(cx, jobs, claim, &news);
    } else {
        *ret_how = how;
    }
    *ret_done = true;
    return CODE_OK;
}

static enum code insert_document(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                                 const struct job_document *doc, const char *key,
                                 Localrag__V1__DocumentResult *result, bool *ret_inserted)
{
    CLEANUP(db_columns_done) struct db_columns c = {0};
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    char *id = ctx_alloc(cx, 37);
    if (!id)
        return cx->failure.code;
    str_uuid(id);
    TRY(db_columns_init(cx, &c, "tt"));
    for (size_t i = 0; i < result->n_languages; i++)
        db_put(&c, 0, result->languages[i]);
    for (char **l = claim->languages; l && *l; l++)
        db_put(&c, 1, *l);
    TRY(db_run(cx, jobs->db, &q_document_insert,
               DB_ARGS(db_text(id), db_text(claim->job_id), db_text(key),
                       db_text(claim->content_hash), db_text(claim->file_name),
                       db_text(claim->file_path), db_int(claim->file_size),
                       db_text(doc->content_type), db_int(doc->page_count), db_text(doc->title),
                       db_column(&c, 0),
                       db_text(claim->metadata_json ? claim->metadata_json : "{}"),
                       db_column(&c, 1)),
               &r));
    *ret_inserted = db_rows(r) > 0;
    if (*ret_inserted) {
        result->document_id = id;
        result->chunk_count = (int32_t)db_get_int(r, 0, 1);
    }
    return CODE_OK;
}

/* Somebody else finished the same bytes first: what this job read goes away with it. */
static enum code yield_to_first(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                                const char *key, Localrag__V1__DocumentResult **ret)
{
    bool found;
    TRY(db_run(cx, jobs->db, &q_chunks_delete, DB_ARGS(db_text(claim->job_id)), NULL));
    TRY(db_run(cx, jobs->db, &q_pages_delete, DB_ARGS(db_text(claim->job_id)), NULL));
    TRY(duplicate_result(cx, jobs, claim, key, &found, ret));
    return found ? CODE_OK
                 : ctx_fail(cx, CODE_UNAVAILABLE,
                            "the document with the same bytes is just being removed");
}

enum code jobs_finish_commit(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                             const struct job_document *doc)
{
    Localrag__V1__DocumentResult *result;
    const char *key;
    int64_t failed;
    bool inserted = true;
    struct batch_news news = {0};
    struct job_completion how;
    TRY(dedupe_key(cx, jobs, claim, &key));
    TRY(new_result(cx, jobs, claim, claim->job_id, &result, &failed));
    if (failed >= doc->page_count)
        return ctx_fail(cx, CODE_UNREADABLE, "none of the %d pages could be read; the first: %s",
                        doc->page_count,
                        result->n_failed_pages ? result->failed_pages[0]->reason : "no pages");
    result->page_count = doc->page_count;
    result->content_type = (char *)doc->content_type;
    if (claim->document_id[0])
        TRY(reprocess_switch(cx, jobs, claim, doc, key, result));
    else
        TRY(insert_document(cx, jobs, claim, doc, key, result, &inserted));
    if (!inserted)
        TRY(yield_to_first(cx, jobs, claim, key, &result));
    result->timings->extract_ms = doc->extract_ms;
    result->timings->_extract_ms_case = LOCALRAG__V1__TIMINGS___EXTRACT_MS_EXTRACT_MS;
    result->timings->total_ms = doc->total_ms;
    result->timings->_total_ms_case = LOCALRAG__V1__TIMINGS___TOTAL_MS_TOTAL_MS;
    TRY(completion(cx, result, &how));
    TRY(complete_row(cx, jobs, claim, &how));
    if (claim->parent_id[0])
        TRY(batch_advance(cx, jobs, claim->parent_id, 1, &news));
    TRY(db_commit(cx, jobs->db));
    tell_completed(cx, jobs, claim, &news);
    return CODE_OK;
}
