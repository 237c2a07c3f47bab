/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* zygote.c - makes children on request (zygote.h); main.c runs it, workers/box.c talks to it.
 *
 * The talk, one packet each way at a time. Zygote, when it is warm: "ready", or "failed CODE
 * message" and the end. Worker: "spawn" with three descriptors: the child's end of its talk, the
 * document, the write end of a pipe. Zygote: "child PID" with a pidfd, or "error message". When the
 * child has ended and was reaped, its wait status (an int) is written to the pipe, whose other end
 * the worker reads.
 *
 * One thread, so fork() copies a whole process. Models are loaded before the first fork and never
 * after. Nothing that comes from a document is ever read here: the descriptors pass through.
 * Children die with the zygote (PR_SET_PDEATHSIG), and the zygote ends when its worker closes the
 * socket. */
#include "zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "sanitized.h"

enum { SPAWN_FDS = 3, PACKET = 512, MAX_CHILDREN = 1024 };

struct running {
    pid_t pid;
    int status_fd;
};

struct zygote {
    const struct zygote_setup *setup;
    struct ocr *ocr;
    int signal_fd;
    struct running children[MAX_CHILDREN];
    int n;
};

union control { /* ancillary data, aligned */
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int) * SPAWN_FDS)];
};

/* ---- packets ---- */

/* fd < 0: none. */
static bool send_packet(int control_fd, const char *s, int fd)
{
    struct iovec iov = {(char *)(uintptr_t)s, strlen(s)};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    union control c;
    memset(&c, 0, sizeof(c));
    if (fd >= 0) {
        m.msg_control = &c;
        m.msg_controllen = CMSG_SPACE(sizeof(int));
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(h), &fd, sizeof(fd));
    }
    ssize_t n;
    do
        n = sendmsg(control_fd, &m, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n >= 0;
}

/* Bytes of the packet, 0 when the worker has closed. Descriptors that came along are in fds. */
static ssize_t receive_packet(int control_fd, char packet[PACKET], int fds[SPAWN_FDS], int *ret_n)
{
    struct iovec iov = {packet, PACKET - 1};
    union control c;
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &c,
                       .msg_controllen = sizeof(c)};
    ssize_t n;
    do
        n = recvmsg(control_fd, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    *ret_n = 0;
    if (n < 0)
        return n;
    packet[n] = '\0';
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        *ret_n = (int)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(h), (size_t)*ret_n * sizeof(int));
    }
    return n;
}

/* ---- children ---- */

/* In the child: 3 = talk, 4 = document, nothing else but 0, 1, 2. */
static void become_child(const struct zygote *z, pid_t zygote_pid, int talk, int document)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != zygote_pid)
        _exit(EXTRACT__V1__EXIT_STATUS__EXIT_SETUP_FAILED);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int talk_high = fcntl(talk, F_DUPFD_CLOEXEC, 64);
    int document_high = fcntl(document, F_DUPFD_CLOEXEC, 64);
    if (talk_high < 0 || document_high < 0 || dup2(talk_high, 3) < 0 ||
        dup2(document_high, 4) < 0 || close_range(5, ~0u, 0) != 0)
        _exit(EXTRACT__V1__EXIT_STATUS__EXIT_SETUP_FAILED);
    struct child_setup s = {.talk_fd = 3,
                            .document_fd = 4,
                            .memory = z->setup->memory,
                            .ocr = z->ocr};
    _exit(child_run(&s));
}

static bool spawn(struct zygote *z, const int fds[SPAWN_FDS], char reply[PACKET], int *ret_pidfd)
{
    *ret_pidfd = -1;
    if (z->n == MAX_CHILDREN) {
        snprintf(reply, PACKET, "error more than %d children", MAX_CHILDREN);
        return false;
    }
    pid_t self = getpid(), pid = fork();
    if (pid == 0)
        become_child(z, self, fds[0], fds[1]);
    if (pid < 0) {
        snprintf(reply, PACKET, "error could not fork: %s", strerror(errno));
        return false;
    }
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0); /* not reaped yet: it is this child */
    if (pidfd < 0) {
        snprintf(reply, PACKET, "error could not open a pidfd: %s", strerror(errno));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return false;
    }
    z->children[z->n++] = (struct running){pid, fds[2]};
    snprintf(reply, PACKET, "child %d", (int)pid);
    *ret_pidfd = pidfd;
    return true;
}

static void reap(struct zygote *z)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (int i = 0; i < z->n; i++) {
            if (z->children[i].pid != pid)
                continue;
            ssize_t written = write(z->children[i].status_fd, &status, sizeof(status));
            (void)written; /* the worker may have lost interest */
            close(z->children[i].status_fd);
            z->children[i] = z->children[--z->n];
            break;
        }
    }
}

/* False when the worker is gone. */
static bool serve_one(struct zygote *z)
{
    char packet[PACKET], reply[PACKET] = "error the request cannot be understood";
    int fds[SPAWN_FDS], n, pidfd = -1;
    ssize_t len = receive_packet(z->setup->control_fd, packet, fds, &n);
    if (len <= 0)
        return false;
    bool started = n == SPAWN_FDS && strcmp(packet, "spawn") == 0 && spawn(z, fds, reply, &pidfd);
    for (int i = 0; i < n; i++)
        if (!started || i < SPAWN_FDS - 1) /* the pipe stays until the child is reaped */
            close(fds[i]);
    bool sent = send_packet(z->setup->control_fd, reply, pidfd);
    if (pidfd >= 0)
        close(pidfd);
    return sent;
}

/* ---- life ---- */

static void kill_all(struct zygote *z)
{
    for (int i = 0; i < z->n; i++)
        kill(z->children[i].pid, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        ;
}

static int loop(struct zygote *z)
{
    for (;;) {
        struct pollfd p[] = {{.fd = z->setup->control_fd, .events = POLLIN},
                             {.fd = z->signal_fd, .events = POLLIN}};
        if (poll(p, ARRAY_LEN(p), -1) < 0) {
            if (errno == EINTR)
                continue;
            return 1;
        }
        if (p[1].revents) {
            struct signalfd_siginfo info;
            ssize_t n = read(z->signal_fd, &info, sizeof(info));
            (void)n;
            reap(z);
        }
        if (p[0].revents && !serve_one(z))
            return 0;
    }
}

static bool warm(struct zygote *z)
{
    CLEANUP(ctx_done) struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    doc_text_warm();
    if (ocr_open(&cx, z->setup->tessdata, z->setup->languages, &z->ocr) == CODE_OK)
        return send_packet(z->setup->control_fd, "ready", -1);
    char packet[PACKET];
    snprintf(packet, sizeof(packet), "failed %s %s", code_name(cx.failure.code), ctx_message(&cx));
    send_packet(z->setup->control_fd, packet, -1);
    return false;
}

/* Libraries print parts of documents: nothing of that may reach a log. */
static void mute(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return;
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    if (!SANITIZED) /* its report is all there is to learn from */
        dup2(null, STDERR_FILENO);
    if (null > STDERR_FILENO)
        close(null);
}

int zygote_run(const struct zygote_setup *s)
{
    struct zygote *z = calloc(1, sizeof(*z));
    if (!z)
        return EXTRACT__V1__EXIT_STATUS__EXIT_OUT_OF_MEMORY;
    z->setup = s;
    sigset_t chld;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &chld, NULL);
    signal(SIGPIPE, SIG_IGN);
    z->signal_fd = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
    int status = 1;
    if (z->signal_fd >= 0) {
        mute();
        if (warm(z))
            status = loop(z);
        kill_all(z);
    }
    ocr_close(z->ocr);
    close(z->signal_fd);
    free(z);
    return status;
}
