/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_sandbox.c - a locked-in process really cannot do what it must not. Each try is a child that
 * locks itself in and then does one forbidden thing; it must be killed by SIGSYS or be refused.
 * Without the lock the same thing must work, or the test would prove nothing. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "workers/extract/sandbox.h"
#include "workers/extract/sanitized.h"

enum { DID_IT = 40, REFUSED = 41, NO_LOCK = 42 };

typedef enum code lock(struct ctx *cx);

static enum code everything(struct ctx *cx)
{
    return sandbox_enter(cx, 0);
}

static enum code nothing(struct ctx *cx)
{
    (void)cx;
    return CODE_OK;
}

/* The wait status of a child that did `act` behind `locked`. */
static int try_it(lock *locked, bool (*act)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct ctx cx;
        ctx_init(&cx, CTX_DEFAULT_LIMIT);
        if (locked(&cx) != CODE_OK) {
            fprintf(stderr, "%s\n", ctx_message(&cx));
            _exit(NO_LOCK);
        }
        bool did = act();
        _exit(did ? DID_IT : errno == EACCES || errno == EPERM ? REFUSED : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static bool is_exit(int status, int code)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == code;
}

static void forbidden(bool (*act)(void))
{
    int status = try_it(nothing, act);
    if (!is_exit(status, DID_IT))
        fail_msg("cannot be done even without the lock: status %x", (unsigned)status);
    status = try_it(everything, act);
    if (!(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) && !is_exit(status, REFUSED))
        fail_msg("was not stopped: status %x", (unsigned)status);
}

static bool open_file(void)
{
    return open("/etc/passwd", O_RDONLY) >= 0;
}

static bool make_file(void)
{
    char name[] = "/tmp/sandbox-XXXXXX";
    int fd = mkstemp(name);
    if (fd < 0)
        return false;
    unlink(name);
    return true;
}

static bool make_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}

static bool make_unix_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0) >= 0;
}

static bool run_program(void)
{
    char *argv[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
                    (char *)(uintptr_t) "exit 40", NULL};
    execv("/bin/sh", argv);
    return false;
}

static bool make_process(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return pid > 0 && waitpid(pid, NULL, 0) == pid;
}

static bool signal_parent(void)
{
    return kill(getppid(), 0) == 0;
}

static bool executable_memory(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
           MAP_FAILED;
}

static bool make_executable(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0;
}

static void files(void **state)
{
    (void)state;
    forbidden(open_file);
    forbidden(make_file);
}

static void sockets(void **state)
{
    (void)state;
    forbidden(make_socket);
    forbidden(make_unix_socket);
}

static void processes(void **state)
{
    (void)state;
    forbidden(run_program);
    forbidden(make_process);
    forbidden(signal_parent);
}

static void code_pages(void **state)
{
    (void)state;
    forbidden(executable_memory);
    forbidden(make_executable);
}

/* landlock alone stops a file, so that a hole in seccomp's list is not enough */
static void landlock_alone(void **state)
{
    (void)state;
    int status = try_it(sandbox_landlock, open_file);
    if (is_exit(status, DID_IT))
        skip(); /* this kernel has none */
    assert_true(is_exit(status, REFUSED));
}

static bool take_memory(void)
{
    void *p = mmap(NULL, 256 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    errno = p == MAP_FAILED ? EACCES : 0;
    return p != MAP_FAILED;
}

static enum code small(struct ctx *cx)
{
    return sandbox_enter(cx, 64 << 20);
}

static void memory(void **state)
{
    (void)state;
    assert_true(is_exit(try_it(everything, take_memory), DID_IT));
    if (SANITIZED)
        skip();
    assert_true(is_exit(try_it(small, take_memory), REFUSED));
}

static bool compute(void)
{
    char *p = malloc(10 << 20);
    memset(p, 1, 10 << 20);
    p = realloc(p, 20 << 20);
    free(p);
    return true;
}

static bool crash(void)
{
    abort();
}

static void ordinary_work(void **state)
{
    (void)state;
    assert_true(is_exit(try_it(everything, compute), DID_IT));
    int status = try_it(everything, crash);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && !WCOREDUMP(status));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files),          cmocka_unit_test(sockets),
        cmocka_unit_test(processes),      cmocka_unit_test(code_pages),
        cmocka_unit_test(landlock_alone), cmocka_unit_test(memory),
        cmocka_unit_test(ordinary_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
