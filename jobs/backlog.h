/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* backlog.h - QUEUE_MAX_BACKLOG: how many more submissions this process may accept.
 *
 * Any thread. The limit is 0 when there is none: then everything is open and nothing is counted. */
#ifndef JOBS_BACKLOG_H
#define JOBS_BACKLOG_H

#include "jobs/jobs.h"

/* UNAVAILABLE: TASK_QUEUE_ENABLED=false, or the backlog was at its limit a moment ago. Never
 * blocks: for refusing an upload before its body is read. */
enum code backlog_check(struct ctx *cx, const struct settings *settings) MUST_CHECK;

/* Takes places for up to n submissions, all or the first few (*ret_taken), and counts before when
 * the last count is old. UNAVAILABLE: none is left, or as backlog_check. */
enum code backlog_take(struct ctx *cx, struct jobs *jobs, int n, int *ret_taken) MUST_CHECK;

/* What became of the places that were taken: `used` have become jobs, the others are free again. */
void backlog_settle(const struct jobs *jobs, int taken, int used);

/* As backlog_take for one that becomes a job in all likelihood: a place that was not used is found
 * again by the next count. */
enum code backlog_enter(struct ctx *cx, struct jobs *jobs) MUST_CHECK;

/* Counts if the last count is old, so that backlog_check knows. For a thread that comes by once a
 * second. */
enum code backlog_look(struct ctx *cx, struct jobs *jobs) MUST_CHECK;

#endif
