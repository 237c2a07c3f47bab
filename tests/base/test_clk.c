/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_clk.c - RFC 3339 and the clock of waits (base/clk.h). */
#include "tests/support/check.h"

#include "base/clk.h"

static void times_are_printed_in_utc_with_at_most_microseconds(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds;
        int32_t nanos;
        const char *text;
    } cases[] = {
        {0, 0, "1970-01-01T00:00:00Z"},
        {1769860800, 123456789, "2026-01-31T12:00:00.123456Z"},
        {1769860800, 999, "2026-01-31T12:00:00Z"}, /* below a microsecond */
        {-1, 500000000, "1969-12-31T23:59:59.500000Z"},
        {253402300799, 0, "9999-12-31T23:59:59Z"},
        {-62135596800, 0, "0001-01-01T00:00:00Z"}, /* the first Timestamp: four digits too */
        {INT64_MAX, 0, "1970-01-01T00:00:00Z"}, /* not a time anybody has */
        {253402300800, 0, "1970-01-01T00:00:00Z"},
        {0, -5, "1970-01-01T00:00:00Z"},
        {0, 2000000000, "1970-01-01T00:00:00Z"},
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        char out[32];
        clk_print_rfc3339(cases[i].seconds, cases[i].nanos, out);
        assert_string_equal(out, cases[i].text);
    }
}

static void what_rfc3339_allows_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds;
        int32_t nanos;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0, 0},
        {"2026-01-31t12:00:00z", 1769860800, 0},
        {"2026-01-31 12:00:00Z", 1769860800, 0},
        {"2026-01-31T12:00:00.5Z", 1769860800, 500000000},
        {"2026-01-31T12:00:00.1234567899999Z", 1769860800, 123456789},
        {"2026-01-31T14:30:00+02:30", 1769860800, 0},
        {"2026-01-31T04:00:00-08:00", 1769860800, 0},
        {"2024-02-29T00:00:00Z", 1709164800, 0},
        {"2016-12-31T23:59:60Z", 1483228800, 0}, /* a leap second */
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t seconds = 0;
        int32_t nanos = -1;
        if (!clk_parse_rfc3339(cases[i].text, &seconds, &nanos))
            fail_msg("%s", cases[i].text);
        assert_int_equal(seconds, cases[i].seconds);
        assert_int_equal(nanos, cases[i].nanos);
    }
}

static void what_is_no_time_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "now",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-1-31T12:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-02-31T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:60:00Z",
        "2026-01-31T12:00:61Z",
        "2026-01-31T12:00:00.Z",
        "2026-01-31T12:00:00+2:00",
        "2026-01-31T12:00:00+24:00",
        "2026-01-31T12:00:00+01:60",
        "2026-01-31T12:00:00Zx",
        " 2026-01-31T12:00:00Z",
        "-2026-01-31T12:00:00Z",
        "20260131T120000Z",
    };
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t seconds;
        int32_t nanos;
        if (clk_parse_rfc3339(bad[i], &seconds, &nanos))
            fail_msg("\"%s\" was read", bad[i]);
    }
}

static void reading_gives_back_what_was_printed(void **state)
{
    (void)state;
    for (int64_t s = -62135596800; s < 253402300800; s += 1234567890123 / 100) {
        char out[32];
        int64_t seconds;
        int32_t nanos;
        clk_print_rfc3339(s, 123456000, out);
        assert_true(clk_parse_rfc3339(out, &seconds, &nanos));
        assert_int_equal(seconds, s);
        assert_int_equal(nanos, 123456000);
    }
}

static void a_point_in_time_is_a_valid_timespec(void **state)
{
    (void)state;
    for (int64_t ms = 0; ms < 3000; ms += 7) {
        int64_t before = clk_mono_ms();
        struct timespec t = clk_mono_after(ms);
        assert_in_range(t.tv_nsec, 0, 999999999);
        int64_t at = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
        assert_true(at >= before + ms && at <= clk_mono_ms() + ms);
    }
    assert_true(clk_uptime_ms() >= 0 && clk_uptime_ms() < 60000);
    assert_true(clk_wall_us() > 1600000000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_printed_in_utc_with_at_most_microseconds),
        cmocka_unit_test(what_rfc3339_allows_is_read),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(reading_gives_back_what_was_printed),
        cmocka_unit_test(a_point_in_time_is_a_valid_timespec),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
