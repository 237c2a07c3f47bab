/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* run_document.h - the job type single_document: one stored file becomes pages and chunks. */
#ifndef WORKERS_RUN_DOCUMENT_H
#define WORKERS_RUN_DOCUMENT_H

#include "workers/task.h"

enum code run_document(struct task *t) MUST_CHECK;

#endif
