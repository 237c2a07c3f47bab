/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* multipart.h - multipart/form-data (RFC 7578), read piece by piece with constant memory.
 *
 * Part headers are bounded; data is handed on as it comes, cut anywhere. All input is hostile. */
#ifndef SERVER_MULTIPART_H
#define SERVER_MULTIPART_H

#include "base/ctx.h"

struct multipart;

/* What a part says about itself; valid during the call only. Texts may hold NULs and bad UTF-8. */
struct multipart_part {
    const char *name, *filename; /* never NULL; filename "" with has_filename false when absent */
    size_t name_len, filename_len;
    bool has_filename;
    const char *content_type; /* NULL: none */
};

/* A code other than CODE_OK ends the reading and is returned; it must be recorded in the ctx. */
struct multipart_sink {
    enum code (*begin)(void *arg, const struct multipart_part *part);
    enum code (*data)(void *arg, const char *data, size_t len);
    enum code (*end)(void *arg);
    void *arg;
};

/* For the Content-Type of a request. UNSUPPORTED: not multipart/form-data. INVALID_ARGUMENT: no or
 * a bad boundary. The reader lives in cx's arena; the sink is copied. */
enum code multipart_new(struct ctx *cx, const char *content_type, const struct multipart_sink *sink,
                        struct multipart **ret_multipart) MUST_CHECK;

/* INVALID_ARGUMENT says what is malformed. After a failure nothing more may be fed. */
enum code multipart_feed(struct ctx *cx, struct multipart *m, const char *data,
                         size_t len) MUST_CHECK;

/* INVALID_ARGUMENT when the closing boundary has not come. */
enum code multipart_finish(struct ctx *cx, const struct multipart *m) MUST_CHECK;

#endif
