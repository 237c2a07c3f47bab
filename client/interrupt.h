/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* interrupt.h - Ctrl-C: seen by every thread, acted on where something waits. */
#ifndef CLIENT_INTERRUPT_H
#define CLIENT_INTERRUPT_H

#include "base/defs.h"

/* The first SIGINT sets the flag, a second one ends the program the usual way. Once, from main. */
void interrupt_install(void);

bool interrupt_pending(void);

/* Waits `ms` or until a SIGINT; true when there was one. Any thread. */
bool interrupt_wait(int64_t ms);

#endif
