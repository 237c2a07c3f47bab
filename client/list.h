/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* list.h - a command that shows the newest of something: a table, or with --json a line each. */
#ifndef CLIENT_LIST_H
#define CLIENT_LIST_H

#include "client/app.h"
#include "client/table.h"

enum { LIST_PAGE_MOST = 200 }; /* the server gives no more in one answer */

struct list_page {
    size_t n; /* entries that the answer had */
    int64_t total;
    const char *next; /* token of the page behind it; "": it was the last */
};

struct list {
    const char *what; /* "jobs" */
    const struct table_column *columns;
    int n_columns;
    /* Asks for the page at `token` (NULL: the first) with at most `limit` entries, each of which
     * becomes a row of t, or with --json is printed. The page's memory is app->cx's. */
    enum code (*page)(struct app *app, struct table *t, int32_t limit, const char *token,
                      struct list_page *ret_page);
};

/* Shows as many as --limit says; the exit code. */
int list_run(struct app *app, const struct list *list);

#endif
