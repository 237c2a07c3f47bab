/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* boot.h - what must be true before the server listens. */
#ifndef SERVER_BOOT_H
#define SERVER_BOOT_H

#include <signal.h>

#include "jobs/settings.h"

/* Waits for PostgreSQL as long as it takes and brings the schema up. `stop` are blocked signals;
 * when one arrives while waiting, *ret_stopped is set and CODE_OK returned. WRONG_STATE: the schema
 * is newer. */
enum code boot_database(struct ctx *cx, const struct settings *settings, const sigset_t *stop,
                        bool *ret_stopped) MUST_CHECK;

#endif
