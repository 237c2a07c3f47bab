/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rest.h - the HTTP door: REST by the methods' google.api.http rules, uploads, Server-Sent Events.
 *
 * Same methods, same messages, same codes as gRPC (base/code.h maps them). */
#ifndef SERVER_REST_H
#define SERVER_REST_H

#include "server/handlers.h"
#include "server/hub.h"

struct rest;

/* Listens on HOST:PORT and answers from its own threads. methods_init must have been called.
 * Everything given is borrowed until rest_stop. UNAVAILABLE: the port is busy; the message names
 * PORT. */
enum code rest_start(struct ctx *cx, const struct settings *settings, struct handlers *handlers,
                     struct hub *hub, struct rest **ret_rest) MUST_CHECK;

/* No new connections; requests on open ones get 503, streams of events end. Returns at once. */
void rest_stop_accepting(struct rest *rest);

/* Waits for running requests (the handlers must still run, or have run everything), closes what is
 * open, frees. The hub must still be there. NULL is fine. */
void rest_stop(struct rest *rest);

#endif
