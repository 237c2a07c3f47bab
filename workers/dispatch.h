/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* dispatch.h - the thread that finds jobs for idle workers. */
#ifndef WORKERS_DISPATCH_H
#define WORKERS_DISPATCH_H

#include "workers/pool.h"

struct dispatch;

/* Runs until pool_close(). Borrows the pool. */
enum code dispatch_start(struct ctx *cx, struct pool *pool,
                         struct dispatch **ret_dispatch) MUST_CHECK;

/* Waits for the thread to end, at most about a second after pool_close(). NULL is fine. */
void dispatch_free(struct dispatch *d);

#endif
