/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* listen.h - the control channel: hints that a beat is worth while now. */
#ifndef WORKERS_LISTEN_H
#define WORKERS_LISTEN_H

#include "workers/pool.h"

struct listen;

enum code listen_start(struct ctx *cx, struct pool *pool, struct listen **ret_listen) MUST_CHECK;
void listen_free(struct listen *l); /* waits for the thread; NULL is fine */

#endif
