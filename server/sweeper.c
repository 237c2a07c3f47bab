/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* sweeper.c - one thread, its own `struct jobs`, one tick after another until the server stops.
 *
 * Started by main. The sweep is the only healer of lost hints and dead pools, so an error never
 * ends the loop: it is logged when it begins and when it is over, not every second. Several servers
 * may run it; sweep_tick sorts out who has the tick. It decides nothing about jobs itself. */
#include <pthread.h>
#include <stdlib.h>

#include "base/clk.h"
#include "base/log.h"
#include "jobs/backlog.h"
#include "jobs/pools.h"
#include "server/sweeper.h"

enum { AFTER_FAILURE_MS = 1000 };

struct sweeper {
    struct jobs *jobs;
    struct sweep *sweep; /* the thread's own */
    void (*changed)(void *arg, bool database);
    void *arg;
    enum code last; /* of the tick before */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake; /* monotonic clock */
    bool stopping;
};

/* Returns how long to sleep. */
static int tick(struct sweeper *s)
{
    CLEANUP(ctx_done) struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    int sleep_ms = AFTER_FAILURE_MS;
    enum code code = s->sweep ? CODE_OK : sweep_new(&cx, s->jobs, &s->sweep);
    if (code == CODE_OK)
        code = sweep_tick(&cx, s->sweep, &sleep_ms);
    if (code == CODE_OK)
        code = backlog_look(&cx, s->jobs);
    if (code != s->last && code != CODE_OK)
        log_failure(&cx, LOG_LEVEL_WARNING, "the sweep failed; trying again every second");
    else if (code != s->last)
        log_info(NULL, "the sweep works again");
    if ((code == CODE_UNAVAILABLE) != (s->last == CODE_UNAVAILABLE))
        s->changed(s->arg, code != CODE_UNAVAILABLE);
    s->last = code;
    return code == CODE_OK ? sleep_ms : AFTER_FAILURE_MS;
}

static void *thread_main(void *arg)
{
    struct sweeper *s = arg;
    pthread_mutex_lock(&s->lock);
    while (!s->stopping) {
        pthread_mutex_unlock(&s->lock);
        struct timespec until = clk_mono_after(tick(s));
        pthread_mutex_lock(&s->lock);
        int rc = 0;
        while (!s->stopping && rc == 0)
            rc = pthread_cond_timedwait(&s->wake, &s->lock, &until);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static void free_sweeper(struct sweeper *s)
{
    sweep_free(s->sweep);
    jobs_close(s->jobs);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->wake);
    free(s);
}

enum code sweeper_start(struct ctx *cx, const struct settings *settings,
                        void (*changed)(void *arg, bool database), void *arg,
                        struct sweeper **ret_sweeper)
{
    struct sweeper *s = calloc(1, sizeof(*s));
    if (!s)
        return ctx_oom(cx);
    s->changed = changed;
    s->arg = arg;
    s->last = CODE_OK;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &attr);
    pthread_condattr_destroy(&attr);

    enum code code = jobs_open(cx, settings, "localrag-sweep", &s->jobs);
    if (code == CODE_OK && pthread_create(&s->thread, NULL, thread_main, s) != 0)
        code = ctx_fail(cx, CODE_OUT_OF_MEMORY, "could not start the sweeper thread");
    if (code != CODE_OK) {
        free_sweeper(s);
        return code;
    }
    *ret_sweeper = s;
    return CODE_OK;
}

void sweeper_stop(struct sweeper *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    free_sweeper(s);
}
