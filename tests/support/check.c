/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* check.c - checks of calls that record their failure (check.h).
 *
 * A fallible call must say the same thing twice: by its return value and in its ctx. Both are
 * looked at here, for every call of every test, so a function that returns a failure without
 * recording one (or the other way round) is found wherever it is used. */
#include "tests/support/check.h"

#include <string.h>

const char *check_code(const char *file, int line, const char *call, struct ctx *cx, enum code want,
                       enum code got)
{
    if (got != want || cx->failure.code != want) {
        print_error("%s\n    returned %s and recorded %s \"%s\" (%s:%d), expected %s\n", call,
                    code_name(got), code_name(cx->failure.code), ctx_message(cx),
                    cx->failure.file ? cx->failure.file : "-", cx->failure.line, code_name(want));
        _fail(file, line);
    }
    const char *message = ctx_message(cx);
    if (want != CODE_OK && !*message) {
        print_error("%s\n    failed without a word\n", call);
        _fail(file, line);
    }
    ctx_clear(cx);
    return message;
}

void check_contains(const char *file, int line, const char *text, const char *part, bool want)
{
    if (text && (strstr(text, part) != NULL) == want)
        return;
    print_error("\"%s\" is %s \"%s\"\n", part, want ? "not in" : "in", text ? text : "(null)");
    _fail(file, line);
}
