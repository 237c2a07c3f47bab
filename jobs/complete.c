/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* complete.c - makes jobs `completed`, one or a list of them in one commit.
 *
 * A finish of nothing but its own row costs a commit, and a commit costs the disk the same for one
 * row as for a hundred; a worker process collects those that end at the same time
 * (workers/finisher.c). Each row keeps its own fence: what the statement does not return was lost.
 * When it fails for another reason than a database that is away, each row is written alone, so that
 * no finish fails for a neighbour's sake. A finish that belongs to a larger transaction (finish.c)
 * uses the same statement for its row. Nothing is tried again here. */
#include "jobs/complete.h"

#include <stdio.h>
#include <string.h>

#include "jobs/event.h"

static struct job_finish *find(struct job_finish *first, struct job_finish *from,
                               const char *job_id)
{
    for (struct job_finish *f = from; f; f = f->next)
        if (strcmp(f->claim->job_id, job_id) == 0)
            return f;
    for (struct job_finish *f = first; f && f != from; f = f->next)
        if (strcmp(f->claim->job_id, job_id) == 0)
            return f;
    return NULL;
}

/* Marks what came back; rows mostly come in the order they were sent. */
static void mark(struct job_finish *first, const struct db_result *r)
{
    struct job_finish *next = first;
    for (int i = 0; i < db_rows(r); i++) {
        struct job_finish *f = find(first, next, db_get(r, i, 0));
        if (!f)
            continue;
        f->code = CODE_OK;
        next = f->next;
    }
}

/* Writes a list of them. Each gets its code when the statement succeeds. */
static enum code write_rows(struct ctx *cx, struct jobs *jobs, struct job_finish *first)
{
    CLEANUP(db_columns_done) struct db_columns c = {0};
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_columns_init(cx, &c, "ulttui"));
    for (struct job_finish *f = first; f; f = f->next) {
        db_put(&c, 0, f->claim->job_id);
        db_put_int(&c, 1, f->claim->epoch);
        db_put(&c, 2, f->how->message);
        db_put(&c, 3, f->how->result_json);
        db_put(&c, 4, f->how->document_id);
        db_put_int(&c, 5, f->how->pages);
    }
    TRY(db_run(cx, jobs->db, &q_job_complete,
               DB_ARGS(db_column(&c, 0), db_column(&c, 1), db_column(&c, 2), db_column(&c, 3),
                       db_column(&c, 4), db_column(&c, 5)),
               &r));
    for (struct job_finish *f = first; f; f = f->next)
        f->code = CODE_CLAIM_LOST;
    mark(first, r);
    return CODE_OK;
}

enum code complete_row(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                       const struct job_completion *how)
{
    struct job_finish one = {.claim = claim, .how = how};
    TRY(write_rows(cx, jobs, &one));
    if (one.code == CODE_OK)
        return CODE_OK;
    return ctx_fail(cx, CODE_CLAIM_LOST, "job \"%s\" is not this worker's any more", claim->job_id);
}

static void tell(struct ctx *cx, struct jobs *jobs, const struct job_finish *first)
{
    struct event *events = ctx_array(cx, JOBS_MAX_FINISH, sizeof(*events));
    int n = 0;
    for (const struct job_finish *f = first; f && events; f = f->next)
        if (f->code == CODE_OK)
            event_fill_state(&events[n++], f->claim->job_id, f->claim->epoch, "completed");
    event_publish_states(cx, jobs, events, n);
}

enum code jobs_complete(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                        const struct job_completion *how)
{
    const struct job_finish one = {.claim = claim, .how = how};
    TRY(complete_row(cx, jobs, claim, how));
    tell(cx, jobs, &one);
    return CODE_OK;
}

static void complete_alone(struct jobs *jobs, struct job_finish *f)
{
    struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    f->code = jobs_complete(&cx, jobs, f->claim, f->how);
    snprintf(f->message, sizeof(f->message), "%s", ctx_message(&cx));
    ctx_done(&cx);
}

void jobs_complete_many(struct jobs *jobs, struct job_finish *first)
{
    struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    enum code code = write_rows(&cx, jobs, first);
    bool away = code == CODE_UNAVAILABLE || code == CODE_DEADLINE_EXCEEDED;
    if (code == CODE_OK)
        tell(&cx, jobs, first);
    for (struct job_finish *f = first; f; f = f->next) {
        if (code != CODE_OK && !away && first->next) {
            complete_alone(jobs, f);
            continue;
        }
        if (code != CODE_OK)
            f->code = code;
        snprintf(f->message, sizeof(f->message), "%s",
                 f->code == CODE_CLAIM_LOST ? "the job is not this worker's any more"
                                            : ctx_message(&cx));
    }
    ctx_done(&cx);
}
