/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* submit.c - stored uploads become jobs: those of several callers in one commit and one push.
 *
 * Group commit across callers, as PostgreSQL does it below for the log (and LevelDB's writers for
 * theirs): the server hands over whoever waits, and one statement inserts all their rows, so that
 * round trips, planning, the commit's flush and the push are shared. Each caller has its own
 * outcome in its own ctx; what is wrong with one row (the statement fails for all of them then) is
 * found by inserting each alone.
 *
 * The order is the guarantee: bytes durable, then the row committed, then the hint. Whoever got a
 * job id has a job; a hint that is lost is pushed again by the sweep. An idempotency key is settled
 * by the unique index, so two calls at the same moment get the same job, in one group or in two. */
#include "jobs/jobs.h"

#include <stdio.h>
#include <string.h>

#include "base/clk.h"
#include "base/str.h"
#include "jobs/backlog.h"
#include "jobs/event.h"
#include "jobs/queue.h"

/* What a submission is on its way through here. */
struct row {
    struct job_submit *caller;
    const char *payload;
    int64_t ready_ms;
    bool made; /* its row is committed, by this call */
};

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
static void look_again(struct jobs *jobs, struct row *row, const struct ctx *why)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    struct job_submit *s = row->caller;
    enum code code = db_run(s->cx, jobs->db, &q_job_status, DB_ARGS(db_text(s->in->job_id)), &r);
    if (code == CODE_OK && db_rows(r)) {
        row->made = true;
        row->ready_ms = clk_wall_us() / 1000;
        return;
    }
    s->out.unsure = code != CODE_OK;
    ctx_clear(s->cx);
    (void)ctx_fail(s->cx, why->failure.code, "%s", ctx_message(why));
}

static void take_outcome(struct jobs *jobs, struct row *row, const struct db_result *r, int at)
{
    struct job_submit *s = row->caller;
    row->made = !db_is_null(r, at, 0);
    row->ready_ms = db_get_int(r, at, 0);
    s->out.duplicate_of = arena_strdup(&s->cx->arena, db_get(r, at, 1)); /* no memory: not told */
    if (!row->made)
        (void)!answer_first(s->cx, jobs, s->in, &s->out); /* a failure is recorded */
}

static enum code insert(struct ctx *cx, struct jobs *jobs, struct row *rows, int n,
                        struct db_result **ret_result)
{
    CLEANUP(db_columns_done) struct db_columns c = {0};
    TRY(db_columns_init(cx, &c, "uttttttb"));
    for (int i = 0; i < n; i++) {
        const struct job_submission *in = rows[i].caller->in;
        db_put(&c, 0, in->job_id);
        db_put(&c, 1, in->task_type);
        db_put(&c, 2, in->priority);
        db_put(&c, 3, rows[i].payload);
        db_put(&c, 4, in->file_name);
        db_put(&c, 5, in->content_hash);
        db_put(&c, 6, in->idempotency_key);
        db_put_bytes(&c, 7, in->sealed_password, in->sealed_password_len);
    }
    return db_run(cx, jobs->db, &q_job_insert_many,
                  DB_ARGS(db_column(&c, 0), db_column(&c, 1), db_column(&c, 2), db_column(&c, 3),
                          db_column(&c, 4), db_column(&c, 5), db_column(&c, 6), db_column(&c, 7),
                          db_int(jobs->settings->max_retries),
                          db_bool(jobs->settings->duplicate_detection)),
                  ret_result);
}

/* No caller's time limit cuts what the others wait for. */
static int64_t latest_deadline(const struct row *rows, int n)
{
    int64_t latest = 0;
    for (int i = 0; i < n; i++) {
        int64_t t = rows[i].caller->cx->deadline_ms;
        if (!t)
            return 0;
        latest = MAX(latest, t);
    }
    return latest;
}

/* Whether a statement that failed so may succeed with fewer rows. */
static bool is_about_a_row(enum code code)
{
    return code == CODE_INTERNAL || code == CODE_ALREADY_EXISTS;
}

static void commit(struct jobs *jobs, struct row *rows, int n)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    CLEANUP(ctx_done) struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    cx.deadline_ms = latest_deadline(rows, n);
    enum code code = insert(&cx, jobs, rows, n, &r);
    bool unanswered = code != CODE_OK && db_unanswered(jobs->db);
    for (int i = 0; i < n; i++) {
        if (code == CODE_OK)
            take_outcome(jobs, &rows[i], r, i);
        else if (unanswered)
            look_again(jobs, &rows[i], &cx);
        else if (n > 1 && is_about_a_row(code))
            commit(jobs, &rows[i], 1);
        else
            (void)ctx_fail(rows[i].caller->cx, code, "%s", ctx_message(&cx));
    }
}

/* ---- the push ---- */

static void announce(struct jobs *jobs, const struct row *rows, int n)
{
    static const char *const priorities[] = {"high", "medium", "low"};
    struct queue_entry entries[JOBS_MAX_SUBMIT];
    struct event events[JOBS_MAX_SUBMIT];
    int n_events = 0;
    CLEANUP(ctx_done) struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    for (unsigned p = 0; p < ARRAY_LEN(priorities); p++) {
        int n_entries = 0;
        for (int i = 0; i < n; i++) {
            const struct job_submission *in = rows[i].caller->in;
            if (!rows[i].made || strcmp(in->priority, priorities[p]) != 0)
                continue;
            struct queue_entry *e = &entries[n_entries++];
            snprintf(e->job_id, sizeof(e->job_id), "%s", in->job_id);
            e->ready_ms = rows[i].ready_ms;
            events[n_events] = (struct event){.kind = EVENT_STATE, .status = "pending"};
            memcpy(events[n_events++].job_id, e->job_id, sizeof(e->job_id));
        }
        queue_hint_many(&cx, jobs, priorities[p], entries, n_entries);
    }
    event_publish_states(&cx, jobs, events, n_events);
}

/* ---- in ---- */

/* Those that may pass, in their order; the others have their failure. */
static int admit(struct jobs *jobs, struct job_submit *all, int n, struct row *rows)
{
    int admitted = 0, places = 0;
    for (int i = 0; i < n; i++) {
        struct row row = {.caller = &all[i]};
        all[i].out = (struct job_submitted){0};
        if (payload_json(all[i].cx, all[i].in, &row.payload) == CODE_OK)
            rows[admitted++] = row;
    }
    while (places < admitted) {
        int taken;
        if (backlog_take(rows[places].caller->cx, jobs, admitted - places, &taken) != CODE_OK)
            break;
        places += taken;
    }
    for (int i = places + 1; i < admitted; i++) {
        const struct ctx *why = rows[places].caller->cx;
        (void)ctx_fail(rows[i].caller->cx, why->failure.code, "%s", ctx_message(why));
    }
    return places;
}

void jobs_submit_many(struct jobs *jobs, struct job_submit *all, int n)
{
    struct row rows[JOBS_MAX_SUBMIT];
    int admitted = admit(jobs, all, n, rows), made = 0;
    if (!admitted)
        return;
    commit(jobs, rows, admitted);
    for (int i = 0; i < admitted; i++) {
        struct job_submit *s = rows[i].caller;
        if (!rows[i].made)
            continue;
        s->out.job_id = s->in->job_id;
        s->out.file_path = s->in->file_path;
        s->out.file_name = s->in->file_name;
        made++;
    }
    backlog_settle(jobs, admitted, made);
    if (made)
        announce(jobs, rows, admitted);
}

enum code jobs_submit(struct ctx *cx, struct jobs *jobs, const struct job_submission *in,
                      struct job_submitted *ret_out)
{
    struct job_submit one = {.cx = cx, .in = in};
    jobs_submit_many(jobs, &one, 1);
    if (cx->failure.code != CODE_OK)
        ret_out->unsure = one.out.unsure;
    else
        *ret_out = one.out;
    return cx->failure.code;
}
