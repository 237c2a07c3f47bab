/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* finisher.c - threads that write the ends of jobs (finisher.h).
 *
 * A commit costs the disk the same for one row as for a hundred, so what ends while one list is
 * written becomes the next list. There are two writers, so that the next list is worked on while
 * the disk is waited for. Nobody waits for company: a lone finish is written at once. (Group
 * commit: DeWitt et al., "Implementation techniques for main memory database systems", 1984.) And
 * no worker waits for the commit: it hands its finish over and runs another job, while the pool
 * keeps the finished one's place taken and its lease alive until `written` says what became of it.
 * The finisher itself tries nothing again: that is the pool's business (pool.c, task.c). */
#include "workers/finisher.h"

#include <pthread.h>
#include <stdlib.h>

#include "workers/thread.h"

enum { WRITERS = 2 };

struct writer {
    struct finisher *f;
    struct jobs *jobs;
    pthread_t thread;
    bool started;
};

struct finisher {
    struct writer writers[WRITERS];
    void (*written)(void *arg, struct jobs *jobs, struct job_finish *first);
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t added;
    struct job_finish *first, **last; /* to be written, in order */
    int waiting;
    bool ending;
};

/* Waits for some; NULL at the end. */
static struct job_finish *take(struct finisher *f)
{
    pthread_mutex_lock(&f->lock);
    while (!f->first && !f->ending) {
        f->waiting++;
        pthread_cond_wait(&f->added, &f->lock);
        f->waiting--;
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

static void *writer_main(void *arg)
{
    struct writer *w = arg;
    for (struct job_finish *first; (first = take(w->f));) {
        jobs_complete_many(w->jobs, first);
        w->f->written(w->f->arg, w->jobs, first);
    }
    return NULL;
}

static enum code start_writer(struct ctx *cx, const struct settings *settings, struct finisher *f,
                              struct writer *w)
{
    w->f = f;
    TRY(jobs_open(cx, settings, "localrag-worker finish", &w->jobs));
    TRY(thread_start(cx, &w->thread, "finish", writer_main, w));
    w->started = true;
    return CODE_OK;
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
    for (int i = 0; i < WRITERS; i++) {
        enum code code = start_writer(cx, settings, f, &f->writers[i]);
        if (code != CODE_OK) {
            finisher_free(f);
            return code;
        }
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
    bool wake = f->waiting > 0;
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
    pthread_cond_broadcast(&f->added);
    for (int i = 0; i < WRITERS; i++) {
        if (f->writers[i].started)
            pthread_join(f->writers[i].thread, NULL);
        jobs_close(f->writers[i].jobs);
    }
    pthread_cond_destroy(&f->added);
    pthread_mutex_destroy(&f->lock);
    free(f);
}
