/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* maintenance.c - the jobs that keep the house clean (maintenance.h).
 *
 *   statistics  adds job_ends to job_statistics (statistics_roll.sql)
 *   retention   removes finished jobs past TASK_JOB_RETENTION (retention.c)
 *   orphans     removes stored files that no document and no job needs, and temp files that a
 *               killed server left behind
 *
 * The sweep submits a kind that is due and has something to do; maintenance_submit.sql makes that
 * once, however many sweeps there are. workers/run_maintenance.c runs it like any job: claimed,
 * fenced, cancellable, tried again. What a run did is stored with every slice, so the next claim
 * goes on behind it, and everything may be done twice.
 *
 * A folder counts as an orphan when it is an hour old (a file is there before its row) and is
 * needed by nobody: its document was deleted, its job was a duplicate, or was removed. Whatever is
 * not of the store's own form, or lies in a folder of another database, stays. */
#include "jobs/maintenance.h"

#include <stdio.h>
#include <string.h>

#include "base/clk.h"
#include "base/log.h"
#include "base/pbjson.h"
#include "base/str.h"
#include "jobs/event.h"
#include "jobs/record.h"
#include "jobs/retention.h"
#include "store/blob.h"

enum {
    KEEP_FINISHED = 50,
    ROLL_SLICE = 5000,
    LIST_FOLDERS = 20000,
    ASK_FOLDERS = 500,
    ORPHAN_AGE_S = 3600,
    MAX_STATE = 64 * 1024
};

static enum code lost(struct ctx *cx, const struct job_claim *claim)
{
    return ctx_fail(cx, CODE_CLAIM_LOST, "job \"%s\" is not this worker's any more", claim->job_id);
}

/* ---- submit ---- */

enum code maintenance_submit(struct ctx *cx, struct jobs *jobs, struct queue_entry **ret_entries,
                             int *ret_n)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    if (!jobs->settings->queue_enabled)
        return CODE_OK;
    TRY(db_run(cx, jobs->db, &q_maintenance_submit,
               DB_ARGS(db_int(jobs->settings->job_retention_ms),
                       db_int(jobs->settings->max_retries)),
               &r));
    if (db_rows(r) == 0)
        return CODE_OK;
    struct queue_entry *entries = ctx_array(cx, (size_t)db_rows(r), sizeof(*entries));
    if (!entries)
        return cx->failure.code;
    for (int i = 0; i < db_rows(r); i++) {
        snprintf(entries[i].job_id, sizeof(entries[i].job_id), "%s", db_get(r, i, 0));
        entries[i].ready_ms = db_get_int(r, i, 1);
    }
    *ret_entries = entries;
    *ret_n = db_rows(r);
    return db_run(cx, jobs->db, &q_maintenance_purge, DB_ARGS(db_int(KEEP_FINISHED)), NULL);
}

static void tell(struct ctx *cx, struct jobs *jobs, const char *job_id, int64_t epoch,
                 const char *status)
{
    struct event e = {.kind = EVENT_STATE, .epoch = epoch};
    snprintf(e.job_id, sizeof(e.job_id), "%s", job_id);
    snprintf(e.status, sizeof(e.status), "%s", status);
    event_publish(cx, jobs, &e);
}

void maintenance_tell(struct ctx *cx, struct jobs *jobs, const struct queue_entry *entries, int n)
{
    for (int i = 0; i < n; i++) {
        queue_hint(cx, jobs, "low", entries[i].job_id, entries[i].ready_ms);
        tell(cx, jobs, entries[i].job_id, 0, "pending");
    }
}

/* ---- what a run has done ---- */

const char *maintenance_summary(struct ctx *cx, const struct maintenance *m)
{
    if (strcmp(m->kind, "statistics") == 0)
        return ctx_printf(cx, "Counted %lld finished job%s", (long long)m->counted_jobs,
                          m->counted_jobs == 1 ? "" : "s");
    const char *files = ctx_printf(cx, "%lld file%s", (long long)m->removed_files,
                                   m->removed_files == 1 ? "" : "s");
    if (!files || strcmp(m->kind, "orphans") == 0)
        return files ? ctx_printf(cx, "Removed %s nobody needs", files) : NULL;
    return ctx_printf(cx, "Removed %lld job%s and %s", (long long)m->removed_jobs,
                      m->removed_jobs == 1 ? "" : "s", files);
}

static enum code result_json(struct ctx *cx, const struct maintenance *m, const char *summary,
                             const char **ret_json)
{
    CLEANUP(buf_done) struct buf json = BUF_INIT(MAX_STATE);
    Localrag__V1__MaintenanceResult result = LOCALRAG__V1__MAINTENANCE_RESULT__INIT;
    result.kind = (char *)m->kind;
    result.counted_jobs = m->counted_jobs;
    result.removed_jobs = m->removed_jobs;
    result.removed_files = m->removed_files;
    result.freed_bytes = m->freed_bytes;
    result.summary = (char *)summary;
    pbjson_write(&json, &result.base);
    if (!summary || buf_failed(&json))
        return ctx_oom(cx);
    *ret_json = ctx_strdup(cx, buf_cstr(&json));
    return *ret_json ? CODE_OK : cx->failure.code;
}

/* The fence, and what was done so far. */
static enum code note(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                      const struct maintenance *m)
{
    const char *json, *summary = maintenance_summary(cx, m);
    int64_t rows;
    TRY(result_json(cx, m, summary, &json));
    TRY(db_change(cx, jobs->db, &q_maintenance_note,
                  DB_ARGS(db_text(claim->job_id), db_int(claim->epoch), db_text(json),
                          db_text(m->after), db_text(summary)),
                  &rows));
    return rows ? CODE_OK : lost(cx, claim);
}

static enum code read_done(struct ctx *cx, const char *json, struct maintenance *m)
{
    ProtobufCMessage *message;
    if (!json)
        return CODE_OK;
    TRY(pbjson_read(cx, &localrag__v1__maintenance_result__descriptor, json, strlen(json),
                    &message));
    const Localrag__V1__MaintenanceResult *done = (const Localrag__V1__MaintenanceResult *)message;
    m->counted_jobs = done->counted_jobs;
    m->removed_jobs = done->removed_jobs;
    m->removed_files = done->removed_files;
    m->freed_bytes = done->freed_bytes;
    return CODE_OK;
}

enum code maintenance_begin(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                            struct maintenance *ret_m)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    struct maintenance m = {.more = true};
    TRY(db_run(cx, jobs->db, &q_maintenance_read,
               DB_ARGS(db_text(claim->job_id), db_int(claim->epoch)), &r));
    if (db_rows(r) == 0)
        return lost(cx, claim);
    m.kind = db_is_null(r, 0, 0) ? "" : record_text(cx, r, 0, 0);
    TRY(cx->failure.code);
    TRY(read_done(cx, db_get(r, 0, 1), &m));
    if (!db_is_null(r, 0, 2) && str_is_uuid(db_get(r, 0, 2)))
        snprintf(m.after, sizeof(m.after), "%s", db_get(r, 0, 2));
    if (strcmp(m.kind, "orphans") == 0)
        m.folders = ctx_array(cx, LIST_FOLDERS, sizeof(*m.folders));
    TRY(cx->failure.code);
    *ret_m = m;
    return CODE_OK;
}

/* ---- statistics, retention ---- */

static enum code roll(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                      struct maintenance *m)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_begin(cx, jobs->db));
    TRY(db_run(cx, jobs->db, &q_statistics_roll, DB_ARGS(db_int(ROLL_SLICE)), &r));
    m->counted_jobs += db_get_int(r, 0, 1);
    m->more = db_get_int(r, 0, 0) == ROLL_SLICE;
    TRY(note(cx, jobs, claim, m));
    return db_commit(cx, jobs->db);
}

static enum code purge(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                       struct maintenance *m)
{
    struct retention r;
    int64_t began_us = clk_mono_us();
    TRY(db_begin(cx, jobs->db));
    TRY(retention_slice(cx, jobs, jobs->settings->job_retention_ms, &r));
    m->removed_jobs += r.jobs;
    m->more = r.more;
    TRY(note(cx, jobs, claim, m));
    TRY(db_commit(cx, jobs->db));
    m->rest_ms = retention_rest_ms(clk_mono_us() - began_us);
    retention_remove_files(jobs, &r, &m->removed_files, &m->freed_bytes);
    return CODE_OK;
}

/* ---- orphans ---- */

static enum code check_owner(struct ctx *cx, struct jobs *jobs)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    const char *root = jobs->settings->uploads_path;
    bool ours = false;
    TRY(db_run(cx, jobs->db, &q_store_owner, DB_NO_ARGS, &r));
    if (db_rows(r))
        TRY(blob_claim_root(cx, root, db_get(r, 0, 0), &ours));
    if (ours)
        return CODE_OK;
    return ctx_fail(cx, CODE_PERMISSION_DENIED,
                    "the files in \"%.500s\" are another database's, none is removed; if they are "
                    "this one's, remove \"%.500s/.owner\"",
                    root, root);
}

/* The next folders to ask about; a run begins behind the one before. */
static enum code list_folders(struct ctx *cx, struct jobs *jobs, struct maintenance *m)
{
    const char *root = jobs->settings->uploads_path;
    if (!m->listing) {
        m->listing = true;
        memcpy(m->listed, m->after, sizeof(m->listed));
        if (!m->after[0])
            m->removed_files += blob_remove_left_behind(root, &m->freed_bytes);
    }
    m->next_folder = 0;
    return blob_folders(cx, root, ORPHAN_AGE_S, LIST_FOLDERS, m->listed, m->folders, &m->n_folders);
}

static enum code remove_unknown(struct ctx *cx, struct jobs *jobs, struct maintenance *m, int n)
{
    CLEANUP(db_columns_done) struct db_columns c = {0};
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_columns_init(cx, &c, "u"));
    for (int i = 0; i < n; i++)
        db_put(&c, 0, m->folders[m->next_folder + i]);
    TRY(db_run(cx, jobs->db, &q_blobs_unknown, DB_ARGS(db_column(&c, 0)), &r));
    for (int i = 0; i < db_rows(r); i++) {
        int64_t bytes = blob_remove_folder(jobs->settings->uploads_path, db_get(r, i, 0));
        m->removed_files += bytes >= 0;
        m->freed_bytes += MAX(bytes, (int64_t)0);
    }
    return CODE_OK;
}

static enum code clear_orphans(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                               struct maintenance *m)
{
    if (!m->listing || (m->next_folder == m->n_folders && m->listed[0])) {
        TRY(check_owner(cx, jobs));
        TRY(list_folders(cx, jobs, m));
    }
    int n = MIN(m->n_folders - m->next_folder, (int)ASK_FOLDERS);
    if (n > 0) {
        TRY(remove_unknown(cx, jobs, m, n));
        m->next_folder += n;
        memcpy(m->after, m->folders[m->next_folder - 1], sizeof(m->after));
    }
    m->more = m->next_folder < m->n_folders || m->listed[0];
    return note(cx, jobs, claim, m);
}

/* ---- a run ---- */

enum code maintenance_slice(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                            struct maintenance *m)
{
    struct maintenance after = *m; /* a slice that fails never was */
    enum code code;
    if (strcmp(m->kind, "statistics") == 0)
        code = roll(cx, jobs, claim, &after);
    else if (strcmp(m->kind, "retention") == 0)
        code = purge(cx, jobs, claim, &after);
    else if (strcmp(m->kind, "orphans") == 0)
        code = clear_orphans(cx, jobs, claim, &after);
    else
        code = ctx_fail(cx, CODE_INVALID_ARGUMENT, "there is no maintenance \"%.100s\"", m->kind);
    db_rollback(jobs->db);
    TRY(code);
    *m = after;
    return CODE_OK;
}

enum code maintenance_complete(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                               const struct maintenance *m)
{
    const char *json, *summary = maintenance_summary(cx, m);
    int64_t rows;
    TRY(result_json(cx, m, summary, &json));
    TRY(db_change(cx, jobs->db, &q_maintenance_complete,
                  DB_ARGS(db_text(claim->job_id), db_int(claim->epoch), db_text(summary),
                          db_text(json)),
                  &rows));
    if (!rows)
        return lost(cx, claim);
    tell(cx, jobs, claim->job_id, claim->epoch, "completed");
    return CODE_OK;
}
