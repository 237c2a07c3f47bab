/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* spin.h - waiting for what usually comes at once: look a little longer before going to sleep.
 *
 * Being woken costs tens of microseconds, and hundreds where a virtual machine's core has to be
 * woken too; the next answer of the database, or a caller's next question, is often nearer than
 * that. So whoever waits looks again and again for up to SPIN_US and sleeps then, which costs at
 * most about twice as much as the better of the two (Karlin, Li, Manasse, Owicki, "Empirical
 * Studies of Competitive Spinning for a Shared-Memory Multiprocessor", SOSP 1991). Nobody spins
 * whose last wait was a long one, and between two looks whatever else can run on this core does.
 *
 * Where: spin_begin; while nothing is there and spin_again, look; sleep until something is;
 * spin_end. Zeroed memory is a good start. One thread at a time. */
#ifndef BASE_SPIN_H
#define BASE_SPIN_H

#include "base/defs.h"

enum { SPIN_US = 200 };

struct spin {
    int64_t began_us;
    bool pays; /* the last wait was short */
};

void spin_begin(struct spin *s);
bool spin_again(const struct spin *s);
void spin_end(struct spin *s);

#endif
