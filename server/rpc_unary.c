/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rpc_unary.c - calls with one request and one answer: an op of ops.h on a handler thread.
 *
 * started by rpc.c for every METHOD_UNARY. The message is received on the poller, unpacked and
 * answered in one step on a handler thread (GetJob, as a rule, on the poller itself); the answer,
 * the headers and the status leave in one batch. A call whose client is gone when its turn comes is
 * not run.
 *
 * Nothing here knows what an op does; failures are its ctx's, and only our own bugs are logged. */
#include "base/log.h"
#include "base/pbjson.h"
#include "server/ops/ops.h"
#include "server/rpc_call.h"

static enum code answer(struct rpc_call *call, struct jobs *jobs, ProtobufCMessage **ret_out)
{
    struct ctx *cx = &call->cx;
    const struct method *method = call->method->method;
    ProtobufCMessage *in;
    TRY(rpc_unpack(call, &cx->arena, &in));
    ProtobufCMessage *out = pbjson_new(cx, method->output);
    if (!out)
        return cx->failure.code;
    TRY(method->fn(cx, jobs, in, out));
    *ret_out = out;
    return CODE_OK;
}

static void run(struct task *task, struct jobs *jobs)
{
    struct rpc_call *call = rpc_call_of(task);
    if (rpc_call_cancelled(call)) {
        rpc_call_refuse(call, CODE_CANCELLED, "cancelled before it began");
        return;
    }
    ProtobufCMessage *out = NULL;
    if (answer(call, jobs, &out) == CODE_OK)
        rpc_call_reply(call, out);
    else
        rpc_call_fail(call, &call->cx);
}

/* GetJob is by far the most frequent call: those that wait are answered from one statement. */
static void run_get_jobs(struct task **tasks, int n, struct jobs *jobs)
{
    struct rpc_call *calls[HANDLERS_MAX_GROUP];
    struct job_wanted wanted[HANDLERS_MAX_GROUP];
    int count = 0;
    for (int i = 0; i < n; i++) {
        struct rpc_call *call = rpc_call_of(tasks[i]);
        ProtobufCMessage *in;
        if (rpc_call_cancelled(call)) {
            rpc_call_refuse(call, CODE_CANCELLED, "cancelled before it began");
        } else if (rpc_unpack(call, &call->cx.arena, &in) != CODE_OK) {
            rpc_call_fail(call, &call->cx);
        } else {
            calls[count] = call;
            wanted[count++] =
                (struct job_wanted){.cx = &call->cx,
                                    .job_id = ((const Localrag__V1__GetJobRequest *)in)->job_id};
        }
    }
    if (count)
        jobs_get_many(jobs, wanted, count);
    for (int i = 0; i < count; i++)
        if (wanted[i].job)
            rpc_call_reply(calls[i], &wanted[i].job->base);
        else
            rpc_call_fail(calls[i], &calls[i]->cx);
}

static void received(struct rpc_call *call, bool ok)
{
    if (!ok || rpc_call_cancelled(call)) {
        rpc_call_refuse(call, CODE_CANCELLED, "cancelled before it began");
    } else if (call->method->method->fn == op_get_job) {
        call->task.run = run;
        call->task.run_many = run_get_jobs;
        rpc_poll_ask(call);
    } else {
        rpc_call_step(call, run, true);
    }
}

void rpc_unary_start(struct rpc_call *call)
{
    rpc_call_receive(call, received);
}

void rpc_unknown_start(struct rpc_call *call)
{
    rpc_call_refuse(call, CODE_UNIMPLEMENTED, "this server has no such method");
}
