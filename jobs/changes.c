/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* changes.c - which rows changed lately (record.h), for the server's hub.
 *
 * Hints say so at once but may be lost, and there are none while Redis is away; who watches all
 * jobs looks here as well. Times are the database's own, so no clock of another host matters. */
#include "jobs/record.h"

#include <stdio.h>

#include "jobs/state.h"

enum { COL_NOW, COL_JOB_ID, COL_STATUS, COL_EPOCH, COL_CHANGED_AT };

enum code jobs_changed(struct ctx *cx, struct jobs *jobs, double since, int max,
                       struct job_change *ret_changes, int *ret_n, double *ret_now)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_jobs_changed, DB_ARGS(db_double(since), db_int(max)), &r));
    int n = 0;
    for (int i = 0; i < db_rows(r); i++) {
        const char *id = db_get(r, i, COL_JOB_ID);
        if (!id) /* nothing changed */
            continue;
        struct job_change *c = &ret_changes[n++];
        snprintf(c->job_id, sizeof(c->job_id), "%s", id);
        c->status = state_parse(db_get(r, i, COL_STATUS));
        c->epoch = db_get_int(r, i, COL_EPOCH);
        c->changed_at = db_get_double(r, i, COL_CHANGED_AT);
    }
    *ret_n = n;
    *ret_now = db_get_double(r, 0, COL_NOW);
    return CODE_OK;
}
