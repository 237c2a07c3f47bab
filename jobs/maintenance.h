/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* maintenance.h - what has to be done from time to time, as jobs: submitted by the sweep, run by
 * workers in short slices.
 *
 * Codes as in jobs.h. */
#ifndef JOBS_MAINTENANCE_H
#define JOBS_MAINTENANCE_H

#include "jobs/jobs.h"
#include "jobs/queue.h"

/* ---- for the sweep (private to jobs/) ---- */

/* Inside the tick's transaction: submits what is due. To be told after the commit. */
enum code maintenance_submit(struct ctx *cx, struct jobs *jobs, struct queue_entry **ret_entries,
                             int *ret_n) MUST_CHECK;
void maintenance_tell(struct ctx *cx, struct jobs *jobs, const struct queue_entry *entries, int n);

/* ---- for workers ---- */

struct maintenance { /* of one run; memory of the begin call */
    const char *kind;
    int64_t counted_jobs, removed_jobs, removed_files, freed_bytes; /* with earlier runs */
    char after[37]; /* orphans: all folders up to here are done; "": none yet */
    char (*folders)[37]; /* orphans: those that were found and come next */
    int n_folders, next_folder;
    bool listing; /* this run has listed some */
    char listed[37]; /* orphans: the last folder that was looked at; "": all were */
    bool more; /* another slice has something to do */
    int rest_ms; /* to be left to others before it */
};

/* Where the job's earlier runs were. CLAIM_LOST; INVALID_ARGUMENT: somebody edited the row. */
enum code maintenance_begin(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                            struct maintenance *ret_m) MUST_CHECK;

/* One slice, some 10 ms, committed under the fence with the counts so far: another claim goes on
 * behind it. CLAIM_LOST; PERMISSION_DENIED: the stored files are another database's. */
enum code maintenance_slice(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                            struct maintenance *m) MUST_CHECK;

/* "Removed 12 jobs and 3 files", in cx; NULL at the limit. */
const char *maintenance_summary(struct ctx *cx, const struct maintenance *m);

/* CLAIM_LOST. */
enum code maintenance_complete(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                               const struct maintenance *m) MUST_CHECK;

#endif
