/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* clk.h - time. Monotonic time for waits and deadlines, wall time only for what people read. */
#ifndef BASE_CLK_H
#define BASE_CLK_H

#include <time.h>

#include "base/defs.h"

int64_t clk_mono_ms(void);
int64_t clk_mono_us(void);
int64_t clk_uptime_ms(void); /* since this process was started */
int64_t clk_wall_us(void); /* microseconds since 1970 UTC */

/* A timespec `ms` from now on CLOCK_MONOTONIC, for pthread_cond_timedwait on such a condition. */
struct timespec clk_mono_after(int64_t ms);

/* "2026-01-31T12:00:00.123456Z", without the fraction when it is zero. `out` has room for 32. */
void clk_print_rfc3339(int64_t seconds, int32_t nanos, char out[32]);

/* RFC 3339 date-time with Z or an offset. False when `s` is not one. */
bool clk_parse_rfc3339(const char *s, int64_t *ret_seconds, int32_t *ret_nanos);

#endif
