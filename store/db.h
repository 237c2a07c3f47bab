/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* db.h - one PostgreSQL connection: prepared statements by name, transactions, reconnects.
 *
 * A db belongs to one thread. It connects at first use and again after a loss, never inside a
 * transaction. Every statement is a file of sql/queries. Blocking; bounded by the ctx's deadline
 * and by statement_timeout.
 *
 * Codes: UNAVAILABLE (no connection, shutting down, too many clients), DEADLINE_EXCEEDED
 * (time-out), STORAGE_FULL, ALREADY_EXISTS (unique violation), INTERNAL (anything else: our bug).
 */
#ifndef STORE_DB_H
#define STORE_DB_H

#include "base/ctx.h"
#include "sql/queries.h"

struct db;
struct db_result;

/* A parameter. Use the makers below inside DB_ARGS; pointers are borrowed for the call. */
struct db_arg {
    const char *data; /* NULL with local empty: SQL NULL */
    int len;
    int binary;
    unsigned type; /* OID, 0: let PostgreSQL infer */
    char local[32]; /* numbers are printed here */
};

#define DB_ARGS(...)                                                                               \
    (const struct db_arg[]){__VA_ARGS__}, (int)ARRAY_LEN(((const struct db_arg[]){__VA_ARGS__}))
#define DB_NO_ARGS NULL, 0

struct db_arg db_text(const char *s); /* NULL: SQL NULL; also uuid, jsonb, timestamptz as text */
struct db_arg db_int(int64_t v);
struct db_arg db_double(double v);
struct db_arg db_bool(bool v);
struct db_arg db_null(void);
struct db_arg db_bytes(const void *data, size_t len); /* bytea; data NULL: SQL NULL */

/* Columns of a bulk statement: one array parameter each, in binary form, so nothing is quoted. The
 * letters give the types: t text, u uuid (36 characters), i int4, l int8, d float8, b bytea. */
enum { DB_MAX_COLUMNS = 16 };
struct db_columns {
    struct db_array *column[DB_MAX_COLUMNS];
    int n;
};
enum code db_columns_init(struct ctx *cx, struct db_columns *c, const char *types) MUST_CHECK;
void db_columns_done(struct db_columns *c); /* for CLEANUP; zeroed is fine */
/* Append to column i; NULL is SQL NULL. All columns must get the same number of values. */
void db_put(struct db_columns *c, int i, const char *s); /* t, u */
void db_put_int(struct db_columns *c, int i, int64_t v); /* i, l */
void db_put_double(struct db_columns *c, int i, double v); /* d */
void db_put_bytes(struct db_columns *c, int i, const void *data, size_t len); /* b, t */
void db_put_null(struct db_columns *c, int i);
struct db_arg db_column(const struct db_columns *c, int i); /* complete, as a parameter */

/* `url` is a postgresql:// URL or a keyword string; `application` shows in pg_stat_activity. */
enum code db_open(struct ctx *cx, const char *url, const char *application,
                  struct db **ret_db) MUST_CHECK;
void db_close(struct db *db); /* NULL is fine; rolls back */
void db_closep(struct db **db);

/* Runs one statement. `ret_result` may be NULL when the rows do not matter. */
enum code db_run(struct ctx *cx, struct db *db, const struct query *query,
                 const struct db_arg *args, int n_args, struct db_result **ret_result) MUST_CHECK;

/* After UNAVAILABLE or DEADLINE_EXCEEDED: the statement was sent and no answer came, so that it may
 * have taken effect. */
bool db_unanswered(const struct db *db);

/* As db_run, and the number of rows that an INSERT, UPDATE or DELETE touched. */
enum code db_change(struct ctx *cx, struct db *db, const struct query *query,
                    const struct db_arg *args, int n_args, int64_t *ret_rows) MUST_CHECK;

enum code db_begin(struct ctx *cx, struct db *db) MUST_CHECK;
enum code db_commit(struct ctx *cx, struct db *db) MUST_CHECK;
void db_rollback(struct db *db); /* does nothing outside a transaction */

/* Plain text to the server, several statements allowed: migrations only. */
enum code db_script(struct ctx *cx, struct db *db, const char *sql) MUST_CHECK;

/* True when the connection stands right now; connects if needed. */
bool db_ping(struct ctx *cx, struct db *db);

/* Rows. Texts are borrowed from the result. */
int db_rows(const struct db_result *r);
const char *db_get(const struct db_result *r, int row, int col); /* NULL: SQL NULL */
bool db_is_null(const struct db_result *r, int row, int col);
int64_t db_get_int(const struct db_result *r, int row, int col); /* 0 for NULL */
double db_get_double(const struct db_result *r, int row, int col);
bool db_get_bool(const struct db_result *r, int row, int col);
/* bytea columns: decoded into cx's arena. NULL and 0 for NULL. */
enum code db_get_bytes(struct ctx *cx, const struct db_result *r, int row, int col,
                       const unsigned char **ret_data, size_t *ret_len) MUST_CHECK;
void db_result_free(struct db_result *r);
void db_result_freep(struct db_result **r);

#endif
