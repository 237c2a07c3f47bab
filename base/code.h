/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* code.h - every outcome the project knows, once.
 *
 * One row an outcome: name, gRPC status, HTTP status, CLI exit status, retryable (a job that fails
 * so is tried again), a line for people. Transports map by this table and by nothing else. The name
 * is the `code` of a REST error, the `localrag-code` trailer of a gRPC error, and `error_code` of
 * a failed job. */
#ifndef BASE_CODE_H
#define BASE_CODE_H

#include "base/defs.h"

#define CODE_TABLE(X)                                                                              \
    X(OK, 0, 200, 0, false, "ok")                                                                  \
    X(INVALID_ARGUMENT, 3, 400, 7, false, "the request is not valid")                              \
    X(UNAUTHENTICATED, 16, 401, 6, false, "no valid API key")                                      \
    X(PERMISSION_DENIED, 7, 403, 6, false, "not allowed")                                          \
    X(NOT_FOUND, 5, 404, 3, false, "no such thing")                                                \
    X(METHOD_NOT_ALLOWED, 12, 405, 9, false, "the path does not support this method")              \
    X(NOT_ACCEPTABLE, 3, 406, 7, false, "no acceptable representation")                            \
    X(WRONG_STATE, 9, 409, 4, false, "not possible in this state")                                 \
    X(ALREADY_EXISTS, 6, 409, 4, false, "exists already")                                          \
    X(TOO_LARGE, 8, 413, 7, false, "too large")                                                    \
    X(UNSUPPORTED, 3, 415, 7, false, "a type nobody here can read")                                \
    X(RESOURCE_EXHAUSTED, 8, 429, 8, true, "too many requests")                                    \
    X(CANCELLED, 1, 499, 1, false, "cancelled")                                                    \
    X(INTERNAL, 13, 500, 9, true, "a bug in this program")                                         \
    X(UNIMPLEMENTED, 12, 501, 9, false, "not implemented")                                         \
    X(UNAVAILABLE, 14, 503, 8, true, "not available right now")                                    \
    X(STORAGE_FULL, 8, 503, 8, true, "no space left on the storage")                               \
    X(OUT_OF_MEMORY, 8, 503, 8, true, "out of memory")                                             \
    X(DEADLINE_EXCEEDED, 4, 504, 9, true, "took too long")                                         \
    X(PASSWORD_REQUIRED, 9, 409, 1, false, "encrypted, no or wrong password")                      \
    X(UNREADABLE, 9, 409, 1, false, "nothing in the document can be read")                         \
    X(FILE_MISSING, 9, 409, 1, false, "the stored file is gone")                                   \
    X(DOCUMENT_DELETED, 9, 409, 1, false, "the document was deleted meanwhile")                    \
    X(WORKER_CRASHED, 13, 500, 1, false, "the job crashed its worker too often")                   \
    X(CLAIM_LOST, 9, 409, 9, false, "another claim owns the job now")

enum code {
#define CODE_ENUM(name, grpc, http, exit, retry, text) CODE_##name,
    CODE_TABLE(CODE_ENUM)
#undef CODE_ENUM
        CODE_COUNT
};

/* All of these accept any value; one outside the table reads as INTERNAL. */
const char *code_name(enum code code);
int code_grpc(enum code code);
int code_http(enum code code);
int code_exit(enum code code);
bool code_retryable(enum code code);
const char *code_text(enum code code);

/* The row with this name; CODE_INTERNAL when there is none. */
enum code code_from_name(const char *name);

#endif
