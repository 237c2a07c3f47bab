/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_frame.c - base/frame.c over a socket pair: whole, split, many, too long, cut off. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/frame.h"

struct pair {
    struct ctx cx;
    int fd[2]; /* 0 reads and does not block */
    struct frame_reader in;
};

static int setup(void **state)
{
    static struct pair p;
    ctx_init(&p.cx, CTX_DEFAULT_LIMIT);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p.fd), 0);
    assert_int_equal(fcntl(p.fd[0], F_SETFL, O_NONBLOCK), 0);
    p.in = FRAME_READER(p.fd[0], 1 << 20);
    *state = &p;
    return 0;
}

static int teardown(void **state)
{
    struct pair *p = *state;
    frame_reader_done(&p->in);
    close(p->fd[0]);
    if (p->fd[1] >= 0)
        close(p->fd[1]);
    ctx_done(&p->cx);
    return 0;
}

static bool next(struct pair *p, const unsigned char **data, size_t *len)
{
    bool got;
    assert_int_equal(frame_read(&p->cx, &p->in, &got, data, len), CODE_OK);
    return got;
}

static void whole_and_many(void **state)
{
    struct pair *p = *state;
    const unsigned char *data;
    size_t len;
    assert_false(next(p, &data, &len));
    assert_int_equal(frame_write(&p->cx, p->fd[1], "one", 3, 1000), CODE_OK);
    assert_int_equal(frame_write(&p->cx, p->fd[1], "", 0, 1000), CODE_OK);
    assert_int_equal(frame_write(&p->cx, p->fd[1], "three", 5, 1000), CODE_OK);
    assert_true(next(p, &data, &len));
    assert_int_equal(len, 3);
    assert_memory_equal(data, "one", 3);
    assert_true(next(p, &data, &len));
    assert_int_equal(len, 0);
    assert_true(next(p, &data, &len));
    assert_memory_equal(data, "three", 5);
    assert_false(next(p, &data, &len));
}

static void byte_by_byte(void **state)
{
    struct pair *p = *state;
    const unsigned char wire[] = {2, 0, 0, 0, 'o', 'k'};
    const unsigned char *data;
    size_t len;
    for (size_t i = 0; i < sizeof(wire); i++) {
        assert_false(next(p, &data, &len));
        assert_int_equal(write(p->fd[1], &wire[i], 1), 1);
    }
    assert_true(next(p, &data, &len));
    assert_int_equal(len, 2);
    assert_memory_equal(data, "ok", 2);
}

static void longer_than_the_limit(void **state)
{
    struct pair *p = *state;
    const unsigned char wire[] = {0, 0, 0x10, 1}; /* 16 MiB and more */
    assert_int_equal(write(p->fd[1], wire, sizeof(wire)), sizeof(wire));
    bool got;
    const unsigned char *data;
    size_t len;
    assert_int_equal(frame_read(&p->cx, &p->in, &got, &data, &len), CODE_TOO_LARGE);
    assert_true(p->in.cap < 1 << 20);
}

static void a_lie_costs_nothing(void **state)
{
    struct pair *p = *state;
    const unsigned char wire[] = {0, 0, 0x0f, 0, 'x'}; /* claims 960 KiB */
    assert_int_equal(write(p->fd[1], wire, sizeof(wire)), sizeof(wire));
    const unsigned char *data;
    size_t len;
    assert_false(next(p, &data, &len));
    assert_true(p->in.cap <= 128 * 1024);
}

static void closed(void **state)
{
    struct pair *p = *state;
    const unsigned char wire[] = {5, 0, 0, 0, 'x'};
    assert_int_equal(write(p->fd[1], wire, sizeof(wire)), sizeof(wire));
    close(p->fd[1]);
    p->fd[1] = -1;
    bool got;
    const unsigned char *data;
    size_t len;
    assert_int_equal(frame_read(&p->cx, &p->in, &got, &data, &len), CODE_UNAVAILABLE);
    assert_non_null(strstr(ctx_message(&p->cx), "middle of a frame"));
}

static void writing_to_the_dead(void **state)
{
    struct pair *p = *state;
    close(p->fd[0]);
    p->fd[0] = open("/dev/null", O_RDONLY);
    assert_int_equal(frame_write(&p->cx, p->fd[1], "x", 1, 100), CODE_UNAVAILABLE);
}

static void writing_to_the_deaf(void **state)
{
    struct pair *p = *state;
    size_t len = 8 << 20;
    char *data = calloc(1, len);
    assert_int_equal(fcntl(p->fd[1], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(frame_write(&p->cx, p->fd[1], data, len, 50), CODE_UNAVAILABLE);
    assert_non_null(strstr(ctx_message(&p->cx), "took nothing"));
    free(data);
}

struct writer {
    int fd;
    const char *data;
    size_t len;
    enum code code;
};

static void *write_all(void *arg)
{
    struct writer *w = arg;
    struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    w->code = frame_write(&cx, w->fd, w->data, w->len, 10000);
    ctx_done(&cx);
    return NULL;
}

static void larger_than_the_socket(void **state)
{
    struct pair *p = *state;
    size_t n = (1 << 20) - 1, len;
    char *sent = malloc(n);
    for (size_t i = 0; i < n; i++)
        sent[i] = (char)(i * 31);
    struct writer w = {p->fd[1], sent, n, CODE_INTERNAL};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_all, &w), 0);
    const unsigned char *data;
    while (!next(p, &data, &len))
        ;
    assert_int_equal(len, n);
    assert_memory_equal(data, sent, n);
    pthread_join(thread, NULL);
    assert_int_equal(w.code, CODE_OK);
    free(sent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whole_and_many, setup, teardown),
        cmocka_unit_test_setup_teardown(byte_by_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(longer_than_the_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lie_costs_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(closed, setup, teardown),
        cmocka_unit_test_setup_teardown(writing_to_the_dead, setup, teardown),
        cmocka_unit_test_setup_teardown(writing_to_the_deaf, setup, teardown),
        cmocka_unit_test_setup_teardown(larger_than_the_socket, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
