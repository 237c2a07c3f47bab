/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* main.c - localrag-worker: starts the extractor, the workers and the keeper, and ends them in
 * order.
 *
 * The main thread only waits for signals; all of them are blocked everywhere. SIGTERM or SIGINT: no
 * new jobs, the running ones get SHUTDOWN_GRACE, then (or at a second signal) they are handed back
 * and their readers killed; the pool's row goes last. SIGHUP opens the log again. A worker that the
 * server started ends with it. PostgreSQL or Redis may be away at start: the threads wait for them.
 * Exit status: 0 clean stop, 2 configuration, 1 anything else. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clk.h"
#include "jobs/settings.h"
#include "workers/box.h"
#include "workers/dispatch.h"
#include "workers/keeper.h"
#include "workers/pool.h"

enum {
    EXIT_CONFIGURATION = 2,
    HAND_BACK_MS = 5000,
    RESERVE_MS = 2000, /* of the grace, to hand jobs back and end */
    SETTINGS_LIMIT = 4 * 1024 * 1024
};

static int usage(FILE *out, int status)
{
    fputs("usage: localrag-worker [--check-config | --help | --version]\n\n"
          "Runs the jobs of a LocalRAG server. All settings come from the environment and from a\n"
          ".env file in the working directory.\n\n"
          "  --check-config  print the effective configuration and exit (2 when it is bad)\n"
          "  --help          this text\n"
          "  --version       the version\n",
          out);
    if (status == 0) {
        fputs("\nSettings:\n", out);
        settings_print_help(out);
    }
    return status;
}

/* The server marks the workers it started. Its end is ours, also when it came before the prctl. */
static bool parent_is_gone(void)
{
    const char *supervised = getenv("LOCALRAG_SUPERVISED");
    if (!supervised || strcmp(supervised, "1") != 0)
        return false;
    pid_t parent = getppid();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        return true;
    if (parent != 1)
        return false;
    /* In a container the server itself may be process 1. */
    char name[32] = "";
    FILE *f = fopen("/proc/1/comm", "re");
    bool server = f && fgets(name, sizeof(name), f) && strncmp(name, "localrag-server", 15) == 0;
    if (f)
        fclose(f);
    return !server;
}

static sigset_t block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return set;
}

/* The next signal to stop; SIGHUP is served on the way. 0 after timeout_ms (-1: no limit). */
static int wait_signal(const sigset_t *set, int64_t timeout_ms)
{
    int64_t until = clk_mono_ms() + timeout_ms;
    while (true) {
        int64_t left = timeout_ms < 0 ? 3600 * 1000 : until - clk_mono_ms();
        if (left <= 0)
            return 0;
        struct timespec wait = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
        int got = sigtimedwait(set, NULL, &wait);
        if (got == SIGHUP)
            log_reopen();
        else if (got > 0)
            return got;
    }
}

static void drain(struct pool *pool, const sigset_t *set, int64_t grace_ms)
{
    pool_close(pool);
    /* Within the grace jobs are also handed back: whoever sent the signal kills at its end. */
    int64_t drain_ms = grace_ms - MIN(grace_ms / 5, RESERVE_MS);
    int64_t until = clk_mono_ms() + drain_ms;
    log_info(NULL, "stopping: running jobs get %g s", (double)drain_ms / 1000);
    while (clk_mono_ms() < until && !pool_wait_drained(pool, 0)) {
        struct timespec none = {0};
        int got = sigtimedwait(set, NULL, &none);
        if (got == SIGTERM || got == SIGINT)
            break;
        if (pool_wait_drained(pool, 100))
            break;
    }
    if (pool_wait_drained(pool, 0))
        return;
    pool_stop_all(pool, SLOT_HAND_BACK);
    if (!pool_wait_drained(pool, HAND_BACK_MS))
        log_warning(NULL, "some jobs could not be handed back; the sweep will find them");
}

/* Ends everything in order. A worker that hangs in a database call is left behind: its job's lease
 * ends with the pool's row. */
static void stop(struct pool *pool, struct dispatch *dispatch, struct keeper *keeper,
                 struct box *box)
{
    dispatch_free(dispatch);
    bool drained = !pool || pool_wait_drained(pool, 0);
    keeper_free(keeper);
    if (!drained) {
        box_stop(box);
        log_info(NULL, "stopped");
        _exit(0);
    }
    pool_free(pool);
    box_stop(box);
}

static enum code run(struct ctx *cx, const struct settings *settings, const sigset_t *set)
{
    struct box *box = NULL;
    struct pool *pool = NULL;
    struct dispatch *dispatch = NULL;
    struct keeper *keeper = NULL;
    struct box_options options = {.memory = settings->extract_memory,
                                  .languages = settings->ocr_languages_joined};
    enum code code = box_start(cx, &options, &box);
    if (code == CODE_OK)
        code = pool_new(cx, settings, box, &pool);
    if (code == CODE_OK)
        code = keeper_start(cx, pool, &keeper);
    if (code == CODE_OK)
        code = dispatch_start(cx, pool, &dispatch);
    if (code == CODE_OK) {
        log_info(NULL, "localrag-worker %s runs %d workers, %d pages read by OCR at once",
                 LOCALRAG_VERSION, pool->n_slots, tokens_count(pool->ocr_tokens));
        (void)wait_signal(set, -1);
        drain(pool, set, settings->shutdown_grace_ms);
    } else if (pool) {
        pool_close(pool);
    }
    stop(pool, dispatch, keeper, box);
    if (code == CODE_OK)
        log_info(NULL, "stopped");
    return code;
}

static int configure(struct ctx *cx, struct settings *settings, bool check_only)
{
    struct env_values *values = NULL;
    enum code code = settings_load(cx, settings, &values);
    if (code == CODE_OK && settings->max_workers < 1)
        code = ctx_fail(cx, CODE_INVALID_ARGUMENT,
                        "TASK_MAX_WORKERS: 0 leaves nothing to run; set it to 1 or more");
    if (code != CODE_OK) {
        fprintf(stderr, "localrag-worker: the configuration is not valid:\n%s\n", ctx_message(cx));
        return EXIT_CONFIGURATION;
    }
    if (check_only) {
        env_print(values, stdout);
        return 0;
    }
    if (settings_open_log(cx, settings, "localrag-worker") != CODE_OK) {
        fprintf(stderr, "localrag-worker: %s\n", ctx_message(cx));
        return EXIT_CONFIGURATION;
    }
    return 0;
}

int main(int argc, char **argv)
{
    bool check_only = argc == 2 && strcmp(argv[1], "--check-config") == 0;
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return usage(stdout, 0);
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("localrag-worker " LOCALRAG_VERSION);
        return 0;
    }
    if (argc > 1 && !check_only)
        return usage(stderr, EXIT_CONFIGURATION);

    struct ctx cx;
    struct settings settings;
    ctx_init(&cx, SETTINGS_LIMIT);
    int status = configure(&cx, &settings, check_only);
    if (status == 0 && !check_only) {
        sigset_t set = block_signals();
        if (parent_is_gone())
            status = 1;
        else if (run(&cx, &settings, &set) != CODE_OK) {
            log_failure(&cx, LOG_LEVEL_ERROR, "could not start");
            status = cx.failure.code == CODE_INVALID_ARGUMENT ? EXIT_CONFIGURATION : 1;
        }
    }
    ctx_done(&cx);
    return status;
}
