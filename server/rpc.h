/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rpc.h - the gRPC server: every service of localrag.v1, grpc.health.v1, reflection v1 and v1alpha.
 */
#ifndef SERVER_RPC_H
#define SERVER_RPC_H

#include "jobs/jobs.h"
#include "server/handlers.h"
#include "server/hub.h"

struct rpc;

/* Listens on HOST:GRPC_PORT and serves at once. methods_init must have run; the rest is borrowed
 * and must outlive the server. UNAVAILABLE: the address cannot be used; names GRPC_PORT. */
enum code rpc_start(struct ctx *cx, const struct settings *settings, struct handlers *handlers,
                    struct hub *hub, struct rpc **ret_rpc) MUST_CHECK;

/* The port in use, also when GRPC_PORT=0 asked for any. */
int rpc_port(const struct rpc *rpc);

/* What grpc.health.v1 answers, and tells its watchers. Serving at start. Any thread. */
void rpc_set_serving(struct rpc *rpc, bool serving);

/* The first step of a stop: health says NOT_SERVING, new connections and calls are refused, watches
 * and other open-ended streams end with UNAVAILABLE; running calls and uploads go on. Once. */
void rpc_stop_accepting(struct rpc *rpc);

/* After rpc_stop_accepting: waits for the running calls; those that are left after grace_ms are
 * cancelled, and waited for until the last handler let go. True: none was left. Handlers must still
 * run. */
bool rpc_drain(struct rpc *rpc, int64_t grace_ms);

/* After rpc_drain and handlers_stop: ends the threads and frees. NULL is fine. */
void rpc_stop(struct rpc *rpc);

#endif
