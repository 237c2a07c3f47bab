/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd_health.c - localrag health: whether the whole system works.
 *
 * The exit status is 0 while the server can do its work (healthy or degraded) and 8 when it cannot
 * (unhealthy: no database), so that scripts need not read the text. */
#include "client/app.h"
#include "client/text.h"
#include "localrag/v1/health.pb-c.h"

static void line(const struct app *app, struct buf *b, const char *name, int status,
                 const char *detail)
{
    char word[32];
    text_enum(&localrag__v1__health_status__descriptor, status, word);
    buf_printf(b, "  %-10s ", name);
    app_status(app, b, word);
    if (detail && *detail) {
        buf_str(b, "  ");
        text_safe(b, detail);
    }
    buf_char(b, '\n');
}

static void component(const struct app *app, struct buf *b, const char *name,
                      const Localrag__V1__ComponentHealth *c)
{
    if (c)
        line(app, b, name, c->status, c->detail);
}

static int run(struct app *app)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    Localrag__V1__GetHealthRequest request = LOCALRAG__V1__GET_HEALTH_REQUEST__INIT;
    ProtobufCMessage *m = NULL;
    if (conn_call(app->cx, app->conn, &localrag__v1__health_service__descriptor, "GetHealth",
                  &request.base, &m) != CODE_OK)
        return app_fail(app, app->cx, "could not get the health");
    const Localrag__V1__Health *health = (const Localrag__V1__Health *)m;
    bool works = health->status != LOCALRAG__V1__HEALTH_STATUS__HEALTH_STATUS_UNHEALTHY;
    if (app->json) {
        app_json(m);
        return works ? 0 : code_exit(CODE_UNAVAILABLE);
    }
    const char *up = ctx_printf(app->cx, "version %s, up %lld s", health->version,
                                (long long)health->uptime_seconds);
    line(app, &b, "server", health->status, up);
    const Localrag__V1__Components *c = health->components;
    if (c) {
        component(app, &b, "database", c->database);
        component(app, &b, "redis", c->redis);
        component(app, &b, "storage", c->storage);
        component(app, &b, "workers", c->workers);
        component(app, &b, "embedding", c->embedding);
    }
    if (!app_write(&b))
        return EXIT_OTHER;
    return works ? 0 : code_exit(CODE_UNAVAILABLE);
}

const struct cmd cmd_health = {
    .name = "health",
    .help = "show whether the system works",
    .run = run,
};
