/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* boot.c - checks and waits that come before anything listens. Called by main only.
 *
 * PostgreSQL may come up later than the server (a reboot, a container set): that is waited for, with
 * a line in the log, and a stop signal ends the wait. Until then nothing listens, so probes say "not
 * ready". Anything else that is wrong with the schema is an error at once. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/str.h"
#include "server/boot.h"
#include "store/db.h"
#include "store/migrate.h"

enum { WAIT_FIRST_MS = 250, WAIT_MAX_MS = 5000 };

static bool is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    char plain[INET6_ADDRSTRLEN + 2];
    size_t n = strlen(host);
    if (host[0] == '[' && n > 2 && n < sizeof(plain) && host[n - 1] == ']') {
        memcpy(plain, host + 1, n - 2);
        plain[n - 2] = '\0';
        host = plain;
    }
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6);
    return strcmp(host, "localhost") == 0;
}

enum code boot_check_exposure(struct ctx *cx, const struct settings *settings)
{
    if (settings->api_keys_file)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT,
                        "API_KEYS_FILE is set, but this version cannot check keys: unset it");
    if (!is_loopback(settings->host) && !settings->allow_anonymous)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT,
                        "HOST=\"%s\" opens the server to a network without keys: set "
                        "ALLOW_ANONYMOUS=true if that is meant, or HOST=127.0.0.1",
                        settings->host);
    return CODE_OK;
}

/* True when a stop signal came within wait_ms. */
static bool stopped_within(const sigset_t *stop, int wait_ms)
{
    struct timespec left = {wait_ms / 1000, (wait_ms % 1000) * 1000000L};
    return sigtimedwait(stop, NULL, &left) > 0;
}

enum code boot_database(struct ctx *cx, const struct settings *settings, const sigset_t *stop,
                        bool *ret_stopped)
{
    CLEANUP(db_closep) struct db *db = NULL;
    TRY(db_open(cx, settings->database_url, "localrag-server", &db));
    int wait_ms = WAIT_FIRST_MS;
    for (;;) {
        int applied = 0;
        enum code code = migrate_run(cx, db, &applied);
        if (code == CODE_OK) {
            if (applied)
                log_info(cx, "the database schema was brought up: %d migrations applied", applied);
            return CODE_OK;
        }
        if (code != CODE_UNAVAILABLE)
            return code;
        log_warning(cx, "waiting for PostgreSQL: %s; trying again in %d ms", ctx_message(cx), wait_ms);
        ctx_clear(cx);
        if (stopped_within(stop, wait_ms)) {
            *ret_stopped = true;
            return CODE_OK;
        }
        wait_ms = MIN(wait_ms * 2, WAIT_MAX_MS);
    }
}
