/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd_documents_chunks.c - localrag documents chunks ID: the pieces a document was cut into.
 *
 * A table with the pages a chunk comes from, its size and how it begins, on one line. With --json
 * one chunk a line with its whole content and the places it comes from. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "client/pages.h"
#include "client/table.h"

enum { EXCERPT_POINTS = 100 };

static const struct table_column columns[] = {
    {"CHUNK", true},
    {"PAGES", false},
    {"TOKENS", true},
    {"CONTENT", false},
};

struct view {
    struct app *app;
    struct table table;
};

/* The first characters, with every run of white space as one space. */
static void excerpt(struct buf *b, const char *content)
{
    size_t n = strlen(content);
    size_t end = str_utf8_offset(content, n, EXCERPT_POINTS);
    bool gap = false;
    for (size_t i = 0; i < end; i++) {
        bool space = strchr(" \n\t\r\f", content[i]) != NULL;
        if (!space && gap && b->len)
            buf_char(b, ' ');
        if (!space)
            buf_char(b, content[i]);
        gap = space;
    }
    if (end < n)
        buf_str(b, "\xe2\x80\xa6");
}

static enum code add_row(struct view *v, const Localrag__V1__Chunk *chunk)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT(0);
    char number[32], pages[48], tokens[32];
    snprintf(number, sizeof(number), "%d", chunk->chunk_index);
    snprintf(tokens, sizeof(tokens), "%d", chunk->token_count);
    if (chunk->page_start == chunk->page_end)
        snprintf(pages, sizeof(pages), "%d", chunk->page_start);
    else
        snprintf(pages, sizeof(pages), "%d-%d", chunk->page_start, chunk->page_end);
    excerpt(&text, chunk->content);
    const char *cells[] = {number, pages, tokens, buf_cstr(&text)};
    return table_row(v->app->cx, &v->table, cells);
}

static enum code each(struct ctx *cx, void *user, const Localrag__V1__ListChunksResponse *reply)
{
    struct view *v = user;
    for (size_t i = 0; i < reply->n_chunks; i++) {
        if (v->app->json)
            app_json(&reply->chunks[i]->base);
        else if (add_row(v, reply->chunks[i]) != CODE_OK)
            return ctx_oom(cx);
    }
    return CODE_OK;
}

static int run(struct app *app)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    struct view view = {.app = app, .table = {.columns = columns, .n_columns = ARRAY_LEN(columns)}};
    const char *id = app->args->operands[0];
    if (chunks_walk(app, id, each, &view) != CODE_OK)
        return app_fail(app, app->cx, "could not list the chunks of document \"%s\"", id);
    if (!app->json)
        table_print(&b, &view.table, app_columns(app));
    return app_write(&b) ? 0 : EXIT_OTHER;
}

const struct cmd cmd_documents_chunks = {
    .name = "documents chunks",
    .operands = "ID",
    .help = "list the chunks of a document",
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
