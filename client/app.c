/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* app.c - printing and exit statuses that all commands share (app.h).
 *
 * Answers go to standard output, errors and hints to standard error, each error as one line that
 * begins with "localrag: " and is safe for a terminal whatever the server or a file name says. Exit
 * statuses come from the table of base/code.h, but for a server out of reach (conn_exit) and for
 * Ctrl-C. */
#include "client/app.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/pbjson.h"
#include "client/interrupt.h"
#include "client/text.h"

static void complain(const char *message, const char *why)
{
    CLEANUP(buf_done) struct buf line = BUF_INIT(0);
    buf_str(&line, "localrag: ");
    text_safe(&line, message);
    if (*why) {
        buf_str(&line, ": ");
        text_safe(&line, why);
    }
    buf_char(&line, '\n');
    fputs(buf_cstr(&line), stderr);
}

int app_exit(const struct app *app, const struct ctx *cx)
{
    return interrupt_pending() ? EXIT_INTERRUPTED : conn_exit(app->conn, cx->failure.code);
}

int app_fail(const struct app *app, const struct ctx *cx, const char *fmt, ...)
{
    if (interrupt_pending())
        return EXIT_INTERRUPTED;
    char message[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);
    complain(message, ctx_message(cx));
    return app_exit(app, cx);
}

int app_usage(const struct app *app, const char *fmt, ...)
{
    char message[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);
    complain(message, "");
    const struct args *args = app->args;
    const char *name = args->cmd ? args->cmd->name : args->group ? args->group->name : "";
    fprintf(stderr, "see \"localrag%s%s --help\"\n", *name ? " " : "", name);
    return EXIT_USAGE;
}

void app_json(const ProtobufCMessage *m)
{
    CLEANUP(buf_done) struct buf line = BUF_INIT(0);
    pbjson_write(&line, m);
    buf_char(&line, '\n');
    (void)app_write(&line);
}

bool app_write(const struct buf *b)
{
    size_t n = b->len;
    return !buf_failed(b) && fwrite(buf_cstr(b), 1, n, stdout) == n && fflush(stdout) == 0;
}

void app_size(size_t *ret_columns, size_t *ret_rows)
{
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
        size.ws_col = size.ws_row = 0;
    *ret_columns = size.ws_col ? size.ws_col : 80;
    *ret_rows = size.ws_row ? size.ws_row : 24;
}

size_t app_columns(const struct app *app)
{
    size_t columns, rows;
    app_size(&columns, &rows);
    return app->tty ? columns : 0;
}

void app_status(const struct app *app, struct buf *b, const char *status)
{
    static const struct {
        const char *status, *color;
    } colors[] = {
        {"completed", "\x1b[32m"}, {"healthy", "\x1b[32m"},  {"failed", "\x1b[31m"},
        {"unhealthy", "\x1b[31m"}, {"degraded", "\x1b[33m"}, {"cancelled", "\x1b[33m"},
        {"retrying", "\x1b[33m"},
    };
    const char *color = NULL;
    for (size_t i = 0; app->color && i < ARRAY_LEN(colors); i++)
        if (strcmp(colors[i].status, status) == 0)
            color = colors[i].color;
    buf_printf(b, "%s%s%s", color ? color : "", status, color ? "\x1b[0m" : "");
}
