/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rpc_ping.c - lets the answer to a ping leave together with the answer to the call it came with.
 *
 * A Go client sends a ping with almost every call, to learn how fast the connection is. The core
 * answers that at once in a packet of its own, before it even looks at the call: a tenth of our
 * time for a small call goes into that packet, and the client is woken twice. So a packet that
 * holds nothing but such an answer is sent with MSG_MORE, "more is to come": the kernel keeps it
 * until the next one of this connection, which here is the call's answer. Before the poller waits
 * for events, or is found waiting for the database, it is pushed out, so a ping alone is answered
 * as soon as ever and none is late by more than CTX_PATIENCE_MS. Nothing can be lost or change its
 * order: the bytes are in the kernel's hands all the time; if a push were missed, it would send
 * them itself after 200 ms.
 *
 * The core offers no place for this, so the linker puts these two functions between it and libc
 * (--wrap in CMakeLists.txt). A core that is a shared library, as in the builds with sanitizers, is
 * not reached and just sends two packets. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "server/rpc_call.h"

enum {
    FRAME_HEAD = 9,
    FRAME_PING = 6,
    FLAG_ACK = 1,
    PING_BYTES = FRAME_HEAD + 8,
    WINDOW_BYTES = FRAME_HEAD + 4, /* a window update may follow */
};

enum { NOT_POLLING = -2, NONE = -1 };
static _Thread_local int kept = NOT_POLLING; /* the socket that has an answer to a ping kept back */

ssize_t real_sendmsg(int fd, const struct msghdr *m, int flags) __asm__("__real_sendmsg");
ssize_t wrap_sendmsg(int fd, const struct msghdr *m, int flags) __asm__("__wrap_sendmsg");
int real_epoll_wait(int fd, struct epoll_event *e, int n, int ms) __asm__("__real_epoll_wait");
int wrap_epoll_wait(int fd, struct epoll_event *e, int n, int ms) __asm__("__wrap_epoll_wait");

static bool only_answers_ping(const struct msghdr *m)
{
    size_t total = 0;
    for (size_t i = 0; i < m->msg_iovlen; i++)
        total += m->msg_iov[i].iov_len;
    if (total < PING_BYTES || total > PING_BYTES + WINDOW_BYTES ||
        m->msg_iov[0].iov_len < FRAME_HEAD)
        return false;
    const unsigned char *head = m->msg_iov[0].iov_base;
    return head[3] == FRAME_PING && head[4] == FLAG_ACK;
}

/* Turning off Nagle's algorithm, which is off, is what pushes. Meanwhile the descriptor may be
 * closed, or be another one's: then this does nothing. */
static void push(void)
{
    int on = 1;
    if (kept >= 0)
        (void)setsockopt(kept, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    kept = NONE;
}

void rpc_ping_push(void)
{
    push();
    kept = NOT_POLLING;
}

ssize_t wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
    if (kept == fd) {
        kept = NONE; /* this one pushes, or the core will try again */
    } else if (kept != NOT_POLLING && only_answers_ping(m)) {
        push();
        kept = fd;
        flags |= MSG_MORE;
    }
    return real_sendmsg(fd, m, flags);
}

int wrap_epoll_wait(int fd, struct epoll_event *e, int n, int ms)
{
    push();
    return real_epoll_wait(fd, e, n, ms);
}
