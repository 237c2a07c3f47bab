/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* batch.c - a directory batch while its files run (batch.h).
 *
 * Once its files are listed a batch has no worker: it moves with its files. Every transaction that
 * ends a file (finish.c, claim.c, query.c, sweep.c) calls batch_advance before it commits, which
 * locks the batch, releases the next file and completes the batch behind the last one. So the next
 * file is released, and the end found, by whoever made it possible, exactly once. What a batch's
 * result says is counted from its files when it completes; pages_done on the way is only for people
 * to see.
 *
 * Locks. The rule that keeps all of this free of deadlocks: first files, in order of their ids,
 * then their batch; whoever holds a batch waits for none of its files (SKIP LOCKED). Hence
 * cancelling begins with the files; those that were inserted between the two statements nobody
 * runs, and they are cancelled under the batch's lock. Several batches are locked in order of their
 * ids. What is left are statements on many rows in any order (a claim, a pool's end); PostgreSQL
 * breaks such a knot, says so as UNAVAILABLE, and callers repeat. The lock and what is decided
 * under it are two statements on purpose: the second one's snapshot must see what the lock's last
 * holder committed. */
#include "jobs/batch.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/pbjson.h"
#include "jobs/record.h"

enum { MAX_FAILURES = 100, MAX_RESULT = 4 << 20, CANCEL_TRIES = 3, CANCEL_SLICE = 20000 };

static struct event batch_event(const char *batch_id, int64_t epoch, enum event_kind kind)
{
    struct event e = {.kind = kind, .epoch = epoch};
    snprintf(e.job_id, sizeof(e.job_id), "%s", batch_id);
    return e;
}

/* ---- the end of a batch ---- */

static enum code read_failures(struct ctx *cx, struct jobs *jobs, const char *batch_id,
                               Localrag__V1__DirectoryResult *out)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_batch_failures, DB_ARGS(db_text(batch_id), db_int(MAX_FAILURES)),
               &r));
    out->failed_files = ctx_array(cx, (size_t)db_rows(r) + 1, sizeof(*out->failed_files));
    for (int i = 0; out->failed_files && i < db_rows(r); i++) {
        Localrag__V1__FailedFile *f = ctx_alloc(cx, sizeof(*f));
        if (!f)
            return cx->failure.code;
        localrag__v1__failed_file__init(f);
        f->file_path = record_text(cx, r, i, 0);
        f->error_code = record_text(cx, r, i, 1);
        f->error_message = record_text(cx, r, i, 2);
        f->job_id = record_text(cx, r, i, 3);
        out->failed_files[out->n_failed_files++] = f;
    }
    return cx->failure.code;
}

static char *summary_of(struct ctx *cx, const Localrag__V1__DirectoryResult *d)
{
    if (!d->total_files)
        return ctx_strdup(cx, "No file of the directory matched.");
    CLEANUP(buf_done) struct buf b = BUF_INIT(1024);
    buf_printf(&b, "Processed %d file%s: %d successful", d->total_files,
               d->total_files == 1 ? "" : "s", d->successful);
    if (d->skipped)
        buf_printf(&b, ", %d skipped as duplicates", d->skipped);
    if (d->failed)
        buf_printf(&b, ", %d failed", d->failed);
    if (d->cancelled)
        buf_printf(&b, ", %d cancelled", d->cancelled);
    buf_char(&b, '.');
    return ctx_strdup(cx, buf_cstr(&b));
}

static enum code count_files(struct ctx *cx, struct jobs *jobs, const char *batch_id,
                             Localrag__V1__DirectoryResult *out)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_batch_counts, DB_ARGS(db_text(batch_id)), &r));
    out->total_files = (int32_t)db_get_int(r, 0, 0);
    out->successful = (int32_t)db_get_int(r, 0, 1);
    out->failed = (int32_t)db_get_int(r, 0, 2);
    out->skipped = (int32_t)db_get_int(r, 0, 3);
    out->cancelled = (int32_t)db_get_int(r, 0, 4);
    out->summary = summary_of(cx, out);
    return out->summary ? CODE_OK : cx->failure.code;
}

static enum code complete(struct ctx *cx, struct jobs *jobs, const char *batch_id, int64_t epoch,
                          struct batch_news *news)
{
    Localrag__V1__DirectoryResult result = LOCALRAG__V1__DIRECTORY_RESULT__INIT;
    CLEANUP(buf_done) struct buf json = BUF_INIT(MAX_RESULT);
    int64_t rows;
    TRY(count_files(cx, jobs, batch_id, &result));
    if (result.failed)
        TRY(read_failures(cx, jobs, batch_id, &result));
    pbjson_write(&json, &result.base);
    if (buf_failed(&json))
        return ctx_oom(cx);
    TRY(db_change(cx, jobs->db, &q_batch_complete,
                  DB_ARGS(db_text(batch_id), db_text(result.summary), db_text(buf_cstr(&json)),
                          db_int(result.total_files)),
                  &rows));
    if (!rows)
        return ctx_fail(cx, CODE_INTERNAL, "batch \"%s\" changed under its lock", batch_id);
    news->event = batch_event(batch_id, epoch, EVENT_STATE);
    snprintf(news->event.status, sizeof(news->event.status), "completed");
    return CODE_OK;
}

/* ---- one step ---- */

static enum code read_released(struct ctx *cx, const struct db_result *r, struct batch_news *news)
{
    news->released = ctx_array(cx, (size_t)db_rows(r), sizeof(*news->released));
    if (!news->released)
        return cx->failure.code;
    for (int i = 0; i < db_rows(r); i++) {
        if (db_is_null(r, i, 5))
            continue;
        struct queue_entry *e = &news->released[news->n_released++];
        snprintf(e->job_id, sizeof(e->job_id), "%s", db_get(r, i, 5));
        snprintf(news->priority, sizeof(news->priority), "%s", db_get(r, i, 6));
        e->ready_ms = db_get_int(r, i, 7);
    }
    return CODE_OK;
}

enum code batch_advance(struct ctx *cx, struct jobs *jobs, const char *batch_id, int ended,
                        struct batch_news *ret_news)
{
    CLEANUP(db_result_freep) struct db_result *lock = NULL;
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    *ret_news = (struct batch_news){0};
    TRY(db_run(cx, jobs->db, &q_batch_lock, DB_ARGS(db_text(batch_id)), &lock));
    if (db_rows(lock) == 0)
        return CODE_OK;
    int64_t epoch = db_get_int(lock, 0, 0);
    TRY(db_run(cx, jobs->db, &q_batch_advance,
               DB_ARGS(db_text(batch_id), db_int(jobs->settings->batch_size), db_int(ended)), &r));
    if (!db_get_bool(r, 0, 0))
        return complete(cx, jobs, batch_id, epoch, ret_news);
    TRY(read_released(cx, r, ret_news));
    if (db_is_null(r, 0, 4))
        return CODE_OK;
    struct event *e = &ret_news->event;
    *e = batch_event(batch_id, epoch, EVENT_PROGRESS);
    e->percent = db_get_double(r, 0, 1);
    e->pages_done = (int)db_get_int(r, 0, 2);
    e->pages_total = (int)db_get_int(r, 0, 3);
    snprintf(e->message, sizeof(e->message), "%s", db_get(r, 0, 4));
    return CODE_OK;
}

void batch_tell(struct ctx *cx, struct jobs *jobs, const struct batch_news *news)
{
    if (news->n_released &&
        queue_push(cx, jobs, news->priority, false, news->released, news->n_released) != CODE_OK) {
        log_debug(cx, "could not push released files, the sweep will: %s", ctx_message(cx));
        ctx_clear(cx);
    }
    event_publish(cx, jobs, &news->event);
}

enum code batch_advance_overdue(struct ctx *cx, struct jobs *jobs, struct batch_news **ret_news,
                                int *ret_n)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_batch_overdue, DB_ARGS(db_int(jobs->settings->batch_size)), &r));
    struct batch_news *news = ctx_array(cx, (size_t)db_rows(r) + 1, sizeof(*news));
    if (!news)
        return cx->failure.code;
    for (int i = 0; i < db_rows(r); i++) {
        TRY(batch_advance(cx, jobs, db_get(r, i, 0), 0, &news[i]));
        if (news[i].n_released || news[i].event.kind)
            log_info(cx, "batch %s was left behind, going on with it", db_get(r, i, 0));
    }
    *ret_news = news;
    *ret_n = db_rows(r);
    return CODE_OK;
}

/* ---- cancel ---- */

enum code batch_abandon(struct ctx *cx, struct jobs *jobs, const char *batch_id)
{
    return db_run(cx, jobs->db, &q_batch_cancel_late, DB_ARGS(db_text(batch_id), db_int(INT32_MAX)),
                  NULL);
}

/* A batch of a million files is too much for one statement: those that wait go first, a slice a
 * transaction. Should the rest fail, the batch just has that many cancelled files. */
static enum code cancel_waiting(struct ctx *cx, struct jobs *jobs, const char *batch_id)
{
    int64_t n;
    do
        TRY(db_change(cx, jobs->db, &q_batch_cancel_late,
                      DB_ARGS(db_text(batch_id), db_int(CANCEL_SLICE)), &n));
    while (n == CANCEL_SLICE);
    return CODE_OK;
}

static enum code cancel_once(struct ctx *cx, struct jobs *jobs, const char *batch_id,
                             struct db_result **ret_files, struct db_result **ret_batch)
{
    TRY(db_begin(cx, jobs->db));
    TRY(db_run(cx, jobs->db, &q_batch_cancel_files, DB_ARGS(db_text(batch_id)), ret_files));
    TRY(db_run(cx, jobs->db, &q_job_cancel, DB_ARGS(db_text(batch_id)), ret_batch));
    if (db_rows(*ret_batch) == 0)
        return CODE_OK; /* the caller rolls back */
    TRY(batch_abandon(cx, jobs, batch_id));
    return db_commit(cx, jobs->db);
}

static void tell_cancelled(struct ctx *cx, struct jobs *jobs, const char *job_id, int64_t epoch)
{
    struct event e = batch_event(job_id, epoch, EVENT_CANCEL);
    event_publish(cx, jobs, &e);
    e.kind = EVENT_STATE;
    snprintf(e.status, sizeof(e.status), "cancelled");
    event_publish(cx, jobs, &e);
}

enum code batch_cancel(struct ctx *cx, struct jobs *jobs, const char *batch_id, bool *ret_done)
{
    enum code code = CODE_OK;
    TRY(cancel_waiting(cx, jobs, batch_id));
    for (int i = 0; i < CANCEL_TRIES; i++) {
        CLEANUP(db_result_freep) struct db_result *files = NULL;
        CLEANUP(db_result_freep) struct db_result *batch = NULL;
        if (code != CODE_OK)
            ctx_clear(cx);
        code = cancel_once(cx, jobs, batch_id, &files, &batch);
        db_rollback(jobs->db);
        if (code == CODE_UNAVAILABLE)
            continue; /* a knot that was cut, or no database: then the next try fails at once */
        TRY(code);
        *ret_done = db_rows(batch) > 0;
        if (!*ret_done)
            return CODE_OK;
        for (int k = 0; k < db_rows(files); k++)
            tell_cancelled(cx, jobs, db_get(files, k, 0), db_get_int(files, k, 1));
        tell_cancelled(cx, jobs, batch_id, db_get_int(batch, 0, 0));
        return CODE_OK;
    }
    return code;
}
