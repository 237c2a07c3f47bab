/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* pages.h - goes through all pages or chunks of a document, however many answers that takes. */
#ifndef CLIENT_PAGES_H
#define CLIENT_PAGES_H

#include "client/app.h"
#include "localrag/v1/document.pb-c.h"

/* Called with one answer of the server after another. Its memory is gone when the call returns; a
 * failure is recorded in cx. */
typedef enum code (*pages_each)(struct ctx *cx, void *user,
                                const Localrag__V1__ListPagesResponse *reply);
typedef enum code (*chunks_each)(struct ctx *cx, void *user,
                                 const Localrag__V1__ListChunksResponse *reply);

enum code pages_walk(struct app *app, const char *document_id, bool text, pages_each each,
                     void *user) MUST_CHECK;
enum code chunks_walk(struct app *app, const char *document_id, chunks_each each,
                      void *user) MUST_CHECK;

#endif
