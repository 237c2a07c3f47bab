/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* finisher.c - one thread that writes the ends of jobs (finisher.h).
 *
 * A commit costs the disk the same for one row as for a hundred, so what ends while one list is
 * written becomes the next list. Nobody waits for company: a lone finish is written at once. (Group
 * commit: DeWitt et al., "Implementation techniques for main memory database systems", 1984.) And
 * no worker waits for the commit: it hands its finish over and runs another job, while the pool
 * keeps the finished one's place taken and its lease alive until `written` says what became of it.
 * The finisher itself tries nothing again: that is the pool's business (pool.c, task.c). */
#include "workers/finisher.h"

#include <pthread.h>
#include <stdlib.h>

#include "workers/thread.h"

struct finisher {
    struct jobs *jobs;
    void (*written)(void *arg, struct jobs *jobs, struct job_finish *first);
    void *arg;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t added;
    struct job_finish *first, **last; /* to be written, in order */
    bool waiting, ending;
};

/* Waits for some; NULL at the end. */
static struct job_finish *take(struct finisher *f)
{
    pthread_mutex_lock(&f->lock);
    while (!f->first && !f->ending) {
        f->waiting = true;
        pthread_cond_wait(&f->added, &f->lock);
        f->waiting = false;
    }
    struct job_finish *first = f->first, *end = first;
    for (int n = 1; end && n < JOBS_MAX_FINISH && end->next; n++)
        end = end->next;
    f->first = end ? end->next : NULL;
    if (!f->first)
        f->last = &f->first;
    if (end)
        end->next = NULL;
    pthread_mutex_unlock(&f->lock);
    return first;
}

static void *finisher_main(void *arg)
{
    struct finisher *f = arg;
    for (struct job_finish *first; (first = take(f));) {
        jobs_complete_many(f->jobs, first);
        f->written(f->arg, f->jobs, first);
    }
    return NULL;
}

enum code finisher_start(struct ctx *cx, const struct settings *settings,
                         void (*written)(void *arg, struct jobs *jobs, struct job_finish *first),
                         void *arg, struct finisher **ret_finisher)
{
    struct finisher *f = calloc(1, sizeof(*f));
    if (!f)
        return ctx_oom(cx);
    f->written = written;
    f->arg = arg;
    f->last = &f->first;
    pthread_mutex_init(&f->lock, NULL);
    thread_cond_init(&f->added);
    enum code code = jobs_open(cx, settings, "localrag-worker finish", &f->jobs);
    if (code == CODE_OK)
        code = thread_start(cx, &f->thread, "finish", finisher_main, f);
    if (code != CODE_OK) {
        jobs_close(f->jobs);
        free(f);
        return code;
    }
    *ret_finisher = f;
    return CODE_OK;
}

void finisher_add(struct finisher *f, struct job_finish *finish)
{
    finish->next = NULL;
    pthread_mutex_lock(&f->lock);
    *f->last = finish;
    f->last = &finish->next;
    bool wake = f->waiting;
    f->waiting = false;
    pthread_mutex_unlock(&f->lock);
    if (wake)
        pthread_cond_signal(&f->added);
}

void finisher_free(struct finisher *f)
{
    if (!f)
        return;
    pthread_mutex_lock(&f->lock);
    f->ending = true;
    pthread_mutex_unlock(&f->lock);
    pthread_cond_signal(&f->added);
    pthread_join(f->thread, NULL);
    jobs_close(f->jobs);
    pthread_cond_destroy(&f->added);
    pthread_mutex_destroy(&f->lock);
    free(f);
}
