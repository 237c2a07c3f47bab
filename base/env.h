/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* env.h - settings from the environment and a .env file, by a table.
 *
 * The process environment wins over .env; every bad setting is reported at once. */
#ifndef BASE_ENV_H
#define BASE_ENV_H

#include <stdio.h>

#include "base/ctx.h"

enum env_kind {
    ENV_STRING, /* const char * */
    ENV_BOOL, /* bool: true/false, 1/0, yes/no, on/off */
    ENV_INT, /* int64_t */
    ENV_SECONDS, /* int64_t milliseconds; "5", "0.5", "2m", "1h", "250ms" */
    ENV_BYTES, /* int64_t; "1048576", "1GB", "512MiB" */
    ENV_RATIO, /* double, 0 to 1 */
    ENV_LIST, /* char ** of texts, NULL-terminated; "a,b" or ["a","b"] */
};

struct env_def {
    const char *name;
    enum env_kind kind;
    size_t offset; /* of the member in the settings struct */
    const char *fallback; /* as it would be written; NULL: unset (NULL, 0, false, empty list) */
    int64_t min, max; /* ENV_INT, ENV_SECONDS (ms), ENV_BYTES */
    const char *choices; /* ENV_STRING: "a|b|c", NULL: any text */
    bool secret; /* masked when printed */
    const char *help; /* one line */
};

enum env_source { ENV_FROM_DEFAULT, ENV_FROM_FILE, ENV_FROM_PROCESS };

struct env_values; /* where each value came from */

/* Fills the struct at `settings` from the table. Texts live in cx's arena. `dotenv` may be missing.
 * INVALID_ARGUMENT names every bad setting, one a line. */
enum code env_load(struct ctx *cx, const struct env_def *defs, size_t n, const char *dotenv,
                   void *settings, struct env_values **ret_values) MUST_CHECK;

/* Where defs[i] came from. */
enum env_source env_source_of(const struct env_values *values, size_t i);

/* NAME=value  # source, a line a setting, secrets and URL passwords masked. */
void env_print(const struct env_values *values, FILE *out);

/* Name, default and help of every setting, for --help. */
void env_print_help(const struct env_def *defs, size_t n, FILE *out);

#endif
