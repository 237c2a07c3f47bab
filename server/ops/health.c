/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* health.c - HealthService.GetHealth.
 *
 * GetHealth never fails: each component is asked and its trouble becomes its detail. Without
 * PostgreSQL the whole is unhealthy; anything else that is wrong makes it degraded. */
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clk.h"
#include "base/str.h"
#include "jobs/jobs.h"
#include "localrag/v1/health.pb-c.h"
#include "server/ops/ops.h"

#define HEALTHY LOCALRAG__V1__HEALTH_STATUS__HEALTH_STATUS_HEALTHY
#define DEGRADED LOCALRAG__V1__HEALTH_STATUS__HEALTH_STATUS_DEGRADED
#define UNHEALTHY LOCALRAG__V1__HEALTH_STATUS__HEALTH_STATUS_UNHEALTHY

enum { LOW_SPACE = 256 << 20 };

static Localrag__V1__ComponentHealth *component(struct ctx *cx, Localrag__V1__HealthStatus status,
                                                const char *detail)
{
    Localrag__V1__ComponentHealth *c = ctx_alloc(cx, sizeof(*c));
    if (!c)
        return NULL;
    localrag__v1__component_health__init(c);
    c->status = status;
    c->detail = ctx_strdup(cx, detail);
    return c->detail ? c : NULL;
}

static Localrag__V1__ComponentHealth *database_health(struct ctx *cx, struct jobs *jobs)
{
    return db_ping(cx, jobs->db) ? component(cx, HEALTHY, "answers")
                                 : component(cx, UNHEALTHY, "PostgreSQL is not reachable");
}

static Localrag__V1__ComponentHealth *redis_health(struct ctx *cx, struct jobs *jobs)
{
    struct kv_reply r;
    if (kv_run(cx, jobs->kv, 0, KV_ARGV("PING"), &r) == CODE_OK)
        return component(cx, HEALTHY, "answers");
    ctx_clear(cx);
    return component(cx, DEGRADED, "Redis is not reachable: uploads are accepted and wait");
}

static Localrag__V1__ComponentHealth *storage_health(struct ctx *cx, struct jobs *jobs)
{
    struct statvfs v;
    const char *path = jobs->settings->uploads_path;
    if (statvfs(path, &v) != 0) /* made by the first upload */
        path = jobs->settings->data_path;
    if (statvfs(path, &v) != 0)
        return component(cx, HEALTHY, "empty");
    char free_space[32];
    int64_t bytes = (int64_t)v.f_bavail * (int64_t)v.f_frsize;
    str_print_bytes(bytes, free_space);
    const char *detail = ctx_printf(cx, "%s free", free_space);
    if (!detail)
        return NULL;
    return component(cx, bytes < LOW_SPACE || access(path, W_OK) != 0 ? DEGRADED : HEALTHY, detail);
}

static Localrag__V1__ComponentHealth *workers_health(struct ctx *cx, struct jobs *jobs)
{
    Localrag__V1__WorkerHealth h = LOCALRAG__V1__WORKER_HEALTH__INIT;
    if (jobs_worker_health(cx, jobs, &h) != CODE_OK) {
        ctx_clear(cx);
        return component(cx, DEGRADED, "unknown without the database");
    }
    bool fine = h.status == LOCALRAG__V1__WORKER_HEALTH_STATUS__WORKER_HEALTH_STATUS_HEALTHY;
    return component(cx, fine ? HEALTHY : DEGRADED, h.message);
}

enum code op_get_health(struct ctx *cx, struct jobs *jobs, const ProtobufCMessage *in,
                        ProtobufCMessage *out_message)
{
    Localrag__V1__Health *out = (Localrag__V1__Health *)out_message;
    Localrag__V1__Components *c = ctx_alloc(cx, sizeof(*c));
    (void)in;
    if (!c)
        return cx->failure.code;
    localrag__v1__components__init(c);
    c->database = database_health(cx, jobs);
    c->redis = redis_health(cx, jobs);
    c->storage = storage_health(cx, jobs);
    c->workers = workers_health(cx, jobs);
    c->embedding = component(cx, HEALTHY, "none is configured");
    if (!c->database || !c->redis || !c->storage || !c->workers || !c->embedding)
        return ctx_oom(cx);
    Localrag__V1__HealthStatus all[] = {c->database->status, c->redis->status, c->storage->status,
                                        c->workers->status};
    out->status = HEALTHY;
    for (unsigned i = 0; i < ARRAY_LEN(all); i++)
        out->status = MAX(out->status, all[i]);
    out->version = ctx_strdup(cx, LOCALRAG_VERSION);
    out->uptime_seconds = clk_uptime_ms() / 1000;
    out->components = c;
    return cx->failure.code;
}
