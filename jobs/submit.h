/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* submit.h - what every kind of submission shares. Private to jobs/. */
#ifndef JOBS_SUBMIT_H
#define JOBS_SUBMIT_H

#include "jobs/jobs.h"

/* UNAVAILABLE: TASK_QUEUE_ENABLED=false, or QUEUE_MAX_BACKLOG is reached. */
enum code submit_refuse_when_closed(struct ctx *cx, struct jobs *jobs) MUST_CHECK;

#endif
