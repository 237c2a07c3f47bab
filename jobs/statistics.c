/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* statistics.c - counts and times for people.
 *
 * Called by the server's GetJobStatistics; reads only. Days come from job_statistics, to which a
 * maintenance job adds what has ended (maintenance.c); what it has not reached yet is added while
 * reading, so the figures are right at any moment, also while no worker runs. Files of batches and
 * maintenance are left out. */
#include "jobs/jobs.h"

#include "jobs/record.h"

static enum code read_day(struct ctx *cx, const struct db_result *r, int row,
                          Localrag__V1__DailyStatistics **ret)
{
    Localrag__V1__DailyStatistics *d = ctx_alloc(cx, sizeof(*d));
    if (!d)
        return cx->failure.code;
    localrag__v1__daily_statistics__init(d);
    d->date = record_text(cx, r, row, 0);
    d->total_jobs = (int32_t)db_get_int(r, row, 1);
    d->completed_jobs = (int32_t)db_get_int(r, row, 2);
    d->failed_jobs = (int32_t)db_get_int(r, row, 3);
    d->cancelled_jobs = (int32_t)db_get_int(r, row, 4);
    d->avg_processing_time = db_get_double(r, row, 5);
    d->pages = (int32_t)db_get_int(r, row, 6);
    *ret = d;
    return cx->failure.code;
}

static enum code add_times(struct ctx *cx, const struct db_result *r, int row,
                           Localrag__V1__JobStatistics *out)
{
    Localrag__V1__JobStatistics__ProcessingTimesEntry *e = ctx_alloc(cx, sizeof(*e));
    Localrag__V1__ProcessingTimes *t = ctx_alloc(cx, sizeof(*t));
    if (!e || !t)
        return cx->failure.code;
    localrag__v1__job_statistics__processing_times_entry__init(e);
    localrag__v1__processing_times__init(t);
    e->key = record_text(cx, r, row, 0);
    e->value = t;
    t->avg_seconds = db_get_double(r, row, 2);
    t->max_seconds = db_get_double(r, row, 3);
    t->min_seconds = db_get_double(r, row, 4);
    out->processing_times[out->n_processing_times++] = e;
    return cx->failure.code;
}

static enum code add_24h(struct ctx *cx, struct jobs *jobs, Localrag__V1__JobStatistics *out)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_statistics_24h, DB_NO_ARGS, &r));
    size_t n = (size_t)db_rows(r);
    out->status_counts = ctx_array(cx, n, sizeof(*out->status_counts));
    out->processing_times = ctx_array(cx, n, sizeof(*out->processing_times));
    if (!out->status_counts || !out->processing_times)
        return cx->failure.code;
    for (int i = 0; i < (int)n; i++) {
        Localrag__V1__JobStatistics__StatusCountsEntry *e = ctx_alloc(cx, sizeof(*e));
        if (!e)
            return cx->failure.code;
        localrag__v1__job_statistics__status_counts_entry__init(e);
        e->key = record_text(cx, r, i, 0);
        e->value = db_get_int(r, i, 1);
        out->status_counts[out->n_status_counts++] = e;
        out->total_24h += e->value;
        if (!db_is_null(r, i, 2))
            TRY(add_times(cx, r, i, out));
    }
    return cx->failure.code;
}

enum code jobs_statistics(struct ctx *cx, struct jobs *jobs, Localrag__V1__JobStatistics *out)
{
    Localrag__V1__QueueStats *stats = ctx_alloc(cx, sizeof(*stats));
    if (!stats)
        return cx->failure.code;
    localrag__v1__queue_stats__init(stats);
    out->queue_stats = stats;
    TRY(add_24h(cx, jobs, out));
    TRY(jobs_queue_stats(cx, jobs, stats));
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_statistics_daily, DB_NO_ARGS, &r));
    out->daily = ctx_array(cx, (size_t)db_rows(r), sizeof(*out->daily));
    if (!out->daily)
        return cx->failure.code;
    for (int i = 0; i < db_rows(r); i++) {
        TRY(read_day(cx, r, i, &out->daily[i]));
        out->n_daily++;
    }
    return CODE_OK;
}
