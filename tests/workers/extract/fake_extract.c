/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* fake_extract.c - a localrag-extract that was taken over: test_box_trust.c runs it.
 *
 * It speaks the zygote's part of the talk well enough to be asked for a child, and then sends
 * what --languages names: each a way to hurt a worker that believes it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/frame.h"
#include "extract/v1/extract.pb-c.h"

enum { CONTROL = 3 };

static char *text(const char *s)
{
    return (char *)(uintptr_t)s;
}

static void send_frame(int fd, const void *data, size_t len)
{
    struct ctx cx;
    ctx_init(&cx, 0);
    if (frame_write(&cx, fd, data, len, -1) != CODE_OK)
        _exit(1);
    ctx_done(&cx);
}

static void send_page(int fd, Extract__V1__Page *page)
{
    Extract__V1__Reply r = EXTRACT__V1__REPLY__INIT;
    r.kind_case = EXTRACT__V1__REPLY__KIND_PAGE;
    r.page = page;
    unsigned char *data = malloc(extract__v1__reply__get_packed_size(&r));
    send_frame(fd, data, extract__v1__reply__pack(&r, data));
    free(data);
}

static void misbehave(const char *how, int fd)
{
    Extract__V1__Page page = EXTRACT__V1__PAGE__INIT;
    Extract__V1__Line line = EXTRACT__V1__LINE__INIT, *lines[] = {&line};
    page.page = 1;
    page.verdict = EXTRACT__V1__VERDICT__VERDICT_TEXT;
    page.text = text("four");
    if (strcmp(how, "good") == 0) {
        send_page(fd, &page);
        pause();
    } else if (strcmp(how, "utf8") == 0) {
        page.text = text("\xc3(");
    } else if (strcmp(how, "line") == 0) {
        line.end = 5;
        page.lines = lines;
        page.n_lines = 1;
    } else if (strcmp(how, "nan") == 0) {
        page.width = 0.0 / 0.0;
    } else if (strcmp(how, "number") == 0) {
        page.page = -7;
    } else if (strcmp(how, "verdict") == 0) {
        page.verdict = (Extract__V1__Verdict)99;
    } else if (strcmp(how, "confidence") == 0) {
        page.confidence = 1e300;
    } else if (strcmp(how, "junk") == 0) {
        send_frame(fd, "\xff\xff\xff\xff\xff", 5);
        pause();
    } else if (strcmp(how, "empty") == 0) {
        send_frame(fd, "", 0);
        pause();
    } else if (strcmp(how, "huge") == 0) {
        unsigned char header[4] = {0xff, 0xff, 0xff, 0x7f};
        if (write(fd, header, 4) != 4)
            _exit(1);
        pause();
    } else if (strcmp(how, "half") == 0) {
        if (write(fd, "\x10\0\0\0half", 8) != 8)
            _exit(1);
        _exit(7);
    } else if (strcmp(how, "memory") == 0) {
        _exit(EXTRACT__V1__EXIT_STATUS__EXIT_OUT_OF_MEMORY);
    }
    send_page(fd, &page);
    pause();
}

/* Answers one "spawn"; the descriptors that came with it are in fds. */
static int answer(const char *word, int pidfd)
{
    struct iovec iov = {text(word), strlen(word)};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } c;
    memset(&c, 0, sizeof(c));
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (pidfd >= 0) {
        m.msg_control = &c;
        m.msg_controllen = sizeof(c);
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(h), &pidfd, sizeof(pidfd));
    }
    return (int)sendmsg(CONTROL, &m, MSG_NOSIGNAL);
}

static void spawn(const char *how, const int fds[3])
{
    char word[64];
    pid_t pid = fork();
    if (pid == 0)
        misbehave(how, fds[0]);
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    snprintf(word, sizeof(word), "child %d", (int)pid);
    close(fds[0]);
    answer(word, pidfd);
    int status;
    waitpid(pid, &status, 0); /* one child at a time will do */
    if (write(fds[2], &status, sizeof(status)) < 0)
        _exit(1);
    close(fds[2]);
}

static bool serve(const char *how)
{
    char word[64];
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int) * 3)];
    } c;
    struct iovec iov = {word, sizeof(word)};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &c,
                       .msg_controllen = sizeof(c)};
    if (recvmsg(CONTROL, &m, 0) <= 0)
        return false;
    int fds[3];
    memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fds));
    if (strcmp(how, "refuse") == 0)
        answer("error no", -1);
    else if (strcmp(how, "babble") == 0)
        answer("child", -1);
    else if (strcmp(how, "exit") == 0)
        return false;
    else
        spawn(how, fds);
    return true;
}

int main(int argc, char **argv)
{
    const char *how = "good";
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "--languages") == 0)
            how = argv[i + 1];
    if (strcmp(how, "not-ready") == 0)
        return answer("tralala", -1) < 0;
    if (strcmp(how, "no-word") == 0)
        return 3;
    answer("ready", -1);
    while (serve(how))
        ;
    return 0;
}
