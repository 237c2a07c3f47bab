/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* finisher.h - writes the ends of jobs, those that come together in one commit. */
#ifndef WORKERS_FINISHER_H
#define WORKERS_FINISHER_H

#include "jobs/jobs.h"

struct finisher;

/* `written` is called in one of its threads for each list that was written, whatever became of
 * it; the finishes are the callee's again. It borrows `jobs`. */
enum code finisher_start(struct ctx *cx, const struct settings *settings,
                         void (*written)(void *arg, struct jobs *jobs, struct job_finish *first),
                         void *arg, struct finisher **ret_finisher) MUST_CHECK;

/* Gives it a finish, which stays where it is until it was written. Never waits for a database. Any
 * thread. */
void finisher_add(struct finisher *finisher, struct job_finish *finish);

/* Writes what is left and ends. NULL is fine. */
void finisher_free(struct finisher *finisher);

#endif
