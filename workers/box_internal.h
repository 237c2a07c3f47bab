/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* box_internal.h - between box.c and box_child.c. */
#ifndef WORKERS_BOX_INTERNAL_H
#define WORKERS_BOX_INTERNAL_H

#include "workers/box.h"

/* Asks the zygote (starting one if need be) for a child that gets the descriptors {talk, document,
 * status pipe}, all borrowed. The pidfd is the caller's. */
enum code box_ask(struct ctx *cx, struct box *b, const int fds[3], pid_t *ret_pid,
                  int *ret_pidfd) MUST_CHECK;

#endif
