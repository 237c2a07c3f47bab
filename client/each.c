/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* each.c - the same thing for every operand (each.h).
 *
 * Used by the commands that change several jobs or documents. There is no transaction over them:
 * each says its own reason on a line of its own, so that a person sees what was done and what was
 * not. */
#include "client/each.h"

#include "client/interrupt.h"
#include "client/text.h"

int each_operand(const struct app *app, each_one one)
{
    int status = 0;
    for (size_t i = 0; i < app->args->n_operands && !interrupt_pending(); i++) {
        struct ctx cx;
        ctx_init(&cx, CTX_DEFAULT_LIMIT);
        int this = one(app, &cx, app->args->operands[i]);
        status = status ? status : this;
        ctx_done(&cx);
    }
    return interrupt_pending() ? EXIT_INTERRUPTED : status;
}

int each_said(const struct app *app, const ProtobufCMessage *answer, const char *message)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    if (app->json) {
        app_json(answer);
        return 0;
    }
    if (app->quiet)
        return 0;
    text_safe(&b, message);
    buf_char(&b, '\n');
    return app_write(&b) ? 0 : EXIT_OTHER;
}
