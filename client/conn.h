/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* conn.h - the connection to the server: unary calls and streams, and what a failure means.
 *
 * A conn is shared by threads; a stream belongs to one thread. Every wait ends early on Ctrl-C with
 * CODE_CANCELLED (interrupt_pending() tells it from a cancelled call). Failures carry the server's
 * own code and message; see conn_exit for a server that cannot be reached. */
#ifndef CLIENT_CONN_H
#define CLIENT_CONN_H

#include "base/ctx.h"

struct conn;
struct conn_stream;

struct conn_settings {
    const char *server; /* HOST:PORT; the port may be missing */
    const char *api_key; /* NULL: none */
    const char *tls_ca; /* PEM file; NULL: no TLS */
    int64_t timeout_ms; /* for one answer; 0: the default */
};

/* Does not touch the network yet. INVALID_ARGUMENT: bad address, key or certificate file. */
enum code conn_open(struct ctx *cx, const struct conn_settings *settings,
                    struct conn **ret_conn) MUST_CHECK;
void conn_closep(struct conn **conn);

/* One request, one answer, in cx's arena. */
enum code conn_call(struct ctx *cx, struct conn *conn, const ProtobufCServiceDescriptor *service,
                    const char *method, const ProtobufCMessage *request,
                    ProtobufCMessage **ret_reply) MUST_CHECK;

/* Opens a stream that ends at cx->deadline_ms (0: never). stall_ms: the longest wait for the server
 * to take or send one message, 0: none. */
enum code conn_start(struct ctx *cx, struct conn *conn, const ProtobufCServiceDescriptor *service,
                     const char *method, int64_t stall_ms,
                     struct conn_stream **ret_stream) MUST_CHECK;

/* Sends one message; waits until the transport took it (back-pressure). When the server ended the
 * call early, its reason is what fails. */
enum code conn_send(struct ctx *cx, struct conn_stream *s, const ProtobufCMessage *m) MUST_CHECK;

/* No more messages from us. */
enum code conn_send_end(struct ctx *cx, struct conn_stream *s) MUST_CHECK;

/* The next message, in cx's arena (not necessarily the ctx the stream began with); NULL at the end
 * of a stream that ended well. */
enum code conn_recv(struct ctx *cx, struct conn_stream *s,
                    ProtobufCMessage **ret_message) MUST_CHECK;

/* Ends the call from another thread; what waits on it fails. Its own thread still closes it. */
void conn_cancel(struct conn_stream *s);

/* Ends the call, however far it is. */
void conn_stream_closep(struct conn_stream **s);

/* True once the last failure was the network's and not the server's answer. */
bool conn_unreachable(const struct conn *conn);

/* The exit status for `code`: the table's, or 5 when it came from a server out of reach. */
int conn_exit(const struct conn *conn, enum code code);

#endif
