/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* main.c - localrag-server: reads the settings, starts the parts in order, stops them in reverse.
 *
 * Signals are blocked before the first thread and taken by sigwait here: SIGTERM and SIGINT begin a
 * graceful stop (health says no, nothing new is accepted, what runs may end within SHUTDOWN_GRACE),
 * a second one ends the process at once; SIGHUP opens the log again. Exit status: 0 clean, 2
 * configuration, 1 anything else.
 *
 * Nothing is decided here but the order. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "server/admin.h"
#include "server/boot.h"
#include "server/footprint.h"
#include "server/handlers.h"
#include "server/hub.h"
#include "server/methods.h"
#include "server/rest.h"
#include "server/rpc.h"
#include "server/supervise.h"
#include "server/sweeper.h"

enum { HANDLER_THREADS = 8, HANDLER_QUEUE = 1024 };
enum { EXIT_CONFIGURATION = 2 };
enum action { ACTION_SERVE, ACTION_MIGRATE, ACTION_CHECK_CONFIG, ACTION_HELP, ACTION_VERSION };

struct parts {
    const struct settings *settings;
    struct admin *admin;
    struct handlers *handlers;
    struct hub *hub;
    struct rpc *rpc;
    struct rest *rest;
    struct sweeper *sweeper;
    struct supervisor *supervisor;
};

static const struct {
    const char *word;
    enum action action;
    const char *help;
} words[] = {
    {"migrate", ACTION_MIGRATE, "bring the database schema up and exit"},
    {"--check-config", ACTION_CHECK_CONFIG, "print the effective settings and exit"},
    {"--help", ACTION_HELP, "print this"},
    {"--version", ACTION_VERSION, "print the version"},
};

static void print_help(FILE *out)
{
    fprintf(out, "usage: localrag-server [COMMAND]\n\n"
                 "Takes documents over gRPC and REST and runs the jobs for them.\n\n");
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        fprintf(out, "  %-16s %s\n", words[i].word, words[i].help);
    fprintf(out, "\nSettings (environment, or .env in the working directory):\n");
    settings_print_help(out);
}

static bool parse(int argc, char **argv, enum action *ret_action)
{
    *ret_action = ACTION_SERVE;
    if (argc == 1)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(words) && argc == 2; i++) {
        if (strcmp(argv[1], words[i].word) == 0) {
            *ret_action = words[i].action;
            return true;
        }
    }
    fprintf(stderr, "localrag-server: unknown arguments; see localrag-server --help\n");
    return false;
}

static void database_changed(void *arg, bool database)
{
    struct parts *p = arg;
    rpc_set_serving(p->rpc, database);
    admin_set_ready(p->admin, database, database ? NULL : "PostgreSQL does not answer");
}

static enum code start_parts(struct ctx *cx, struct parts *p)
{
    TRY(methods_init(cx));
    TRY(handlers_start(cx, p->settings, HANDLER_THREADS, HANDLER_QUEUE, &p->handlers));
    TRY(hub_start(cx, p->settings, &p->hub));
    TRY(rpc_start(cx, p->settings, p->handlers, p->hub, &p->rpc));
    TRY(rest_start(cx, p->settings, p->handlers, p->hub, &p->rest));
    TRY(sweeper_start(cx, p->settings, database_changed, p, &p->sweeper));
    if (p->settings->max_workers > 0)
        TRY(supervise_start(cx, p->settings, &p->supervisor));
    return CODE_OK;
}

/* Also for parts that never started. */
static void stop_parts(struct parts *p)
{
    admin_set_ready(p->admin, false, "the server is stopping");
    supervise_terminate(p->supervisor); /* the worker drains while we do */
    if (p->rpc)
        rpc_stop_accepting(p->rpc);
    if (p->rest)
        rest_stop_accepting(p->rest);
    if (p->rpc && !rpc_drain(p->rpc, p->settings->shutdown_grace_ms))
        log_warning(NULL, "some calls did not end within SHUTDOWN_GRACE; they were cancelled");
    if (p->rest)
        rest_stop(p->rest);
    sweeper_stop(p->sweeper); /* it tells rpc about the database */
    handlers_stop(p->handlers);
    rpc_stop(p->rpc);
    if (p->hub)
        hub_stop(p->hub);
    supervise_stop(p->supervisor);
}

static void end_at_once(int signal_number)
{
    (void)signal_number;
    static const char message[] = "second signal: ending at once\n";
    if (write(STDERR_FILENO, message, sizeof(message) - 1) < 0)
        _exit(1);
    _exit(1);
}

static void let_second_signal_end(const sigset_t *stop)
{
    struct sigaction action = {.sa_handler = end_at_once};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    pthread_sigmask(SIG_UNBLOCK, stop, NULL);
}

static void wait_for_stop(const struct parts *p, const sigset_t *all)
{
    for (;;) {
        int number = 0;
        if (sigwait(all, &number) != 0)
            continue;
        if (number != SIGHUP) {
            log_info(NULL, "stopping on signal %d", number);
            return;
        }
        log_reopen();
        supervise_reopen_log(p->supervisor);
        log_info(NULL, "opened the log again");
    }
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int serve(struct ctx *cx, struct parts *p, const sigset_t *stop, const sigset_t *all)
{
    raise_file_limit();
    bool started = start_parts(cx, p) == CODE_OK;
    if (started) {
        footprint_settle();
        admin_set_ready(p->admin, true, NULL);
        log_info(NULL, "localrag-server %s serves gRPC on %s:%d and REST on %s:%lld",
                 LOCALRAG_VERSION, p->settings->host, rpc_port(p->rpc), p->settings->host,
                 (long long)p->settings->port);
        wait_for_stop(p, all);
    } else {
        log_failure(cx, LOG_LEVEL_ERROR, "could not start");
    }
    let_second_signal_end(stop);
    stop_parts(p);
    log_info(NULL, "stopped");
    return started ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The probes answer "not ready" while PostgreSQL is waited for. */
static int boot_and_serve(struct ctx *cx, const struct settings *settings, enum action action,
                          const sigset_t *stop, const sigset_t *all)
{
    struct parts parts = {.settings = settings};
    bool stopped = false;
    enum code code = CODE_OK;
    if (action == ACTION_SERVE)
        code = admin_start(cx, settings, &parts.admin);
    if (code == CODE_OK)
        code = boot_database(cx, settings, stop, &stopped);
    int status = stopped && action == ACTION_SERVE ? EXIT_SUCCESS : EXIT_FAILURE;
    if (code != CODE_OK)
        log_failure(cx, LOG_LEVEL_ERROR, "could not start");
    else if (!stopped)
        status = action == ACTION_SERVE ? serve(cx, &parts, stop, all) : EXIT_SUCCESS;
    admin_stop(parts.admin);
    return status;
}

/* Everything after the configuration is known to be good. */
static int run(struct ctx *cx, const struct settings *settings, enum action action)
{
    sigset_t stop, all;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    all = stop;
    sigaddset(&all, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    signal(SIGPIPE, SIG_IGN);
    return boot_and_serve(cx, settings, action, &stop, &all);
}

static int configure_and_run(struct ctx *cx, enum action action)
{
    static struct settings settings;
    struct env_values *values;
    enum code code = settings_load(cx, &settings, &values);
    if (code == CODE_OK && action == ACTION_CHECK_CONFIG)
        env_print(values, stdout);
    if (code == CODE_OK && action != ACTION_CHECK_CONFIG)
        code = settings_open_log(cx, &settings, "localrag-server");
    if (code != CODE_OK) {
        fprintf(stderr, "localrag-server: bad configuration:\n%s\n", ctx_message(cx));
        return EXIT_CONFIGURATION;
    }
    return action == ACTION_CHECK_CONFIG ? EXIT_SUCCESS : run(cx, &settings, action);
}

int main(int argc, char **argv)
{
    enum action action;
    footprint_begin();
    if (!parse(argc, argv, &action))
        return EXIT_CONFIGURATION;
    if (action == ACTION_HELP) {
        print_help(stdout);
        return EXIT_SUCCESS;
    }
    if (action == ACTION_VERSION) {
        puts("localrag-server " LOCALRAG_VERSION);
        return EXIT_SUCCESS;
    }
    static struct ctx cx; /* holds the settings as long as the process lives */
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    int status = configure_and_run(&cx, action);
    ctx_done(&cx);
    return status;
}
