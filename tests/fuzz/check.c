/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* check.c - how a target says that something does not hold (fuzz.h).
 *
 * assert() is not used: it is compiled away in release builds, and these checks are all there is.
 * abort() is what libFuzzer takes for a finding, and what makes a test fail without it. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

_Noreturn void fuzz_broken(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}

void fuzz_check_ok(const struct ctx *cx, enum code code)
{
    if (code == CODE_OK)
        return;
    fprintf(stderr, "unexpected %s: %s\n", code_name(code), ctx_message(cx));
    abort();
}
