/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* check.h - cmocka, and two checks for calls that return a code and record a failure.
 *
 * A check that does not hold ends the test, so only the test's own thread may check. */
#ifndef TESTS_SUPPORT_CHECK_H
#define TESTS_SUPPORT_CHECK_H

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "base/ctx.h"

/* The call succeeds; if not, the test shows why it says it did not. */
#define OK(cx, call) check_code(__FILE__, __LINE__, #call, (cx), CODE_OK, (call))

/* The call fails with this code and records it. The failure is forgotten afterwards; its message is
 * the result, in cx's memory. */
#define FAILS(cx, code, call) check_code(__FILE__, __LINE__, #call, (cx), (code), (call))

const char *check_code(const char *file, int line, const char *call, struct ctx *cx, enum code want,
                       enum code got);

/* `part` is somewhere in `text`. */
#define CONTAINS(text, part) check_contains(__FILE__, __LINE__, (text), (part), true)
#define LACKS(text, part) check_contains(__FILE__, __LINE__, (text), (part), false)
void check_contains(const char *file, int line, const char *text, const char *part, bool want);

#endif
