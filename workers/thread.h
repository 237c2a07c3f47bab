/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* thread.h - threads with small stacks and conditions on the monotonic clock. */
#ifndef WORKERS_THREAD_H
#define WORKERS_THREAD_H

#include <pthread.h>

#include "base/ctx.h"

/* A named thread with a 512 KiB stack; signals are blocked in it when they are in the caller. */
enum code thread_start(struct ctx *cx, pthread_t *ret_thread, const char *name,
                       void *(*run)(void *), void *arg) MUST_CHECK;

/* For pthread_cond_timedwait with clk_mono_after(). */
void thread_cond_init(pthread_cond_t *cond);

#endif
