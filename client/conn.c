/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* conn.c - calls over gRPC (conn.h); beside conn_channel.c the only file that knows it.
 *
 * Every call has a completion queue of its own that one thread plucks: a call is then straight-line
 * code, and calls of several threads never meet. All batches but one are waited for where they are
 * started; the one that stays open is STATUS, started with the call and plucked at its end, so when
 * a stream is closed at most that one is outstanding.
 *
 * Waiting is done in slices of WAIT_SLICE_MS to see Ctrl-C and the stall limit; cancelling a call
 * makes core complete everything that is outstanding, so a wait always ends.
 *
 * The trailer localrag-code names the server's own reason. Without it a status is core's or a
 * proxy's: UNAVAILABLE then means that the server cannot be reached. No retries here. */
#include "client/conn.h"

#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "base/pbcheck.h"
#include "client/conn_channel.h"
#include "client/interrupt.h"

enum {
    DEFAULT_TIMEOUT_MS = 30 * 1000,
    WAIT_SLICE_MS = 100,
    EXIT_UNREACHABLE = 5,
};

enum tag { TAG_STATUS = 1, TAG_SEND, TAG_RECV };

struct conn {
    grpc_channel *channel;
    char *server; /* as the user wrote it */
    char *authorization; /* NULL: none */
    int64_t timeout_ms;
    atomic_bool unreachable;
};

struct conn_stream {
    struct conn *conn;
    const ProtobufCMessageDescriptor *answer;
    grpc_completion_queue *cq;
    grpc_call *call;
    int64_t stall_ms;
    bool stalled; /* cancelled because nothing moved for stall_ms */
    bool open; /* TAG_STATUS is outstanding */
    grpc_metadata_array initial, trailing;
    grpc_metadata authorization;
    grpc_status_code status;
    grpc_slice details;
};

/* ---- opening and closing ---- */

enum code conn_open(struct ctx *cx, const struct conn_settings *settings, struct conn **ret_conn)
{
    struct conn *conn = calloc(1, sizeof(*conn));
    char *server = strdup(settings->server);
    if (!conn || !server) {
        free(conn);
        free(server);
        return ctx_oom(cx);
    }
    /* names as the rest of the machine sees them (nsswitch), which c-ares does not know */
    setenv("GRPC_DNS_RESOLVER", "native", 0);
    setenv("GRPC_VERBOSITY", "NONE", 0); /* what matters comes back as a failure */
    grpc_init();
    conn->server = server;
    conn->timeout_ms = settings->timeout_ms ? settings->timeout_ms : DEFAULT_TIMEOUT_MS;
    enum code code = conn_channel_key(cx, settings->api_key, &conn->authorization);
    if (code == CODE_OK)
        code = conn_channel_open(cx, settings, &conn->channel);
    if (code == CODE_OK)
        *ret_conn = conn;
    else
        conn_closep(&conn);
    return code;
}

void conn_closep(struct conn **conn)
{
    struct conn *c = *conn;
    if (!c)
        return;
    if (c->channel)
        grpc_channel_destroy(c->channel);
    grpc_shutdown_blocking();
    free(c->authorization);
    free(c->server);
    free(c);
    *conn = NULL;
}

bool conn_unreachable(const struct conn *conn)
{
    return conn && atomic_load(&conn->unreachable);
}

int conn_exit(const struct conn *conn, enum code code)
{
    if ((code == CODE_UNAVAILABLE || code == CODE_DEADLINE_EXCEEDED) && conn_unreachable(conn))
        return EXIT_UNREACHABLE;
    return code_exit(code);
}

/* ---- waiting ---- */

static gpr_timespec after_ms(int64_t ms)
{
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(ms, GPR_TIMESPAN));
}

/* Waits for the batch `tag`; true when it succeeded. Cancels the call on Ctrl-C and on a stall. */
static bool wait_for(struct conn_stream *s, enum tag tag, bool limited)
{
    int64_t end = limited && s->stall_ms ? clk_mono_ms() + s->stall_ms : INT64_MAX;
    bool cancelled = false;
    for (;;) {
        int64_t slice = MAX(MIN(end - clk_mono_ms(), WAIT_SLICE_MS), 1);
        grpc_event event =
            grpc_completion_queue_pluck(s->cq, (void *)tag,
                                        cancelled ? gpr_inf_future(GPR_CLOCK_MONOTONIC)
                                                  : after_ms(slice),
                                        NULL);
        if (event.type != GRPC_QUEUE_TIMEOUT)
            return event.type == GRPC_OP_COMPLETE && event.success;
        s->stalled = clk_mono_ms() >= end;
        if (s->stalled || interrupt_pending()) {
            grpc_call_cancel(s->call, NULL);
            cancelled = true;
        }
    }
}

/* ---- what a status means ---- */

static enum code code_of_status(grpc_status_code status)
{
    static const enum code codes[] = {
        [GRPC_STATUS_OK] = CODE_OK,
        [GRPC_STATUS_CANCELLED] = CODE_CANCELLED,
        [GRPC_STATUS_UNKNOWN] = CODE_INTERNAL,
        [GRPC_STATUS_INVALID_ARGUMENT] = CODE_INVALID_ARGUMENT,
        [GRPC_STATUS_DEADLINE_EXCEEDED] = CODE_DEADLINE_EXCEEDED,
        [GRPC_STATUS_NOT_FOUND] = CODE_NOT_FOUND,
        [GRPC_STATUS_ALREADY_EXISTS] = CODE_ALREADY_EXISTS,
        [GRPC_STATUS_PERMISSION_DENIED] = CODE_PERMISSION_DENIED,
        [GRPC_STATUS_RESOURCE_EXHAUSTED] = CODE_RESOURCE_EXHAUSTED,
        [GRPC_STATUS_FAILED_PRECONDITION] = CODE_WRONG_STATE,
        [GRPC_STATUS_ABORTED] = CODE_WRONG_STATE,
        [GRPC_STATUS_OUT_OF_RANGE] = CODE_INVALID_ARGUMENT,
        [GRPC_STATUS_UNIMPLEMENTED] = CODE_UNIMPLEMENTED,
        [GRPC_STATUS_INTERNAL] = CODE_INTERNAL,
        [GRPC_STATUS_UNAVAILABLE] = CODE_UNAVAILABLE,
        [GRPC_STATUS_DATA_LOSS] = CODE_INTERNAL,
        [GRPC_STATUS_UNAUTHENTICATED] = CODE_UNAUTHENTICATED,
    };
    return (size_t)status < ARRAY_LEN(codes) ? codes[status] : CODE_INTERNAL;
}

/* The text of a slice in cx's arena; "" when that is full. */
static const char *slice_text(struct ctx *cx, grpc_slice slice)
{
    const char *text = arena_strndup(&cx->arena, (const char *)GRPC_SLICE_START_PTR(slice),
                                     GRPC_SLICE_LENGTH(slice));
    return text ? text : "";
}

static const char *trailer_code(struct ctx *cx, const struct conn_stream *s)
{
    for (size_t i = 0; i < s->trailing.count; i++)
        if (grpc_slice_str_cmp(s->trailing.metadata[i].key, "localrag-code") == 0)
            return slice_text(cx, s->trailing.metadata[i].value);
    return NULL;
}

/* Core nests its reasons: "failed to connect to all addresses; last error: … : Connection refused".
 * The last one is what a person needs. */
static const char *last_reason(const char *details)
{
    const char *reason = details;
    for (const char *p = strstr(details, ": "); p; p = strstr(p, ": "))
        reason = p += 2;
    return *reason ? reason : "no answer";
}

static enum code unreachable(struct ctx *cx, struct conn *conn, enum code code, const char *why)
{
    atomic_store(&conn->unreachable, true);
    return ctx_fail(cx, code, "could not reach the server at \"%s\": %s", conn->server, why);
}

/* Plucks the status of a call that has ended or is about to, and turns it into a code. */
static enum code finish(struct ctx *cx, struct conn_stream *s)
{
    if (s->open) {
        s->open = false;
        (void)wait_for(s, TAG_STATUS, true);
    }
    if (s->status == GRPC_STATUS_OK)
        return CODE_OK;
    if (interrupt_pending() && s->status == GRPC_STATUS_CANCELLED)
        return ctx_fail(cx, CODE_CANCELLED, "interrupted");
    struct conn *conn = s->conn;
    const char *details = slice_text(cx, s->details);
    const char *name = trailer_code(cx, s);
    if (name) {
        atomic_store(&conn->unreachable, false);
        return ctx_fail(cx, code_from_name(name), "%s",
                        *details ? details : code_text(code_from_name(name)));
    }
    bool timed_out = s->stalled || s->status == GRPC_STATUS_DEADLINE_EXCEEDED;
    if (timed_out && grpc_channel_check_connectivity_state(conn->channel, 0) == GRPC_CHANNEL_READY)
        return ctx_fail(cx, CODE_DEADLINE_EXCEEDED, "the server did not answer in time");
    if (timed_out)
        return unreachable(cx, conn, CODE_DEADLINE_EXCEEDED, "no answer in time");
    if (s->status == GRPC_STATUS_UNAVAILABLE)
        return unreachable(cx, conn, CODE_UNAVAILABLE, last_reason(details));
    if (s->status == GRPC_STATUS_UNIMPLEMENTED)
        return ctx_fail(cx, CODE_UNIMPLEMENTED, "the server does not offer this call: %s", details);
    return ctx_fail(cx, code_of_status(s->status), "%s",
                    *details ? details : code_text(code_of_status(s->status)));
}

/* ---- streams ---- */

static gpr_timespec deadline_of(const struct ctx *cx)
{
    if (!cx->deadline_ms)
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    return after_ms(MAX(cx->deadline_ms - clk_mono_ms(), 0));
}

static enum code start(struct ctx *cx, struct conn *conn, const ProtobufCServiceDescriptor *service,
                       const char *method, gpr_timespec deadline, struct conn_stream **ret_stream)
{
    const ProtobufCMethodDescriptor *m =
        protobuf_c_service_descriptor_get_method_by_name(service, method);
    if (!m)
        return ctx_fail(cx, CODE_INTERNAL, "no method \"%s\" in \"%s\"", method, service->name);
    const char *path = ctx_printf(cx, "/%s/%s", service->name, method);
    struct conn_stream *s = path ? calloc(1, sizeof(*s)) : NULL;
    if (!s)
        return ctx_oom(cx);
    s->conn = conn;
    s->answer = m->output;
    s->details = grpc_empty_slice();
    grpc_metadata_array_init(&s->initial);
    grpc_metadata_array_init(&s->trailing);
    s->cq = grpc_completion_queue_create_for_pluck(NULL);
    grpc_slice path_slice = grpc_slice_from_copied_string(path);
    s->call = grpc_channel_create_call(conn->channel, NULL, GRPC_PROPAGATE_DEFAULTS, s->cq,
                                       path_slice, NULL, deadline, NULL);
    grpc_slice_unref(path_slice);

    grpc_op ops[3] = {{.op = GRPC_OP_SEND_INITIAL_METADATA},
                      {.op = GRPC_OP_RECV_INITIAL_METADATA},
                      {.op = GRPC_OP_RECV_STATUS_ON_CLIENT}};
    if (conn->authorization) {
        s->authorization.key = grpc_slice_from_static_string("authorization");
        s->authorization.value = grpc_slice_from_static_string(conn->authorization);
        ops[0].data.send_initial_metadata.count = 1;
        ops[0].data.send_initial_metadata.metadata = &s->authorization;
    }
    ops[1].data.recv_initial_metadata.recv_initial_metadata = &s->initial;
    ops[2].data.recv_status_on_client.trailing_metadata = &s->trailing;
    ops[2].data.recv_status_on_client.status = &s->status;
    ops[2].data.recv_status_on_client.status_details = &s->details;
    s->open = grpc_call_start_batch(s->call, ops, 3, (void *)TAG_STATUS, NULL) == GRPC_CALL_OK;
    if (!s->open) {
        conn_stream_closep(&s);
        return ctx_fail(cx, CODE_INTERNAL, "could not start the call \"%s\"", path);
    }
    *ret_stream = s;
    return CODE_OK;
}

enum code conn_start(struct ctx *cx, struct conn *conn, const ProtobufCServiceDescriptor *service,
                     const char *method, int64_t stall_ms, struct conn_stream **ret_stream)
{
    struct conn_stream *s = NULL;
    TRY(start(cx, conn, service, method, deadline_of(cx), &s));
    s->stall_ms = stall_ms;
    *ret_stream = s;
    return CODE_OK;
}

static enum code send_op(struct ctx *cx, struct conn_stream *s, grpc_op op)
{
    if (grpc_call_start_batch(s->call, &op, 1, (void *)TAG_SEND, NULL) != GRPC_CALL_OK)
        return ctx_fail(cx, CODE_INTERNAL, "could not send on this call");
    if (wait_for(s, TAG_SEND, true))
        return CODE_OK;
    TRY(finish(cx, s));
    return ctx_fail(cx, CODE_INTERNAL, "the server ended the call before it had everything");
}

enum code conn_send(struct ctx *cx, struct conn_stream *s, const ProtobufCMessage *m)
{
    size_t size = protobuf_c_message_get_packed_size(m);
    grpc_slice slice = grpc_slice_malloc(size);
    protobuf_c_message_pack(m, GRPC_SLICE_START_PTR(slice));
    grpc_byte_buffer *bytes = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    enum code code =
        send_op(cx, s,
                (grpc_op){.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = bytes});
    grpc_byte_buffer_destroy(bytes);
    return code;
}

enum code conn_send_end(struct ctx *cx, struct conn_stream *s)
{
    return send_op(cx, s, (grpc_op){.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT});
}

static enum code unpack(struct ctx *cx, const ProtobufCMessageDescriptor *type,
                        grpc_byte_buffer *bytes, ProtobufCMessage **ret_message)
{
    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, bytes))
        return ctx_fail(cx, CODE_INTERNAL, "the server's answer could not be read");
    grpc_slice all = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    const uint8_t *data = GRPC_SLICE_START_PTR(all);
    size_t len = GRPC_SLICE_LENGTH(all);
    enum code code = pbcheck(cx, type, data, len);
    ProtobufCMessage *m =
        code == CODE_OK ? protobuf_c_message_unpack(type, &cx->arena.pb, len, data) : NULL;
    grpc_slice_unref(all);
    if (!m) {
        const char *why = code == CODE_OK ? "too large or not a message" : ctx_message(cx);
        ctx_clear(cx);
        return ctx_fail(cx, CODE_INTERNAL, "the server's answer could not be read: %s", why);
    }
    *ret_message = m;
    return CODE_OK;
}

enum code conn_recv(struct ctx *cx, struct conn_stream *s, ProtobufCMessage **ret_message)
{
    grpc_byte_buffer *bytes = NULL;
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &bytes};
    if (grpc_call_start_batch(s->call, &op, 1, (void *)TAG_RECV, NULL) != GRPC_CALL_OK)
        return ctx_fail(cx, CODE_INTERNAL, "could not read from this call");
    bool ok = wait_for(s, TAG_RECV, true);
    if (!ok || !bytes) {
        TRY(finish(cx, s));
        *ret_message = NULL;
        return CODE_OK;
    }
    enum code code = unpack(cx, s->answer, bytes, ret_message);
    grpc_byte_buffer_destroy(bytes);
    return code;
}

void conn_cancel(struct conn_stream *s)
{
    grpc_call_cancel(s->call, NULL);
}

void conn_stream_closep(struct conn_stream **stream)
{
    struct conn_stream *s = *stream;
    if (!s)
        return;
    if (s->open) {
        grpc_call_cancel(s->call, NULL);
        s->open = false;
        (void)wait_for(s, TAG_STATUS, false);
    }
    if (s->call)
        grpc_call_unref(s->call);
    grpc_completion_queue_shutdown(s->cq);
    grpc_completion_queue_destroy(s->cq);
    grpc_metadata_array_destroy(&s->initial);
    grpc_metadata_array_destroy(&s->trailing);
    grpc_slice_unref(s->details);
    free(s);
    *stream = NULL;
}

enum code conn_call(struct ctx *cx, struct conn *conn, const ProtobufCServiceDescriptor *service,
                    const char *method, const ProtobufCMessage *request,
                    ProtobufCMessage **ret_reply)
{
    CLEANUP(conn_stream_closep) struct conn_stream *s = NULL;
    ProtobufCMessage *reply = NULL;
    TRY(start(cx, conn, service, method, after_ms(conn->timeout_ms), &s));
    TRY(conn_send(cx, s, request));
    TRY(conn_send_end(cx, s));
    TRY(conn_recv(cx, s, &reply));
    if (!reply)
        return ctx_fail(cx, CODE_INTERNAL, "the server answered nothing");
    TRY(finish(cx, s));
    *ret_reply = reply;
    return CODE_OK;
}
