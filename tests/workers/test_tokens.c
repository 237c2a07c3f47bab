/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_tokens.c - tokens: never more than there are, in the order asked for, none lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "workers/tokens.h"

static struct tokens *make(int count)
{
    struct ctx cx;
    ctx_init(&cx, 0);
    struct tokens *tokens = NULL;
    assert_int_equal(tokens_new(&cx, count, &tokens), CODE_OK);
    ctx_done(&cx);
    return tokens;
}

static bool is_woken(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint64_t count;
    return poll(&p, 1, 0) == 1 && read(fd, &count, sizeof(count)) == sizeof(count);
}

static void test_in_order(void **state)
{
    (void)state;
    struct tokens *tokens = make(1);
    int fd[3];
    struct token_wait wait[3] = {{0}};
    for (int i = 0; i < 3; i++)
        fd[i] = eventfd(0, EFD_NONBLOCK);
    assert_true(tokens_take(tokens, &wait[0], fd[0]));
    assert_false(tokens_take(tokens, &wait[1], fd[1]));
    assert_false(tokens_take(tokens, &wait[2], fd[2]));
    assert_false(tokens_take(tokens, &wait[0], fd[0]));
    assert_false(is_woken(fd[1]));
    tokens_give(tokens);
    assert_true(is_woken(fd[1]));
    assert_false(is_woken(fd[2]));
    assert_false(tokens_take(tokens, &wait[2], fd[2]));
    assert_true(tokens_take(tokens, &wait[1], fd[1]));
    tokens_give(tokens);
    assert_true(is_woken(fd[2]));
    assert_true(tokens_take(tokens, &wait[2], fd[2]));
    tokens_give(tokens);
    assert_true(tokens_take(tokens, &wait[0], fd[0]));
    tokens_give(tokens);
    for (int i = 0; i < 3; i++)
        close(fd[i]);
    tokens_free(tokens);
}

static void test_forget(void **state)
{
    (void)state;
    struct tokens *tokens = make(1);
    int fd = eventfd(0, EFD_NONBLOCK);
    struct token_wait a = {0}, b = {0}, c = {0};
    assert_true(tokens_take(tokens, &a, fd));
    assert_false(tokens_take(tokens, &b, fd));
    assert_false(tokens_take(tokens, &c, fd));
    tokens_forget(tokens, &b); /* out of the middle */
    tokens_give(tokens);
    tokens_forget(tokens, &c); /* granted, not taken: goes back */
    assert_true(tokens_take(tokens, &b, fd));
    assert_false(tokens_take(tokens, &a, fd));
    tokens_forget(tokens, &a); /* the last one: the line can grow again */
    assert_false(tokens_take(tokens, &c, fd));
    tokens_give(tokens);
    assert_true(tokens_take(tokens, &c, fd));
    tokens_give(tokens);
    tokens_forget(tokens, &c); /* empty: nothing happens */
    assert_true(tokens_take(tokens, &c, fd));
    assert_false(tokens_take(tokens, &b, fd));
    tokens_forget(tokens, &b);
    tokens_give(tokens);
    close(fd);
    tokens_free(tokens);
}

enum { THREADS = 8, TURNS = 2000, COUNT = 3 };

static struct tokens *shared;
static atomic_int held, most;

static void *use(void *arg)
{
    (void)arg;
    int fd = eventfd(0, EFD_NONBLOCK);
    struct token_wait wait = {0};
    for (int i = 0; i < TURNS; i++) {
        while (!tokens_take(shared, &wait, fd)) {
            struct pollfd p = {.fd = fd, .events = POLLIN};
            uint64_t count;
            poll(&p, 1, 10000);
            ssize_t got = read(fd, &count, sizeof(count));
            (void)got;
        }
        int now = atomic_fetch_add(&held, 1) + 1;
        int before = atomic_load(&most);
        while (now > before && !atomic_compare_exchange_weak(&most, &before, now))
            continue;
        sched_yield();
        atomic_fetch_sub(&held, 1);
        tokens_give(shared);
    }
    close(fd);
    return NULL;
}

static void test_many_threads(void **state)
{
    (void)state;
    shared = make(COUNT);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_in_range(atomic_load(&most), 1, COUNT);
    assert_int_equal(atomic_load(&held), 0);
    struct token_wait wait[COUNT + 1] = {{0}};
    for (int i = 0; i < COUNT; i++)
        assert_true(tokens_take(shared, &wait[i], -1));
    assert_false(tokens_take(shared, &wait[COUNT], -1));
    tokens_forget(shared, &wait[COUNT]);
    tokens_free(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_forget),
        cmocka_unit_test(test_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
