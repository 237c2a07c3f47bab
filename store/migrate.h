/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* migrate.h - brings the schema up to what this program was built with. */
#ifndef STORE_MIGRATE_H
#define STORE_MIGRATE_H

#include "store/db.h"

/* Applies missing migrations in order, in one transaction, one migrator at a time. Blocks while
 * another one migrates. WRONG_STATE: the schema is newer than this program. */
enum code migrate_run(struct ctx *cx, struct db *db, int *ret_applied) MUST_CHECK;

/* WRONG_STATE when the schema is not exactly the one this program knows (workers do not migrate);
 * UNAVAILABLE when it is older: the server will bring it up. */
enum code migrate_check(struct ctx *cx, struct db *db) MUST_CHECK;

#endif
