/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* box.c - the zygote of a worker process, kept alive (box.h); the dispatcher starts it,
 * run_document.c takes children from it.
 *
 * A keeper thread starts localrag-extract and waits for its end. It is a thread of its own because
 * the zygote asks the kernel to be killed when the *thread* that started it ends. A dead zygote is
 * only replaced when somebody wants a child, so a program that cannot run is not started in a loop.
 * The talk on the control socket (see workers/extract/zygote.c) is one packet each way under a
 * mutex, bounded in time; a zygote that does not answer is killed.
 *
 * Nothing here parses or waits for a document; that is box_child.c. */
#include "workers/box.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clk.h"
#include "base/log.h"
#include "workers/box_internal.h"

enum {
    CONTROL_FD = 3,
    PACKET = 512,
    START_MS = 30 * 1000,
    SPAWN_MS = 10 * 1000,
    PATH_BYTES = 4096
};

extern char **environ;

enum zygote_state { DOWN, WANTED, STARTING, UP };

struct box {
    char program[PATH_BYTES];
    char *languages, *tessdata;
    char memory[32];
    pthread_t keeper;
    bool keeper_runs;
    pthread_mutex_t talk; /* one spawn at a time; taken before lock */
    pthread_mutex_t lock; /* what follows */
    pthread_cond_t changed;
    enum zygote_state state;
    bool stopping;
    pid_t pid;
    int control; /* -1: none */
    unsigned starts;
    int start_error; /* errno of the last start, 0: none */
};

/* ---- the keeper ---- */

static int start_program(struct box *b, int child_end, pid_t *ret_pid)
{
    char fd[16];
    snprintf(fd, sizeof(fd), "%d", CONTROL_FD);
    const char *argv[12] = {b->program, "--control-fd", fd,           "--memory",
                            b->memory,  "--languages",  b->languages, NULL};
    if (b->tessdata) {
        argv[7] = "--tessdata";
        argv[8] = b->tessdata;
    }
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    /* dup2 of a descriptor onto itself clears close-on-exec as well */
    posix_spawn_file_actions_adddup2(&actions, child_end, CONTROL_FD);
    posix_spawn_file_actions_addclosefrom_np(&actions, CONTROL_FD + 1);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int r = posix_spawn(ret_pid, b->program, &actions, &attr, (char **)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return r;
}

/* Called with the lock. */
static void start_zygote(struct box *b)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        b->start_error = errno;
        b->state = DOWN;
        return;
    }
    b->start_error = start_program(b, ends[1], &b->pid);
    close(ends[1]);
    if (b->start_error) {
        close(ends[0]);
        b->pid = 0;
        b->state = DOWN;
        return;
    }
    b->control = ends[0];
    b->starts++;
    b->state = STARTING;
}

static void *keep(void *arg)
{
    struct box *b = arg;
    pthread_mutex_lock(&b->lock);
    while (!b->stopping) {
        if (b->state != WANTED) {
            pthread_cond_wait(&b->changed, &b->lock);
            continue;
        }
        start_zygote(b);
        pthread_cond_broadcast(&b->changed);
        pid_t pid = b->pid;
        if (!pid)
            continue;
        pthread_mutex_unlock(&b->lock);
        siginfo_t info;
        while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
            ;
        pthread_mutex_lock(&b->lock);
        waitpid(pid, NULL, 0); /* under the lock: b->pid never names somebody else's process */
        b->pid = 0;
        b->state = DOWN;
        pthread_cond_broadcast(&b->changed);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

/* ---- packets ---- */

static enum code receive_packet(struct ctx *cx, int control, int timeout_ms, char packet[PACKET],
                                int *ret_fd)
{
    struct pollfd p = {.fd = control, .events = POLLIN};
    int64_t end = clk_mono_ms() + timeout_ms;
    int n;
    do
        n = poll(&p, 1, (int)MAX(end - clk_mono_ms(), 0));
    while (n < 0 && errno == EINTR);
    if (n == 0)
        return ctx_fail(cx, CODE_UNAVAILABLE, "the extractor did not answer for %d ms", timeout_ms);
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } c;
    struct iovec iov = {packet, PACKET - 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &c,
                       .msg_controllen = sizeof(c)};
    ssize_t len;
    do
        len = recvmsg(control, &m, MSG_CMSG_CLOEXEC);
    while (len < 0 && errno == EINTR);
    if (len <= 0)
        return ctx_fail(cx, CODE_UNAVAILABLE, "the extractor ended");
    packet[len] = '\0';
    *ret_fd = -1;
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    if (h && h->cmsg_type == SCM_RIGHTS && h->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(ret_fd, CMSG_DATA(h), sizeof(int));
    return CODE_OK;
}

static enum code send_spawn(struct ctx *cx, int control, const int fds[3])
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int) * 3)];
    } c;
    memset(&c, 0, sizeof(c));
    char word[] = "spawn";
    struct iovec iov = {word, strlen(word)};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &c,
                       .msg_controllen = sizeof(c)};
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof(int) * 3);
    memcpy(CMSG_DATA(h), fds, sizeof(int) * 3);
    ssize_t n;
    do
        n = sendmsg(control, &m, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return ctx_fail(cx, CODE_UNAVAILABLE, "could not reach the extractor: %s", strerror(errno));
    return CODE_OK;
}

/* ---- the zygote's life, seen from callers (all with `talk` held) ---- */

/* Kills what is there and waits until the keeper has seen its end. */
static void put_down(struct box *b)
{
    pthread_mutex_lock(&b->lock);
    if (b->pid > 0)
        kill(b->pid, SIGKILL);
    while (b->state == STARTING || b->state == UP)
        pthread_cond_wait(&b->changed, &b->lock);
    if (b->control >= 0)
        close(b->control);
    b->control = -1;
    pthread_mutex_unlock(&b->lock);
}

static enum code await_ready(struct ctx *cx, struct box *b)
{
    char packet[PACKET];
    int fd;
    TRY(receive_packet(cx, b->control, START_MS, packet, &fd));
    if (fd >= 0)
        close(fd);
    if (strcmp(packet, "ready") == 0)
        return CODE_OK;
    char name[64] = "";
    int used = 0;
    if (sscanf(packet, "failed %63s %n", name, &used) != 1 || !used)
        return ctx_fail(cx, CODE_UNAVAILABLE, "the extractor talks nonsense");
    return ctx_fail(cx, code_from_name(name), "%s", packet + used);
}

static enum code bring_up(struct ctx *cx, struct box *b)
{
    pthread_mutex_lock(&b->lock);
    bool up = b->state == UP;
    pthread_mutex_unlock(&b->lock);
    if (up)
        return CODE_OK;
    put_down(b);

    pthread_mutex_lock(&b->lock);
    b->state = WANTED;
    pthread_cond_broadcast(&b->changed);
    while (b->state == WANTED)
        pthread_cond_wait(&b->changed, &b->lock);
    bool started = b->control >= 0;
    int why = b->start_error;
    pthread_mutex_unlock(&b->lock);
    if (!started)
        return ctx_fail(cx, CODE_UNAVAILABLE, "could not start \"%s\": %s", b->program,
                        strerror(why));
    enum code code = await_ready(cx, b);
    if (code != CODE_OK) {
        put_down(b);
        return code;
    }
    pthread_mutex_lock(&b->lock);
    if (b->state == STARTING)
        b->state = UP;
    pthread_mutex_unlock(&b->lock);
    return CODE_OK;
}

static enum code ask(struct ctx *cx, struct box *b, const int fds[3], pid_t *ret_pid,
                     int *ret_pidfd)
{
    char packet[PACKET];
    int fd, pid;
    TRY(send_spawn(cx, b->control, fds));
    TRY(receive_packet(cx, b->control, SPAWN_MS, packet, &fd));
    if (sscanf(packet, "child %d", &pid) == 1 && pid > 0 && fd >= 0) {
        *ret_pid = pid;
        *ret_pidfd = fd;
        return CODE_OK;
    }
    if (fd >= 0)
        close(fd);
    return ctx_fail(cx, CODE_RESOURCE_EXHAUSTED, "the extractor made no child: %s", packet);
}

enum code box_ask(struct ctx *cx, struct box *b, const int fds[3], pid_t *ret_pid, int *ret_pidfd)
{
    pthread_mutex_lock(&b->talk);
    enum code code = bring_up(cx, b);
    if (code == CODE_OK) {
        code = ask(cx, b, fds, ret_pid, ret_pidfd);
        if (code == CODE_UNAVAILABLE) { /* it died since it was last used: once more */
            log_warning(cx, "%s, starting it again", ctx_message(cx));
            ctx_clear(cx);
            put_down(b);
            code = bring_up(cx, b);
            if (code == CODE_OK)
                code = ask(cx, b, fds, ret_pid, ret_pidfd);
        }
        if (code == CODE_UNAVAILABLE)
            put_down(b);
    }
    pthread_mutex_unlock(&b->talk);
    return code == CODE_OK ? code : ctx_prefix(cx, "could not make an extractor process");
}

/* ---- start and stop ---- */

static enum code find_program(struct ctx *cx, const char *given, char out[PATH_BYTES])
{
    static const char name[] = "localrag-extract";
    if (given) {
        if (snprintf(out, PATH_BYTES, "%s", given) >= PATH_BYTES)
            return ctx_fail(cx, CODE_INVALID_ARGUMENT, "the path of the extractor is too long");
        return CODE_OK;
    }
    ssize_t n = readlink("/proc/self/exe", out, PATH_BYTES - sizeof(name) - 1);
    char *slash = n > 0 ? memrchr(out, '/', (size_t)n) : NULL;
    if (!slash)
        return ctx_fail(cx, CODE_UNAVAILABLE, "could not find the path of this program");
    strcpy(slash + 1, name);
    return CODE_OK;
}

static enum code fill(struct ctx *cx, struct box *b, const struct box_options *o)
{
    TRY(find_program(cx, o->program, b->program));
    snprintf(b->memory, sizeof(b->memory), "%lld", (long long)MAX(o->memory, 0));
    b->languages = strdup(o->languages && *o->languages ? o->languages : "eng");
    b->tessdata = o->tessdata ? strdup(o->tessdata) : NULL;
    if (!b->languages || (o->tessdata && !b->tessdata))
        return ctx_oom(cx);
    int r = pthread_create(&b->keeper, NULL, keep, b);
    if (r)
        return ctx_fail(cx, CODE_UNAVAILABLE, "could not start a thread: %s", strerror(r));
    b->keeper_runs = true;
    pthread_mutex_lock(&b->talk);
    enum code code = bring_up(cx, b);
    pthread_mutex_unlock(&b->talk);
    return code;
}

enum code box_start(struct ctx *cx, const struct box_options *o, struct box **ret_box)
{
    struct box *b = calloc(1, sizeof(*b));
    if (!b)
        return ctx_oom(cx);
    b->control = -1;
    pthread_mutex_init(&b->talk, NULL);
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->changed, NULL);
    enum code code = fill(cx, b, o);
    if (code != CODE_OK) {
        box_stop(b);
        return code;
    }
    *ret_box = b;
    return CODE_OK;
}

void box_stop(struct box *b)
{
    if (!b)
        return;
    if (b->keeper_runs) {
        pthread_mutex_lock(&b->talk);
        put_down(b);
        pthread_mutex_unlock(&b->talk);
        pthread_mutex_lock(&b->lock);
        b->stopping = true;
        pthread_cond_broadcast(&b->changed);
        pthread_mutex_unlock(&b->lock);
        pthread_join(b->keeper, NULL);
    }
    pthread_cond_destroy(&b->changed);
    pthread_mutex_destroy(&b->lock);
    pthread_mutex_destroy(&b->talk);
    free(b->languages);
    free(b->tessdata);
    free(b);
}

pid_t box_zygote_pid(struct box *b)
{
    pthread_mutex_lock(&b->lock);
    pid_t pid = b->pid;
    pthread_mutex_unlock(&b->lock);
    return pid;
}

unsigned box_restarts(struct box *b)
{
    pthread_mutex_lock(&b->lock);
    unsigned n = b->starts ? b->starts - 1 : 0;
    pthread_mutex_unlock(&b->lock);
    return n;
}
