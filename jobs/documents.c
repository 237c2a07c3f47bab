/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* documents.c - documents, pages and chunks as readers see them.
 *
 * A reader first asks the document for its revision, then for pages or chunks of that revision, so
 * a reprocessing that lands in between never mixes two readings. A page token is the number of the
 * last page or chunk: paging costs the same everywhere. */
#include "jobs/jobs.h"

#include <string.h>

#include "base/pbjson.h"
#include "base/str.h"
#include "jobs/record.h"
#include "store/blob.h"

enum { DEFAULT_LIMIT = 100, MAX_LIMIT = 1000, MAX_BYTES = 3 << 20, READ_TRIES = 3 };

static enum code find(struct ctx *cx, struct jobs *jobs, const char *id, struct db_result **ret)
{
    if (!id || !str_is_uuid(id))
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "document_id: \"%.100s\" is not a UUID",
                        id ? id : "");
    TRY(db_run(cx, jobs->db, &q_document_get, DB_ARGS(db_text(id)), ret));
    if (db_rows(*ret) == 0)
        return ctx_fail(cx, CODE_NOT_FOUND, "document \"%s\" does not exist", id);
    return CODE_OK;
}

static enum code read_document(struct ctx *cx, const struct db_result *r, int row,
                               Localrag__V1__Document *out)
{
    out->document_id = record_text(cx, r, row, 0);
    out->file_name = record_text(cx, r, row, 1);
    out->file_path = record_text(cx, r, row, 2);
    out->file_size = db_get_int(r, row, 3);
    out->content_hash = record_text(cx, r, row, 4);
    out->content_type = record_text(cx, r, row, 5);
    out->page_count = (int32_t)db_get_int(r, row, 6);
    out->chunk_count = (int32_t)db_get_int(r, row, 7);
    if ((out->title = record_text(cx, r, row, 8)))
        out->_title_case = LOCALRAG__V1__DOCUMENT___TITLE_TITLE;
    TRY(record_texts(cx, db_get(r, row, 9), &out->languages, &out->n_languages));
    TRY(record_struct(cx, db_get(r, row, 10), &out->metadata));
    out->created_at = record_time(cx, db_get_double(r, row, 11));
    out->updated_at = record_time(cx, db_get_double(r, row, 12));
    out->revision = (int32_t)db_get_int(r, row, 13);
    return cx->failure.code;
}

enum code jobs_document(struct ctx *cx, struct jobs *jobs, const char *id,
                        Localrag__V1__Document *out)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(find(cx, jobs, id, &r));
    return read_document(cx, r, 0, out);
}

/* "MICROSECONDS-ID" of the last document of the page before. */
static enum code read_token(struct ctx *cx, const char *token, int64_t *ret_us, const char **ret_id)
{
    const char *dash = strchr(token, '-');
    char *us = dash ? ctx_strndup(cx, token, (size_t)(dash - token)) : NULL;
    if (!us || !str_parse_int(us, 0, INT64_MAX / 2, ret_us) || !str_is_uuid(dash + 1))
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "page_token: \"%.100s\" is not one of ours",
                        token);
    *ret_id = dash + 1;
    return CODE_OK;
}

enum code jobs_documents(struct ctx *cx, struct jobs *jobs,
                         const Localrag__V1__ListDocumentsRequest *in,
                         Localrag__V1__ListDocumentsResponse *out)
{
    int64_t limit = in->limit ? in->limit : DEFAULT_LIMIT, us = 0;
    const char *id = NULL;
    if (limit < 1 || limit > MAX_LIMIT)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "limit: %d is not between 1 and %d", in->limit,
                        MAX_LIMIT);
    if (*in->page_token)
        TRY(read_token(cx, in->page_token, &us, &id));
    CLEANUP(db_result_freep) struct db_result *count = NULL;
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_document_count, DB_NO_ARGS, &count));
    TRY(db_run(cx, jobs->db, &q_document_list,
               DB_ARGS(id ? db_int(us) : db_null(), db_text(id), db_int(limit + 1)), &r));
    int n = (int)MIN((int64_t)db_rows(r), limit);
    out->total = db_get_int(count, 0, 0);
    out->documents = ctx_array(cx, (size_t)n, sizeof(*out->documents));
    Localrag__V1__Document *all = ctx_array(cx, (size_t)n, sizeof(*all));
    if (!out->documents || !all)
        return cx->failure.code;
    for (int i = 0; i < n; i++) {
        localrag__v1__document__init(&all[i]);
        TRY(read_document(cx, r, i, &all[i]));
        out->documents[out->n_documents++] = &all[i];
    }
    if (db_rows(r) > n)
        out->next_page_token = ctx_printf(cx, "%s-%s", db_get(r, n - 1, 15), db_get(r, n - 1, 0));
    return cx->failure.code;
}

enum code jobs_document_delete(struct ctx *cx, struct jobs *jobs, const char *id)
{
    if (!str_is_uuid(id))
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "document_id: \"%.100s\" is not a UUID", id);
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_document_delete, DB_ARGS(db_text(id)), &r));
    if (db_rows(r) == 0)
        return ctx_fail(cx, CODE_NOT_FOUND, "document \"%s\" does not exist", id);
    blob_remove_owned(jobs->settings->uploads_path, db_get(r, 0, 0));
    return CODE_OK;
}

struct slice {
    const char *revision;
    int64_t total, after, limit;
};

/* The document's revision, how many rows it has, and where this answer begins. `first` is the
 * number before the first row: 0 for pages, -1 for chunks. */
static enum code read_slice(struct ctx *cx, struct jobs *jobs, const char *id, int32_t limit,
                            const char *token, int total_column, int64_t first, struct slice *s)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    s->limit = limit ? limit : DEFAULT_LIMIT;
    s->after = first;
    if (s->limit < 1 || s->limit > MAX_LIMIT)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "limit: %d is not between 1 and %d", limit,
                        MAX_LIMIT);
    if (*token && !str_parse_int(token, 0, INT32_MAX, &s->after))
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "page_token: \"%.100s\" is not one of ours",
                        token);
    TRY(find(cx, jobs, id, &r));
    s->total = db_get_int(r, 0, total_column);
    s->revision = record_text(cx, r, 0, 14);
    return s->revision ? CODE_OK : cx->failure.code;
}

/* Whether (again) to read: nothing was read yet, or a reprocessing removed the revision in between.
 */
static bool switched(const struct slice *s, const struct db_result *r, int64_t first)
{
    return !r || (db_rows(r) == 0 && s->after < s->total + first);
}

/* An answer stays below gRPC's message limit: fewer rows than asked for, and a token for the rest.
 */
static bool full(size_t bytes)
{
    return bytes > MAX_BYTES;
}

static Localrag__V1__PageEngine engine_of(const char *name)
{
    static const char *const names[] = {"", "text", "ocr", "mixed", "layer", "blank", "failed"};
    for (unsigned i = 1; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i], name) == 0)
            return (Localrag__V1__PageEngine)i;
    return LOCALRAG__V1__PAGE_ENGINE__PAGE_ENGINE_UNSPECIFIED;
}

static Localrag__V1__Page *read_page(struct ctx *cx, const struct db_result *r, int row)
{
    Localrag__V1__Page *p = ctx_alloc(cx, sizeof(*p));
    if (!p)
        return NULL;
    localrag__v1__page__init(p);
    p->page = (int32_t)db_get_int(r, row, 0);
    if ((p->label = record_text(cx, r, row, 1)))
        p->_label_case = LOCALRAG__V1__PAGE___LABEL_LABEL;
    p->engine = engine_of(db_get(r, row, 2));
    p->reason = record_text(cx, r, row, 3);
    if (!db_is_null(r, row, 4)) {
        p->confidence = db_get_double(r, row, 4);
        p->_confidence_case = LOCALRAG__V1__PAGE___CONFIDENCE_CONFIDENCE;
    }
    p->char_count = (int32_t)db_get_int(r, row, 5);
    p->width = db_get_double(r, row, 6);
    p->height = db_get_double(r, row, 7);
    p->rotation = (int32_t)db_get_int(r, row, 8);
    p->ms = (int32_t)db_get_int(r, row, 9);
    if ((p->error = record_text(cx, r, row, 10)))
        p->_error_case = LOCALRAG__V1__PAGE___ERROR_ERROR;
    if ((p->text = record_text(cx, r, row, 11)))
        p->_text_case = LOCALRAG__V1__PAGE___TEXT_TEXT;
    return p;
}

enum code jobs_document_pages(struct ctx *cx, struct jobs *jobs,
                              const Localrag__V1__ListPagesRequest *in,
                              Localrag__V1__ListPagesResponse *out)
{
    struct slice s = {0};
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    for (int i = 0; i < READ_TRIES && switched(&s, r, 0); i++) {
        db_result_freep(&r);
        TRY(read_slice(cx, jobs, in->document_id, in->limit, in->page_token, 6, 0, &s));
        TRY(db_run(cx, jobs->db, &q_document_pages,
                   DB_ARGS(db_text(s.revision), db_int(s.after), db_int(s.limit),
                           db_bool(in->text)),
                   &r));
    }
    out->total = s.total;
    out->pages = ctx_array(cx, (size_t)db_rows(r), sizeof(*out->pages));
    size_t bytes = 0;
    for (int i = 0; out->pages && i < db_rows(r) && !full(bytes); i++) {
        Localrag__V1__Page *p = read_page(cx, r, i);
        if (!p)
            return cx->failure.code;
        out->pages[out->n_pages++] = p;
        bytes += p->text ? strlen(p->text) : 0;
    }
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): n_pages says that pages is there */
    if (out->n_pages && out->pages[out->n_pages - 1]->page < s.total)
        out->next_page_token = ctx_printf(cx, "%d", out->pages[out->n_pages - 1]->page);
    return cx->failure.code;
}

/* ---- chunks ---- */

/* Spans are stored as the JSON of a Chunk's `spans`: read them as that one field of a message. */
static enum code read_spans(struct ctx *cx, const char *json, Localrag__V1__Chunk *chunk)
{
    ProtobufCMessage *m;
    const char *wrapped = ctx_printf(cx, "{\"spans\":%s}", json);
    if (!wrapped)
        return cx->failure.code;
    TRY(pbjson_read(cx, &localrag__v1__chunk__descriptor, wrapped, strlen(wrapped), &m));
    chunk->spans = ((Localrag__V1__Chunk *)m)->spans;
    chunk->n_spans = ((Localrag__V1__Chunk *)m)->n_spans;
    return CODE_OK;
}

static enum code read_chunk(struct ctx *cx, const struct db_result *r, int row,
                            Localrag__V1__Chunk **ret)
{
    Localrag__V1__Chunk *c = ctx_alloc(cx, sizeof(*c));
    if (!c)
        return cx->failure.code;
    localrag__v1__chunk__init(c);
    c->chunk_id = record_text(cx, r, row, 0);
    c->chunk_index = (int32_t)db_get_int(r, row, 1);
    c->content = record_text(cx, r, row, 2);
    c->page_start = (int32_t)db_get_int(r, row, 3);
    c->page_end = (int32_t)db_get_int(r, row, 4);
    TRY(read_spans(cx, db_get(r, row, 5), c));
    TRY(record_texts(cx, db_get(r, row, 6), &c->heading_path, &c->n_heading_path));
    c->token_count = (int32_t)db_get_int(r, row, 7);
    *ret = c;
    return cx->failure.code;
}

enum code jobs_document_chunks(struct ctx *cx, struct jobs *jobs,
                               const Localrag__V1__ListChunksRequest *in,
                               Localrag__V1__ListChunksResponse *out)
{
    struct slice s = {0};
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    for (int i = 0; i < READ_TRIES && switched(&s, r, -1); i++) {
        db_result_freep(&r);
        TRY(read_slice(cx, jobs, in->document_id, in->limit, in->page_token, 7, -1, &s));
        TRY(db_run(cx, jobs->db, &q_document_chunks,
                   DB_ARGS(db_text(s.revision), db_int(s.after), db_int(s.limit)), &r));
    }
    out->total = s.total;
    out->chunks = ctx_array(cx, (size_t)db_rows(r), sizeof(*out->chunks));
    if (!out->chunks)
        return cx->failure.code;
    size_t bytes = 0;
    for (int i = 0; i < db_rows(r) && !full(bytes); i++) {
        TRY(read_chunk(cx, r, i, &out->chunks[i]));
        out->n_chunks++;
        bytes += strlen(out->chunks[i]->content) + strlen(db_get(r, i, 5));
    }
    if (out->n_chunks && out->chunks[out->n_chunks - 1]->chunk_index + 1 < s.total)
        out->next_page_token = ctx_printf(cx, "%d", out->chunks[out->n_chunks - 1]->chunk_index);
    return cx->failure.code;
}
