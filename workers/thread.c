/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* thread.c - how this program makes threads (thread.h).
 *
 * glibc's default of 8 MiB a stack costs little memory but counts against limits on address space,
 * and a pool may have hundreds of workers. Nothing here recurses over foreign data: parsing happens
 * in other processes, and JSON and protobuf depth are bounded. */
#include "workers/thread.h"

#include <string.h>
#include <time.h>

enum { STACK = 512 * 1024, NAME_MAX_LEN = 15 };

enum code thread_start(struct ctx *cx, pthread_t *ret_thread, const char *name,
                       void *(*run)(void *), void *arg)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
#ifndef __SANITIZE_ADDRESS__
    pthread_attr_setstacksize(&attr, STACK);
#endif
    int error = pthread_create(ret_thread, &attr, run, arg);
    pthread_attr_destroy(&attr);
    if (error)
        return ctx_fail(cx, CODE_UNAVAILABLE, "could not start thread \"%s\": %s", name,
                        strerror(error));
    char shortened[NAME_MAX_LEN + 1];
    strncpy(shortened, name, NAME_MAX_LEN);
    shortened[NAME_MAX_LEN] = '\0';
    pthread_setname_np(*ret_thread, shortened);
    return CODE_OK;
}

void thread_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}
