/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rest_loop.c - the threads that serve the HTTP connections.
 *
 * Started and stopped by rest.c. The connections are shared out over a few daemons, each led by one
 * thread at a time: it waits for the daemon's events and has it read requests, run their steps and
 * send answers. Steps never wait, but for what is short although it asks the database
 * (rest_loop_ask: GetJob): the leader answers that itself, with one statement for all that have
 * come by then, because handing a request to another thread and waking the daemon for its answer
 * cost more than the answer. When that takes longer than CTX_PATIENCE_MS after all, the leader
 * suspends those connections and gives its loop to a spare thread in the middle of it
 * (Leader/Followers of Schmidt, O'Ryan, Kircher, Pyarali, 2000), as rpc_poll.c does. A leader
 * promises itself a spare before it asks; without one, questions go to the handler threads.
 *
 * A connection with a question stays with its daemon, which calls the step anew at each look and
 * finds it not answered: that is cheaper than to suspend and resume it. Answers are sent before the
 * next questions are asked. It does not know what a question is. */
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clk.h"
#include "server/rest_impl.h"

enum { SPARES = 2, THREADS = REST_LOOPS + SPARES };

struct rest_thread {
    struct rest_loops *all;
    pthread_t id;
    bool started;
    struct jobs *jobs;
    struct rest_loop *leads; /* NULL: none */
    struct task *group[HANDLERS_MAX_GROUP]; /* questions it is answering */
    int n_group;
};

struct rest_loops {
    struct rest *rest;
    pthread_mutex_t lock;
    pthread_cond_t freed;
    struct rest_loop *free; /* loops without a leader, under lock */
    int spares; /* threads without a loop that nobody counts on, under lock */
    _Atomic bool ending;
    int listen_fd;
    struct rest_loop loops[REST_LOOPS];
    struct rest_thread threads[THREADS];
};

/* ---- the lead ---- */

static bool promise_spare(struct rest_loops *all)
{
    pthread_mutex_lock(&all->lock);
    bool promised = all->spares > 0;
    all->spares -= promised;
    pthread_mutex_unlock(&all->lock);
    return promised;
}

/* The promised one was not needed, or leads now and this thread is one instead. */
static void return_spare(struct rest_loops *all)
{
    pthread_mutex_lock(&all->lock);
    all->spares++;
    pthread_mutex_unlock(&all->lock);
}

/* Waits for long: suspended, the requests outlive it whatever the next leader does. The daemon
 * allows that between two looks, since this thread is the one that runs it. */
static void give_lead(void *arg)
{
    struct rest_thread *t = arg;
    struct rest_loops *all = t->all;
    struct rest_loop *loop = t->leads;
    if (!loop)
        return;
    for (int i = 0; i < t->n_group; i++) {
        struct request *r = rest_of(t->group[i]);
        if (!r->done)
            rest_suspend(r);
    }
    t->leads = NULL;
    pthread_mutex_lock(&all->lock);
    loop->next = all->free;
    all->free = loop;
    pthread_cond_signal(&all->freed);
    pthread_mutex_unlock(&all->lock);
}

/* False: at the end. */
static bool take_lead(struct rest_thread *t)
{
    struct rest_loops *all = t->all;
    pthread_mutex_lock(&all->lock);
    while (!all->free && !all->ending)
        pthread_cond_wait(&all->freed, &all->lock);
    t->leads = all->free;
    if (t->leads)
        all->free = t->leads->next;
    pthread_mutex_unlock(&all->lock);
    return t->leads != NULL;
}

/* The daemon does not wake itself when it is run from outside. */
static void wake(struct rest_loop *loop)
{
    if (!atomic_exchange(&loop->woken, true))
        (void)!eventfd_write(loop->wake_fd, 1);
}

void rest_loop_resume(struct request *r)
{
    struct rest_loop *loop = r->loop;
    MHD_resume_connection(r->connection); /* r may be gone from here on */
    wake(loop);
}

/* ---- questions ---- */

enum MHD_Result rest_loop_ask(struct request *r, void (*run)(struct task *, struct jobs *),
                              void (*run_many)(struct task **, int, struct jobs *))
{
    struct rest_loop *loop = r->loop;
    if (r->asked)
        return MHD_YES;
    r->task.run_many = run_many;
    if (loop->n_asked == HANDLERS_MAX_GROUP)
        return rest_submit(r, run);
    r->asked = true;
    r->task.run = run;
    r->cx.deadline_ms = clk_mono_ms() + REST_DEADLINE_MS;
    loop->asked[loop->n_asked++] = r;
    return MHD_YES;
}

void rest_loop_forget(struct request *r)
{
    struct rest_loop *loop = r->loop;
    for (int i = 0; r->asked && !r->done && i < loop->n_asked; i++)
        if (loop->asked[i] == r) {
            loop->asked[i] = loop->asked[--loop->n_asked];
            return;
        }
}

static void answer(struct rest_thread *t)
{
    struct rest_loop *loop = t->leads;
    int n = t->n_group = loop->n_asked;
    loop->n_asked = 0;
    bool alone = !promise_spare(t->all);
    for (int i = 0; i < n; i++) {
        struct request *r = loop->asked[i];
        if (alone) {
            (void)rest_submit(r, r->task.run);
            continue;
        }
        t->group[i] = &r->task;
        r->cx.on_wait = give_lead;
        r->cx.on_wait_arg = t;
    }
    if (alone)
        return;
    t->group[0]->run_many(t->group, n, t->jobs);
    return_spare(t->all);
}

/* ---- a thread ---- */

static void wait_for_events(struct rest_loop *loop)
{
    MHD_UNSIGNED_LONG_LONG ms;
    struct pollfd fds[] = {{.fd = loop->epoll_fd, .events = POLLIN},
                           {.fd = loop->wake_fd, .events = POLLIN}};
    int timeout = -1;
    if (MHD_get_timeout(loop->daemon, &ms) == MHD_YES)
        timeout = (int)MIN(ms, 60000);
    if (timeout == 0 || poll(fds, ARRAY_LEN(fds), timeout) <= 0 || !fds[1].revents)
        return;
    eventfd_t n;
    (void)!eventfd_read(loop->wake_fd, &n);
    loop->woken = false; /* before the daemon looks: who comes later wakes it again */
}

static void *thread_main(void *arg)
{
    struct rest_thread *t = arg;
    while (t->leads || take_lead(t))
        while (t->leads) {
            struct rest_loop *loop = t->leads;
            if (!loop->n_asked)
                wait_for_events(loop);
            if (t->all->ending)
                return NULL;
            loop->replied = false;
            MHD_run(loop->daemon);
            if (loop->n_asked && !loop->replied)
                answer(t);
        }
    return NULL;
}

/* ---- life ---- */

static enum code start_loops(struct ctx *cx, struct rest_loops *all)
{
    const struct settings *s = all->rest->settings;
    TRY(rest_listen(cx, s->host, s->port, "PORT", &all->listen_fd));
    for (int i = 0; i < REST_LOOPS; i++) {
        struct rest_loop *loop = &all->loops[i];
        loop->rest = all->rest;
        loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        loop->daemon = rest_daemon(loop, all->listen_fd);
        const union MHD_DaemonInfo *info =
            loop->daemon ? MHD_get_daemon_info(loop->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
        if (!info || loop->wake_fd < 0)
            return ctx_fail(cx, CODE_INTERNAL, "could not start the HTTP daemon");
        loop->epoll_fd = info->epoll_fd;
    }
    return CODE_OK;
}

static enum code start_threads(struct ctx *cx, struct rest_loops *all)
{
    all->spares = SPARES;
    for (int i = 0; i < THREADS; i++) {
        struct rest_thread *t = &all->threads[i];
        t->all = all;
        t->leads = i < REST_LOOPS ? &all->loops[i] : NULL;
        TRY(jobs_open(cx, all->rest->settings, "localrag-server", &t->jobs));
        if (pthread_create(&t->id, NULL, thread_main, t) != 0)
            return ctx_fail(cx, CODE_OUT_OF_MEMORY, "could not start HTTP thread %d", i + 1);
        t->started = true;
    }
    return CODE_OK;
}

enum code rest_loop_start(struct ctx *cx, struct rest *rest)
{
    struct rest_loops *all = calloc(1, sizeof(*all));
    if (!all)
        return ctx_oom(cx);
    all->rest = rest;
    pthread_mutex_init(&all->lock, NULL);
    pthread_cond_init(&all->freed, NULL);
    rest->loops = all;
    all->listen_fd = -1;
    for (int i = 0; i < REST_LOOPS; i++)
        all->loops[i].wake_fd = -1;
    TRY(start_loops(cx, all));
    return start_threads(cx, all);
}

/* A daemon may just be taking the socket out of its set: it is closed when none runs any more. */
void rest_loop_quiesce(struct rest_loops *all)
{
    for (int i = 0; i < REST_LOOPS; i++)
        if (all->loops[i].daemon)
            (void)MHD_quiesce_daemon(all->loops[i].daemon);
    if (all->listen_fd >= 0)
        shutdown(all->listen_fd, SHUT_RDWR);
}

void rest_loop_stop(struct rest_loops *all)
{
    pthread_mutex_lock(&all->lock);
    all->ending = true;
    pthread_cond_broadcast(&all->freed);
    pthread_mutex_unlock(&all->lock);
    for (int i = 0; i < REST_LOOPS; i++)
        wake(&all->loops[i]);
    for (int i = 0; i < THREADS; i++) {
        if (all->threads[i].started)
            pthread_join(all->threads[i].id, NULL);
        jobs_close(all->threads[i].jobs);
    }
    for (int i = 0; i < REST_LOOPS; i++) {
        if (all->loops[i].daemon)
            MHD_stop_daemon(all->loops[i].daemon);
        if (all->loops[i].wake_fd >= 0)
            close(all->loops[i].wake_fd);
    }
    if (all->listen_fd >= 0)
        close(all->listen_fd);
    pthread_mutex_destroy(&all->lock);
    pthread_cond_destroy(&all->freed);
    free(all);
}
