/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* sweeper.c - one thread that offers to do the sweep, again and again (sweeper.h).
 *
 * Which process does it is settled by the database at every tick; all of them trying is what makes
 * any one of them dispensable. Errors are the database's absence or a schema that is not there yet:
 * said once, then tried again. Not here: what a sweep does (jobs/). */
#include "workers/sweeper.h"

#include <stdlib.h>

#include "base/clk.h"
#include "workers/thread.h"

enum { LIMIT = 16 * 1024 * 1024, AWAY_MS = 1000, DEADLINE_MS = 20000 };

struct sweeper {
    struct jobs *jobs;
    struct sweep *sweep;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool ending; /* under the lock */
    bool away; /* logged already */
};

static bool wait_ms(struct sweeper *s, int ms)
{
    struct timespec until = clk_mono_after(ms);
    pthread_mutex_lock(&s->lock);
    bool timed_out = false;
    while (!s->ending && !timed_out)
        timed_out = pthread_cond_timedwait(&s->changed, &s->lock, &until) != 0;
    bool go = !s->ending;
    pthread_mutex_unlock(&s->lock);
    return go;
}

static void *sweeper_main(void *arg)
{
    struct sweeper *s = arg;
    int pause_ms = 0;
    do {
        struct ctx cx;
        ctx_init(&cx, LIMIT);
        cx.deadline_ms = clk_mono_ms() + DEADLINE_MS;
        pause_ms = AWAY_MS;
        enum code code = sweep_tick(&cx, s->sweep, &pause_ms);
        if (code != CODE_OK && !s->away)
            log_failure(&cx, LOG_LEVEL_WARNING, "the sweep failed; trying again until it works");
        s->away = code != CODE_OK;
        ctx_done(&cx);
    } while (wait_ms(s, pause_ms));
    return NULL;
}

enum code sweeper_start(struct ctx *cx, const struct settings *settings,
                        struct sweeper **ret_sweeper)
{
    struct sweeper *s = calloc(1, sizeof(*s));
    if (!s)
        return ctx_oom(cx);
    pthread_mutex_init(&s->lock, NULL);
    thread_cond_init(&s->changed);
    enum code code = jobs_open(cx, settings, "localrag-worker sweep", &s->jobs);
    if (code == CODE_OK)
        code = sweep_new(cx, s->jobs, &s->sweep);
    if (code == CODE_OK)
        code = thread_start(cx, &s->thread, "sweep", sweeper_main, s);
    if (code != CODE_OK) {
        sweep_free(s->sweep);
        jobs_close(s->jobs);
        free(s);
        return code;
    }
    *ret_sweeper = s;
    return CODE_OK;
}

void sweeper_free(struct sweeper *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->ending = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    sweep_free(s->sweep);
    jobs_close(s->jobs);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
