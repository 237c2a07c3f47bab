/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* db_result.c - rows of a finished statement (db.h).
 *
 * Values come in PostgreSQL's text form and are borrowed from the result; only bytea is decoded,
 * into the caller's arena. Nothing here blocks or talks to the server. */
#include "store/db.h"

#include <stdlib.h>

#include "store/db_impl.h"

int db_rows(const struct db_result *r)
{
    return PQntuples(r->pg);
}

bool db_is_null(const struct db_result *r, int row, int col)
{
    return PQgetisnull(r->pg, row, col) != 0;
}

const char *db_get(const struct db_result *r, int row, int col)
{
    return db_is_null(r, row, col) ? NULL : PQgetvalue(r->pg, row, col);
}

int64_t db_get_int(const struct db_result *r, int row, int col)
{
    return strtoll(PQgetvalue(r->pg, row, col), NULL, 10);
}

double db_get_double(const struct db_result *r, int row, int col)
{
    return strtod(PQgetvalue(r->pg, row, col), NULL);
}

bool db_get_bool(const struct db_result *r, int row, int col)
{
    return PQgetvalue(r->pg, row, col)[0] == 't';
}

static int hex(char c)
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

enum code db_get_bytes(struct ctx *cx, const struct db_result *r, int row, int col,
                       const unsigned char **ret_data, size_t *ret_len)
{
    const char *text = db_get(r, row, col);
    if (!text) {
        *ret_data = NULL;
        *ret_len = 0;
        return CODE_OK;
    }
    size_t n = (size_t)PQgetlength(r->pg, row, col);
    if (n < 2 || text[0] != '\\' || text[1] != 'x')
        return ctx_fail(cx, CODE_INTERNAL, "a bytea column is not in hex form");
    n = (n - 2) / 2;
    unsigned char *data = ctx_alloc(cx, n + 1);
    if (!data)
        return cx->failure.code;
    for (size_t i = 0; i < n; i++)
        data[i] = (unsigned char)(hex(text[2 + 2 * i]) << 4 | hex(text[3 + 2 * i]));
    *ret_data = data;
    *ret_len = n;
    return CODE_OK;
}

void db_result_free(struct db_result *r)
{
    if (!r)
        return;
    PQclear(r->pg);
    free(r);
}

void db_result_freep(struct db_result **r)
{
    db_result_free(*r);
    *r = NULL;
}
