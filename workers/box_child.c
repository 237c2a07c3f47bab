/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* box_child.c - one extractor child as the worker sees it (box.h); run_document.c uses it.
 *
 * The child works on bytes that somebody may have made to take it over, so its replies are input
 * like any other: frames are limited, texts must be UTF-8 (pbcheck), numbers finite and in range,
 * and a child that breaks the rules is killed. The memory of a reply is the caller's arena with its
 * limit.
 *
 * How a child ended comes from its parent, the zygote, through a pipe: only the parent can know.
 * When the pipe closes without a word the zygote is dead too. */
#include "workers/box.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/frame.h"
#include "base/pbcheck.h"
#include "workers/box_internal.h"

enum {
    FRAME_LIMIT = 64 * 1024 * 1024,
    SEND_MS = 5000,
    END_MS = 5000,
    MAX_PAGE = 1000 * 1000 * 1000
};

struct box_child {
    int fd, status_fd, pidfd;
    pid_t pid;
    bool killed;
    bool reaped; /* and `status` is known */
    int status;
    struct frame_reader in;
};

/* ---- life ---- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static enum code connect_child(struct ctx *cx, struct box *b, int document_fd, struct box_child *c)
{
    int talk[2], status[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, talk) != 0)
        return ctx_fail(cx, CODE_UNAVAILABLE, "could not make a socket: %s", strerror(errno));
    c->fd = talk[0];
    if (pipe2(status, O_CLOEXEC) != 0) {
        close(talk[1]);
        return ctx_fail(cx, CODE_UNAVAILABLE, "could not make a pipe: %s", strerror(errno));
    }
    c->status_fd = status[0];
    int fds[3] = {talk[1], document_fd, status[1]};
    enum code code = fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0
                         ? ctx_fail(cx, CODE_UNAVAILABLE, "fcntl failed: %s", strerror(errno))
                         : box_ask(cx, b, fds, &c->pid, &c->pidfd);
    close(talk[1]);
    close(status[1]);
    return code;
}

enum code box_spawn(struct ctx *cx, struct box *b, int document_fd, struct box_child **ret_child)
{
    CLEANUP(box_child_closep) struct box_child *c = calloc(1, sizeof(*c));
    if (!c)
        return ctx_oom(cx);
    c->fd = c->status_fd = c->pidfd = -1;
    TRY(connect_child(cx, b, document_fd, c));
    c->in = FRAME_READER(c->fd, FRAME_LIMIT);
    *ret_child = TAKE(c);
    return CODE_OK;
}

int box_child_fd(const struct box_child *c)
{
    return c->fd;
}

pid_t box_child_pid(const struct box_child *c)
{
    return c->pid;
}

void box_kill(struct box_child *c)
{
    if (c->pidfd >= 0 && !c->killed)
        syscall(SYS_pidfd_send_signal, c->pidfd, SIGKILL, NULL, 0);
    c->killed = true;
}

void box_child_close(struct box_child *c)
{
    if (!c)
        return;
    box_kill(c);
    frame_reader_done(&c->in);
    close_fd(&c->fd);
    close_fd(&c->status_fd);
    close_fd(&c->pidfd);
    free(c);
}

void box_child_closep(struct box_child **c)
{
    box_child_close(*c);
    *c = NULL;
}

/* ---- how it ended ---- */

static bool await_status(struct box_child *c)
{
    struct pollfd p = {.fd = c->status_fd, .events = POLLIN};
    int n;
    do
        n = poll(&p, 1, END_MS);
    while (n < 0 && errno == EINTR);
    return n > 0 && read(c->status_fd, &c->status, sizeof(c->status)) == sizeof(c->status);
}

static enum code ended(struct ctx *cx, struct box_child *c)
{
    box_kill(c); /* it closed its talk: nothing more can come of it */
    if (!c->reaped)
        c->reaped = await_status(c);
    if (!c->reaped)
        return ctx_fail(cx, CODE_UNAVAILABLE, "the extractor process died with its parent");
    int status = c->status;
    if (WIFSIGNALED(status))
        return ctx_fail(cx, WTERMSIG(status) == SIGKILL ? CODE_UNAVAILABLE : CODE_INTERNAL,
                        "the extractor process was killed by signal %d%s", WTERMSIG(status),
                        WTERMSIG(status) == SIGSYS ? " (it did something that is forbidden)" : "");
    if (WEXITSTATUS(status) == EXTRACT__V1__EXIT_STATUS__EXIT_OUT_OF_MEMORY)
        return ctx_fail(cx, CODE_OUT_OF_MEMORY,
                        "the extractor process ran out of memory (EXTRACT_MEMORY)");
    return ctx_fail(cx, CODE_INTERNAL, "the extractor process exited with %d", WEXITSTATUS(status));
}

/* ---- talk ---- */

enum code box_send(struct ctx *cx, struct box_child *c, const Extract__V1__Request *request)
{
    size_t len = extract__v1__request__get_packed_size(request);
    unsigned char *data = ctx_alloc(cx, len);
    if (!data)
        return cx->failure.code;
    extract__v1__request__pack(request, data);
    enum code code = frame_write(cx, c->fd, data, len, SEND_MS);
    memset(data, 0, len); /* it may hold a password */
    __asm__ __volatile__("" : : "r"(data) : "memory");
    return code;
}

static bool is_size(double v)
{
    return isfinite(v) && v >= 0 && v < 1e9;
}

static bool is_line(const Extract__V1__Line *l, size_t text_len)
{
    return l->start <= l->end && l->end <= text_len && isfinite(l->x0) && isfinite(l->y0) &&
           isfinite(l->x1) && isfinite(l->y1);
}

static bool is_page(const Extract__V1__Page *p)
{
    bool ok = p->page > 0 && p->page <= MAX_PAGE && p->ms >= 0 && p->rotation >= 0 &&
              p->rotation < 360 && p->verdict > EXTRACT__V1__VERDICT__VERDICT_UNSPECIFIED &&
              p->verdict <= EXTRACT__V1__VERDICT__VERDICT_LAYER && is_size(p->width) &&
              is_size(p->height) && isfinite(p->confidence) && p->confidence <= 1;
    size_t len = ok ? strlen(p->text) : 0;
    for (size_t i = 0; ok && i < p->n_lines; i++)
        ok = is_line(p->lines[i], len);
    return ok;
}

static bool is_valid(const Extract__V1__Reply *r)
{
    switch (r->kind_case) {
    case EXTRACT__V1__REPLY__KIND_OPENED:
        return r->opened->page_count > 0 && r->opened->page_count <= MAX_PAGE;
    case EXTRACT__V1__REPLY__KIND_PAGE:
        return is_page(r->page);
    case EXTRACT__V1__REPLY__KIND_DONE:
        return true;
    case EXTRACT__V1__REPLY__KIND_FAILED:
        return code_from_name(r->failed->code) != CODE_OK;
    default:
        return false;
    }
}

static enum code unpack(struct ctx *cx, const unsigned char *data, size_t len,
                        Extract__V1__Reply **ret_reply)
{
    if (pbcheck(cx, &extract__v1__reply__descriptor, data, len) != CODE_OK) {
        const char *why = ctx_message(cx);
        ctx_clear(cx);
        return ctx_fail(cx, CODE_INTERNAL, "the extractor process sent a broken reply: %s", why);
    }
    Extract__V1__Reply *r = extract__v1__reply__unpack(&cx->arena.pb, len, data);
    if (!r)
        return ctx_fail(cx, CODE_OUT_OF_MEMORY, "no memory for a reply of %zu bytes", len);
    if (!is_valid(r))
        return ctx_fail(cx, CODE_INTERNAL,
                        "the extractor process sent a reply that makes no sense");
    *ret_reply = r;
    return CODE_OK;
}

enum code box_receive(struct ctx *cx, struct box_child *c, bool *ret_got,
                      Extract__V1__Reply **ret_reply)
{
    const unsigned char *data;
    size_t len;
    bool got;
    enum code code = frame_read(cx, &c->in, &got, &data, &len);
    if (code == CODE_UNAVAILABLE) {
        ctx_clear(cx);
        return ended(cx, c);
    }
    if (code != CODE_OK) {
        box_kill(c);
        return code;
    }
    if (!got) {
        *ret_got = false;
        return CODE_OK;
    }
    code = unpack(cx, data, len, ret_reply);
    if (code != CODE_OK)
        box_kill(c);
    else
        *ret_got = true;
    return code;
}
