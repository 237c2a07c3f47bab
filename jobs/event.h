/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* event.h - hints about jobs on the Redis channels "{queue}:events" and "{queue}:control".
 *
 * events: "s JOB EPOCH STATUS" (the status changed) and "p JOB EPOCH PERCENT DONE TOTAL MESSAGE".
 * control: "cancel JOB", "workers" (the desired state changed). Any may be lost or forged: a reader
 * takes progress only with the epoch it knows, and re-reads the row for a status. */
#ifndef JOBS_EVENT_H
#define JOBS_EVENT_H

#include "jobs/jobs.h"

enum event_kind { EVENT_NONE, EVENT_STATE, EVENT_PROGRESS, EVENT_CANCEL, EVENT_WORKERS };

struct event {
    enum event_kind kind;
    char job_id[37];
    int64_t epoch;
    char status[16]; /* EVENT_STATE */
    double percent; /* EVENT_PROGRESS, with the rest */
    int pages_done, pages_total;
    char message[128];
};

/* Progress is told in steps of 1/EVENT_STEPS percent, and an event's id is made of their number: so
 * every event of a claim is at least one step ahead of the one before, also when it only says
 * something else. The percent to tell next, below 100. */
enum { EVENT_STEPS = 10000 };
double event_percent(double before, double percent);

/* False (and EVENT_NONE) for anything that is not exactly one of the forms above. */
bool event_parse(const char *data, size_t len, struct event *ret_event);

/* Best effort: a failure is forgotten. */
void event_publish(struct ctx *cx, struct jobs *jobs, const struct event *event);

void event_fill_state(struct event *ret_event, const char *job_id, int64_t epoch,
                      const char *status);

/* As that, for several EVENT_STATE in one round trip. */
void event_publish_states(struct ctx *cx, struct jobs *jobs, const struct event *events, int n);

/* "{localrag_tasks}:events" and so on, in cx's arena. */
const char *event_channel(struct ctx *cx, const struct settings *s);
const char *control_channel(struct ctx *cx, const struct settings *s);

#endif
