/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* directory.c - a directory batch before its files run: its submission, and its listing by a
 * worker.
 *
 * The server counts and submits; the worker lists and calls jobs_directory_add for each slice of
 * files, then jobs_directory_listed, which gives the worker back. Listing again (another attempt, a
 * retry by hand) changes nothing that is there: a file's job is found by its path. Each slice is a
 * transaction that ends with the batch's fence, so a batch that was cancelled or taken over gets no
 * more files (batch.c says why the lock comes last). A batch without files completes with its
 * submission. */
#include "jobs/jobs.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "jobs/backlog.h"
#include "jobs/batch.h"
#include "jobs/record.h"
#include "jobs/roots.h"
#include "store/crypt.h"

enum { MAX_PAYLOAD = 1 << 20, MAX_KEY = 1000 };

static enum code lost(struct ctx *cx, const struct job_claim *claim)
{
    return ctx_fail(cx, CODE_CLAIM_LOST, "job \"%s\" is not this worker's any more", claim->job_id);
}

/* ---- submit ---- */

static enum code payload_json(struct ctx *cx, const struct directory_submission *in,
                              const char **ret_json)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(MAX_PAYLOAD);
    const char *path = roots_path_text(cx, in->directory);
    if (!path)
        return cx->failure.code;
    buf_str(&b, "{\"directory_path\":");
    str_json(&b, path);
    buf_str(&b, ",\"file_patterns\":[");
    for (const char *const *p = in->patterns; p && *p; p++) {
        buf_str(&b, p == in->patterns ? "" : ",");
        str_json(&b, *p);
    }
    buf_printf(&b, "],\"recursive\":%s,\"metadata\":%s}", in->recursive ? "true" : "false",
               in->metadata_json ? in->metadata_json : "{}");
    if (buf_failed(&b))
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "metadata: too large");
    *ret_json = ctx_strdup(cx, buf_cstr(&b));
    return *ret_json ? CODE_OK : cx->failure.code;
}

static enum code insert_row(struct ctx *cx, struct jobs *jobs,
                            const struct directory_submission *in, const char *job_id,
                            int64_t *ret_ready_ms)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    const char *payload, *slash = strrchr(in->directory, '/');
    const char *name = slash && slash[1] ? slash + 1 : "root";
    TRY(payload_json(cx, in, &payload));
    TRY(db_run(cx, jobs->db, &q_job_insert,
               DB_ARGS(db_text(job_id), db_text("directory_batch"), db_text("medium"),
                       db_text(payload), db_int(jobs->settings->max_retries),
                       db_text(str_safe_name(&cx->arena, name, strlen(name))), db_null(), db_null(),
                       db_null()),
               &r));
    *ret_ready_ms = db_get_int(r, 0, 0);
    return cx->failure.code;
}

static enum code insert_empty(struct ctx *cx, struct jobs *jobs,
                              const struct directory_submission *in, const char *job_id,
                              struct batch_news *ret_news)
{
    int64_t ready_ms;
    TRY(db_begin(cx, jobs->db));
    TRY(insert_row(cx, jobs, in, job_id, &ready_ms));
    TRY(db_run(cx, jobs->db, &q_batch_begin_empty, DB_ARGS(db_text(job_id)), NULL));
    TRY(batch_advance(cx, jobs, job_id, 0, ret_news));
    return db_commit(cx, jobs->db);
}

enum code jobs_submit_directory(struct ctx *cx, struct jobs *jobs,
                                const struct directory_submission *in, const char **ret_job_id)
{
    char *id = ctx_alloc(cx, 37);
    if (!id)
        return cx->failure.code;
    str_uuid(id);
    TRY(backlog_enter(cx, jobs));
    if (in->n_files) {
        int64_t ready_ms;
        TRY(insert_row(cx, jobs, in, id, &ready_ms));
        queue_hint(cx, jobs, "medium", id, ready_ms);
        struct event e = {.kind = EVENT_STATE, .status = "pending"};
        memcpy(e.job_id, id, sizeof(e.job_id));
        event_publish(cx, jobs, &e);
    } else {
        struct batch_news news;
        enum code code = insert_empty(cx, jobs, in, id, &news);
        db_rollback(jobs->db);
        TRY(code);
        batch_tell(cx, jobs, &news);
    }
    *ret_job_id = id;
    return CODE_OK;
}

/* ---- list ---- */

enum code jobs_directory(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                         struct directory_spec *ret_spec)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    char **patterns = NULL;
    size_t n = 0;
    TRY(db_run(cx, jobs->db, &q_batch_spec, DB_ARGS(db_text(claim->job_id)), &r));
    if (db_rows(r) == 0)
        return lost(cx, claim);
    if (db_is_null(r, 0, 0))
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "the payload has no directory_path");
    TRY(record_texts(cx, db_get(r, 0, 1), &patterns, &n));
    const char *text = record_text(cx, r, 0, 0);
    const char *path = text ? roots_path_bytes(cx, text) : NULL;
    if (!path)
        return cx->failure.code;
    *ret_spec = (struct directory_spec){.directory = path,
                                        .patterns = (const char *const *)patterns,
                                        .recursive = db_get_bool(r, 0, 2)};
    return CODE_OK;
}

/* What a file is known by within its batch: its path below the directory; for one that is too long
 * for an index its digest. */
static enum code key_of(struct ctx *cx, const char *directory, const char *path,
                        const char **ret_key)
{
    size_t n = strlen(directory);
    if (n > 1 && strncmp(path, directory, n) == 0 && path[n] == '/')
        path += n + 1;
    *ret_key = roots_path_text(cx, path);
    if (!*ret_key || strlen(*ret_key) <= MAX_KEY)
        return *ret_key ? CODE_OK : cx->failure.code;
    char hex[65];
    TRY(digest_text(cx, path, hex));
    *ret_key = ctx_printf(cx, "sha256:%s", hex);
    return *ret_key ? CODE_OK : cx->failure.code;
}

static enum code add_in_transaction(struct ctx *cx, struct jobs *jobs,
                                    const struct job_claim *claim, const struct db_columns *c)
{
    CLEANUP(db_result_freep) struct db_result *lock = NULL;
    TRY(db_begin(cx, jobs->db));
    TRY(db_run(cx, jobs->db, &q_batch_add,
               DB_ARGS(db_text(claim->job_id), db_int(claim->epoch), db_column(c, 0),
                       db_column(c, 1), db_column(c, 2), db_int(jobs->settings->max_retries)),
               NULL));
    TRY(db_run(cx, jobs->db, &q_job_lock, DB_ARGS(db_text(claim->job_id), db_int(claim->epoch)),
               &lock));
    if (db_rows(lock) == 0)
        return lost(cx, claim);
    return db_commit(cx, jobs->db);
}

enum code jobs_directory_add(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                             const char *directory, const struct directory_file *files, int n)
{
    CLEANUP(db_columns_done) struct db_columns c = {0};
    TRY(db_columns_init(cx, &c, "ttt"));
    for (int i = 0; i < n; i++) {
        const char *key;
        TRY(key_of(cx, directory, files[i].path, &key));
        db_put(&c, 0, key);
        db_put(&c, 1, roots_path_text(cx, files[i].path));
        db_put(&c, 2, str_safe_name(&cx->arena, files[i].name, strlen(files[i].name)));
    }
    TRY(cx->failure.code);
    enum code code = add_in_transaction(cx, jobs, claim, &c);
    db_rollback(jobs->db);
    return code;
}

static enum code give_back(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                           struct event *ret_event, struct batch_news *ret_news)
{
    CLEANUP(db_result_freep) struct db_result *lock = NULL;
    CLEANUP(db_result_freep) struct db_result *counts = NULL;
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_begin(cx, jobs->db));
    TRY(db_run(cx, jobs->db, &q_job_lock, DB_ARGS(db_text(claim->job_id), db_int(claim->epoch)),
               &lock));
    if (db_rows(lock) == 0)
        return lost(cx, claim);
    TRY(db_run(cx, jobs->db, &q_batch_counts, DB_ARGS(db_text(claim->job_id)), &counts));
    int64_t total = db_get_int(counts, 0, 0), done = db_get_int(counts, 0, 5);
    TRY(db_run(cx, jobs->db, &q_batch_give_back,
               DB_ARGS(db_text(claim->job_id), db_int(claim->epoch), db_int(total), db_int(done)),
               &r));
    if (db_rows(r) == 0)
        return lost(cx, claim);
    *ret_event = (struct event){.kind = EVENT_PROGRESS,
                                .epoch = claim->epoch,
                                .percent = db_get_double(r, 0, 0),
                                .pages_done = (int)done,
                                .pages_total = (int)total};
    memcpy(ret_event->job_id, claim->job_id, sizeof(ret_event->job_id));
    snprintf(ret_event->message, sizeof(ret_event->message), "%s", db_get(r, 0, 1));
    TRY(batch_advance(cx, jobs, claim->job_id, 0, ret_news));
    return db_commit(cx, jobs->db);
}

enum code jobs_directory_listed(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim)
{
    struct event event;
    struct batch_news news;
    enum code code = give_back(cx, jobs, claim, &event, &news);
    db_rollback(jobs->db);
    TRY(code);
    event_publish(cx, jobs, &event);
    batch_tell(cx, jobs, &news);
    return CODE_OK;
}
