/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* run_directory.h - the job type directory_batch: a directory becomes a job for each of its files.
 */
#ifndef WORKERS_RUN_DIRECTORY_H
#define WORKERS_RUN_DIRECTORY_H

#include "workers/task.h"

enum code run_directory(struct task *t) MUST_CHECK;

#endif
