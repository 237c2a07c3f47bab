/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* upload_file.h - sends one file to the server. */
#ifndef CLIENT_UPLOAD_FILE_H
#define CLIENT_UPLOAD_FILE_H

#include "client/conn.h"
#include "localrag/v1/upload.pb-c.h"

/* What is the same for every file of a command line. */
struct upload_options {
    Google__Protobuf__Struct *metadata; /* NULL: none */
    Localrag__V1__Priority priority;
    const char *password; /* NULL: none */
    char **languages;
    size_t n_languages;
    int64_t stall_ms; /* longest wait for the server to take a piece */
};

/* Called after every piece. total is 0 when the size is not known. */
typedef void (*upload_progress)(void *user, int64_t sent, int64_t total);

/* The part of a path that is shown and sent as the file's name, in cx's arena. */
enum code upload_name(struct ctx *cx, const char *path, char **ret_name) MUST_CHECK;

/* INVALID_ARGUMENT for a directory or a file that cannot be read; else what the server says. */
enum code upload_file(struct ctx *cx, struct conn *conn, const char *path,
                      const struct upload_options *options, upload_progress progress, void *user,
                      Localrag__V1__UploadDocumentResponse **ret_reply) MUST_CHECK;

#endif
