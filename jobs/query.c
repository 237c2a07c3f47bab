/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* query.c - jobs as readers see them, one or several at once; and cancelling.
 *
 * Called by the server's unary methods. The row is the truth. For a job that is processing, Redis
 * may know newer progress than the row; it is taken only with the row's epoch and only when it is
 * ahead, so a stale or forged hint changes nothing. Lists are in list.c. */
#include "jobs/jobs.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "jobs/batch.h"
#include "jobs/queue.h"
#include "jobs/record.h"

static bool read_hint(struct ctx *cx, struct jobs *jobs, const char *job_id,
                      struct event *ret_event)
{
    struct kv_reply r;
    const char *suffix = ctx_printf(cx, "progress:%s", job_id);
    const char *key = suffix ? queue_key(cx, jobs->settings, suffix) : NULL;
    /* GET would bring whatever somebody put there, up to 512 MB; no event is this long. */
    if (!key || kv_run(cx, jobs->kv, 0, KV_ARGV("GETRANGE", key, "0", "1023"), &r) != CODE_OK) {
        ctx_clear(cx);
        return false;
    }
    return r.type == KV_TEXT && event_parse(r.text, r.len, ret_event) &&
           ret_event->kind == EVENT_PROGRESS && strcmp(ret_event->job_id, job_id) == 0;
}

static void merge_hint(struct ctx *cx, struct jobs *jobs, Localrag__V1__Job *job, int64_t epoch)
{
    struct event e;
    if (job->status != LOCALRAG__V1__JOB_STATUS__JOB_STATUS_PROCESSING ||
        !read_hint(cx, jobs, job->job_id, &e) || e.epoch != epoch || e.percent < job->progress ||
        e.percent >= 100)
        return;
    char *message = arena_strdup(&cx->arena, e.message);
    if (!message)
        return;
    job->progress = e.percent;
    job->pages_done = e.pages_done;
    job->pages_total = e.pages_total;
    job->progress_message = message;
}

enum code jobs_get_progress(struct ctx *cx, struct jobs *jobs, const char *job_id,
                            Localrag__V1__Job **ret_job, double *ret_updated_at)
{
    int64_t epoch;
    TRY(jobs_get_row(cx, jobs, job_id, ret_job, &epoch, ret_updated_at));
    merge_hint(cx, jobs, *ret_job, epoch);
    return CODE_OK;
}

enum code jobs_get(struct ctx *cx, struct jobs *jobs, const char *job_id,
                   Localrag__V1__Job **ret_job)
{
    double updated_at;
    return jobs_get_progress(cx, jobs, job_id, ret_job, &updated_at);
}

/* ---- several at once ---- */

static enum code read_many(struct ctx *cx, struct jobs *jobs, const struct job_wanted *wanted,
                           int n, struct db_result **ret_rows)
{
    CLEANUP(db_columns_done) struct db_columns c = {0};
    int valid = 0;
    TRY(db_columns_init(cx, &c, "u"));
    for (int i = 0; i < n; i++)
        if (str_is_uuid(wanted[i].job_id)) {
            db_put(&c, 0, wanted[i].job_id);
            valid++;
        }
    if (!valid)
        return CODE_OK;
    return db_run(cx, jobs->db, &q_job_get_many, DB_ARGS(db_column(&c, 0)), ret_rows);
}

static enum code pick(struct jobs *jobs, const struct db_result *rows, struct job_wanted *w)
{
    if (!str_is_uuid(w->job_id))
        return ctx_fail(w->cx, CODE_INVALID_ARGUMENT, "job_id: \"%.100s\" is not a UUID",
                        w->job_id);
    for (int row = 0; row < db_rows(rows); row++) {
        if (strcasecmp(record_row_id(rows, row), w->job_id) != 0)
            continue;
        int64_t epoch;
        Localrag__V1__Job *job;
        TRY(record_job(w->cx, rows, row, &job, &epoch));
        merge_hint(w->cx, jobs, job, epoch);
        w->job = job;
        return CODE_OK;
    }
    return ctx_fail(w->cx, CODE_NOT_FOUND, "job \"%s\" does not exist", w->job_id);
}

/* 0: somebody has none. */
static int64_t latest_deadline(const struct job_wanted *wanted, int n)
{
    int64_t latest = wanted->cx->deadline_ms;
    for (int i = 1; i < n && latest; i++) {
        int64_t t = wanted[i].cx->deadline_ms;
        latest = t ? MAX(latest, t) : 0;
    }
    return latest;
}

void jobs_get_many(struct jobs *jobs, struct job_wanted *wanted, int n)
{
    CLEANUP(db_result_freep) struct db_result *rows = NULL;
    if (n == 1) {
        wanted->job = NULL;
        (void)!jobs_get(wanted->cx, jobs, wanted->job_id, &wanted->job); /* recorded in its ctx */
        return;
    }
    struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    cx.deadline_ms = latest_deadline(wanted, n);
    cx.on_wait = wanted->cx->on_wait;
    cx.on_wait_arg = wanted->cx->on_wait_arg;
    enum code code = read_many(&cx, jobs, wanted, n, &rows);
    for (int i = 0; i < n; i++) {
        wanted[i].job = NULL;
        if (code == CODE_OK || !str_is_uuid(wanted[i].job_id))
            (void)!pick(jobs, rows, &wanted[i]); /* recorded in its ctx */
        else
            (void)ctx_fail(wanted[i].cx, code, "%s", ctx_message(&cx));
    }
    ctx_done(&cx);
}

/* ---- cancel ---- */

static enum code why_not(struct ctx *cx, struct jobs *jobs, const char *job_id)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_job_status, DB_ARGS(db_text(job_id)), &r));
    if (db_rows(r) == 0)
        return ctx_fail(cx, CODE_NOT_FOUND, "job \"%s\" does not exist", job_id);
    if (strcmp(db_get(r, 0, 0), "cancelled") == 0)
        return CODE_OK;
    return ctx_fail(cx, CODE_WRONG_STATE, "job \"%s\" is %s and cannot be cancelled", job_id,
                    db_get(r, 0, 0));
}

/* A file moves its batch in the same transaction. */
static enum code cancel_file(struct ctx *cx, struct jobs *jobs, const char *job_id,
                             const char *parent_id, struct batch_news *ret_news,
                             struct db_result **ret_rows)
{
    TRY(db_begin(cx, jobs->db));
    TRY(db_run(cx, jobs->db, &q_job_cancel, DB_ARGS(db_text(job_id)), ret_rows));
    if (db_rows(*ret_rows))
        TRY(batch_advance(cx, jobs, parent_id, 1, ret_news));
    return db_commit(cx, jobs->db);
}

static enum code cancel_one(struct ctx *cx, struct jobs *jobs, const char *job_id,
                            const char *parent_id)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    struct batch_news news = {0};
    if (parent_id) {
        enum code code = cancel_file(cx, jobs, job_id, parent_id, &news, &r);
        db_rollback(jobs->db);
        TRY(code);
    } else {
        TRY(db_run(cx, jobs->db, &q_job_cancel, DB_ARGS(db_text(job_id)), &r));
    }
    if (db_rows(r) == 0)
        return why_not(cx, jobs, job_id);
    struct event e = {.kind = EVENT_CANCEL, .epoch = db_get_int(r, 0, 0), .status = "cancelled"};
    for (int i = 0; i < 36; i++) /* watchers and workers know it in lower case */
        e.job_id[i] = (char)tolower((unsigned char)job_id[i]);
    event_publish(cx, jobs, &e);
    e.kind = EVENT_STATE;
    event_publish(cx, jobs, &e);
    batch_tell(cx, jobs, &news);
    return CODE_OK;
}

enum code jobs_cancel(struct ctx *cx, struct jobs *jobs, const char *job_id)
{
    CLEANUP(db_result_freep) struct db_result *kind = NULL;
    bool done;
    if (!str_is_uuid(job_id))
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "job_id: \"%.100s\" is not a UUID", job_id);
    TRY(db_run(cx, jobs->db, &q_job_kind, DB_ARGS(db_text(job_id)), &kind));
    if (db_rows(kind) == 0)
        return why_not(cx, jobs, job_id);
    if (strcmp(db_get(kind, 0, 0), "directory_batch") != 0)
        return cancel_one(cx, jobs, job_id, db_get(kind, 0, 1));
    TRY(batch_cancel(cx, jobs, db_get(kind, 0, 2), &done));
    return done ? CODE_OK : why_not(cx, jobs, job_id);
}
