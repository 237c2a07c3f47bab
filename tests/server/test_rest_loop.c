/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_rest_loop.c - HTTP requests for a job when many come at once and when the database does not
 * answer.
 *
 * The real HTTP door on the run's PostgreSQL, and clients that are plain sockets. A database that
 * does not answer is a table that the test has locked, as in test_get_jobs.c. What must not wait
 * with those requests: all others, whichever daemon serves them. */
#include "tests/support/fixture.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/methods.h"
#include "server/rest.h"
#include "store/db.h"
#include "tests/support/wait.h"

enum { LONG_MS = 20000, HANDLERS = 2, QUEUE = 200, MANY = 80, HANGING = 12 };

#define NOBODY "00000000-0000-4000-8000-000000000000"

static struct handlers *handlers;
static struct hub *hub;
static struct rest *rest;
static struct db *locker;
static struct sockaddr_in address;

/* ---- clients ---- */

static int connect_one(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void get(int fd, const char *path)
{
    char text[256];
    int n = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", path);
    assert_int_equal(send(fd, text, (size_t)n, MSG_NOSIGNAL), n);
}

static void get_job(int fd, const char *id)
{
    char path[128];
    snprintf(path, sizeof(path), "/api/v1/jobs/%s", id);
    get(fd, path);
}

/* The status of the next answer, whose body is in `body` then; -1: none came. */
static int take(int fd, char *body, size_t size)
{
    static char text[1 << 20];
    size_t n = 0, want = SIZE_MAX;
    int64_t until_ms = clk_mono_ms() + LONG_MS;
    while (n < want) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int left = (int)(until_ms - clk_mono_ms());
        if (left <= 0 || poll(&p, 1, left) <= 0)
            return -1;
        ssize_t got = recv(fd, text + n, sizeof(text) - 1 - n, 0);
        if (got <= 0)
            return -1;
        text[n += (size_t)got] = '\0';
        const char *end = strstr(text, "\r\n\r\n");
        const char *length = end ? strcasestr(text, "\r\nContent-Length: ") : NULL;
        if (length)
            want = (size_t)(end + 4 - text) + strtoul(length + 18, NULL, 10);
    }
    assert_int_equal(n, want);
    snprintf(body, size, "%s", strstr(text, "\r\n\r\n") + 4);
    return (int)strtol(text + strlen("HTTP/1.1 "), NULL, 10);
}

static void expect_job(int fd, const char *id)
{
    char body[4096], wanted[64];
    snprintf(wanted, sizeof(wanted), "{\"job_id\":\"%s\"", id);
    assert_int_equal(take(fd, body, sizeof(body)), 200);
    assert_memory_equal(body, wanted, strlen(wanted));
}

static void expect_status(int fd, int status)
{
    char body[4096];
    assert_int_equal(take(fd, body, sizeof(body)), status);
}

/* ---- a database that does not answer ---- */

static void lock_table(void)
{
    OK(&fx.cx, db_begin(&fx.cx, locker));
    OK(&fx.cx, db_script(&fx.cx, locker, "LOCK TABLE processing_jobs IN ACCESS EXCLUSIVE MODE"));
}

static void unlock_table(void)
{
    db_rollback(locker);
}

static int64_t waiting_statements(void)
{
    return fixture_number(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND wait_event_type = 'Lock'");
}

/* ---- the server ---- */

static int free_port(void)
{
    socklen_t len = sizeof(address);
    address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&address, len) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        abort();
    close(fd);
    return ntohs(address.sin_port);
}

static int setup(void **state)
{
    if (fixture_empty(state) != 0)
        return -1;
    fx.settings.host = "127.0.0.1";
    fx.settings.port = free_port();
    if (methods_init(&fx.cx) != CODE_OK ||
        db_open(&fx.cx, fx.settings.database_url, "test", &locker) != CODE_OK ||
        handlers_start(&fx.cx, &fx.settings, HANDLERS, QUEUE, &handlers) != CODE_OK ||
        hub_start(&fx.cx, &fx.settings, &hub) != CODE_OK ||
        rest_start(&fx.cx, &fx.settings, handlers, hub, &rest) != CODE_OK)
        return -1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    db_closep(&locker);
    rest_stop(rest);
    handlers_stop(handlers);
    hub_stop(hub);
    return 0;
}

/* ---- tests ---- */

static void everyone_gets_the_own_answer(void **state)
{
    (void)state;
    int fds[MANY];
    const char *ids[MANY];
    for (int i = 0; i < MANY; i++) {
        ids[i] = i % 8 == 6 ? NOBODY : i % 8 == 7 ? "no-id" : fixture_job("medium");
        fds[i] = connect_one();
    }
    for (int round = 0; round < 3; round++) { /* on the same connections */
        if (round < 2)
            lock_table(); /* so that they gather */
        for (int i = 0; i < MANY; i++)
            get_job(fds[i], ids[i]);
        if (round < 2) {
            WAIT_UNTIL(LONG_MS, waiting_statements() >= 1);
            unlock_table();
        }
        for (int i = 0; i < MANY; i++)
            if (i % 8 < 6)
                expect_job(fds[i], ids[i]);
            else
                expect_status(fds[i], i % 8 == 6 ? 404 : 400);
    }
    for (int i = 0; i < MANY; i++)
        close(fds[i]);
}

/* More requests hang than there are threads; the others come in over enough connections to reach
 * every daemon. */
static void others_do_not_wait_for_the_database(void **state)
{
    (void)state;
    int all[2 * HANGING], hanging[HANGING], other[HANGING];
    const char *id = fixture_job("medium");
    for (int i = 0; i < 2 * HANGING; i++)
        all[i] = connect_one();
    for (int round = 0; round < 3; round++) { /* the leads went to and fro meanwhile */
        for (int i = 0; i < HANGING; i++) { /* halves, then every other one: some share a daemon */
            hanging[i] = all[round % 2 ? 2 * i : i];
            other[i] = all[round % 2 ? 2 * i + 1 : HANGING + i];
        }
        lock_table();
        for (int i = 0; i < HANGING; i++) {
            get_job(hanging[i], id);
            if (i == 0)
                WAIT_UNTIL(LONG_MS, waiting_statements() == 1);
            for (int k = 0; k < HANGING; k++) {
                get(other[k], "/openapi.json?");
                expect_status(other[k], 200);
            }
        }
        unlock_table();
        for (int i = 0; i < HANGING; i++)
            expect_job(hanging[i], id);
    }
    for (int i = 0; i < 2 * HANGING; i++)
        close(all[i]);
}

/* Who asks and goes away is answered into the void; the next one is not. */
static void a_client_may_go_while_it_waits(void **state)
{
    (void)state;
    const char *id = fixture_job("medium");
    struct linger reset = {.l_onoff = 1};
    lock_table();
    for (int i = 0; i < MANY; i++) {
        int fd = connect_one();
        get_job(fd, id);
        if (i == 0)
            WAIT_UNTIL(LONG_MS, waiting_statements() == 1);
        if (i % 2)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        close(fd);
    }
    int last = connect_one();
    get_job(last, id);
    unlock_table();
    expect_job(last, id);
    close(last);
}

/* The questions are answered before the end. */
static void the_end_waits_for_questions(void **state)
{
    (void)state;
    const char *id = fixture_job("medium");
    int fds[HANGING];
    for (int i = 0; i < HANGING; i++) {
        fds[i] = connect_one();
        get_job(fds[i], id);
        expect_job(fds[i], id); /* it is accepted, for sure */
    }
    lock_table();
    for (int i = 0; i < HANGING; i++) {
        get_job(fds[i], id);
        if (i == 0)
            WAIT_UNTIL(LONG_MS, waiting_statements() == 1);
    }
    rest_stop_accepting(rest);
    int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(late, (struct sockaddr *)&address, sizeof(address)), -1);
    close(late);
    unlock_table();
    for (int i = 0; i < HANGING; i++) {
        char body[4096];
        int status = take(fds[i], body, sizeof(body));
        /* 503: had not been read yet when the end began */
        assert_true(status == 200 || (i && status == 503));
        close(fds[i]);
    }
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(everyone_gets_the_own_answer),
        TEST(others_do_not_wait_for_the_database),
        TEST(a_client_may_go_while_it_waits),
        TEST(the_end_waits_for_questions),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
