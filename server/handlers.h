/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* handlers.h - the threads that run handlers: each has its own `struct jobs`.
 *
 * Event loops (gRPC's and the HTTP daemon's) never block: they hand a task over and go on. */
#ifndef SERVER_HANDLERS_H
#define SERVER_HANDLERS_H

#include "jobs/jobs.h"

struct handlers;

/* Embedded in the caller's own struct; the caller keeps it alive until `run` was called. With
 * `run_many` it is run together with others that wait for the same function, one group at a time.
 */
struct task {
    void (*run)(struct task *task, struct jobs *jobs);
    void (*run_many)(struct task **tasks, int n, struct jobs *jobs); /* or NULL */
    struct task *next;
};
enum { HANDLERS_MAX_GROUP = 32 };

enum code handlers_start(struct ctx *cx, const struct settings *settings, int threads,
                         int queue_limit, struct handlers **ret_handlers) MUST_CHECK;

/* False: the queue is full or stopping; `run` will not be called. Never blocks. */
bool handlers_submit(struct handlers *h, struct task *task);

/* As submit, but always accepted (a step of work that was admitted before). */
void handlers_continue(struct handlers *h, struct task *task);

/* Runs what is queued, joins the threads, frees. */
void handlers_stop(struct handlers *h);

#endif
