/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* supervise.c - one thread that spawns localrag-worker, waits for it, and spawns it again.
 *
 * Started by main when TASK_MAX_WORKERS is above 0. The thread that spawns is the thread that lives
 * as long as the worker should: the worker asks the kernel for a signal when it ends
 * (LOCALRAG_SUPERVISED=1 says so), so a server that is killed leaves nothing behind. When the
 * worker ends, its jobs are given back at once instead of after the lease.
 *
 * posix_spawn only: fork would copy the state of gRPC's threads. The worker gets this process's
 * environment, no file descriptors but 0-2, an empty signal mask and default signal actions.
 *
 * It does not decide whether workers run, and it does not read what the worker does. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clk.h"
#include "base/log.h"
#include "jobs/pools.h"
#include "server/supervise.h"

enum {
    BACKOFF_FIRST_MS = 500,
    BACKOFF_MAX_MS = 30 * 1000,
    LIVED_WELL_MS = 5 * 1000,
    KILL_EXTRA_MS = 5 * 1000,
};

extern char **environ;

struct supervisor {
    const struct settings *settings;
    struct jobs *jobs;
    pthread_t thread;
    char *program;
    char **environment;
    int stop_fd; /* eventfd: readable once the server stops */
    int64_t kill_at_ms; /* written before stop_fd */
    atomic_int pid; /* 0: none runs */
    int restarts;
    bool had_jobs; /* the last worker, when it died */
};

static char *beside_this_program(const char *name)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (n <= 0)
        return NULL;
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    char *program = NULL;
    if (!slash || asprintf(&program, "%.*s/%s", (int)(slash - path), path, name) < 0)
        return NULL;
    return program;
}

/* This process's environment and LOCALRAG_SUPERVISED=1. The texts are borrowed. */
static char **make_environment(void)
{
    static char supervised[] = "LOCALRAG_SUPERVISED=1";
    size_t n = 0;
    while (environ[n])
        n++;
    char **all = calloc(n + 2, sizeof(*all));
    if (!all)
        return NULL;
    memcpy(all, environ, n * sizeof(*all));
    all[n] = supervised;
    return all;
}

/* Returns 0 or an errno. */
static int spawn_worker(const struct supervisor *s, pid_t *ret_pid)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_t attr;
    int error = posix_spawnattr_init(&attr);
    if (error)
        return error;
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    char *argv[] = {s->program, NULL};
    error = posix_spawn(ret_pid, s->program, NULL, &attr, argv, s->environment);
    posix_spawnattr_destroy(&attr);
    return error;
}

/* True when the server stops; false after timeout_ms (-1: none) or when `fd` (-1: none) is
 * readable. */
static bool wait_for(const struct supervisor *s, int fd, int timeout_ms)
{
    struct pollfd fds[2] = {{.fd = s->stop_fd, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    int rc;
    do
        rc = poll(fds, 2, timeout_ms);
    while (rc < 0 && errno == EINTR);
    return fds[0].revents != 0;
}

static void end_worker(const struct supervisor *s, pid_t pid, int pid_fd)
{
    kill(pid, SIGTERM);
    struct pollfd fd = {.fd = pid_fd, .events = POLLIN};
    int64_t left;
    do
        left = MAX(s->kill_at_ms - clk_mono_ms(), 0);
    while (poll(&fd, 1, (int)left) < 0 && errno == EINTR);
    if (fd.revents)
        return;
    log_warning(NULL, "worker %d did not stop in time; killing it", (int)pid);
    kill(pid, SIGKILL);
}

static void log_exit(const struct supervisor *s, pid_t pid, int status, bool stopping)
{
    char how[64];
    if (WIFSIGNALED(status))
        snprintf(how, sizeof(how), "was killed by signal %d", WTERMSIG(status));
    else
        snprintf(how, sizeof(how), "exited with status %d", WEXITSTATUS(status));
    if (stopping)
        log_info(NULL, "worker %d %s", (int)pid, how);
    else
        log_warning(NULL,
                    "worker %d %s (restarts so far: %d); giving its jobs back and starting another",
                    (int)pid, how, s->restarts);
}

static void give_jobs_back(struct supervisor *s, pid_t pid)
{
    CLEANUP(ctx_done) struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    cx.deadline_ms = clk_mono_ms() + 10 * 1000; /* later the lease does it */
    int n = 0;
    if (pools_died(&cx, s->jobs, pools_host(), (int)pid, &n) != CODE_OK)
        log_failure(&cx, LOG_LEVEL_WARNING,
                    "could not give the worker's jobs back at once; its lease will");
    s->had_jobs = n > 0;
}

/* Runs one worker to its end. False: the server stops. */
static bool run_worker(struct supervisor *s)
{
    pid_t pid;
    s->had_jobs = false;
    int error = spawn_worker(s, &pid);
    if (error) {
        log_error(NULL, "could not start \"%s\": %s", s->program, strerror(error));
        return true;
    }
    atomic_store(&s->pid, (int)pid);
    log_info(NULL, "started worker %d", (int)pid);
    int pid_fd = pidfd_open(pid, 0);
    bool stopping = pid_fd >= 0 && wait_for(s, pid_fd, -1);
    if (stopping)
        end_worker(s, pid, pid_fd);
    if (pid_fd >= 0)
        close(pid_fd);
    siginfo_t info; /* not reaped yet, so that supervise_reopen_log never hits a stranger */
    while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        ;
    atomic_store(&s->pid, 0);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    log_exit(s, pid, status, stopping);
    if (!stopping || WIFSIGNALED(status))
        give_jobs_back(s, pid);
    return !stopping;
}

/* The pause between two starts is for a worker that cannot start. One that lived long enough could,
 * and so could one that had jobs: its end counts against those, so they bound such restarts. */
static void *thread_main(void *arg)
{
    struct supervisor *s = arg;
    int backoff_ms = BACKOFF_FIRST_MS;
    for (;;) {
        int64_t began = clk_mono_ms();
        if (!run_worker(s))
            return NULL;
        s->restarts++;
        bool well = s->had_jobs || clk_mono_ms() - began >= LIVED_WELL_MS;
        if (!well)
            log_warning(NULL, "the next worker starts in %.1f s", backoff_ms / 1000.0);
        if (wait_for(s, -1, well ? 0 : backoff_ms))
            return NULL;
        backoff_ms = well ? BACKOFF_FIRST_MS : MIN(backoff_ms * 2, BACKOFF_MAX_MS);
    }
}

static void free_supervisor(struct supervisor *s)
{
    jobs_close(s->jobs);
    if (s->stop_fd >= 0)
        close(s->stop_fd);
    free(s->environment);
    free(s->program);
    free(s);
}

static enum code prepare(struct ctx *cx, struct supervisor *s)
{
    s->stop_fd = eventfd(0, EFD_CLOEXEC);
    s->program = beside_this_program("localrag-worker");
    s->environment = make_environment();
    if (s->stop_fd < 0 || !s->program || !s->environment)
        return ctx_fail(cx, CODE_OUT_OF_MEMORY, "could not prepare the worker's start");
    if (access(s->program, X_OK) != 0)
        return ctx_fail(cx, CODE_UNAVAILABLE,
                        "could not find the worker \"%s\": %s; install it beside the server or set "
                        "TASK_MAX_WORKERS=0",
                        s->program, strerror(errno));
    TRY(jobs_open(cx, s->settings, "localrag-supervisor", &s->jobs));
    if (pthread_create(&s->thread, NULL, thread_main, s) != 0)
        return ctx_fail(cx, CODE_OUT_OF_MEMORY, "could not start the supervisor thread");
    return CODE_OK;
}

enum code supervise_start(struct ctx *cx, const struct settings *settings,
                          struct supervisor **ret_supervisor)
{
    struct supervisor *s = calloc(1, sizeof(*s));
    if (!s)
        return ctx_oom(cx);
    s->settings = settings;
    enum code code = prepare(cx, s);
    if (code != CODE_OK) {
        free_supervisor(s);
        return code;
    }
    *ret_supervisor = s;
    return CODE_OK;
}

void supervise_reopen_log(struct supervisor *s)
{
    int pid = s ? atomic_load(&s->pid) : 0;
    if (pid > 0)
        kill(pid, SIGHUP);
}

void supervise_terminate(struct supervisor *s)
{
    if (!s || s->kill_at_ms)
        return;
    s->kill_at_ms = clk_mono_ms() + s->settings->shutdown_grace_ms + KILL_EXTRA_MS;
    uint64_t one = 1;
    if (write(s->stop_fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
        log_error(NULL, "could not tell the supervisor to stop: %s", strerror(errno));
}

void supervise_stop(struct supervisor *s)
{
    if (!s)
        return;
    supervise_terminate(s);
    pthread_join(s->thread, NULL);
    free_supervisor(s);
}
