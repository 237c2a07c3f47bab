/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* retention.h - removes finished jobs, a slice at a time. Private to jobs/. */
#ifndef JOBS_RETENTION_H
#define JOBS_RETENTION_H

#include "jobs/jobs.h"

enum { RETENTION_SLICE = 200 };

struct retention {
    int64_t jobs; /* rows removed, files of batches too */
    const char
        *folders; /* "id,id": uploads that nobody needs any more; remove them after the commit */
    bool more;
};

/* Inside a transaction: removes a slice of the jobs that ended at least age_ms ago, oldest first.
 * What it gives lives in cx. */
enum code retention_slice(struct ctx *cx, struct jobs *jobs, int64_t age_ms,
                          struct retention *ret) MUST_CHECK;

/* How long to leave the database to others after a slice, its commit included, that took took_us.
 */
int retention_rest_ms(int64_t took_us);

/* After the commit: the files of the removed jobs. Adds to the counts; a crash before or in the
 * middle leaves orphans, which maintenance finds. */
void retention_remove_files(const struct jobs *jobs, const struct retention *r, int64_t *files,
                            int64_t *bytes);

#endif
