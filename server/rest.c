/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rest.c - the HTTP daemon: its life, and the life of a request (rest.h, rest_impl.h).
 *
 * The few threads of rest_loop.c serve all connections and must never wait: work is given to the
 * handlers while the connection is suspended, and resumed by rest_finish. Invariants: a connection
 * is suspended before its task is handed over, so the request outlives the task (a question,
 * rest_loop.c, is answered between two looks of its daemon instead); nothing is suspended any more
 * when the daemons are stopped.
 *
 * A request is known from its first header to its completion (on_completed), whichever way it ends.
 * It does not know what a method does; TLS and keys are not here either. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "base/log.h"
#include "server/rest_impl.h"

enum {
    MAX_CONNECTIONS = 1024,
    /* Half of it is one piece of an upload's body. The daemon clears all of it after each request,
     * which at 256 kB took a fifth of the time of one that is answered from a row. */
    CONNECTION_MEMORY = 64 * 1024,
    IDLE_SECONDS = 60,
    FLUSH_MS = 2000,
    REPLY_LIMIT = 256 * 1024 * 1024,
};

/* ---- a request ---- */

static void count(struct rest *rest, int *counter, int change)
{
    pthread_mutex_lock(&rest->lock);
    *counter += change;
    pthread_cond_broadcast(&rest->idle);
    pthread_mutex_unlock(&rest->lock);
}

static struct request *request_new(struct rest_loop *loop, struct MHD_Connection *connection,
                                   const char *verb, const char *path)
{
    struct rest *rest = loop->rest;
    struct request *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    ctx_init(&r->cx, CTX_DEFAULT_LIMIT);
    r->rest = rest;
    r->loop = loop;
    r->connection = connection;
    r->verb = ctx_strdup(&r->cx, verb);
    r->path = ctx_strdup(&r->cx, path);
    r->began_us = clk_mono_us();
    r->cx.deadline_ms = clk_mono_ms() + REST_DEADLINE_MS; /* again when its task begins */
    r->body = BUF_INIT(REST_JSON_LIMIT);
    r->reply = BUF_INIT(REPLY_LIMIT);
    if (!r->verb || !r->path) {
        ctx_done(&r->cx);
        free(r);
        return NULL;
    }
    count(rest, &rest->open, 1);
    return r;
}

static enum MHD_Result step_options(struct request *r, const char *data, size_t *len)
{
    (void)data;
    if (!*len)
        return rest_reply_options(r);
    *len = 0;
    return MHD_YES;
}

/* A body that the client still holds back, or a long one, is not waited for. */
static bool answer_at_once(const struct request *r)
{
    return r->content_length > REST_SWALLOW_LIMIT || r->content_length < 0 ||
           (r->content_length > 0 && rest_request_header(r, MHD_HTTP_HEADER_EXPECT));
}

/* The first call for a request, with its head only. */
static enum MHD_Result begin(struct request *r)
{
    bool good = rest_request_read(r);
    if (!good || r->rest->stopping) {
        if (good)
            (void)!ctx_fail(&r->cx, CODE_UNAVAILABLE, "the server is stopping");
        r->step = rest_refuse_step;
        if (answer_at_once(r))
            return rest_reply_outcome(r);
    } else if (strcmp(r->verb, "OPTIONS") == 0) {
        r->step = step_options;
    } else if (r->fixed) {
        r->step = rest_fixed_step;
    } else {
        static const struct {
            enum MHD_Result (*step)(struct request *, const char *, size_t *);
        } steps[] = {
            [METHOD_UNARY] = {rest_unary_step},
            [METHOD_UPLOAD] = {rest_upload_step},
            [METHOD_WATCH] = {rest_watch_step},
            [METHOD_WATCH_ALL] = {rest_watch_step},
        };
        r->step = steps[r->match.method->kind].step;
    }
    return MHD_YES;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *verb, const char *version, const char *data,
                                  size_t *len, void **request)
{
    (void)version;
    struct request *r = *request;
    if (!r) {
        *request = r = request_new(arg, connection, verb, url);
        return r ? begin(r) : MHD_NO;
    }
    r->received += (int64_t)*len;
    return r->step(r, data, len);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode why)
{
    struct rest_loop *loop = arg;
    (void)connection;
    (void)why;
    struct request *r = *request;
    if (!r)
        return;
    rest_loop_forget(r);
    rest_watch_close(r);
    rest_upload_close(r);
    buf_done(&r->body);
    buf_done(&r->reply);
    ctx_done(&r->cx);
    free(r);
    *request = NULL;
    count(loop->rest, &loop->rest->open, -1);
}

/* ---- tasks ---- */

struct request *rest_of(struct task *task)
{
    return (struct request *)(void *)((char *)task - offsetof(struct request, task));
}

void rest_suspend(struct request *r)
{
    count(r->rest, &r->rest->running, 1);
    r->suspended = true;
    MHD_suspend_connection(r->connection);
}

enum MHD_Result rest_submit(struct request *r, void (*run)(struct task *, struct jobs *))
{
    struct rest *rest = r->rest;
    r->task.run = run;
    r->cx.deadline_ms = clk_mono_ms() + REST_DEADLINE_MS;
    rest_suspend(r);
    if (!handlers_submit(rest->handlers, &r->task)) {
        (void)!ctx_fail(&r->cx, CODE_RESOURCE_EXHAUSTED, "too many requests at once");
        rest_finish(r);
    }
    return MHD_YES;
}

void rest_finish(struct request *r)
{
    struct rest *rest = r->rest;
    bool suspended = r->suspended;
    r->suspended = false;
    r->done = true;
    if (!suspended)
        return; /* a question: its loop looks again */
    rest_loop_resume(r); /* it may be gone from here on */
    count(rest, &rest->running, -1);
}

/* ---- the daemon ---- */

/* Leaves path and query as they came: route_decode reads them strictly. */
static size_t keep_escapes(void *arg, struct MHD_Connection *connection, char *text)
{
    (void)arg;
    (void)connection;
    return strlen(text);
}

static void on_log(void *arg, const char *fmt, va_list ap)
{
    (void)arg;
    char line[512];
    vsnprintf(line, sizeof(line), fmt, ap);
    line[strcspn(line, "\r\n")] = '\0';
    log_debug(NULL, "http daemon: %s", line);
}

struct MHD_Daemon *rest_daemon(struct rest_loop *loop, int fd)
{
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL,
                            NULL, on_request, loop, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
                            MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
                            (unsigned)(MAX_CONNECTIONS / REST_LOOPS), MHD_OPTION_CONNECTION_TIMEOUT,
                            (unsigned)IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                            (size_t)CONNECTION_MEMORY, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
                            loop, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
                            MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
}

enum code rest_start(struct ctx *cx, const struct settings *settings, struct handlers *handlers,
                     struct hub *hub, struct rest **ret_rest)
{
    struct rest *rest = calloc(1, sizeof(*rest));
    if (!rest)
        return ctx_oom(cx);
    ctx_init(&rest->cx, CTX_DEFAULT_LIMIT);
    rest->settings = settings;
    rest->handlers = handlers;
    rest->hub = hub;
    pthread_mutex_init(&rest->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&rest->idle, &monotonic);
    pthread_condattr_destroy(&monotonic);
    size_t n;
    const struct method *methods = methods_all(&n);
    enum code code = route_compile(&rest->cx, methods, n, &rest->routes);
    if (code != CODE_OK)
        code = ctx_fail(cx, code, "%s", ctx_message(&rest->cx));
    if (code == CODE_OK) {
        code = openapi_build(&rest->cx, methods, n, &rest->openapi);
        if (code != CODE_OK)
            code = ctx_fail(cx, code, "%s", ctx_message(&rest->cx));
    }
    if (code == CODE_OK)
        code = rest_watch_start(cx, &rest->watches);
    if (code == CODE_OK)
        code = rest_loop_start(cx, rest);
    if (code != CODE_OK) {
        rest_stop(rest);
        return code;
    }
    *ret_rest = rest;
    return CODE_OK;
}

void rest_stop_accepting(struct rest *rest)
{
    if (rest->stopping)
        return;
    rest->stopping = true;
    rest_loop_quiesce(rest->loops);
    rest_watch_end(rest->watches);
}

/* Tasks have to end; answers get a moment to be sent, uploads that still come are cut. */
static void drain(struct rest *rest)
{
    struct timespec limit = clk_mono_after(FLUSH_MS);
    pthread_mutex_lock(&rest->lock);
    while (rest->running > 0)
        pthread_cond_wait(&rest->idle, &rest->lock);
    while (rest->open > 0 && pthread_cond_timedwait(&rest->idle, &rest->lock, &limit) == 0)
        continue;
    pthread_mutex_unlock(&rest->lock);
}

void rest_stop(struct rest *rest)
{
    if (!rest)
        return;
    if (rest->loops) {
        rest_stop_accepting(rest);
        drain(rest);
        rest_loop_stop(rest->loops);
    }
    rest_watch_stop(rest->watches);
    pthread_cond_destroy(&rest->idle);
    pthread_mutex_destroy(&rest->lock);
    ctx_done(&rest->cx);
    free(rest);
}
