/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rpc_call.c - the life of one call on the core API: armed, begun, receiving, sending, ended,
 * freed.
 *
 * Used by rpc.c (arming) and by the kinds of calls. What the core demands and this file keeps:
 *  - batches of one call are started one at a time: under the call's lock;
 *  - a batch may complete on the poller before grpc_call_start_batch returns, so every batch has a
 *    reference of its own and whoever starts one holds another until it has let go of the lock;
 *  - the close batch is started first and alone: it is how cancellation, deadline and a broken
 *    connection are noticed, so this file needs no timers;
 *  - the message is received only when the kind of call asks for it: nothing of a refused call's
 *    body is ever buffered.
 *
 * It knows nothing of what a call does. Status, trailers and request ids are made here and nowhere
 * else. */
#include <grpc/slice.h>
#include <grpc/support/time.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "base/log.h"
#include "base/str.h"
#include "server/metrics.h"
#include "server/rpc_call.h"
#include "server/rpc_tsan.h"

enum {
    MAX_STATUS_MESSAGE = 1500, /* percent-encoded it must fit in a client's 8 KiB of trailers */
    COMPRESS_FROM = 16 * 1024, /* bytes: below it costs more than it saves */
};

static void free_call(struct rpc_call *call)
{
    rpc_forget(call->rpc, call);
    if (call->received)
        grpc_byte_buffer_destroy(call->received);
    if (call->outgoing)
        grpc_byte_buffer_destroy(call->outgoing);
    for (size_t i = 0; i < ARRAY_LEN(call->trailers); i++)
        grpc_slice_unref(call->trailers[i].value);
    grpc_metadata_array_destroy(&call->metadata);
    grpc_call_details_destroy(&call->details);
    if (call->core)
        grpc_call_unref(call->core);
    ctx_done(&call->cx);
    pthread_mutex_destroy(&call->lock);
    free(call);
}

static void ref(struct rpc_call *call)
{
    atomic_fetch_add(&call->refs, 1);
}

void rpc_call_unref(struct rpc_call *call)
{
    if (atomic_fetch_sub(&call->refs, 1) == 1)
        free_call(call);
}

bool rpc_call_ref_if_alive(struct rpc_call *call)
{
    int refs = atomic_load(&call->refs);
    while (refs > 0)
        if (atomic_compare_exchange_weak(&call->refs, &refs, refs + 1))
            return true;
    return false;
}

bool rpc_call_cancelled(struct rpc_call *call)
{
    return atomic_load(&call->cancelled);
}

struct rpc_call *rpc_call_of(struct task *task)
{
    return (struct rpc_call *)((char *)task - offsetof(struct rpc_call, task));
}

/* Takes a reference for the batch. Lock held, and the caller holds another reference. */
static bool start_batch(struct rpc_call *call, const grpc_op *ops, size_t n, struct rpc_tag *tag)
{
    ref(call);
    tsan_release(tag);
    grpc_call_error error = grpc_call_start_batch(call->core, ops, n, tag, NULL);
    if (error == GRPC_CALL_OK)
        return true;
    log_error(&call->cx, "could not start a gRPC batch of %s: %s", call->method->path,
              grpc_call_error_to_string(error));
    atomic_fetch_sub(&call->refs, 1);
    return false;
}

/* ---- begin ---- */

/* Letters, digits and a few marks only: it goes into logs and headers. */
static bool sane_id(const unsigned char *s, size_t n)
{
    if (n < 1 || n > sizeof(((struct rpc_call *)NULL)->request_id) - 1)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
              (s[i] >= '0' && s[i] <= '9') || strchr("-_.:", s[i])))
            return false;
    return true;
}

static void choose_request_id(struct rpc_call *call)
{
    static const char key[] = "x-request-id";
    for (size_t i = 0; i < call->metadata.count && !call->request_id[0]; i++) {
        const grpc_metadata *m = &call->metadata.metadata[i];
        if (grpc_slice_str_cmp(m->key, key) == 0 &&
            sane_id(GRPC_SLICE_START_PTR(m->value), GRPC_SLICE_LENGTH(m->value)))
            memcpy(call->request_id, GRPC_SLICE_START_PTR(m->value), GRPC_SLICE_LENGTH(m->value));
    }
    if (!call->request_id[0])
        str_uuid(call->request_id);
    call->cx.request_id = call->request_id;
}

static void choose_deadline(struct rpc_call *call)
{
    gpr_timespec deadline = call->method->registered ? call->deadline : call->details.deadline;
    if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) == 0)
        return;
    int64_t left = gpr_time_to_millis(gpr_time_sub(deadline, gpr_now(deadline.clock_type)));
    call->cx.deadline_ms = clk_mono_ms() + MAX(left, 1);
}

/* The core enforces its limit only after the client has acknowledged our settings. */
static bool headers_too_large(const struct rpc_call *call)
{
    size_t total = 0;
    for (size_t i = 0; i < call->metadata.count; i++)
        total += GRPC_SLICE_LENGTH(call->metadata.metadata[i].key) +
                 GRPC_SLICE_LENGTH(call->metadata.metadata[i].value) + 32;
    return total > RPC_MAX_METADATA;
}

static void watch_close(struct rpc_call *call)
{
    grpc_op op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
    op.data.recv_close_on_server.cancelled = &call->close_flag;
    pthread_mutex_lock(&call->lock);
    start_batch(call, &op, 1, &call->tag_close);
    pthread_mutex_unlock(&call->lock);
}

static void fired_new(struct rpc_tag *tag, bool ok)
{
    struct rpc_call *call = tag->call;
    struct rpc *rpc = call->rpc;
    if (!ok) { /* the server shuts down; nobody called */
        rpc_call_unref(call);
        return;
    }
    rpc_call_arm(rpc, call->method);
    call->began_us = clk_mono_us();
    choose_request_id(call);
    choose_deadline(call);
    rpc_remember(rpc, call);
    ref(call);
    watch_close(call);
    if (headers_too_large(call))
        rpc_call_refuse(call, CODE_INVALID_ARGUMENT, "the request's headers are too large");
    else
        call->method->start(call);
    rpc_call_unref(call);
}

static void fired_close(struct rpc_tag *tag, bool ok)
{
    (void)ok;
    struct rpc_call *call = tag->call;
    if (call->close_flag) {
        atomic_store(&call->cancelled, true);
        rpc_call_tell_gone(call);
    }
    rpc_call_unref(call);
}

void rpc_call_on_gone(struct rpc_call *call, rpc_start_fn gone)
{
    pthread_mutex_lock(&call->lock);
    call->on_gone = gone;
    pthread_mutex_unlock(&call->lock);
    if (rpc_call_cancelled(call) || rpc_stopping(call->rpc))
        gone(call);
}

void rpc_call_tell_gone(struct rpc_call *call)
{
    pthread_mutex_lock(&call->lock);
    rpc_start_fn gone = call->on_gone;
    pthread_mutex_unlock(&call->lock);
    if (gone)
        gone(call);
}

/* ---- receive ---- */

static void fired_receive(struct rpc_tag *tag, bool ok)
{
    struct rpc_call *call = tag->call;
    pthread_mutex_lock(&call->lock);
    bool ended = call->ended;
    pthread_mutex_unlock(&call->lock);
    if (!ended)
        call->on_received(call, ok);
    rpc_call_unref(call);
}

void rpc_call_receive(struct rpc_call *call, rpc_done_fn done)
{
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};
    op.data.recv_message.recv_message = &call->received;
    ref(call);
    pthread_mutex_lock(&call->lock);
    call->on_received = done;
    bool started = start_batch(call, &op, 1, &call->tag_receive);
    pthread_mutex_unlock(&call->lock);
    if (!started)
        done(call, false);
    rpc_call_unref(call);
}

/* ---- send and end ---- */

/* A large `answer` (or NULL) is compressed if the client said that it can read that. */
static size_t add_headers(struct rpc_call *call, grpc_op *op, const grpc_byte_buffer *answer)
{
    if (call->headers_sent)
        return 0;
    call->headers_sent = true;
    *op = (grpc_op){.op = GRPC_OP_SEND_INITIAL_METADATA};
    if (answer && answer->data.raw.slice_buffer.length >= COMPRESS_FROM) {
        op->data.send_initial_metadata.maybe_compression_level.is_set = 1;
        op->data.send_initial_metadata.maybe_compression_level.level = GRPC_COMPRESS_LEVEL_LOW;
    }
    return 1;
}

static void set_trailer(grpc_metadata *trailer, const char *key, const char *value)
{
    trailer->key = grpc_slice_from_static_string(key);
    trailer->value = grpc_slice_from_copied_string(value);
}

/* Returns how many of them. */
static size_t set_trailers(struct rpc_call *call, enum code code, const char *message)
{
    set_trailer(&call->trailers[0], "localrag-request-id", call->request_id);
    if (code == CODE_OK)
        return 1;
    set_trailer(&call->trailers[1], "localrag-code", code_name(code));
    if (!rpc_details(call->method->method, code, message, &call->trailers[2].value))
        return 2;
    call->trailers[2].key = grpc_slice_from_static_string("grpc-status-details-bin");
    return 3;
}

static grpc_slice status_message(const char *message)
{
    size_t n = strlen(message);
    return grpc_slice_from_copied_buffer(message,
                                         str_utf8_prefix(message, MIN(n, MAX_STATUS_MESSAGE)));
}

static void log_end(const struct rpc_call *call, enum code code)
{
    int64_t us = clk_mono_us() - call->began_us;
    metrics_grpc(call->method->method, code, us);
    if (code == CODE_INTERNAL && call->cx.failure.code == CODE_INTERNAL)
        log_failure(&call->cx, LOG_LEVEL_ERROR, call->method->path);
    else
        log_debug(&call->cx, "%s: %s after %.1f ms", call->method->path, code_name(code),
                  (double)us / 1000);
}

/* The first end wins. `answer` is taken. Lock held; the caller holds a reference. */
static void end_locked(struct rpc_call *call, enum code code, const char *message,
                       grpc_byte_buffer *answer)
{
    if (call->ended) {
        if (answer)
            grpc_byte_buffer_destroy(answer);
        return;
    }
    call->ended = true;
    call->outgoing = answer;
    grpc_op ops[3];
    size_t n = add_headers(call, ops, answer);
    if (answer) {
        ops[n] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE};
        ops[n++].data.send_message.send_message = answer;
    }
    grpc_slice details = status_message(message);
    ops[n] = (grpc_op){.op = GRPC_OP_SEND_STATUS_FROM_SERVER};
    ops[n].data.send_status_from_server.status = (grpc_status_code)code_grpc(code);
    ops[n].data.send_status_from_server.status_details = code == CODE_OK ? NULL : &details;
    ops[n].data.send_status_from_server.trailing_metadata = call->trailers;
    ops[n].data.send_status_from_server.trailing_metadata_count = set_trailers(call, code, message);
    log_end(call, code);
    if (!start_batch(call, ops, n + 1, &call->tag_end)) {
        grpc_call_cancel(call->core, NULL);
        atomic_fetch_sub(&call->refs, 1); /* the call's reference to itself */
    }
    grpc_slice_unref(details);
}

static void end_with(struct rpc_call *call, enum code code, const char *message,
                     grpc_byte_buffer *answer)
{
    ref(call);
    pthread_mutex_lock(&call->lock);
    end_locked(call, code, message, answer);
    pthread_mutex_unlock(&call->lock);
    rpc_call_unref(call);
}

static void fired_end(struct rpc_tag *tag, bool ok)
{
    (void)ok;
    rpc_call_unref(tag->call); /* the batch's */
    rpc_call_unref(tag->call); /* the call's reference to itself */
}

static void fired_send(struct rpc_tag *tag, bool ok)
{
    struct rpc_call *call = tag->call;
    pthread_mutex_lock(&call->lock);
    call->sending = false;
    if (call->outgoing)
        grpc_byte_buffer_destroy(call->outgoing);
    call->outgoing = NULL;
    bool over = call->end_after_send;
    if (over)
        end_locked(call, call->end_code, call->end_message, NULL);
    pthread_mutex_unlock(&call->lock);
    if (!over)
        call->on_sent(call, ok);
    rpc_call_unref(call);
}

bool rpc_call_send(struct rpc_call *call, const ProtobufCMessage *message, rpc_done_fn done)
{
    grpc_op ops[2];
    ref(call);
    pthread_mutex_lock(&call->lock);
    bool started = false;
    if (!call->sending && !call->ended && !call->end_after_send) {
        size_t n = add_headers(call, ops, NULL);
        if (message) {
            call->outgoing = rpc_pack(message);
            ops[n] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE};
            ops[n++].data.send_message.send_message = call->outgoing;
        }
        call->sending = true;
        call->on_sent = done;
        started = start_batch(call, ops, n, &call->tag_send);
        if (!started)
            call->sending = false;
    }
    pthread_mutex_unlock(&call->lock);
    rpc_call_unref(call);
    return started;
}

void rpc_call_reply(struct rpc_call *call, const ProtobufCMessage *message)
{
    end_with(call, CODE_OK, "", rpc_pack(message));
}

void rpc_call_end(struct rpc_call *call)
{
    end_with(call, CODE_OK, "", NULL);
}

void rpc_call_fail(struct rpc_call *call, const struct ctx *cx)
{
    char where[128]; /* the text of a bug may hold what is nobody's business */
    snprintf(where, sizeof(where), "internal error; the log has it under request %s",
             call->request_id);
    bool bug = cx->failure.code == CODE_INTERNAL;
    end_with(call, cx->failure.code, bug ? where : ctx_message(cx), NULL);
}

void rpc_call_refuse(struct rpc_call *call, enum code code, const char *message)
{
    end_with(call, code, message, NULL);
}

void rpc_call_refuse_after_send(struct rpc_call *call, enum code code, const char *message)
{
    ref(call);
    pthread_mutex_lock(&call->lock);
    if (call->sending) {
        call->end_after_send = true;
        call->end_code = code;
        call->end_message = message;
    } else {
        end_locked(call, code, message, NULL);
    }
    pthread_mutex_unlock(&call->lock);
    rpc_call_unref(call);
}

void rpc_call_step(struct rpc_call *call, void (*run)(struct task *task, struct jobs *jobs),
                   bool first)
{
    call->task.run = run;
    if (!first)
        handlers_continue(call->rpc->handlers, &call->task);
    else if (!handlers_submit(call->rpc->handlers, &call->task))
        rpc_call_refuse(call, CODE_RESOURCE_EXHAUSTED, "the server is busy, try again later");
}

/* ---- arm ---- */

static struct rpc_call *new_call(struct rpc *rpc, const struct rpc_method *method)
{
    struct rpc_call *call = calloc(1, sizeof(*call));
    if (!call)
        return NULL;
    call->rpc = rpc;
    call->method = method;
    ctx_init(&call->cx, CTX_DEFAULT_LIMIT);
    pthread_mutex_init(&call->lock, NULL);
    atomic_init(&call->refs, 1);
    atomic_init(&call->cancelled, false);
    grpc_metadata_array_init(&call->metadata);
    grpc_call_details_init(&call->details);
    for (size_t i = 0; i < ARRAY_LEN(call->trailers); i++)
        call->trailers[i].value = grpc_empty_slice();
    call->tag_new = (struct rpc_tag){fired_new, call};
    call->tag_close = (struct rpc_tag){fired_close, call};
    call->tag_receive = (struct rpc_tag){fired_receive, call};
    call->tag_send = (struct rpc_tag){fired_send, call};
    call->tag_end = (struct rpc_tag){fired_end, call};
    return call;
}

void rpc_call_arm(struct rpc *rpc, const struct rpc_method *method)
{
    struct rpc_call *call = new_call(rpc, method);
    if (!call) {
        log_error(NULL, "out of memory for the next call of %s", method->path);
        return;
    }
    tsan_release(&call->tag_new);
    grpc_call_error error =
        method->registered
            ? grpc_server_request_registered_call(rpc->server, method->registered, &call->core,
                                                  &call->deadline, &call->metadata, NULL,
                                                  rpc->queue, rpc->queue, &call->tag_new)
            : grpc_server_request_call(rpc->server, &call->core, &call->details, &call->metadata,
                                       rpc->queue, rpc->queue, &call->tag_new);
    if (error != GRPC_CALL_OK) /* the server shuts down */
        rpc_call_unref(call);
}
