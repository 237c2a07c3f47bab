/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd.h - what a command of the command line is. One const entry a command, one table of all.
 *
 * Parsing, --help and shell completion all read this table, so they cannot disagree. */
#ifndef CLIENT_CMD_H
#define CLIENT_CMD_H

#include "base/ctx.h"

struct app;

enum arg_kind {
    ARG_FLAG, /* no value */
    ARG_TEXT,
    ARG_FILE, /* a text; shells complete file names */
    ARG_COUNT, /* a whole number from 1 */
    ARG_NUMBER, /* a whole number from 0 */
    ARG_SECONDS, /* a positive number, decimals allowed */
    ARG_CHOICE, /* one of `choices` */
};

struct arg_option {
    const char *name; /* without the dashes */
    char letter; /* 0: none */
    enum arg_kind kind;
    const char *value; /* as shown in help: "FILE"; NULL for a flag */
    const char *choices; /* "high|medium|low" for ARG_CHOICE */
    const char *help;
};

enum { CMD_ANY = -1 };

struct cmd {
    const char *name; /* "jobs list": group and command, or one word */
    const char *operands; /* as shown in help: "ID..."; NULL: none */
    const char *help; /* one line, no period */
    const struct arg_option *options;
    size_t n_options;
    int min_operands, max_operands; /* CMD_ANY: no maximum */
    bool files; /* operands are files: shells complete them */
    bool offline; /* needs no server: app->conn is NULL */
    int (*run)(struct app *app); /* returns the exit status */
};

struct cmd_group {
    const char *name, *help;
};

/* Sorted by name. */
extern const struct cmd *const cmd_all[];
extern const size_t cmd_all_count;
extern const struct cmd_group cmd_groups[];
extern const size_t cmd_groups_count;
extern const struct arg_option cmd_global_options[];
extern const size_t cmd_global_options_count;

/* `second` NULL: a command of one word. NULL when there is none. */
const struct cmd *cmd_find(const char *first, const char *second);
const struct cmd_group *cmd_find_group(const char *name);

extern const struct cmd cmd_completion;
extern const struct cmd cmd_documents_chunks;
extern const struct cmd cmd_documents_delete;
extern const struct cmd cmd_documents_list;
extern const struct cmd cmd_documents_pages;
extern const struct cmd cmd_documents_reprocess;
extern const struct cmd cmd_documents_show;
extern const struct cmd cmd_documents_text;
extern const struct cmd cmd_health;
extern const struct cmd cmd_help;
extern const struct cmd cmd_ingest;
extern const struct cmd cmd_jobs_cancel;
extern const struct cmd cmd_jobs_cleanup;
extern const struct cmd cmd_jobs_list;
extern const struct cmd cmd_jobs_result;
extern const struct cmd cmd_jobs_retry;
extern const struct cmd cmd_jobs_stats;
extern const struct cmd cmd_jobs_status;
extern const struct cmd cmd_jobs_watch;
extern const struct cmd cmd_upload;
extern const struct cmd cmd_workers_start;
extern const struct cmd cmd_workers_status;
extern const struct cmd cmd_workers_stop;

#endif
