/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd_documents_pages.c - localrag documents pages ID: how each page was read.
 *
 * A table with the engine, OCR's confidence, the number of characters and the time; the last column
 * says why this engine was chosen, or what went wrong. With --json one page a line. */
#include <stdio.h>

#include "client/pages.h"
#include "client/table.h"
#include "client/text.h"

static const struct table_column columns[] = {
    {"PAGE", true},  {"LABEL", false}, {"ENGINE", false}, {"CONFIDENCE", true},
    {"CHARS", true}, {"MS", true},     {"REASON", false},
};

struct view {
    struct app *app;
    struct table table;
};

static enum code add_row(struct view *v, const Localrag__V1__Page *page)
{
    char number[32], engine[32], confidence[32], chars[32], ms[32];
    bool label = page->_label_case != LOCALRAG__V1__PAGE___LABEL__NOT_SET;
    bool sure = page->_confidence_case != LOCALRAG__V1__PAGE___CONFIDENCE__NOT_SET;
    bool error = page->_error_case != LOCALRAG__V1__PAGE___ERROR__NOT_SET;
    snprintf(number, sizeof(number), "%d", page->page);
    snprintf(chars, sizeof(chars), "%d", page->char_count);
    snprintf(ms, sizeof(ms), "%d", page->ms);
    snprintf(confidence, sizeof(confidence), "%.2f", sure ? page->confidence : 0);
    text_enum(&localrag__v1__page_engine__descriptor, page->engine, engine);
    const char *cells[] = {
        number, label ? page->label : NULL,        engine, sure ? confidence : NULL, chars,
        ms,     error ? page->error : page->reason};
    return table_row(v->app->cx, &v->table, cells);
}

static enum code each(struct ctx *cx, void *user, const Localrag__V1__ListPagesResponse *reply)
{
    struct view *v = user;
    for (size_t i = 0; i < reply->n_pages; i++) {
        if (v->app->json)
            app_json(&reply->pages[i]->base);
        else if (add_row(v, reply->pages[i]) != CODE_OK)
            return ctx_oom(cx);
    }
    return CODE_OK;
}

static int run(struct app *app)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    struct view view = {.app = app, .table = {.columns = columns, .n_columns = ARRAY_LEN(columns)}};
    const char *id = app->args->operands[0];
    if (pages_walk(app, id, false, each, &view) != CODE_OK)
        return app_fail(app, app->cx, "could not list the pages of document \"%s\"", id);
    if (!app->json)
        table_print(&b, &view.table, app_columns(app));
    return app_write(&b) ? 0 : EXIT_OTHER;
}

const struct cmd cmd_documents_pages = {
    .name = "documents pages",
    .operands = "ID",
    .help = "list the pages of a document and how each was read",
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
