/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* pools.c - a worker process's row in the database, renewed while it lives (pools.h).
 *
 * A beat is one statement: it renews, stores workers and due progress, and reads back which jobs
 * were taken away and what an operator wants. A beat that renews nothing means a sweeper declared
 * this pool dead; its jobs may run elsewhere already, and the fence refuses whatever it would still
 * write. */
#include "jobs/pools.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "jobs/queue.h"

const char *pools_host(void)
{
    static _Thread_local char name[65];
    if (!name[0]) {
        if (gethostname(name, sizeof(name) - 1) != 0 || !name[0])
            snprintf(name, sizeof(name), "localhost");
        for (char *p = name; *p; p++)
            if (*p == '@' || *p == ' ' || (unsigned char)*p < 0x21 || (unsigned char)*p > 0x7e)
                *p = '-';
    }
    return name;
}

static enum code register_rows(struct ctx *cx, struct jobs *jobs, const struct pool_worker *workers,
                               int n, const char *id)
{
    CLEANUP(db_columns_done) struct db_columns c = {0};
    TRY(db_columns_init(cx, &c, "tt"));
    for (int i = 0; i < n; i++) {
        db_put(&c, 0, workers[i].name);
        db_put(&c, 1, workers[i].high_only ? "high" : "any");
    }
    TRY(db_begin(cx, jobs->db));
    TRY(db_run(cx, jobs->db, &q_pool_insert,
               DB_ARGS(db_text(id), db_text(pools_host()), db_int(getpid()),
                       db_text(LOCALRAG_VERSION)),
               NULL));
    TRY(db_run(cx, jobs->db, &q_workers_insert,
               DB_ARGS(db_text(id), db_column(&c, 0), db_column(&c, 1)), NULL));
    return db_commit(cx, jobs->db);
}

enum code pools_register(struct ctx *cx, struct jobs *jobs, const struct pool_worker *workers,
                         int n, char ret_pool_id[37])
{
    char id[37];
    str_uuid(id);
    enum code code = register_rows(cx, jobs, workers, n, id);
    db_rollback(jobs->db);
    if (code == CODE_OK)
        memcpy(ret_pool_id, id, sizeof(id));
    return code;
}

/* "id,id,id" into the orders. */
static void read_lost(const char *ids, struct pool_orders *orders)
{
    for (; ids && *ids && orders->n_lost < (int)ARRAY_LEN(orders->lost); ids += ids[36] ? 37 : 36) {
        if (strlen(ids) < 36)
            return;
        snprintf(orders->lost[orders->n_lost++], 37, "%.36s", ids);
    }
}

static void tell_handed_back(struct ctx *cx, struct jobs *jobs, const struct db_result *r)
{
    for (int i = 0; i < db_rows(r); i++)
        queue_put_back(cx, jobs, db_get(r, i, 2), db_get(r, i, 0), db_get_int(r, i, 1),
                       db_get_int(r, i, 3));
}

static enum code hand_back_strays(struct ctx *cx, struct jobs *jobs, const char *pool_id,
                                  const struct pool_worker *workers, int n)
{
    CLEANUP(db_columns_done) struct db_columns c = {0};
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_columns_init(cx, &c, "u"));
    for (int i = 0; i < n; i++)
        if (workers[i].job_id[0])
            db_put(&c, 0, workers[i].job_id);
    TRY(db_run(cx, jobs->db, &q_pool_strays, DB_ARGS(db_text(pool_id), db_column(&c, 0)), &r));
    tell_handed_back(cx, jobs, r);
    return CODE_OK;
}

static enum code fill_columns(struct ctx *cx, const struct pool_worker *workers, int n,
                              struct db_columns *seen, struct db_columns *due)
{
    TRY(db_columns_init(cx, seen, "tillul"));
    TRY(db_columns_init(cx, due, "uldiit"));
    for (int i = 0; i < n; i++) {
        const struct pool_worker *w = &workers[i];
        db_put(seen, 0, w->name);
        db_put_int(seen, 1, w->running);
        db_put_int(seen, 2, w->processed);
        db_put_int(seen, 3, w->failed);
        db_put(seen, 4, w->job_id[0] ? w->job_id : NULL);
        db_put_int(seen, 5, w->epoch);
        if (!w->job_id[0] || !w->progress_due)
            continue;
        db_put(due, 0, w->job_id);
        db_put_int(due, 1, w->epoch);
        /* A beat that the database refuses costs the whole pool its lease. */
        db_put_double(due, 2, w->percent > 0 ? MIN(w->percent, 99.9999) : 0);
        db_put_int(due, 3, w->pages_done);
        db_put_int(due, 4, w->pages_total);
        db_put_bytes(due, 5, w->message, str_utf8_prefix(w->message, strlen(w->message)));
    }
    return CODE_OK;
}

enum code pools_beat(struct ctx *cx, struct jobs *jobs, const char *pool_id,
                     const struct pool_worker *workers, int n, struct pool_orders *ret_orders)
{
    CLEANUP(db_columns_done) struct db_columns seen = {0}, due = {0};
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(fill_columns(cx, workers, n, &seen, &due));
    TRY(db_run(cx, jobs->db, &q_pool_beat,
               DB_ARGS(db_text(pool_id), db_column(&seen, 0), db_column(&seen, 1),
                       db_column(&seen, 2), db_column(&seen, 3), db_column(&seen, 4),
                       db_column(&seen, 5), db_column(&due, 0), db_column(&due, 1),
                       db_column(&due, 2), db_column(&due, 3), db_column(&due, 4),
                       db_column(&due, 5)),
               &r));
    int64_t beats = db_get_int(r, 0, 0);
    if (beats == 0)
        return ctx_fail(cx, CODE_CLAIM_LOST, "this pool was declared dead");
    memset(ret_orders, 0, sizeof(*ret_orders));
    ret_orders->want_running =
        db_is_null(r, 0, 2) ? jobs->settings->workers_auto_start : db_get_bool(r, 0, 2);
    ret_orders->now = db_get_bool(r, 0, 3);
    ret_orders->max_workers = db_is_null(r, 0, 4) ? -1 : (int)db_get_int(r, 0, 4);
    ret_orders->high_priority_workers = db_is_null(r, 0, 5) ? -1 : (int)db_get_int(r, 0, 5);
    read_lost(db_get(r, 0, 1), ret_orders);
    return beats % POOL_STRAYS_EVERY ? CODE_OK : hand_back_strays(cx, jobs, pool_id, workers, n);
}

enum code pools_close(struct ctx *cx, struct jobs *jobs, const char *pool_id)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_pool_hand_back, DB_ARGS(db_text(pool_id)), &r));
    tell_handed_back(cx, jobs, r);
    return db_run(cx, jobs->db, &q_pool_delete, DB_ARGS(db_text(pool_id)), NULL);
}
