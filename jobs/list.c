/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* list.c - a page of the list of jobs, and how many there are.
 *
 * Called by the server's ListJobs. A page token is the number of the last row, so paging costs the
 * same on every page. All filters are optional; together they say which pieces of which index the
 * list is put together from (sql/queries/job_list.sql), each already in the list's order. So one
 * prepared statement serves all of them, and what it reads is bounded by pieces times page.
 *
 * The number of matching jobs is counted up to EXACT_TOTAL. What was found to be above is
 * remembered for a while with an estimate from PostgreSQL's statistics, and a count that took long
 * for two seconds: counting for every page would cost more than the page. The memory is the
 * process's: all its threads ask the same database. */
#include "jobs/jobs.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clk.h"
#include "base/str.h"
#include "jobs/record.h"
#include "jobs/state.h"

enum {
    DEFAULT_LIMIT = 50,
    MAX_LIMIT = 200,
    MAX_OFFSET = 1000000,
    EXACT_TOTAL = 100000,
    QUICK_TOTAL = 10000, /* counted anew each time */
    EXACT_MS = 2000,
    ESTIMATE_MS = 30000,
    MAX_TOTALS = 128, /* filters without a batch are 70 */
    MAX_KEY = 100
};

struct total {
    char key[MAX_KEY]; /* the filter */
    int64_t total, until_ms;
    bool estimate;
};

static pthread_mutex_t totals_lock = PTHREAD_MUTEX_INITIALIZER;
static struct total totals[MAX_TOTALS];
static unsigned totals_next;

struct filter {
    const char *status, *task_type, *parent;
    bool children;
    char key[MAX_KEY]; /* what is the same for the same total */
    int64_t below; /* 0: from the newest */
    int64_t limit, offset;
};

/* The types and states to look in, as arrays of SQL. The files of batches are single documents. */
struct pieces {
    bool all; /* with no filter but, perhaps, a type: one index from its end */
    const char *types, *states, *file_states;
};

#define ALL_STATES "{pending,retrying,processing,completed,failed,cancelled}"

static enum code choose_pieces(struct ctx *cx, const struct filter *f, struct pieces *p)
{
    const char *states = f->status ? ctx_printf(cx, "{%s}", f->status) : ALL_STATES;
    bool single = f->task_type && strcmp(f->task_type, "single_document") == 0;
    bool any = !f->status && !f->parent;
    *p = (struct pieces){.all = any && f->children,
                         .types = f->task_type
                                      ? ctx_printf(cx, "{%s}", f->task_type)
                                      : "{single_document,directory_batch,document_reprocess}",
                         .states = "{}",
                         .file_states = "{}"};
    if (!p->all && !f->parent)
        p->states = states;
    if (f->parent ? !f->task_type || single : f->children && f->status)
        p->file_states = states;
    return cx->failure.code;
}

static enum code read_filter(struct ctx *cx, const Localrag__V1__ListJobsRequest *in,
                             struct filter *f)
{
    *f = (struct filter){.limit = in->limit ? in->limit : DEFAULT_LIMIT,
                         .offset = in->offset,
                         .children = in->include_children};
    if (in->status)
        f->status = state_name(in->status);
    if (in->task_type)
        f->task_type = state_task_name(in->task_type);
    if (f->status && !*f->status)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "status: %d is not a state", (int)in->status);
    if (f->task_type && !*f->task_type)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "task_type: %d is not a type",
                        (int)in->task_type);
    if (f->limit < 1 || f->limit > MAX_LIMIT)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "limit: %lld is not between 1 and %d",
                        (long long)f->limit, MAX_LIMIT);
    if (f->offset < 0 || f->offset > MAX_OFFSET)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "offset: %lld is not between 0 and %d",
                        (long long)f->offset, MAX_OFFSET);
    if (*in->parent_job_id) {
        if (!str_is_uuid(in->parent_job_id))
            return ctx_fail(cx, CODE_INVALID_ARGUMENT, "parent_job_id: \"%.100s\" is not a UUID",
                            in->parent_job_id);
        f->parent = in->parent_job_id;
    }
    if (in->task_type && in->task_type != LOCALRAG__V1__TASK_TYPE__TASK_TYPE_SINGLE_DOCUMENT)
        f->children = false; /* files of batches are single documents: the smaller index serves */
    snprintf(f->key, sizeof(f->key), "%d/%d/%d/%s", (int)in->status, (int)in->task_type,
             f->children, f->parent ? f->parent : "");
    if (*in->page_token && !str_parse_int(in->page_token, 1, INT64_MAX, &f->below))
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "page_token: \"%.100s\" is not one of ours",
                        in->page_token);
    return CODE_OK;
}

static bool remembered(const struct filter *f, Localrag__V1__ListJobsResponse *out)
{
    bool found = false;
    pthread_mutex_lock(&totals_lock);
    for (int i = 0; i < MAX_TOTALS && !found; i++) {
        const struct total *t = &totals[i];
        found = t->until_ms > clk_mono_ms() && strcmp(t->key, f->key) == 0;
        if (found) {
            out->total = t->total;
            out->total_is_estimate = t->estimate;
        }
    }
    pthread_mutex_unlock(&totals_lock);
    return found;
}

static void remember(const struct filter *f, const Localrag__V1__ListJobsResponse *out)
{
    int64_t ms = out->total_is_estimate ? ESTIMATE_MS : EXACT_MS;
    pthread_mutex_lock(&totals_lock);
    struct total *t = &totals[totals_next++ % MAX_TOTALS];
    *t = (struct total){.total = out->total,
                        .until_ms = clk_mono_ms() + ms,
                        .estimate = out->total_is_estimate};
    snprintf(t->key, sizeof(t->key), "%s", f->key);
    pthread_mutex_unlock(&totals_lock);
}

/* There are more than EXACT_TOTAL. The statistics know nothing of one batch. */
static enum code estimate_total(struct ctx *cx, struct jobs *jobs, const struct filter *f,
                                int64_t *total)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    if (f->parent)
        return CODE_OK;
    TRY(db_run(cx, jobs->db, &q_job_estimate,
               DB_ARGS(db_text(f->status), db_text(f->task_type), db_bool(f->children)), &r));
    *total = MAX(*total, db_get_int(r, 0, 0));
    return CODE_OK;
}

static enum code count_total(struct ctx *cx, struct jobs *jobs, const struct filter *f,
                             const struct pieces *p, Localrag__V1__ListJobsResponse *out)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    if (remembered(f, out))
        return CODE_OK;
    TRY(db_run(cx, jobs->db, &q_job_count,
               DB_ARGS(db_bool(p->all), db_text(p->types), db_text(p->states),
                       db_text(p->file_states), db_text(f->parent), db_int(EXACT_TOTAL + 1)),
               &r));
    out->total = db_get_int(r, 0, 0);
    out->total_is_estimate = out->total > EXACT_TOTAL;
    if (out->total_is_estimate)
        TRY(estimate_total(cx, jobs, f, &out->total));
    if (out->total > QUICK_TOTAL)
        remember(f, out);
    return CODE_OK;
}

enum code jobs_list(struct ctx *cx, struct jobs *jobs, const Localrag__V1__ListJobsRequest *in,
                    Localrag__V1__ListJobsResponse *out)
{
    struct filter f;
    struct pieces p;
    TRY(read_filter(cx, in, &f));
    TRY(choose_pieces(cx, &f, &p));
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_job_list,
               DB_ARGS(db_bool(p.all), db_text(p.types), db_text(p.states), db_text(p.file_states),
                       db_text(f.parent), f.below ? db_int(f.below) : db_null(), db_int(f.offset),
                       db_int(f.limit + 1)),
               &r));
    int n = (int)MIN((int64_t)db_rows(r), f.limit);
    out->jobs = ctx_array(cx, (size_t)n, sizeof(*out->jobs));
    if (!out->jobs)
        return cx->failure.code;
    for (int i = 0; i < n; i++) {
        TRY(record_job(cx, r, i, &out->jobs[i], NULL));
        out->n_jobs++;
    }
    if (db_rows(r) > n)
        out->next_page_token = ctx_printf(cx, "%lld", (long long)record_id(r, n - 1));
    out->limit = (int32_t)f.limit;
    out->offset = (int32_t)f.offset;
    return count_total(cx, jobs, &f, &p, out);
}
