/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd_documents_list.c - localrag documents list: the newest documents as a table.
 *
 * Read an answer at a time up to --limit. With --json one document a line, printed as it comes. The
 * file name is the last column: the only one that may be cut on a narrow terminal. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "client/app.h"
#include "client/table.h"
#include "client/text.h"
#include "localrag/v1/document.pb-c.h"

enum { DOCUMENTS_AT_ONCE = 200, DEFAULT_LIMIT = 50 };

static const struct table_column columns[] = {
    {"ID", false},  {"PAGES", true},    {"CHUNKS", true},
    {"SIZE", true}, {"CREATED", false}, {"FILE", false},
};

static enum code add_row(struct ctx *cx, struct table *t, const Localrag__V1__Document *d)
{
    char pages[16], chunks[16], size[32], created[32];
    snprintf(pages, sizeof(pages), "%d", d->page_count);
    snprintf(chunks, sizeof(chunks), "%d", d->chunk_count);
    str_print_bytes(d->file_size, size);
    text_time(d->created_at, created);
    const char *cells[] = {d->document_id, pages, chunks, size, created, d->file_name};
    return table_row(cx, t, cells);
}

static enum code list(struct app *app, struct table *t, int64_t limit, int64_t *ret_total)
{
    Localrag__V1__ListDocumentsRequest request = LOCALRAG__V1__LIST_DOCUMENTS_REQUEST__INIT;
    for (int64_t left = limit; left > 0;) {
        ProtobufCMessage *m = NULL;
        request.limit = (int32_t)MIN(left, DOCUMENTS_AT_ONCE);
        TRY(conn_call(app->cx, app->conn, &localrag__v1__document_service__descriptor,
                      "ListDocuments", &request.base, &m));
        const Localrag__V1__ListDocumentsResponse *reply =
            (const Localrag__V1__ListDocumentsResponse *)m;
        for (size_t i = 0; i < reply->n_documents; i++) {
            if (app->json)
                app_json(&reply->documents[i]->base);
            else
                TRY(add_row(app->cx, t, reply->documents[i]));
        }
        left -= (int64_t)reply->n_documents;
        *ret_total = reply->total;
        if (!reply->n_documents || !*reply->next_page_token)
            break;
        request.page_token = reply->next_page_token;
    }
    return CODE_OK;
}

static int run(struct app *app)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    struct table t = {.columns = columns, .n_columns = ARRAY_LEN(columns)};
    int64_t total = 0;
    if (list(app, &t, args_count(app->args, "limit", DEFAULT_LIMIT), &total) != CODE_OK)
        return app_fail(app, app->cx, "could not list documents");
    if (app->json)
        return 0;
    int64_t shown = (int64_t)(t.n_cells / t.n_columns);
    if (shown || !app->quiet)
        table_print(&b, &t, app_columns(app));
    if (!app_write(&b))
        return EXIT_OTHER;
    if (!app->quiet && shown < total)
        fprintf(stderr, "%lld of %lld documents; --limit shows more\n", (long long)shown,
                (long long)total);
    return 0;
}

static const struct arg_option options[] = {
    {"limit", 0, ARG_COUNT, "N", NULL, "at most N documents (default 50)"},
};

const struct cmd cmd_documents_list = {
    .name = "documents list",
    .help = "list the newest documents",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .run = run,
};
