/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd_documents_text.c - localrag documents text ID: the text of all pages.
 *
 * A form feed stands after each page, also after an empty one, so that page n is what lies before
 * the n-th form feed. Into a file or pipe the text goes byte for byte; on a terminal control
 * characters are shown as escapes. With --json one page a line, with its text. */
#include <string.h>

#include "client/pages.h"
#include "client/text.h"

static enum code each(struct ctx *cx, void *user, const Localrag__V1__ListPagesResponse *reply)
{
    const struct app *app = user;
    for (size_t i = 0; i < reply->n_pages; i++) {
        const Localrag__V1__Page *page = reply->pages[i];
        CLEANUP(buf_done) struct buf b = BUF_INIT(0);
        if (app->json) {
            app_json(&page->base);
            continue;
        }
        if (page->_text_case != LOCALRAG__V1__PAGE___TEXT__NOT_SET) {
            if (app->tty)
                text_safe_lines(&b, page->text);
            else
                buf_str(&b, page->text);
        }
        buf_char(&b, '\f');
        if (!app_write(&b))
            return ctx_fail(cx, CODE_INTERNAL, "could not write the text");
    }
    return CODE_OK;
}

static int run(struct app *app)
{
    const char *id = app->args->operands[0];
    if (pages_walk(app, id, true, each, app) != CODE_OK)
        return app_fail(app, app->cx, "could not get the text of document \"%s\"", id);
    return 0;
}

const struct cmd cmd_documents_text = {
    .name = "documents text",
    .operands = "ID",
    .help = "print the text of all pages, a form feed after each",
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
