/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* queue.h - the lanes: ids of jobs that may run now, one sorted set a priority, in Redis.
 *
 * Private to jobs/. A lane is a hint: an id in it may be stale, a runnable job may be missing; the
 * claim and the sweep make up for both. */
#ifndef JOBS_QUEUE_H
#define JOBS_QUEUE_H

#include "jobs/jobs.h"

enum { QUEUE_LANE_CAP = 10000 };

struct queue_entry {
    char job_id[37];
    int64_t ready_ms; /* since 1970 */
};

/* Adds entries to the lane of `priority`; what does not fit sets the lane's overflow mark. While
 * the mark stands only the sweep's pushes are taken. Adding twice is the same as once. */
enum code queue_push(struct ctx *cx, struct jobs *jobs, const char *priority, bool from_sweep,
                     const struct queue_entry *entries, int n) MUST_CHECK;

/* Best effort: what is lost the sweep finds. */
void queue_hint_many(struct ctx *cx, struct jobs *jobs, const char *priority,
                     const struct queue_entry *entries, int n);
void queue_hint(struct ctx *cx, struct jobs *jobs, const char *priority, const char *job_id,
                int64_t ready_ms);

/* A job waits again and that is committed: the hint, and the word to its watchers. */
void queue_put_back(struct ctx *cx, struct jobs *jobs, const char *priority, const char *job_id,
                    int64_t epoch, int64_t ready_ms);

struct queue_lane {
    int64_t size;
    bool overflow;
    int64_t head_ms, tail_ms; /* undefined when size is 0 */
};
/* What no lane of ours can be (another type, more members than the cap) is removed and reported as
 * an empty lane: whatever was in it is in the rows. */
enum code queue_look(struct ctx *cx, struct jobs *jobs, const char *priority,
                     struct queue_lane *ret_lane) MUST_CHECK;
enum code queue_mark_overflow(struct ctx *cx, struct jobs *jobs, const char *priority) MUST_CHECK;
enum code queue_clear_overflow(struct ctx *cx, struct jobs *jobs, const char *priority) MUST_CHECK;

/* "{queue}:suffix" in cx's arena; NULL and recorded at the limit. */
const char *queue_key(struct ctx *cx, const struct settings *s, const char *suffix);

#endif
