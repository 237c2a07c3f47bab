/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* table.h - aligned columns under a heading. Pure. */
#ifndef CLIENT_TABLE_H
#define CLIENT_TABLE_H

#include "base/buf.h"
#include "base/ctx.h"

struct table_column {
    const char *title;
    bool right; /* numbers */
};

struct table {
    const struct table_column *columns; /* borrowed */
    size_t n_columns;
    char **cells; /* row after row, already safe */
    size_t n_cells, cap;
};

/* Adds a row of n_columns texts, which may be unsafe; NULL is "-". Memory is cx's. */
enum code table_row(struct ctx *cx, struct table *t, const char *const *cells) MUST_CHECK;

/* The last column is cut when a line would be wider than `width`; 0: never. */
void table_print(struct buf *b, const struct table *t, size_t width);

#endif
