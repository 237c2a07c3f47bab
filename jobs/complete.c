/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* complete.c - makes jobs `completed`, those that end at the same time in one commit.
 *
 * A finish of nothing but its own row costs a commit, and a commit costs the disk the same for one
 * row as for a hundred. So the threads of a pool share a group: the first to come writes at once,
 * those that come while it writes wait, and the first of them then writes for all of them. Nobody
 * ever waits for company, so a lone finish takes as long as it would without a group. (Group
 * commit: DeWitt et al., "Implementation techniques for main memory database systems", 1984.)
 *
 * Each row keeps its own fence: what the statement does not return was lost. When it fails for
 * another reason than a database that is away, each writes its own row alone, so that no finish
 * fails for a neighbour's sake. A finish that belongs to a larger transaction (finish.c) uses the
 * same statement for one row and no group. */
#include "jobs/complete.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/event.h"

enum { MAX_GROUP = 256 };

struct finish {
    const struct job_claim *claim;
    const struct job_completion *how;
    struct finish *next;
    sem_t *turn; /* posted once: it is written, or is the first of those who wait */
    bool written;
    bool alone; /* to be written again without the others */
    enum code code;
    char message[160];
};

struct finish_group {
    struct jobs
        *jobs; /* whoever leads writes with it: warm, where each thread's own would not be */
    pthread_mutex_t lock;
    struct finish *first, **last; /* waiting, in order */
    bool writing; /* one of them leads, or was posted to */
};

enum code finish_group_new(struct ctx *cx, const struct settings *settings,
                           struct finish_group **ret_group)
{
    struct finish_group *g = calloc(1, sizeof(*g));
    if (!g)
        return ctx_oom(cx);
    enum code code = jobs_open(cx, settings, "localrag-worker finish", &g->jobs);
    if (code != CODE_OK) {
        free(g);
        return code;
    }
    pthread_mutex_init(&g->lock, NULL);
    g->last = &g->first;
    *ret_group = g;
    return CODE_OK;
}

void finish_group_free(struct finish_group *g)
{
    if (!g)
        return;
    jobs_close(g->jobs);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

static struct finish *find(struct finish *first, struct finish *from, const char *job_id)
{
    for (struct finish *f = from; f; f = f->next)
        if (strcmp(f->claim->job_id, job_id) == 0)
            return f;
    for (struct finish *f = first; f && f != from; f = f->next)
        if (strcmp(f->claim->job_id, job_id) == 0)
            return f;
    return NULL;
}

/* Marks what came back; rows mostly come in the order they were sent. */
static void mark(struct finish *first, const struct db_result *r)
{
    struct finish *next = first;
    for (int i = 0; i < db_rows(r); i++) {
        struct finish *f = find(first, next, db_get(r, i, 0));
        if (!f)
            continue;
        f->code = CODE_OK;
        next = f->next;
    }
}

/* Writes a list of them. Each gets its code when the statement succeeds. */
static enum code write_rows(struct ctx *cx, struct jobs *jobs, struct finish *first)
{
    CLEANUP(db_columns_done) struct db_columns c = {0};
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_columns_init(cx, &c, "ulttui"));
    for (struct finish *f = first; f; f = f->next) {
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
    for (struct finish *f = first; f; f = f->next)
        f->code = CODE_CLAIM_LOST;
    mark(first, r);
    return CODE_OK;
}

static enum code lost(struct ctx *cx, const struct job_claim *claim)
{
    return ctx_fail(cx, CODE_CLAIM_LOST, "job \"%s\" is not this worker's any more", claim->job_id);
}

enum code complete_row(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                       const struct job_completion *how)
{
    struct finish one = {.claim = claim, .how = how};
    TRY(write_rows(cx, jobs, &one));
    return one.code == CODE_OK ? CODE_OK : lost(cx, claim);
}

static void tell(struct ctx *cx, struct jobs *jobs, const struct finish *first)
{
    struct event *events = ctx_array(cx, MAX_GROUP, sizeof(*events));
    int n = 0;
    for (const struct finish *f = first; f && events; f = f->next)
        if (f->code == CODE_OK)
            event_fill_state(&events[n++], f->claim->job_id, f->claim->epoch, "completed");
    event_publish_states(cx, jobs, events, n);
}

/* With the group's lock: cuts off the next ones to write. */
static struct finish *take(struct finish_group *g)
{
    struct finish *first = g->first, *end = first;
    for (int n = 1; n < MAX_GROUP && end->next; n++)
        end = end->next;
    g->first = end->next;
    if (!g->first)
        g->last = &g->first;
    end->next = NULL;
    return first;
}

static void hand_out(struct finish *first, enum code code, const char *message)
{
    bool away = code == CODE_UNAVAILABLE || code == CODE_DEADLINE_EXCEEDED;
    bool several = first->next != NULL;
    for (struct finish *f = first; f && code != CODE_OK; f = f->next) {
        f->alone = several && !away;
        f->code = code;
        snprintf(f->message, sizeof(f->message), "%s", message);
    }
}

/* Writes the first of those who wait, and all that came since. */
static void lead(struct finish_group *g, const struct finish *own)
{
    pthread_mutex_lock(&g->lock);
    struct finish *first = take(g);
    pthread_mutex_unlock(&g->lock);
    struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    enum code code = write_rows(&cx, g->jobs, first);
    hand_out(first, code, ctx_message(&cx));
    if (code == CODE_OK)
        tell(&cx, g->jobs, first);
    ctx_done(&cx);
    pthread_mutex_lock(&g->lock);
    g->writing = g->first != NULL;
    sem_t *next = g->first ? g->first->turn : NULL;
    pthread_mutex_unlock(&g->lock);
    if (next)
        sem_post(next);
    for (struct finish *f = first, *after; f; f = after) {
        after = f->next; /* its thread leaves with it */
        f->written = true;
        if (f != own)
            sem_post(f->turn);
    }
}

static void finish_together(struct finish_group *g, struct finish *f)
{
    /* The thread's, for it must outlive the post that ends the wait. */
    static _Thread_local sem_t turn;
    sem_init(&turn, 0, 0);
    f->turn = &turn;
    pthread_mutex_lock(&g->lock);
    *g->last = f;
    g->last = &f->next;
    bool wait = g->writing;
    g->writing = true;
    pthread_mutex_unlock(&g->lock);
    while (wait && sem_wait(&turn) != 0)
        continue; /* a signal */
    if (!f->written)
        lead(g, f);
}

enum code jobs_complete(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                        const struct job_completion *how)
{
    struct finish f = {.claim = claim, .how = how, .alone = true};
    if (jobs->finishes) {
        f.alone = false;
        finish_together(jobs->finishes, &f);
    }
    if (f.alone) {
        TRY(complete_row(cx, jobs, claim, how));
        f.next = NULL;
        f.code = CODE_OK;
        tell(cx, jobs, &f);
        return CODE_OK;
    }
    if (f.code == CODE_CLAIM_LOST)
        return lost(cx, claim);
    return f.code == CODE_OK ? CODE_OK : ctx_fail(cx, f.code, "%s", f.message);
}
