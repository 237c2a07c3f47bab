/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* admin.c - probes and metrics (admin.h).
 *
 * A probe says what this process knows about itself. It does not ask the database: a database that
 * is away must not make an orchestrator kill servers that would go on when it returns. Readiness is
 * set by main. What is counted is in metrics.c. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "server/admin.h"
#include "server/metrics.h"
#include "server/rest_pages.h"

struct admin {
    struct pages *pages;
    int64_t started_us; /* wall time */
    pthread_mutex_t lock;
    bool ready, was_ready; /* under lock, with why */
    char why[256];
};

static int write_livez(void *arg, struct buf *b)
{
    (void)arg;
    buf_str(b, "ok\n");
    return 200;
}

static int write_state(struct admin *a, struct buf *b, bool started_is_enough)
{
    pthread_mutex_lock(&a->lock);
    bool good = a->ready || (started_is_enough && a->was_ready);
    buf_printf(b, "%s\n", good ? "ok" : a->why);
    pthread_mutex_unlock(&a->lock);
    return good ? 200 : 503;
}

static int write_readyz(void *arg, struct buf *b)
{
    return write_state(arg, b, false);
}

static int write_startupz(void *arg, struct buf *b)
{
    return write_state(arg, b, true);
}

static int write_metrics(void *arg, struct buf *b)
{
    struct admin *a = arg;
    pthread_mutex_lock(&a->lock);
    bool ready = a->ready;
    pthread_mutex_unlock(&a->lock);
    buf_str(b,
            "# HELP process_start_time_seconds When the process started, in seconds since 1970.\n"
            "# TYPE process_start_time_seconds gauge\n");
    buf_printf(b, "process_start_time_seconds %.3f\n", (double)a->started_us / 1e6);
    buf_str(b, "# HELP localrag_ready Whether the server wants requests (/readyz).\n"
               "# TYPE localrag_ready gauge\n");
    buf_printf(b, "localrag_ready %d\n", ready);
    metrics_write(b);
    return 200;
}

static const struct page pages[] = {
    {"/livez", "text/plain; charset=utf-8", write_livez},
    {"/readyz", "text/plain; charset=utf-8", write_readyz},
    {"/startupz", "text/plain; charset=utf-8", write_startupz},
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", write_metrics},
};

enum code admin_start(struct ctx *cx, const struct settings *settings, struct admin **ret_admin)
{
    struct admin *a = calloc(1, sizeof(*a));
    if (!a)
        return ctx_oom(cx);
    pthread_mutex_init(&a->lock, NULL);
    a->started_us = clk_wall_us();
    strcpy(a->why, "starting");
    enum code code = rest_pages_start(cx, settings->host, settings->admin_port, "ADMIN_PORT", pages,
                                      ARRAY_LEN(pages), a, &a->pages);
    if (code != CODE_OK) {
        admin_stop(a);
        return code;
    }
    *ret_admin = a;
    return CODE_OK;
}

void admin_set_ready(struct admin *a, bool ready, const char *why)
{
    pthread_mutex_lock(&a->lock);
    a->ready = ready;
    a->was_ready = a->was_ready || ready;
    size_t n = strnlen(why ? why : "not ready", sizeof(a->why) - 1);
    memcpy(a->why, why ? why : "not ready", n);
    a->why[n] = '\0';
    pthread_mutex_unlock(&a->lock);
}

void admin_stop(struct admin *a)
{
    if (!a)
        return;
    rest_pages_stop(a->pages);
    pthread_mutex_destroy(&a->lock);
    free(a);
}
