/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* sweeper.h - this process's share in the sweep (jobs/pools.h): a pool without a server heals too.
 */
#ifndef WORKERS_SWEEPER_H
#define WORKERS_SWEEPER_H

#include "jobs/pools.h"

struct sweeper;

enum code sweeper_start(struct ctx *cx, const struct settings *settings,
                        struct sweeper **ret_sweeper) MUST_CHECK;
void sweeper_free(struct sweeper *s); /* waits for the thread; NULL is fine */

#endif
