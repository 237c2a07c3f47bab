/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* keeper.h - the threads that keep this pool's lease and obey what the database says. */
#ifndef WORKERS_KEEPER_H
#define WORKERS_KEEPER_H

#include "workers/pool.h"

struct keeper;

/* Registers the pool (waits with growing pauses for a database that is away), renews it every 2 s,
 * listens on the control channel and takes part in the sweep. Borrows the pool. */
enum code keeper_start(struct ctx *cx, struct pool *pool, struct keeper **ret_keeper) MUST_CHECK;

/* After the workers have ended: stops the threads, hands back what is still held, removes the
 * pool's row (at most 5 s). NULL is fine. */
void keeper_free(struct keeper *k);

#endif
