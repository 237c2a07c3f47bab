/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* health.c - how long the queue is and whether the wanted workers run, from PostgreSQL's truth. */
#include "jobs/jobs.h"

#include <stdio.h>
#include <string.h>

#include "base/clk.h"
#include "jobs/record.h"

enum code jobs_queue_stats(struct ctx *cx, struct jobs *jobs, Localrag__V1__QueueStats *out)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    Localrag__V1__QueueLengths *lengths = ctx_alloc(cx, sizeof(*lengths));
    if (!lengths)
        return cx->failure.code;
    localrag__v1__queue_lengths__init(lengths);
    TRY(db_run(cx, jobs->db, &q_queue_lengths, DB_NO_ARGS, &r));
    for (int i = 0; i < db_rows(r); i++) {
        const char *priority = db_get(r, i, 0);
        int64_t n = db_get_int(r, i, 1);
        if (strcmp(priority, "high") == 0)
            lengths->high = n;
        else if (strcmp(priority, "medium") == 0)
            lengths->medium = n;
        else
            lengths->low = n;
        out->total_pending += n;
    }
    out->queue_lengths = lengths;
    return CODE_OK;
}

static enum code read_worker(struct ctx *cx, const struct db_result *r, int row,
                             Localrag__V1__Worker **ret)
{
    Localrag__V1__Worker *w = ctx_alloc(cx, sizeof(*w));
    if (!w)
        return cx->failure.code;
    localrag__v1__worker__init(w);
    w->worker_id = record_text(cx, r, row, 0);
    w->priority = strcmp(db_get(r, row, 1), "high") == 0
                      ? LOCALRAG__V1__WORKER_PRIORITY__WORKER_PRIORITY_HIGH
                      : LOCALRAG__V1__WORKER_PRIORITY__WORKER_PRIORITY_ANY;
    w->is_running = db_get_bool(r, row, 2);
    w->processed_count = db_get_int(r, row, 3);
    w->failed_count = db_get_int(r, row, 4);
    if ((w->current_job = record_text(cx, r, row, 5)))
        w->_current_job_case = LOCALRAG__V1__WORKER___CURRENT_JOB_CURRENT_JOB;
    w->start_time = record_time(cx, db_get_double(r, row, 6));
    w->host = record_text(cx, r, row, 7);
    w->pid = (int32_t)db_get_int(r, row, 8);
    w->pool_id = record_text(cx, r, row, 9);
    w->last_heartbeat = record_time(cx, db_get_double(r, row, 10));
    if (!w->worker_id || !w->host || !w->pool_id)
        return cx->failure.code;
    w->pool_worker_id = ctx_printf(cx, "%s@%s-%.4s", w->worker_id, w->host, w->pool_id);
    *ret = w;
    return cx->failure.code;
}

static enum code read_workers(struct ctx *cx, struct jobs *jobs, Localrag__V1__WorkerHealth *out)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_workers_list, DB_NO_ARGS, &r));
    out->workers = ctx_array(cx, (size_t)db_rows(r), sizeof(*out->workers));
    if (!out->workers)
        return cx->failure.code;
    for (int i = 0; i < db_rows(r); i++) {
        TRY(read_worker(cx, r, i, &out->workers[i]));
        out->n_workers++;
        out->worker_count++;
        out->running_workers += out->workers[i]->is_running;
        out->total_processed += out->workers[i]->processed_count;
        out->total_failed += out->workers[i]->failed_count;
    }
    return CODE_OK;
}

/* Whether an operator, or without one the configuration, wants the workers to run, and how many of
 * a pool (< 0: all). */
static enum code wanted(struct ctx *cx, struct jobs *jobs, bool *ret_running, int *ret_most,
                        const char **ret_since)
{
    *ret_most = -1;
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_worker_control_get, DB_NO_ARGS, &r));
    *ret_running = jobs->settings->workers_auto_start;
    *ret_since = NULL;
    if (db_rows(r)) {
        char since[32];
        clk_print_rfc3339((int64_t)db_get_double(r, 0, 1), 0, since);
        *ret_running = db_get_bool(r, 0, 0);
        *ret_since = ctx_strdup(cx, since);
        if (!db_is_null(r, 0, 2))
            *ret_most = (int)db_get_int(r, 0, 2);
    }
    return CODE_OK;
}

/* Workers that should run: those that are there, at most `most` of a pool, and this host's own pool
 * even when it has not registered. */
static int count_wanted(const Localrag__V1__WorkerHealth *h, int own, int most)
{
    int total = 0, pools = 0;
    for (size_t i = 0; i < h->n_workers; i++) {
        int of_pool = 0;
        bool first = true;
        for (size_t j = 0; j < h->n_workers; j++) {
            if (strcmp(h->workers[i]->pool_id, h->workers[j]->pool_id) != 0)
                continue;
            first = first && j >= i;
            of_pool++;
        }
        if (!first)
            continue;
        total += most < 0 ? of_pool : MIN(of_pool, most);
        pools++;
    }
    own = most < 0 ? own : MIN(own, most);
    return pools > 1 ? total : MAX(total, own);
}

enum code jobs_worker_health(struct ctx *cx, struct jobs *jobs, Localrag__V1__WorkerHealth *out)
{
    bool want;
    int most;
    const char *since;
    Localrag__V1__QueueStats *stats = ctx_alloc(cx, sizeof(*stats));
    if (!stats)
        return cx->failure.code;
    localrag__v1__queue_stats__init(stats);
    out->queue_stats = stats;
    TRY(read_workers(cx, jobs, out));
    TRY(jobs_queue_stats(cx, jobs, stats));
    TRY(wanted(cx, jobs, &want, &most, &since));
    int missing = count_wanted(out, (int)jobs->settings->max_workers, most) - out->running_workers;
    const char *message;
    if (!jobs->settings->queue_enabled) {
        out->status = LOCALRAG__V1__WORKER_HEALTH_STATUS__WORKER_HEALTH_STATUS_DISABLED;
        message = "background processing is disabled (TASK_QUEUE_ENABLED=false)";
    } else if (!want) {
        out->status = LOCALRAG__V1__WORKER_HEALTH_STATUS__WORKER_HEALTH_STATUS_STOPPED;
        message = since ? ctx_printf(cx, "stopped by request since %s", since)
                        : "TASK_WORKERS_AUTO_START=false and nobody started them";
    } else if (out->running_workers == 0) {
        out->status = LOCALRAG__V1__WORKER_HEALTH_STATUS__WORKER_HEALTH_STATUS_UNHEALTHY;
        message = "no worker is running: look at the log of localrag-worker";
    } else if (missing > 0) {
        out->status = LOCALRAG__V1__WORKER_HEALTH_STATUS__WORKER_HEALTH_STATUS_DEGRADED;
        message = ctx_printf(cx, "%d wanted workers are not running", missing);
    } else {
        out->status = LOCALRAG__V1__WORKER_HEALTH_STATUS__WORKER_HEALTH_STATUS_HEALTHY;
        message = "all wanted workers are running";
    }
    out->message = ctx_strdup(cx, message);
    return out->message ? CODE_OK : cx->failure.code;
}
