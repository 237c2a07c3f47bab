/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* db_impl.h - what db.c and db_result.c share. Private to them. */
#ifndef STORE_DB_IMPL_H
#define STORE_DB_IMPL_H

#include <libpq-fe.h>

struct db_result {
    PGresult *pg;
};

#endif
