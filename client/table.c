/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* table.c - aligned columns (table.h).
 *
 * Every column is as wide as its widest cell; two spaces are between them. Only the last column may
 * be cut, and only on a terminal, so that what goes into a pipe is whole. Lines carry no spaces at
 * their end. */
#include "client/table.h"

#include <string.h>

#include "client/text.h"

enum { MAX_COLUMNS = 16, LEAST_LAST = 8 };

static enum code grow(struct ctx *cx, struct table *t)
{
    if (t->n_cells + t->n_columns <= t->cap)
        return CODE_OK;
    size_t cap = MAX(t->cap * 2, t->n_columns * 32);
    char **cells = ctx_array(cx, cap, sizeof(*cells));
    if (!cells)
        return ctx_oom(cx);
    if (t->n_cells)
        memcpy(cells, t->cells, t->n_cells * sizeof(*cells));
    t->cells = cells;
    t->cap = cap;
    return CODE_OK;
}

enum code table_row(struct ctx *cx, struct table *t, const char *const *cells)
{
    TRY(grow(cx, t));
    for (size_t i = 0; i < t->n_columns; i++) {
        CLEANUP(buf_done) struct buf safe = BUF_INIT(0);
        text_safe(&safe, cells[i] && *cells[i] ? cells[i] : "-");
        char *cell = buf_failed(&safe) ? NULL : ctx_strdup(cx, buf_cstr(&safe));
        if (!cell)
            return ctx_oom(cx);
        t->cells[t->n_cells + i] = cell;
    }
    t->n_cells += t->n_columns;
    return CODE_OK;
}

static void print_row(struct buf *b, const struct table *t, const char *const *cells,
                      const size_t *widths)
{
    for (size_t i = 0; i < t->n_columns; i++) {
        bool last = i + 1 == t->n_columns;
        if (t->columns[i].right) {
            size_t width = text_width(cells[i]);
            buf_printf(b, "%*s", (int)(widths[i] - MIN(width, widths[i])), "");
            text_fit(b, cells[i], widths[i], false);
        } else {
            text_fit(b, cells[i], widths[i], !last);
        }
        buf_str(b, last ? "\n" : "  ");
    }
}

void table_print(struct buf *b, const struct table *t, size_t width)
{
    size_t widths[MAX_COLUMNS] = {0}, total = 0;
    const char *titles[MAX_COLUMNS];
    if (!t->n_columns || t->n_columns > MAX_COLUMNS)
        return;
    for (size_t i = 0; i < t->n_columns; i++) {
        titles[i] = t->columns[i].title;
        widths[i] = text_width(titles[i]);
    }
    for (size_t i = 0; i < t->n_cells; i++) {
        size_t *w = &widths[i % t->n_columns];
        *w = MAX(*w, text_width(t->cells[i]));
    }
    size_t last = t->n_columns - 1;
    for (size_t i = 0; i < last; i++)
        total += widths[i] + 2;
    if (width && total + widths[last] > width)
        widths[last] = MAX(width > total ? width - total : 0, (size_t)LEAST_LAST);

    print_row(b, t, titles, widths);
    for (size_t i = 0; i < t->n_cells; i += t->n_columns)
        print_row(b, t, (const char *const *)t->cells + i, widths);
}
