/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* migrate.c - numbered, forward-only migrations (migrate.h).
 *
 * All missing ones run in one transaction under an advisory lock, so two servers that start
 * together do not collide and a failure leaves the schema as it was. A program that finds a newer
 * schema than its own refuses to work: it cannot know what the new columns mean. */
#include "store/migrate.h"

#include "base/log.h"

static int newest(void)
{
    return migrations_count ? migrations_all[migrations_count - 1].number : 0;
}

static enum code version(struct ctx *cx, struct db *db, int *ret_version)
{
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, db, &q_migration_version, DB_NO_ARGS, &r));
    *ret_version = (int)db_get_int(r, 0, 0);
    return CODE_OK;
}

static enum code refuse_newer(struct ctx *cx, int have)
{
    return ctx_fail(cx, CODE_WRONG_STATE,
                    "the database schema is version %d but this program knows only %d: run a newer "
                    "localrag-server",
                    have, newest());
}

static enum code apply(struct ctx *cx, struct db *db, int *ret_applied)
{
    int have, applied = 0;
    TRY(db_run(cx, db, &q_migration_lock, DB_NO_ARGS, NULL));
    TRY(db_run(cx, db, &q_migration_table, DB_NO_ARGS, NULL));
    TRY(version(cx, db, &have));
    if (have > newest())
        return refuse_newer(cx, have);
    for (int i = 0; i < migrations_count; i++) {
        const struct migration *m = &migrations_all[i];
        if (m->number <= have)
            continue;
        if (db_script(cx, db, m->text) != CODE_OK)
            return ctx_prefix(cx, "migration %s", m->name);
        TRY(db_run(cx, db, &q_migration_done, DB_ARGS(db_int(m->number), db_text(m->name)), NULL));
        log_info(cx, "applied migration %s", m->name);
        applied++;
    }
    *ret_applied = applied;
    return CODE_OK;
}

enum code migrate_run(struct ctx *cx, struct db *db, int *ret_applied)
{
    TRY(db_begin(cx, db));
    enum code code = apply(cx, db, ret_applied);
    if (code == CODE_OK)
        return db_commit(cx, db);
    db_rollback(db);
    return code;
}

enum code migrate_check(struct ctx *cx, struct db *db)
{
    int have;
    if (version(cx, db, &have) != CODE_OK) {
        if (cx->failure.code != CODE_INTERNAL)
            return cx->failure.code;
        ctx_clear(cx); /* no table yet: a server has to start first */
        have = 0;
    }
    if (have > newest())
        return refuse_newer(cx, have);
    if (have < newest())
        return ctx_fail(cx, CODE_UNAVAILABLE,
                        "the database schema is version %d, this program needs %d: waiting for a "
                        "localrag-server to migrate it",
                        have, newest());
    return CODE_OK;
}
