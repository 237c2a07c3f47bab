/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* metrics.c - counters and times of requests over both doors (metrics.h).
 *
 * rest_reply.c and rpc_call.c count, admin.c prints. Everything is an atomic in a table of fixed
 * size, so that counting costs nothing and needs no handle; labels are methods, verbs and statuses
 * only, never what a client sent. Times are of calls that end by themselves: a watch lasts as long
 * as its job and would say nothing. */
#include "server/metrics.h"

#include <stdatomic.h>
#include <string.h>

enum { FIRST_STATUS = 100, STATUSES = 500, GRPC_CODES = 17, MAX_METHODS = 64, BUCKETS = 13 };
enum transport { HTTP, GRPC, TRANSPORTS };

static const char *const verbs[] = {"GET", "HEAD", "POST", "DELETE", "OPTIONS", "other"};
static const char *const transports[TRANSPORTS] = {"http", "grpc"};
static const char *const grpc_codes[GRPC_CODES] = {
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
};
static const int64_t bucket_us[BUCKETS] = {1000,    2500,    5000,    10000,  25000,
                                           50000,   100000,  250000,  500000, 1000000,
                                           2500000, 5000000, 10000000};

struct times {
    _Atomic uint64_t in[BUCKETS + 1]; /* the last one: longer */
    _Atomic uint64_t total_us;
};

static _Atomic uint64_t http_requests[ARRAY_LEN(verbs)][STATUSES];
static _Atomic uint64_t grpc_requests[MAX_METHODS + 1][GRPC_CODES]; /* the last one: others */
static struct times times[TRANSPORTS][MAX_METHODS];

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t get(_Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* Its row; MAX_METHODS for NULL and for methods beyond the table. */
static size_t row_of(const struct method *method)
{
    size_t n, i = method ? (size_t)(method - methods_all(&n)) : MAX_METHODS;
    return MIN(i, (size_t)MAX_METHODS);
}

static void add_time(enum transport transport, const struct method *m, int64_t us)
{
    size_t row = row_of(m), i = 0;
    if (row == MAX_METHODS || m->kind == METHOD_WATCH || m->kind == METHOD_WATCH_ALL)
        return;
    struct times *t = &times[transport][row];
    while (i < BUCKETS && us > bucket_us[i])
        i++;
    add(&t->in[i], 1);
    add(&t->total_us, (uint64_t)MAX(us, 0));
}

void metrics_http(const char *verb, int status, const struct method *method, int64_t us)
{
    size_t v = 0;
    while (v < ARRAY_LEN(verbs) - 1 && strcmp(verbs[v], verb) != 0)
        v++;
    if (status >= FIRST_STATUS && status < FIRST_STATUS + STATUSES)
        add(&http_requests[v][status - FIRST_STATUS], 1);
    add_time(HTTP, method, us);
}

void metrics_grpc(const struct method *method, enum code code, int64_t us)
{
    int status = code_grpc(code);
    if (status >= 0 && status < GRPC_CODES)
        add(&grpc_requests[row_of(method)][status], 1);
    add_time(GRPC, method, us);
}

/* ---- printing ---- */

/* "localrag.v1.JobService/GetJob" */
static const char *label(size_t row)
{
    size_t n;
    const struct method *all = methods_all(&n);
    return row < n && row < MAX_METHODS ? all[row].path + 1 : "other";
}

static void write_counters(struct buf *b)
{
    buf_str(b, "# HELP localrag_http_requests_total Answered HTTP requests.\n"
               "# TYPE localrag_http_requests_total counter\n");
    for (size_t v = 0; v < ARRAY_LEN(verbs); v++)
        for (int s = 0; s < STATUSES; s++) {
            uint64_t n = get(&http_requests[v][s]);
            if (n)
                buf_printf(b, "localrag_http_requests_total{method=\"%s\",code=\"%d\"} %llu\n",
                           verbs[v], s + FIRST_STATUS, (unsigned long long)n);
        }
    buf_str(b, "# HELP localrag_grpc_requests_total Ended gRPC calls.\n"
               "# TYPE localrag_grpc_requests_total counter\n");
    for (size_t row = 0; row <= MAX_METHODS; row++)
        for (int c = 0; c < GRPC_CODES; c++) {
            uint64_t n = get(&grpc_requests[row][c]);
            if (n)
                buf_printf(b, "localrag_grpc_requests_total{method=\"%s\",code=\"%s\"} %llu\n",
                           label(row), grpc_codes[c], (unsigned long long)n);
        }
}

static void write_times(struct buf *b, enum transport transport, size_t row)
{
    static const char name[] = "localrag_request_duration_seconds";
    struct times *t = &times[transport][row];
    uint64_t sum = 0, counts[BUCKETS + 1];
    for (int i = 0; i <= BUCKETS; i++) {
        sum += get(&t->in[i]);
        counts[i] = sum;
    }
    if (!sum)
        return;
    const char *kind = transports[transport], *method = label(row);
    for (int i = 0; i < BUCKETS; i++)
        buf_printf(b, "%s_bucket{transport=\"%s\",method=\"%s\",le=\"%g\"} %llu\n", name, kind,
                   method, (double)bucket_us[i] / 1e6, (unsigned long long)counts[i]);
    buf_printf(b, "%s_bucket{transport=\"%s\",method=\"%s\",le=\"+Inf\"} %llu\n", name, kind,
               method, (unsigned long long)sum);
    buf_printf(b, "%s_sum{transport=\"%s\",method=\"%s\"} %.6f\n", name, kind, method,
               (double)get(&t->total_us) / 1e6);
    buf_printf(b, "%s_count{transport=\"%s\",method=\"%s\"} %llu\n", name, kind, method,
               (unsigned long long)sum);
}

void metrics_write(struct buf *b)
{
    write_counters(b);
    buf_str(b, "# HELP localrag_request_duration_seconds How long requests took, streams of events "
               "left out.\n"
               "# TYPE localrag_request_duration_seconds histogram\n");
    for (int transport = 0; transport < TRANSPORTS; transport++)
        for (size_t row = 0; row < MAX_METHODS; row++)
            write_times(b, (enum transport)transport, row);
}
