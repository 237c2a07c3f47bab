/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_conn.c - connections that cannot be made, and what they mean for the exit status. What a
 * server answers is tested end to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/clk.h"
#include "client/conn.h"
#include "client/watch.h"
#include "localrag/v1/health.pb-c.h"

static void bad_settings_are_refused(void **state UNUSED)
{
    static const struct conn_settings bad[] = {
        {.server = ""},
        {.server = "http://localhost:50051"},
        {.server = "a b"},
        {.server = "localhost", .tls_ca = "/nonexistent/ca.pem"},
        {.server = "localhost", .tls_ca = "/dev/null"},
        {.server = "localhost", .api_key = "line\nfeed"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct ctx cx;
        struct conn *conn = NULL;
        ctx_init(&cx, CTX_DEFAULT_LIMIT);
        assert_int_equal(conn_open(&cx, &bad[i], &conn), CODE_INVALID_ARGUMENT);
        assert_null(conn);
        assert_null(strstr(ctx_message(&cx), "feed")); /* a key is never shown */
        ctx_done(&cx);
    }
}

static void a_server_out_of_reach_is_exit_5(void **state UNUSED)
{
    struct ctx cx;
    CLEANUP(conn_closep) struct conn *conn = NULL;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    struct conn_settings settings = {.server = "unix:/nonexistent/socket", .timeout_ms = 20000};
    assert_int_equal(conn_open(&cx, &settings, &conn), CODE_OK);
    Localrag__V1__GetHealthRequest request = LOCALRAG__V1__GET_HEALTH_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    assert_int_equal(conn_call(&cx, conn, &localrag__v1__health_service__descriptor, "GetHealth",
                               &request.base, &reply),
                     CODE_UNAVAILABLE);
    assert_null(reply);
    assert_true(conn_unreachable(conn));
    assert_int_equal(conn_exit(conn, CODE_UNAVAILABLE), 5);
    assert_int_equal(conn_exit(conn, CODE_NOT_FOUND), 3);
    assert_int_equal(conn_exit(NULL, CODE_UNAVAILABLE), 8);
    ctx_done(&cx);
}

static void a_method_that_does_not_exist_is_our_bug(void **state UNUSED)
{
    struct ctx cx;
    CLEANUP(conn_closep) struct conn *conn = NULL;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    struct conn_settings settings = {.server = "unix:/nonexistent/socket"};
    assert_int_equal(conn_open(&cx, &settings, &conn), CODE_OK);
    struct conn_stream *stream = NULL;
    assert_int_equal(conn_start(&cx, conn, &localrag__v1__health_service__descriptor, "Nope", 0,
                                &stream),
                     CODE_INTERNAL);
    assert_null(stream);
    ctx_done(&cx);
}

static void never(void *user UNUSED, const Localrag__V1__JobEvent *event UNUSED)
{
    fail();
}

/* A job that is known is worth waiting for, one that may not exist is not. */
static void a_watch_waits_only_for_a_known_job(void **state UNUSED)
{
    struct ctx cx;
    CLEANUP(conn_closep) struct conn *conn = NULL;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    struct conn_settings settings = {.server = "unix:/nonexistent/socket"};
    assert_int_equal(conn_open(&cx, &settings, &conn), CODE_OK);
    struct watch watch = {.job_id = "x", .on_event = never};
    Localrag__V1__Job *job = NULL;
    assert_int_equal(watch_job(&cx, conn, &watch, &job), CODE_UNAVAILABLE);
    ctx_clear(&cx);
    watch.known = true;
    cx.deadline_ms = clk_mono_ms() + 700;
    assert_int_equal(watch_job(&cx, conn, &watch, &job), CODE_DEADLINE_EXCEEDED);
    assert_true(clk_mono_ms() >= cx.deadline_ms - 100);
    ctx_done(&cx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_settings_are_refused),
        cmocka_unit_test(a_server_out_of_reach_is_exit_5),
        cmocka_unit_test(a_method_that_does_not_exist_is_our_bug),
        cmocka_unit_test(a_watch_waits_only_for_a_known_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
