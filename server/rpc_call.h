/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rpc_call.h - one gRPC call, for the files rpc*.c only.
 *
 * Life: created armed, begun by its method's `start` on the poller, ended by exactly one of
 * rpc_call_reply, _end, _fail, _refuse; ending it twice is harmless, the first wins. The call holds
 * one reference to itself until its end has been sent; whoever looks at a call later than that
 * takes its own. Callbacks run on the poller and must not block; work that may block is a step on a
 * handler thread. */
#ifndef SERVER_RPC_CALL_H
#define SERVER_RPC_CALL_H

#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/spin.h"
#include "server/handlers.h"
#include "server/hub.h"
#include "server/methods.h"
#include "server/rpc.h"

enum { RPC_MAX_MESSAGE = 4 * 1024 * 1024, RPC_MAX_METADATA = 16 * 1024 };

struct rpc_call;

typedef void (*rpc_start_fn)(struct rpc_call *call);
typedef void (*rpc_done_fn)(struct rpc_call *call, bool ok);

struct rpc_method {
    const char *path;
    const ProtobufCMessageDescriptor *input;
    const struct method *method; /* NULL: not of localrag.v1 */
    rpc_start_fn start;
    void *registered; /* the core's handle; NULL: the catch-all */
};

/* What a completion queue event points to. */
struct rpc_tag {
    void (*fired)(struct rpc_tag *tag, bool ok);
    struct rpc_call *call;
};

struct rpc_call {
    struct rpc *rpc;
    const struct rpc_method *method;
    struct ctx cx; /* used by the poller before and a handler thread while a step runs */
    void *state; /* the kind's own, in cx's arena */
    grpc_byte_buffer
        *received; /* set before the done of rpc_call_receive; NULL: no more messages */
    struct task task; /* the step that is queued or runs */
    pthread_mutex_t lock; /* serialises grpc_call_start_batch and guards what follows */

    /* private to rpc.c and rpc_call.c */
    struct rpc_tag tag_new, tag_close, tag_receive, tag_send, tag_end;
    struct rpc_call *next, *prev; /* in rpc->calls */
    bool listed;
    atomic_int refs;
    atomic_bool cancelled;
    grpc_call *core;
    grpc_call_details details;
    grpc_metadata_array metadata;
    gpr_timespec deadline;
    int close_flag;
    int64_t began_us;
    char request_id[65];
    bool headers_sent, sending, ended;
    bool end_after_send;
    enum code end_code;
    const char *end_message;
    grpc_byte_buffer *outgoing;
    rpc_done_fn on_received, on_sent;
    rpc_start_fn on_gone;
    grpc_metadata trailers[3]; /* request id, code, details */
};

struct rpc_poller {
    struct rpc *rpc;
    struct jobs *jobs;
    pthread_t thread;
    bool started;
    bool leads;
    struct task *asked[HANDLERS_MAX_GROUP]; /* waiting for the leader's next look */
    int n_asked;
    bool alone; /* the last question came alone */
    struct spin spin; /* from answers to the next question */
};

struct rpc {
    const struct settings *settings;
    struct handlers *handlers;
    struct hub *hub;
    struct rpc_method *methods;
    size_t n_methods;
    int port;
    grpc_server *server;
    grpc_completion_queue *queue;
    atomic_bool stopping;

    struct rpc_poller pollers[2];
    pthread_mutex_t lead_lock;
    pthread_cond_t lead_free;
    struct rpc_poller *leader; /* NULL: whoever comes next */
    int n_spares; /* wait for the lead */

    pthread_mutex_t lock; /* calls, shut */
    pthread_cond_t changed; /* monotonic clock */
    struct rpc_call *calls; /* begun and not freed */
    struct rpc_tag tag_shut;
    bool shut; /* the core says that all calls are over */

    pthread_mutex_t health_lock; /* never taken while a call's lock is held */
    bool serving;
    struct health_watch *health_watches;
};

/* ---- rpc.c ---- */
bool rpc_stopping(const struct rpc *rpc);
/* On and off the list of calls. Forgetting one that is not on it does nothing. */
void rpc_remember(struct rpc *rpc, struct rpc_call *call);
void rpc_forget(struct rpc *rpc, struct rpc_call *call);

/* ---- rpc_poll.c ---- */
enum code rpc_poll_start(struct ctx *cx, struct rpc *rpc) MUST_CHECK;
void rpc_poll_stop(struct rpc *rpc); /* after the queue's shutdown */

/* Runs call->task (run and run_many are set) soon, with others that ask: on the poller itself, or
 * as a step when that cannot be. All that ask have the same run_many, and it is short as a rule.
 * Only from a callback. */
void rpc_poll_ask(struct rpc_call *call);

/* ---- rpc_call.c ---- */
/* Waits for the next call of `method`. */
void rpc_call_arm(struct rpc *rpc, const struct rpc_method *method);

void rpc_call_unref(struct rpc_call *call);
bool rpc_call_ref_if_alive(struct rpc_call *call);

/* True once the client is gone: cancelled, deadline passed, connection lost. */
bool rpc_call_cancelled(struct rpc_call *call);

/* `gone` is called once the client is gone or the server wants open-ended streams to end; at once
 * when that is so already; maybe twice; maybe after the end. Any thread. */
void rpc_call_on_gone(struct rpc_call *call, rpc_start_fn gone);
void rpc_call_tell_gone(struct rpc_call *call);

/* Reads the next message into call->received. One at a time. */
void rpc_call_receive(struct rpc_call *call, rpc_done_fn done);

/* Sends one message of a stream, or just the headers (NULL). False: it was not started, `done` will
 * not be called: one is under way or the call ended. done(ok=false): the client is gone. */
bool rpc_call_send(struct rpc_call *call, const ProtobufCMessage *message, rpc_done_fn done);

void rpc_call_reply(struct rpc_call *call, const ProtobufCMessage *message); /* OK with a message */
void rpc_call_end(struct rpc_call *call); /* OK, the end of a stream */
void rpc_call_fail(struct rpc_call *call, const struct ctx *cx); /* with cx's failure */
void rpc_call_refuse(struct rpc_call *call, enum code code, const char *message);

/* As refuse, after the message that is being sent now. `message` is a literal. */
void rpc_call_refuse_after_send(struct rpc_call *call, enum code code, const char *message);

/* Queues a step. `first`: refuses the call with RESOURCE_EXHAUSTED when the queue is full. */
void rpc_call_step(struct rpc_call *call, void (*run)(struct task *task, struct jobs *jobs),
                   bool first);
struct rpc_call *rpc_call_of(struct task *task);

/* ---- rpc_details.c ---- */
/* A google.rpc.Status that names the bad fields; false: the failure is about none. */
bool rpc_details(const struct method *method, enum code code, const char *message,
                 grpc_slice *ret_details);

/* ---- rpc_codec.c ---- */
grpc_byte_buffer *rpc_pack(const ProtobufCMessage *message);

/* Checks and unpacks call->received, which is freed, into `arena`. INVALID_ARGUMENT: none, broken.
 * TOO_LARGE: more than RPC_MAX_MESSAGE when inflated. The failure is recorded in call->cx. */
enum code rpc_unpack(struct rpc_call *call, struct arena *arena,
                     ProtobufCMessage **ret_message) MUST_CHECK;

/* ---- the kinds of calls: what `start` may be ---- */
void rpc_unary_start(struct rpc_call *call);
void rpc_upload_start(struct rpc_call *call);
void rpc_watch_start(struct rpc_call *call);
void rpc_health_check_start(struct rpc_call *call);
void rpc_health_watch_start(struct rpc_call *call);
void rpc_reflection_start(struct rpc_call *call);
void rpc_unknown_start(struct rpc_call *call);

#endif
