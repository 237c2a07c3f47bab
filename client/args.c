/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* args.c - the command line (args.h).
 *
 * getopt is not used because options may stand before, between and after the words of a command,
 * and which options exist is known only once the command is. So the command's words are found
 * first, skipping the values of global options, and then everything is read in a second pass.
 *
 * Values are checked here by their kind, so that commands never see a bad number or choice. */
#include "client/args.h"

#include <string.h>

#include "base/str.h"

enum { MAX_WORD = 64, MAX_SECONDS = 7 * 86400 };

/* ---- suggestions ---- */

/* Number of edits (insert, delete, replace, swap of neighbours) from a to b. */
static size_t distance(const char *a, const char *b)
{
    size_t row[3][MAX_WORD + 1];
    size_t n = strlen(a), m = strlen(b);
    if (n > MAX_WORD || m > MAX_WORD)
        return MAX_WORD;
    for (size_t j = 0; j <= m; j++)
        row[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = row[i % 3], *before = row[(i - 1) % 3], *two = row[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = before[j - 1] + (a[i - 1] != b[j - 1]);
            best = MIN(best, before[j] + 1);
            best = MIN(best, now[j - 1] + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = MIN(best, two[j - 2] + 1);
            now[j] = best;
        }
    }
    return row[n % 3][m];
}

const char *args_nearest(const char *word, const char *const *words, size_t n)
{
    const char *nearest = NULL;
    size_t best = 1 + strlen(word) / 3;
    for (size_t i = 0; i < n; i++) {
        size_t d = distance(word, words[i]);
        bool begins = strlen(word) >= 2 && str_starts(words[i], word);
        if (begins)
            d = MIN(d, (size_t)1);
        if (d <= best && (!nearest || d < best)) {
            nearest = words[i];
            best = d;
        }
    }
    return nearest;
}

static enum code usage(struct ctx *cx, const char *nearest, const char *message)
{
    if (!message)
        return ctx_oom(cx);
    if (!nearest)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "%s", message);
    return ctx_fail(cx, CODE_INVALID_ARGUMENT, "%s; did you mean \"%s\"?", message, nearest);
}

/* ---- finding options ---- */

static const struct arg_option *find_in(const struct arg_option *options, size_t n,
                                        const char *name, size_t len, char letter)
{
    for (size_t i = 0; i < n; i++) {
        if (letter ? options[i].letter == letter
                   : strlen(options[i].name) == len && memcmp(options[i].name, name, len) == 0)
            return &options[i];
    }
    return NULL;
}

/* The option that `arg` ("--name", "--name=value", "-q") names, for `cmd` or global. */
static const struct arg_option *find_option(const struct cmd *cmd, const char *arg)
{
    char letter = 0;
    size_t len = 0;
    if (arg[1] == '-')
        len = strcspn(arg + 2, "=");
    else if (arg[2] == '\0')
        letter = arg[1];
    else
        return NULL;
    const struct arg_option *option =
        find_in(cmd_global_options, cmd_global_options_count, arg + 2, len, letter);
    if (!option && cmd)
        option = find_in(cmd->options, cmd->n_options, arg + 2, len, letter);
    return option;
}

static enum code unknown_option(struct ctx *cx, const struct cmd *cmd, const char *arg)
{
    const char *names[64] = {0};
    size_t n = 0;
    for (size_t i = 0; i < cmd_global_options_count && n < ARRAY_LEN(names); i++)
        names[n++] = cmd_global_options[i].name;
    for (size_t i = 0; cmd && i < cmd->n_options && n < ARRAY_LEN(names); i++)
        names[n++] = cmd->options[i].name;
    const char *bare = ctx_strndup(cx, arg, strcspn(arg, "="));
    if (!bare)
        return ctx_oom(cx);
    const char *nearest = args_nearest(bare + strspn(bare, "-"), names, n);
    return usage(cx, nearest ? ctx_printf(cx, "--%s", nearest) : NULL,
                 cmd ? ctx_printf(cx, "unknown option \"%s\" for \"%s\"", bare, cmd->name)
                     : ctx_printf(cx, "unknown option \"%s\"", bare));
}

/* ---- finding the command ---- */

static bool is_option(const char *arg)
{
    return arg[0] == '-' && arg[1] != '\0';
}

static bool takes_next(const struct arg_option *option, const char *arg)
{
    return option && option->kind != ARG_FLAG && !strchr(arg, '=');
}

static enum code unknown_command(struct ctx *cx, const struct cmd_group *group, const char *word)
{
    const char *names[64] = {0};
    size_t n = 0, prefix = group ? strlen(group->name) + 1 : 0;
    for (size_t i = 0; i < cmd_all_count && n < ARRAY_LEN(names); i++) {
        const char *name = cmd_all[i]->name;
        if (group ? str_starts(name, group->name) && name[prefix - 1] == ' ' : !strchr(name, ' '))
            names[n++] = name + prefix;
    }
    for (size_t i = 0; !group && i < cmd_groups_count && n < ARRAY_LEN(names); i++)
        names[n++] = cmd_groups[i].name;
    const char *nearest = args_nearest(word, names, n);
    if (!group)
        return usage(cx, nearest, ctx_printf(cx, "unknown command \"%s\"", word));
    return usage(cx, nearest ? ctx_printf(cx, "%s %s", group->name, nearest) : NULL,
                 ctx_printf(cx, "unknown command \"%s %s\"", group->name, word));
}

/* Finds the command's words and marks them in `used`. Options it does not know are skipped: those
 * of the command are looked at once the command is known. */
static enum code find_command(struct ctx *cx, int argc, char *const *argv, bool *used,
                              struct args *args)
{
    for (int i = 0; i < argc && !args->cmd; i++) {
        const char *arg = argv[i];
        if (strcmp(arg, "--") == 0)
            break;
        if (is_option(arg)) {
            i += takes_next(find_option(NULL, arg), arg) ? 1 : 0;
            continue;
        }
        used[i] = true;
        if (args->group) {
            args->cmd = cmd_find(args->group->name, arg);
            if (!args->cmd)
                return unknown_command(cx, args->group, arg);
            break;
        }
        args->cmd = cmd_find(arg, NULL);
        args->group = args->cmd ? NULL : cmd_find_group(arg);
        if (!args->cmd && !args->group)
            return unknown_command(cx, NULL, arg);
    }
    if (args->cmd)
        args->group = NULL;
    return CODE_OK;
}

/* ---- values ---- */

static bool is_choice(const char *choices, const char *text)
{
    size_t len = strlen(text);
    for (const char *p = choices; *p;) {
        size_t n = strcspn(p, "|");
        if (n == len && memcmp(p, text, n) == 0)
            return true;
        p += n + (p[n] == '|');
    }
    return false;
}

static enum code check_value(struct ctx *cx, const struct arg_option *option, const char *text)
{
    int64_t count;
    double seconds;
    switch (option->kind) {
    case ARG_COUNT:
        if (!str_parse_int(text, 1, 1000000, &count))
            return ctx_fail(cx, CODE_INVALID_ARGUMENT,
                            "\"%s\" for --%s is not a number from 1 to 1000000", text,
                            option->name);
        break;
    case ARG_NUMBER:
        if (!str_parse_int(text, 0, 1000000, &count))
            return ctx_fail(cx, CODE_INVALID_ARGUMENT,
                            "\"%s\" for --%s is not a number from 0 to 1000000", text,
                            option->name);
        break;
    case ARG_SECONDS:
        if (!str_parse_double(text, &seconds) || seconds <= 0 || seconds > MAX_SECONDS)
            return ctx_fail(cx, CODE_INVALID_ARGUMENT,
                            "\"%s\" for --%s is not a number of seconds above 0", text,
                            option->name);
        break;
    case ARG_CHOICE:
        if (!is_choice(option->choices, text))
            return ctx_fail(cx, CODE_INVALID_ARGUMENT, "\"%s\" for --%s is none of %s", text,
                            option->name, option->choices);
        break;
    case ARG_FLAG:
    case ARG_TEXT:
    case ARG_FILE:
        break;
    }
    return CODE_OK;
}

/* Reads the option at argv[*i], moving *i over its value. */
static enum code read_option(struct ctx *cx, int argc, char *const *argv, int *i, struct args *args)
{
    const char *arg = argv[*i];
    const struct arg_option *option = find_option(args->cmd, arg);
    if (!option)
        return unknown_option(cx, args->cmd, arg);
    const char *text = arg[1] == '-' ? strchr(arg, '=') : NULL;
    if (option->kind == ARG_FLAG) {
        if (text)
            return ctx_fail(cx, CODE_INVALID_ARGUMENT, "--%s takes no value", option->name);
        text = "";
    } else if (text) {
        text++;
    } else if (*i + 1 < argc) {
        text = argv[++*i];
    } else {
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "--%s needs a value: %s", option->name,
                        option->value);
    }
    TRY(check_value(cx, option, text));
    args->values[args->n_values++] = (struct arg_value){option, text};
    return CODE_OK;
}

static enum code check_operands(struct ctx *cx, const struct args *args)
{
    const struct cmd *cmd = args->cmd;
    int n = (int)args->n_operands;
    if (args_has(args, "help") || args_has(args, "version"))
        return CODE_OK;
    if (!cmd && args->group)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "\"%s\" needs a command", args->group->name);
    if (!cmd)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "no command given");
    if (n < cmd->min_operands)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "\"%s\" needs %s", cmd->name, cmd->operands);
    if (cmd->max_operands != CMD_ANY && n > cmd->max_operands)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "\"%s\" is one word too many for \"%s\"",
                        args->operands[cmd->max_operands], cmd->name);
    for (int i = 0; i < n; i++)
        if (!*args->operands[i])
            return ctx_fail(cx, CODE_INVALID_ARGUMENT, "%s of \"%s\" is empty", cmd->operands,
                            cmd->name);
    return CODE_OK;
}

enum code args_parse(struct ctx *cx, int argc, char *const *argv, struct args *ret_args)
{
    struct args args = {0};
    size_t n = (size_t)argc + 1;
    bool *used = ctx_array(cx, n, sizeof(*used));
    args.values = ctx_array(cx, n, sizeof(*args.values));
    args.operands = ctx_array(cx, n, sizeof(*args.operands));
    if (!used || !args.values || !args.operands)
        return ctx_oom(cx);

    enum code found = find_command(cx, argc, argv, used, &args);
    ret_args->cmd = args.cmd;
    ret_args->group = args.group;
    TRY(found);
    bool only_operands = false;
    for (int i = 0; i < argc; i++) {
        if (used[i])
            continue;
        if (!only_operands && strcmp(argv[i], "--") == 0)
            only_operands = true;
        else if (!only_operands && is_option(argv[i]))
            TRY(read_option(cx, argc, argv, &i, &args));
        else
            args.operands[args.n_operands++] = argv[i];
    }
    TRY(check_operands(cx, &args));
    *ret_args = args;
    return CODE_OK;
}

const char *args_get(const struct args *args, const char *name)
{
    for (size_t i = args->n_values; i > 0; i--)
        if (strcmp(args->values[i - 1].option->name, name) == 0)
            return args->values[i - 1].text;
    return NULL;
}

int64_t args_count(const struct args *args, const char *name, int64_t fallback)
{
    int64_t value = fallback;
    const char *text = args_get(args, name);
    return text && str_parse_int(text, 0, INT64_MAX, &value) ? value : fallback;
}

int64_t args_ms(const struct args *args, const char *name, int64_t fallback)
{
    double seconds;
    const char *text = args_get(args, name);
    if (!text || !str_parse_double(text, &seconds))
        return fallback;
    return MAX((int64_t)(seconds * 1000), (int64_t)1);
}
