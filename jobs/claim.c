/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* claim.c - an attempt of a job in a worker's hands: begin, tell, give up, hand back.
 *
 * A claim is one guarded UPDATE for all ids of a take; what it does not return was a stale hint.
 * From then on the pair (job_id, epoch) is the right to write. Every later statement repeats it in
 * its WHERE, and no row touched means CLAIM_LOST. */
#include "jobs/jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "jobs/batch.h"
#include "jobs/pools.h"
#include "jobs/queue.h"
#include "jobs/record.h"
#include "store/crypt.h"

enum { MAX_DELAY_MS = 3600000, MAX_MESSAGE = 4000 };

static enum code read_claim(struct ctx *cx, const struct db_result *r, int row,
                            const char *const *workers, int n, struct job_claim *c)
{
    *c = (struct job_claim){.epoch = db_get_int(r, row, 1),
                            .file_size = db_get_int(r, row, 8),
                            .retry_count = (int)db_get_int(r, row, 9),
                            .max_retries = (int)db_get_int(r, row, 10),
                            .crash_count = (int)db_get_int(r, row, 11)};
    snprintf(c->job_id, sizeof(c->job_id), "%s", db_get(r, row, 0));
    /* Rows mostly come in the order they were asked for. */
    for (int i = 0; i < n && !c->worker; i++)
        if (strcmp(workers[(row + i) % n], db_get(r, row, 2)) == 0)
            c->worker = workers[(row + i) % n];
    if (!c->worker)
        return ctx_fail(cx, CODE_INTERNAL, "a claim is for worker \"%s\", which asked for none",
                        db_get(r, row, 2));
    c->task_type = record_text(cx, r, row, 3);
    c->file_path = record_text(cx, r, row, 4);
    c->file_name = record_text(cx, r, row, 5);
    c->content_type = record_text(cx, r, row, 6);
    c->content_hash = record_text(cx, r, row, 7);
    c->metadata_json = record_text(cx, r, row, 12);
    size_t languages;
    c->languages = ctx_alloc(cx, sizeof(*c->languages));
    TRY(record_texts(cx, db_get(r, row, 13), &c->languages, &languages));
    TRY(db_get_bytes(cx, r, row, 14, &c->sealed_password, &c->sealed_password_len));
    if (!db_is_null(r, row, 15))
        snprintf(c->parent_id, sizeof(c->parent_id), "%s", db_get(r, row, 15));
    if (!db_is_null(r, row, 16))
        snprintf(c->document_id, sizeof(c->document_id), "%s", db_get(r, row, 16));
    return cx->failure.code;
}

static void tell_state(struct ctx *cx, struct jobs *jobs, const char *job_id, int64_t epoch,
                       const char *status)
{
    struct event e;
    event_fill_state(&e, job_id, epoch, status);
    event_publish(cx, jobs, &e);
}

enum code jobs_claim(struct ctx *cx, struct jobs *jobs, const char *pool_id, int n, char ids[][37],
                     const char *const *workers, bool pool_idle, struct job_claim *ret_claims,
                     int *ret_n)
{
    CLEANUP(db_columns_done) struct db_columns c = {0};
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_columns_init(cx, &c, "ut"));
    for (int i = 0; i < n; i++) {
        db_put(&c, 0, ids[i]);
        db_put(&c, 1, workers[i]);
    }
    const char *suffix = ctx_printf(cx, "%s-%.4s", pools_host(), pool_id);
    TRY(db_run(cx, jobs->db, &q_job_claim,
               DB_ARGS(db_text(pool_id), db_column(&c, 0), db_column(&c, 1), db_bool(pool_idle),
                       db_text(suffix)),
               &r));
    struct event *events = ctx_array(cx, (size_t)db_rows(r), sizeof(*events));
    if (!events)
        return cx->failure.code;
    *ret_n = 0;
    for (int i = 0; i < db_rows(r); i++) {
        TRY(read_claim(cx, r, i, workers, n, &ret_claims[i]));
        ++*ret_n;
        event_fill_state(&events[i], ret_claims[i].job_id, ret_claims[i].epoch, "processing");
    }
    event_publish_states(cx, jobs, events, *ret_n);
    return CODE_OK;
}

enum code jobs_find_alone(struct ctx *cx, struct jobs *jobs, int n, char ids[][37], char ret_id[37])
{
    CLEANUP(db_columns_done) struct db_columns c = {0};
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_columns_init(cx, &c, "u"));
    for (int i = 0; i < n; i++)
        db_put(&c, 0, ids[i]);
    TRY(db_run(cx, jobs->db, &q_job_alone, DB_ARGS(db_column(&c, 0)), &r));
    snprintf(ret_id, 37, "%s", db_rows(r) ? db_get(r, 0, 0) : "");
    return CODE_OK;
}

enum code jobs_claim_password(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                              const char **ret_password)
{
    *ret_password = NULL;
    if (!claim->sealed_password)
        return CODE_OK;
    return crypt_open(cx, jobs->settings->secret_key_file, claim->job_id, claim->sealed_password,
                      claim->sealed_password_len, ret_password);
}

void jobs_publish_progress(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                           const struct job_progress *progress)
{
    struct event e = {.kind = EVENT_PROGRESS,
                      .epoch = claim->epoch,
                      .percent = progress->percent,
                      .pages_done = progress->pages_done,
                      .pages_total = progress->pages_total};
    memcpy(e.job_id, claim->job_id, sizeof(e.job_id));
    snprintf(e.message, sizeof(e.message), "%s", progress->message);
    e.message[str_utf8_prefix(e.message, strlen(e.message))] = '\0'; /* it may have been cut */
    event_publish(cx, jobs, &e);
}

static enum code lost(struct ctx *cx, const struct job_claim *claim)
{
    return ctx_fail(cx, CODE_CLAIM_LOST, "job \"%s\" is not this worker's any more", claim->job_id);
}

/* Exponential backoff with a fifth of jitter, so that a batch that failed together does not come
 * back together. */
static int64_t backoff_ms(int64_t base, int attempts)
{
    int64_t delay = base;
    for (int i = 0; i < attempts && delay < MAX_DELAY_MS; i++)
        delay *= 2;
    delay = MIN(delay, (int64_t)MAX_DELAY_MS);
    return delay ? delay * (800 + random() % 401) / 1000 : 0;
}

static enum code fail_row(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                          enum code code, const char *text, const char **ret_status)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    int64_t delay = backoff_ms(jobs->settings->retry_delay_ms, claim->retry_count);
    TRY(db_run(cx, jobs->db, &q_job_fail,
               DB_ARGS(db_text(claim->job_id), db_int(claim->epoch), db_text(code_name(code)),
                       db_text(text ? text : code_text(code)), db_bool(code_retryable(code)),
                       db_int(delay)),
               &r));
    if (db_rows(r) == 0)
        return lost(cx, claim);
    *ret_status = record_text(cx, r, 0, 0);
    return cx->failure.code;
}

/* A file moves its batch in the same transaction: its place is free, for good or until its next
 * attempt. A batch that failed takes the files it had listed with it. */
static enum code fail_in_transaction(struct ctx *cx, struct jobs *jobs,
                                     const struct job_claim *claim, enum code code,
                                     const char *text, const char **ret_status,
                                     struct batch_news *ret_news)
{
    TRY(db_begin(cx, jobs->db));
    TRY(fail_row(cx, jobs, claim, code, text, ret_status));
    bool failed = strcmp(*ret_status, "failed") == 0;
    if (claim->parent_id[0])
        TRY(batch_advance(cx, jobs, claim->parent_id, failed, ret_news));
    else if (failed)
        TRY(batch_abandon(cx, jobs, claim->job_id));
    return db_commit(cx, jobs->db);
}

enum code jobs_fail(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                    enum code code, const char *message)
{
    /* The failure being reported may be this ctx's own. Messages quote names and are cut anywhere,
     * but the database takes only UTF-8, and a failure that cannot be stored would be repeated for
     * ever. */
    size_t len;
    const char *text = str_utf8_repair(&cx->arena, message, strnlen(message, MAX_MESSAGE), &len);
    const char *status = NULL;
    struct batch_news news = {0};
    ctx_clear(cx);
    bool batch = claim->task_type && strcmp(claim->task_type, "directory_batch") == 0;
    if (batch || claim->parent_id[0]) {
        enum code result = fail_in_transaction(cx, jobs, claim, code, text, &status, &news);
        db_rollback(jobs->db);
        TRY(result);
    } else {
        TRY(fail_row(cx, jobs, claim, code, text, &status));
    }
    tell_state(cx, jobs, claim->job_id, claim->epoch, status);
    batch_tell(cx, jobs, &news);
    return CODE_OK;
}

enum code jobs_hand_back(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_job_hand_back,
               DB_ARGS(db_text(claim->job_id), db_int(claim->epoch)), &r));
    if (db_rows(r) == 0)
        return lost(cx, claim);
    queue_put_back(cx, jobs, db_get(r, 0, 0), claim->job_id, claim->epoch, db_get_int(r, 0, 1));
    return CODE_OK;
}
