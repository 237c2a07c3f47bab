/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* help.h - --help of every level, written from the table of commands. */
#ifndef CLIENT_HELP_H
#define CLIENT_HELP_H

#include "base/buf.h"
#include "client/args.h"

/* Help for what was named: a command, a group, or the program. */
void help_print(struct buf *b, const struct args *args);

/* Every exit status and what it means, for help and the manual page. */
struct help_exit {
    int status;
    const char *text;
};
extern const struct help_exit help_exits[];
extern const size_t help_exits_count;

/* The line "usage: localrag …" for a command. */
void help_usage(struct buf *b, const struct cmd *cmd);

#endif
