/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_db.c - one PostgreSQL connection under everything that happens to connections (store/db.h).
 *
 * Statements here are made up; those of sql/queries are in test_queries.c and in the tests of
 * jobs/. */
#include "tests/support/fixture.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "tests/support/wait.h"

static const struct query q_one = {"t_one", "SELECT 1"};
static const struct query q_pid = {"t_pid", "SELECT pg_backend_pid()"};
static const struct query q_sleep = {"t_sleep", "SELECT pg_sleep(30)"};
static const struct query q_insert = {"t_insert", "INSERT INTO notes (note) VALUES ($1)"};
static const struct query q_unique = {"t_unique",
                                      "INSERT INTO one_row (id, secret) VALUES (1, $1)"};
static const struct query q_bad = {"t_bad", "SELECT nonsense"};
static const struct query q_typed = {
    "t_typed",
    "SELECT $1::text, $2::bigint, $3::float8, $4::boolean, $5::bytea, $6::uuid, $7::int"};
static const struct query q_arrays = {
    "t_arrays",
    "SELECT t, u, i, l, d, b FROM unnest($1::text[], $2::uuid[], $3::int[], $4::bigint[], "
    "$5::float8[], $6::bytea[]) AS x (t, u, i, l, d, b)"};

static struct db *db;

static int setup(void **state)
{
    if (fixture_empty(state) != 0)
        return -1;
    fixture_sql(
        "DROP TABLE IF EXISTS notes; DROP TABLE IF EXISTS one_row; "
        "CREATE TABLE notes (note text); "
        "CREATE TABLE one_row (id int PRIMARY KEY, secret text CHECK (secret <> 'forbidden'))");
    return db_open(&fx.cx, fx.settings.database_url, "test_db", &db) == CODE_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    db_closep(&db);
    return 0;
}

static int64_t backend(void)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    OK(&fx.cx, db_run(&fx.cx, db, &q_pid, DB_NO_ARGS, &r));
    return db_get_int(r, 0, 0);
}

/* When this returns the backend is gone, and what it had to say lies in our socket. */
static void kill_backend(int64_t pid)
{
    fixture_sql("SELECT pg_terminate_backend(%lld)", (long long)pid);
    WAIT_UNTIL(5000, fixture_number("SELECT count(*) FROM pg_stat_activity WHERE pid = %lld",
                                    (long long)pid) == 0);
}

/* ---- values ---- */

static void every_kind_of_value_comes_back_as_it_went(void **state)
{
    (void)state;
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    const unsigned char *data;
    size_t n;
    OK(&fx.cx,
       db_run(&fx.cx, db, &q_typed,
              DB_ARGS(db_text("Gr\xc3\xbc\xc3\x9f' \"\\ \n\xf0\x9f\x98\x80"), db_int(INT64_MIN),
                      db_double(0.1), db_bool(true), db_bytes("\0\xff'\\", 4),
                      db_text("0F8FAD5B-d9cb-469f-a165-70867728950e"), db_int(-7)),
              &r));
    assert_string_equal(db_get(r, 0, 0), "Gr\xc3\xbc\xc3\x9f' \"\\ \n\xf0\x9f\x98\x80");
    assert_true(db_get_int(r, 0, 1) == INT64_MIN);
    assert_true(db_get_double(r, 0, 2) == 0.1);
    assert_true(db_get_bool(r, 0, 3));
    OK(&fx.cx, db_get_bytes(&fx.cx, r, 0, 4, &data, &n));
    assert_int_equal(n, 4);
    assert_memory_equal(data, "\0\xff'\\", 4);
    assert_string_equal(db_get(r, 0, 5), "0f8fad5b-d9cb-469f-a165-70867728950e");
    assert_int_equal(db_get_int(r, 0, 6), -7);
}

static void null_is_not_empty(void **state)
{
    (void)state;
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    const unsigned char *data = (const unsigned char *)"";
    size_t n = 9;
    OK(&fx.cx, db_run(&fx.cx, db, &q_typed,
                      DB_ARGS(db_text(NULL), db_null(), db_null(), db_null(), db_bytes(NULL, 0),
                              db_null(), db_null()),
                      &r));
    for (int i = 0; i < 7; i++) {
        assert_true(db_is_null(r, 0, i));
        assert_null(db_get(r, 0, i));
    }
    OK(&fx.cx, db_get_bytes(&fx.cx, r, 0, 4, &data, &n));
    assert_null(data);
    assert_int_equal(n, 0);
    db_result_freep(&r);
    OK(&fx.cx, db_run(&fx.cx, db, &q_typed,
                      DB_ARGS(db_text(""), db_int(0), db_double(0), db_bool(false), db_bytes("", 0),
                              db_null(), db_int(0)),
                      &r));
    assert_string_equal(db_get(r, 0, 0), "");
    assert_false(db_is_null(r, 0, 4));
    OK(&fx.cx, db_get_bytes(&fx.cx, r, 0, 4, &data, &n));
    assert_int_equal(n, 0);
    assert_false(db_get_bool(r, 0, 3));
}

static enum code run_arrays(const struct db_columns *c, struct db_result **r)
{
    return db_run(&fx.cx, db, &q_arrays,
                  DB_ARGS(db_column(c, 0), db_column(c, 1), db_column(c, 2), db_column(c, 3),
                          db_column(c, 4), db_column(c, 5)),
                  r);
}

static void arrays_carry_nulls_unicode_and_megabytes_without_quoting(void **state)
{
    (void)state;
    CLEANUP(db_columns_done) struct db_columns c = {0};
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    char *big = ctx_alloc(&fx.cx, (1 << 20) + 1);
    memset(big, 'x', 1 << 20);
    OK(&fx.cx, db_columns_init(&fx.cx, &c, "tuildb"));
    static const char *const texts[] = {"a,{\"b\"}\\", "", "NULL", "\xe6\x96\x87\xf0\x9f\x98\x80",
                                        "line\nend"};
    for (unsigned i = 0; i < ARRAY_LEN(texts) + 2; i++) {
        bool null = i == ARRAY_LEN(texts) + 1;
        db_put(&c, 0, null ? NULL : i < ARRAY_LEN(texts) ? texts[i] : big);
        db_put(&c, 1, null ? NULL : "0f8fad5b-d9cb-469f-a165-70867728950e");
        null ? db_put_null(&c, 2) : db_put_int(&c, 2, INT32_MIN);
        null ? db_put_null(&c, 3) : db_put_int(&c, 3, INT64_MAX);
        null ? db_put_null(&c, 4) : db_put_double(&c, 4, -0.125);
        db_put_bytes(&c, 5, null ? NULL : "\0\x01\xff", 3);
    }
    OK(&fx.cx, run_arrays(&c, &r));
    assert_int_equal(db_rows(r), ARRAY_LEN(texts) + 2);
    for (unsigned i = 0; i < ARRAY_LEN(texts); i++) {
        assert_string_equal(db_get(r, (int)i, 0), texts[i]);
        assert_string_equal(db_get(r, (int)i, 1), "0f8fad5b-d9cb-469f-a165-70867728950e");
        assert_int_equal(db_get_int(r, (int)i, 2), INT32_MIN);
        assert_true(db_get_int(r, (int)i, 3) == INT64_MAX);
        assert_true(db_get_double(r, (int)i, 4) == -0.125);
        assert_string_equal(db_get(r, (int)i, 5), "\\x0001ff");
    }
    assert_string_equal(db_get(r, ARRAY_LEN(texts), 0), big);
    for (int col = 0; col < 6; col++)
        assert_true(db_is_null(r, ARRAY_LEN(texts) + 1, col));
}

static void an_empty_array_is_no_rows_and_a_bad_uuid_is_null(void **state)
{
    (void)state;
    CLEANUP(db_columns_done) struct db_columns none = {0}, bad = {0};
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    OK(&fx.cx, db_columns_init(&fx.cx, &none, "tuildb"));
    OK(&fx.cx, run_arrays(&none, &r));
    assert_int_equal(db_rows(r), 0);
    db_result_freep(&r);
    OK(&fx.cx, db_columns_init(&fx.cx, &bad, "tuildb"));
    db_put(&bad, 1, "not-a-uuid");
    OK(&fx.cx, run_arrays(&bad, &r));
    assert_int_equal(db_rows(r), 1);
    assert_true(db_is_null(r, 0, 1));
}

/* ---- errors ---- */

static void errors_are_mapped_and_name_the_statement_but_quote_no_row(void **state)
{
    (void)state;
    int64_t rows;
    CONTAINS(FAILS(&fx.cx, CODE_INTERNAL, db_run(&fx.cx, db, &q_bad, DB_NO_ARGS, NULL)), "t_bad");
    OK(&fx.cx, db_change(&fx.cx, db, &q_unique, DB_ARGS(db_text("document text")), &rows));
    assert_int_equal(rows, 1);
    const char *m =
        FAILS(&fx.cx, CODE_ALREADY_EXISTS,
              db_change(&fx.cx, db, &q_unique, DB_ARGS(db_text("document text")), &rows));
    CONTAINS(m, "t_unique");
    fixture_sql("DELETE FROM one_row");
    m = FAILS(&fx.cx, CODE_INTERNAL,
              db_run(&fx.cx, db, &q_unique, DB_ARGS(db_text("forbidden")), NULL));
    LACKS(m, "forbidden"); /* "Failing row contains …" would put pages into the log */
    m = FAILS(&fx.cx, CODE_INTERNAL, db_run(&fx.cx, db, &q_insert, DB_ARGS(db_text("\xff")), NULL));
    CONTAINS(m, "encoding");
    assert_int_equal(db_ping(&fx.cx, db), true);
}

static void no_server_is_unavailable_and_says_where(void **state)
{
    (void)state;
    CLEANUP(db_closep) struct db *nowhere = NULL;
    OK(&fx.cx, db_open(&fx.cx, "host=/nonexistent port=1 dbname=x", "test", &nowhere));
    CONTAINS(FAILS(&fx.cx, CODE_UNAVAILABLE, db_run(&fx.cx, nowhere, &q_one, DB_NO_ARGS, NULL)),
             "/nonexistent");
    assert_false(db_ping(&fx.cx, nowhere));
    assert_int_equal(fx.cx.failure.code, CODE_OK); /* a ping reports nothing */
    assert_false(db_unanswered(nowhere)); /* nothing was sent */
}

/* ---- connections ---- */

static void a_connection_that_died_while_idle_costs_the_caller_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        int64_t pid = backend();
        kill_backend(pid);
        assert_true(backend() != pid); /* prepared anew on the new connection, without an error */
    }
}

static void *terminate_when_asleep(void *arg)
{
    struct jobs *jobs = arg;
    static const struct query kill_it = {
        "t_kill",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
        "current_database() AND query LIKE '%pg_sleep(30)%' AND state = 'active' AND pid <> "
        "pg_backend_pid()"};
    struct ctx cx;
    int64_t end = clk_mono_ms() + 5000;
    ctx_init(&cx, 1 << 20);
    for (bool done = false; !done && clk_mono_ms() < end; wait_moment()) {
        struct db_result *r = NULL;
        done = db_run(&cx, jobs->db, &kill_it, DB_NO_ARGS, &r) == CODE_OK && db_rows(r) > 0;
        db_result_free(r);
    }
    ctx_done(&cx);
    return NULL;
}

static void a_connection_that_dies_during_a_statement_is_unavailable_once(void **state)
{
    (void)state;
    CLEANUP(jobs_closep) struct jobs *other = fixture_jobs();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, terminate_when_asleep, other), 0);
    enum code code = db_run(&fx.cx, db, &q_sleep, DB_NO_ARGS, NULL);
    pthread_join(thread, NULL);
    FAILS(&fx.cx, CODE_UNAVAILABLE, code);
    OK(&fx.cx, db_run(&fx.cx, db, &q_one, DB_NO_ARGS, NULL));
}

static void a_deadline_ends_a_statement_and_keeps_the_connection(void **state)
{
    (void)state;
    int64_t pid = backend(), started = clk_mono_ms();
    fx.cx.deadline_ms = started + 100;
    CONTAINS(FAILS(&fx.cx, CODE_DEADLINE_EXCEEDED, db_run(&fx.cx, db, &q_sleep, DB_NO_ARGS, NULL)),
             "t_sleep");
    assert_in_range(clk_mono_ms() - started, 90, 3000);
    assert_false(db_unanswered(db)); /* it was cancelled, and the server said so */
    fx.cx.deadline_ms = 0;
    assert_int_equal(backend(), pid);
    OK(&fx.cx, db_run(&fx.cx, db, &q_one, DB_NO_ARGS, NULL));
}

static void a_connection_says_who_it_is(void **state)
{
    (void)state;
    assert_string_equal(
        fixture_sql("SELECT application_name FROM pg_stat_activity WHERE pid = %lld",
                    (long long)backend()),
        "test_db");
}

/* ---- transactions ---- */

static void a_transaction_is_all_or_nothing(void **state)
{
    (void)state;
    OK(&fx.cx, db_begin(&fx.cx, db));
    OK(&fx.cx, db_run(&fx.cx, db, &q_insert, DB_ARGS(db_text("rolled back")), NULL));
    db_rollback(db);
    db_rollback(db); /* does nothing */
    OK(&fx.cx, db_begin(&fx.cx, db));
    OK(&fx.cx, db_run(&fx.cx, db, &q_insert, DB_ARGS(db_text("kept")), NULL));
    OK(&fx.cx, db_commit(&fx.cx, db));
    assert_string_equal(fixture_sql("SELECT string_agg(note, ',') FROM notes"), "kept");
}

static void a_commit_after_a_failed_statement_is_no_success(void **state)
{
    (void)state;
    OK(&fx.cx, db_begin(&fx.cx, db));
    OK(&fx.cx, db_run(&fx.cx, db, &q_insert, DB_ARGS(db_text("lost")), NULL));
    FAILS(&fx.cx, CODE_INTERNAL,
          db_run(&fx.cx, db, &q_bad, DB_NO_ARGS, NULL)); /* the caller forgets it */
    FAILS(&fx.cx, CODE_INTERNAL, db_commit(&fx.cx, db));
    assert_int_equal(fixture_number("SELECT count(*) FROM notes"), 0);
    OK(&fx.cx, db_run(&fx.cx, db, &q_one, DB_NO_ARGS, NULL)); /* outside again */
    FAILS(&fx.cx, CODE_INTERNAL, db_commit(&fx.cx, db));
}

static void what_belongs_to_a_lost_transaction_never_runs_outside_of_one(void **state)
{
    (void)state;
    OK(&fx.cx, db_begin(&fx.cx, db));
    OK(&fx.cx, db_run(&fx.cx, db, &q_insert, DB_ARGS(db_text("first half")), NULL));
    kill_backend(backend());
    for (int i = 0; i < 3; i++) /* not only the first: a caller may overlook one */
        CONTAINS(FAILS(&fx.cx, CODE_UNAVAILABLE,
                       db_run(&fx.cx, db, &q_insert, DB_ARGS(db_text("second half")), NULL)),
                 "transaction");
    FAILS(&fx.cx, CODE_UNAVAILABLE, db_commit(&fx.cx, db));
    assert_int_equal(fixture_number("SELECT count(*) FROM notes"), 0);
    OK(&fx.cx, db_begin(&fx.cx, db)); /* a new one recovers */
    OK(&fx.cx, db_run(&fx.cx, db, &q_insert, DB_ARGS(db_text("whole")), NULL));
    OK(&fx.cx, db_commit(&fx.cx, db));
    assert_string_equal(fixture_sql("SELECT string_agg(note, ',') FROM notes"), "whole");
}

static void a_deadline_in_a_transaction_spoils_that_transaction_only(void **state)
{
    (void)state;
    OK(&fx.cx, db_begin(&fx.cx, db));
    OK(&fx.cx, db_run(&fx.cx, db, &q_insert, DB_ARGS(db_text("x")), NULL));
    fx.cx.deadline_ms = clk_mono_ms() + 50;
    FAILS(&fx.cx, CODE_DEADLINE_EXCEEDED, db_run(&fx.cx, db, &q_sleep, DB_NO_ARGS, NULL));
    db_rollback(db); /* has a time of its own */
    fx.cx.deadline_ms = 0;
    assert_int_equal(fixture_number("SELECT count(*) FROM notes"), 0);
    OK(&fx.cx, db_run(&fx.cx, db, &q_one, DB_NO_ARGS, NULL));
}

static void closing_rolls_back(void **state)
{
    (void)state;
    OK(&fx.cx, db_begin(&fx.cx, db));
    OK(&fx.cx, db_run(&fx.cx, db, &q_insert, DB_ARGS(db_text("x")), NULL));
    db_closep(&db);
    assert_null(db);
    db_close(NULL);
    assert_int_equal(fixture_number("SELECT count(*) FROM notes"), 0);
}

static void a_script_stops_at_its_first_error(void **state)
{
    (void)state;
    OK(&fx.cx,
       db_script(&fx.cx, db, "INSERT INTO notes VALUES ('a'); INSERT INTO notes VALUES ('b')"));
    assert_int_equal(fixture_number("SELECT count(*) FROM notes"), 2);
    CONTAINS(FAILS(&fx.cx, CODE_INTERNAL,
                   db_script(&fx.cx, db,
                             "INSERT INTO notes VALUES ('c'); SELECT nonsense; SELECT 1")),
             "nonsense");
    assert_int_equal(fixture_number("SELECT count(*) FROM notes"),
                     2); /* one implicit transaction */
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_kind_of_value_comes_back_as_it_went),
        TEST(null_is_not_empty),
        TEST(arrays_carry_nulls_unicode_and_megabytes_without_quoting),
        TEST(an_empty_array_is_no_rows_and_a_bad_uuid_is_null),
        TEST(errors_are_mapped_and_name_the_statement_but_quote_no_row),
        TEST(no_server_is_unavailable_and_says_where),
        TEST(a_connection_that_died_while_idle_costs_the_caller_nothing),
        TEST(a_connection_that_dies_during_a_statement_is_unavailable_once),
        TEST(a_deadline_ends_a_statement_and_keeps_the_connection),
        TEST(a_connection_says_who_it_is),
        TEST(a_transaction_is_all_or_nothing),
        TEST(a_commit_after_a_failed_statement_is_no_success),
        TEST(what_belongs_to_a_lost_transaction_never_runs_outside_of_one),
        TEST(a_deadline_in_a_transaction_spoils_that_transaction_only),
        TEST(closing_rolls_back),
        TEST(a_script_stops_at_its_first_error),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
