/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* watch.h - follows one job to its end, over lost connections and server restarts. */
#ifndef CLIENT_WATCH_H
#define CLIENT_WATCH_H

#include "client/conn.h"
#include "localrag/v1/job.pb-c.h"

/* Called for every event; the event is gone when it returns. */
typedef void (*watch_event)(void *user, const Localrag__V1__JobEvent *event);

/* Called when the server went away (why) and when it is back (NULL). May be NULL. */
typedef void (*watch_away)(void *user, const char *why);

struct watch {
    const char *job_id;
    watch_event on_event;
    watch_away on_away;
    void *user;
    bool known; /* the server has accepted the job: worth waiting for the server from the start */
};

bool watch_is_end(Localrag__V1__JobStatus status);

/* Returns the job in its terminal state, in cx's arena. cx->deadline_ms ends the wait with
 * DEADLINE_EXCEEDED, Ctrl-C with CANCELLED; neither touches the job. */
enum code watch_job(struct ctx *cx, struct conn *conn, const struct watch *w,
                    Localrag__V1__Job **ret_job) MUST_CHECK;

#endif
