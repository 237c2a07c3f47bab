/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* footprint.h - how much memory stays with the process. */
#ifndef SERVER_FOOTPRINT_H
#define SERVER_FOOTPRINT_H

/* First of all, while there is one thread. */
void footprint_begin(void);

/* Once, when everything has started: gives back what only the start needed. Any thread. */
void footprint_settle(void);

#endif
