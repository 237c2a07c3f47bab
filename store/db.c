/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* db.c - one PostgreSQL connection (db.h); the only file that knows libpq.
 *
 * Everything is asynchronous underneath (PQsendQueryPrepared + poll), so a ctx's deadline bounds a
 * statement: when it passes the server is asked to cancel, and if even that brings no answer the
 * connection is given up. Statements are prepared at first use on each connection; which ones are
 * is remembered by their address, since a query is a constant.
 *
 * A connection that broke while idle is noticed before the next statement (the socket is readable
 * with an end), so a restarted server costs callers nothing. One that breaks during a statement is
 * UNAVAILABLE: whether the statement took effect is unknown, and only the caller can tell if it may
 * be repeated. Inside a transaction there is no reconnect: every call fails until db_rollback or
 * the next db_begin, so that what belongs to a lost transaction never runs outside of one. */
#include "store/db.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "base/spin.h"
#include "store/db_impl.h"

enum {
    CONNECT_MS = 3000,
    STATEMENT_MS = 60000,
    CANCEL_MS = 2000,
    ROLLBACK_MS = 5000,
    MAX_PREPARED = 256,
    MAX_ARGS = 24
};

struct db {
    PGconn *conn; /* NULL: not connected */
    char *url;
    char application[64];
    bool in_transaction; /* also when its connection is lost */
    bool unanswered; /* the last statement was sent, what became of it is unknown */
    bool parting; /* the server said that it ends this connection */
    int64_t retry_ms; /* no connection attempt before this */
    unsigned n_prepared;
    const struct query *prepared[MAX_PREPARED];
    struct spin spin; /* until an answer */
};

/* ---- connecting ---- */

enum code db_open(struct ctx *cx, const char *url, const char *application, struct db **ret_db)
{
    struct db *db = calloc(1, sizeof(*db));
    if (!db || !(db->url = strdup(url))) {
        free(db);
        return ctx_oom(cx);
    }
    snprintf(db->application, sizeof(db->application), "%s", application);
    *ret_db = db;
    return CODE_OK;
}

static void disconnect(struct db *db)
{
    PQfinish(db->conn);
    db->conn = NULL;
    db->n_prepared = 0;
    db->parting = false;
}

void db_close(struct db *db)
{
    if (!db)
        return;
    disconnect(db);
    free(db->url);
    free(db);
}

void db_closep(struct db **db)
{
    db_close(*db);
    *db = NULL;
}

/* libpq's messages have several lines and a trailing newline. */
static const char *one_line(struct ctx *cx, const char *message)
{
    char *copy = arena_strdup(&cx->arena, message ? message : "");
    if (!copy)
        return "out of memory";
    size_t n = strlen(copy);
    while (n && (copy[n - 1] == '\n' || copy[n - 1] == ' '))
        copy[--n] = '\0';
    for (char *p = copy; *p; p++)
        if (*p == '\n' || *p == '\t')
            *p = ' ';
    return copy;
}

static int wait_socket(PGconn *conn, short events, int64_t until_ms)
{
    for (;;) {
        struct pollfd p = {.fd = PQsocket(conn), .events = events};
        int64_t left = until_ms - clk_mono_ms();
        if (left <= 0)
            return 0;
        int n = poll(&p, 1, (int)MIN(left, (int64_t)60000));
        if (n > 0)
            return 1;
        if (n < 0 && errno != EINTR)
            return -1;
    }
}

static int64_t until(const struct ctx *cx, int64_t at_most_ms)
{
    int64_t t = clk_mono_ms() + at_most_ms;
    return cx->deadline_ms ? MIN(t, cx->deadline_ms) : t;
}

static bool finish_connecting(PGconn *conn, int64_t until_ms)
{
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (state == PGRES_POLLING_READING || state == PGRES_POLLING_WRITING) {
        short events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        if (wait_socket(conn, events, until_ms) <= 0)
            return false;
        state = PQconnectPoll(conn);
    }
    return state == PGRES_POLLING_OK;
}

/* Between statements the server's last words (57P01 and the like) come as a notice. */
static void take_notice(void *arg, const PGresult *result)
{
    struct db *db = arg;
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (state && (strncmp(state, "57P", 3) == 0 || strcmp(state, "25P03") == 0))
        db->parting = true;
}

static enum code connect_now(struct ctx *cx, struct db *db)
{
    if (clk_mono_ms() < db->retry_ms)
        return ctx_fail(cx, CODE_UNAVAILABLE, "the database is not reachable");
    /* What stands before dbname is a default, what stands behind wins. Without tcp_user_timeout a
     * server that vanished from the network would hold even the request to cancel for minutes. */
    const char *keys[] = {"tcp_user_timeout", "dbname", "application_name", "options", NULL};
    const char *values[] = {
        "10000", db->url, db->application,
        "-c idle_in_transaction_session_timeout=10000 -c statement_timeout=120000 "
        "-c TimeZone=UTC",
        NULL};
    ctx_waits(cx);
    db->conn = PQconnectStartParams(keys, values, 1);
    if (!db->conn)
        return ctx_oom(cx);
    PQsetNoticeReceiver(db->conn, take_notice, db);
    if (PQstatus(db->conn) == CONNECTION_BAD ||
        !finish_connecting(db->conn, until(cx, CONNECT_MS))) {
        const char *why = one_line(cx, PQerrorMessage(db->conn));
        disconnect(db);
        db->retry_ms = clk_mono_ms() + 100;
        return ctx_fail(cx, CODE_UNAVAILABLE, "the database is not reachable: %s",
                        *why ? why : "timed out while connecting");
    }
    PQsetnonblocking(db->conn, 1);
    return CODE_OK;
}

/* An idle connection whose peer went away has an end (or a parting error) waiting to be read. */
static bool broke_while_idle(struct db *db)
{
    struct pollfd p = {.fd = PQsocket(db->conn), .events = POLLIN};
    while (poll(&p, 1, 0) > 0) {
        if (!PQconsumeInput(db->conn) || PQstatus(db->conn) != CONNECTION_OK)
            return true;
        (void)PQisBusy(db->conn); /* parses: an error that ends the connection becomes a notice */
        if (db->parting)
            return true;
    }
    return false;
}

static enum code ready(struct ctx *cx, struct db *db)
{
    if (db->conn && (PQstatus(db->conn) != CONNECTION_OK || broke_while_idle(db)))
        disconnect(db);
    if (!db->conn && db->in_transaction)
        return ctx_fail(cx, CODE_UNAVAILABLE, "lost the database in a transaction");
    return db->conn ? CODE_OK : connect_now(cx, db);
}

/* ---- statements ---- */

static enum code map_error(struct ctx *cx, const char *statement, const PGresult *r)
{
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    /* Not the detail: it quotes rows, and document text is not for logs. */
    const char *primary = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    const char *message = one_line(cx, primary ? primary : PQresultErrorMessage(r));
    if (!state)
        state = "";
    enum code code = CODE_INTERNAL;
    if (strncmp(state, "08", 2) == 0 || strncmp(state, "57P", 3) == 0 ||
        strcmp(state, "53300") == 0 || strcmp(state, "25P03") == 0 || strcmp(state, "40001") == 0 ||
        strcmp(state, "40P01") == 0 || strcmp(state, "25006") == 0)
        code = CODE_UNAVAILABLE;
    else if (strcmp(state, "57014") == 0 || strcmp(state, "55P03") == 0)
        code = CODE_DEADLINE_EXCEEDED;
    else if (strcmp(state, "53100") == 0)
        code = CODE_STORAGE_FULL;
    else if (strncmp(state, "53", 2) == 0)
        code = CODE_UNAVAILABLE;
    else if (strcmp(state, "23505") == 0)
        code = CODE_ALREADY_EXISTS;
    return ctx_fail(cx, code, "database statement %s failed: %s", statement, message);
}

static enum code lost(struct ctx *cx, struct db *db, const char *statement)
{
    const char *why = one_line(cx, PQerrorMessage(db->conn));
    disconnect(db);
    return ctx_fail(cx, CODE_UNAVAILABLE, "lost the database during %s: %s", statement, why);
}

static void cancel_statement(PGconn *conn)
{
    char text[256];
    PGcancel *cancel = PQgetCancel(conn);
    if (cancel) {
        (void)PQcancel(cancel, text, sizeof(text));
        PQfreeCancel(cancel);
    }
}

static int wait_answer(struct ctx *cx, struct db *db, short events, int64_t until_ms)
{
    int64_t soon_ms = clk_mono_ms() + CTX_PATIENCE_MS;
    if (cx->on_wait && soon_ms < until_ms) {
        struct pollfd p = {.fd = PQsocket(db->conn), .events = events};
        int n = 0;
        spin_begin(&db->spin);
        while (cx->alone && n == 0 && spin_again(&db->spin))
            n = poll(&p, 1, 0);
        if (n <= 0)
            n = wait_socket(db->conn, events, soon_ms);
        spin_end(&db->spin);
        if (n != 0)
            return n;
        ctx_waits(cx);
    }
    return wait_socket(db->conn, events, until_ms);
}

/* Sends what is buffered and waits until a whole result can be taken. What was read already is
 * looked at before the socket is. */
static enum code wait_result(struct ctx *cx, struct db *db, const char *statement, int64_t until_ms)
{
    bool cancelled = false;
    for (;;) {
        int more = PQflush(db->conn);
        if (more < 0)
            return lost(cx, db, statement);
        if (!more && !PQisBusy(db->conn))
            return CODE_OK;
        int n = wait_answer(cx, db, more ? POLLIN | POLLOUT : POLLIN, until_ms);
        if (n > 0 && !PQconsumeInput(db->conn))
            return lost(cx, db, statement);
        if (n < 0 || (n == 0 && cancelled)) {
            disconnect(db);
            return ctx_fail(cx, CODE_DEADLINE_EXCEEDED, "the database did not answer %s in time",
                            statement);
        }
        if (n == 0) {
            cancel_statement(db->conn);
            cancelled = true;
            until_ms = clk_mono_ms() + CANCEL_MS;
        }
    }
}

/* Takes the last result of a statement; earlier ones (of a script) are dropped unless they failed.
 */
static enum code collect(struct ctx *cx, struct db *db, const char *statement, PGresult **ret_pg)
{
    PGresult *kept = NULL;
    int64_t until_ms = until(cx, STATEMENT_MS);
    for (;;) {
        enum code code = wait_result(cx, db, statement, until_ms);
        if (code != CODE_OK) {
            PQclear(kept);
            return code;
        }
        PGresult *r = PQgetResult(db->conn);
        if (!r)
            break;
        if (kept && PQresultStatus(kept) == PGRES_FATAL_ERROR) {
            PQclear(r);
            continue;
        }
        PQclear(kept);
        kept = r;
    }
    if (!kept)
        return ctx_fail(cx, CODE_INTERNAL, "database statement %s gave no result", statement);
    ExecStatusType status = PQresultStatus(kept);
    /* libpq makes an error of its own, without a state, when the connection breaks. */
    if (status != PGRES_FATAL_ERROR || PQresultErrorField(kept, PG_DIAG_SQLSTATE))
        db->unanswered = false;
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY) {
        *ret_pg = kept;
        return CODE_OK;
    }
    enum code code = map_error(cx, statement, kept);
    PQclear(kept);
    if (PQstatus(db->conn) != CONNECTION_OK)
        disconnect(db);
    return code;
}

static bool is_prepared(const struct db *db, const struct query *query)
{
    for (unsigned i = 0; i < db->n_prepared; i++)
        if (db->prepared[i] == query)
            return true;
    return false;
}

static enum code prepare(struct ctx *cx, struct db *db, const struct query *query,
                         const struct db_arg *args, int n_args)
{
    Oid types[MAX_ARGS];
    for (int i = 0; i < n_args; i++)
        types[i] = args[i].type;
    if (!PQsendPrepare(db->conn, query->name, query->text, n_args, types))
        return lost(cx, db, query->name);
    PGresult *r = NULL;
    TRY(collect(cx, db, query->name, &r));
    PQclear(r);
    if (db->n_prepared < MAX_PREPARED)
        db->prepared[db->n_prepared++] = query;
    return CODE_OK;
}

static bool send_statement(struct db *db, const struct query *query, const struct db_arg *args,
                           int n_args)
{
    const char *values[MAX_ARGS];
    int lengths[MAX_ARGS], formats[MAX_ARGS];
    for (int i = 0; i < n_args; i++) {
        values[i] = args[i].data ? args[i].data : args[i].local[0] ? args[i].local : NULL;
        lengths[i] = args[i].len;
        formats[i] = args[i].binary;
    }
    return PQsendQueryPrepared(db->conn, query->name, n_args, values, lengths, formats, 0);
}

static enum code execute(struct ctx *cx, struct db *db, const struct query *query,
                         const struct db_arg *args, int n_args, PGresult **ret_pg)
{
    if (n_args > MAX_ARGS)
        return ctx_fail(cx, CODE_INTERNAL, "statement %s has too many arguments", query->name);
    db->unanswered = false;
    TRY(ready(cx, db));
    if (!is_prepared(db, query))
        TRY(prepare(cx, db, query, args, n_args));
    if (!send_statement(db, query, args, n_args))
        return lost(cx, db, query->name);
    db->unanswered = true;
    return collect(cx, db, query->name, ret_pg);
}

bool db_unanswered(const struct db *db)
{
    return db->unanswered;
}

enum code db_run(struct ctx *cx, struct db *db, const struct query *query,
                 const struct db_arg *args, int n_args, struct db_result **ret_result)
{
    PGresult *pg = NULL;
    TRY(execute(cx, db, query, args, n_args, &pg));
    if (!ret_result) {
        PQclear(pg);
        return CODE_OK;
    }
    struct db_result *r = malloc(sizeof(*r));
    if (!r) {
        PQclear(pg);
        return ctx_oom(cx);
    }
    r->pg = pg;
    *ret_result = r;
    return CODE_OK;
}

enum code db_change(struct ctx *cx, struct db *db, const struct query *query,
                    const struct db_arg *args, int n_args, int64_t *ret_rows)
{
    PGresult *pg = NULL;
    TRY(execute(cx, db, query, args, n_args, &pg));
    *ret_rows = strtoll(PQcmdTuples(pg), NULL, 10);
    PQclear(pg);
    return CODE_OK;
}

static enum code script(struct ctx *cx, struct db *db, const char *sql, PGresult **ret_pg)
{
    TRY(ready(cx, db));
    if (!PQsendQuery(db->conn, sql))
        return lost(cx, db, "script");
    return collect(cx, db, "script", ret_pg);
}

enum code db_script(struct ctx *cx, struct db *db, const char *sql)
{
    PGresult *pg = NULL;
    TRY(script(cx, db, sql, &pg));
    PQclear(pg);
    return CODE_OK;
}

enum code db_begin(struct ctx *cx, struct db *db)
{
    db_rollback(db);
    TRY(db_script(cx, db, "BEGIN"));
    db->in_transaction = true;
    return CODE_OK;
}

/* COMMIT of a transaction in which a statement failed succeeds as a ROLLBACK, and says so. */
enum code db_commit(struct ctx *cx, struct db *db)
{
    if (!db->in_transaction)
        return ctx_fail(cx, CODE_INTERNAL, "there is no transaction to commit");
    PGresult *pg = NULL;
    enum code code = script(cx, db, "COMMIT", &pg);
    bool committed = code == CODE_OK && strcmp(PQcmdStatus(pg), "COMMIT") == 0;
    PQclear(pg);
    if (committed)
        db->in_transaction = false;
    else
        db_rollback(db);
    if (code == CODE_OK && !committed)
        return ctx_fail(cx, CODE_INTERNAL, "a transaction that had failed was committed");
    return code;
}

/* A rollback that cannot be done cleanly is done by dropping the connection. */
void db_rollback(struct db *db)
{
    if (!db->in_transaction)
        return;
    struct ctx cx;
    ctx_init(&cx, 64 * 1024);
    cx.deadline_ms = clk_mono_ms() + ROLLBACK_MS;
    if (db->conn && db_script(&cx, db, "ROLLBACK") != CODE_OK)
        disconnect(db);
    db->in_transaction = false;
    ctx_done(&cx);
}

bool db_ping(struct ctx *cx, struct db *db)
{
    bool ok = db_run(cx, db, &q_db_ping, DB_NO_ARGS, NULL) == CODE_OK;
    if (!ok)
        ctx_clear(cx);
    return ok;
}
