/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* route.h - which method a verb and a path mean, from the google.api.http templates of the methods.
 *
 * Templates are literal segments and {field} segments. A literal wins over a field, one trailing
 * slash does not matter, HEAD is answered where GET is. A table never changes: all threads share
 * it. */
#ifndef SERVER_ROUTE_H
#define SERVER_ROUTE_H

#include "server/methods.h"

enum { ROUTE_MAX_SEGMENTS = 8 };

struct route_table;

struct route_param {
    const char *name, *value; /* decoded, never empty, valid UTF-8 is not checked */
};

struct route_match {
    const struct method *method; /* NULL: the path does not know the verb */
    const char *allow; /* as the header: "GET, HEAD, OPTIONS"; lives as long as the table */
    struct route_param params[ROUTE_MAX_SEGMENTS];
    size_t n_params;
};

/* Methods without an HTTP rule are left out. The table lives in cx's arena and borrows the methods.
 * INTERNAL: a template that is not understood, or two methods at one place. */
enum code route_compile(struct ctx *cx, const struct method *methods, size_t n,
                        struct route_table **ret_table) MUST_CHECK;

/* `path` as it came, with %XX. NOT_FOUND; INVALID_ARGUMENT: a bad %. Values live in cx's arena. */
enum code route_find(struct ctx *cx, const struct route_table *table, const char *verb,
                     const char *path, struct route_match *ret_match) MUST_CHECK;

/* s[0..n) without its %XX, in cx's arena. INVALID_ARGUMENT: a bad % or a NUL; `what` names the
 * place. */
enum code route_decode(struct ctx *cx, const char *s, size_t n, const char *what,
                       const char **ret_text) MUST_CHECK;

#endif
