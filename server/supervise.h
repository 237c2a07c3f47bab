/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* supervise.h - keeps one localrag-worker alive beside the server. */
#ifndef SERVER_SUPERVISE_H
#define SERVER_SUPERVISE_H

#include "jobs/settings.h"

struct supervisor;

/* Starts the program that lies beside this one and starts it again whenever it exits. Whether its
 * workers run is their own business (the desired state in PostgreSQL). */
enum code supervise_start(struct ctx *cx, const struct settings *settings,
                          struct supervisor **ret_supervisor) MUST_CHECK;

/* Tells the worker to open its log again. NULL is fine. */
void supervise_reopen_log(struct supervisor *s);

/* SIGTERM to the worker; does not wait. No restart from now on. NULL is fine. */
void supervise_terminate(struct supervisor *s);

/* After supervise_terminate: waits until SHUTDOWN_GRACE + 5 s after it, then SIGKILL. Frees. */
void supervise_stop(struct supervisor *s);

#endif
