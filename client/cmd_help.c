/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd_help.c - localrag help [COMMAND]... and localrag help --man.
 *
 * The first says what --help of that command says. The second prints the manual page localrag(1);
 * the build writes it to a file with that. */
#include "client/app.h"
#include "client/help.h"
#include "client/man.h"

static int run(struct app *app)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    const char *const *words = app->args->operands;
    size_t n = app->args->n_operands;
    struct args topic = {0};
    if (args_has(app->args, "man")) {
        if (n)
            return app_usage(app, "there is one manual page, of all commands");
        man_write(&b);
        return app_write(&b) ? 0 : EXIT_OTHER;
    }
    if (n)
        topic.cmd = cmd_find(words[0], n > 1 ? words[1] : NULL);
    if (n == 1 && !topic.cmd)
        topic.group = cmd_find_group(words[0]);
    if (n && !topic.cmd && !topic.group)
        return app_usage(app, "unknown command \"%s%s%s\"", words[0], n > 1 ? " " : "",
                         n > 1 ? words[1] : "");
    help_print(&b, &topic);
    return app_write(&b) ? 0 : EXIT_OTHER;
}

static const struct arg_option options[] = {
    {"man", 0, ARG_FLAG, NULL, NULL, "print the manual page as roff"},
};

const struct cmd cmd_help = {
    .name = "help",
    .operands = "[COMMAND]...",
    .help = "show help for a command",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .max_operands = 2,
    .offline = true,
    .run = run,
};
