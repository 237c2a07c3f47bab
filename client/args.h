/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* args.h - reads a command line against the table of commands. Pure: prints nothing. */
#ifndef CLIENT_ARGS_H
#define CLIENT_ARGS_H

#include "client/cmd.h"

struct arg_value {
    const struct arg_option *option;
    const char *text; /* "" for a flag */
};

struct args {
    const struct cmd *cmd; /* NULL: none was named */
    const struct cmd_group *group; /* set when only a group was named */
    struct arg_value *values;
    size_t n_values;
    const char **operands;
    size_t n_operands;
};

/* argv without the program's name; memory is cx's. INVALID_ARGUMENT is a usage error whose message
 * quotes the offender and suggests the nearest known word. With --help or --version among the
 * options, missing commands and operands are no error. On failure only cmd and group of *ret_args
 * may have been set, to say whose help would help. */
enum code args_parse(struct ctx *cx, int argc, char *const *argv, struct args *ret_args) MUST_CHECK;

/* The option's last value; NULL when it was not given. */
const char *args_get(const struct args *args, const char *name);

static inline bool args_has(const struct args *args, const char *name)
{
    return args_get(args, name) != NULL;
}

/* A value that args_parse has checked already; `fallback` when it was not given. */
int64_t args_count(const struct args *args, const char *name, int64_t fallback);
int64_t args_ms(const struct args *args, const char *name, int64_t fallback);

/* The nearest of `words` to `word`, NULL when none is near. */
const char *args_nearest(const char *word, const char *const *words, size_t n);

#endif
