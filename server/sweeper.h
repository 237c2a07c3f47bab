/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* sweeper.h - the thread that runs the sweep (jobs/pools.h) and notices whether PostgreSQL answers.
 */
#ifndef SERVER_SWEEPER_H
#define SERVER_SWEEPER_H

#include "jobs/settings.h"

struct sweeper;

/* `changed(arg, database)` is called from the sweeper's thread whenever PostgreSQL goes or comes;
 * it counts as there at first. */
enum code sweeper_start(struct ctx *cx, const struct settings *settings,
                        void (*changed)(void *arg, bool database), void *arg,
                        struct sweeper **ret_sweeper) MUST_CHECK;

void sweeper_stop(struct sweeper *s); /* waits for the current tick; NULL is fine */

#endif
