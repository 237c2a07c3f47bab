/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* frame.c - messages on a stream socket (frame.h).
 *
 * Used by workers/box_child.c and by localrag-extract's children. The reader asks the kernel for at
 * most 64 KiB at a time and doubles its buffer as they come, so a header that lies about 64 MiB
 * costs nothing. Frames are handed out in place; what follows a frame is moved to the front at the
 * next call. SIGPIPE is never raised. It knows nothing about what the frames say. */
#include "base/frame.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEADER = 4, STEP = 64 * 1024 };

void frame_reader_done(struct frame_reader *r)
{
    free(r->data);
    r->data = NULL;
    r->len = r->cap = r->used = 0;
}

static size_t payload_length(const unsigned char *h)
{
    return (size_t)h[0] | (size_t)h[1] << 8 | (size_t)h[2] << 16 | (size_t)h[3] << 24;
}

static void drop_used(struct frame_reader *r)
{
    if (!r->used)
        return;
    memmove(r->data, r->data + r->used, r->len - r->used);
    r->len -= r->used;
    r->used = 0;
}

/* Reads once. *ret_got is false when a non-blocking fd has nothing. */
static enum code fill(struct ctx *cx, struct frame_reader *r, bool *ret_got)
{
    if (r->cap - r->len < STEP) {
        size_t cap = MAX(r->cap * 2, (size_t)2 * STEP);
        unsigned char *data = realloc(r->data, cap);
        if (!data)
            return ctx_fail(cx, CODE_OUT_OF_MEMORY, "no memory for a frame of %zu bytes", cap);
        r->data = data;
        r->cap = cap;
    }
    ssize_t n;
    do
        n = read(r->fd, r->data + r->len, STEP);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        *ret_got = false;
        return CODE_OK;
    }
    if (n < 0)
        return ctx_fail(cx, CODE_UNAVAILABLE, "could not read a frame: %s", strerror(errno));
    if (n == 0)
        return ctx_fail(cx, CODE_UNAVAILABLE, "the other end is closed%s",
                        r->len ? " in the middle of a frame" : "");
    r->len += (size_t)n;
    *ret_got = true;
    return CODE_OK;
}

enum code frame_read(struct ctx *cx, struct frame_reader *r, bool *ret_got,
                     const unsigned char **ret_data, size_t *ret_len)
{
    drop_used(r);
    for (;;) {
        if (r->len >= HEADER) {
            size_t len = payload_length(r->data);
            if (len > r->limit)
                return ctx_fail(cx, CODE_TOO_LARGE, "frame of %zu bytes, at most %zu are allowed",
                                len, r->limit);
            if (r->len - HEADER >= len) {
                r->used = HEADER + len;
                *ret_data = r->data + HEADER;
                *ret_len = len;
                *ret_got = true;
                return CODE_OK;
            }
        }
        bool got;
        TRY(fill(cx, r, &got));
        if (!got) {
            *ret_got = false;
            return CODE_OK;
        }
    }
}

static enum code wait_writable(struct ctx *cx, int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int n;
    do
        n = poll(&p, 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return ctx_fail(cx, CODE_UNAVAILABLE, "could not wait for a socket: %s", strerror(errno));
    if (n == 0)
        return ctx_fail(cx, CODE_UNAVAILABLE, "the other end took nothing for %d ms", timeout_ms);
    return CODE_OK;
}

enum code frame_write(struct ctx *cx, int fd, const void *data, size_t len, int timeout_ms)
{
    if (len > UINT32_MAX)
        return ctx_fail(cx, CODE_TOO_LARGE, "frame of %zu bytes does not fit its header", len);
    unsigned char header[HEADER] = {(unsigned char)len, (unsigned char)(len >> 8),
                                    (unsigned char)(len >> 16), (unsigned char)(len >> 24)};
    size_t sent = 0, total = HEADER + len;
    while (sent < total) {
        struct iovec iov[2];
        size_t parts = 0;
        if (sent < HEADER)
            iov[parts++] = (struct iovec){header + sent, HEADER - sent};
        size_t at = sent < HEADER ? 0 : sent - HEADER;
        iov[parts++] = (struct iovec){(char *)(uintptr_t)data + at, len - at};
        struct msghdr m = {.msg_iov = iov, .msg_iovlen = parts};
        ssize_t n = sendmsg(fd, &m, MSG_NOSIGNAL);
        if (n >= 0)
            sent += (size_t)n;
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            TRY(wait_writable(cx, fd, timeout_ms));
        else if (errno != EINTR)
            return ctx_fail(cx, CODE_UNAVAILABLE, "could not send a frame: %s", strerror(errno));
    }
    return CODE_OK;
}
