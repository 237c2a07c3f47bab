/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* boot.c - checks and waits that come before anything listens. Called by main only.
 *
 * PostgreSQL may come up later than the server (a reboot, a container set): that is waited for,
 * with a line in the log, and a stop signal ends the wait. Until then nothing listens, so probes
 * say "not ready". Anything else that is wrong with the schema is an error at once. */
#include <time.h>

#include "base/log.h"
#include "server/boot.h"
#include "store/db.h"
#include "store/migrate.h"

enum { WAIT_FIRST_MS = 250, WAIT_MAX_MS = 5000 };

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
        log_warning(cx, "waiting for PostgreSQL: %s; trying again in %d ms", ctx_message(cx),
                    wait_ms);
        ctx_clear(cx);
        if (stopped_within(stop, wait_ms)) {
            log_info(NULL, "stopped while waiting for PostgreSQL");
            *ret_stopped = true;
            return CODE_OK;
        }
        wait_ms = MIN(wait_ms * 2, WAIT_MAX_MS);
    }
}
