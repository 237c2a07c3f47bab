/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* run_maintenance.h - the function of the job type maintenance. */
#ifndef WORKERS_RUN_MAINTENANCE_H
#define WORKERS_RUN_MAINTENANCE_H

#include "workers/task.h"

enum code run_maintenance(struct task *t) MUST_CHECK;

#endif
