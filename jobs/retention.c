/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* retention.c - finished jobs that nobody needs any more, removed a slice at a time (retention.h).
 *
 * Used by maintenance.c (TASK_JOB_RETENTION) and by jobs_cleanup, which a person calls. A slice is
 * small enough that nobody waits for it, whatever there is to remove: one job of a million files or
 * a job of 20,000 pages takes many slices (jobs_purge.sql). Old rows lie in pages that nobody
 * touched for long: removing them without a rest writes tens of megabytes of log a second and one
 * checkpoint after the other, and every commit of others waits behind that. So there is a rest
 * after each slice, longer when the database is slow. Statistics lose nothing: a job is counted
 * when it ends. Documents stay. The original of a job that failed, was cancelled or was a duplicate
 * goes with its row, files after the commit: a row without its file could not be tried again, a
 * file without its row is just an orphan. */
#include "jobs/retention.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clk.h"
#include "store/blob.h"

enum {
    DAY_MS = 86400000,
    REST = 4, /* times as long as the slice took */
    MAX_REST_MS = 200,
};

enum code retention_slice(struct ctx *cx, struct jobs *jobs, int64_t age_ms, struct retention *ret)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_jobs_purge, DB_ARGS(db_int(age_ms), db_int(RETENTION_SLICE)), &r));
    *ret = (struct retention){.jobs = db_get_int(r, 0, 0),
                              .folders = ctx_strdup(cx, db_get(r, 0, 2)),
                              .more = db_get_int(r, 0, 0) || db_get_int(r, 0, 1)};
    return cx->failure.code;
}

int retention_rest_ms(int64_t took_us)
{
    return (int)MIN(took_us / 1000 * REST, (int64_t)MAX_REST_MS);
}

void retention_remove_files(const struct jobs *jobs, const struct retention *r, int64_t *files,
                            int64_t *bytes)
{
    for (const char *id = r->folders; id && strlen(id) >= 36; id += id[36] ? 37 : 36) {
        char folder[37];
        snprintf(folder, sizeof(folder), "%.36s", id);
        int64_t size = blob_remove_folder(jobs->settings->uploads_path, folder);
        *files += size >= 0;
        *bytes += size >= 0 ? size : 0;
    }
}

static enum code slice_alone(struct ctx *cx, struct jobs *jobs, int64_t age_ms,
                             struct retention *ret)
{
    TRY(db_begin(cx, jobs->db));
    TRY(retention_slice(cx, jobs, age_ms, ret));
    return db_commit(cx, jobs->db);
}

static void rest(int ms)
{
    struct timespec t = {.tv_nsec = (long)ms * 1000000};
    nanosleep(&t, NULL);
}

enum code jobs_cleanup(struct ctx *cx, struct jobs *jobs, int days, int64_t *ret_deleted)
{
    struct retention r;
    int64_t deleted = 0, files = 0, bytes = 0;
    if (days < 0 || days > 3650)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "days_old: %d is not between 0 and 3650", days);
    do {
        struct ctx slice;
        ctx_init(&slice, CTX_DEFAULT_LIMIT);
        slice.deadline_ms = cx->deadline_ms;
        int64_t began_us = clk_mono_us();
        enum code code = slice_alone(&slice, jobs, days * (int64_t)DAY_MS, &r);
        db_rollback(jobs->db);
        if (code == CODE_OK)
            retention_remove_files(jobs, &r, &files, &bytes);
        else
            (void)ctx_fail(cx, code, "%s; %lld jobs were removed before that", ctx_message(&slice),
                           (long long)deleted);
        ctx_done(&slice);
        TRY(cx->failure.code);
        deleted += r.jobs;
        if (r.more)
            rest(retention_rest_ms(clk_mono_us() - began_us));
    } while (r.more);
    *ret_deleted = deleted;
    return CODE_OK;
}
