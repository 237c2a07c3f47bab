/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* complete.h - the one statement that makes a job `completed`. Private to jobs/. */
#ifndef JOBS_COMPLETE_H
#define JOBS_COMPLETE_H

#include "jobs/jobs.h"

/* Inside the caller's transaction, and without telling anybody. CLAIM_LOST. */
enum code complete_row(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                       const struct job_completion *how) MUST_CHECK;

#endif
