/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd_completion.c - localrag completion bash|zsh|fish: a completion script on standard output.
 *
 * The scripts are written from the table of commands, so that they know every command, option and
 * choice there is. Words are completed, and file names where files are expected; ids are not, for
 * that would ask the server at every key. What is written is in completion.c, for tests. */
#include <string.h>

#include "client/app.h"
#include "client/completion.h"

static int run(struct app *app)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    const char *shell = app->args->operands[0];
    if (!completion_write(&b, shell))
        return app_usage(app, "unknown shell \"%s\": write bash, zsh or fish", shell);
    return app_write(&b) ? 0 : EXIT_OTHER;
}

const struct cmd cmd_completion = {
    .name = "completion",
    .operands = "bash|zsh|fish",
    .help = "print a completion script for a shell",
    .min_operands = 1,
    .max_operands = 1,
    .offline = true,
    .run = run,
};
