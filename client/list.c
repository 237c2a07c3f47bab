/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* list.c - the newest of something as a table (list.h); for the commands `jobs list` and
 * `documents list`.
 *
 * A --limit above LIST_PAGE_MOST is read page by page, each from the token of the one before, so
 * that what is added meanwhile neither repeats nor hides an entry. What is left out is said on
 * stderr. With --json nothing is kept: a line is printed as its page comes. */
#include "client/list.h"

#include <stdio.h>

enum { DEFAULT_LIMIT = 50 };

static enum code read_pages(struct app *app, const struct list *list, struct table *t,
                            int64_t *ret_total)
{
    struct list_page page = {0};
    int64_t left = args_count(app->args, "limit", DEFAULT_LIMIT);
    while (left > 0) {
        TRY(list->page(app, t, (int32_t)MIN(left, LIST_PAGE_MOST), page.next, &page));
        left -= (int64_t)page.n;
        if (!page.n || !*page.next)
            break;
    }
    *ret_total = page.total;
    return CODE_OK;
}

int list_run(struct app *app, const struct list *list)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    struct table t = {.columns = list->columns, .n_columns = list->n_columns};
    int64_t total = 0;
    if (read_pages(app, list, &t, &total) != CODE_OK)
        return app_fail(app, app->cx, "could not list %s", list->what);
    if (app->json)
        return 0;
    int64_t shown = (int64_t)(t.n_cells / t.n_columns);
    if (shown || !app->quiet)
        table_print(&b, &t, app_columns(app));
    if (!app_write(&b))
        return EXIT_OTHER;
    if (!app->quiet && shown < total)
        fprintf(stderr, "%lld of %lld %s; --limit shows more\n", (long long)shown, (long long)total,
                list->what);
    return 0;
}
