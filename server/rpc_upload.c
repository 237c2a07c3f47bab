/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rpc_upload.c - a client stream into server/upload.h.
 *
 * Started by rpc.c for METHOD_UPLOAD. A message that only needs a copy of a few bytes is taken on
 * the poller, so that a small upload costs one hand-over to a handler thread, not one a message;
 * any other is a step on such a thread. The next message is asked for only when that is done: a
 * slow client holds no thread, a fast one is held back by HTTP/2 flow control, and memory is one
 * message a call. The job itself, and a small file, is made for all uploads together that wait for
 * it.
 *
 * A stream that ends because the client sent everything and one that ends because the client is
 * gone look the same at first (no more messages; the cancellation may be told a moment later). An
 * upload that was cut must never become a job, so before finishing the headers are sent: that
 * fails on a stream that is gone, and only then is the upload finished. */
#include <grpc/slice.h>

#include "localrag/v1/upload.pb-c.h"
#include "server/rpc_call.h"
#include "server/upload.h"

enum {
    DATA_TAG = 2 << 3 | 2, /* UploadDocumentRequest.data, length-delimited */
    QUICK_METADATA = 4096, /* bytes that are unpacked on the poller */
};

struct upload_call {
    struct upload *upload;
    const Localrag__V1__UploadMetadata *metadata; /* in the call's arena; NULL: not come yet */
    bool admitted; /* a step of it was queued: later ones always are */
    bool whole; /* the client sent everything and is still there */
    Localrag__V1__UploadDocumentResponse out;
};

static void advance(struct rpc_call *call);
static bool is_quick(struct rpc_call *call);
static void next_message(struct task *task, struct jobs *jobs);
static void probed(struct rpc_call *call, bool ok);

static void give_up(struct rpc_call *call, enum code code)
{
    struct upload_call *u = call->state;
    upload_abort(TAKE(u->upload));
    if (code == CODE_CANCELLED)
        rpc_call_refuse(call, CODE_CANCELLED, "the client is gone");
    else
        rpc_call_fail(call, &call->cx);
}

/* Not rpc_call_step: what was taken so far has to go when the queue is full. */
static void step(struct rpc_call *call, void (*run)(struct task *task, struct jobs *jobs))
{
    struct upload_call *u = call->state;
    bool admitted = u->admitted;
    u->admitted = true;
    call->task.run = run;
    if (admitted) {
        handlers_continue(call->rpc->handlers, &call->task);
    } else if (!handlers_submit(call->rpc->handlers, &call->task)) {
        upload_abort(TAKE(u->upload));
        rpc_call_refuse(call, CODE_RESOURCE_EXHAUSTED, "the server is busy, try again later");
    }
}

static void received(struct rpc_call *call, bool ok)
{
    (void)ok; /* a failed receive has no message, as the end of the stream */
    if (is_quick(call))
        advance(call);
    else
        step(call, next_message);
}

static enum code take_metadata(struct rpc_call *call, struct upload_call *u)
{
    struct ctx *cx = &call->cx;
    ProtobufCMessage *message;
    TRY(rpc_unpack(call, &cx->arena, &message));
    const Localrag__V1__UploadDocumentRequest *in = (const void *)message;
    if (in->payload_case != LOCALRAG__V1__UPLOAD_DOCUMENT_REQUEST__PAYLOAD_METADATA)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT,
                        "the first message of an upload must be \"metadata\"");
    TRY(upload_begin(cx, call->rpc->settings, &u->upload));
    u->metadata = in->metadata;
    return CODE_OK;
}

/* A message that is one `data` field and nothing else, as every client writes it: its header's
 * length in bytes. 0: something else. */
static size_t plain_header(const grpc_byte_buffer *buffer)
{
    const grpc_slice_buffer *slices = &buffer->data.raw.slice_buffer;
    if (buffer->data.raw.compression != GRPC_COMPRESS_NONE || slices->count == 0)
        return 0;
    const unsigned char *p = GRPC_SLICE_START_PTR(slices->slices[0]);
    size_t n = GRPC_SLICE_LENGTH(slices->slices[0]), len = 0, at = 0;
    if (n == 0 || p[at++] != DATA_TAG)
        return 0;
    for (int shift = 0; at < n && shift <= 28; shift += 7) {
        len |= (size_t)(p[at] & 0x7f) << shift;
        if (!(p[at++] & 0x80))
            return at + len == slices->length ? at : 0;
    }
    return 0;
}

/* Without a copy: big messages come in many small slices, and joining and unpacking them would take
 * several times their size. */
static enum code write_slices(struct rpc_call *call, struct upload_call *u, size_t skip)
{
    const grpc_slice_buffer *slices = &call->received->data.raw.slice_buffer;
    for (size_t i = 0; i < slices->count; i++) {
        const grpc_slice *slice = &slices->slices[i];
        size_t from = i == 0 ? skip : 0, len = GRPC_SLICE_LENGTH(*slice) - from;
        if (len)
            TRY(upload_write(&call->cx, u->upload, GRPC_SLICE_START_PTR(*slice) + from, len));
    }
    return CODE_OK;
}

static enum code take_data(struct rpc_call *call, struct upload_call *u)
{
    size_t header = call->received ? plain_header(call->received) : 0;
    if (header) {
        enum code code = write_slices(call, u, header);
        grpc_byte_buffer_destroy(TAKE(call->received));
        return code;
    }
    struct ctx *cx = &call->cx;
    CLEANUP(arena_reset) struct arena memory;
    arena_init(&memory, CTX_DEFAULT_LIMIT);
    ProtobufCMessage *message;
    TRY(rpc_unpack(call, &memory, &message));
    const Localrag__V1__UploadDocumentRequest *in = (const void *)message;
    if (in->payload_case != LOCALRAG__V1__UPLOAD_DOCUMENT_REQUEST__PAYLOAD_DATA)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT,
                        "every message of an upload but the first must be \"data\"");
    return in->data.len ? upload_write(cx, u->upload, in->data.data, in->data.len) : CODE_OK;
}

/* Whether the message can be taken without blocking and with little work. A call that was cancelled
 * is not: a large file may have to be removed. */
static bool is_quick(struct rpc_call *call)
{
    struct upload_call *u = call->state;
    if (rpc_call_cancelled(call))
        return false;
    if (!call->received)
        return true;
    size_t len = call->received->data.raw.slice_buffer.length;
    if (!u->metadata)
        return call->received->data.raw.compression == GRPC_COMPRESS_NONE && len <= QUICK_METADATA;
    size_t header = plain_header(call->received);
    return header && upload_stays_in_memory(u->upload, len - header);
}

static void advance(struct rpc_call *call)
{
    struct upload_call *u = call->state;
    if (rpc_call_cancelled(call)) {
        give_up(call, CODE_CANCELLED);
        return;
    }
    if (!call->received && u->metadata) {
        if (!rpc_call_send(call, NULL, probed))
            give_up(call, CODE_CANCELLED);
        return;
    }
    enum code code = u->metadata ? take_data(call, u) : take_metadata(call, u);
    if (code != CODE_OK)
        give_up(call, code);
    else
        rpc_call_receive(call, received);
}

static void next_message(struct task *task, struct jobs *jobs)
{
    (void)jobs;
    advance(rpc_call_of(task));
}

/* ---- the end ---- */

static_assert((int)HANDLERS_MAX_GROUP <= (int)JOBS_MAX_SUBMIT, "a group is submitted at once");

static enum code check(struct rpc_call *call)
{
    struct upload_call *u = call->state;
    if (!u->whole || rpc_call_cancelled(call))
        return CODE_CANCELLED;
    return upload_is_stored(u->upload) ? CODE_OK : upload_check(&call->cx, u->upload, u->metadata);
}

static void submit_many(struct task **tasks, int n, struct jobs *jobs)
{
    struct upload_submission all[HANDLERS_MAX_GROUP];
    struct rpc_call *calls[HANDLERS_MAX_GROUP];
    int count = 0;
    for (int i = 0; i < n; i++) {
        struct rpc_call *call = rpc_call_of(tasks[i]);
        struct upload_call *u = call->state;
        enum code code = check(call);
        if (code != CODE_OK) {
            give_up(call, code);
            continue;
        }
        localrag__v1__upload_document_response__init(&u->out);
        calls[count] = call;
        all[count++] = (struct upload_submission){&call->cx, u->upload, &u->out};
    }
    if (count)
        upload_submit_many(jobs, all, count);
    for (int i = 0; i < count; i++) {
        struct upload_call *u = calls[i]->state;
        if (calls[i]->cx.failure.code != CODE_OK) {
            give_up(calls[i], calls[i]->cx.failure.code);
        } else {
            upload_abort(TAKE(u->upload));
            rpc_call_reply(calls[i], &u->out.base);
        }
    }
}

static void submit_one(struct task *task, struct jobs *jobs)
{
    submit_many(&task, 1, jobs);
}

static void submit_with_others(struct rpc_call *call)
{
    call->task.run_many = submit_many;
    step(call, submit_one);
}

static void store(struct task *task, struct jobs *jobs)
{
    (void)jobs;
    struct rpc_call *call = rpc_call_of(task);
    struct upload_call *u = call->state;
    enum code code = check(call);
    if (code == CODE_OK)
        code = upload_store(&call->cx, u->upload);
    if (code != CODE_OK) {
        give_up(call, code);
        return;
    }
    submit_with_others(call);
}

static void probed(struct rpc_call *call, bool ok)
{
    struct upload_call *u = call->state;
    u->whole = ok;
    if (upload_waits_for_others(u->upload))
        submit_with_others(call);
    else
        step(call, store);
}

void rpc_upload_start(struct rpc_call *call)
{
    call->state = ctx_alloc(&call->cx, sizeof(struct upload_call));
    if (!call->state)
        rpc_call_fail(call, &call->cx);
    else
        rpc_call_receive(call, received);
}
