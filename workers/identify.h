/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* identify.h - what the bytes of a file are, for jobs whose submission did not read them. */
#ifndef WORKERS_IDENTIFY_H
#define WORKERS_IDENTIFY_H

#include "workers/task.h"

/* Files of directories and originals that are read again: gives t->claim content_type, content_hash
 * and file_size. An upload's claim has them. UNSUPPORTED, UNREADABLE; CLAIM_LOST, CANCELLED. */
enum code identify(struct task *t, int fd) MUST_CHECK;

#endif
