/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* state.h - the state machine of a job, once.
 *
 * The SQL in sql/queries makes every move as one guarded statement; tests/jobs/test_state.c checks
 * those statements against this table. */
#ifndef JOBS_STATE_H
#define JOBS_STATE_H

#include "localrag/v1/job.pb-c.h"

#include "base/defs.h"

/* JOB_STATUS_UNSPECIFIED for a text that is no state. */
Localrag__V1__JobStatus state_parse(const char *name);
const char *state_name(Localrag__V1__JobStatus status); /* "pending"; "" for UNSPECIFIED */

Localrag__V1__TaskType state_parse_task(const char *name);
const char *state_task_name(Localrag__V1__TaskType type);

Localrag__V1__Priority state_parse_priority(const char *name);
const char *state_priority_name(Localrag__V1__Priority priority);

/* completed, failed, cancelled */
bool state_is_terminal(Localrag__V1__JobStatus status);

/* Whether the machine has this arrow. */
bool state_may_move(Localrag__V1__JobStatus from, Localrag__V1__JobStatus to);

#endif
