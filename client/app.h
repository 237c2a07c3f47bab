/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* app.h - what every command has at hand: its arguments, the connection, how to print. */
#ifndef CLIENT_APP_H
#define CLIENT_APP_H

#include "base/buf.h"
#include "client/args.h"
#include "client/conn.h"

struct app {
    struct ctx *cx; /* the command's unit of work */
    const struct args *args;
    struct conn *conn; /* NULL for an offline command */
    const char *program; /* how to call us again: as it was called, with --server if given */
    bool json, quiet;
    bool tty, color, unicode; /* of standard output */
};

enum { EXIT_JOB_FAILED = 1, EXIT_USAGE = 2, EXIT_OTHER = 9, EXIT_INTERRUPTED = 130 };

/* Says on stderr what could not be done, "localrag: could not …: why", and returns the exit status.
 * The reason is the failure recorded in cx. After a Ctrl-C nothing is said. */
int app_fail(const struct app *app, const struct ctx *cx, const char *fmt, ...) PRINTF(3, 4);

/* The exit status for the failure recorded in cx. */
int app_exit(const struct app *app, const struct ctx *cx);

/* A usage error found by a command; EXIT_USAGE. */
int app_usage(const struct app *app, const char *fmt, ...) PRINTF(2, 3);

/* The message as one line of JSON on standard output. */
void app_json(const ProtobufCMessage *m);

/* Standard output. False when it cannot be written. */
bool app_write(const struct buf *b);

/* Columns and rows of the terminal; 80 and 24 when unknown. */
void app_size(size_t *ret_columns, size_t *ret_rows);

/* Columns that a table may take: 0 (no limit) when standard output is no terminal. */
size_t app_columns(const struct app *app);

/* Appends a status word, in its color on a terminal. */
void app_status(const struct app *app, struct buf *b, const char *status);

#endif
