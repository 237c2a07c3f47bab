/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* pools.h - leases: a worker pool is a row that is renewed every 2 s; and the sweep that frees the
 * jobs of pools that stopped renewing.
 *
 * Codes as in jobs.h. CLAIM_LOST from pools_beat: the pool was declared dead; drop every job, kill
 * the children, register anew. */
#ifndef JOBS_POOLS_H
#define JOBS_POOLS_H

#include "jobs/jobs.h"

enum { POOL_BEAT_MS = 2000, POOL_DEAD_MS = 10000, POOL_STRAYS_EVERY = 8 };

struct pool_worker { /* one worker of this pool, as the beat writes it */
    char name[32]; /* "high-priority-1", "general-1" */
    bool high_only;
    bool running;
    int64_t processed, failed; /* since the pool started */
    char job_id[37]; /* "": idle */
    int64_t epoch;
    bool progress_due; /* the five below are to be stored */
    double percent;
    int pages_done, pages_total;
    char message[128];
};

struct pool_orders { /* what the beat read back */
    bool want_running; /* the desired state: false: stop after draining */
    bool now; /* with want_running false: do not drain */
    int max_workers, high_priority_workers; /* so many may run; < 0: all */
    int n_lost; /* jobs this pool holds no longer: cancelled, or fenced off */
    char lost[256][37];
};

/* A new row under a new id. */
enum code pools_register(struct ctx *cx, struct jobs *jobs, const struct pool_worker *workers,
                         int n, char ret_pool_id[37]) MUST_CHECK;

/* Renews, writes workers and due progress, reads back cancellations and the desired state: one
 * round trip. Every POOL_STRAYS_EVERY beats, jobs the database thinks this pool has, claimed more
 * than 5 s ago and not in `workers`, are handed back. CLAIM_LOST: dead. */
enum code pools_beat(struct ctx *cx, struct jobs *jobs, const char *pool_id,
                     const struct pool_worker *workers, int n,
                     struct pool_orders *ret_orders) MUST_CHECK;

/* Clean end: hands back what is still held, removes the rows. */
enum code pools_close(struct ctx *cx, struct jobs *jobs, const char *pool_id) MUST_CHECK;

/* Frees the jobs of the pool whose process on this host has just been seen to exit; *ret_freed: how
 * many. */
enum code pools_died(struct ctx *cx, struct jobs *jobs, const char *host, int pid,
                     int *ret_freed) MUST_CHECK;

/* This host's name: the same in every process of the host. */
const char *pools_host(void);

/* The sweep: the only healer. Call it in a loop from one thread; it returns how long to sleep. Does
 * nothing (and says 1000) when another process has the tick. */
struct sweep;
enum code sweep_new(struct ctx *cx, struct jobs *jobs, struct sweep **ret_sweep) MUST_CHECK;
void sweep_free(struct sweep *s);
enum code sweep_tick(struct ctx *cx, struct sweep *s, int *ret_sleep_ms) MUST_CHECK;

#endif
