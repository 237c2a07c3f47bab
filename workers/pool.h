/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* pool.h - the workers of this process: slots that hold a job each, and threads that run them; all
 * state under one lock.
 *
 * The dispatcher waits for idle workers and gives them claims; the keeper reports the workers and
 * stops what the database says is lost; main shuts down. None of them touches a running job
 * otherwise: they set a stop and write the worker's eventfd. All functions may be called from any
 * thread unless they say otherwise. */
#ifndef WORKERS_POOL_H
#define WORKERS_POOL_H

#include <pthread.h>

#include "jobs/pools.h"
#include "workers/box.h"
#include "workers/finisher.h"
#include "workers/tokens.h"

/* Why a running job is to be left. */
enum slot_stop {
    SLOT_GO,
    SLOT_HAND_BACK, /* shutdown: back to the queue */
    SLOT_LOST, /* cancelled, or another claim owns it: drop it quietly */
};

/* One worker: its name and the one job it holds. */
struct slot {
    struct pool *pool;
    char name[32];
    bool high_only;
    int wake_fd; /* eventfd: a stop, or a token */
    struct ctx claim_cx; /* memory of the claim */
    struct job_claim claim;
    struct ctx task_cx; /* memory of the attempt */
    int64_t started_ms;
    struct job_completion how; /* what the finisher is to write */
    struct job_finish finish; /* its code: what the finisher could not write, CODE_OK otherwise */
    /* guarded by pool->lock */
    struct slot *next; /* of those that wait for a runner */
    bool busy; /* it has a job, or is to get one: its claim has no id then */
    enum slot_stop stop;
    int64_t processed, failed;
    bool finishing; /* its transaction holds the job's row: no progress may be written to it */
    struct job_progress progress;
    char message[128];
    double stored_percent; /* what the keeper last wrote */
    int64_t stored_at_ms;
};

/* A thread that runs slots. There are as many as slots, so a job never waits for another's end. */
struct runner {
    struct pool *pool;
    pthread_t thread;
    bool started;
    pthread_cond_t woken;
    /* guarded by pool->lock */
    struct runner *next; /* of those that sleep */
    bool awake;
};

struct pool {
    const struct settings *settings;
    struct box *box;
    struct tokens *ocr_tokens, *text_tokens; /* a short text pass never waits for an OCR page */
    struct finisher *finisher; /* jobs that end at the same time share a commit */
    struct runner *runners; /* n_slots of them */
    pthread_mutex_t lock;
    struct slot *given, **last_given; /* slots that wait for a runner, in order */
    struct runner *asleep; /* the last to fall asleep first: its connections are the warmest */
    bool waking; /* a runner was woken and is not there yet */
    pthread_cond_t changed; /* an end of a job, or of what follows; CLOCK_MONOTONIC */
    char pool_id[37]; /* "": not registered */
    bool wanted; /* the desired state of the database */
    int n_high; /* the first slots take high priority only */
    int may_high, may_general; /* so many of each kind may run */
    bool closing; /* no new jobs, workers leave when they are done */
    bool beat_now; /* the keeper is to beat at once */
    pthread_cond_t asked; /* for it; CLOCK_MONOTONIC */
    int64_t waiting_client; /* Redis client that waits for high-priority jobs only; 0: none */
    int enough; /* ends of jobs wake nobody before so many are idle */
    int n_busy, n_slots;
    struct slot slots[];
};

/* What the dispatcher finds idle. */
struct pool_idle {
    int n_general, n_high; /* idle workers of each kind */
    bool all; /* nothing runs */
    char pool_id[37];
};

/* Borrows settings and box for its life. Starts the threads. */
enum code pool_new(struct ctx *cx, const struct settings *settings, struct box *box,
                   struct pool **ret_pool) MUST_CHECK;

/* Waits for the workers to leave (after pool_close); frees. NULL is fine. */
void pool_free(struct pool *pool);

/* The dispatcher's wait, at most timeout_ms: false when there is nothing to fill. */
bool pool_wait_idle(struct pool *pool, int timeout_ms, struct pool_idle *ret_idle);

/* Until so many workers are idle, at most timeout_ms. Dispatcher only. */
void pool_linger(struct pool *pool, int enough, int timeout_ms);

/* Takes up to `max` idle workers: for `high` jobs the high-priority ones first, for others the
 * general ones alone. They are busy from now on; each is to be given a claim or released. Their
 * names, valid as long as the pool. */
int pool_reserve(struct pool *pool, bool high, int max, const char **ret_names);
void pool_release(struct pool *pool, const char *const *names, int n);

/* False when a stop or the shutdown came: what was taken is not to be claimed. */
bool pool_may_take(struct pool *pool);

/* Starts claimed jobs, each on its claim->worker, which is reserved. Copies the claims. Which of
 * them could not be given (the pool closes, no memory) is put into ret_refused, and its worker is
 * released; their number. */
enum { POOL_MAX_GIVE = 256 };
int pool_give(struct pool *pool, const struct job_claim *claims, int n,
              const struct job_claim **ret_refused);

/* For the beat: fills `out` (n_slots of them) and marks progress that is due. */
void pool_report(struct pool *pool, struct pool_worker *out);
/* The beat that carried `sent` was stored. */
void pool_reported(struct pool *pool, const struct pool_worker *sent);

/* Stops the job with this epoch, if it still runs. */
void pool_stop_job(struct pool *pool, const char *job_id, int64_t epoch, enum slot_stop stop);
void pool_stop_all(struct pool *pool, enum slot_stop stop);

void pool_set_id(struct pool *pool, const char *pool_id);
/* The desired state, and how many of the workers may run (< 0: all; never more than there are). */
void pool_set_wanted(struct pool *pool, bool wanted, int max_workers, int high_workers);

/* Asks the keeper to beat at once. */
void pool_ask_beat(struct pool *pool);

/* No more jobs; workers leave when idle. */
void pool_close(struct pool *pool);
bool pool_is_closing(struct pool *pool);

/* True when nothing runs any more, within timeout_ms. */
bool pool_wait_drained(struct pool *pool, int64_t timeout_ms);

/* ---- for the running job, in its worker's thread ---- */

enum slot_stop slot_stopped(struct slot *slot);
void slot_progress(struct slot *slot, const struct job_progress *progress);
void slot_finishing(struct slot *slot, bool finishing);

#endif
