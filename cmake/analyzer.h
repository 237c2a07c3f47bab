/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* analyzer.h - included before every file by ./dev lint, never by the build.
 *
 * clang's analyzer cannot see that ctx_fail() never returns CODE_OK and would follow paths on which
 * a call failed and TRY() went on. Here the failure's code is the value of the expression. */
#ifndef CMAKE_ANALYZER_H
#define CMAKE_ANALYZER_H

#include "base/ctx.h"

#undef ctx_fail
#define ctx_fail(cx, code, ...)                                                                    \
    (ctx_fail_at((cx), (code), __FILE__, __LINE__, __VA_ARGS__), (code) ? (code) : CODE_INTERNAL)

#endif
