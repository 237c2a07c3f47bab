/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* follow.h - a job that was queued or named, followed on the screen to its end and reported. */
#ifndef CLIENT_FOLLOW_H
#define CLIENT_FOLLOW_H

#include "client/app.h"
#include "client/screen.h"
#include "localrag/v1/job.pb-c.h"

/* Says that a job was queued and how to follow it; with --json the answer. Returns the exit status.
 */
int follow_queued(const struct app *app, const ProtobufCMessage *answer, const char *message,
                  const char *job_id);

struct follow {
    const char *job_id;
    const char *name; /* as shown; NULL: the job's own document name */
    bool known; /* the server has just accepted it: worth waiting for the server from the start */
    bool events; /* with --json print every event */
    struct screen *screen; /* slot 0 is ours */
};

/* Returns 0 when the job ended, however: see *ret_job. Else the exit status of what kept us from
 * seeing that, which has been said. --timeout bounds it. */
int follow_job(struct app *app, const struct follow *f, Localrag__V1__Job **ret_job) MUST_CHECK;

/* The end of a job for people: its result, or the job with its error; with --json the same as JSON
 * unless the events said it. Returns 0, or EXIT_JOB_FAILED when it did not complete. *ret_result,
 * when asked for, is what a completed job produced. */
int follow_report(struct app *app, const Localrag__V1__Job *job, bool events,
                  const Localrag__V1__JobResult **ret_result);

#endif
