/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* wait.c - the pause between two looks at a condition (wait.h).
 *
 * Two milliseconds: short against what is waited for, long enough to leave the processor to those
 * who are waited for. Nothing else in the tests sleeps. */
#include "tests/support/wait.h"

#include <time.h>

void wait_moment(void)
{
    const struct timespec pause = {.tv_nsec = 2 * 1000 * 1000};
    nanosleep(&pause, NULL);
}
