/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* record.h - rows of processing_jobs as Job messages. Private to jobs/ and server/hub.c. */
#ifndef JOBS_RECORD_H
#define JOBS_RECORD_H

#include "jobs/jobs.h"

/* A row of job_get.sql or job_list.sql, in cx's arena. `ret_epoch` may be NULL. */
enum code record_job(struct ctx *cx, const struct db_result *r, int row,
                     Localrag__V1__Job **ret_job, int64_t *ret_epoch) MUST_CHECK;

/* When its progress was stored (for JobProgress.updated_at), and its number (for paging). */
double record_progress_at(const struct db_result *r, int row);
int64_t record_id(const struct db_result *r, int row);
const char *record_row_id(const struct db_result *r, int row); /* its UUID, borrowed */

/* Seconds since 1970 as a Timestamp in cx's arena; NULL at the limit. */
Google__Protobuf__Timestamp *record_time(struct ctx *cx, double seconds);

/* Copies a nullable column into cx's arena; NULL stays NULL, `failed` is set at the limit. */
char *record_text(struct ctx *cx, const struct db_result *r, int row, int col);

/* A JSON object as a Struct; NULL text gives an empty one. */
enum code record_struct(struct ctx *cx, const char *json,
                        Google__Protobuf__Struct **ret) MUST_CHECK;

/* A JSON array of texts. */
enum code record_texts(struct ctx *cx, const char *json, char ***ret_texts,
                       size_t *ret_n) MUST_CHECK;

/* The job with the fence's epoch, straight from the row. */
enum code jobs_get_row(struct ctx *cx, struct jobs *jobs, const char *job_id,
                       Localrag__V1__Job **ret_job, int64_t *ret_epoch,
                       double *ret_progress_at) MUST_CHECK;

/* Jobs whose row changed after `since` (seconds since 1970 by the database's clock), the oldest
 * change first, at most `max` of them; and that clock's now. A very large `since` asks for the time
 * alone. */
struct job_change {
    char job_id[37];
    Localrag__V1__JobStatus status;
    int64_t epoch;
    double changed_at;
};
enum code jobs_changed(struct ctx *cx, struct jobs *jobs, double since, int max,
                       struct job_change *ret_changes, int *ret_n, double *ret_now) MUST_CHECK;

#endif
