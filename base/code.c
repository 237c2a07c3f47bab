/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* code.c - look-ups in the table of outcomes (code.h).
 *
 * The table is the single place that says how an outcome looks on each transport: a new outcome is
 * one row there and nothing here. */
#include "base/code.h"

#include <string.h>

struct code_row {
    const char *name;
    const char *text;
    int grpc, http, exit;
    bool retryable;
};

static const struct code_row rows[CODE_COUNT] = {
#define CODE_ROW(n, g, h, e, r, t)                                                                 \
    [CODE_##n] = {.name = #n, .text = (t), .grpc = (g), .http = (h), .exit = (e), .retryable = (r)},
    CODE_TABLE(CODE_ROW)
#undef CODE_ROW
};

static const struct code_row *row(enum code code)
{
    return (unsigned)code < CODE_COUNT ? &rows[code] : &rows[CODE_INTERNAL];
}

const char *code_name(enum code code)
{
    return row(code)->name;
}

int code_grpc(enum code code)
{
    return row(code)->grpc;
}

int code_http(enum code code)
{
    return row(code)->http;
}

int code_exit(enum code code)
{
    return row(code)->exit;
}

bool code_retryable(enum code code)
{
    return row(code)->retryable;
}

const char *code_text(enum code code)
{
    return row(code)->text;
}

enum code code_from_name(const char *name)
{
    for (unsigned i = 0; i < CODE_COUNT; i++)
        if (strcmp(rows[i].name, name) == 0)
            return (enum code)i;
    return CODE_INTERNAL;
}
