/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd_documents_list.c - localrag documents list: the newest documents as a table.
 *
 * The file name is the last column: the only one that may be cut on a narrow terminal. */
#include <stdio.h>

#include "base/str.h"
#include "client/list.h"
#include "client/text.h"
#include "localrag/v1/document.pb-c.h"

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

static enum code page(struct app *app, struct table *t, int32_t limit, const char *token,
                      struct list_page *ret_page)
{
    Localrag__V1__ListDocumentsRequest request = LOCALRAG__V1__LIST_DOCUMENTS_REQUEST__INIT;
    ProtobufCMessage *m = NULL;
    request.limit = limit;
    if (token)
        request.page_token = (char *)token;
    TRY(conn_call(app->cx, app->conn, &localrag__v1__document_service__descriptor, "ListDocuments",
                  &request.base, &m));
    const Localrag__V1__ListDocumentsResponse *reply =
        (const Localrag__V1__ListDocumentsResponse *)m;
    for (size_t i = 0; i < reply->n_documents; i++) {
        if (app->json)
            app_json(&reply->documents[i]->base);
        else
            TRY(add_row(app->cx, t, reply->documents[i]));
    }
    *ret_page = (struct list_page){.n = reply->n_documents,
                                   .total = reply->total,
                                   .next = reply->next_page_token};
    return CODE_OK;
}

static int run(struct app *app)
{
    static const struct list documents = {.what = "documents",
                                          .columns = columns,
                                          .n_columns = ARRAY_LEN(columns),
                                          .page = page};
    return list_run(app, &documents);
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
