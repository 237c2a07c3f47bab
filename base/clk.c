/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* clk.c - time (clk.h).
 *
 * Waits never use wall time, so a clock that jumps changes what people read and nothing else. The
 * texts are RFC 3339 in UTC with at most microseconds, which is what PostgreSQL keeps. */
#include "base/clk.h"

#include <stdio.h>
#include <string.h>

int64_t clk_mono_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clk_mono_ms(void)
{
    return clk_mono_us() / 1000;
}

static int64_t loaded_ms;

__attribute__((constructor)) static void remember_start(void)
{
    loaded_ms = clk_mono_ms();
}

int64_t clk_uptime_ms(void)
{
    return clk_mono_ms() - loaded_ms;
}

int64_t clk_wall_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct timespec clk_mono_after(int64_t ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

void clk_print_rfc3339(int64_t seconds, int32_t nanos, char out[32])
{
    time_t s = (time_t)seconds;
    struct tm tm;
    if (!gmtime_r(&s, &tm) || tm.tm_year < -1900 || tm.tm_year > 8099) {
        snprintf(out, 32, "1970-01-01T00:00:00Z");
        return;
    }
    /* Not strftime: its %Y does not pad. */
    size_t n =
        (size_t)snprintf(out, 32, "%04d-%02d-%02dT%02d:%02d:%02d", (tm.tm_year + 1900) % 10000,
                         (tm.tm_mon + 1) % 100, tm.tm_mday % 100, tm.tm_hour % 100, tm.tm_min % 100,
                         tm.tm_sec % 100);
    int micros = nanos / 1000;
    if (micros > 0 && micros < 1000000)
        snprintf(out + n, 32 - n, ".%06dZ", micros);
    else
        snprintf(out + n, 32 - n, "Z");
}

static bool digits(const char **s, int n, int *ret)
{
    int v = 0;
    for (int i = 0; i < n; i++) {
        char c = (*s)[i];
        if (c < '0' || c > '9')
            return false;
        v = v * 10 + (c - '0');
    }
    *s += n;
    *ret = v;
    return true;
}

static bool skip(const char **s, const char *any)
{
    if (!**s || !strchr(any, **s))
        return false;
    (*s)++;
    return true;
}

static int days_of_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

bool clk_parse_rfc3339(const char *s, int64_t *ret_seconds, int32_t *ret_nanos)
{
    struct tm tm = {0};
    int32_t nanos = 0;
    if (!digits(&s, 4, &tm.tm_year) || !skip(&s, "-") || !digits(&s, 2, &tm.tm_mon) ||
        !skip(&s, "-") || !digits(&s, 2, &tm.tm_mday) || !skip(&s, "Tt ") ||
        !digits(&s, 2, &tm.tm_hour) || !skip(&s, ":") || !digits(&s, 2, &tm.tm_min) ||
        !skip(&s, ":") || !digits(&s, 2, &tm.tm_sec))
        return false;
    if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 ||
        tm.tm_mday > days_of_month(tm.tm_year, tm.tm_mon) || tm.tm_hour > 23 || tm.tm_min > 59 ||
        tm.tm_sec > 60)
        return false;
    if (skip(&s, ".")) {
        int32_t unit = 100000000;
        if (*s < '0' || *s > '9')
            return false;
        for (; *s >= '0' && *s <= '9'; s++, unit /= 10)
            nanos += (*s - '0') * unit;
    }
    int64_t offset = 0;
    if (!skip(&s, "Zz")) {
        int sign = *s == '-' ? -1 : 1, hours, minutes;
        if (!skip(&s, "+-") || !digits(&s, 2, &hours) || !skip(&s, ":") ||
            !digits(&s, 2, &minutes) || hours > 23 || minutes > 59)
            return false;
        offset = sign * (hours * 3600 + minutes * 60);
    }
    if (*s)
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *ret_seconds = (int64_t)timegm(&tm) - offset;
    *ret_nanos = nanos;
    return true;
}
