/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_footprint.c - what a start needed is not resident any more, and comes back when it is used.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/footprint.h"
#include "server/methods.h"
#include "tests/support/check.h"

static long resident_kb(void)
{
    char line[256];
    long kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f))
        if (strncmp(line, "RssFile:", 8) == 0)
            kb = strtol(line + 8, NULL, 10);
    fclose(f);
    return kb;
}

static void a_start_is_let_go_and_comes_back(void **state)
{
    (void)state;
    struct ctx cx;
    size_t n;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    footprint_begin();
    OK(&cx, methods_init(&cx));
    long before = resident_kb();
    footprint_settle();
    assert_true(resident_kb() < before / 2);
    assert_non_null(methods_all(&n));
    assert_true(n > 0);
    OK(&cx, methods_init(&cx));
    ctx_done(&cx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_start_is_let_go_and_comes_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
