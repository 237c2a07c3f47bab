/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* task.h - one attempt at one job, as the function of its type sees it.
 *
 * A type's function runs in its worker's thread and returns how the attempt ended; task_run() turns
 * that into the job's next state. A function that waits does so in task_pause() or in a poll that
 * includes task_wake_fd(), and asks task_check() after every wait. */
#ifndef WORKERS_TASK_H
#define WORKERS_TASK_H

#include "workers/pool.h"

struct task {
    struct ctx *cx; /* memory of the whole attempt */
    struct jobs *jobs;
    const struct settings *settings;
    const struct job_claim *claim;
    struct slot *slot;
    int64_t started_ms;
    int64_t published_ms; /* last progress that went out */
    double percent;
    bool completing; /* task_complete() was called */
    int pause_ms; /* of the next wait for a database that is away; 0: it answered */
};

/* Runs the claim of `slot` to its end and settles the job, or goes on with one whose completion
 * could not be written. HANDED_OVER: the pool's finisher has the completion, and the slot with it.
 */
enum task_end { TASK_COMPLETED, TASK_NOT_COMPLETED, TASK_HANDED_OVER };
enum task_end task_run(struct slot *slot, struct jobs *jobs);

/* What became of a completion that was handed over. HANDED_OVER: it was not written, and task_run()
 * has to be called again. Finisher's thread. */
enum task_end task_written(struct slot *slot);

/* CLAIM_LOST or CANCELLED when the job is to be left, recorded in cx. */
enum code task_check(struct ctx *cx, struct task *t) MUST_CHECK;

/* Readable when task_check() has news or a token was granted; cleared by task_clear_wake(). */
int task_wake_fd(const struct task *t);
void task_clear_wake(struct task *t);

/* Waits; shorter when the job is to be left. */
void task_pause(struct task *t, int ms);

/* For do { code = call(cx, …); } while (task_again(cx, t, code)): true when the database is away,
 * after a pause that grows from call to call; the failure is forgotten. False as well when the job
 * is to be left. */
bool task_again(struct ctx *cx, struct task *t, enum code code);

/* One step with the database, tried until it answers. `call` gets a ctx of its own, whose memory
 * goes with the step; what has to stay belongs into t->cx. */
enum code task_step(struct task *t, enum code (*call)(struct ctx *cx, struct task *t, void *arg),
                    void *arg) MUST_CHECK;

/* The last step of a type's function whose job has no effect but its own row: it is written after
 * the function has returned CODE_OK, with others'. */
enum code task_complete(struct task *t, const struct job_completion *how) MUST_CHECK;

/* Tells watchers, at most every 50 ms unless `always`. Never falls. */
void task_progress(struct task *t, double percent, int pages_done, int pages_total, bool always,
                   const char *fmt, ...) PRINTF(6, 7);

/* A ctx for a part of the attempt whose memory goes before the rest. */
void task_scratch(const struct task *t, struct ctx *ret_cx, size_t limit);

/* The failure of `from` becomes cx's own; returns its code. */
enum code task_hand_up(struct ctx *cx, const struct ctx *from);

#endif
