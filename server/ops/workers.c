/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* workers.c - the calls of WorkerService.
 *
 * Start and stop write what is wanted and then look until it is so, for ten seconds at most (two
 * calls at a time, since each holds a handler thread; further ones answer at once how far it is):
 * pools on other hosts obey with their next beat, and a stop drains, which can take as long as a
 * document does. */
#include <stdatomic.h>
#include <time.h>

#include "base/clk.h"
#include "jobs/jobs.h"
#include "server/ops/ops.h"

enum { ANSWER_MS = 10000, LOOK_MS = 100, MAX_LOOKING = 2 };

enum code op_get_worker_health(struct ctx *cx, struct jobs *jobs, const ProtobufCMessage *in,
                               ProtobufCMessage *out)
{
    (void)in;
    return jobs_worker_health(cx, jobs, (Localrag__V1__WorkerHealth *)out);
}

enum code op_list_workers(struct ctx *cx, struct jobs *jobs, const ProtobufCMessage *in,
                          ProtobufCMessage *out_message)
{
    Localrag__V1__ListWorkersResponse *out = (Localrag__V1__ListWorkersResponse *)out_message;
    Localrag__V1__WorkerHealth health = LOCALRAG__V1__WORKER_HEALTH__INIT;
    (void)in;
    TRY(jobs_worker_health(cx, jobs, &health));
    out->workers = health.workers;
    out->n_workers = health.n_workers;
    return CODE_OK;
}

static bool reached(const Localrag__V1__WorkerHealth *h, bool running)
{
    return running ? h->status == LOCALRAG__V1__WORKER_HEALTH_STATUS__WORKER_HEALTH_STATUS_HEALTHY
                   : h->running_workers == 0;
}

static enum code look_until(struct ctx *cx, struct jobs *jobs, bool running, int64_t until,
                            Localrag__V1__WorkerHealth *h)
{
    for (;;) {
        localrag__v1__worker_health__init(h);
        TRY(jobs_worker_health(cx, jobs, h));
        if (reached(h, running) || clk_mono_ms() >= until)
            return CODE_OK;
        struct timespec look = {.tv_nsec = LOOK_MS * 1000000L};
        nanosleep(&look, NULL);
    }
}

static enum code settle(struct ctx *cx, struct jobs *jobs, bool running,
                        Localrag__V1__WorkersResponse *out)
{
    static atomic_int looking;
    Localrag__V1__WorkerHealth h;
    bool patient = atomic_fetch_add(&looking, 1) < MAX_LOOKING;
    int64_t until = clk_mono_ms() + (patient ? ANSWER_MS : 0);
    if (cx->deadline_ms)
        until = MIN(until, cx->deadline_ms - 2 * LOOK_MS);
    enum code code = look_until(cx, jobs, running, until, &h);
    atomic_fetch_sub(&looking, 1);
    TRY(code);
    bool done = reached(&h, running);
    out->status = ctx_strdup(cx, running ? done ? "running" : "starting"
                                 : done  ? "stopped"
                                         : "stopping");
    out->worker_count = h.worker_count;
    out->running_workers = h.running_workers;
    out->message =
        ctx_printf(cx, "%d of %d workers are running", h.running_workers, h.worker_count);
    return cx->failure.code;
}

enum code op_start_workers(struct ctx *cx, struct jobs *jobs, const ProtobufCMessage *in_message,
                           ProtobufCMessage *out)
{
    const Localrag__V1__StartWorkersRequest *in =
        (const Localrag__V1__StartWorkersRequest *)in_message;
    struct workers_wanted want = {.running = true, .max_workers = -1, .high_priority_workers = -1};
    if (!jobs->settings->queue_enabled)
        return ctx_fail(cx, CODE_UNAVAILABLE, "the queue is disabled (TASK_QUEUE_ENABLED=false)");
    if (in->_max_workers_case)
        want.max_workers = MAX(in->max_workers, 0);
    if (in->_high_priority_workers_case && in->high_priority_workers < 0)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "high_priority_workers: %d is negative",
                        in->high_priority_workers);
    if (in->_high_priority_workers_case)
        want.high_priority_workers = in->high_priority_workers;
    TRY(jobs_want_workers(cx, jobs, &want));
    return settle(cx, jobs, true, (Localrag__V1__WorkersResponse *)out);
}

enum code op_stop_workers(struct ctx *cx, struct jobs *jobs, const ProtobufCMessage *in,
                          ProtobufCMessage *out)
{
    struct workers_wanted want = {.now = ((const Localrag__V1__StopWorkersRequest *)in)->now,
                                  .max_workers = -1,
                                  .high_priority_workers = -1};
    TRY(jobs_want_workers(cx, jobs, &want));
    return settle(cx, jobs, false, (Localrag__V1__WorkersResponse *)out);
}
