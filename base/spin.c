/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* spin.c - waiting for what usually comes at once (spin.h). */
#include "base/spin.h"

#include <sched.h>

#include "base/clk.h"

void spin_begin(struct spin *s)
{
    s->began_us = clk_mono_us();
}

bool spin_again(const struct spin *s)
{
    if (!s->pays || clk_mono_us() - s->began_us >= SPIN_US)
        return false;
    sched_yield();
    return true;
}

/* Twice: a wait that was slept through has the waking in it. */
void spin_end(struct spin *s)
{
    s->pays = clk_mono_us() - s->began_us < 2 * SPIN_US;
}
