/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* wait.h - waiting for what other threads and processes do: for a condition, never for a time. */
#ifndef TESTS_SUPPORT_WAIT_H
#define TESTS_SUPPORT_WAIT_H

#include "base/clk.h"
#include "tests/support/check.h"

/* Looks at the condition again and again; the test fails when it does not hold in time. */
#define WAIT_UNTIL(ms, condition)                                                                  \
    do {                                                                                           \
        int64_t end_ = clk_mono_ms() + (ms);                                                       \
        while (!(condition)) {                                                                     \
            if (clk_mono_ms() > end_)                                                              \
                fail_msg("not within %d ms: %s", (int)(ms), #condition);                           \
            wait_moment();                                                                         \
        }                                                                                          \
    } while (0)

void wait_moment(void); /* between two looks */

#endif
