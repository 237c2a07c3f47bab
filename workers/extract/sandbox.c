/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* sandbox.c - the lock-down of an extractor child (sandbox.h); child.c calls it before it touches a
 * document.
 *
 * Three layers, each enough to stop a different mistake: resource limits (memory, no core file, no
 * file growth), landlock (no path may be opened, no TCP port used, no signal or abstract socket
 * outside), seccomp (a short list of system calls, everything else kills, but for open, which is
 * refused). The list was found by running every kind of document through it; it has no open, no
 * socket, no clone, no exec, and no mapping of executable memory.
 *
 * Debian 12's headers know landlock's first ABI; the kernel may know later ones, so their constants
 * are here. AddressSanitizer maps terabytes and wants a few more calls: the memory limit is left
 * out and the calls are allowed in such a build only. */
#include "sandbox.h"

#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sanitized.h"

/* ---- limits ---- */

enum { OPEN_FILES = 16 };

static int64_t address_space(void)
{
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f)
        return -1;
    long long pages = -1;
    if (fscanf(f, "%lld", &pages) != 1)
        pages = -1;
    fclose(f);
    return pages < 0 ? -1 : pages * sysconf(_SC_PAGESIZE);
}

static enum code limit(struct ctx *cx, __rlimit_resource_t what, const char *name, int64_t value)
{
    struct rlimit old, r = {(rlim_t)value, (rlim_t)value};
    if (getrlimit(what, &old) == 0 && old.rlim_max < r.rlim_max)
        r.rlim_cur = r.rlim_max = old.rlim_max;
    if (setrlimit(what, &r) != 0)
        return ctx_fail(cx, CODE_UNAVAILABLE, "could not set %s to %lld: %s", name,
                        (long long)value, strerror(errno));
    return CODE_OK;
}

enum code sandbox_limits(struct ctx *cx, int64_t memory)
{
    if (memory && !SANITIZED) {
        int64_t now = address_space();
        if (now < 0)
            return ctx_fail(cx, CODE_UNAVAILABLE, "could not read the size of this process");
        TRY(limit(cx, RLIMIT_AS, "RLIMIT_AS", now + memory));
    }
    TRY(limit(cx, RLIMIT_CORE, "RLIMIT_CORE", 0));
    TRY(limit(cx, RLIMIT_FSIZE, "RLIMIT_FSIZE", 0));
    TRY(limit(cx, RLIMIT_NOFILE, "RLIMIT_NOFILE", OPEN_FILES));
    return CODE_OK;
}

/* ---- landlock ---- */

struct ruleset { /* struct landlock_ruleset_attr as of ABI 6 */
    uint64_t access_fs, access_net, scoped;
};

enum {
    FS_ABI1 = (1 << 13) - 1,
    FS_REFER = 1 << 13, /* ABI 2 */
    FS_TRUNCATE = 1 << 14, /* 3 */
    FS_IOCTL_DEV = 1 << 15, /* 5 */
    NET_BIND_TCP = 1 << 0, /* 4 */
    NET_CONNECT_TCP = 1 << 1, /* 4 */
    SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0, /* 6 */
    SCOPE_SIGNAL = 1 << 1, /* 6 */
    RULESET_VERSION = 1 << 0,
};

static long create_ruleset(const struct ruleset *r, size_t size, unsigned flags)
{
    return syscall(SYS_landlock_create_ruleset, r, size, flags);
}

enum code sandbox_landlock(struct ctx *cx)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return ctx_fail(cx, CODE_UNAVAILABLE, "could not give up privileges: %s", strerror(errno));
    long abi = create_ruleset(NULL, 0, RULESET_VERSION);
    if (abi < 0 && (errno == ENOSYS || errno == EOPNOTSUPP))
        return CODE_OK; /* seccomp forbids the same */
    if (abi < 1)
        return ctx_fail(cx, CODE_UNAVAILABLE, "could not ask for landlock: %s", strerror(errno));

    struct ruleset r = {.access_fs = FS_ABI1};
    if (abi >= 2)
        r.access_fs |= FS_REFER;
    if (abi >= 3)
        r.access_fs |= FS_TRUNCATE;
    if (abi >= 4)
        r.access_net = NET_BIND_TCP | NET_CONNECT_TCP;
    if (abi >= 5)
        r.access_fs |= FS_IOCTL_DEV;
    if (abi >= 6)
        r.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
    size_t size = abi >= 6   ? sizeof(r)
                  : abi >= 4 ? offsetof(struct ruleset, scoped)
                             : offsetof(struct ruleset, access_net);
    long fd = create_ruleset(&r, size, 0);
    if (fd < 0)
        return ctx_fail(cx, CODE_UNAVAILABLE, "could not make a landlock ruleset: %s",
                        strerror(errno));
    long failed = syscall(SYS_landlock_restrict_self, (int)fd, 0);
    int why = errno;
    close((int)fd);
    if (failed)
        return ctx_fail(cx, CODE_UNAVAILABLE, "could not enter landlock: %s", strerror(why));
    return CODE_OK;
}

/* ---- seccomp ---- */

static const int allowed[] = {
    /* talk, and reading the document's own descriptor */
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(sendmsg),
    SCMP_SYS(lseek),
    SCMP_SYS(close),
    /* memory; mmap and mprotect have rules of their own */
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    /* time, chance, locks inside libraries; glibc's qsort asks sysinfo */
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(setitimer),
    SCMP_SYS(getrandom),
    SCMP_SYS(futex),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sysinfo),
    SCMP_SYS(sched_getaffinity),
    /* signals to itself, and the end; tgkill has a rule of its own */
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

/* What AddressSanitizer's runtime does, also while it prints a report. */
static const int allowed_sanitized[] = {
    SCMP_SYS(sigaltstack), SCMP_SYS(getrlimit), SCMP_SYS(prlimit64), SCMP_SYS(prctl),
    SCMP_SYS(fstat),       SCMP_SYS(dup),       SCMP_SYS(pipe2),
};

/* Answered with EACCES: Tesseract looks for a file of hints before it finds out how a page stands.
 */
static const int refused[] = {SCMP_SYS(open), SCMP_SYS(openat)};
static const int refused_sanitized[] = {
    SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(stat),
    SCMP_SYS(access),   SCMP_SYS(newfstatat), SCMP_SYS(personality),
};

static int add_rules(scmp_filter_ctx f)
{
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(allowed) && !r; i++)
        r = seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
    const struct scmp_arg_cmp not_exec = {.arg = 2,
                                          .op = SCMP_CMP_MASKED_EQ,
                                          .datum_a = PROT_EXEC,
                                          .datum_b = 0};
    const struct scmp_arg_cmp myself = {.arg = 0,
                                        .op = SCMP_CMP_EQ,
                                        .datum_a = (scmp_datum_t)getpid()};
    if (!r)
        r = seccomp_rule_add_array(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, &not_exec);
    if (!r)
        r = seccomp_rule_add_array(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, &not_exec);
    if (!r)
        r = seccomp_rule_add_array(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &myself);
    for (size_t i = 0; i < ARRAY_LEN(refused) && !r; i++)
        r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EACCES), refused[i], 0);
    if (!SANITIZED)
        return r;
    for (size_t i = 0; i < ARRAY_LEN(allowed_sanitized) && !r; i++)
        r = seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed_sanitized[i], 0);
    for (size_t i = 0; i < ARRAY_LEN(refused_sanitized) && !r; i++)
        r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EACCES), refused_sanitized[i], 0);
    return r;
}

enum code sandbox_seccomp(struct ctx *cx)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!f)
        return ctx_fail(cx, CODE_UNAVAILABLE, "could not make a seccomp filter");
    int r = add_rules(f);
    if (!r)
        r = seccomp_load(f);
    seccomp_release(f);
    if (r)
        return ctx_fail(cx, CODE_UNAVAILABLE, "could not install the seccomp filter: %s",
                        strerror(-r));
    return CODE_OK;
}

enum code sandbox_enter(struct ctx *cx, int64_t memory)
{
    TRY(sandbox_limits(cx, memory));
    TRY(sandbox_landlock(cx));
    return sandbox_seccomp(cx);
}
