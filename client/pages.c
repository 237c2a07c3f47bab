/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* pages.c - goes through all pages or chunks of a document (pages.h).
 *
 * A document may have 20,000 pages and more text than memory should hold, so each answer lives in a
 * unit of work of its own and only the token of the next one is kept. Answers with text ask for
 * fewer pages at a time to stay well below the size limit of a message. */
#include "client/pages.h"

#include <stdio.h>
#include <string.h>

enum { PAGES_AT_ONCE = 500, TEXTS_AT_ONCE = 50, CHUNKS_AT_ONCE = 200, TOKEN_BYTES = 1024 };

/* Keeps the token of the next answer in `next`. */
static enum code keep_token(struct ctx *cx, const char *token, char next[TOKEN_BYTES])
{
    if (strlen(token) >= TOKEN_BYTES)
        return ctx_fail(cx, CODE_INTERNAL, "the server's page token is too long");
    snprintf(next, TOKEN_BYTES, "%s", token);
    return CODE_OK;
}

static enum code next_pages(struct ctx *cx, struct app *app,
                            const Localrag__V1__ListPagesRequest *request, pages_each each,
                            void *user, char next[TOKEN_BYTES])
{
    ProtobufCMessage *m = NULL;
    TRY(conn_call(cx, app->conn, &localrag__v1__document_service__descriptor, "ListPages",
                  &request->base, &m));
    const Localrag__V1__ListPagesResponse *reply = (const Localrag__V1__ListPagesResponse *)m;
    TRY(each(cx, user, reply));
    return keep_token(cx, reply->n_pages ? reply->next_page_token : "", next);
}

enum code pages_walk(struct app *app, const char *document_id, bool text, pages_each each,
                     void *user)
{
    char token[TOKEN_BYTES] = "", next[TOKEN_BYTES] = "";
    Localrag__V1__ListPagesRequest request = LOCALRAG__V1__LIST_PAGES_REQUEST__INIT;
    request.document_id = (char *)document_id;
    request.text = text;
    request.limit = text ? TEXTS_AT_ONCE : PAGES_AT_ONCE;
    do {
        struct ctx cx;
        ctx_init(&cx, CTX_DEFAULT_LIMIT);
        request.page_token = token;
        enum code code = next_pages(&cx, app, &request, each, user, next);
        if (code != CODE_OK)
            code = ctx_fail(app->cx, code, "%s", ctx_message(&cx));
        ctx_done(&cx);
        TRY(code);
        memcpy(token, next, sizeof(token));
    } while (*token);
    return CODE_OK;
}

static enum code next_chunks(struct ctx *cx, struct app *app,
                             const Localrag__V1__ListChunksRequest *request, chunks_each each,
                             void *user, char next[TOKEN_BYTES])
{
    ProtobufCMessage *m = NULL;
    TRY(conn_call(cx, app->conn, &localrag__v1__document_service__descriptor, "ListChunks",
                  &request->base, &m));
    const Localrag__V1__ListChunksResponse *reply = (const Localrag__V1__ListChunksResponse *)m;
    TRY(each(cx, user, reply));
    return keep_token(cx, reply->n_chunks ? reply->next_page_token : "", next);
}

enum code chunks_walk(struct app *app, const char *document_id, chunks_each each, void *user)
{
    char token[TOKEN_BYTES] = "", next[TOKEN_BYTES] = "";
    Localrag__V1__ListChunksRequest request = LOCALRAG__V1__LIST_CHUNKS_REQUEST__INIT;
    request.document_id = (char *)document_id;
    request.limit = CHUNKS_AT_ONCE;
    do {
        struct ctx cx;
        ctx_init(&cx, CTX_DEFAULT_LIMIT);
        request.page_token = token;
        enum code code = next_chunks(&cx, app, &request, each, user, next);
        if (code != CODE_OK)
            code = ctx_fail(app->cx, code, "%s", ctx_message(&cx));
        ctx_done(&cx);
        TRY(code);
        memcpy(token, next, sizeof(token));
    } while (*token);
    return CODE_OK;
}
