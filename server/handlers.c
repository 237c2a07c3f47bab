/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* handlers.c - a fixed set of threads, one queue, one `struct jobs` a thread.
 *
 * The gRPC pollers and the HTTP daemon hand tasks over; they must never wait, so submit answers
 * "no" when the queue is full and the caller turns that into RESOURCE_EXHAUSTED. Steps of work that
 * was admitted (the next piece of an upload, the next event of a stream) are always taken: their
 * number is bounded by the calls they belong to.
 *
 * A task is touched only until its `run` begins: the run may hand the same task over again or free
 * it. Order is first in, first out. Tasks with a run_many gather by that function: while a thread
 * runs one group of them the next one grows, so the busier the server, the larger the groups and
 * the fewer the round trips and commits; an idle server runs them one by one. (The queue of writers
 * of LevelDB's DBImpl::Write works like that, and PostgreSQL's own group commit.) It does not know
 * what a task does, nor cancel any: a cancelled call finds out itself when it runs. */
#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "server/handlers.h"

struct thread {
    pthread_t id;
    struct handlers *handlers;
    struct jobs *jobs;
};

struct queue {
    struct task *first, *last;
};

/* The functions of a program that run groups are few; were there more, the last ones' tasks would
 * run singly. */
enum { MAX_GROUPS = 8 };

struct group {
    void (*run_many)(struct task **tasks, int n, struct jobs *jobs); /* NULL: this one is free */
    struct queue waiting;
    bool runs;
};

struct handlers {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct queue single;
    struct group groups[MAX_GROUPS];
    unsigned turn; /* the group that is looked at first */
    int queued, queue_limit;
    bool stopping;
    int n_threads, n_started;
    struct thread threads[];
};

/* Lock held. */
static struct task *pop(struct handlers *h, struct queue *q)
{
    struct task *task = q->first;
    if (!task)
        return NULL;
    q->first = task->next;
    if (!q->first)
        q->last = NULL;
    h->queued--;
    return task;
}

/* Lock held. NULL: the task runs on its own. */
static struct group *group_of(struct handlers *h, const struct task *task)
{
    for (int i = 0; task->run_many && i < MAX_GROUPS; i++) {
        struct group *g = &h->groups[i];
        if (!g->run_many)
            g->run_many = task->run_many;
        if (g->run_many == task->run_many)
            return g;
    }
    return NULL;
}

/* Lock held. */
static void push(struct handlers *h, struct task *task)
{
    struct group *g = group_of(h, task);
    struct queue *q = g ? &g->waiting : &h->single;
    task->next = NULL;
    if (q->last)
        q->last->next = task;
    else
        q->first = task;
    q->last = task;
    h->queued++;
    if (!g || !g->runs) /* else its thread looks again */
        pthread_cond_signal(&h->filled);
}

/* Lock held. The functions take turns. NULL: there is no group to run now. */
static struct group *next_group(struct handlers *h)
{
    for (unsigned i = 0; i < MAX_GROUPS; i++) {
        struct group *g = &h->groups[(h->turn + i) % MAX_GROUPS];
        if (g->waiting.first && !g->runs) {
            h->turn = (h->turn + i + 1) % MAX_GROUPS;
            return g;
        }
    }
    return NULL;
}

/* Lock held, and again when it returns. False: there is no group to run now. */
static bool run_group(struct handlers *h, struct jobs *jobs)
{
    struct task *tasks[HANDLERS_MAX_GROUP];
    int n = 0;
    struct group *g = next_group(h);
    if (!g)
        return false;
    while (n < HANDLERS_MAX_GROUP && g->waiting.first)
        tasks[n++] = pop(h, &g->waiting);
    g->runs = true;
    pthread_mutex_unlock(&h->lock);
    g->run_many(tasks, n, jobs);
    pthread_mutex_lock(&h->lock);
    g->runs = false;
    return true;
}

static void *thread_main(void *arg)
{
    struct thread *thread = arg;
    struct handlers *h = thread->handlers;
    pthread_mutex_lock(&h->lock);
    for (;;) {
        if (run_group(h, thread->jobs))
            continue;
        struct task *task = pop(h, &h->single);
        if (task) {
            pthread_mutex_unlock(&h->lock);
            task->run(task, thread->jobs);
            pthread_mutex_lock(&h->lock);
        } else if (h->stopping) {
            break; /* a group that still runs is followed up by its thread */
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
