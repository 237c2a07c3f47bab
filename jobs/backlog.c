/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* backlog.c - QUEUE_MAX_BACKLOG: how many more submissions this process may accept (backlog.h).
 *
 * Jobs that wait are counted in PostgreSQL, at most once a second; what the limit leaves is a
 * number of places that submissions of this process use up one by one, without asking again. So a
 * submission costs no count, and this process alone never goes beyond the limit: places that were
 * taken while a count ran are taken off its result whether or not it saw them. Jobs that others
 * queue meanwhile (another server, retries, files of batches) are seen by the next count: with
 * several servers the limit can be passed by what they accept within a second.
 *
 * A count reads an index up to the limit. It is given at most a twentieth of the time, however long
 * it takes: with a limit of a million it is done less often than every second. */
#include "jobs/backlog.h"

#include <pthread.h>

#include "base/clk.h"

enum { COUNT_EVERY_MS = 1000, COUNT_SHARE = 20, TRUST_MS = 3000 };

static struct {
    pthread_mutex_t lock;
    int64_t limit; /* the one that was counted for; 0: not counted yet */
    int64_t counted_ms; /* when the last count ended */
    int64_t pause_ms; /* from then to the next */
    int64_t places;
    int64_t unsettled; /* taken, and it is not known yet whether they became jobs */
    int64_t settled; /* ever */
    bool counting;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

static enum code full(struct ctx *cx, const struct settings *s)
{
    return ctx_fail(cx, CODE_UNAVAILABLE,
                    "%lld jobs wait already (QUEUE_MAX_BACKLOG): try again later",
                    (long long)s->queue_max_backlog);
}

static enum code check_enabled(struct ctx *cx, const struct settings *s)
{
    if (s->queue_enabled)
        return CODE_OK;
    return ctx_fail(cx, CODE_UNAVAILABLE,
                    "the queue is disabled (TASK_QUEUE_ENABLED=false): nothing is accepted");
}

enum code backlog_check(struct ctx *cx, const struct settings *settings)
{
    TRY(check_enabled(cx, settings));
    pthread_mutex_lock(&state.lock);
    bool known = state.limit && state.limit == settings->queue_max_backlog &&
                 clk_mono_ms() - state.counted_ms < state.pause_ms + TRUST_MS;
    bool none = known && state.places == 0;
    pthread_mutex_unlock(&state.lock);
    return none ? full(cx, settings) : CODE_OK;
}

static enum code count(struct ctx *cx, struct jobs *jobs, int64_t limit)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    int64_t began = clk_mono_ms();
    pthread_mutex_lock(&state.lock);
    int64_t settled = state.settled;
    state.counting = true;
    pthread_mutex_unlock(&state.lock);
    enum code code = db_run(cx, jobs->db, &q_backlog, DB_ARGS(db_int(limit)), &r);
    pthread_mutex_lock(&state.lock);
    state.counting = false;
    if (code == CODE_OK) {
        int64_t left = limit - db_get_int(r, 0, 0) - state.unsettled - (state.settled - settled);
        state.places = MAX(left, 0);
        state.limit = limit;
        state.counted_ms = clk_mono_ms();
        state.pause_ms = MAX((int64_t)COUNT_EVERY_MS, (state.counted_ms - began) * COUNT_SHARE);
    }
    pthread_mutex_unlock(&state.lock);
    return code;
}

enum code backlog_look(struct ctx *cx, struct jobs *jobs)
{
    int64_t limit = jobs->settings->queue_max_backlog;
    if (!limit)
        return CODE_OK;
    pthread_mutex_lock(&state.lock);
    bool due = state.limit != limit ||
               (!state.counting && clk_mono_ms() - state.counted_ms >= state.pause_ms);
    pthread_mutex_unlock(&state.lock);
    return due ? count(cx, jobs, limit) : CODE_OK;
}

enum code backlog_take(struct ctx *cx, struct jobs *jobs, int n, int *ret_taken)
{
    TRY(check_enabled(cx, jobs->settings));
    if (!jobs->settings->queue_max_backlog) {
        *ret_taken = n;
        return CODE_OK;
    }
    TRY(backlog_look(cx, jobs));
    pthread_mutex_lock(&state.lock);
    int taken = (int)MIN((int64_t)n, state.places);
    state.places -= taken;
    state.unsettled += taken;
    pthread_mutex_unlock(&state.lock);
    if (!taken)
        return full(cx, jobs->settings);
    *ret_taken = taken;
    return CODE_OK;
}

void backlog_settle(const struct jobs *jobs, int taken, int used)
{
    if (!jobs->settings->queue_max_backlog)
        return;
    pthread_mutex_lock(&state.lock);
    state.unsettled -= taken;
    state.settled += used;
    state.places += taken - used;
    pthread_mutex_unlock(&state.lock);
}

enum code backlog_enter(struct ctx *cx, struct jobs *jobs)
{
    int taken;
    TRY(backlog_take(cx, jobs, 1, &taken));
    backlog_settle(jobs, 1, 1);
    return CODE_OK;
}
