/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* listen.c - one thread on the control channel (listen.h), started by keeper.c.
 *
 * "cancel JOB" for a job of ours and "workers" ask the keeper for a beat, which reads the truth. A
 * message is all there is to trust in Redis: anybody who can publish there could stop jobs
 * otherwise. Lost messages cost what is left of two seconds; a lost connection is made again, and a
 * beat follows, for what was missed. */
#include "workers/listen.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "jobs/event.h"
#include "workers/thread.h"

enum { WAIT_MS = 500, LIMIT = 1024 * 1024 };

struct listen {
    struct pool *pool;
    struct kv *kv;
    pthread_t thread;
    atomic_bool ending;
};

static bool runs(struct pool *pool, const char *job_id)
{
    bool found = false;
    pthread_mutex_lock(&pool->lock);
    for (int i = 0; i < pool->n_slots; i++)
        found |= pool->slots[i].busy && strcmp(pool->slots[i].claim.job_id, job_id) == 0;
    pthread_mutex_unlock(&pool->lock);
    return found;
}

static void handle(struct listen *l, const struct kv_message *message)
{
    struct event event;
    if (!event_parse(message->data, message->len, &event))
        return;
    if (event.kind == EVENT_WORKERS || (event.kind == EVENT_CANCEL && runs(l->pool, event.job_id)))
        pool_ask_beat(l->pool);
}

/* Until the connection is lost. */
static enum code listen_once(struct listen *l)
{
    struct ctx cx;
    ctx_init(&cx, LIMIT);
    const char *channel = control_channel(&cx, l->pool->settings);
    enum code code = channel ? kv_subscribe(&cx, l->kv, 1, &channel) : cx.failure.code;
    ctx_done(&cx);
    if (code == CODE_OK)
        pool_ask_beat(l->pool);
    while (code == CODE_OK && !atomic_load(&l->ending)) {
        bool got = false;
        struct kv_message message;
        ctx_init(&cx, LIMIT);
        code = kv_wait(&cx, l->kv, WAIT_MS, &got, &message);
        if (code == CODE_OK && got)
            handle(l, &message);
        ctx_done(&cx);
    }
    return code;
}

static void *listen_main(void *arg)
{
    struct listen *l = arg;
    while (!atomic_load(&l->ending)) {
        if (listen_once(l) == CODE_OK)
            continue;
        struct timespec pause = clk_mono_after(WAIT_MS);
        pthread_mutex_lock(&l->pool->lock);
        while (!atomic_load(&l->ending) &&
               pthread_cond_timedwait(&l->pool->changed, &l->pool->lock, &pause) == 0)
            continue;
        pthread_mutex_unlock(&l->pool->lock);
    }
    return NULL;
}

enum code listen_start(struct ctx *cx, struct pool *pool, struct listen **ret_listen)
{
    struct listen *l = calloc(1, sizeof(*l));
    if (!l)
        return ctx_oom(cx);
    l->pool = pool;
    enum code code = kv_open(cx, &pool->settings->redis, &l->kv);
    if (code == CODE_OK)
        code = thread_start(cx, &l->thread, "listen", listen_main, l);
    if (code != CODE_OK) {
        kv_close(l->kv);
        free(l);
        return code;
    }
    *ret_listen = l;
    return CODE_OK;
}

void listen_free(struct listen *l)
{
    if (!l)
        return;
    atomic_store(&l->ending, true);
    pthread_join(l->thread, NULL);
    kv_close(l->kv);
    free(l);
}
