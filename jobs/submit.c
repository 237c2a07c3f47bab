/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* submit.c - a stored upload becomes a job: one commit, one push.
 *
 * The order is the guarantee: bytes durable, then the row committed, then the hint. Whoever got a
 * job id has a job; a hint that is lost is pushed again by the sweep. An idempotency key is settled
 * by the unique index, so two calls at the same moment get the same job. */
#include "jobs/submit.h"

#include <stdio.h>
#include <string.h>

#include "base/clk.h"
#include "base/str.h"
#include "jobs/event.h"
#include "jobs/queue.h"

enum code submit_refuse_when_closed(struct ctx *cx, struct jobs *jobs)
{
    const struct settings *s = jobs->settings;
    if (!s->queue_enabled)
        return ctx_fail(cx, CODE_UNAVAILABLE,
                        "the queue is disabled (TASK_QUEUE_ENABLED=false): nothing is accepted");
    if (!s->queue_max_backlog)
        return CODE_OK;
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_backlog, DB_ARGS(db_int(s->queue_max_backlog)), &r));
    if (db_get_bool(r, 0, 0))
        return ctx_fail(cx, CODE_UNAVAILABLE,
                        "%lld jobs wait already (QUEUE_MAX_BACKLOG): try again later",
                        (long long)s->queue_max_backlog);
    return CODE_OK;
}

/* The payload people query: where the file lies and what it is. */
static enum code payload_json(struct ctx *cx, const struct job_submission *in,
                              const char **ret_json)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(1 << 20);
    buf_str(&b, "{\"file_path\":");
    str_json(&b, in->file_path);
    buf_str(&b, ",\"file_name\":");
    str_json(&b, in->file_name);
    buf_str(&b, ",\"content_type\":");
    str_json(&b, in->content_type);
    buf_str(&b, ",\"content_hash\":");
    str_json(&b, in->content_hash);
    buf_printf(&b, ",\"file_size\":%lld,\"metadata\":%s,\"languages\":[", (long long)in->file_size,
               in->metadata_json ? in->metadata_json : "{}");
    for (const char *const *l = in->languages; l && *l; l++) {
        buf_str(&b, l == in->languages ? "" : ",");
        str_json(&b, *l);
    }
    buf_str(&b, "]}");
    if (buf_failed(&b))
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "metadata: too large");
    *ret_json = ctx_strdup(cx, buf_cstr(&b));
    return *ret_json ? CODE_OK : cx->failure.code;
}

/* The key is taken: the same bytes get the first job, others are refused. */
static enum code answer_first(struct ctx *cx, struct jobs *jobs, const struct job_submission *in,
                              struct job_submitted *out)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_job_by_key, DB_ARGS(db_text(in->idempotency_key)), &r));
    if (db_rows(r) == 0) /* purged in this very moment */
        return ctx_fail(cx, CODE_UNAVAILABLE,
                        "the job of idempotency key \"%s\" is just being removed",
                        in->idempotency_key);
    const char *hash = db_get(r, 0, 1);
    if (!hash || strcmp(hash, in->content_hash) != 0)
        return ctx_fail(cx, CODE_ALREADY_EXISTS,
                        "idempotency key \"%s\" was used with other bytes, for job \"%s\"",
                        in->idempotency_key, db_get(r, 0, 0));
    out->existed = true;
    out->job_id = ctx_strdup(cx, db_get(r, 0, 0));
    out->file_path = ctx_strdup(cx, db_get(r, 0, 2));
    out->file_name = ctx_strdup(cx, db_get(r, 0, 3));
    return out->job_id && out->file_path && out->file_name ? CODE_OK : cx->failure.code;
}

/* The connection broke during the insert: the database is asked whether it took effect. */
static enum code look_again(struct ctx *cx, struct jobs *jobs, const struct job_submission *in,
                            struct job_submitted *out)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    __typeof__(cx->failure) failure = cx->failure;
    ctx_clear(cx);
    enum code code = db_run(cx, jobs->db, &q_job_status, DB_ARGS(db_text(in->job_id)), &r);
    if (code == CODE_OK && db_rows(r))
        return CODE_OK;
    out->unsure = code != CODE_OK;
    cx->failure = failure;
    return failure.code;
}

static enum code insert_row(struct ctx *cx, struct jobs *jobs, const struct job_submission *in,
                            const char *payload, struct job_submitted *out, int64_t *ret_ready_ms)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    enum code code = db_run(cx, jobs->db, &q_job_insert,
                            DB_ARGS(db_text(in->job_id), db_text(in->task_type),
                                    db_text(in->priority), db_text(payload),
                                    db_int(jobs->settings->max_retries), db_text(in->file_name),
                                    db_text(in->content_hash), db_text(in->idempotency_key),
                                    db_bytes(in->sealed_password, in->sealed_password_len)),
                            &r);
    if (code != CODE_OK && db_unanswered(jobs->db))
        TRY(look_again(cx, jobs, in, out));
    else if (code != CODE_OK)
        return code;
    else if (db_rows(r) == 0)
        return answer_first(cx, jobs, in, out);
    out->job_id = in->job_id;
    out->file_path = in->file_path;
    out->file_name = in->file_name;
    *ret_ready_ms = r ? db_get_int(r, 0, 0) : clk_wall_us() / 1000;
    return CODE_OK;
}

static enum code find_duplicate(struct ctx *cx, struct jobs *jobs, const char *hash,
                                const char **ret_document_id)
{
    if (!jobs->settings->duplicate_detection)
        return CODE_OK;
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_document_by_hash, DB_ARGS(db_text(hash)), &r));
    if (db_rows(r))
        *ret_document_id = ctx_strdup(cx, db_get(r, 0, 0));
    return CODE_OK;
}

enum code jobs_submit(struct ctx *cx, struct jobs *jobs, const struct job_submission *in,
                      struct job_submitted *ret_out)
{
    struct job_submitted out = {0};
    const char *payload;
    int64_t ready_ms = 0;
    TRY(submit_refuse_when_closed(cx, jobs));
    TRY(payload_json(cx, in, &payload));
    TRY(find_duplicate(cx, jobs, in->content_hash, &out.duplicate_of));
    ret_out->unsure = false;
    if (insert_row(cx, jobs, in, payload, &out, &ready_ms) != CODE_OK) {
        ret_out->unsure = out.unsure;
        return cx->failure.code;
    }
    if (!out.existed) {
        queue_hint(cx, jobs, in->priority, in->job_id, ready_ms);
        struct event e = {.kind = EVENT_STATE, .status = "pending"};
        snprintf(e.job_id, sizeof(e.job_id), "%s", in->job_id);
        event_publish(cx, jobs, &e);
    }
    *ret_out = out;
    return CODE_OK;
}
