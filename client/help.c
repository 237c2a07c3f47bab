/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* help.c - --help (help.h).
 *
 * Everything is written from the table of cmd.c: a command without a help line or an option that
 * help forgets cannot exist. Pure, for tests; main prints it. The text is for a terminal of 80
 * columns and more and has no colors. */
#include "client/help.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

enum { NAME_COLUMN = 26, LINE_COLUMNS = 79 };

const struct help_exit help_exits[] = {
    {0, "ok"},
    {1, "the job failed or was cancelled"},
    {2, "usage"},
    {3, "not found"},
    {4, "wrong state"},
    {5, "server unreachable"},
    {6, "not authenticated or not allowed"},
    {7, "bad input or refused file"},
    {8, "server busy or out of capacity"},
    {9, "other"},
    {130, "interrupted"},
};
const size_t help_exits_count = ARRAY_LEN(help_exits);

/* One paragraph, folded between two of them. */
static void exit_statuses(struct buf *b)
{
    buf_str(b, "\nExit status:");
    size_t column = strlen("Exit status:");
    for (size_t i = 0; i < ARRAY_LEN(help_exits); i++) {
        char one[64];
        int n = snprintf(one, sizeof(one), "%d %s%c", help_exits[i].status, help_exits[i].text,
                         i + 1 < ARRAY_LEN(help_exits) ? ',' : '.');
        bool fold = column + 1 + (size_t)n > LINE_COLUMNS;
        buf_printf(b, "%c%s", fold ? '\n' : ' ', one);
        column = fold ? (size_t)n : column + 1 + (size_t)n;
    }
    buf_char(b, '\n');
}

static void option_line(struct buf *b, const struct arg_option *o)
{
    char left[96];
    const char *value = o->kind == ARG_CHOICE ? o->choices : o->value;
    char letter[8] = "";
    if (o->letter)
        snprintf(letter, sizeof(letter), "-%c, ", o->letter);
    snprintf(left, sizeof(left), "%s--%s%s%s", letter, o->name, value ? " " : "",
             value ? value : "");
    if (strlen(left) < NAME_COLUMN)
        buf_printf(b, "  %-*s %s\n", NAME_COLUMN, left, o->help);
    else
        buf_printf(b, "  %s\n  %-*s %s\n", left, NAME_COLUMN, "", o->help);
}

static void global_options(struct buf *b)
{
    buf_str(b, "\nOptions of every command, before or after it:\n");
    for (size_t i = 0; i < cmd_global_options_count; i++)
        option_line(b, &cmd_global_options[i]);
}

static void command_line(struct buf *b, const struct cmd *cmd)
{
    char left[96];
    snprintf(left, sizeof(left), "%s%s%s", cmd->name, cmd->operands ? " " : "",
             cmd->operands ? cmd->operands : "");
    buf_printf(b, "  %-*s %s\n", NAME_COLUMN, left, cmd->help);
}

void help_usage(struct buf *b, const struct cmd *cmd)
{
    buf_printf(b, "usage: localrag %s", cmd->name);
    if (cmd->n_options)
        buf_str(b, " [OPTION]...");
    if (cmd->operands)
        buf_printf(b, " %s", cmd->operands);
    buf_char(b, '\n');
}

static void help_cmd(struct buf *b, const struct cmd *cmd)
{
    help_usage(b, cmd);
    buf_printf(b, "\n%s.\n", cmd->help);
    if (cmd->n_options)
        buf_str(b, "\nOptions:\n");
    for (size_t i = 0; i < cmd->n_options; i++)
        option_line(b, &cmd->options[i]);
    global_options(b);
}

static void help_group(struct buf *b, const struct cmd_group *group)
{
    size_t n = strlen(group->name);
    buf_printf(b, "usage: localrag %s COMMAND\n\n%s.\n\nCommands:\n", group->name, group->help);
    for (size_t i = 0; i < cmd_all_count; i++)
        if (str_starts(cmd_all[i]->name, group->name) && cmd_all[i]->name[n] == ' ')
            command_line(b, cmd_all[i]);
    buf_printf(b, "\n\"localrag %s COMMAND --help\" says more.\n", group->name);
}

static void help_program(struct buf *b)
{
    buf_str(b, "usage: localrag [OPTION]... COMMAND\n\n"
               "Sends documents to a LocalRAG server, follows their jobs and shows what was read.\n"
               "\nCommands:\n");
    for (size_t i = 0; i < cmd_all_count; i++)
        command_line(b, cmd_all[i]);
    global_options(b);
    exit_statuses(b);
    buf_str(b, "\n\"localrag COMMAND --help\" says more about a command.\n");
}

void help_print(struct buf *b, const struct args *args)
{
    if (args->cmd)
        help_cmd(b, args->cmd);
    else if (args->group)
        help_group(b, args->group);
    else
        help_program(b);
}
