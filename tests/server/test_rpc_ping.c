/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_rpc_ping.c - when the real gRPC server answers pings, seen by a client that writes HTTP/2
 * itself.
 *
 * No database and no Redis: the call that comes with a ping is one of a method that does not exist.
 * A busy machine can make any single answer late, so of many the best one is looked at. */
#include <arpa/inet.h>
#include <limits.h>
#include <linux/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/methods.h"
#include "server/rpc.h"
#include "tests/support/check.h"
#include "tests/support/wait.h"

enum { TRIES = 20, WAIT_S = 20, HEAD = 9, FRAME_HEADERS = 1, FRAME_SETTINGS = 4, FRAME_PING = 6 };
enum { FLAG_ACK = 1, FLAG_END_STREAM = 1, FLAG_END_HEADERS = 4 };
enum { KERNEL_MS = 200 }; /* after which it sends what is kept back */

static struct ctx cx;
static struct settings settings;
static struct handlers *handlers;
static struct hub *hub;
static struct rpc *rpc;
static int fd = -1;

static unsigned char out[512];
static size_t n_out;

static void put(const void *bytes, size_t n)
{
    assert_true(n_out + n <= sizeof(out));
    memcpy(out + n_out, bytes, n);
    n_out += n;
}

static void put_frame(int type, int flags, unsigned stream, const void *bytes, size_t n)
{
    unsigned char head[HEAD] = {0, 0, (unsigned char)n, (unsigned char)type, (unsigned char)flags};
    head[7] = (unsigned char)(stream >> 8);
    head[8] = (unsigned char)stream;
    put(head, sizeof(head));
    put(bytes, n);
}

static void put_ping(void)
{
    put_frame(FRAME_PING, 0, 0, "pingpong", 8);
}

static void put_call(void)
{
    static unsigned stream = 1;
    /* POST, http; literals that are not to be remembered: path, authority, te, content type */
    static const char block[] = "\203\206\4\12/none/Call\1\1a\0\2te\10trailers"
                                "\0\14content-type\20application/grpc";
    put_frame(FRAME_HEADERS, FLAG_END_STREAM | FLAG_END_HEADERS, stream, block, sizeof(block) - 1);
    stream += 2;
}

static void flush(void)
{
    assert_int_equal(send(fd, out, n_out, 0), n_out);
    n_out = 0;
}

/* One read; which frames were in it. They are small and never cut. */
static void take(bool *ret_ping, bool *ret_headers)
{
    unsigned char in[4096];
    ssize_t n = recv(fd, in, sizeof(in), 0);
    assert_true(n > 0);
    *ret_ping = *ret_headers = false;
    for (size_t at = 0; at < (size_t)n;) {
        const unsigned char *f = in + at;
        *ret_ping |= f[3] == FRAME_PING && f[4] & FLAG_ACK;
        *ret_headers |= f[3] == FRAME_HEADERS && f[4] & FLAG_END_STREAM;
        at += HEAD + ((size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2]);
        assert_true(at <= (size_t)n);
    }
}

static int start(void **state)
{
    (void)state;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    settings = (struct settings){.host = "127.0.0.1",
                                 .database_url = "host=/nowhere dbname=none",
                                 .queue_name = "test",
                                 .queue_enabled = true};
    settings.redis = (struct kv_endpoint){.unix_path = "/nowhere"};
    OK(&cx, methods_init(&cx));
    OK(&cx, handlers_start(&cx, &settings, 1, 8, &handlers));
    OK(&cx, hub_start(&cx, &settings, &hub));
    OK(&cx, rpc_start(&cx, &settings, handlers, hub, &rpc));
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)rpc_port(rpc)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    struct timeval patience = {.tv_sec = WAIT_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    put(preface, sizeof(preface) - 1);
    put_frame(FRAME_SETTINGS, 0, 0, "", 0);
    flush();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    close(fd);
    handlers_stop(handlers);
    rpc_stop(rpc);
    hub_stop(hub);
    ctx_done(&cx);
    return 0;
}

/* Sends what was put and reads until the call and, if there is one, the ping in it are answered.
 * Returns in how many packets that came. */
static unsigned packets_of_answer(bool with_ping)
{
    struct tcp_info before, after;
    socklen_t size = sizeof(before);
    bool pinged = !with_ping, called = false;
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &before, &size), 0);
    flush();
    while (!pinged || !called) {
        bool ping, headers;
        take(&ping, &headers);
        pinged |= ping;
        called |= headers;
    }
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &after, &size), 0);
    return after.tcpi_data_segs_in - before.tcpi_data_segs_in;
}

/* The server lets nobody ping who does not call between. */
static void a_ping_alone_is_answered_at_once(void **state)
{
    (void)state;
    int64_t best = INT64_MAX;
    for (int i = 0; i < TRIES; i++) {
        bool ping = false, headers;
        put_call();
        packets_of_answer(false);
        int64_t began = clk_mono_ms();
        put_ping();
        flush();
        while (!ping)
            take(&ping, &headers);
        int64_t took = clk_mono_ms() - began;
        best = MIN(best, took);
    }
    assert_true(best < KERNEL_MS / 2);
}

static void a_ping_and_a_call_are_answered_together(void **state)
{
    (void)state;
    unsigned best = UINT_MAX;
    for (int i = 0; i < TRIES; i++) {
        put_ping();
        put_call();
        unsigned packets = packets_of_answer(true);
        best = MIN(best, packets);
    }
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) /* there the core is shared */
    assert_in_range(best, 1, 2);
#else
    assert_int_equal(best, 1);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ping_alone_is_answered_at_once),
        cmocka_unit_test(a_ping_and_a_call_are_answered_together),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
