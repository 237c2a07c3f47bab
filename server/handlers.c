/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* handlers.c - a fixed set of threads, one queue, one `struct jobs` a thread.
 *
 * The gRPC pollers and the HTTP daemon hand tasks over; they must never wait, so submit answers
 * "no" when the queue is full and the caller turns that into RESOURCE_EXHAUSTED. Steps of work that
 * was admitted (the next piece of an upload, the next event of a stream) are always taken: their
 * number is bounded by the calls they belong to.
 *
 * A task is touched only until its `run` begins: the run may hand the same task over again or free
 * it. Order is first in, first out. It does not know what a task does, nor cancel any: a cancelled
 * call finds out itself when it runs. */
#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "server/handlers.h"

struct thread {
    pthread_t id;
    struct handlers *handlers;
    struct jobs *jobs;
};

struct handlers {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct task *first, *last;
    int queued, queue_limit;
    bool stopping;
    int n_threads, n_started;
    struct thread threads[];
};

/* Lock held. */
static struct task *pop(struct handlers *h)
{
    struct task *task = h->first;
    if (!task)
        return NULL;
    h->first = task->next;
    if (!h->first)
        h->last = NULL;
    h->queued--;
    return task;
}

/* Lock held. */
static void push(struct handlers *h, struct task *task)
{
    task->next = NULL;
    if (h->last)
        h->last->next = task;
    else
        h->first = task;
    h->last = task;
    h->queued++;
    pthread_cond_signal(&h->filled);
}

static void *thread_main(void *arg)
{
    struct thread *thread = arg;
    struct handlers *h = thread->handlers;
    pthread_mutex_lock(&h->lock);
    for (;;) {
        struct task *task = pop(h);
        if (task) {
            pthread_mutex_unlock(&h->lock);
            task->run(task, thread->jobs);
            pthread_mutex_lock(&h->lock);
        } else if (h->stopping) {
            break;
        } else {
            pthread_cond_wait(&h->filled, &h->lock);
        }
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

bool handlers_submit(struct handlers *h, struct task *task)
{
    pthread_mutex_lock(&h->lock);
    bool accepted = !h->stopping && h->queued < h->queue_limit;
    if (accepted)
        push(h, task);
    pthread_mutex_unlock(&h->lock);
    return accepted;
}

void handlers_continue(struct handlers *h, struct task *task)
{
    pthread_mutex_lock(&h->lock);
    push(h, task);
    pthread_mutex_unlock(&h->lock);
}

void handlers_stop(struct handlers *h)
{
    if (!h)
        return;
    pthread_mutex_lock(&h->lock);
    h->stopping = true;
    pthread_cond_broadcast(&h->filled);
    pthread_mutex_unlock(&h->lock);
    for (int i = 0; i < h->n_started; i++)
        pthread_join(h->threads[i].id, NULL);
    for (int i = 0; i < h->n_threads; i++)
        jobs_close(h->threads[i].jobs);
    pthread_mutex_destroy(&h->lock);
    pthread_cond_destroy(&h->filled);
    free(h);
}

static enum code start_threads(struct ctx *cx, const struct settings *settings, struct handlers *h)
{
    for (int i = 0; i < h->n_threads; i++) {
        struct thread *thread = &h->threads[i];
        thread->handlers = h;
        TRY(jobs_open(cx, settings, "localrag-server", &thread->jobs));
        if (pthread_create(&thread->id, NULL, thread_main, thread) != 0)
            return ctx_fail(cx, CODE_OUT_OF_MEMORY, "could not start handler thread %d", i + 1);
        h->n_started++;
    }
    return CODE_OK;
}

enum code handlers_start(struct ctx *cx, const struct settings *settings, int threads,
                         int queue_limit, struct handlers **ret_handlers)
{
    struct handlers *h = calloc(1, sizeof(*h) + (size_t)threads * sizeof(h->threads[0]));
    if (!h)
        return ctx_oom(cx);
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->filled, NULL);
    h->n_threads = threads;
    h->queue_limit = queue_limit;
    enum code code = start_threads(cx, settings, h);
    if (code != CODE_OK) {
        handlers_stop(h);
        return code;
    }
    *ret_handlers = h;
    return CODE_OK;
}
