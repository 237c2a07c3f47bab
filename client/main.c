/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* main.c - localrag, the command line: reads the arguments, finds the command, runs it.
 *
 * What a command does is in its cmd_*.c. Settings come from options, then from the environment:
 * LOCALRAG_SERVER, LOCALRAG_API_KEY, NO_COLOR. Nothing is read from files and nothing is stored. */
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/app.h"
#include "client/help.h"
#include "client/interrupt.h"

static const char *setting(const struct args *args, const char *option, const char *variable)
{
    const char *value = args_get(args, option);
    if (!value)
        value = getenv(variable);
    return value && *value ? value : NULL;
}

/* Widths need a UTF-8 locale; whether bars may use block characters is the user's locale's say. */
static bool set_locale(void)
{
    setlocale(LC_ALL, "");
    setlocale(LC_NUMERIC, "C");
    bool unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    if (!unicode)
        setlocale(LC_CTYPE, "C.UTF-8");
    return unicode;
}

/* A terminal that can move its cursor. */
static bool is_terminal(void)
{
    const char *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
}

static bool wants_color(const struct args *args)
{
    const char *no_color = getenv("NO_COLOR");
    return is_terminal() && !args_has(args, "no-color") && !(no_color && *no_color);
}

static int show_help(const struct args *args)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    help_print(&b, args);
    return app_write(&b) ? 0 : EXIT_OTHER;
}

/* How to call this program again, as it was called: what a person can paste into a shell. */
static const char *called_as(struct ctx *cx, const char *argv0, const char *server)
{
    const char *name = argv0 && *argv0 ? argv0 : "localrag";
    bool plain = !strpbrk(name, " \t\n'\"\\\\$&;|<>()*?[]#~`!{}");
    const char *quote = plain || strchr(name, '\'') ? "" : "'";
    return ctx_printf(cx, "%s%s%s%s%s", quote, name, quote, server ? " --server " : "",
                      server ? server : "");
}

static int run_command(struct app *app, const char *argv0)
{
    const struct args *args = app->args;
    const char *server = setting(args, "server", "LOCALRAG_SERVER");
    CLEANUP(conn_closep) struct conn *conn = NULL;
    struct conn_settings settings = {
        .server = server ? server : "localhost:50051",
        .api_key = setting(args, "api-key", "LOCALRAG_API_KEY"),
        .tls_ca = args_get(args, "tls-ca"),
        .timeout_ms = args_ms(args, "timeout", 0),
    };
    app->program = called_as(app->cx, argv0, args_has(args, "server") ? server : NULL);
    if (!args->cmd->offline && conn_open(app->cx, &settings, &conn) != CODE_OK)
        return app_usage(app, "%s", ctx_message(app->cx));
    app->conn = conn;
    return args->cmd->run(app);
}

int main(int argc, char **argv)
{
    interrupt_install();
    struct ctx cx;
    struct args args = {0};
    struct app app = {.cx = &cx, .args = &args, .unicode = set_locale()};
    int status;

    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    if (args_parse(&cx, argc - 1, argv + 1, &args) != CODE_OK) {
        status = app_usage(&app, "%s", ctx_message(&cx));
    } else if (args_has(&args, "help")) {
        status = show_help(&args);
    } else if (args_has(&args, "version")) {
        status = puts("localrag " LOCALRAG_VERSION) >= 0 ? 0 : EXIT_OTHER;
    } else {
        app.json = args_has(&args, "json");
        app.quiet = args_has(&args, "quiet");
        app.tty = is_terminal();
        app.color = wants_color(&args);
        status = run_command(&app, argv[0]);
    }
    ctx_done(&cx);
    return status;
}
