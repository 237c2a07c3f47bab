/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rpc_poll.c - the two threads that take events from the completion queue, one at a time.
 *
 * Started and stopped by rpc.c. One of them leads: it takes events and runs their callbacks, which
 * never block. The other one is the spare and sleeps. What is short although it asks the database
 * (rpc_poll_ask: GetJob) the leader answers itself, gathered from all that the core has read by
 * then: handing a call to another thread and getting its answer sent costs two wake-ups, more than
 * the work itself. When that takes longer than CTX_PATIENCE_MS after all, the leader gives its role
 * to the spare in the middle of it (Leader/Followers of Schmidt, O'Ryan, Kircher, Pyarali, 2000)
 * and is the spare when it is done; without a spare, calls go to the handler threads. So whatever
 * the database does, events wait for milliseconds only. After a question that came alone it spins a
 * moment (base/spin.h), for the answer and for the next one: a caller that asks one thing after the
 * other waits mostly for threads to wake.
 *
 * More threads that take events at the same time were slower: they wake one another. */
#include "base/log.h"
#include "server/rpc_call.h"
#include "server/rpc_tsan.h"

static void give_lead(void *arg)
{
    struct rpc_poller *p = arg;
    struct rpc *rpc = p->rpc;
    if (!p->leads)
        return;
    p->leads = false;
    pthread_mutex_lock(&rpc->lead_lock);
    rpc->leader = NULL;
    pthread_cond_signal(&rpc->lead_free);
    pthread_mutex_unlock(&rpc->lead_lock);
}

static void take_lead(struct rpc_poller *p)
{
    struct rpc *rpc = p->rpc;
    pthread_mutex_lock(&rpc->lead_lock);
    rpc->n_spares++;
    while (rpc->leader)
        pthread_cond_wait(&rpc->lead_free, &rpc->lead_lock);
    rpc->n_spares--;
    rpc->leader = p;
    pthread_mutex_unlock(&rpc->lead_lock);
    p->leads = true;
}

static bool has_spare(struct rpc *rpc)
{
    pthread_mutex_lock(&rpc->lead_lock);
    bool has = rpc->n_spares > 0;
    pthread_mutex_unlock(&rpc->lead_lock);
    return has;
}

void rpc_poll_ask(struct rpc_call *call)
{
    struct rpc_poller *p = call->rpc->leader; /* that is this thread */
    p->asked[p->n_asked++] = &call->task;
}

static void answer(struct rpc_poller *p)
{
    int n = p->n_asked;
    p->n_asked = 0;
    spin_end(&p->spin);
    p->alone = n == 1;
    if (has_spare(p->rpc)) {
        for (int i = 0; i < n; i++) {
            struct ctx *cx = &rpc_call_of(p->asked[i])->cx;
            cx->on_wait = give_lead;
            cx->on_wait_arg = p;
            cx->alone = p->alone;
        }
        p->asked[0]->run_many(p->asked, n, p->jobs);
    } else {
        for (int i = 0; i < n; i++) {
            struct rpc_call *call = rpc_call_of(p->asked[i]);
            rpc_call_step(call, call->task.run, true);
        }
    }
    spin_begin(&p->spin); /* until the next question */
}

/* Until the lead is given away; false: the queue is shut down. */
static bool lead(struct rpc_poller *p)
{
    while (p->leads) {
        gpr_timespec now = gpr_inf_past(GPR_CLOCK_REALTIME);
        gpr_timespec never = gpr_inf_future(GPR_CLOCK_REALTIME);
        bool look = p->n_asked || (p->alone && spin_again(&p->spin));
        grpc_event event = grpc_completion_queue_next(p->rpc->queue, look ? now : never, NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN)
            return false;
        if (event.type == GRPC_OP_COMPLETE) {
            struct rpc_tag *tag = event.tag;
            tsan_acquire(tag);
            tag->fired(tag, event.success != 0);
        }
        if (p->n_asked == HANDLERS_MAX_GROUP || (p->n_asked && event.type == GRPC_QUEUE_TIMEOUT))
            answer(p);
    }
    return true;
}

static void *poll_main(void *arg)
{
    struct rpc_poller *p = arg;
    do
        take_lead(p);
    while (lead(p));
    give_lead(p); /* the other one sees the shutdown too */
    return NULL;
}

enum code rpc_poll_start(struct ctx *cx, struct rpc *rpc)
{
    for (size_t i = 0; i < ARRAY_LEN(rpc->pollers); i++) {
        struct rpc_poller *p = &rpc->pollers[i];
        p->rpc = rpc;
        TRY(jobs_open(cx, rpc->settings, "localrag-server", &p->jobs));
        if (pthread_create(&p->thread, NULL, poll_main, p) != 0)
            return ctx_fail(cx, CODE_OUT_OF_MEMORY, "could not start a gRPC poller thread");
        p->started = true;
    }
    return CODE_OK;
}

void rpc_poll_stop(struct rpc *rpc)
{
    for (size_t i = 0; i < ARRAY_LEN(rpc->pollers); i++) {
        if (rpc->pollers[i].started)
            pthread_join(rpc->pollers[i].thread, NULL);
        jobs_close(rpc->pollers[i].jobs);
    }
}
