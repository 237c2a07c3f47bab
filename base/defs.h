/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* defs.h - the few macros every file may use.
 *
 * TRY is the only macro that changes control flow; `goto` goes only forward to `out:`. Handles that
 * own an outside resource are declared CLEANUP and given away with TAKE. */
#ifndef BASE_DEFS_H
#define BASE_DEFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define UNUSED __attribute__((unused))

/* CLEANUP(db_closep) struct db *db = NULL; -- db_closep(&db) runs when the scope ends. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Moves a handle out of a CLEANUP local: *ret_db = TAKE(db); */
#define TAKE(handle)                                                                               \
    __extension__({                                                                                \
        __typeof__(handle) take_ = (handle);                                                       \
        (handle) = NULL;                                                                           \
        take_;                                                                                     \
    })

/* Returns from the calling function when `call` does not return CODE_OK. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        enum code try_ = (call);                                                                   \
        if (try_ != CODE_OK)                                                                       \
            return try_;                                                                           \
    } while (0)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
